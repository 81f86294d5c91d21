"""Help pages of nine services and how people ask for them, written for this project (CC0)."""

from nlpbook_data.corpora.declaration import Corpus, packaged, texts
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.values import Files, Rows, read_texts

COLUMNS = ("query", "passage", "service")

CORPUS = Corpus(
    name="sample_search",
    task="search",
    title="생활 서비스 도움말과 사람들이 묻는 말 (직접 쓴 예제 말뭉치)",
    features=texts(*COLUMNS),
    texts=("query",),
    **packaged("sample_search"),
)


def parse(files: Files) -> Rows:
    """Yield a row for each line of JSON: a query, the passage that answers it, its service."""
    for place, row in read_json_lines(files):
        yield read_texts(place, row, *COLUMNS)
