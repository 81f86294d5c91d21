"""Short film and product reviews written for this project; they ship with the package (CC0)."""

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora import _packaged
from nlpbook_data.corpora.declaration import Corpus

CORPUS = Corpus(
    task="doccls",
    title="영화와 상품 후기 (직접 쓴 예제 말뭉치)",
    features=Features(
        text=Value("string"), label=ClassLabel(names=["부정", "긍정"]), domain=Value("string")
    ),
    **_packaged.declare("sample_reviews"),
)
parse = _packaged.parser(CORPUS.features)
