"""모두의 말뭉치, books, magazines and reports: one row a paragraph (NIKL)."""

from collections.abc import Iterator
from pathlib import Path

from nlpbook_data.corpora._modu import (
    declare,
    read_documents,
    read_forms,
    read_metadata,
    text_columns,
)
from nlpbook_data.reading.values import member

CORPUS = declare(
    "modu_written",
    "문어 말뭉치",
    text_columns("id", "text", "title"),
    folder="NIKL_WRITTEN",
    pattern="W[ABCZ]RW*.json",
    files="files WARW….json, WBRW….json, WCRW….json and WZRW….json",
    share=0.01,
)


def parse(files: list[Path]) -> Iterator[dict[str, str]]:
    """Yield ``{"id", "text", "title"}`` for each paragraph; id and title are the document's."""
    for place, document in read_documents(files):
        name = member(place, document, "id", str)
        metadata = read_metadata(place, document, "title")
        for text in read_forms(place, document):
            yield {"id": name, "text": text, **metadata}
