"""Reading official files: every error names the file and the line; nothing is guessed."""

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pyarrow as pa

from nlpbook_data.errors import InputError

T = TypeVar("T")

AGAIN = "Fetch the file again."
BLOCK_BYTES = 1 << 23
# No line of a text corpus is as long; a damaged file without line breaks is.
MAX_LINE_BYTES = 1 << 26
# Nor is one item of a JSON file: an article with its questions.
MAX_ITEM_CHARACTERS = 1 << 26
# Longer than each of JSON's words and escapes, of which a window may hold the first half.
TAIL = 16


def malformed(place: str, found: object, expected: str) -> InputError:
    """Return the error for `found` (any value, cut to 60 characters) at `place`."""
    found = found if isinstance(found, str) else repr(found)
    return InputError(f"{place}: found {found[:60]!r} where {expected} belongs. {AGAIN}")


def shown(name: str) -> str:
    """Return an id of a file as a message can show it: on one line and cut to 60 characters."""
    return repr(name)[1:-1][:60]


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


def read_json_items(path: Path, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(place, object)`` for the objects of an array, one in memory at a time.

    The array is the whole file or, with `key`, the value of that key in the file's object, whose
    other keys may stand before and after it.
    """
    with path.open("rb") as file:
        text = _JsonText(path, file)
        if not key:
            yield from text.items()
        else:
            text.expect("{")
            found, more = 0, text.peek() != "}"
            while more:
                name = text.value() if text.peek() == '"' else text.expect("a key")
                text.expect(":")
                if name == key:
                    found += 1
                    yield from text.items()
                else:
                    text.value()
                more = text.peek() == ","
                if more:
                    text.expect(",")
            text.expect("}")
            if found != 1:
                raise InputError(f"{path}: {found} times the key {key!r}, not once. {AGAIN}")
        if text.peek():
            raise text.error("more after the end")


class _JsonText:
    """JSON read value by value, through a window that grows to the longest value."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.decoder = json.JSONDecoder(parse_constant=_refuse)
        self.utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.position, self.ended = "", 0, False
        self.bytes, self.line, self.column = 0, 1, 1

    def error(self, found: object) -> InputError:
        line, column = self.line, self.column
        before = self.text[: self.position]
        column = len(before) - before.rfind("\n") if "\n" in before else column + len(before)
        line += before.count("\n")
        return InputError(f"{self.path}, line {line}, column {column}: not JSON ({found}). {AGAIN}")

    def read(self) -> None:
        """Drop what was read and append as much as is left, at least a block, or mark the end."""
        gone = self.text[: self.position]
        self.line += gone.count("\n")
        self.column = len(gone) - gone.rfind("\n") if "\n" in gone else self.column + len(gone)
        block = self.file.read(max(BLOCK_BYTES // 8, len(self.text) - self.position))
        self.ended = not block
        split = len(self.utf8.getstate()[0])  # the first bytes of a character
        try:
            new = self.utf8.decode(block, final=self.ended)
        except UnicodeDecodeError as error:
            place = f"{self.path}, byte {self.bytes - split + error.start:,}"
            raise InputError(f"{place}: not UTF-8 ({error.reason}). {AGAIN}") from error
        self.bytes += len(block)
        self.text, self.position = self.text[self.position :] + new, 0

    def peek(self) -> str:
        """Return the next character that is no blank, or an empty string at the end."""
        while True:
            while self.text[self.position : self.position + 1] in (" ", "\n", "\r", "\t"):
                self.position += 1
            if self.position < len(self.text) or self.ended:
                return self.text[self.position : self.position + 1]
            self.read()

    def expect(self, mark: str) -> None:
        if self.peek() != mark:
            raise self.error(f"{self.peek() or 'the end'!r} where {mark!r} belongs")
        self.position += 1

    def value(self) -> Any:
        """Return the value that begins here."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.position)
                # a number may go on where the window ends
                whole = self.text[end - 1] in '"]}' or end + TAIL < len(self.text)
                if whole or self.ended:
                    self.position = end
                    return value
            except json.JSONDecodeError as error:
                # where text is missing the window ends, or begins a string that does not end
                near_end = error.pos > len(self.text) - TAIL
                if self.ended or not (near_end or error.msg.startswith("Unterminated")):
                    self.position = error.pos
                    raise self.error(error.msg) from error
            except (ValueError, RecursionError) as error:  # NaN, a number of a million digits
                raise self.error(error) from error
            if len(self.text) - self.position > MAX_ITEM_CHARACTERS:
                raise self.error(f"a value of over {MAX_ITEM_CHARACTERS:,} characters")
            self.read()

    def items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        self.expect("[")
        number, more = 0, self.peek() != "]"
        while more:
            number += 1
            place = f"{self.path}, item {number}"
            if self.peek() != "{":
                raise self.error(f"{self.peek() or 'the end'!r} where item {number} belongs")
            yield place, self.value()
            more = self.peek() == ","
            if more:
                self.expect(",")
        self.expect("]")


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
        known = [*ids][:12] + ["…"] * (len(ids) > 12)
        raise malformed(place, value, f"one of the labels {', '.join(known)}")
    return ids[value]


def tables_of_lines(path: Path, column: str = "text") -> Iterator[pa.Table]:
    r"""Yield the lines of a plain-text file as tables of one column; lines end in \n or \r\n.

    No Python object is made for a line: Arrow's buffers are the bytes that were read, without
    the line breaks, and where those stood.
    """
    number, rest = 1, b""
    with path.open("rb") as file:
        for block in chain(iter(lambda: file.read(BLOCK_BYTES), b""), [b""]):
            data = rest + (block or b"\n" * bool(rest))
            cut = data.rfind(b"\n") + 1
            data, rest = data[:cut], data[cut:]
            if len(rest) > MAX_LINE_BYTES:
                line = number + data.count(b"\n")
                raise InputError(f"{path}, line {line}: over {MAX_LINE_BYTES:,} bytes. {AGAIN}")
            if number == 1:
                data = data.removeprefix(b"\xef\xbb\xbf")
            if b"\r" in data:
                data = data.replace(b"\r\n", b"\n")
            breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
            offsets = np.append(0, breaks - np.arange(len(breaks))).astype(np.int32)
            buffers = pa.py_buffer(offsets), pa.py_buffer(data.replace(b"\n", b""))
            texts = pa.StringArray.from_buffers(len(breaks), *buffers)
            try:
                texts.validate(full=True)
            except pa.ArrowInvalid as error:
                raise _undecodable(path, number, data) from error
            if b"\0" in data:
                line = number + data.count(b"\n", 0, data.index(b"\0"))
                raise InputError(f"{path}, line {line}: a NUL, which no text holds. {AGAIN}")
            if len(texts):
                yield pa.table({column: texts})
            number += len(texts)


def _undecodable(path: Path, number: int, data: bytes) -> InputError:
    for line, text in enumerate(data.split(b"\n"), number):
        try:
            text.decode()
        except UnicodeDecodeError as error:
            return InputError(f"{path}, line {line}: not UTF-8 ({error.reason}). {AGAIN}")
    return InputError(f"{path}, line {number}: not UTF-8. {AGAIN}")
