"""Questions about short passages, all written for this project; ships with the package (CC0)."""

from datasets import ClassLabel, Features

from nlpbook_data.corpora.declaration import Corpus, packaged, texts
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.squad import ANSWERS, read_answers
from nlpbook_data.reading.values import Files, Rows, member, read_label, read_texts

QUESTION_TYPES = ["누가", "언제", "어디", "무엇", "얼마", "왜", "어떻게"]
IDS = {type_: id_ for id_, type_ in enumerate(QUESTION_TYPES)}

CORPUS = Corpus(
    name="sample_qa",
    task="qa",
    title="짧은 글과 물음 (직접 쓴 예제 말뭉치)",
    features=Features(
        **texts("id", "title", "context", "question"),
        answers=ANSWERS,
        question_type=ClassLabel(names=QUESTION_TYPES),
    ),
    texts=("context", "question"),
    groups=("context",),
    **packaged("sample_qa"),
)


def parse(files: Files) -> Rows:
    """Yield a row for each line of JSON; ``answers`` is empty if the passage has no answer."""
    for place, row in read_json_lines(files):
        type_ = member(place, row, "question_type", str)
        yield {
            **read_texts(place, row, "id", "title", "context", "question"),
            "answers": read_answers(place, row, row["context"]),
            "question_type": read_label(f"{place}, question_type", type_, IDS),
        }
