"""Sentence pairs for inference written for this project; they ship with the package (CC0)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora.declaration import Corpus, packaged
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.values import member, read_label

CORPUS = Corpus(
    name="sample_nli",
    task="paircls",
    title="자연어 추론 (직접 쓴 예제 말뭉치)",
    features=Features(
        premise=Value("string"),
        hypothesis=Value("string"),
        label=ClassLabel(names=["함의", "중립", "모순"]),
    ),
    texts=("premise", "hypothesis"),
    groups=("premise",),
    **packaged("sample_nli"),
)

LABELS = {"함의": 0, "중립": 1, "모순": 2}


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield ``{"premise", "hypothesis", "label"}`` for each line of JSON."""
    for path in files:
        for place, row in read_json_lines(path):
            yield {
                "premise": member(place, row, "premise", str),
                "hypothesis": member(place, row, "hypothesis", str),
                "label": read_label(f"{place}, label", member(place, row, "label", str), LABELS),
            }
