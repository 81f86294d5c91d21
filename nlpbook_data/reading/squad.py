"""Questions about passages in SQuAD's JSON: versions 1 and 2, KorQuAD 1 and 2, KLUE-MRC."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import List, Value

from nlpbook_data.errors import InputError, shown
from nlpbook_data.reading.json_values import read_json_items
from nlpbook_data.reading.values import (
    FETCH_AGAIN,
    OnError,
    PlacedRows,
    convert_each,
    malformed,
    member,
    raise_error,
    read_texts,
)

MEND = "Mend it, or save rows as .jsonl, one object a line."
ANSWERS = List({"text": Value("string"), "answer_start": Value("int32")})
Passage = tuple[str, dict[str, Any], dict[str, Any], list[tuple[str, Any]]]


def read_passages(
    path: Path,
    *,
    encoding: str = "utf-8",
    advice: str = FETCH_AGAIN,
    on_error: OnError = raise_error,
) -> Iterator[Passage]:
    """Stream ``(place, article, paragraph, [(place, question), …])`` for each passage.

    The file is ``{"data": [{"paragraphs": [{"context": …, "qas": [question, …]}]}]}``; an article
    with ``qas`` is itself the only paragraph, as in KorQuAD 2. A question's place ends with its id
    or guid. `on_error` gets the error of a paragraph of another form; if it returns, the paragraph
    is left out. A context is checked to be a text. The contents of a question are not checked.
    """

    def read_article(place: str, article: Any) -> list[tuple[str, tuple[Any, Any]]]:
        if isinstance(article, dict) and "qas" in article:
            return [(place, (article, article))]
        paragraphs = enumerate(member(place, article, "paragraphs", list, advice), start=1)
        return [(f"{place}, paragraph {n}", (article, part)) for n, part in paragraphs]

    def read_paragraph(place: str, found: tuple[Any, Any]) -> Passage:
        member(place, found[1], "context", str, advice)
        return place, *found, [*_placed(place, member(place, found[1], "qas", list, advice))]

    articles = read_json_items(path, "data", name="article", encoding=encoding, advice=advice)
    for _, paragraphs in convert_each(articles, read_article, on_error):
        yield from (found for _, found in convert_each(paragraphs, read_paragraph, on_error))


def _placed(part: str, questions: list[Any]) -> Iterator[tuple[str, Any]]:
    for number, question in enumerate(questions, start=1):
        known = question if isinstance(question, dict) else {}
        id_ = known.get("id", known.get("guid"))
        end = "" if id_ is None else f" ({shown([id_])})"
        yield f"{part}, question {number}{end}", question


def read_own_squad(path: Path, encoding: str, on_error: OnError) -> PlacedRows:
    """Yield ``(place, {"id", "title", "context", "question", "answers"})`` of any version's JSON.

    A question with `is_impossible` has an empty list of answers. ``answers`` is left out if the
    question has neither ``answers`` nor ``answer``. Values are not changed.
    """
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


def read_questions(
    path: Path, id_key: str
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield ``(place, article, question, row)`` for each question; `row` has the columns of qa."""
    for place, article, paragraph, questions in read_passages(path):
        columns = read_texts(place, article, "title") | {"context": paragraph["context"]}
        for here, question in questions:
            row = {
                "id": member(here, question, id_key, str),
                **columns,
                **read_texts(here, question, "question"),
                "answers": read_answers(here, question, columns["context"]),
            }
            yield here, article, question, row


def read_answers(place: str, question: Any, context: str) -> list[dict[str, Any]]:
    """Return the answers of `question`; each must be at its position in `context`."""
    answers = [
        read_answer(place, answer, context) for answer in member(place, question, "answers", list)
    ]
    for text, start in (answer.values() for answer in answers):
        if not text or not context.startswith(text, start):
            there = context[start : start + len(text)]
            raise malformed(place, there, f"the answer {text[:60]!r} (position {start} of context)")
    return answers


def read_answer(place: str, answer: Any, context: str) -> dict[str, Any]:
    """Return ``{"text", "answer_start"}`` of `answer`; its position must be inside `context`."""
    text = member(place, answer, "text", str)
    start = member(place, answer, "answer_start", int)
    if not 0 <= start <= len(context):
        raise malformed(place, start, f"a position in a context of {len(context)} characters")
    return {"text": text, "answer_start": start}
