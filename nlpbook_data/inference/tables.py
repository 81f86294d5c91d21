"""Read the user's rows from a file, and write the same file again with more columns.

    table = open_table(Path("reviews.csv"))
    for record in table.records(["본문"]):
        record.row  # {"본문": …}, or None where record.error says why
    table.write(Path("more.csv"), outputs, {"prediction": "text", "error": "text"})

Rows do not change: texts keep encoding, separator, quotes and line ends, workbooks the types and
number formats of cells, parquet its types. A row that cannot be read is a record too. If its cells
would break the new file, its whole text is written into the first cell.
"""

import codecs
import csv
import io
import json
import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nlpbook_data.errors import InputError, first_line
from nlpbook_data.own_files.tables import EMPTY, check_columns, first_text_line, require_file
from nlpbook_data.reading.text import (
    MAX_CHARACTERS,
    Undecodable,
    find_encoding,
    format_of,
    is_packed,
    open_unpacked,
    packing_of,
)
from nlpbook_data.reading.workbook import DAMAGE, missing_sheet, unescape

SEPARATORS = (",", ";", "\t")
TYPES = {
    "text": pa.string(),
    "json": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "texts": pa.list_(pa.string()),
    "numbers": pa.list_(pa.float64()),
}
BATCH_ROWS = 10_000
PATIENCE = 10  # seconds that a pipe may be without a writer
MAX_CELL = 32_767  # characters in a cell of a workbook
TABS = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})
Row = dict[str, Any]


def copy_pipe(path: Path | None, target: Path) -> None:
    """Copy what is written into a pipe, such as a shell makes of ``<(command)``, to a file.

    None is standard input.

    Raises:
        InputError: nobody writes into it for `PATIENCE` seconds.
    """
    if path is None:
        with sys.stdin.buffer, target.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as pipe, target.open("wb") as file:
        until, first = time.monotonic() + PATIENCE, b""
        while not first:
            try:
                first = os.read(handle, 1)  # nothing: there is no writer yet
            except BlockingIOError:  # there is one, which has written nothing yet
                break
            if not first and time.monotonic() > until:
                raise InputError(f"{path}: nobody writes into this pipe. Name a file.")
            time.sleep(0 if first else 0.1)
        os.set_blocking(handle, True)
        file.write(first)
        shutil.copyfileobj(pipe, file)


@dataclass(frozen=True)
class Record:
    """A row of a file.

    Attributes:
        place: the file and line, for messages.
        row: its columns; None if it is blank or cannot be read.
        error: the reason why it cannot be read.
        text: for a text file: the text to write again, changed only if it would break the file.
    """

    place: str
    row: Row | None
    error: str = ""
    text: str = ""

    @property
    def is_blank(self) -> bool:
        return self.row is None and not self.error


class Table(ABC):
    """A file of rows. See `open_table`.

    Attributes:
        header: the names of its columns.
        name: what messages on rows call it; a copy may have that of the original.
        is_plain: whether it has no header: each line is a text.
    """

    header: list[str]
    is_plain = False

    def __init__(self, path: Path):
        self.path, self.name = path, str(path)

    def estimate(self) -> int | None:
        """Return the approximate number of rows, if it can be found quickly."""
        return None

    @abstractmethod
    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        """Yield a record for each row, blank ones too, with those of `columns` that exist."""

    @abstractmethod
    def write(
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str = "|"
    ) -> None:
        """Write the same rows with more columns.

        Args:
            outputs: one for each record; missing columns stay empty.
            kinds: the new columns, each with a key of `TYPES`; the last one is for errors.
            joint: the separator of several values in a cell.
        """


def open_table(
    path: Path,
    suffix: str | None = None,
    separator: str | None = None,
    sheet_name: str | None = None,
) -> Table:
    """Return the table of a file: csv, tsv, xlsx (a sheet of it), jsonl, parquet or txt.

    csv may have semicolons or tabs instead of commas: the one that is most frequent in the header
    counts. The encoding is UTF-8 with or without BOM, UTF-16 with BOM, or else cp949. In txt each
    line is a row with the single column ``text``.

    Args:
        suffix: the format, if the file's name has no such ending.
        separator: the separator of csv cells.
        sheet_name: the sheet of a workbook, by default the first.

    Raises:
        InputError: no such file or sheet, an empty one, another format or encoding, a duplicate
            column.
    """
    require_file(path)
    suffix = (suffix or path.suffix).lower()
    if suffix not in FORMATS:
        raise InputError(
            f"{path}: the name must end in one of {', '.join(FORMATS)}. Save it as one of them, or "
            "say which it is by --format."
        )
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise InputError(
            f"--separator {separator!r}: it must be one character; a tab is recognized without it."
        )
    if sheet_name is not None and suffix != ".xlsx":
        raise InputError(f"{path}: --sheet_name is for .xlsx. Leave it out.")
    options: dict[str, Any] = {".csv": {"separator": separator}, ".xlsx": {"name": sheet_name}}
    table = FORMATS[suffix](path, **options.get(suffix, {}))
    if not table.header:
        raise InputError(f"{path}: {EMPTY}")
    check_columns(path, table.header, [], "")
    return table


def open_rows(
    source: Path,
    scratch: Path,
    suffix: str | None = None,
    separator: str | None = None,
    name: str | None = None,
    sheet_name: str | None = None,
) -> Table:
    """Return `open_table` of a file that may be compressed, by a copy in the folder `scratch`.

    A .txt whose first line has tabs is a tsv, as in training: NSMC's own files are called so.

    Args:
        name: what messages call the file, if `source` is a copy of it too.
    """
    path, name = source, name or str(source)
    try:
        path = unpack(source, scratch)
        found = suffix or format_of(source)
        if found == ".txt" and not suffix and "\t" in first_text_line(path):
            found = ".tsv"
        table = open_table(path, found, separator, sheet_name)
    except InputError as error:
        said = str(error).replace(str(path), name).replace(str(source), name)
        raise InputError(said) from error
    table.name = name
    return table


def unpack(path: Path, folder: Path) -> Path:
    """Return `path`, or if it is compressed, whatever its name, a decompressed copy in `folder`."""
    require_file(path)
    if not (packing_of(path) or is_packed(path)):
        return path
    copy = folder / "unpacked" / (path.stem if packing_of(path) else path.name)
    copy.parent.mkdir(exist_ok=True)
    with open_unpacked(path) as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy


def pack(path: Path, target: Path, packing: str) -> None:
    """Write the file `path` as `target`, compressed as `packing`, a result of `packing_of`."""
    codec = "gzip" if packing.lower() == ".gz" else "zstd"
    with path.open("rb") as source, pa.CompressedOutputStream(str(target), codec) as packed:
        shutil.copyfileobj(source, packed)


class _Text(Table):
    """Files of lines. New cells are written after the row, before the end of its line."""

    newline = "\n"  # how Python splits lines

    def __init__(self, path: Path):
        super().__init__(path)
        self.damaged = False
        try:
            self.encoding = find_encoding(path)
        except Undecodable:  # bad lines get an error, the others a prediction
            self.encoding, self.damaged = "utf-8", True
        with path.open("rb") as file:
            first = file.readline()
        if first.startswith(codecs.BOM_UTF8):
            self.encoding = "utf-8-sig"
        elif first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.encoding = "utf-16"
        self.line_end = "\r\n" if first.replace(b"\0", b"").endswith(b"\r\n") else "\n"

    def estimate(self) -> int | None:
        with self.path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def _open(self, path: Path, mode: str, newline: str) -> Any:
        return path.open(mode, encoding=self.encoding, errors="surrogateescape", newline=newline)

    def _lines(self) -> Iterator[str]:
        with self._open(self.path, "r", self.newline) as file:
            yield from file

    def _decoding_error(self, text: str) -> str:
        lost = self.damaged and any("\udc80" <= character <= "\udcff" for character in text)
        return f"not {self.encoding.upper()}" if lost else ""

    def _records(self, read: Callable[[str], Row]) -> Iterator[Record]:
        """Yield a record for each line; `read` raises a ValueError that says what is wrong."""
        for number, line in enumerate(self._lines(), start=1):
            text, row = line.rstrip("\r\n"), None
            error = self._decoding_error(text) if text.strip() else ""
            try:
                row = read(text) if text.strip() and not error else None
            except ValueError as found:
                error = str(found)
            yield Record(f"{self.name}, line {number}", row, error, text)

    def write(
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str = "|"
    ) -> None:
        with self._open(target, "w", "") as file:
            file.write(self._heading(list(kinds)))
            for record, output in zip(self.records(()), outputs, strict=True):
                text = record.text
                if not record.is_blank:
                    text = self._extend(record, output, kinds, joint)
                file.write(text + self.line_end)

    def _cells(self, output: Row, kinds: Mapping[str, str], joint: str) -> list[str]:
        """Return the new cells of a row, or an error if the encoding lacks a character."""
        cells = [_to_cell(output.get(name), kind, joint) for name, kind in kinds.items()]
        try:
            "".join(cells).encode(self.encoding)
        except UnicodeEncodeError as error:
            lost = ascii(error.object[error.start])
            why = f"the prediction has {lost}, which {self.encoding} has not"
            return [""] * (len(cells) - 1) + [why]
        return cells

    def _heading(self, names: list[str]) -> str:
        return ""

    @abstractmethod
    def _extend(self, record: Record, output: Row, kinds: Mapping[str, str], joint: str) -> str:
        """Return the text of a record with the new cells."""


class _Txt(_Text):
    """Each line is a text; new cells follow after tabs."""

    is_plain = True

    def __init__(self, path: Path):
        super().__init__(path)
        self.header = ["text"]

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        return self._records(lambda text: {"text": text})

    def _extend(self, record: Record, output: Row, kinds: Mapping[str, str], joint: str) -> str:
        cells = [cell.translate(TABS) for cell in self._cells(output, kinds, joint)]
        return "\t".join([record.text, *cells])


class _Jsonl(_Text):
    """Each line is an object."""

    def __init__(self, path: Path):
        super().__init__(path)
        rows = (record.row or {} for record in self.records(()))
        self.header = list(dict.fromkeys(name for row in rows for name in row))
        for record in () if self.header else self.records(()):
            if record.error:  # such as an array of objects
                raise InputError(f"{record.place}: {record.error}. Each line must be an object.")

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        return self._records(_read_object)

    def _extend(self, record: Record, output: Row, kinds: Mapping[str, str], joint: str) -> str:
        new = {name: output[name] for name in kinds if output.get(name) is not None}
        if record.row is None:
            return self._dump({"line": record.text} | new)
        kept = record.text.rstrip()[:-1].rstrip()  # keeps the spelling of numbers
        return kept + ", " * bool(record.row and new) + self._dump(new)[1:]

    def _dump(self, row: Row) -> str:
        text = json.dumps(row, ensure_ascii=False)
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            text = json.dumps(row)
        return text


class _Tsv(_Text):
    """A header, and rows of cells separated by tabs, without quoting."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._read_header()

    def _read_header(self) -> None:
        found = (row for row in self._rows() if row[1] or row[3])
        number, self.header, self.heading, error = next(found, (0, [], "", ""))
        if error := error or self._decoding_error(self.heading):
            raise InputError(f"{self.path}, line {number}: the header: {error}. Mend it.")

    def _rows(self) -> Iterator[tuple[int, list[str], str, str]]:
        """Yield for each row: line number, cells ([] if blank), text, reason if unreadable."""
        for number, line in enumerate(self._lines(), start=1):
            text = line.rstrip("\r\n")
            yield number, text.split("\t") if text else [], text, ""

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        width, is_header = len(self.header), True
        for number, cells, text, error in self._rows():
            place = f"{self.name}, line {number}"
            error = error or self._decoding_error(text)
            if is_header and cells:
                is_header = False
            elif not cells and not error:
                yield Record(place, None, text=text)
            elif not error and len(cells) == width:
                yield Record(place, dict(zip(self.header, cells, strict=True)), text=text)
            else:
                error = error or f"{len(cells)} cells where the header has {width}"
                if not cells or len(cells) > width:
                    cells = [text]
                yield Record(place, None, error, self._join(cells + [""] * (width - len(cells))))

    def _heading(self, names: list[str]) -> str:
        return self.heading + self._join(["", *names]) + self.line_end

    def _extend(self, record: Record, output: Row, kinds: Mapping[str, str], joint: str) -> str:
        return record.text + self._join(["", *self._cells(output, kinds, joint)])

    def _join(self, cells: list[str]) -> str:
        return "\t".join(cell.translate(TABS) for cell in cells)


class _Csv(_Tsv):
    """The same by RFC 4180, with any separator."""

    newline = ""

    def __init__(self, path: Path, separator: str | None):
        _Text.__init__(self, path)
        widths = {}
        for self.separator in [separator] if separator else SEPARATORS:
            widths[self.separator] = len(next((row[1] for row in self._rows() if row[1]), []))
        self.separator = max(widths, key=widths.__getitem__)
        self._read_header()

    def _rows(self) -> Iterator[tuple[int, list[str], str, str]]:
        lines, ahead, taken = self._lines(), deque[str](), list[str]()

        def feed() -> Iterator[str]:
            while line := ahead.popleft() if ahead else next(lines, ""):
                taken.append(line)
                yield line

        limit = csv.field_size_limit(MAX_CHARACTERS)  # csv has only this global limit
        number, reader = 1, None
        try:
            while True:
                reader = reader or csv.reader(feed(), delimiter=self.separator, strict=True)
                cells, error = list[str](), ""
                try:
                    cells = next(reader, cells)
                except csv.Error as found:
                    # An unclosed quote would take the lines below; only its own line is at fault.
                    ahead.extendleft(reversed(taken[1:]))
                    del taken[1:]
                    error, reader = str(found), None
                if not taken:
                    return
                yield number, cells, "".join(taken).rstrip("\r\n"), error
                number += len(taken)
                taken.clear()
        finally:
            csv.field_size_limit(limit)

    def _join(self, cells: list[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="").writerow(cells)
        return text.getvalue()


class _Workbook(Table):
    """A sheet of a workbook, by its values; other sheets are copied."""

    def __init__(self, path: Path, name: str | None = None):
        super().__init__(path)
        workbook = self._open()
        titles = [sheet.title for sheet in workbook.worksheets]
        if name is not None and name not in titles:
            raise missing_sheet(path, name, titles)
        self.place = 0 if name is None else titles.index(name)
        found = (cells for cells in self._rows(workbook, self.place) if cells)
        self.header = [str(_read_cell(cell) or "") for cell in next(found, [])]

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise InputError(
                f"{self.name}: not a workbook ({first_line(error)[:200]}). Save it again as .xlsx, "
                "without a password."
            ) from error

    def _open(self, data_only: bool = True) -> Any:
        from openpyxl import load_workbook  # takes 0.2 s, for few files

        with self._damage_named():
            # openpyxl refuses a path that does not end in .xlsx
            return load_workbook(self.path.open("rb"), read_only=True, data_only=data_only)

    def _rows(self, workbook: Any, sheet: int) -> Iterator[list[Any]]:
        """Yield the cells of each row up to the last non-empty one; empty cells are None."""
        source = workbook.worksheets[sheet]
        source.reset_dimensions()  # stored dimensions may be wrong
        with self._damage_named():
            for row in source.iter_rows():
                cells = [None if cell.value is None else cell for cell in row]
                while cells and cells[-1] is None:
                    cells.pop()
                yield cells

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        width, is_header = len(self.header), True
        for number, cells in enumerate(self._rows(self._open(), self.place), start=1):
            place = f"{self.name}, row {number}"
            if is_header and cells:
                is_header = False
            elif not cells:
                yield Record(place, None)
            elif len(cells) > width:
                yield Record(place, None, f"{len(cells)} cells where the header has {width}")
            else:
                values = map(_read_cell, cells + [None] * (width - len(cells)))
                yield Record(place, dict(zip(self.header, values, strict=True)))

    def write(
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str = "|"
    ) -> None:
        from openpyxl import Workbook

        source, copy = self._open(), Workbook(write_only=True)
        formulas = self._open(data_only=False)  # they stay where no value of theirs was saved
        width, is_header, found = len(self.header), True, iter(outputs)
        for place, original in enumerate(source.worksheets):
            sheet = copy.create_sheet(original.title)
            sheet.sheet_state = original.sheet_state  # a hidden one stays hidden
            both = zip(self._rows(source, place), self._rows(formulas, place), strict=True)
            for cells, written in both:
                merged = [value or cell for value, cell in zip_longest(cells, written)]
                row = [cell and _new_cell(sheet, cell.value, cell) for cell in merged]
                if place == self.place and is_header and cells:
                    is_header, row = False, row + list(kinds)
                elif place == self.place:
                    row += [None] * (width - len(row))
                    row += _new_cells(sheet, next(found), kinds, joint)
                sheet.append(row)
        copy.save(target)


class _Parquet(Table):
    """A parquet file; its schema gets more fields."""

    def __init__(self, path: Path):
        super().__init__(path)
        with self._damage_named():
            self.header = pq.ParquetFile(path).schema_arrow.names

    def estimate(self) -> int | None:
        return pq.ParquetFile(self.path).metadata.num_rows

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.name}: not a whole parquet file ({first_line(error)}). Write it again."
            ) from error

    def _batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with self._damage_named():
            yield from pq.ParquetFile(self.path).iter_batches(BATCH_ROWS, columns=columns)

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        batches = self._batches([name for name in columns if name in self.header])
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows, start=1):
            yield Record(f"{self.name}, row {number}", row)

    def write(
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str = "|"
    ) -> None:
        schema, found = pq.ParquetFile(self.path).schema_arrow, iter(outputs)
        for name, kind in kinds.items():
            schema = schema.append(pa.field(name, TYPES[kind]))
        with pq.ParquetWriter(target, schema) as writer:
            for batch in self._batches():
                rows = list(islice(found, len(batch)))
                new = [
                    pa.array([_to_json(row.get(name), kind) for row in rows], TYPES[kind])
                    for name, kind in kinds.items()
                ]
                writer.write_batch(pa.record_batch([*batch.columns, *new], schema=schema))


FORMATS: dict[str, Any] = {
    ".csv": _Csv,
    ".tsv": _Tsv,
    ".xlsx": _Workbook,
    ".jsonl": _Jsonl,
    ".parquet": _Parquet,
    ".txt": _Txt,
}


def _read_object(text: str) -> Row:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({first_line(error)})") from error
    if not isinstance(row, dict):
        raise ValueError("not an object {…}")
    return row


def _to_json(value: Any, kind: str) -> Any:
    return json.dumps(value, ensure_ascii=False) if kind == "json" and value is not None else value


def _to_cell(value: Any, kind: str, joint: str) -> str:
    """Return a value as the text of a cell: objects as JSON, several values with `joint`."""
    if value is None:
        return ""
    if kind in ("texts", "numbers"):
        return joint.join(map(str, value))
    return str(_to_json(value, kind))


def _read_cell(cell: Any) -> str | None:
    """Return a cell of a workbook as text: a review may be the number 10, or a date."""
    value = cell and cell.value
    return None if value is None else unescape(value) if isinstance(value, str) else str(value)


def _new_cell(sheet: Any, value: Any, like: Any = None) -> Any:
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value=value)
    if isinstance(value, str) and (like is None or like.data_type == "s"):
        cell.data_type = "s"  # a text that begins with = is not a formula
    if like is not None and like.number_format != "General":
        cell.number_format = like.number_format
    return cell


def _new_cells(sheet: Any, output: Row, kinds: Mapping[str, str], joint: str) -> list[Any]:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    values = [output.get(name) for name in kinds]
    for place, (kind, value) in enumerate(zip(kinds.values(), values, strict=True)):
        if isinstance(value, str | list | dict):
            values[place] = ILLEGAL_CHARACTERS_RE.sub(" ", _to_cell(value, kind, joint))
    if any(isinstance(value, str) and len(value) > MAX_CELL for value in values):
        values = [None] * (len(kinds) - 1) + [f"over {MAX_CELL:,} characters in a cell"]
    return [value if value is None else _new_cell(sheet, value) for value in values]
