"""모두의 말뭉치, books, magazines and reports: one row a paragraph (NIKL)."""

from nlpbook_data.corpora._modu import declare, read_documents, read_forms, read_metadata
from nlpbook_data.corpora.declaration import texts
from nlpbook_data.reading.values import Files, Rows, member

CORPUS = declare(
    "modu_written",
    "문어 말뭉치",
    texts("id", "text", "title"),
    folder="NIKL_WRITTEN",
    pattern="W[ABCZ]RW*.json",
    files="files WARW….json, WBRW….json, WCRW….json and WZRW….json",
    share=0.01,
)


def parse(files: Files) -> Rows:
    """Yield ``{"id", "text", "title"}`` for each paragraph; id and title are the document's."""
    for place, document in read_documents(files):
        name = member(place, document, "id", str)
        metadata = read_metadata(place, document, "title")
        for text in read_forms(place, document):
            yield {"id": name, "text": text, **metadata}
