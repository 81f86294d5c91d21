"""Entities as character spans, from tags a token and from ``<entity:TAG>`` in the text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

OUTSIDE = ("O", "-")
MARK = re.compile(r"<([^<>]+?):([A-Za-z][A-Za-z0-9_-]*)>")
CLOSE = re.compile(r":([A-Za-z][A-Za-z0-9_-]*)>")
OPENS, CLOSES = {"B", "S", "U"}, {"E", "L", "S", "U"}


def spans_of_tags(tags: Iterable[tuple[str, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield ``(first token, one past the last, label)`` of ``(mark, label)`` a token.

    The mark is one of B, I, E, S (BIOES), L, U (BILOU), or empty outside of an entity. As in
    conlleval, an inside token begins an entity where none of its label is open, so that IOB1 is
    read as well.
    """
    start, open_label, number = 0, "", -1
    for number, (mark, label) in enumerate(tags):
        if open_label and (not mark or mark in OPENS or label != open_label):
            yield start, number, open_label
            open_label = ""
        if mark and not open_label:
            start, open_label = number, label
        if mark in CLOSES:
            yield start, number + 1, open_label
            open_label = ""
    if open_label:
        yield start, number + 1, open_label


def join_tokens(
    tokens: Sequence[str], tags: Iterable[tuple[str, str]], separator: str = " "
) -> tuple[str, list[dict[str, Any]]]:
    """Return the text of `tokens` and the entities of `tags` (see `spans_of_tags`) in it."""
    starts, position = [], 0
    for token in tokens:
        starts.append(position)
        position += len(token) + len(separator)
    entities = [
        {"start": starts[first], "end": starts[end - 1] + len(tokens[end - 1]), "label": label}
        for first, end, label in spans_of_tags(tags)
    ]
    return separator.join(tokens), entities


def untag(tagged: str, text: str | None = None) -> tuple[str, list[dict[str, Any]]] | None:
    """Return the text of `tagged` without its tags, and their entities.

    Where the original `text` is known, which may hold ``<``, ``>`` and ``:`` itself, the tags are
    those that leave it; None where no choice of tags does.
    """
    pieces, entities, length, end = [], [], 0, 0
    for mark in MARK.finditer(tagged):
        pieces += [tagged[end : mark.start()], mark[1]]
        start = length + mark.start() - end
        length = start + len(mark[1])
        entities.append({"start": start, "end": length, "label": mark[2]})
        end = mark.end()
    plain = "".join(pieces) + tagged[end:]
    if text is None or plain == text:
        return plain, entities
    found = _align(tagged, text)
    return None if found is None else (text, found)


def _align(tagged: str, text: str) -> list[dict[str, Any]] | None:
    """Search for the tags that leave `text`; of several choices, the one with early short tags."""
    stack, seen = [(0, 0, -1, ())], set()
    while stack:
        at, position, start, found = stack.pop()
        if (at, position, start) in seen:
            continue
        seen.add((at, position, start))
        if at == len(tagged):
            if position == len(text) and start < 0:
                entities = []
                while found:
                    found, entity = found
                    entities.append(dict(zip(("start", "end", "label"), entity, strict=True)))
                return entities[::-1]
            continue
        # what is pushed last is tried first
        if tagged[at] == text[position : position + 1]:
            stack.append((at + 1, position + 1, start, found))
        if start < 0 and tagged[at] == "<":
            stack.append((at + 1, position, position, found))
        if 0 <= start < position and (close := CLOSE.match(tagged, at)):
            stack.append((close.end(), position, -1, (found, (start, position, close[1]))))
    return None
