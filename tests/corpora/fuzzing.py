"""What test_fuzz is made of: cells of official formats, mutations, and laws of a parser.

`Subject` learns from its fixture which columns are the cells of a kind, one for one. After a
mutation an independent reader finds the cells of the file again, and what `parse` makes of the file
is held against them: those columns still are those cells, no column has a word that the file has
not, labels and spans are possible, and what is no such file is refused.
"""

import codecs
import csv
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
from datasets import ClassLabel, Features, List

from nlpbook_data.data.cache import as_tables
from nlpbook_data.errors import InputError

# Where a cell stands, list positions left out: (".json", "data", "[]", "title").
Kind = tuple[str | int, ...]
Cell = tuple[Kind, str]
Row = dict[str, Any]


class Fault(AssertionError):
    """What no parser may do."""


# --- the cells of official formats ------------------------------------------------------------


def cells_of(data: bytes, form: str) -> list[Cell] | None:
    """Return the texts and numbers of a file, each with its kind; None for what is no such file.

    `form` is lines, tsv or csv (with a header), ␞ (parts of a line), json, jsonl or tmx.
    """
    try:
        text = data.decode("utf-8-sig")
        if "\0" in text:
            return None
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        lines = lines if lines[-1] else lines[:-1]
        if form == "json":
            return [*leaves(_loads(text))]
        if form == "jsonl":
            return [*leaves([_loads(line) for line in lines if line.strip()])]
        if form == "tmx":
            return [*leaves(_units(data))]
        if form == "csv":
            rows = list(csv.reader((f"{line}\n" for line in lines), strict=True))
        else:
            separator = {"tsv": "\t", "␞": "␞", "lines": "\n"}[form]
            rows = [line.split(separator) for line in lines]
    except (ValueError, RecursionError, csv.Error, ElementTree.ParseError):
        return None
    header = form in ("tsv", "csv")
    return [
        (("header" if header and not number else "rows", column), cell)
        for number, row in enumerate(rows)
        for column, cell in enumerate(row)
    ]


def _loads(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def _units(data: bytes) -> list[dict[str, str]]:
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    units = ElementTree.fromstring(data, ElementTree.XMLParser(encoding="UTF-8")).iter("tu")
    return [
        {v.get(language, ""): "".join(s.itertext()) for v in unit for s in v.iter("seg")}
        for unit in units
    ]


def leaves(node: Any, kind: Kind = ()) -> Iterator[Cell]:
    if isinstance(node, str | int | float):
        yield kind, str(node)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*kind, key))
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value, (*kind, "[]"))


# --- mutations: bytes in, bytes out ----------------------------------------------------------

TOKENS = [
    *(b"\0", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\n\n", b"\t", b'"', b"'", b",", b" ", b":"),
    *(b"\xe2\x80\xa8", b"\xc2\x85", b"\xff", b"\xea\xb0", b"\xed\xa0\x80", b"\x1e", b"\x1a", b"#"),
    *("␞".encode(), b"<", b">", b"<x:y>", b"{", b"}", b"[", b"]", b"\\", b"\\ud83d", b"=", b" = "),
    *(b"\xf0\x9f\x98\x80", b"&", b"&amp;", b"<!--", b"-", b"0", b"1", b"null", b"NaN", b"\x0c"),
]
SEPARATORS = [b"\t", b",", b"\n", b'"', b":", b"<", b">", "␞".encode(), b"{", b"}", b"[", b"]"]
# What stands in place of a cell: of JSON, and of other formats.
CELL = re.compile(r"[^\t\n,␞]+")
TEXTS = [
    *("", " ", "\t", "\n", "\r", "\r\n", '"', '""', ",", "\u2028", "\ufeff", "\u3000", "NaN"),
    *("-1", "0", "1", "2", "5.1", "1e400", "없음", "unknown", "O", "B-PS", "PER_B", "<", "<a:b>"),
    *(":", "␞", "=", "_", "\\", "가\t나", "가\n나", "가나다", "9" * 5000, "null", "None", "#"),
]
VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\[[^\[\]{}]*\]|\{[^{}]*\}')
VALUES = [
    *("null", "true", "0", "1", "-1", "7", "0.5", "9" * 11, "9" * 31, "-" + "9" * 31, "1e300"),
    *("[]", "{}", "[[]]", "[null]", "[1]", '""', '" "', '"0"', '"가나다"', '"\\ud83d"', '"\\t"'),
    *('"\u2028"', '"없음"', '["가나다"]', '{"text": "가나다"}', "[" * 2000 + "]" * 2000),
    *("9" * 5000, "1e999", "NaN", '"text"', '"id"'),
]


def mutate(data: bytes, form: str, seed: int) -> tuple[str, bytes]:
    """Return the name of a mutation that `seed` chooses and the data after it."""
    rng = random.Random(seed)
    kinds = {_bytes: 2, _line: 2, _separator: 1, _token: 2, _cell: 6, _whole: 1}
    (chosen,) = rng.choices([*kinds], [*kinds.values()])
    try:
        name, changed = chosen(data, form, rng)
    except (LookupError, ValueError):  # nothing there that it could change
        return f"no {chosen.__name__}", data
    return f"{chosen.__name__[1:]}: {name}", changed


def _bytes(data: bytes, form: str, rng: random.Random) -> tuple[str, bytes]:
    at = rng.randrange(len(data))
    before, one, after = data[:at], data[at : at + 1], data[at + 1 :]
    changed = {
        "delete": before + after,
        "duplicate": before + one * 2 + after,
        "insert": before + rng.randbytes(1) + one + after,
        "flip": before + bytes([data[at] ^ 1 << rng.randrange(8)]) + after,
        "cut": before,
    }
    return rng.choice([*changed.items()])


def _line(data: bytes, form: str, rng: random.Random) -> tuple[str, bytes]:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    before, one, after = lines[:at], lines[at], lines[at + 1 :]
    changed = {
        "delete": [*before, *after],
        "duplicate": [*before, one, one, *after],
        "swap": [*before, *after[:1], one, *after[1:]],
        "move": [*before, *after, one],
        "blank": [*before, b"\n", one, *after],
        "join": [*before, one.rstrip(b"\r\n"), *after],
        "cut": before,
        "header": lines[:1],
    }
    if rng.random() < 0.01:
        changed = {"huge": [*before, one[:-1] + "긴".encode() * 70_000 + b"\n", *after]}
    name, lines = rng.choice([*changed.items()])
    return name, b"".join(lines)


def _separator(data: bytes, form: str, rng: random.Random) -> tuple[str, bytes]:
    separator = rng.choice([s for s in SEPARATORS if s in data])
    parts = data.split(separator)
    at = rng.randrange(1, len(parts))
    other = rng.choice([b"", separator * 2, rng.choice(SEPARATORS)])
    changed = separator.join(parts[:at]) + other + separator.join(parts[at:])
    return f"{separator!r} to {other!r}", changed


def _token(data: bytes, form: str, rng: random.Random) -> tuple[str, bytes]:
    token = rng.choice(TOKENS)
    where = rng.choice(["start", "end", "character", "character", "character", "line"])
    at = {"start": 0, "end": len(data)}.get(where, rng.randrange(len(data)))
    if where == "line":
        at = data.rfind(b"\n", 0, at) + 1
    while where == "character" and at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return f"{token!r} at {where}", data[:at] + token + data[at:]


def _cell(data: bytes, form: str, rng: random.Random) -> tuple[str, bytes]:
    text, is_json = data.decode(), form in ("json", "jsonl")
    one, other = (rng.choice([*(VALUE if is_json else CELL).finditer(text)]) for _ in range(2))
    new = rng.choice(VALUES if is_json else TEXTS)
    if not is_json:
        new = rng.choice([new, new, new + one[0], one[0] + new])
    name, new = rng.choice([("replace", new), ("replace", new), ("copy", other[0]), ("delete", "")])
    return f"{name} {one[0]!r}", f"{text[: one.start()]}{new}{text[one.end() :]}".encode()


def _whole(data: bytes, form: str, rng: random.Random) -> tuple[str, bytes]:
    text = data.decode(errors="ignore")
    changed = {
        "empty": b"",
        "crlf": data.replace(b"\n", b"\r\n"),
        "cr": data.replace(b"\n", b"\r"),
        "cp949": text.encode("cp949", errors="ignore"),
        "utf-16": text.encode("utf-16"),
        "blank": b"\n",
        "html": b"<!DOCTYPE html>\n<html><body>404</body></html>\n",
        "twice": data * 2,
        "nul": bytes(len(data)),
    }
    return rng.choice([*changed.items()])


# --- laws ------------------------------------------------------------------------------------

# What an error about one place says after the file's name.
PLACE = re.compile(
    r"\b(line|row|character|byte|item|article|paragraph|question) [\d,]+|after [\d,]+ rows"
    r"|\b(document|sentence) "  # and its id
)
# Faults of a whole file, for which its name alone is right.
WHOLE_FILE = re.compile(r"^: (not JSON \(|found the keys)")


class Subject:
    """A parser with its fixture of one split, and what holds of its rows.

    Args:
        parse: what is tested.
        features: of its rows.
        files: ``{path: clean bytes}``, in the order that `parse` gets them.
        forms: the format of each of them; see `cells_of`.
        folder: where to write the files.
    """

    def __init__(
        self,
        parse: Callable[[list[Path]], Iterator[Any]],
        features: Features,
        files: dict[str, bytes],
        forms: dict[str, str],
        folder: Path,
    ) -> None:
        self.parse, self.features, self.clean, self.forms = parse, features, files, forms
        self.schema = SimpleNamespace(arrow_schema=features.arrow_schema)  # which is slow to make
        self.paths = {name: folder / name for name in files}
        for name, path in self.paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        rows, cells = self.rows(), self.cells()
        assert rows and cells, "a fixture without rows"
        columns = {column for row in rows for column, _ in texts_of(row)}
        words = words_of(cells)
        self.known = [c for c in columns if words.issuperset(" ".join(values(rows, c)).split())]
        laws = [(kind, column) for kind in {kind for kind, _ in cells} for column in columns]
        laws = [law for law in laws if is_exact(law, cells, rows)]
        for name in (name for name, form in forms.items() if form == "json"):
            for data in varied(files[name]):
                self.paths[name].write_bytes(data)
                with suppress(InputError):
                    found, rows = self.cells(**{name: data}), self.rows()
                    laws = [law for law in laws if is_exact(law, found, rows)]
            self.paths[name].write_bytes(files[name])
        named = {column for kind, column in laws if kind[-1] == column.rpartition(".")[2]}
        # another kind may be equal by chance: `raw_html` beside `context`
        self.exact = [(k, c) for k, c in laws if c not in named or k[-1] == c.rpartition(".")[2]]
        self.mutated = ""  # the file that is not as `clean` has it

    def rows(self) -> list[Row]:
        """Return what `parse` makes of the files, as rows that Arrow took."""
        tables = list(as_tables(self.parse(list(self.paths.values())), self.schema))
        return pa.concat_tables(tables).to_pylist() if tables else []

    def cells(self, **changed: bytes) -> list[Cell] | None:
        """Return the cells of all files, or None where one of them must be refused."""
        found = []
        for name, data in (self.clean | changed).items():
            cells = cells_of(data, self.forms[name])
            if cells is None:
                return None
            found += [((Path(name).suffix, *kind), cell) for kind, cell in cells]
        return found

    def check(self, name: str, data: bytes) -> str:
        """Parse the files with `name` as `data`; return "rows" or the error, raise Fault."""
        if self.mutated not in ("", name):
            self.paths[self.mutated].write_bytes(self.clean[self.mutated])
        self.mutated = name
        self.paths[name].write_bytes(data)
        try:
            rows = self.rows()
        except InputError as error:
            self.check_message(str(error))
            return str(error)
        except Exception as error:
            raise Fault(f"a crash: {type(error).__name__}: {error}") from error
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # another spelling of it
            data = data.decode("utf-16").encode()
        cells = self.cells(**{name: data})
        if cells is None:
            raise Fault(f"rows of what is no such file: {rows}")
        headers = [[c for c in found if "header" in c[0]] for found in (cells, self.cells())]
        if headers[0] != headers[1]:
            raise Fault(f"rows under a header that is another: {headers[0]}")
        for law in self.exact:
            if not is_exact(law, cells, rows):
                raise Fault(f"{law[1]} is not the cells {law[0]}: {rows}")
        words = words_of(cells)
        for column in self.known:
            if strange := {*" ".join(values(rows, column)).split()} - words:
                raise Fault(f"{column} has {strange}, which no cell has: {rows}")
        for row in rows:
            for column, value in row.items():
                self.check_value(self.features[column], value, row)
        return "rows"

    def check_message(self, message: str) -> None:
        where = [str(path) for path in self.paths.values() if str(path) in message]
        if not where:
            raise Fault(f"an error that does not name the file: {message}")
        said = message.replace(where[0], "", 1)
        if not PLACE.search(said) and not WHOLE_FILE.search(said):
            raise Fault(f"an error that does not name the row: {message}")
        if len(said) > 600 or "\n" in said or not said.endswith("."):
            raise Fault(f"an error that is no sentence or two: {message[:1000]}")

    def check_value(self, feature: Any, value: Any, row: Row) -> None:
        """Labels are ids of labels, spans lie in the text."""
        if isinstance(feature, ClassLabel):
            if not isinstance(value, int) or not -1 <= value < feature.num_classes:
                raise Fault(f"{value!r} is no label: {row}")
        elif isinstance(feature, List):
            for item in value:
                self.check_value(feature.feature, item, row)
        elif isinstance(feature, dict):
            for key, inner in feature.items():
                self.check_value(inner, value[key], row)
            if {"start", "end"} <= feature.keys():
                if not 0 <= value["start"] < value["end"] <= len(row["text"]):
                    raise Fault(f"a span that is not in the text: {row}")


def is_exact(law: tuple[Kind, str], cells: list[Cell], rows: list[Row]) -> bool:
    """Whether the column has the cells of the kind, one for one.

    A cell that is not there may be an empty text of the row, and no row may be less.
    """
    expected = [text for kind, text in cells if kind == law[0]]
    found = values(rows, law[1])
    return len(found) >= len(expected) and [*filter(None, found)] == [*filter(None, expected)]


def varied(data: bytes) -> Iterator[bytes]:
    """Yield JSON with fewer or more items of an inner list: a title may have many paragraphs."""
    for number in range(len(inner_lists(json.loads(data)))):
        for vary in (list.clear, lambda x: x.append(x[0]), lambda x: x.pop(0)):
            tree = json.loads(data)
            vary(inner_lists(tree)[number])
            yield json.dumps(tree, ensure_ascii=False).encode()


def inner_lists(node: Any, inside: bool = False) -> list[list]:
    """Return the lists that stand in lists and are not empty."""
    if isinstance(node, dict):
        return [found for value in node.values() for found in inner_lists(value, inside)]
    found = [x for y in node for x in inner_lists(y, True)] if isinstance(node, list) else []
    return [node, *found] if inside and node and isinstance(node, list) else found


def words_of(cells: list[Cell]) -> set[str]:
    return {word for _, text in cells for word in text.split()}


def texts_of(row: Any, column: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(column, text)`` of each text of a row, ``answers.text`` among them."""
    if isinstance(row, str):
        yield column, row
    elif isinstance(row, dict):
        for key, value in row.items():
            yield from texts_of(value, f"{column}.{key}" if column else key)
    elif isinstance(row, list):
        for value in row:
            yield from texts_of(value, column)


def values(rows: list[Row], column: str) -> list[str]:
    return [text for row in rows for name, text in texts_of(row) if name == column]
