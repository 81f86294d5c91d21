"""Naver and Changwon University's named entities: ``index⇥word⇥tag`` lines (NLP Challenge 2018)."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from datasets import Features, Value

from nlpbook_data.corpora.declaration import (
    Corpus,
    RawFile,
    carved,
    entity_spans,
    in_file,
    korpora_urls,
)
from nlpbook_data.reading.entities import join_tokens, number_labels
from nlpbook_data.reading.text import read_lines
from nlpbook_data.reading.values import Files, Rows, malformed

TAGS = {
    "PER": "인물",
    "FLD": "학문 분야",
    "AFW": "인공물",
    "ORG": "기관",
    "LOC": "지역",
    "CVL": "문명·문화",
    "DAT": "날짜",
    "TIM": "시간",
    "NUM": "수량",
    "EVT": "사건",
    "ANM": "동물",
    "PLT": "식물",
    "MAT": "물질",
    "TRM": "용어",
}
LABELS = {tag: number for number, tag in enumerate(TAGS)}

CORPUS = Corpus(
    name="naver_changwon_ner",
    task="ner",
    title="네이버·창원대 개체명 말뭉치 (조사가 붙은 어절 단위)",
    features=Features(text=Value("string"), entities=entity_spans(TAGS.values())),
    splits={
        "train": in_file("train_data"),
        "validation": carved(0.1),
        "test": carved(0.1, "no test is public"),
    },
    files={"train_data": RawFile(rows=90_000)},
    license="research only",
    homepage="https://github.com/naver/nlp-challenge/tree/master/missions/ner",
    citation="Naver and Changwon National University (2018). Naver NLP Challenge, NER.",
    urls=korpora_urls("korpus_naverchangwon_ner.NAVER_CHANGWON_NER_FETCH_INFORMATION"),
)

# Each tag in full: (its mark, its class).
FULL_TAGS = {"-": ("", "")} | {f"{tag}_{mark}": (mark, tag) for tag in TAGS for mark in "BI"}


def parse(files: Files) -> Rows:
    """Yield ``{"text": str, "entities": [{"start", "end", "label"}]}`` for each sentence.

    The text is the words joined by one blank. Words keep their particles, as tagged. A ``TAG_I``
    after another class or after no entity begins an entity, as in conlleval (47 of 3,809 in a tenth
    of the corpus).
    """
    for path in files:
        for is_blank, lines in groupby(read_lines(path), key=lambda line: not line[1]):
            if not is_blank:
                words, tags = zip(*_read_words(lines), strict=True)
                text, entities = join_tokens(words, tags)
                yield {"text": text, "entities": number_labels(entities, LABELS)}


def _read_words(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield ``(word, (mark, class))`` for each line of a sentence."""
    for number, (place, line) in enumerate(lines):
        cells = line.split("\t")
        if len(cells) != 3 or not cells[0].isdecimal() or not cells[1]:
            raise malformed(place, line.replace("\t", "⇥"), "index⇥word⇥tag or a blank line")
        if number and cells[0] == "1":
            raise malformed(place, line.replace("\t", "⇥"), "a blank line before a sentence")
        if cells[2] not in FULL_TAGS:
            raise malformed(place, cells[2], f"-, or one of {', '.join(TAGS)} with _B or _I,")
        yield cells[1], FULL_TAGS[cells[2]]
