"""WebAnno's and INCEpTION's TSV 3: one token on each line, features of layers in columns."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from nlpbook_data.errors import InputError
from nlpbook_data.reading.entities import Entities

FORMAT = "#FORMAT=WebAnno TSV 3"
ESCAPED = re.compile(r"\\(.)")
VALUE = re.compile(r"(?P<label>(?:\\.|[^\\\[\]])*?)(?:\[(?P<number>\d+)\])?")
FEATURES = ("value", "label", "class", "type", "category")
MEND = "Export the file again."


class Sentence(NamedTuple):
    """A sentence's lines of text, and its tokens: index, offsets, text, cell with entities."""

    texts: list[str]
    tokens: list[tuple[str, int, int, str, str]]


def sentences(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Sentence]]:
    """Yield ``(place, sentence)``; `lines` are ``(place, line)``.

    The entities are from the layer NamedEntity; else from the first span layer with a feature
    ``value`` or ``label``; else from the first span layer.
    """
    features: list[tuple[str, str]] = []
    column, begins, sentence = -1, "", Sentence([], [])
    for place, line in chain(lines, [("", "")]):
        if not line or (line.startswith("#Text=") and sentence.tokens):
            if sentence.tokens:
                yield begins, sentence
            begins, sentence = "", Sentence([], [])
        if line.startswith("#T_"):
            kind, _, rest = line[3:].partition("=")
            layer, *names = rest.split("|")
            features += [(layer if kind == "SP" else "", name) for name in names]
        elif line.startswith("#Text="):
            begins = begins or place
            sentence.texts.append(_unescape(line.removeprefix("#Text=")))
        elif line and not (line.startswith("#") and "\t" not in line):
            column = _column(place, features) if column < 0 else column
            cells = line.split("\t")
            span = re.fullmatch(r"(\d+)-(\d+)", cells[1] if len(cells) > 1 else "")
            if not span or len(cells) <= column:
                raise InputError(f"{place}: found {line[:60]!r}, no token of TSV 3. {MEND}")
            begins = begins or place
            sentence.tokens.append((cells[0], int(span[1]), int(span[2]), cells[2], cells[column]))


def _column(place: str, features: list[tuple[str, str]]) -> int:
    """Return the column of the feature with the entity labels; `features` are (layer, name)."""
    found = [
        ("NamedEntity" not in layer, [*FEATURES, name].index(name), column)
        for column, (layer, name) in enumerate(features, start=3)
        if layer
    ]
    if not found:
        raise InputError(f"{place}: the file has no layer of spans. Export one with entities.")
    return min(found)[2]


def read_sentence(place: str, sentence: Sentence) -> Entities:
    """Return the text of `sentence` and its entities."""
    tokens = sentence.tokens
    whole = [token for token in tokens if "." not in token[0]]
    text = "\n".join(sentence.texts) or " ".join(token[3] for token in whole)
    units = text.encode("utf-16-le")  # offsets count UTF-16 units in the whole document
    first = whole[0] if whole else tokens[0]
    base = first[1] - _units(text[: max(text.find(_unescape(first[3])), 0)])

    def place_of(offset: int) -> int:
        return len(units[: 2 * (offset - base)].decode("utf-16-le", "replace"))

    spans: dict[str, dict[str, Any]] = {}
    for _, start, end, _, cell in tokens:
        for number, value in enumerate(re.split(r"(?<!\\)\|", cell)):
            found = VALUE.fullmatch(value)
            if value in ("_", "") or not found or found["label"] in ("*", "_"):
                continue
            # a value without a number is an entity of only this token
            key = found["number"] or f"{start}-{end}-{number}"
            span = spans.setdefault(key, {"start": start, "label": _unescape(found["label"])})
            span["end"] = end
    for span in spans.values():
        span |= {"start": place_of(span["start"]), "end": place_of(span["end"])}
    return text, [*spans.values()]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _unescape(text: str) -> str:
    named = {"t": "\t", "n": "\n", "r": "\r"}
    return ESCAPED.sub(lambda found: named.get(found[1], found[1]), text)
