"""모두의 말뭉치, the web: a post or page a row (NIKL)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

METADATA = ("title", "publisher", "date", "topic")

CORPUS = Corpus(
    name="modu_web",
    task="pretrain",
    title="모두의 말뭉치: 웹 말뭉치",
    features=Features({name: Value("string") for name in ("id", "text", *METADATA)}),
    splits={
        "train": Split("E[BPSR]RW*.json", files=("E[BPSR]RW*.json",)),
        "validation": carved(0.01),
    },
    license=LICENSE,
    homepage=HOMEPAGE,
    citation="국립국어원 (2020). 국립국어원 웹 말뭉치 (버전 1.0).",
    by_hand=by_hand(
        "웹 말뭉치",
        "NIKL_WEB",
        "files EBRW….json, EPRW….json, ERRW….json and ESRW….json",
    ),
    folder_name="NIKL_WEB",
    large=True,
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    r"""Yield a document a row: its paragraphs joined by ``\n`` as ``text``, id and metadata."""
    for place, document in read_documents(files):
        text = "\n".join(read_forms(place, document))
        name = member(place, document, "id", str)
        yield {"id": name, "text": text, **read_metadata(place, document, *METADATA)}
