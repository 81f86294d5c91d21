"""Entities as character spans, from token tags or from ``<entity:TAG>`` in the text."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from nlpbook_data.errors import InputError

Entities = tuple[str, list[dict[str, Any]]]  # a text, and ``{"start", "end", "label"}`` in it
OUTSIDE = ("O", "-")
# The TAG of <entity:TAG>. Words of Hangul, composed or decomposed, are often text: <사진:연합뉴스>.
LATIN, HANGUL = "[A-Za-z][A-Za-z0-9_-]*", r"[가-힣\u1100-\u11ff][\w-]*"
PREFIX = re.compile(r"(?P<mark>[BIMESLUW])[-_](?P<label>.+)")
SUFFIX = re.compile(r"(?P<label>.+)[-_](?P<mark>[BIMESLUW])")
# A tag without a mark (IO): neighbouring tokens with the same label are one entity.
BARE = re.compile(r"(?P<mark>)(?P<label>[^\W\d][\w.-]*)")
OPENS, CLOSES = {"B", "S", "U", "W"}, {"E", "L", "S", "U", "W"}


def spans_of_tags(tags: Iterable[tuple[str, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield ``(first token, last token + 1, label)`` from the ``(mark, label)`` of each token.

    The mark is one of B, I, E, S (BIOES), L, U (BILOU), M, W (BMES, BMEWO), or empty outside of an
    entity. As in conlleval, an inside token begins an entity if no entity of its label is open, so
    IOB1 is read too.
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


def split_tag(place: str, tag: str, scheme: re.Pattern | None = None) -> tuple[str, str]:
    """Return mark and label of a tag such as B-PER or PER_B; without a `scheme`, in any form."""
    if tag in OUTSIDE:
        return "", ""
    found = scheme.fullmatch(tag) if scheme else PREFIX.fullmatch(tag) or SUFFIX.fullmatch(tag)
    if not found and scheme is None:
        found = BARE.fullmatch(tag)
    if not found:
        known = {SUFFIX: "O, -, …_B or …_I", BARE: "O or a label"}.get(
            scheme or PREFIX, "O, B-… or I-…"
        )
        raise InputError(
            f"{place}: found the tag {tag[:40]!r} where one like {known} belongs. Mend the line; a "
            "tag says whether it begins an entity or goes on with one."
        )
    return found["mark"] or "I", found["label"]


def join_tokens(
    tokens: Sequence[str], tags: Iterable[tuple[str, str]], separator: str = " "
) -> Entities:
    """Return the text of `tokens`, and the entities of `tags` (see `spans_of_tags`) in it."""
    starts, position = [], 0
    for token in tokens:
        starts.append(position)
        position += len(token) + len(separator)
    entities = [
        {"start": starts[first], "end": starts[end - 1] + len(tokens[end - 1]), "label": label}
        for first, end, label in spans_of_tags(tags)
    ]
    return separator.join(tokens), entities


def number_labels(entities: Iterable[dict[str, Any]], ids: dict[str, int]) -> list[dict[str, Any]]:
    """Return `entities` with the ids of their labels."""
    return [entity | {"label": ids[entity["label"]]} for entity in entities]


def mark_of(tag: str) -> re.Pattern:
    """Return the pattern of ``<entity:TAG>`` for `tag`, ``LATIN`` or ``HANGUL``."""
    return re.compile(rf"<([^<>]+?):({tag})>")


def untag(tagged: str, labels: Collection[str] | None = None, tag: str = LATIN) -> Entities:
    """Return the text of `tagged` without its tags, and the entities; of `labels`, if given."""
    pieces, entities, length, end = [], [], 0, 0
    for mark in mark_of(tag).finditer(tagged):
        if labels is not None and mark[2] not in labels:
            continue
        pieces += [tagged[end : mark.start()], mark[1]]
        start = length + mark.start() - end
        length = start + len(mark[1])
        entities.append({"start": start, "end": length, "label": mark[2]})
        end = mark.end()
    return "".join(pieces) + tagged[end:], entities


def untag_text(
    tagged: str, text: str, labels: Collection[str] | None = None, tag: str = LATIN
) -> list[dict[str, Any]] | None:
    """Return the entities of `tagged`, whose tags are chosen so that their removal gives `text`.

    The text may itself contain ``<``, ``>`` and ``:``. The result is None if no choice gives it.
    Only tags of `labels` count, if given.

    Of several choices, entities with as many ``<`` as ``>`` are preferred: in ``<<2>:NOH>`` the
    entity is ``<2>``, in ``<<내부자들:POH>>`` it is the part between the outer brackets. Next, an
    entity is preferred to a literal ``<``, and a shorter entity to a longer one.
    """
    plain, entities = untag(tagged, labels, tag)
    if plain == text:
        return entities
    closes = [
        (close.start(), close.end(), close[1])
        for close in re.finditer(rf":({tag})>", tagged)
        if labels is None or close[1] in labels
    ]
    found = _align(tagged, text, closes, paired=True)
    return _align(tagged, text, closes, paired=False) if found is None else found


def _align(
    tagged: str, text: str, closes: Sequence[tuple[int, int, str]], paired: bool
) -> list[dict[str, Any]] | None:
    """Find tags whose removal gives `text`; `closes` are ``(start, end, label)`` of ``:TAG>``."""
    # positions in `text` and `tagged`, and the entities so far as a linked list
    stack: list[tuple[int, int, tuple]] = [(0, 0, ())]
    seen: set[tuple[int, int]] = set()
    while stack:
        position, at, found = stack.pop()
        opening = tagged.find("<", at)
        until = len(tagged) if opening < 0 else opening
        start = position + until - at
        if (start, until) in seen or text[position:start] != tagged[at:until]:
            continue
        seen.add((start, until))
        if opening < 0:
            if start == len(text):
                entities: list[dict[str, Any]] = []
                while found:
                    found, entity = found
                    entities.append(dict(zip(("start", "end", "label"), entity, strict=True)))
                return entities[::-1]
            continue
        # the last one pushed is tried first
        if text.startswith("<", start):
            stack.append((start + 1, until + 1, found))
        for close, after, label in reversed(closes):
            entity = tagged[until + 1 : close]
            if not entity or (paired and entity.count("<") != entity.count(">")):
                continue
            if text.startswith(entity, start):
                end = start + len(entity)
                stack.append((end, after, (found, (start, end, label))))
    return None
