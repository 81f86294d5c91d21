"""Reading official files: every error names the file and the line; nothing is guessed."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from nlpbook_data.errors import InputError

T = TypeVar("T")

AGAIN = "Fetch the file again."
BLOCK_BYTES = 1 << 23
# No line of a text corpus is as long; a damaged file without line breaks is.
MAX_LINE_BYTES = 1 << 26


def malformed(place: str, found: object, expected: str) -> InputError:
    """Return the error for `found` (any value, cut to 60 characters) at `place`."""
    found = found if isinstance(found, str) else repr(found)
    return InputError(f"{place}: found {found[:60]!r} where {expected} belongs. {AGAIN}")


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    r"""Yield ``(place, line)``: UTF-8, with or without BOM, lines ending in \n or \r\n."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{path}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{place}: not UTF-8 ({error.reason}). {AGAIN}") from error
            if "\0" in text:
                raise InputError(f"{place}: a NUL, which no text holds. {AGAIN}")
            yield place, text.removesuffix("\n").removesuffix("\r")


def read_tsv(path: Path, header: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield ``(place, cells)`` a line under `header`; there is no quoting, as in Korpora."""
    lines = read_lines(path)
    place, first = next(lines, (f"{path}, line 1", ""))
    if first.split("\t") != list(header):
        raise malformed(place, first.replace("\t", "⇥"), f"the header {'⇥'.join(header)}")
    for place, line in lines:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise malformed(place, line.replace("\t", "⇥"), "⇥".join(header))
        yield place, cells


def read_csv(path: Path, header: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield ``(place, cells)`` a row of RFC 4180 under `header`; `place` is its first line."""
    number = 1

    def text() -> Iterator[str]:
        for _, line in read_lines(path):
            yield f"{line}\n"

    reader = csv.reader(text(), strict=True)
    try:
        first = next(reader, [])
        if first != list(header):
            raise malformed(f"{path}, line 1", ",".join(first), f"the header {','.join(header)}")
        number = reader.line_num + 1
        for cells in reader:
            place = f"{path}, line {number}"
            if len(cells) != len(header):
                raise malformed(place, ",".join(cells), f"a row of {','.join(header)}")
            yield place, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, the row of line {number}: {error}. {AGAIN}") from error


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8 ({error.reason}). {AGAIN}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg}). {AGAIN}") from error
    except (ValueError, RecursionError) as error:  # NaN, a number of a million digits
        raise InputError(f"{path}: not JSON ({error}). {AGAIN}") from error


def read_json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield ``(place, value)`` a line, each of which is JSON."""
    for place, line in read_lines(path):
        try:
            yield place, json.loads(line, parse_constant=_refuse)
        except json.JSONDecodeError as error:
            raise InputError(f"{place}: not JSON ({error.msg}). {AGAIN}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: not JSON ({error}). {AGAIN}") from error


def beside(
    rows: Iterable[tuple[str, T]], path: Path, rows_path: Path
) -> Iterator[tuple[str, T, str]]:
    """Yield ``(place, row, line)``: the n-th line of `path` goes with the n-th row of `rows_path`.

    One that has more of them than the other is refused.
    """
    lines = read_lines(path)
    for number, (row, line) in enumerate(zip_longest(rows, lines), start=1):
        if row is None or line is None:
            longer, shorter = (path, rows_path) if row is None else (rows_path, path)
            raise InputError(
                f"{shorter} ends after {number - 1:,} rows, where {longer} has another. Fetch both "
                "files again."
            )
        yield *row, line[1]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def member(place: str, value: Any, key: str, kind: type | tuple[type, ...]) -> Any:
    """Return ``value[key]`` of a JSON object, which must be there and of `kind`.

    A bool is no number, and a text must be whole (JSON can hold half of a surrogate pair).
    """
    if not isinstance(value, dict):
        raise malformed(place, value, "an object {…}")
    if key not in value:
        raise malformed(place, ", ".join(value), f"an object with {key!r}")
    found = value[key]
    if not isinstance(found, kind) or (isinstance(found, bool) and bool not in _kinds(kind)):
        names = " or ".join(kind.__name__ for kind in _kinds(kind))
        raise malformed(f"{place}, {key}", found, f"a value of type {names}")
    if isinstance(found, str):
        return whole(f"{place}, {key}", found)
    return found


def _kinds(kind: type | tuple[type, ...]) -> tuple[type, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def whole(place: str, text: str) -> str:
    r"""Return `text`; refuse a lone surrogate, such as the JSON \ud83d of an emoji cut in two."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise malformed(place, ascii(text[error.start]), "a whole character") from error
    return text


def read_label(place: str, value: object, ids: dict[str, int]) -> int:
    """Return the id of the official label `value`, one of the keys of `ids`."""
    if not isinstance(value, str) or value not in ids:
        raise malformed(place, value, f"one of the labels {', '.join(ids)}")
    return ids[value]


def tables_of_lines(path: Path, column: str = "text") -> Iterator[pa.Table]:
    r"""Yield the lines of a plain-text file as tables of one column; lines end in \n or \r\n.

    As fast as Python splits bytes: no object is made for a line but its bytes.
    """
    number, rest = 1, b""
    with path.open("rb") as file:
        for block in chain(iter(lambda: file.read(BLOCK_BYTES), b""), [b""]):
            data = rest + block
            if block:
                lines = data.split(b"\n")
                rest = lines.pop()
                if len(rest) > MAX_LINE_BYTES:
                    raise InputError(
                        f"{path}, line {number + len(lines)}: longer than {MAX_LINE_BYTES:,} "
                        f"bytes. {AGAIN}"
                    )
            else:
                lines = [data] if data else []
            if number == 1 and lines:
                lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            if b"\r" in data:
                lines = [line.removesuffix(b"\r") for line in lines]
            try:
                texts = pa.array(lines, pa.binary()).cast(pa.string())
            except pa.ArrowInvalid as error:
                raise _undecodable(path, number, lines) from error
            if b"\0" in data:
                bad = [n for n, line in enumerate(lines, number) if b"\0" in line]
                line = bad[0] if bad else number + len(lines)
                raise InputError(f"{path}, line {line}: a NUL, which no text holds. {AGAIN}")
            if lines:
                yield pa.table({column: texts})
            number += len(lines)


def _undecodable(path: Path, number: int, lines: list[bytes]) -> InputError:
    for n, line in enumerate(lines, number):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return InputError(f"{path}, line {n}: not UTF-8 ({error.reason}). {AGAIN}")
    return InputError(f"{path}, line {number}: not UTF-8. {AGAIN}")
