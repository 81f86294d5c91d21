"""모두의 말뭉치, newspapers: an article a row (NIKL)."""

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

METADATA = ("title", "author", "publisher", "date", "topic", "original_topic")

CORPUS = Corpus(
    name="modu_news",
    task="pretrain",
    title="모두의 말뭉치: 신문 말뭉치",
    features=Features({name: Value("string") for name in ("id", "text", *METADATA)}),
    splits={
        "train": Split("N[WLPIZ]RW*.json", files=("N[WLPIZ]RW*.json",)),
        "validation": carved(0.01),
    },
    license=LICENSE,
    homepage=HOMEPAGE,
    citation="국립국어원 (2020). 국립국어원 신문 말뭉치 (버전 1.0).",
    by_hand=by_hand(
        "신문 말뭉치",
        "NIKL_NEWSPAPER",
        "files NWRW….json, NLRW….json, NPRW….json, NIRW….json and NZRW….json",
    ),
    folder_name="NIKL_NEWSPAPER",
    large=True,
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    r"""Yield an article a row: its paragraphs joined by ``\n`` as ``text``, id and metadata.

    The title is that of the collection; the headline is mostly the first paragraph.
    """
    for place, document in read_documents(files):
        text = "\n".join(read_forms(place, document))
        name = member(place, document, "id", str)
        yield {"id": name, "text": text, **read_metadata(place, document, *METADATA)}
