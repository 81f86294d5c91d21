"""Read JSON lines, and arrays larger than memory item by item."""

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nlpbook_data.errors import InputError, shown
from nlpbook_data.reading.text import format_of, open_bytes, read_lines
from nlpbook_data.reading.values import FETCH_AGAIN, Files

BLOCK_BYTES = 1 << 20
# The longest item of a JSON file, such as an article with its questions.
MAX_ITEM_CHARACTERS = 1 << 26
# Longer than JSON's literals and escapes; a window may end inside one of them.
TAIL = 16


def read_json_lines(files: Files) -> Iterator[tuple[str, Any]]:
    """Yield ``(place, value)`` for each line of official JSON-lines files."""
    for path in files:
        for place, line in read_lines(path):
            yield place, parse_json(place, line, FETCH_AGAIN, parse_constant=_refuse)


def parse_json(place: str, text: str, advice: str, **options: Any) -> Any:
    """Parse `text` as JSON; `options` are those of `json.loads`."""
    try:
        return json.loads(text, **options)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        said = f"{error.msg}, {line}character {error.colno}"
        raise InputError(f"{place}: not JSON ({said}). {advice}") from error
    except (ValueError, RecursionError) as error:  # NaN, a number of a million digits
        raise InputError(f"{place}: not JSON ({error}). {advice}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object without duplicate keys; json itself would keep only the last one."""
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"the key {shown([twice])!r} twice in one object")
    return value


def json_layout(path: Path) -> str:
    """Return the layout of a file of JSON.

    It is ``lines`` (an object a line), ``array``, ``data`` (rows under that key), ``squad`` or
    ``object`` (the whole file is one, see `rows_of_object`). Only the beginning is read; later
    errors appear when the file is read.
    """
    with open_bytes(path) as file:
        head = file.read(BLOCK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"["):
        return "array" if head[1:].lstrip()[:1] in (b"{", b"[", b"]") else "squad"
    line, _, rest = (part.decode("utf-8", "replace") for part in head.partition(b"\n"))
    is_json = format_of(path) == ".json"
    try:
        first = json.loads(line)
        if not isinstance(first, dict) or not isinstance(first.get("data"), list):
            void = isinstance(first, dict) and [] in first.values() and len(first) == 1
            alone = is_json and isinstance(first, dict) and not rest.strip()
            return "squad" if void else "object" if alone else "lines"
        row = next(iter(first["data"]), None)
        rows = isinstance(row, dict) and len(row) > 1 and not {"paragraphs", "qas"} & {*row}
        return "data" if rows else "squad"
    except (ValueError, RecursionError):
        start = head[: 1 << 16].decode("utf-8", "replace")
        if not re.search(r'"data"\s*:\s*\[', start):
            is_cut = is_json and not line.rstrip("\r, ").endswith("}")
            if line.strip() == "{" or (is_cut and re.match(r'\{\s*"', start)):
                return "object"
            return "lines" if re.match(r'\{\s*"', start) and "\n" in start else "squad"
        squad = re.search(r'"(paragraphs|qas|context)"\s*:', start)
        rows = re.search(r'"data"\s*:\s*\[\s*\{', start) and len(head) < BLOCK_BYTES
        return "data" if rows and not squad else "squad"


def rows_of_object(path: Path, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield ``(place, row)`` of a file that is one object.

    Its rows are its only list of objects; or, as pandas writes them, its values under numbers, or
    the cells of its columns; else it is itself a row.

    Raises:
        InputError: several of its lists may be the rows.
    """
    found = [k for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)]
    columns = [dict(enumerate(v)) if isinstance(v, list) else v for v in value.values()]
    is_table = all(isinstance(c, dict) and c.keys() == columns[0].keys() for c in columns)
    name, rows = "row", [value]
    if len(found) > 1:
        raise InputError(
            f"{path}: the rows may be those of {shown(found)}. Save each as a file of its own, as "
            ".jsonl, one object a line."
        )
    if found:
        name, rows = found[0], value[found[0]]
    elif is_table and all(key.isdecimal() for key in value):
        rows = columns
    elif is_table and not {"tokens", "words"} & value.keys():
        rows = [{key: c[at] for key, c in zip(value, columns, strict=True)} for at in columns[0]]
    yield from ((f"{path}, {name} {number}", row) for number, row in enumerate(rows, start=1))


def read_json_items(
    path: Path,
    key: str = "",
    *,
    name: str = "item",
    encoding: str = "utf-8",
    advice: str = FETCH_AGAIN,
) -> Iterator[tuple[str, Any]]:
    """Yield ``(place, value)`` for the values of an array, one in memory at a time.

    The array is the whole file or, with `key`, the value of that key in the file's object; other
    keys may come before and after it. `name` is the word for a value in places.
    """
    with open_bytes(path) as file:
        text = _JsonText(path, file, name, encoding, advice)
        if not key:
            yield from text.items()
        else:
            text.expect("{")
            keys = []
            for _ in text.until("}"):
                if text.peek() != '"':
                    text.expect("a key")
                keys.append(text.value())
                text.expect(":")
                if keys[-1] == key:
                    yield from text.items()
                else:
                    text.value()
            if keys.count(key) != 1:
                raise InputError(
                    f"{path}: found the keys {shown(keys) or 'none'} where {key!r} belongs, once. "
                    f"{advice}"
                )
        if text.peek():
            raise text.error("more after the end")


class _JsonText:
    """Reads JSON value by value, through a window that grows to the longest value."""

    def __init__(self, path: Path, file: BinaryIO, name: str, encoding: str, advice: str) -> None:
        self.path, self.file = path, file
        self.name, self.encoding, self.advice = name, encoding, advice
        self.decoder = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=_refuse)
        self.characters = codecs.getincrementaldecoder(encoding)()
        self.text, self.position, self.ended = "", 0, False
        self.bytes, self.line, self.column = 0, 1, 1

    def error(self, found: object) -> InputError:
        line, column = self.line_and_column()
        place = f"{self.path}, line {line}, column {column}"
        return InputError(f"{place}: not JSON ({found}). {self.advice}")

    def line_and_column(self) -> tuple[int, int]:
        """Return where the current position is; `line` and `column` are those of the window."""
        gone = self.text[: self.position]
        column = len(gone) - gone.rfind("\n") if "\n" in gone else self.column + len(gone)
        return self.line + gone.count("\n"), column

    def read(self) -> None:
        """Drop the text already read, and append a block or more; at the end set `ended`."""
        self.line, self.column = self.line_and_column()
        block = self.file.read(max(BLOCK_BYTES, len(self.text) - self.position))
        self.ended = not block
        split = len(self.characters.getstate()[0])  # an incomplete character
        try:
            new = self.characters.decode(block, final=self.ended)
        except UnicodeDecodeError as error:
            place = f"{self.path}, byte {self.bytes - split + error.start:,}"
            said = f"not {self.encoding.upper()} ({error.reason})"
            raise InputError(f"{place}: {said}. {self.advice}") from error
        new = new.removeprefix("\ufeff") if not self.bytes else new
        self.bytes += len(block)
        self.text, self.position = self.text[self.position :] + new, 0

    def peek(self) -> str:
        """Return the next non-blank character, or an empty string at the end."""
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
        """Return the value that starts at the current position."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.position)
                # a number may continue after the window
                whole = self.text[end - 1] in '"]}' or end + TAIL < len(self.text)
                if whole or self.ended:
                    self.position = end
                    return value
            except json.JSONDecodeError as error:
                # If text is missing, the error is at the window's end or at an unclosed string.
                near_end = error.pos > len(self.text) - TAIL
                if self.ended or not (near_end or error.msg.startswith("Unterminated")):
                    self.position = error.pos
                    raise self.error(error.msg) from error
            except (ValueError, RecursionError) as error:  # NaN, a number of a million digits
                raise self.error(error) from error
            if len(self.text) - self.position > MAX_ITEM_CHARACTERS:
                raise self.error(f"a value of over {MAX_ITEM_CHARACTERS:,} characters")
            self.read()

    def items(self) -> Iterator[tuple[str, Any]]:
        self.expect("[")
        for number in self.until("]"):
            yield f"{self.path}, {self.name} {number}", self.value()

    def until(self, end: str) -> Iterator[int]:
        """Yield the number of each part, when it is to be read, of what commas part up to `end`."""
        number, more = 0, self.peek() != end
        while more:
            number += 1
            yield number
            more = self.peek() == ","
            self.position += more
        self.expect(end)
