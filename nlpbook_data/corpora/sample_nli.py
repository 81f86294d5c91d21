"""Sentence pairs for inference written for this project; they ship with the package (CC0)."""

from datasets import ClassLabel, Features

from nlpbook_data.corpora import _packaged
from nlpbook_data.corpora.declaration import Corpus, texts

CORPUS = Corpus(
    task="paircls",
    title="자연어 추론 (직접 쓴 예제 말뭉치)",
    features=Features(
        **texts("premise", "hypothesis"), label=ClassLabel(names=["함의", "중립", "모순"])
    ),
    texts=("premise", "hypothesis"),
    groups=("premise",),
    **_packaged.declare("sample_nli"),
)
parse = _packaged.parser(CORPUS.features)
