"""모두의 말뭉치, the web: a post or page a row (NIKL)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlpbook_data.corpora._modu import (
    declare,
    read_documents,
    read_forms,
    read_metadata,
    text_columns,
)
from nlpbook_data.reading.values import member

METADATA = ("title", "publisher", "date", "topic")

CORPUS = declare(
    "modu_web",
    "웹 말뭉치",
    text_columns("id", "text", *METADATA),
    folder="NIKL_WEB",
    pattern="E[BPSR]RW*.json",
    files="files EBRW….json, EPRW….json, ERRW….json and ESRW….json",
    share=0.01,
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    r"""Yield a document a row: its paragraphs joined by ``\n`` as ``text``, id and metadata."""
    for place, document in read_documents(files):
        text = "\n".join(read_forms(place, document))
        name = member(place, document, "id", str)
        yield {"id": name, "text": text, **read_metadata(place, document, *METADATA)}
