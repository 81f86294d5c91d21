"""KLUE-STS: how alike two sentences are, from 0 to 5 (a list of JSON objects)."""

from typing import Any

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora._klue import declare, read_rows
from nlpbook_data.corpora.declaration import Corpus, texts
from nlpbook_data.reading.values import Files, Rows, malformed, member, read_notes, read_texts

CORPUS = Corpus(
    name="klue-sts",
    task="paircls",
    title="KLUE 문장 의미 유사도",
    features=Features(
        **texts("id", "sentence1", "sentence2"),
        label=Value("float32"),
        real_label=Value("float32"),
        binary_label=ClassLabel(names=["다른 뜻", "같은 뜻"]),
        source=Value("string"),
    ),
    texts=("sentence1", "sentence2"),
    groups=("sentence1", "sentence2"),
    **declare("klue-sts-v1.1", train=11_668, dev=519),
)


def parse(files: Files) -> Rows:
    """Yield a row for each pair.

    `label` is the mean of the annotators, rounded to one digit. `real_label` is the mean itself.
    `binary_label` says whether it is 3 or more.
    """
    for place, row in read_rows(files):
        labels = member(place, row, "labels", dict)
        binary = member(f"{place}, labels", labels, "binary-label", int)
        if binary not in (0, 1):
            raise malformed(f"{place}, binary-label", binary, "0 or 1")
        yield {
            "id": row["guid"],
            **read_texts(place, row, "sentence1", "sentence2"),
            "label": _score(place, labels, "label"),
            "real_label": _score(place, labels, "real-label"),
            "binary_label": binary,
            **read_notes(place, row, "source"),
        }


def _score(place: str, labels: dict[str, Any], key: str) -> float:
    score = member(f"{place}, labels", labels, key, (int, float))
    if not 0 <= score <= 5:
        raise malformed(f"{place}, {key}", score, "a number from 0 to 5")
    return float(score)
