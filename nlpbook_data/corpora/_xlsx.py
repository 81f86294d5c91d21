"""Reading the first sheet of an .xlsx workbook row by row, strictly.

What spreadsheet programs mend in silence is an error here: texts that are not there, cells twice
or out of order, broken XML. There is no DTD, so no entity is expanded, and memory holds the packed
file and the texts of the workbook, never its table.
"""

import functools
import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from nlpbook_data.corpora._read import AGAIN, malformed, whole
from nlpbook_data.errors import InputError

Cell = str | float | bool

BLOCK_BYTES = 1 << 18
MAX_PART_BYTES = 1 << 30
MAX_ROWS, MAX_COLUMNS = 1 << 20, 1 << 14  # those of Excel
REFERENCE = re.compile("([A-Z]{1,3})([1-9][0-9]{0,6})")
INDEX = re.compile("[0-9]{1,9}")
NUMBER = re.compile(r"[-+]?([0-9]+\.?|[0-9]*\.[0-9]+)([eE][-+]?[0-9]+)?")
ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(ValueError, LookupError, RuntimeError, OverflowError),
)


def read_first_sheet(path: Path) -> Iterator[tuple[int, dict[int, Cell]]]:
    """Yield ``(row number, {column number: cell})``, both from 1, of the rows with cells.

    Texts are str, numbers (and dates) float, truth values bool; empty cells are not there.
    """
    data = path.read_bytes()  # a damaged file on disk raises OSErrors that are none of the disk
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            f"{path}: encrypted, or of Excel before 2007. Save it as .xlsx without a password."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sheet, strings = _find_parts(path, archive)
            texts = _read_texts(path, archive, strings) if strings else []
            yield from _Sheet(path, texts).rows(archive, sheet)
    except DAMAGE as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: not a workbook ({said[:200]}). {AGAIN}") from error


def _find_parts(path: Path, archive: zipfile.ZipFile) -> tuple[str, str]:
    """Return the names of the first sheet and of the shared texts, if there are any."""
    sheets: list[str] = []
    targets: dict[str, str] = {}
    strings = ""

    def sheet(name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "sheet":
            sheets.extend(v for key, v in attributes.items() if key != "id" and _local(key) == "id")

    def relationship(name: str, attributes: dict[str, str]) -> None:
        nonlocal strings
        if _local(name) == "Relationship":
            target = posixpath.normpath(posixpath.join("xl", attributes["Target"])).lstrip("/")
            targets[attributes["Id"]] = target
            if attributes["Type"].endswith("/sharedStrings"):
                strings = target

    for part, start in [
        ("xl/workbook.xml", sheet),
        ("xl/_rels/workbook.xml.rels", relationship),
    ]:
        parser = _parser(path)
        parser.StartElementHandler = start
        for _ in _feed(path, archive, part, parser):
            pass
    return targets[sheets[0]], strings


def _read_texts(path: Path, archive: zipfile.ZipFile, part: str) -> list[str]:
    texts: list[str] = []
    pieces: list[str] = []
    phonetic = False
    parser = _parser(path)

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal phonetic
        if ":" in name:
            name = _local(name)
        if name == "si":
            pieces.clear()
        elif name == "rPh":  # how it is pronounced
            phonetic = True
        elif name == "t" and not phonetic:
            parser.CharacterDataHandler = pieces.append

    def end(name: str) -> None:
        nonlocal phonetic
        if ":" in name:
            name = _local(name)
        if name == "si":
            texts.append(_unescape(path, "".join(pieces)))
        elif name == "rPh":
            phonetic = False
        elif name == "t":
            parser.CharacterDataHandler = None

    parser.StartElementHandler, parser.EndElementHandler = start, end
    for _ in _feed(path, archive, part, parser):
        pass
    return texts


class _Sheet:
    """The rows of a sheet, as its XML goes by."""

    def __init__(self, path: Path, texts: list[str]) -> None:
        self.path, self.texts = path, texts
        self.done: list[tuple[int, dict[int, Cell]]] = []
        self.inside = False  # of <sheetData>
        self.row = self.column = 0
        self.cells: dict[int, Cell] = {}
        self.kind: str | None = None  # of the cell that is open
        self.pieces: list[str] = []
        self.parser = _parser(path)
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end

    def rows(self, archive: zipfile.ZipFile, part: str) -> Iterator[tuple[int, dict[int, Cell]]]:
        for _ in _feed(self.path, archive, part, self.parser):
            yield from self.done
            self.done = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if ":" in name:
            name = _local(name)
        if not self.inside:
            self.inside = name == "sheetData"
        elif name == "c":
            self.place_cell(attributes.get("r"))
            self.kind = attributes.get("t", "n")
            self.pieces = []
        elif name == "v" or (name == "t" and self.kind == "inlineStr"):
            self.parser.CharacterDataHandler = self.pieces.append
        elif name == "row":
            row = attributes.get("r", str(self.row + 1))
            if not INDEX.fullmatch(row) or not self.row < int(row) <= MAX_ROWS:
                raise malformed(f"{self.path}, row {self.row}", row, "before a row with its number")
            self.row, self.column, self.cells = int(row), 0, {}

    def place_cell(self, reference: str | None) -> None:
        """Set the number of the column of the cell that begins."""
        column = self.column + 1
        if reference is not None:
            found = REFERENCE.fullmatch(reference)
            column = _column_number(found[1]) if found and int(found[2]) == self.row else 0
        if not self.column < column <= MAX_COLUMNS:
            place = f"{self.path}, row {self.row}"
            raise malformed(place, reference, "a cell of that row, right of the one before it,")
        self.column = column

    def end(self, name: str) -> None:
        if ":" in name:
            name = _local(name)
        if not self.inside:
            return
        if name == "v" or name == "t":
            self.parser.CharacterDataHandler = None
        elif name == "c":
            # a shared text without its number is a lost one, any other is an empty cell
            known = self.pieces or self.kind == "s"
            value = self.value("".join(self.pieces)) if known else ""
            if value != "":
                self.cells[self.column] = value
            self.kind = None
        elif name == "row":
            if self.cells:
                self.done.append((self.row, self.cells))
        elif name == "sheetData":
            self.inside = False

    def value(self, text: str) -> Cell:
        if self.kind == "s" and INDEX.fullmatch(text) and int(text) < len(self.texts):
            return self.texts[int(text)]
        if self.kind in ("str", "inlineStr"):
            return _unescape(self.path, text)
        if self.kind == "n" and NUMBER.fullmatch(text):
            return float(text)
        if self.kind == "b" and text in ("0", "1"):
            return text == "1"
        place = f"{self.path}, row {self.row}, column {self.column}"
        raise malformed(place, text, f"a value of the type {self.kind!r}")


def _parser(path: Path) -> expat.XMLParserType:
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise InputError(f"{path}: not a workbook (<!DOCTYPE, which none has). {AGAIN}")

    parser.StartDoctypeDeclHandler = refuse
    return parser


def _feed(
    path: Path, archive: zipfile.ZipFile, part: str, parser: expat.XMLParserType
) -> Iterator[None]:
    """Parse `part` of the archive, stopping after each block."""
    info = archive.getinfo(part)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{part}: compressed as no workbook is")
    if info.file_size > MAX_PART_BYTES:
        raise InputError(
            f"{path}: not a workbook: {part} has over {MAX_PART_BYTES:,} bytes. {AGAIN}"
        )
    try:
        with archive.open(part) as file:
            while block := file.read(BLOCK_BYTES):
                parser.Parse(block, False)
                yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError as error:
        said = f"{part}, line {error.lineno}: {expat.ErrorString(error.code)}"
        raise InputError(f"{path}: not a workbook ({said}). {AGAIN}") from error


def _unescape(path: Path, text: str) -> str:
    """Return `text` with the characters that XML cannot hold, which Excel writes as _x000D_."""
    if "_x" not in text:
        return text
    text = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return whole(
        str(path), text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    )


def _local(name: str) -> str:
    return name.rpartition(":")[2]


@functools.cache
def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number
