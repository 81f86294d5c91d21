"""What test_fuzz is made of: official formats as trees, sentinels, mutations and an oracle.

A file is a tree of lists, dicts and cells. `Subject` fills the cells of a corpus' fixtures with
sentinels (no Hangul syllable stands in two cells) and learns from one parse which column each kind
of cell lands in. After a mutation an independent reader makes a tree of the file again, and what
`parse` makes of the file is held against that tree: text may only stand in a column where its kind
of cell belongs, a row only holds cells of one source row, columns that were the cells of a kind
one for one still are, labels still follow the cell that decides them.
"""

import csv
import io
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape

import pyarrow as pa
from datasets import ClassLabel, Features, List

from nlpbook_data.data.cache import as_tables
from nlpbook_data.errors import InputError

SYLLABLES = [chr(code) for code in range(0xAC00, 0xD7A4)]
DEEP, HUGE, INFINITE, TWICE = "@deep@", "@huge@", "@infinite@", "@twice@"
Kind = tuple[
    str | int, ...
]  # where a cell stands, list positions left out: ("data", "[]", "title")


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


def blocks(separator: str = "\t", comment: str | None = None) -> Format:
    """CoNLL: a line a token, cells between separators, a blank line between sentences."""

    def load(data: bytes) -> Any:
        lines = text_lines(data)
        if lines is None:
            return None
        found: list[list[Cells]] = [[]]
        for line in lines:
            if not line:
                found.append([])
            elif comment and line.startswith(comment):
                found[-1].append(Cells([comment, *line.removeprefix(comment).split(separator)]))
            else:
                found[-1].append(Cells(line.split(separator)))
        return [block for block in found if block]

    def dump(tree: Any) -> bytes:
        def line(row: Cells) -> str:
            if comment and row and row[0] == comment:
                return comment + separator.join(row[1:])
            return separator.join(row)

        text = "\n".join("".join(f"{line(row)}\n" for row in block) for block in tree)
        return text.encode()

    return Format(load, dump)


def klue_ner() -> Format:
    """KLUE-NER: comments, then sentences of a ``## id⇥tagged text`` and ``character⇥tag`` lines."""
    columns = "## 컬럼명 : CHAR\tNE_TAG"

    def load(data: bytes) -> Any:
        lines = text_lines(data)
        if lines is None or columns not in lines:
            return None
        start = lines.index(columns) + 1
        tree: dict[str, list] = {"comments": lines[:start], "sentences": []}
        for line in lines[start:]:
            if line.startswith("## "):
                sentence = {"head": Cells(line[3:].split("\t", 1)), "characters": []}
                tree["sentences"].append(sentence)
            elif line.strip("\t"):
                if not tree["sentences"]:
                    return None
                tree["sentences"][-1]["characters"].append(Cells(line.split("\t", 1)))
        return tree

    def dump(tree: Any) -> bytes:
        lines = list(tree["comments"])
        for sentence in tree["sentences"]:
            lines.append("## " + "\t".join(sentence.get("head", [])))
            lines += ["\t".join(row) for row in sentence.get("characters", [])]
            lines.append("")
        return "".join(f"{line}\n" for line in lines).encode()

    return Format(load, dump)


def sections() -> Format:
    """Wikitext: sections of a `` = title =`` line and the lines after it."""

    def load(data: bytes) -> Any:
        lines = text_lines(data)
        if lines is None or not (lines[:1] or [" ="])[0].startswith(" ="):
            return None
        found: list[dict] = []
        for line in lines:
            if line.startswith(" ="):
                found.append({"title": line, "lines": []})
            else:
                found[-1]["lines"].append(line)
        return found

    def dump(tree: Any) -> bytes:
        lines = [line for row in tree for line in (row.get("title", ""), *row.get("lines", []))]
        return "".join(f"{line}\n" for line in lines).encode()

    return Format(load, dump)


TMX = (
    '<?xml version="1.0" encoding="UTF-8" ?>\n<tmx version="1.4">\n<header srclang="en"/>\n'
    "  <body>\n{}  </body>\n</tmx>\n"
)


def tmx() -> Format:
    """TMX: a translation unit has a segment in each language."""

    def load(data: bytes) -> Any:
        try:
            root = xml(data)
        except (expat.ExpatError, ValueError):
            return None
        units = []
        for unit in root.iter("tu"):
            texts: dict[str, str] = {}
            for variant in unit.iter("tuv"):
                language = variant.get("xml:lang", "")
                for segment in variant.iter("seg"):
                    texts[language] = "".join(segment.itertext())
            units.append(texts)
        return units

    def dump(tree: Any) -> bytes:
        units = (
            "    <tu>\n"
            + "".join(
                f'      <tuv xml:lang="{language}"><seg>{escape(text)}</seg></tuv>\n'
                for language, text in unit.items()
            )
            + "    </tu>\n"
            for unit in tree
        )
        return TMX.format("".join(units)).encode()

    return Format(load, dump)


def xml(data: bytes) -> ElementTree.Element:
    """Return the tree, without namespaces and doctypes."""

    def refuse(*_: object) -> None:
        raise ValueError("a doctype")

    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate("UTF-8")
    parser.StartElementHandler = lambda name, found: builder.start(name.rpartition(":")[2], found)
    parser.EndElementHandler = lambda name: builder.end(name.rpartition(":")[2])
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)
    return builder.close()


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


def leaves(
    node: Any, types: Any = str, kind: Kind = (), at: tuple[int, ...] = ()
) -> Iterator[tuple]:
    """Yield ``(kind, list positions, cell)`` of each cell of `types` in a tree."""
    if isinstance(node, types):
        yield kind, at, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, types, (*kind, key), at)
    elif isinstance(node, Cells):
        for n, value in enumerate(node):
            yield from leaves(value, types, (*kind, n), at)
    elif isinstance(node, list):
        for n, value in enumerate(node):
            yield from leaves(value, types, (*kind, "[]"), (*at, n))


def rewrite(node: Any, change: Callable, kind: Kind = (), at: tuple[int, ...] = ()) -> Any:
    """Return the tree with ``change(kind, at, cell)`` in the place of each cell."""
    if isinstance(node, dict):
        return {key: rewrite(value, change, (*kind, key), at) for key, value in node.items()}
    if isinstance(node, Cells):
        return Cells(rewrite(value, change, (*kind, n), at) for n, value in enumerate(node))
    if isinstance(node, list):
        return [rewrite(v, change, (*kind, "[]"), (*at, n)) for n, v in enumerate(node)]
    return change(kind, at, node)


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
    *(
        "",
        " ",
        "0",
        "가나다",
        "\ud83d",
        "\u2028",
        "\t",
        "\n",
        "없음",
        ["가나다"],
        {"text": "가나다"},
    ),
    *(DEEP, HUGE, INFINITE, float("nan")),
]


def mutate(data: bytes, form: Format, seed: int) -> tuple[str, bytes]:
    """Return the name of a mutation that `seed` chooses and the data after it."""
    rng = random.Random(seed)
    kinds = [_bytes, _bytes, _line, _line, _separator, _token, _token, _tree, _tree, _tree, _tree]
    chosen = rng.choice([*kinds, _tree, _tree, _whole])
    try:
        name, changed = chosen(data, form, rng)
    except (LookupError, ValueError, TypeError):  # nothing there that it could change
        return f"no {chosen.__name__}", data
    return f"{chosen.__name__[1:]}: {name}", changed


def _bytes(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
    at = rng.randrange(len(data))
    name = rng.choice(["delete", "duplicate", "insert", "flip", "cut"])
    if name == "delete":
        return name, data[:at] + data[at + 1 :]
    if name == "duplicate":
        return name, data[: at + 1] + data[at:]
    if name == "insert":
        return name, data[:at] + bytes([rng.randrange(256)]) + data[at:]
    if name == "flip":
        return name, data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    return name, data[:at]


def _line(data: bytes, form: Format, rng: random.Random) -> tuple[str, bytes]:
    lines = data.splitlines(keepends=True)
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    name = rng.choice(["delete", "duplicate", "swap", "blank", "join", "cut", "header", "huge"])
    if name == "delete":
        del lines[one]
    elif name == "duplicate":
        lines.insert(two, lines[one])
    elif name == "swap":
        lines[one], lines[two] = lines[two], lines[one]
    elif name == "blank":
        lines.insert(one, b"\n")
    elif name == "join":
        lines[one] = lines[one].rstrip(b"\r\n")
    elif name == "cut":
        lines = lines[:one]
    elif name == "header":
        lines = lines[:1]
    elif rng.random() < 0.1:
        lines[one] = lines[one][:-1] + "긴".encode() * 70_000 + b"\n"
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


# --- the oracle ------------------------------------------------------------------------------

# What an error about one place says after the file's name.
PLACE = re.compile(
    r"\b(line|row|character|byte|item|article|paragraph|question) [\d,]+|after [\d,]+ rows"
    r"|\b(document|sentence) "  # and its id
)
# Faults of a whole file, for which its name alone is right.
WHOLE_FILE = re.compile(r"^: (not JSON \(|found the keys)")


SWAPS = 6  # how many of a column's cells are tried in the place of its first


class Subject:
    """A parser with its fixture of one split, full of sentinels, and what it makes of them.

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
        self.parse, self.features, self.formats = parse, features, formats
        self.schema = SimpleNamespace(arrow_schema=features.arrow_schema)  # which is slow to make
        self.paths = {name: folder / name for name in files}
        for path in self.paths.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        trees = {name: formats[name].load(data) for name, data in files.items()}
        untouched = self.write_and_parse({name: formats[name].dump(t) for name, t in trees.items()})
        assert untouched == self.write_and_parse(files), "the format's reader and writer disagree"
        assert untouched, "a fixture without rows"
        self.used = set().union(
            *(t for name, tree in trees.items() for _, _, t in named(name, tree))
        )
        self.clean = self.fill(trees, untouched)
        self.views = {name: self.view(name, data) for name, data in self.clean.items()}
        self.learn()
        self.mutated = ""  # the file that is not as `clean` has it

    # -- parse

    def write_and_parse(self, files: dict[str, bytes]) -> list[dict[str, Any]]:
        for name, data in files.items():
            self.paths[name].write_bytes(data)
        return self.rows()

    def rows(self) -> list[dict[str, Any]]:
        """Return what `parse` makes of the files, as rows that Arrow took."""
        tables = list(as_tables(self.parse(list(self.paths.values())), self.schema))
        return pa.concat_tables(tables).to_pylist() if tables else []

    def view(self, name: str, data: bytes) -> list[tuple] | None:
        """Return the cells of a file, or None where it must be refused."""
        tree = self.formats[name].load(data)
        return None if tree is None else named(name, tree)

    # -- sentinels

    def fill(self, trees: dict[str, Any], untouched: list[dict[str, Any]]) -> dict[str, bytes]:
        """Return the files with all cells that take them filled with sentinels."""
        kinds = {k: [] for name, tree in trees.items() for k, _, _ in named(name, tree)}
        shape = [skeleton(row) for row in untouched]

        def attempt(chosen: dict[Kind, tuple[str, tuple[Kind, ...]]]) -> dict[str, bytes] | None:
            filled = self.filled(trees, chosen)
            try:
                rows = self.write_and_parse(filled)
            except InputError:
                return None
            except Exception as error:
                raise Fault(f"a crash: {type(error).__name__}: {error}") from error
            return filled if [skeleton(row) for row in rows] == shape else None

        chosen: dict[Kind, tuple[str, tuple[Kind, ...]]] = {}
        # "same": equal texts stay equal, for what rows are gathered by
        for reach, size in (
            *(("all", 1), ("hangul", 1), ("hangul", 2), ("hangul", 3)),
            *(("all same", 1), ("hangul same", 1)),
        ):
            left = [k for k in kinds if k not in chosen and self.reaches(trees, k, reach)]
            for group in combinations(left, size):
                linkable = len({kind[0] for kind in group}) == 1 and chosen.keys().isdisjoint(group)
                trial = {kind: (reach, group) for kind in group}
                if linkable and attempt(trial):
                    chosen |= trial
        filled = attempt(chosen)
        assert filled, f"sentinels in {sorted(map(str, chosen))} one by one, but not in all at once"
        self.filled_kinds = set(chosen)
        self.gathering = {kind for kind, (reach, _) in chosen.items() if reach.endswith("same")}
        return filled

    def reaches(self, trees: dict[str, Any], kind: Kind, reach: str) -> bool:
        """Whether a kind of cell has something to fill."""
        return any(
            any(map(REACH[reach.split()[0]], t))
            for k, _, t in named(kind[0], trees[kind[0]])
            if k == kind
        )

    def filled(self, trees: dict[str, Any], chosen: dict) -> dict[str, bytes]:
        fresh = iter(s for s in SYLLABLES if s not in self.used)
        known: dict[tuple, str] = {}

        def change(kind: Kind, at: tuple[int, ...], text: str) -> str:
            if kind not in chosen or not isinstance(text, str):
                return text
            reach, group = chosen[kind]
            # linked cells share their sentinels as far up as they share a row
            where = at if len(group) == 1 else at[: min(map(shared_depth, combinations(group, 2)))]
            key = kind if len(group) == 1 else group
            where = () if reach.endswith("same") else where
            takes = REACH[reach.split()[0]]
            return "".join(
                (known.get((key, where, c)) or known.setdefault((key, where, c), next(fresh)))
                if takes(c)
                else c
                for c in text
            )

        return {
            name: self.formats[name].dump(
                rewrite(tree, lambda kind, at, text, name=name: change((name, *kind), at, text))
            )
            for name, tree in trees.items()
        }

    # -- learn

    def learn(self) -> None:
        """Learn which columns each kind of cell lands in, and what belongs to one row."""
        rows = self.write_and_parse(self.clean)
        cells = [cell for view in self.views.values() for cell in view]
        sentinels = set(SYLLABLES) - self.used
        self.sentinels = sentinels
        positions = self.owners(cells)
        self.columns: dict[Kind, set[str]] = defaultdict(set)
        for row in rows:
            for column, value in texts_of(row):
                for c in sentinels.intersection(value):
                    for kind, _ in positions[c]:
                        self.columns[kind].add(column)
        # kinds of which a column is the cells, one for one and in order
        self.exact: list[tuple[set[Kind], str]] = []
        for kind, columns in self.columns.items():
            for column in columns:
                alike = {k for k in self.columns if k[1:] == kind[1:] and column in self.columns[k]}
                for group in ({kind}, alike):
                    same = [t for k, _, t in cells if k in group and t] == values_of(rows, column)
                    if same and (group, column) not in self.exact:
                        self.exact.append((group, column))
        # of which levels a row holds several: answers of a question, lines of a document
        self.single: set[Kind] = {level for kind, _, _ in cells for level in levels(kind)}
        self.single -= self.shared_levels(cells, rows)
        self.other_names = self.find_other_names(cells)
        self.complete = set(self.columns)
        self.complete -= {kind for kind, _, _ in self.dropped(cells, rows)}
        self.allow_for_nesting()
        self.laws = self.find_laws(rows)
        self.aligned = self._aligned(rows, positions)

    def owners(self, cells: list[tuple]) -> dict[str, list[tuple]]:
        """Return ``{sentinel: [(kind, list positions), …]}``."""
        found: dict[str, list] = defaultdict(list)
        for kind, at, text in cells:
            for c in self.sentinels.intersection(text):
                found[c].append((kind, at))
        return found

    def shared_levels(self, cells: list[tuple], rows: list[dict[str, Any]]) -> set[Kind]:
        """Return the lists of which one row holds several items."""
        owners, shared = self.owners(cells), set()
        for row in rows:
            seen: dict[Kind, set] = defaultdict(set)
            for _, value in texts_of(row):
                for c in self.sentinels.intersection(value):
                    if len(owners[c]) == 1:
                        ((kind, at),) = owners[c]
                        for level in levels(kind):
                            seen[level].add(at[: level.count("[]")])
            shared |= {level for level, found in seen.items() if len(found) > 1}
        return shared

    def _aligned(self, rows: list, positions: dict) -> bool:
        """Whether a row holds cells of several files, line n of each."""
        for row in rows:
            files = {
                kind[0]
                for _, value in texts_of(row)
                for c in self.sentinels.intersection(value)
                for kind, _ in positions[c]
            }
            if len(files) > 1:
                return True
        return False

    def find_other_names(self, cells: list[tuple]) -> dict[Kind, list[Kind]]:
        """Return the kinds of cells that take the place of another, never beside it."""
        at: dict[Kind, set] = defaultdict(set)
        for kind, position, _ in cells:
            at[kind].add(position)
        return {
            kind: [
                other
                for other in self.columns
                if other != kind
                and other[:-1] == kind[:-1]
                and self.columns[other] == self.columns[kind]
                and at[other].isdisjoint(at[kind])
            ]
            for kind in self.columns
        }

    def allow_for_nesting(self) -> None:
        """Drop from `exact`, `complete` and `single` what does not hold where inner lists vary.

        A context stands in as many rows as it has questions, in none if it has none; a section
        may have one line or many.
        """
        texts = [(kind, text) for view in self.views.values() for kind, _, text in view]
        used = set().union(*(text for _, text in texts))
        kept = set().union(*(text for kind, text in texts if kind in self.gathering))
        change = sorted((used - kept) & self.sentinels)
        other = dict(zip(change, sorted(self.sentinels - used), strict=False))

        def add_another(items: list) -> None:
            for number, item in enumerate(items):
                another = rewrite(item, lambda k, at, t: translated(t, other))
                if another != item:
                    items.insert(number + 1, another)
                    return

        for name, data in self.clean.items():
            count = len(inner_lists(self.formats[name].load(data)))
            for number in range(count):
                for vary in (list.clear, lambda x: x.append(x[0]), lambda x: x.pop(0), add_another):
                    tree = self.formats[name].load(data)
                    vary(inner_lists(tree)[number])
                    try:
                        rows = self.write_and_parse({name: self.formats[name].dump(tree)})
                    except InputError:
                        continue
                    cells = self.cells(name, named(name, tree))
                    self.exact = [e for e in self.exact if not self.inexact(e, cells, rows)]
                    self.complete -= {kind for kind, _, _ in self.dropped(cells, rows)}
                    self.single -= self.shared_levels(cells, rows)
            self.write_and_parse({name: data})

    def cells(self, name: str, view: list[tuple]) -> list[tuple]:
        """Return the cells of all files, those of `name` as in `view`."""
        return [c for n, clean in self.views.items() for c in (view if n == name else clean)]

    def inexact(self, exact: tuple[set[Kind], str], cells: list[tuple], rows: list) -> bool:
        """Whether a column that should be the cells of some kinds is not."""
        expected = [text for kind, _, text in cells if kind in exact[0] and text]
        return expected != values_of(rows, exact[1])

    def dropped(self, cells: list[tuple], rows: list) -> list[tuple]:
        """Return the cells of which no row has all sentinels, though their kind lands in one."""
        seen = {c for row in rows for _, value in texts_of(row) for c in value}
        lost = [
            cell
            for cell in cells
            if cell[0] in self.complete and not self.sentinels.intersection(cell[2]) <= seen
        ]
        # a key and its other name, of which a file has one, can only land in one column
        places = {(kind, at) for kind, at, _ in cells} if lost else ()
        return [
            (kind, at, text)
            for kind, at, text in lost
            if not any((other, at) in places for other in self.other_names.get(kind, ()))
        ]

    def find_laws(self, rows: list[dict[str, Any]]) -> dict[tuple[Kind, str], dict]:
        """Return ``{(kind, column): {cell: value}}`` of the cells that decide a column's value.

        That they do is tried: with two of them swapped, the values must be swapped, and no other.
        """
        laws = {}
        trees = {name: self.formats[name].load(data) for name, data in self.clean.items()}
        filled = {kind[1:] for kind in self.filled_kinds}
        for kind, found in scalars(trees).items():
            if len(found) != len(rows) or kind in filled:
                continue
            for second in [n for n, cell in enumerate(found) if cell != found[0]][:SWAPS]:
                after = self.swapped(trees, kind, found, second)
                for column in rows[0] if after else ():
                    old, new = ([repr(skeleton(row[column])) for row in r] for r in (rows, after))
                    law = dict(zip(found, old, strict=True))
                    decided = old == [law[cell] for cell in found] and old[0] != old[second]
                    old[0], old[second] = old[second], old[0]
                    if decided and old == new:
                        laws[kind, column] = law
        self.write_and_parse(self.clean)
        return laws

    def swapped(self, trees: dict, kind: Kind, found: list, second: int) -> list | None:
        """Return the rows with the first cell of `kind` and another swapped; None if refused."""
        count, order = iter(range(len(found))), {0: found[second][1], second: found[0][1]}

        def swap(k: Kind, at: tuple, cell: Any) -> Any:
            return order.get(next(count), cell) if k == kind else cell

        files = {n: self.formats[n].dump(rewrite(t, swap)) for n, t in trees.items()}
        try:
            return self.write_and_parse(files)
        except InputError:
            return None

    # -- check

    def check(self, name: str, data: bytes) -> str:
        """Parse the files with `name` as `data`; return "rows" or the error, raise Fault."""
        path = self.paths[name]
        self.restore(name)
        self.mutated = name
        path.write_bytes(data)
        try:
            rows = self.rows()
        except InputError as error:
            self.check_message(str(error), path)
            return str(error)
        except Exception as error:
            raise Fault(f"a crash: {type(error).__name__}: {error}") from error
        self.check_rows(name, rows, self.view(name, data))
        self.check_laws(name, data, rows)
        return "rows"

    def restore(self, name: str = "") -> None:
        """Write the file of the last mutation as it was, unless it is `name`."""
        if self.mutated and self.mutated != name:
            self.paths[self.mutated].write_bytes(self.clean[self.mutated])

    def check_message(self, message: str, path: Path) -> None:
        where = [str(p) for p in self.paths.values() if str(p) in message]
        if not where:
            raise Fault(f"an error that does not name the file: {message}")
        said = message.replace(where[0], "", 1)
        if not PLACE.search(said) and not WHOLE_FILE.search(said):
            raise Fault(f"an error that does not name the row: {message}")
        if len(said) > 600 or "\n" in said or not said.endswith("."):
            raise Fault(f"an error that is no sentence or two: {message[:1000]}")

    def check_rows(self, name: str, rows: list[dict[str, Any]], view: list[tuple] | None) -> None:
        if view is None:
            raise Fault(f"rows of what is no such file: {rows}")
        self.check_values(rows)
        header = [[c for c in v if c[0][1:2] == ("header",)] for v in (view, self.views[name])]
        if header[0] != header[1]:
            raise Fault(f"rows under a header that is another: {header[0]}")
        cells = self.cells(name, view)
        owners = self.owners(cells)
        for exact in self.exact:
            if self.inexact(exact, cells, rows):
                raise Fault(f"{exact[1]} is not the cells {exact[0]}: {rows}")
        for row in rows:
            self.check_row(row, owners)
        for kind, at, text in self.dropped(cells, rows):
            raise Fault(f"dropped without a word: {kind} {at}: {text!r}")

    def check_row(self, row: dict[str, Any], owners: dict[str, list]) -> None:
        """Each sentinel in a column of its kind, and all of them of one source row."""
        common: dict[Kind, set] = {}
        for column, value in texts_of(row):
            for c in self.sentinels.intersection(value):
                places = [p for p in owners[c] if column in self.columns.get(p[0], ())]
                if not places:
                    raise Fault(f"shifted: {c} of {owners[c]} stands in {column}: {row}")
                self.narrow(common, places, row)

    def narrow(self, common: dict[Kind, set], places: list[tuple], row: dict[str, Any]) -> None:
        for level in levels(places[0][0]):
            key = ("[]",) if self.aligned and level.count("[]") == 1 else level
            if level not in self.single:
                continue
            if len(places) > 1 and any(level not in levels(kind) for kind, _ in places):
                continue
            depth = level.count("[]")
            found = {at[:depth] for _, at in places}
            common[key] = common[key] & found if key in common else found
            if not common[key]:
                raise Fault(f"cells of several source rows in one: {row}")

    def check_laws(self, name: str, data: bytes, rows: list[dict[str, Any]]) -> None:
        """A label is that of its row's cell, and no other cell means the same label."""
        if not self.laws:
            return
        cells = scalars({n: self.formats[n].load(d) for n, d in {**self.clean, name: data}.items()})
        for (kind, column), law in self.laws.items():
            if len(cells.get(kind, ())) != len(rows):
                continue
            for cell, row in zip(cells[kind], rows, strict=True):
                value = repr(skeleton(row[column]))
                # another cell must not mean the same label, where each label has one
                one = isinstance(self.features[column], ClassLabel)
                one = one and len(set(law.values())) == len(law) and value in law.values()
                if law.get(cell, value) != value or (cell not in law and one):
                    raise Fault(f"{column} is {value} where the file has {cell}: {row}")

    def check_values(self, rows: list[dict[str, Any]]) -> None:
        """Labels are ids of labels, spans lie in the text."""
        for row in rows:
            for column, value in row.items():
                self.check_value(self.features[column], value, row)

    def check_value(self, feature: Any, value: Any, row: dict[str, Any]) -> None:
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


def inner_lists(node: Any, inside: bool = False) -> list[list]:
    """Return the lists that stand in lists and are not empty."""
    if isinstance(node, dict):
        return [found for value in node.values() for found in inner_lists(value, inside)]
    if not isinstance(node, list) or isinstance(node, Cells):
        return []
    found = [inner for value in node for inner in inner_lists(value, True)]
    return [node, *found] if inside and node else found


def scalars(trees: dict[str, Any]) -> dict[Kind, list[tuple[str, Any]]]:
    """Return the cells of all files by kind, in order, each with its type."""
    found: dict[Kind, list] = defaultdict(list)
    for tree in trees.values():
        for kind, _, cell in leaves(tree, (str, int, float, bool)):
            found[kind].append((type(cell).__name__, cell))
    return found


REACH = {"all": str.isalnum, "hangul": lambda c: "가" <= c <= "힣"}


def named(name: str, tree: Any) -> list[tuple]:
    """Return the cells of a file, numbers as texts."""
    cells = leaves(tree, (str, int, float))
    return [((name, *kind), at, t if isinstance(t, str) else str(t)) for kind, at, t in cells]


@cache
def levels(kind: Kind) -> list[Kind]:
    """Return the lists that a kind of cell stands in, from the outermost."""
    return [kind[: n + 1] for n, part in enumerate(kind) if part == "[]"]


def shared_depth(pair: tuple[Kind, Kind]) -> int:
    """Return how many lists two kinds of cells share."""
    return len(set(levels(pair[0])) & set(levels(pair[1])))


def translated(cell: Any, table: dict[str, str]) -> Any:
    return "".join(table.get(c, c) for c in cell) if isinstance(cell, str) else cell


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


def values_of(rows: list[dict[str, Any]], column: str) -> list[str]:
    return [value for row in rows for name, value in texts_of(row) if name == column and value]


def skeleton(row: Any) -> Any:
    """Return a row with its texts left out."""
    if isinstance(row, dict):
        return {key: skeleton(value) for key, value in row.items()}
    if isinstance(row, list):
        return [skeleton(value) for value in row]
    return "" if isinstance(row, str) else row
