"""모두의 말뭉치, the web: one row a post or page (NIKL)."""

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
    r"""Yield a row for each document: ``text`` (paragraphs joined by ``\n``), id and metadata."""
    return read_articles(files, *METADATA)
