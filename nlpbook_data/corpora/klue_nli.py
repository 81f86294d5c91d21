"""KLUE-NLI: whether a premise entails a hypothesis (a list of JSON objects)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora._klue import declare, note, read_rows
from nlpbook_data.corpora.declaration import Corpus
from nlpbook_data.reading.values import member, read_label

CORPUS = Corpus(
    name="klue-nli",
    task="paircls",
    title="KLUE 자연어 추론",
    features=Features(
        id=Value("string"),
        premise=Value("string"),
        hypothesis=Value("string"),
        label=ClassLabel(names=["함의", "중립", "모순"]),
        source=Value("string"),
    ),
    texts=("premise", "hypothesis"),
    groups=("premise",),
    **declare("klue-nli-v1.1", train=24_998, dev=3_000),
)

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2}


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield a row for each pair; `label` is that of the majority (gold_label)."""
    for place, row in read_rows(files):
        yield {
            "id": row["guid"],
            "premise": member(place, row, "premise", str),
            "hypothesis": member(place, row, "hypothesis", str),
            "label": read_label(f"{place}, gold_label", row.get("gold_label"), LABELS),
            # the train file of version 1.0 calls it genre
            "source": note(place, row, "source" if "source" in row else "genre"),
        }
