"""KLUE-MRC: questions about news and Wikipedia, some without an answer (SQuAD's JSON)."""

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora._klue import declare
from nlpbook_data.corpora.declaration import Corpus, texts
from nlpbook_data.reading.squad import ANSWERS, read_questions
from nlpbook_data.reading.values import Files, Rows, malformed, member, read_notes

CORPUS = Corpus(
    name="klue-mrc",
    task="qa",
    title="KLUE 기계 독해",
    features=Features(
        **texts("id", "title", "context", "question"),
        answers=ANSWERS,
        question_type=ClassLabel(names=["바꿔 쓴 질문", "여러 문장 추론", "답 없음"]),
        is_impossible=Value("bool"),
        **texts("news_category", "source"),
    ),
    texts=("context", "question"),
    groups=("context",),
    **declare("klue-mrc-v1.1", train=17_554, dev=5_841),
)


def parse(files: Files) -> Rows:
    """Yield a row for each question.

    An impossible question has no answers: the file's ``plausible_answers`` are left out, since they
    only look like answers.
    """
    for path in files:
        for place, article, question, row in read_questions(path, "guid"):
            type_ = member(place, question, "question_type", int)
            if type_ not in (1, 2, 3):
                raise malformed(f"{place}, question_type", type_, "1, 2 or 3")
            impossible = member(place, question, "is_impossible", bool)
            if impossible == bool(row["answers"]):
                raise malformed(
                    place,
                    f"is_impossible: {impossible} with {len(row['answers'])} answers",
                    "a question with answers, or an impossible one without",
                )
            yield {
                **row,
                "question_type": type_ - 1,
                "is_impossible": impossible,
                **read_notes(place, article, "news_category", "source"),
            }
