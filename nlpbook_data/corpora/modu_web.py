"""모두의 말뭉치, the web: a post or page a row (NIKL)."""

from collections.abc import Iterator
from pathlib import Path

from nlpbook_data.corpora._modu import declare, read_articles, text_columns

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


def parse(files: list[Path]) -> Iterator[dict[str, str]]:
    r"""Yield a document a row: its paragraphs joined by ``\n`` as ``text``, id and metadata."""
    return read_articles(files, *METADATA)
