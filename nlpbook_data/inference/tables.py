"""Read the user's rows from a file, and write the same file again with more columns.

    table = open_rows(Path("reviews.csv"), scratch)
    for record in table.records(["본문"]):
        record.row  # {"본문": …}, or None where record.error says why
    table.write(Path("more.csv"), outputs, {"prediction": "text", "error": "text"}, "|")

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nlpbook_data.errors import InputError, first_line
from nlpbook_data.own_files.tables import EMPTY, check_columns, first_text_line, require_file
from nlpbook_data.reading.text import (
    MAX_CHARACTERS,
    UTF_16,
    Undecodable,
    find_encoding,
    format_of,
    is_packed,
    open_unpacked,
)
from nlpbook_data.reading.workbook import DAMAGE, missing_sheet, unescape

SEPARATORS = ",;\t|"
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
        with target.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return
    until = time.monotonic() + PATIENCE
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(handle, "rb", buffering=0) as pipe, target.open("wb") as file:
        while (first := pipe.read(1)) == b"":  # no writer; None: one that has written nothing yet
            if time.monotonic() > until:
                raise InputError(f"{path}: nobody writes into this pipe. Name a file.")
            time.sleep(0.1)
        os.set_blocking(handle, True)
        file.write(first or b"")
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


class Table(ABC):
    """A file of rows. See `open_rows`.

    Attributes:
        header: the names of its columns.
        name: what messages on rows call it; a copy may have that of the original.
        is_plain: whether it has no header: each line is a text.
        above: the rows down to the header, which are no records.
    """

    header: list[str]
    is_plain = False
    above = 0

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
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str
    ) -> None:
        """Write the same rows with more columns.

        Args:
            outputs: one for each record; missing columns stay empty.
            kinds: the new columns, each with a key of `TYPES`; the last one is for errors.
            joint: the separator of several values in a cell.
        """


def open_rows(
    source: Path,
    scratch: Path,
    suffix: str | None = None,
    separator: str | None = None,
    name: str | None = None,
    sheet_name: str | None = None,
) -> Table:
    """Return the table of a file: csv, tsv, xlsx (a sheet of it), jsonl, parquet or txt.

    The cells of a csv are parted by what is most frequent in its first line, a comma, semicolon,
    tab or |. The encoding is UTF-8 with or without BOM, UTF-16 with BOM, or else cp949. In txt each
    line is a row with the single column ``text``; one whose first line has tabs is a tsv, as in
    training: NSMC's own files are called so.

    Args:
        scratch: a folder for a copy of the file, if it is compressed.
        suffix: the format, if the file's name has no such ending.
        separator: the separator of csv cells.
        name: what messages call the file, if `source` is a copy too.
        sheet_name: the sheet of a workbook, by default the first.

    Raises:
        InputError: no such file or sheet, an empty one, another format or encoding, a duplicate
            column.
    """
    path, name = source, name or str(source)
    try:
        require_file(source)
        if is_packed(source):
            path = scratch / "unpacked"
            with open_unpacked(source) as packed, path.open("wb") as file:
                shutil.copyfileobj(packed, file)
        table = _open_table(path, suffix, format_of(source), separator, sheet_name)
    except InputError as error:
        said = str(error).replace(str(path), name).replace(str(source), name)
        raise InputError(said) from error
    table.name = name
    return table


def _open_table(
    path: Path, suffix: str | None, ending: str, separator: str | None, sheet_name: str | None
) -> Table:
    require_file(path)
    if ending == ".txt" and not suffix and "\t" in first_text_line(path):
        ending = ".tsv"
    suffix = suffix or ending
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
    options = {".csv": {"separator": separator}, ".xlsx": {"sheet_name": sheet_name}}
    table = FORMATS[suffix](path, **options.get(suffix, {}))
    if not table.header:
        raise InputError(f"{path}: {EMPTY}")
    check_columns(path, table.header, [], "")
    return table


def pack(path: Path, target: Path, packing: str) -> None:
    """Write the file `path` as `target`, compressed as `packing`, a result of `packing_of`."""
    codec = "gzip" if packing.lower() == ".gz" else "zstd"
    with path.open("rb") as source, pa.CompressedOutputStream(str(target), codec) as packed:
        shutil.copyfileobj(source, packed)


class _Text(Table):
    """Files of lines. New cells are written after the row, before the end of its line."""

    heading: str | None = None  # the text of the rows `above`

    def __init__(self, path: Path):
        super().__init__(path)
        try:
            self.encoding = find_encoding(path)
        except Undecodable:  # bad lines get an error, the others a prediction
            self.encoding = "utf-8"
        with path.open("rb") as file:
            first = file.readline()
        if first.startswith(codecs.BOM_UTF8):
            self.encoding = "utf-8-sig"
        elif first.startswith(UTF_16):
            self.encoding = "utf-16"
        self.line_end = "\r\n" if first.replace(b"\0", b"").endswith(b"\r\n") else "\n"

    def estimate(self) -> int | None:
        with self.path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def _open(self, path: Path, mode: str, newline: str) -> Any:
        return path.open(mode, encoding=self.encoding, errors="surrogateescape", newline=newline)

    def _rows(self) -> Iterator[tuple[int, str, list[str], str]]:
        """Yield for each row: number of its first line, text, cells, why it cannot be read."""
        with self._open(self.path, "r", "\n") as file:
            for number, line in enumerate(file, start=1):
                text = line.rstrip("\r\n")
                yield number, text, self._split(text), self._decoding_error(text)

    def _split(self, text: str) -> list[str]:
        return [text] if text.strip() else []

    def _decoding_error(self, text: str) -> str:
        return f"not {self.encoding.upper()}" if self._lost(text) else ""

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        for number, text, cells, error in islice(self._rows(), self.above, None):
            row = None
            try:
                row = self._read(cells) if cells and not error else None
            except ValueError as found:
                error = str(found)
            text = self._mend(text, cells) if error else text
            yield Record(f"{self.name}, line {number}", row, error, text)

    @abstractmethod
    def _read(self, cells: list[str]) -> Row:
        """Return the row of cells, or raise a ValueError that says what is wrong."""

    def _mend(self, text: str, cells: list[str]) -> str:
        """Return the text of a row that cannot be read, so that it cannot break the new file."""
        return text

    def write(
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str
    ) -> None:
        with self._open(target, "w", "") as file:
            if self.heading is not None:
                file.write(self.heading + self._join(["", *kinds]) + self.line_end)
            for record, output in zip(self.records(()), outputs, strict=True):
                text = record.text
                if record.row is not None or record.error:
                    text = self._extend(record, output, kinds, joint)
                file.write(text + self.line_end)

    def _extend(self, record: Record, output: Row, kinds: Mapping[str, str], joint: str) -> str:
        """Return the text of a record with the new cells."""
        cells = [_to_cell(output.get(name), kind, joint) for name, kind in kinds.items()]
        if lost := self._lost("".join(cells)):
            why = f"the prediction has {lost}, which {self.encoding} has not"
            cells = [""] * (len(cells) - 1) + [why]
        return record.text + self._join(["", *cells])

    def _lost(self, text: str) -> str:
        """Return the first character of a text that the encoding lacks, or nothing."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError as error:
            return ascii(error.object[error.start])
        return ""

    def _join(self, cells: list[str]) -> str:
        return "\t".join(cell.translate(TABS) for cell in cells)


class _Txt(_Text):
    """Each line is a text; new cells follow after tabs."""

    is_plain = True
    header = ["text"]

    def _read(self, cells: list[str]) -> Row:
        return {"text": cells[0]}


class _Jsonl(_Text):
    """Each line is an object."""

    def __init__(self, path: Path):
        super().__init__(path)
        rows = (record.row or {} for record in self.records(()))
        self.header = list(dict.fromkeys(name for row in rows for name in row))
        for record in () if self.header else self.records(()):
            if record.error:  # such as an array of objects
                raise InputError(f"{record.place}: {record.error}. Each line must be an object.")

    def _read(self, cells: list[str]) -> Row:
        try:
            row = json.loads(cells[0])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON ({first_line(error)})") from error
        if not isinstance(row, dict):
            raise ValueError("not an object {…}")
        return row

    def _extend(self, record: Record, output: Row, kinds: Mapping[str, str], joint: str) -> str:
        new = {name: output[name] for name in kinds if output.get(name) is not None}
        if record.row is None:
            return self._dump({"line": record.text} | new)
        kept = record.text.rstrip()[:-1].rstrip()  # keeps the spelling of numbers
        return kept + ", " * bool(record.row and new) + self._dump(new)[1:]

    def _dump(self, row: Row) -> str:
        text = json.dumps(row, ensure_ascii=False)
        return json.dumps(row) if self._lost(text) else text


class _Tsv(_Text):
    """A header, and rows of cells separated by tabs, without quoting."""

    def __init__(self, path: Path):
        super().__init__(path)
        self._read_header()

    def _read_header(self) -> None:
        self.header, texts = [], list[str]()
        for number, text, cells, error in self._rows():
            texts.append(text)
            if error:
                raise InputError(f"{self.path}, line {number}: the header: {error}. Mend it.")
            if cells:
                self.header = cells
                break
        self.heading, self.above = self.line_end.join(texts), len(texts)

    def _split(self, text: str) -> list[str]:
        return text.split("\t") if text else []

    def _read(self, cells: list[str]) -> Row:
        if len(cells) != len(self.header):
            raise ValueError(f"{len(cells)} cells where the header has {len(self.header)}")
        return dict(zip(self.header, cells, strict=True))

    def _mend(self, text: str, cells: list[str]) -> str:
        width = len(self.header)
        cells = cells if 0 < len(cells) <= width else [text]
        return self._join(cells + [""] * (width - len(cells)))


class _Csv(_Tsv):
    """The same by RFC 4180, with any separator."""

    def __init__(self, path: Path, separator: str | None):
        _Text.__init__(self, path)
        with self._open(path, "r", "") as lines:
            first = next((line for line in lines if line.strip()), "")
        self.separator = separator or max(SEPARATORS, key=first.count)
        self._read_header()

    def _rows(self) -> Iterator[tuple[int, str, list[str], str]]:
        ahead, taken = deque[str](), list[str]()

        def feed(file: Iterable[str]) -> Iterator[str]:
            lines = iter(file)
            while line := ahead.popleft() if ahead else next(lines, ""):
                taken.append(line)
                yield line

        limit = csv.field_size_limit(MAX_CHARACTERS)  # csv has only this global limit
        number, reader = 1, None
        try:
            with self._open(self.path, "r", "") as file:
                while True:
                    reader = reader or csv.reader(feed(file), delimiter=self.separator, strict=True)
                    cells, error = list[str](), ""
                    try:
                        cells = next(reader, cells)
                    except csv.Error as found:
                        # An unclosed quote would take the lines below; only its own is at fault.
                        ahead.extendleft(reversed(taken[1:]))
                        del taken[1:]
                        error, reader = str(found), None
                    if not taken:
                        return
                    text = "".join(taken).rstrip("\r\n")
                    yield number, text, cells, error or self._decoding_error(text)
                    number += len(taken)
                    taken.clear()
        finally:
            csv.field_size_limit(limit)

    def _join(self, cells: list[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="").writerow(cells)
        return text.getvalue()


class _Workbook(Table):
    """A sheet of a workbook, by its values; all else in the workbook stays as it is."""

    def __init__(self, path: Path, sheet_name: str | None):
        super().__init__(path)
        self.workbook = self._load()
        titles = [sheet.title for sheet in self.workbook.worksheets]
        if sheet_name is not None and sheet_name not in titles:
            raise missing_sheet(path, sheet_name, titles)
        self.title = titles[0] if sheet_name is None else sheet_name
        filled = ((n, cells) for n, cells in enumerate(self._rows(), start=1) if cells)
        self.above, cells = next(filled, (0, []))
        self.header = [cell or "" for cell in cells]

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise InputError(
                f"{self.name}: not a workbook ({first_line(error)[:200]}). Save it again as .xlsx, "
                "without a password."
            ) from error

    def _load(self, data_only: bool = True, read_only: bool = False) -> Any:
        from openpyxl import load_workbook  # takes 0.2 s, for few files

        with self._damage_named():
            # openpyxl refuses a path that does not end in .xlsx
            return load_workbook(self.path.open("rb"), read_only, data_only=data_only)

    def _rows(self) -> Iterator[list[str | None]]:
        """Yield the cells of each row, as texts, up to the last one that is not empty."""
        sheet = self._load(read_only=True)[self.title]
        sheet.reset_dimensions()  # stored dimensions may be wrong
        with self._damage_named():
            for row in sheet.values:
                cells = [_read_cell(value) for value in row]
                while cells and cells[-1] is None:
                    cells.pop()
                yield cells

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        width = len(self.header)
        for number, cells in islice(enumerate(self._rows(), start=1), self.above, None):
            row, error = None, ""
            if len(cells) > width:
                error = f"{len(cells)} cells where the header has {width}"
            elif cells:
                cells += [None] * (width - len(cells))
                row = dict(zip(self.header, cells, strict=True))
            yield Record(f"{self.name}, row {number}", row, error)

    def write(
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str
    ) -> None:
        chosen, width, found = self.workbook[self.title], len(self.header), iter(outputs)
        for merged in [*chosen.merged_cells.ranges]:
            if merged.max_col > width:  # such cells cannot be written
                chosen.unmerge_cells(str(merged))
        _fill(chosen, self.above, width + 1, kinds)
        for formulas in self._load(data_only=False, read_only=True).worksheets:
            formulas.reset_dimensions()
            sheet = self.workbook[formulas.title]
            for number, row in enumerate(formulas.iter_rows(), start=1):
                filled = [cell for cell in row if cell.value is not None]
                for cell in (cell for cell in filled if cell.data_type == "f"):
                    saved = sheet.cell(number, cell.column)
                    if saved.value is None:  # a formula stays where no value of its own was saved
                        saved.value = cell.value
                if sheet is chosen and number > self.above:
                    last = max(width, filled[-1].column if filled else 0)
                    _fill(sheet, number, last + 1, _new_cells(next(found), kinds, joint))
        self.workbook.save(target)


class _Parquet(Table):
    """A parquet file; its schema gets more fields."""

    def __init__(self, path: Path):
        super().__init__(path)
        with self._damage_named():
            self.file = pq.ParquetFile(path)
        self.header = self.file.schema_arrow.names

    def estimate(self) -> int | None:
        return self.file.metadata.num_rows

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
            yield from self.file.iter_batches(BATCH_ROWS, columns=columns)

    def records(self, columns: Sequence[str]) -> Iterator[Record]:
        batches = self._batches([name for name in columns if name in self.header])
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows, start=1):
            yield Record(f"{self.name}, row {number}", row)

    def write(
        self, target: Path, outputs: Iterable[Row], kinds: Mapping[str, str], joint: str
    ) -> None:
        schema, found = self.file.schema_arrow, iter(outputs)
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


def _to_json(value: Any, kind: str) -> Any:
    return json.dumps(value, ensure_ascii=False) if kind == "json" and value is not None else value


def _to_cell(value: Any, kind: str, joint: str) -> str:
    """Return a value as the text of a cell: objects as JSON, several values with `joint`."""
    if value is None:
        return ""
    if kind in ("texts", "numbers"):
        return joint.join(map(str, value))
    return str(_to_json(value, kind))


def _read_cell(value: Any) -> str | None:
    """Return a cell of a workbook as text: a review may be the number 10, or a date."""
    return None if value is None else unescape(value) if isinstance(value, str) else str(value)


def _fill(sheet: Any, row: int, column: int, values: Iterable[Any]) -> None:
    for place, value in enumerate(values, column):
        cell = sheet.cell(row, place, value)
        if isinstance(value, str):
            cell.data_type = "s"  # a text that begins with = is not a formula


def _new_cells(output: Row, kinds: Mapping[str, str], joint: str) -> list[Any]:
    """Return the values for the new cells of a row of a workbook."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    values = [output.get(name) for name in kinds]
    for place, (kind, value) in enumerate(zip(kinds.values(), values, strict=True)):
        if isinstance(value, str | list | dict):
            values[place] = ILLEGAL_CHARACTERS_RE.sub(" ", _to_cell(value, kind, joint))
    if any(isinstance(value, str) and len(value) > MAX_CELL for value in values):
        values = [None] * (len(kinds) - 1) + [f"over {MAX_CELL:,} characters in a cell"]
    return values
