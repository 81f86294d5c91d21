"""Read a sheet of an .xlsx workbook row by row, by openpyxl in read-only mode."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import ParseError

from nlpbook_data.errors import InputError, first_line, shown
from nlpbook_data.reading.text import open_bytes
from nlpbook_data.reading.values import FETCH_AGAIN, malformed, whole

Cell = str | int | float | bool | date | time | None

# A workbook's shared texts are kept in memory; a file with more than this is a zip bomb.
MAX_BYTES = 2 << 30
ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, ParseError, OSError, EOFError),
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, RuntimeError),
)


def read_sheet(
    path: Path, advice: str = FETCH_AGAIN, name: str | None = None
) -> Iterator[tuple[str, list[Cell]]]:
    """Yield ``(place, cells)`` for each row that is not empty; `place` names the sheet and row.

    It reads the first sheet, or the one called `name`. Texts are str, numbers int or float, truth
    values bool, dates the types of datetime. An empty cell is None; empty cells at the end of a row
    are left out. A formula has the value that was saved with it.

    Raises:
        InputError: not a workbook, an encrypted or damaged one, no such sheet, a value such as
            #N/A.
    """
    from openpyxl import load_workbook  # takes 0.2 s, for few files

    with open_bytes(path) as file:
        data = file.read()  # openpyxl raises an OSError for damaged files too
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            f"{path}: encrypted, or of Excel before 2007. Save it as .xlsx without a password."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MAX_BYTES:
                raise ValueError(f"unpacked it has over {MAX_BYTES:,} bytes")
        workbook = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        if name is not None and name not in workbook.sheetnames:
            raise missing_sheet(path, name, workbook.sheetnames)
        sheet = workbook.worksheets[0] if name is None else workbook[name]
        sheet.reset_dimensions()  # stored dimensions may be wrong
        for number, row in enumerate(sheet.iter_rows(), start=1):
            place = f"{path}, sheet {sheet.title!r}, row {number}"
            cells = [_value(place, cell, advice) for cell in row]
            while cells and cells[-1] is None:
                cells.pop()
            if cells:
                yield place, cells
    except DAMAGE as error:
        raise InputError(f"{path}: not a workbook ({first_line(error)[:200]}). {advice}") from error


def missing_sheet(path: Path, name: str, names: list[str]) -> InputError:
    """Return the error for a sheet that a workbook does not have."""
    return InputError(
        f"{path}: there is no sheet {name!r}; the sheets are {shown(names)}. Check --sheet_name."
    )


def sheets(path: Path) -> list[str]:
    """Return the names of the sheets of a workbook; none of what is no workbook."""
    try:
        with open_bytes(path) as file, zipfile.ZipFile(file) as archive:
            return [
                sheet.attrib["name"]
                for sheet in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter()
                if sheet.tag.endswith("}sheet")
            ]
    except DAMAGE:
        return []


def unescape(text: str) -> str:
    """Return `text` with Excel's escapes of non-XML characters, such as _x000D_, resolved."""
    if "_x" not in text:
        return text
    text = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _value(place: str, cell: Any, advice: str) -> Cell:
    value = cell.value
    if isinstance(value, str):
        if cell.data_type == "e":
            raise malformed(f"{place}, column {cell.column}", value, "a value", advice)
        return (whole(place, unescape(value), advice) if "_x" in value else value) or None
    return value
