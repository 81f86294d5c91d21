"""What test_fuzz is made of: official formats as trees, mutations, and laws of a parser.

A file is a tree of lists, dicts and cells. `Subject` learns from its fixture which columns are the
cells of a kind, one for one. After a mutation an independent reader makes a tree of the file again,
and what `parse` makes of the file is held against that tree: those columns still are those cells,
no column has a word that the file has not, labels and spans are possible, and what is no such file
is refused.
"""

import codecs
import csv
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pyarrow as pa
from datasets import ClassLabel, Features, List

from nlpbook_data.data.cache import as_tables
from nlpbook_data.errors import InputError

DEEP, HUGE, INFINITE, TWICE = "@deep@", "@huge@", "@infinite@", "@twice@"
# Where a cell stands, list positions left out: (".json", "data", "[]", "title").
Kind = tuple[str | int, ...]


class Fault(AssertionError):
    """What no parser may do."""


class Cells(list):
    """A row: its items are columns, where a list's are rows."""


# --- official formats as trees: load gives None for what must be refused ---------------------


@dataclass(frozen=True)
class Format:
    """How a file is read as a tree and written again."""

    load: Callable[[bytes], Any]
    dump: Callable[[Any], bytes]
    typed: bool = False  # values that are no text, and keys


def text_lines(data: bytes) -> list[str] | None:
    r"""Return the lines, which end in \n or \r\n; None for what is no text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def plain() -> Format:
    """A line, a row."""
    return Format(text_lines, lambda lines: "".join(f"{line}\n" for line in lines).encode())


def delimited(separator: str, header: bool) -> Format:
    """Lines of cells between separators, without quoting."""

    def load(data: bytes) -> Any:
        lines = text_lines(data)
        if lines is None:
            return None
        rows = [Cells(line.split(separator)) for line in lines]
        return {"header": rows[:1], "rows": rows[1:]} if header else rows

    def dump(tree: Any) -> bytes:
        rows = _rows(tree) if header else tree
        return "".join(f"{separator.join(row)}\n" for row in rows).encode()

    return Format(load, dump)


def quoted(header: bool = True) -> Format:
    """RFC 4180."""

    def load(data: bytes) -> Any:
        lines = text_lines(data)
        if lines is None:
            return None
        try:
            rows = [Cells(row) for row in csv.reader((f"{x}\n" for x in lines), strict=True)]
        except csv.Error:
            return None
        return {"header": rows[:1], "rows": rows[1:]} if header else rows

    def dump(tree: Any) -> bytes:
        file = io.StringIO()
        rows = _rows(tree) if header else tree
        csv.writer(file, lineterminator="\n").writerows(rows)
        return file.getvalue().encode()

    return Format(load, dump)


def _rows(tree: Any) -> list[Cells]:
    return [*tree.get("header", []), *tree.get("rows", [])]


def tmx() -> Format:
    """TMX: a translation unit has a segment in each language."""
    language = "{http://www.w3.org/XML/1998/namespace}lang"

    def load(data: bytes) -> Any:
        try:
            parser = ElementTree.XMLParser(encoding="UTF-8")
            units = ElementTree.fromstring(data, parser).iter("tu")
        except (ElementTree.ParseError, ValueError):
            return None
        return [
            {v.get(language, ""): "".join(s.itertext()) for v in unit for s in v.iter("seg")}
            for unit in units
        ]

    def dump(tree: Any) -> bytes:
        lines = ["<tmx>"]
        for unit in tree:
            segments = [
                f'<tuv xml:lang="{k}"><seg>{escape(v)}</seg></tuv>' for k, v in unit.items()
            ]
            lines.append(f"<tu>{''.join(segments)}</tu>")
        return "\n".join([*lines, "</tmx>"]).encode()

    return Format(load, dump)


def json_value() -> Format:
    """One JSON value."""

    def load(data: bytes) -> Any:
        try:
            return _loads(data.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None

    return Format(load, lambda tree: _dumps(tree, (",\n", ": ")).encode(), typed=True)


def json_lines() -> Format:
    """A JSON value a line."""

    def load(data: bytes) -> Any:
        lines = text_lines(data)
        try:
            return None if lines is None else [_loads(line) for line in lines if line.strip()]
        except (ValueError, RecursionError):
            return None

    def dump(tree: Any) -> bytes:
        return "".join(f"{_dumps(row)}\n" for row in tree).encode()

    return Format(load, dump, typed=True)


def _loads(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def _dumps(tree: Any, separators: tuple[str, str] | None = None) -> str:
    text = json.dumps(tree, ensure_ascii=False, separators=separators).replace(TWICE, "")
    text = re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text)
    text = text.replace(f'"{HUGE}"', "9" * 5000).replace(f'"{INFINITE}"', "1e999")
    return text.replace(f'"{DEEP}"', "[" * 2000 + "]" * 2000)


def leaves(node: Any, kind: Kind = ()) -> Iterator[tuple[Kind, str | int | float]]:
    """Yield ``(kind, cell)`` of each text and number in a tree."""
    if isinstance(node, str | int | float):
        yield kind, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*kind, key))
    elif isinstance(node, list):
        for n, value in enumerate(node):
            yield from leaves(value, (*kind, n if isinstance(node, Cells) else "[]"))


# --- mutations: bytes in, bytes out ----------------------------------------------------------

TOKENS = [
    *(b"\0", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\n\n", b"\t", b'"', b"'", b",", b" ", b":"),
    *(b"\xe2\x80\xa8", b"\xc2\x85", b"\xff", b"\xea\xb0", b"\xed\xa0\x80", b"\x1e", b"\x1a", b"#"),
    *("␞".encode(), b"<", b">", b"<x:y>", b"{", b"}", b"[", b"]", b"\\", b"\\ud83d", b"=", b" = "),
    *(b"\xf0\x9f\x98\x80", b"&", b"&amp;", b"<!--", b"-", b"0", b"1", b"null", b"NaN", b"\x0c"),
]
SEPARATORS = [b"\t", b",", b"\n", b'"', b":", b"<", b">", "␞".encode(), b"{", b"}", b"[", b"]"]
TEXTS = [
    *("", " ", "\t", "\n", "\r", "\r\n", '"', '""', ",", "\u2028", "\ufeff", "\u3000", "NaN"),
    *("-1", "0", "1", "2", "5.1", "1e400", "없음", "unknown", "O", "B-PS", "PER_B", "<", "<a:b>"),
    *(":", "␞", "=", "_", "\\", "가\t나", "가\n나", "가나다", "9" * 5000, "null", "None", "#"),
]
VALUES = [
    *(None, True, 0, 1, -1, 7, 0.5, 10**10, 10**30, -(10**30), 1e300, [], {}, [[]], [None], [1]),
    *("", " ", "0", "가나다", "\ud83d", "\u2028", "\t", "\n", "없음", ["가나다"]),
    *({"text": "가나다"}, DEEP, HUGE, INFINITE, float("nan")),
]


def mutate(data: bytes, form: Format, seed: int) -> tuple[str, bytes]:
    """Return the name of a mutation that `seed` chooses and the data after it."""
    rng = random.Random(seed)
    kinds = {_bytes: 2, _line: 2, _separator: 1, _token: 2, _tree: 6, _whole: 1}
    (chosen,) = rng.choices([*kinds], [*kinds.values()])
    try:
        name, changed = chosen(data, form, rng)
    except (LookupError, ValueError, TypeError):  # nothing there that it could change
        return f"no {chosen.__name__}", data
    return f"{chosen.__name__[1:]}: {name}", changed


def _bytes(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
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


def _line(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
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


def _separator(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
    separator = rng.choice([s for s in SEPARATORS if s in data])
    parts = data.split(separator)
    at = rng.randrange(1, len(parts))
    name, other = rng.choice([("delete", b""), ("double", separator * 2), ("replace", None)])
    if other is None:
        other = rng.choice(SEPARATORS)
    changed = separator.join(parts[:at]) + other + separator.join(parts[at:])
    return f"{name} {separator!r}", changed


def _token(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
    token = rng.choice(TOKENS)
    where = rng.choice(["start", "end", "character", "character", "character", "line"])
    at = {"start": 0, "end": len(data)}.get(where, rng.randrange(len(data)))
    if where == "line":
        at = data.rfind(b"\n", 0, at) + 1
    while where == "character" and at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return f"{token!r} at {where}", data[:at] + token + data[at:]


def _whole(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
    name = rng.choice(["empty", "crlf", "cr", "cp949", "utf-16", "blank", "html", "twice", "nul"])
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
    return name, changed[name]


def _tree(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
    tree = form.load(data)
    spots: list[tuple] = []

    def walk(node: Any, place: str) -> None:
        if isinstance(node, dict | list):
            for key in node if isinstance(node, dict) else range(len(node)):
                spots.append((node, key, f"{place}/{key}"))
                walk(node[key], spots[-1][2])

    walk(tree, "")
    parent, key, place = rng.choice(spots)
    names = ["delete", "duplicate", "swap", "swap", "replace", "replace", "replace", "affix"]
    name = rng.choice([*names, "rename"] if isinstance(parent, dict) else names)
    value, fixed = parent[key], isinstance(parent, dict) and not form.typed
    if name == "replace" and (form.typed or isinstance(value, str)):
        parent[key] = rng.choice(VALUES if form.typed else TEXTS)
    elif name == "affix" and isinstance(value, str):
        affix = rng.choice(TEXTS)
        parent[key] = affix + value if rng.random() < 0.5 else value + affix
    elif fixed:
        raise LookupError("a part of the format itself")
    elif name == "delete":
        del parent[key]
    elif name == "duplicate" and isinstance(parent, dict):
        parent[f"{key}{TWICE}"] = rng.choice(VALUES)
    elif name == "duplicate":
        parent.insert(rng.randrange(len(parent) + 1), value)
    elif name == "swap":
        other = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
        parent[key], parent[other] = parent[other], value
    elif name == "rename":
        parent[rng.choice([key + "x", key[:-1], key.upper(), "text", "id"])] = parent.pop(key)
    return f"{name} {place}", form.dump(tree)


# --- laws ------------------------------------------------------------------------------------

# What an error about one place says after the file's name.
PLACE = re.compile(
    r"\b(line|row|character|byte|item|article|paragraph|question) [\d,]+|after [\d,]+ rows"
    r"|\b(document|sentence) "  # and its id
)
# Faults of a whole file, for which its name alone is right.
WHOLE_FILE = re.compile(r"^: (not JSON \(|found the keys)")
Cell = tuple[Kind, str]
Row = dict[str, Any]


class Subject:
    """A parser with its fixture of one split, and what holds of its rows.

    Args:
        parse: what is tested.
        features: of its rows.
        files: ``{path: clean bytes}``, in the order that `parse` gets them.
        formats: the format of each of them.
        folder: where to write the files.
    """

    def __init__(
        self,
        parse: Callable[[list[Path]], Iterator[Any]],
        features: Features,
        files: dict[str, bytes],
        formats: dict[str, Format],
        folder: Path,
    ) -> None:
        self.parse, self.features, self.clean, self.formats = parse, features, files, formats
        self.schema = SimpleNamespace(arrow_schema=features.arrow_schema)  # which is slow to make
        self.paths = {name: folder / name for name in files}
        for path in self.paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        self.write(files)
        rows = self.rows()
        assert rows, "a fixture without rows"
        trees = {name: formats[name].load(data) for name, data in files.items()}
        self.write({name: formats[name].dump(tree) for name, tree in trees.items()})
        assert rows == self.rows(), "the format's reader and writer disagree"
        self.columns = {column for row in rows for column, _ in texts_of(row)}
        self.exact, self.known = set(), set(self.columns)
        cells = self.cells()
        for kind in {kind for kind, _ in cells}:
            self.exact |= {(kind, column) for column in self.columns}
        self.keep_what_holds(cells, rows)
        self.vary_inner_lists()
        self.exact -= {
            (kind, column)  # equal to another by chance: `html_answer_text` beside `text`
            for kind, column in self.exact
            for other, same in self.exact
            if same == column and other[-1] == column.rpartition(".")[2] != kind[-1]
        }
        self.write(files)
        self.mutated = ""  # the file that is not as `clean` has it

    def write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            self.paths[name].write_bytes(data)

    def rows(self) -> list[Row]:
        """Return what `parse` makes of the files, as rows that Arrow took."""
        tables = list(as_tables(self.parse(list(self.paths.values())), self.schema))
        return pa.concat_tables(tables).to_pylist() if tables else []

    def cells(self, **changed: bytes) -> list[Cell] | None:
        """Return the cells of all files, or None where one of them must be refused."""
        trees = {n: self.formats[n].load(d) for n, d in (self.clean | changed).items()}
        if any(tree is None for tree in trees.values()):
            return None
        return [
            ((Path(name).suffix, *kind), str(cell))
            for name, tree in trees.items()
            for kind, cell in leaves(tree)
        ]

    # -- learn

    def keep_what_holds(self, cells: list[Cell], rows: list[Row]) -> None:
        self.exact = {law for law in self.exact if self.is_exact(law, cells, rows)}
        words = words_of(cells)
        self.known = {c for c in self.known if words.issuperset(" ".join(values(rows, c)).split())}

    def is_exact(self, law: tuple[Kind, str], cells: list[Cell], rows: list[Row]) -> bool:
        """Whether the column has the cells of the kind, one for one.

        A cell that is not there may be an empty text of the row, and no row may be less.
        """
        expected = [text for kind, text in cells if kind == law[0]]
        found = values(rows, law[1])
        return len(found) >= len(expected) and [*filter(None, found)] == [*filter(None, expected)]

    def vary_inner_lists(self) -> None:
        """Forget what does not hold of fewer or more items: a title may have many paragraphs."""
        for name, data in self.clean.items():
            for number in range(len(inner_lists(self.formats[name].load(data)))):
                for vary in (list.clear, lambda x: x.append(x[0]), lambda x: x.pop(0)):
                    tree = self.formats[name].load(data)
                    vary(inner_lists(tree)[number])
                    changed = {name: self.formats[name].dump(tree)}
                    self.write(self.clean | changed)
                    with suppress(InputError):
                        self.keep_what_holds(self.cells(**changed), self.rows())

    # -- check

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
            if not self.is_exact(law, cells, rows):
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


def words_of(cells: list[Cell]) -> set[str]:
    return {word for _, text in cells for word in text.split()}


def inner_lists(node: Any, inside: bool = False) -> list[list]:
    """Return the lists that stand in lists and are not empty."""
    if isinstance(node, dict):
        return [found for value in node.values() for found in inner_lists(value, inside)]
    if not isinstance(node, list) or isinstance(node, Cells):
        return []
    found = [inner for value in node for inner in inner_lists(value, True)]
    return [node, *found] if inside and node else found


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
