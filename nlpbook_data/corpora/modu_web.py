"""모두의 말뭉치, the web: one row a post or page (NIKL)."""

from nlpbook_data.corpora._modu import declare, read_articles
from nlpbook_data.corpora.declaration import texts
from nlpbook_data.reading.values import Files, Rows

METADATA = ("title", "publisher", "date", "topic")

CORPUS = declare(
    "modu_web",
    "웹 말뭉치",
    texts("id", "text", *METADATA),
    folder="NIKL_WEB",
    pattern="E[BPSR]RW*.json",
    files="files EBRW….json, EPRW….json, ERRW….json and ESRW….json",
    share=0.01,
)


def parse(files: Files) -> Rows:
    r"""Yield a row for each document: ``text`` (paragraphs joined by ``\n``), id and metadata."""
    return read_articles(files, *METADATA)
