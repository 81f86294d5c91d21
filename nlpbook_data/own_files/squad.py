"""Read questions from the user's own SQuAD JSON, of any version."""

from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.own_files.tables import open_encoding
from nlpbook_data.reading.squad import read_passages
from nlpbook_data.reading.values import OnError, PlacedRows, convert_each, malformed

MEND = "Mend it, or save rows as .jsonl, one object a line."


def read_squad(path: Path, on_error: OnError) -> PlacedRows:
    """Yield ``(place, {"id", "title", "context", "question", "answers"})`` for each question.

    A question with `is_impossible` has an empty list of answers. ``answers`` is left out if the
    question has neither ``answers`` nor ``answer``. Values are not changed.
    """
    encoding = open_encoding(path)
    passages = read_passages(path, encoding=encoding, advice=MEND, on_error=on_error)
    for _, article, paragraph, questions in passages:
        for place, row in convert_each(questions, _read_question, on_error):
            yield place, {"title": article.get("title"), "context": paragraph["context"], **row}


def _read_question(place: str, question: Any) -> dict[str, Any]:
    if not isinstance(question, dict) or "question" not in question:
        raise malformed(place, question, 'an object with a "question"', MEND)
    row = {"question": question["question"]}
    keys = ("id", "guid", "question_id")
    if (key := next((key for key in keys if key in question), None)) is not None:
        row["id"] = question[key]
    answers = [question["answer"]] if "answer" in question else question.get("answers")
    impossible = question.get("is_impossible")
    if impossible not in (None, True, False):
        raise malformed(f"{place}, is_impossible", impossible, "true or false", MEND)
    if impossible:
        row["answers"] = []
    elif answers == [] and impossible is False:
        raise InputError(
            f"{place}: there is no answer, and is_impossible is false. Mend one of them."
        )
    elif "answers" in question or "answer" in question:
        row["answers"] = answers
    return row
