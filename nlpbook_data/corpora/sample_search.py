"""Help pages of nine services and how people ask for them, written for this project (CC0)."""

from nlpbook_data.corpora import _packaged
from nlpbook_data.corpora.declaration import Corpus, texts

CORPUS = Corpus(
    task="search",
    title="생활 서비스 도움말과 사람들이 묻는 말 (직접 쓴 예제 말뭉치)",
    features=texts("query", "passage", "service"),
    texts=("query",),
    **_packaged.declare("sample_search"),
)
parse = _packaged.parser(CORPUS.features)
