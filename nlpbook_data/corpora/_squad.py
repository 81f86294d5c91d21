"""Questions about passages in SQuAD's JSON, as KorQuAD 1.0 and KLUE-MRC have it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import List, Value

from nlpbook_data.corpora._read import malformed, member, read_json_items, shown

ANSWERS = List({"text": Value("string"), "answer_start": Value("int32")})


def read_questions(path: Path, id_key: str) -> Iterator[tuple[str, dict, dict, dict[str, Any]]]:
    """Yield ``(place, article, question, row)`` for each question; `row` has the columns of qa.

    The file is ``{"data": [{"title", "paragraphs": [{"context", "qas": [{`id_key`, "question",
    "answers": [{"text", "answer_start"}, …]}]}]}]}``.
    """
    for place, article in read_json_items(path, "data"):
        title = member(place, article, "title", str)
        for paragraph in member(place, article, "paragraphs", list):
            context = member(place, paragraph, "context", str)
            for question in member(place, paragraph, "qas", list):
                id_ = member(place, question, id_key, str)
                here = f"{place}, {shown(id_)}"
                yield (
                    here,
                    article,
                    question,
                    {
                        "id": id_,
                        "title": title,
                        "context": context,
                        "question": member(here, question, "question", str),
                        "answers": read_answers(here, question, context),
                    },
                )


def read_answers(place: str, question: Any, context: str) -> list[dict[str, Any]]:
    """Return the answers of `question`, each of which must stand at its position in `context`."""
    answers = [
        read_answer(place, answer, context) for answer in member(place, question, "answers", list)
    ]
    for text, start in (answer.values() for answer in answers):
        if not text or not context.startswith(text, start):
            there = context[start : start + len(text)]
            raise malformed(place, there, f"the answer {text[:60]!r} (position {start} of context)")
    return answers


def read_answer(place: str, answer: Any, context: str) -> dict[str, Any]:
    """Return ``{"text", "answer_start"}`` of `answer`, whose position must lie in `context`."""
    text = member(place, answer, "text", str)
    start = member(place, answer, "answer_start", int)
    if not 0 <= start <= len(context):
        raise malformed(place, start, f"a position in a context of {len(context)} characters")
    return {"text": text, "answer_start": start}
