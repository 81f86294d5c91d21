"""모두의 말뭉치, books, magazines and reports: a paragraph a row (NIKL)."""

from collections.abc import Iterator
from pathlib import Path

from datasets import Features, Value

from nlpbook_data.corpora._modu import (
    HOMEPAGE,
    LICENSE,
    by_hand,
    read_documents,
    read_forms,
    read_metadata,
)
from nlpbook_data.corpora.declaration import Corpus, Split, carved
from nlpbook_data.reading.values import member

CORPUS = Corpus(
    name="modu_written",
    task="pretrain",
    title="모두의 말뭉치: 문어 말뭉치",
    features=Features(id=Value("string"), text=Value("string"), title=Value("string")),
    splits={
        "train": Split("W[ABCZ]RW*.json", files=("W[ABCZ]RW*.json",)),
        "validation": carved(0.01),
    },
    license=LICENSE,
    homepage=HOMEPAGE,
    citation="국립국어원 (2020). 국립국어원 문어 말뭉치 (버전 1.0).",
    by_hand=by_hand(
        "문어 말뭉치", "NIKL_WRITTEN", "files WARW….json, WBRW….json, WCRW….json and WZRW….json"
    ),
    folder_name="NIKL_WRITTEN",
    large=True,
)


def parse(files: list[Path]) -> Iterator[dict[str, str]]:
    """Yield ``{"id", "text", "title"}`` a paragraph, with the id and title of its document."""
    for place, document in read_documents(files):
        name = member(place, document, "id", str)
        metadata = read_metadata(place, document, "title")
        for text in read_forms(place, document):
            yield {"id": name, "text": text, **metadata}
