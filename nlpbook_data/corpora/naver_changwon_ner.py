"""Naver and Changwon University's named entities: ``index⇥word⇥tag`` lines (NLP Challenge 2018)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, List, Value

from nlpbook_data.corpora._read import malformed, read_label, read_lines
from nlpbook_data.corpus import Corpus, RawFile, Split


def urls() -> dict[str, str]:
    """Return Korpora's table as ``{file name: URL}``."""
    from Korpora.korpus_naverchangwon_ner import NAVER_CHANGWON_NER_FETCH_INFORMATION

    table = NAVER_CHANGWON_NER_FETCH_INFORMATION
    return {Path(row["destination"]).name: row["url"] for row in table}


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
        "train": Split("train_data", files=("train_data",)),
        "validation": Split("10% carved from train", carved_from="train", share=0.1),
        "test": Split("10% carved from train (no test is public)", carved_from="train", share=0.1),
    },
    files={"train_data": RawFile(rows=90_000)},
    license="연구와 리더보드 학습에만, 상업적 이용 불가 (research and leaderboard only)",
    commercial=False,
    homepage="https://github.com/naver/nlp-challenge/tree/master/missions/ner",
    citation="Naver and Changwon National University (2018). Naver NLP Challenge, NER.",
    urls=urls,
)

# Each tag in full: (its class, whether it begins an entity).
FULL_TAGS = {"-": (None, False)} | {
    f"{tag}_{part}": (number, part == "B") for tag, number in LABELS.items() for part in "BI"
}
FULL_TAG_IDS = {tag: number for number, tag in enumerate(FULL_TAGS)}
MEANINGS = list(FULL_TAGS.values())


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield ``{"text": str, "entities": [{"start", "end", "label"}]}`` a sentence.

    The text is the words joined by one blank. Words keep their particles, as tagged. A ``TAG_I``
    that continues nothing (another class or no entity before it: 47 of 3,809 in a tenth of the
    corpus) begins an entity, as seqeval reads it by default.
    """
    for path in files:
        words: list[str] = []
        tags: list[int] = []
        for place, line in read_lines(path):
            if not line:
                if words:  # blank lines in a row part the same two sentences
                    yield _join(words, tags)
                words, tags = [], []
                continue
            cells = line.split("\t")
            if len(cells) != 3 or not cells[0].isdecimal() or not cells[1]:
                raise malformed(place, line.replace("\t", "⇥"), "index⇥word⇥tag or a blank line")
            if words and cells[0] == "1":
                raise malformed(place, line.replace("\t", "⇥"), "a blank line before a sentence")
            words.append(cells[1])
            tags.append(read_label(place, cells[2], FULL_TAG_IDS))
        if words:
            yield _join(words, tags)


def _join(words: list[str], tags: list[int]) -> dict[str, Any]:
    entities: list[dict[str, int]] = []
    start, before = 0, None
    for word, tag in zip(words, tags, strict=True):
        label, begins = MEANINGS[tag]
        end = start + len(word)
        if label is not None and label == before and not begins:
            entities[-1]["end"] = end
        elif label is not None:
            entities.append({"start": start, "end": end, "label": label})
        start, before = end + 1, label
    return {"text": " ".join(words), "entities": entities}
