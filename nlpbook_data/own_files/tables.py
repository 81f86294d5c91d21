"""The user's own files, csv, tsv, jsonl or parquet, as validated rows."""

import codecs
import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nlpbook_data.errors import InputError, nearest, shown

logger = logging.getLogger(__name__)

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
# A longer text is a missing quote or line break, and would tokenize for minutes to be cut to 128.
MAX_CHARACTERS = 1_000_000
EMPTY = "the file is empty. It needs rows, and in csv and tsv a header above them."
NAME_YOURS = "Name yours with --text_column_name and --label_column_name."


def raise_error(error: InputError) -> None:
    """Raise `error`: what readers do with a bad row unless they are told to go on."""
    raise error


def read_rows(
    path: Path,
    columns: Iterable[str],
    optional: Iterable[str] = (),
    on_error: Callable[[InputError], None] = raise_error,
    advice: str = NAME_YOURS,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(place, {column: value})`` a row; `place` names file and line for messages.

    A row holds at least `columns`, and `optional` ones where the file has them. `on_error` gets
    the error of a row, which is left out if it returns; `advice` ends the message about a missing
    column.

    csv follows RFC 4180; tsv has no quoting (a quote is text, as in NSMC). The encoding is
    UTF-8, with or without BOM, or else cp949, which is logged.

    Raises:
        InputError: no such file, empty, another format or encoding, duplicate or missing
            columns, a row with more or fewer cells than the header.
    """
    columns, optional = list(columns), list(optional)
    if not path.is_file():
        raise InputError(f"{path}: no such file. Check the path, and quote one that has spaces.")
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"{path}: the name must end in one of {', '.join(FORMATS)}. Save it as one of them."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path}: {EMPTY}")
    empty = True

    def report(error: InputError) -> None:
        nonlocal empty
        empty = False
        on_error(error)

    suffix = path.suffix.lower()
    if suffix == ".parquet":
        read = _read_parquet(path, columns, optional, advice)
    else:
        reader = {".csv": _read_csv, ".tsv": _read_tsv, ".jsonl": _read_jsonl}[suffix]
        read = reader(path, columns, report, advice)
    for row in read:
        empty = False
        yield row
    if empty:
        raise InputError(f"{path}: there is no row in it. Add rows, or leave this file out.")


def find_encoding(path: Path) -> str:
    """Return ``"utf-8-sig"`` or ``"cp949"``; raise InputError naming the line otherwise.

    A NUL, which no text holds, is UTF-16 without its mark, or a block of a damaged file.
    A file with valid Hangul in UTF-8 before its first bad byte is broken UTF-8: read as cp949 it
    would turn into other letters in silence.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, hangul = 1, False
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(f"{path}: the encoding is UTF-16. Save the file as UTF-8 (CSV UTF-8).")
        file.seek(0)
        for block in chain(iter(lambda: file.read(1 << 20), b""), [b""]):
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode("utf-8")
                _refuse_nul(path, line, good)
                line += good.count("\n")
                hangul = hangul or any("가" <= character <= "힣" for character in good)
                break
            _refuse_nul(path, line, text)
            line += text.count("\n")
            hangul = hangul or any("가" <= character <= "힣" for character in text)
        else:
            return "utf-8-sig"
    if not hangul:
        content = path.read_bytes()
        try:
            _refuse_nul(path, 1, content.decode("cp949"))
            logger.warning("%s: read as cp949 (not UTF-8).", path)
            return "cp949"
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
    raise InputError(
        f"{path}, line {line}: a byte that is neither UTF-8 nor cp949. The file is damaged, cut "
        "off or in another encoding; save it as UTF-8."
    )


def _refuse_nul(path: Path, line: int, text: str) -> None:
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise InputError(
            f"{path}, line {line}: a NUL, which no text holds. The file is damaged or in another "
            "encoding; save it as UTF-8."
        )


def _check_columns(place: str | Path, header: list[str], columns: list[str], advice: str) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{place}: the column {twice[0]!r} is there twice. Rename one.")
    for column in columns:
        if column not in header:
            raise InputError(
                f"{place}: there is no column {column!r}; the columns are {shown(header)}."
                f"{nearest(column, header)} {advice}"
            )


def _read_csv(
    path: Path, columns: list[str], on_error: Callable[[InputError], None], advice: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding=find_encoding(path), newline="") as file:
        previous = csv.field_size_limit(MAX_CHARACTERS)
        reader = csv.reader(file, strict=True)
        line = 1
        try:
            header = next(filter(None, reader), None)
            if header is None:
                raise InputError(f"{path}: {EMPTY}")
            _check_columns(path, header, columns, advice)
            line = reader.line_num + 1
            for cells in reader:
                hint = "Quote a cell that holds a comma."
                # a blank line has no cells
                if cells and _is_whole(path, line, header, cells, hint, on_error):
                    yield f"{path}, line {line}", dict(zip(header, cells, strict=True))
                line = reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"{path}, the row of line {line}: {error}. Look for a quote that is not closed (a "
                "quote inside a cell is written twice)."
            ) from error
        finally:
            csv.field_size_limit(previous)


def _read_tsv(
    path: Path, columns: list[str], on_error: Callable[[InputError], None], advice: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding=find_encoding(path), newline="\n") as file:
        lines = enumerate(file, start=1)
        header = next((text for _, text in lines if text.strip("\r\n")), "").rstrip("\r\n")
        if not header:
            raise InputError(f"{path}: {EMPTY}")
        header = header.split("\t")
        _check_columns(path, header, columns, advice)
        for line, text in lines:
            if text.strip("\r\n"):
                cells = text.rstrip("\r\n").split("\t")
                hint = "tsv has no quoting: for cells with tabs or line breaks use csv."
                if _is_whole(path, line, header, cells, hint, on_error):
                    yield f"{path}, line {line}", dict(zip(header, cells, strict=True))


def _is_whole(
    path: Path,
    line: int,
    header: list[str],
    cells: list[str],
    hint: str,
    on_error: Callable[[InputError], None],
) -> bool:
    if len(cells) == len(header):
        return True
    hint = hint if len(cells) > len(header) else "Complete the row, or drop it."
    on_error(
        InputError(
            f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}. {hint}"
        )
    )
    return False


def _read_jsonl(
    path: Path, columns: list[str], on_error: Callable[[InputError], None], advice: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding=find_encoding(path), newline="\n") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = _read_object(f"{path}, line {line}", text, columns, advice)
            except InputError as error:
                on_error(error)
            else:
                yield f"{path}, line {line}", row


def _read_object(place: str, text: str, columns: list[str], advice: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _check_columns(place, [name for name, _ in pairs], [], advice)
        return dict(pairs)

    try:
        row = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        what = f"{error.msg}, character {error.pos + 1}" if hasattr(error, "pos") else error
        raise InputError(f"{place}: not JSON ({what}). Each line is one object.") from error
    if not isinstance(row, dict):
        raise InputError(f"{place}: found {text[:40].strip()!r} where an object {{…}} belongs.")
    _check_columns(place, list(row), columns, advice)
    return row


def _read_parquet(
    path: Path, columns: list[str], optional: list[str], advice: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        file = pq.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names, columns, advice)
        present = [name for name in file.schema_arrow.names if name in {*columns, *optional}]
        row = 0
        for batch in file.iter_batches(columns=present):
            for values in batch.to_pylist():
                row += 1
                yield f"{path}, row {row}", values
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path}: not a whole parquet file ({first}). Write it again.") from error
