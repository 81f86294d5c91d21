"""Sentences with named entities written for this project; they ship with the package (CC0)."""

from datasets import Features, Value
from pyarrow.json import read_json

from nlpbook_data.corpora import _packaged
from nlpbook_data.corpora._klue import ENTITIES
from nlpbook_data.corpora.declaration import Corpus, entity_spans
from nlpbook_data.reading.values import Files, Rows

CORPUS = Corpus(
    task="ner",
    title="여섯 가지 개체명 (직접 쓴 예제 말뭉치)",
    features=Features(text=Value("string"), entities=entity_spans(ENTITIES.values())),
    **_packaged.declare("sample_ner"),
)
LABELS = {tag: number for number, tag in enumerate(ENTITIES)}


def parse(files: Files) -> Rows:
    """Yield ``{"text", "entities": [{"start", "end", "label"}]}``; the file has KLUE-NER's tags."""
    for file in files:
        for row in read_json(file).to_pylist():
            entities = [e | {"label": LABELS[e["label"]]} for e in row["entities"]]
            yield {"text": row["text"], "entities": entities}
