"""Read the user's own files, csv, tsv, JSON, xlsx or parquet, as validated rows."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from nlpbook_data.data.labels import in_words
from nlpbook_data.errors import InputError, first_line, nearest, shown
from nlpbook_data.reading.json_values import (
    json_layout,
    parse_json,
    read_json_items,
    rows_of_object,
    unique_keys,
)
from nlpbook_data.reading.text import (
    csv_rows,
    find_encoding,
    format_of,
    open_bytes,
    read_lines,
    read_whole,
)
from nlpbook_data.reading.values import OnError, PlacedRows, convert_each, malformed, raise_error
from nlpbook_data.reading.workbook import read_sheet

FORMATS = (".csv", ".tsv", ".jsonl", ".json", ".xlsx", ".parquet")
EMPTY = "the file is empty. It needs rows, and in csv, tsv and xlsx a header above them."
NAME_YOURS = "Name yours with --text_column_name and --label_column_name."
ONE_A_LINE = "Each line is one object."
SAVE_AGAIN = "Save the file again."
UNCLOSED = "Look for a quote that is not closed (a quote inside a cell is written twice)."
STUDIO = {"annotation_id", "lead_time"}  # columns of Label Studio, whose tsv has csv's quotes
HEADER_ROWS = 20  # among which a header is looked for where the first row is none
TOO_MANY = {
    ".csv": "Quote a cell that holds a comma.",
    ".tsv": "tsv has no quoting: for cells with tabs or line breaks use csv.",
    ".xlsx": "Give each column a name in the first row.",
}


def require_file(path: Path) -> None:
    """Refuse a missing or empty file."""
    if not path.is_file():
        raise InputError(f"{path}: no such file. Check the path, and quote one that has spaces.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: {EMPTY}")


def read_text_lines(path: Path) -> Iterator[tuple[str, str]]:
    r"""Yield ``(place, line)`` of a text file in UTF-8 or cp949, lines ending in \n or \r\n."""
    require_file(path)
    yield from read_lines(path, find_encoding(path))


def read_rows(
    path: Path,
    columns: Iterable[str],
    optional: Iterable[str] | None = (),
    on_error: OnError = raise_error,
    advice: str = NAME_YOURS,
    sheet_name: str | None = None,
) -> PlacedRows:
    """Yield ``(place, {column: value})`` for each row; `place` names file and line for messages.

    A row has all of `columns`, and those of `optional` that the file has; None means all its
    columns. `on_error` is called with the error of a row; if it returns, the row is left out.
    `advice` ends the message about a missing column.

    csv follows RFC 4180. tsv has no quoting (a quote is text, as in NSMC). JSON has a
    layout of `json_layout`. The encoding is UTF-8, UTF-16 with BOM, or else cp949, which is logged.
    In a workbook the first sheet is read, or `sheet_name`; an empty cell is None.

    Raises:
        InputError: no such file, empty, another format or encoding, duplicate or missing
            columns, a row with more or fewer cells than the header.
    """
    require_file(path)
    columns, suffix = list(columns), table_format(path)
    if suffix == ".parquet":
        yield from _read_parquet(path, columns, optional, advice)
    elif suffix in (".jsonl", ".json"):
        yield from _read_objects(path, columns, on_error, advice)
    else:
        yield from _read_cells(path, suffix, columns, on_error, advice, sheet_name)


def first_rows(path: Path, most: int, sheet_name: str | None = None) -> list[dict[str, Any]]:
    """Return up to `most` rows; none of a file in which an error is met, which reading reports."""
    try:
        rows = read_rows(path, (), None, lambda error: None, sheet_name=sheet_name)
        return [row for _, row in islice(rows, most)]
    except (InputError, OSError):
        return []


def table_format(path: Path, *others: str) -> str:
    """Return the format of a table, one of `FORMATS`; a .txt whose first line has tabs is a tsv.

    The message about another format names the `others` that the caller reads.
    """
    suffix = format_of(path)
    if suffix == ".txt" and "\t" in first_text_line(path):
        return ".tsv"
    if suffix not in FORMATS:
        raise InputError(
            f"{path}: the name must end in one of {', '.join(FORMATS + others)}, also followed by "
            ".gz or .zst. Save it as one of them."
        )
    return suffix


def first_text_line(path: Path) -> str:
    """Return the first non-blank line of a text file."""
    return next((line for _, line in read_text_lines(path) if line.strip()), "")


def csv_separator(path: Path) -> str:
    """Return what parts the cells of a csv: a comma, or what is more frequent in its header."""
    return max(",;\t|", key=first_text_line(path).count)


def check_columns(
    place: str | Path, header: Sequence[str], columns: Iterable[str], advice: str
) -> None:
    """Refuse a header with a duplicate name, or without one of `columns`."""
    known = set(header)
    if len(known) < len(header):  # counting is slow where each row has its own header, as in JSON
        twice = sorted(name for name, times in Counter(header).items() if times > 1 and name)
        if twice:
            raise InputError(f"{place}: the column {twice[0]!r} is there twice. Rename one.")
    for column in columns:
        if column not in known:
            raise InputError(
                f"{place}: there is no column {column!r}; the columns are {shown(header)}."
                f"{nearest(column, header)} {advice}"
            )


def _read_cells(
    path: Path,
    suffix: str,
    columns: list[str],
    on_error: OnError,
    advice: str,
    sheet_name: str | None,
) -> PlacedRows:
    """Yield the rows of csv, tsv and xlsx; the first row is the header."""
    rows = _rows_of_cells(path, suffix, sheet_name)
    top, first = next(rows, ("", []))
    header = ["" if cell is None else str(cell) for cell in first]
    if not header:
        raise InputError(f"{path}: {EMPTY}")
    marks = [mark for mark in ",;|" if mark in header[0]]
    if suffix == ".tsv" and len(header) == 1 and marks and not {*columns} <= {*header}:
        raise InputError(
            f"{path}: the header {header[0][:60]!r} is one column. Its separator seems to be "
            f"{marks[0]!r}, where .tsv has a tab. Save it as .csv, or with tabs as .tsv."
        )
    if not {*columns} <= {*header}:
        below = [*islice(rows, HEADER_ROWS)]
        where = next((place for place, cells in below if {*columns} <= {*cells}), None)
        if where and columns:
            raise InputError(f"{where}: the header seems to stand here. Delete the rows above it.")
        if suffix == ".xlsx":
            advice = f"{advice} --sheet_name names another sheet."
        elif {*columns}.isdisjoint(header):
            advice = f"{advice} If the file has no header, write one above its rows."
    check_columns(top, header, columns, advice)

    def read(place: str, cells: list[Any]) -> dict[str, Any]:
        if suffix == ".xlsx":  # xlsx omits empty cells
            cells = cells + [None] * (len(header) - len(cells))
        if len(cells) != len(header):
            hint = TOO_MANY[suffix] if len(cells) > len(header) else "Complete the row, or drop it."
            raise InputError(
                f"{place}: {len(cells)} cells where the header has {len(header)}. {hint}"
            )
        start = str(cells[0]).lstrip("\ufeff")  # files were joined
        if len(header) > 1 and start == header[0] and cells[1:] == header[1:]:
            raise InputError(f"{place}: the header again. Drop the row.")
        row = dict(zip(header, cells, strict=True))
        row.pop("", None)  # a column without a name: pandas' index, or empty cells of Excel
        return row

    yield from convert_each(rows, read, on_error)


def _rows_of_cells(
    path: Path, suffix: str, sheet_name: str | None
) -> Iterator[tuple[str, list[Any]]]:
    """Yield ``(place, cells)`` for each row that is not blank."""
    if suffix == ".xlsx":
        yield from read_sheet(path, SAVE_AGAIN, sheet_name)
        return
    if suffix == ".tsv" and STUDIO.isdisjoint(first_text_line(path).split("\t")):
        yield from ((place, line.split("\t")) for place, line in read_text_lines(path) if line)
    else:
        encoding = "cp949" if find_encoding(path) == "cp949" else "utf-8-sig"
        with io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="") as file:
            for number, cells in csv_rows(path, file, UNCLOSED, csv_separator(path)):
                if cells:
                    yield f"{path}, line {number}", cells


def _read_objects(path: Path, columns: list[str], on_error: OnError, advice: str) -> PlacedRows:
    """Yield the objects of JSON lines or of an array. If the first lacks a column, all do."""
    layout = json_layout(path)
    if layout == "squad" and format_of(path) == ".json":
        raise InputError(
            f"{path}: SQuAD's JSON, which is for the task qa, or no array of objects. Save rows as "
            ".jsonl, one object a line."
        )
    values: Iterator[tuple[str, Any]]
    if layout == "object":
        row = parse_json(str(path), read_whole(path), ONE_A_LINE, object_pairs_hook=unique_keys)
        values = rows_of_object(path, row)
    elif layout in ("lines", "squad"):
        values = ((place, line) for place, line in read_text_lines(path) if line.strip())
    else:
        key = "data" if layout == "data" else ""
        values = read_json_items(path, key, encoding=find_encoding(path), advice="Mend it.")
    rows = convert_each(values, _read_object, on_error)
    first = [*islice(rows, 1)]
    if any(isinstance(value, dict) for _, row in first for value in row.values()):
        advice = f"{advice} What an object inside a row holds is no column: write it beside others."
    for place, row in first:
        check_columns(place, list(row), columns, advice)

    def check(place: str, row: dict[str, Any]) -> dict[str, Any]:
        check_columns(place, list(row), columns, advice)
        return row

    yield from convert_each(chain(first, rows), check, on_error)


def _read_object(place: str, value: Any) -> dict[str, Any]:
    """Return the object of a line or an item; spaCy has a text and an object about it."""
    row = value
    if isinstance(value, str):
        row = parse_json(place, value, ONE_A_LINE, object_pairs_hook=unique_keys)
    if isinstance(row, list) and [type(part) for part in row] == [str, dict]:
        row = {"text": row[0], **row[1]}
    if not isinstance(row, dict):
        found = value.strip() if isinstance(value, str) else value
        raise malformed(place, found, "an object {…}", ONE_A_LINE)
    return row


def _read_parquet(
    path: Path, columns: list[str], optional: Iterable[str] | None, advice: str
) -> PlacedRows:
    try:
        file = pq.ParquetFile(open_bytes(path))
        schema = file.schema_arrow
        is_typed = b"huggingface" in (schema.metadata or {})
        types = Features.from_arrow_schema(schema) if is_typed else {}
        check_columns(path, schema.names, columns, advice)
        wanted = {*schema.names} if optional is None else {*columns, *optional}
        batches = file.iter_batches(columns=[name for name in schema.names if name in wanted])
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows, start=1):
            # the numbers of a ClassLabel are replaced by its names
            yield f"{path}, row {number}", {n: in_words(types.get(n), row[n]) for n in row}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a whole parquet file ({first_line(error)}). Write it again."
        ) from error
