"""The book's named entities: ``text␞text with <entity:TAG>`` lines (from kmounlp/NER)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, List, Value

from nlpbook_data.corpora._read import malformed, read_lines
from nlpbook_data.corpus import Corpus, Split

TAGS = {
    "PER": "인물",
    "LOC": "장소",
    "ORG": "기관",
    "POH": "기타 고유명사",
    "DAT": "날짜",
    "TIM": "시간",
    "DUR": "기간",
    "MNY": "금액",
    "PNT": "비율",
    "NOH": "기타 수량",
}
LABELS = {tag: number for number, tag in enumerate(TAGS)}

CORPUS = Corpus(
    name="ner",
    task="ner",
    title="한국해양대 개체명 말뭉치 (책의 형식)",
    features=Features(
        text=Value("string"),
        entities=List(
            {
                "start": Value("int32"),
                "end": Value("int32"),
                "label": ClassLabel(names=list(TAGS.values())),
            }
        ),
    ),
    splits={
        "train": Split("train.txt", files=("train.txt",)),
        "validation": Split("10% carved from train", carved_from="train", share=0.1),
        "test": Split("val.txt (the only held-out file)", files=("val.txt",)),
    },
    license="비상업적 용도에 한해 MIT (MIT for non-commercial use only)",
    commercial=False,
    homepage="https://github.com/kmounlp/NER",
    citation="한국해양대학교 자연언어처리연구실 (2019). https://github.com/kmounlp/NER",
    by_hand=(
        "Put train.txt and val.txt of the book (ratsgo's NLPBOOK, 개체명 인식) there. Its Google "
        "Drive links answered with an HTML page when they were last tried. Or make them from "
        "https://github.com/kmounlp/NER: a sentence a line, text␞text with <entity:TAG>."
    ),
)

SEPARATOR = "␞"
CLOSING = re.compile(f":({'|'.join(TAGS)})>")


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield ``{"text": str, "entities": [{"start", "end", "label"}]}`` a line.

    The text is untouched; the tagged half must be it, plus tags.
    """
    for path in files:
        for place, line in read_lines(path):
            halves = line.split(SEPARATOR)
            if len(halves) != 2:
                raise malformed(place, line, f"text{SEPARATOR}text with <entity:TAG>")
            entities = align(*halves)
            if entities is None:
                raise malformed(place, halves[1], f"the text before {SEPARATOR} with <entity:TAG>")
            yield {"text": halves[0], "entities": entities}


def align(text: str, tagged: str) -> list[dict[str, int]] | None:
    """Return the entities of `tagged`, which is `text` with tags, or None where it is not.

    ``<``, ``>`` and ``:`` may be text as well, so both are read side by side, and a choice that
    does not fit to the end is taken back. Where several readings fit, the one holds whose
    entities have as many ``<`` as ``>``: of ``<<2>:NOH>`` it is ``<2>`` that is tagged, and of
    ``<<내부자들:POH>>`` what stands between the outer ones. Then an entity goes before a literal
    ``<``, and a shorter entity before a longer one.
    """
    found = _align(text, tagged, paired=True)
    return _align(text, tagged, paired=False) if found is None else found


def _align(text: str, tagged: str, paired: bool) -> list[dict[str, int]] | None:
    closings = [(found.start(), found.end(), found[1]) for found in CLOSING.finditer(tagged)]
    # what is left to try: positions in both, and the entities so far as a linked list
    untried: list[tuple[int, int, tuple | None]] = [(0, 0, None)]
    tried = set()
    while untried:
        at, tag_at, found = untried.pop()
        opening = tagged.find("<", tag_at)
        until = len(tagged) if opening < 0 else opening
        end = at + until - tag_at
        if (end, until) in tried or text[at:end] != tagged[tag_at:until]:
            continue
        tried.add((end, until))
        if opening < 0:
            if end == len(text):
                return _entities(found)
            continue
        if text[end : end + 1] == "<":
            untried.append((end + 1, until + 1, found))
        for start, after, tag in reversed(closings):
            entity = tagged[until + 1 : start]
            if not entity or (paired and entity.count("<") != entity.count(">")):
                continue
            if text.startswith(entity, end):
                stop = end + len(entity)
                untried.append((stop, after, ((end, stop, tag), found)))
    return None


def _entities(found: tuple | None) -> list[dict[str, int]]:
    entities = []
    while found:
        (start, end, tag), found = found
        entities.append({"start": start, "end": end, "label": LABELS[tag]})
    return entities[::-1]
