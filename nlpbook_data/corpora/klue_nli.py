"""KLUE-NLI: whether a premise entails a hypothesis (a list of JSON objects)."""

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora._klue import declare, read_rows
from nlpbook_data.corpora.declaration import Corpus, texts
from nlpbook_data.reading.values import Files, Rows, read_label, read_notes, read_texts

CORPUS = Corpus(
    name="klue-nli",
    task="paircls",
    title="KLUE 자연어 추론",
    features=Features(
        **texts("id", "premise", "hypothesis"),
        label=ClassLabel(names=["함의", "중립", "모순"]),
        source=Value("string"),
    ),
    texts=("premise", "hypothesis"),
    groups=("premise",),
    **declare("klue-nli-v1.1", train=24_998, dev=3_000),
)

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2}


def parse(files: Files) -> Rows:
    """Yield a row for each pair; `label` is that of the majority (gold_label)."""
    for place, row in read_rows(files):
        yield {
            "id": row["guid"],
            **read_texts(place, row, "premise", "hypothesis"),
            "label": read_label(f"{place}, gold_label", row.get("gold_label"), LABELS),
            # the train file of version 1.0 calls it genre
            **read_notes(place, {"source": row.get("genre"), **row}, "source"),
        }
