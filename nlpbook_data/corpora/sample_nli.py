"""Sentence pairs for inference written for this project; they ship with the package (CC0)."""

from datasets import ClassLabel, Features

from nlpbook_data.corpora.declaration import Corpus, packaged, texts
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.values import Files, Rows, member, read_label, read_texts

CORPUS = Corpus(
    name="sample_nli",
    task="paircls",
    title="자연어 추론 (직접 쓴 예제 말뭉치)",
    features=Features(
        **texts("premise", "hypothesis"), label=ClassLabel(names=["함의", "중립", "모순"])
    ),
    texts=("premise", "hypothesis"),
    groups=("premise",),
    **packaged("sample_nli"),
)

LABELS = {"함의": 0, "중립": 1, "모순": 2}


def parse(files: Files) -> Rows:
    """Yield ``{"premise", "hypothesis", "label"}`` for each line of JSON."""
    for place, row in read_json_lines(files):
        yield {
            **read_texts(place, row, "premise", "hypothesis"),
            "label": read_label(f"{place}, label", member(place, row, "label", str), LABELS),
        }
