"""Questions about short passages, all written for this project; ships with the package (CC0)."""

from datasets import ClassLabel, Features

from nlpbook_data.corpora import _packaged
from nlpbook_data.corpora.declaration import Corpus, texts
from nlpbook_data.reading.squad import ANSWERS

CORPUS = Corpus(
    task="qa",
    title="짧은 글과 물음 (직접 쓴 예제 말뭉치)",
    features=Features(
        **texts("id", "title", "context", "question"),
        answers=ANSWERS,
        question_type=ClassLabel(names=["누가", "언제", "어디", "무엇", "얼마", "왜", "어떻게"]),
    ),
    texts=("context", "question"),
    groups=("context",),
    **_packaged.declare("sample_qa"),
)
parse = _packaged.parser(CORPUS.features)
