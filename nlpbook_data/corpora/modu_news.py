"""모두의 말뭉치, newspapers: one row an article (NIKL)."""

from nlpbook_data.corpora._modu import declare, read_articles
from nlpbook_data.corpora.declaration import texts
from nlpbook_data.reading.values import Files, Rows

METADATA = ("title", "author", "publisher", "date", "topic", "original_topic")

CORPUS = declare(
    "modu_news",
    "신문 말뭉치",
    texts("id", "text", *METADATA),
    folder="NIKL_NEWSPAPER",
    pattern="N[WLPIZ]RW*.json",
    files="files NWRW….json, NLRW….json, NPRW….json, NIRW….json and NZRW….json",
    share=0.01,
)


def parse(files: Files) -> Rows:
    r"""Yield a row for each article: ``text`` (paragraphs joined by ``\n``), id and metadata.

    The title is the collection's. The first paragraph is usually the headline.
    """
    return read_articles(files, *METADATA)
