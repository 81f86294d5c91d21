"""Questions in SQuAD's JSON, versions 1 and 2, and in those of KorQuAD 1, KorQuAD 2 and KLUE."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError, nearest, shown
from nlpbook_data.own_files.tables import EMPTY, find_encoding, raise_error


def read_squad(
    path: Path, on_error: Callable[[InputError], None] = raise_error
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(place, {"id", "title", "context", "question", "answers"})`` a question.

    Contexts stand in paragraphs (SQuAD, KorQuAD 1, KLUE) or in the article itself (KorQuAD 2, of
    which the answer is one object). A question that `is_impossible` has no answers; ``answers``
    is left out where the file has none for it. Values are as they are in the file.
    """
    document = _read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        found = shown(document) if isinstance(document, dict) else "no object"
        raise InputError(
            f'{path}: found {found} where SQuAD\'s {{"data": [{{"paragraphs": …}}]}} belongs. '
            "Save rows as .jsonl, one object a line."
        )
    for a, article in enumerate(document["data"], start=1):
        place = f"{path}, article {a}"
        try:
            paragraphs = [article] if _has(article, "qas") else _list(place, article, "paragraphs")
        except InputError as error:
            on_error(error)
            continue
        title = article.get("title")
        for p, paragraph in enumerate(paragraphs, start=1):
            part = place if paragraph is article else f"{place}, paragraph {p}"
            try:
                questions = _list(part, paragraph, "qas")
                _need(part, paragraph, "context")
            except InputError as error:
                on_error(error)
                continue
            for q, question in enumerate(questions, start=1):
                where = f"{part}, question {q}"
                try:
                    row = _read_question(where, question)
                except InputError as error:
                    on_error(error)
                    continue
                if "id" in row:
                    where += f" ({shown([row['id']])})"
                yield where, {"title": title, "context": paragraph["context"], **row}


def _read_question(place: str, question: Any) -> dict[str, Any]:
    _need(place, question, "question")
    row = {"question": question["question"]}
    if (key := next((key for key in ("id", "guid") if key in question), None)) is not None:
        row["id"] = question[key]
    answers = [question["answer"]] if _has(question, "answer") else question.get("answers")
    impossible = question.get("is_impossible", None)
    if impossible not in (None, True, False):
        raise InputError(
            f"{place}: is_impossible is {impossible!r}, where true or false belongs. Mend it."
        )
    if impossible:
        row["answers"] = []
    elif answers == [] and impossible is False:
        raise InputError(
            f"{place}: there is no answer, and is_impossible is false. Mend one of them."
        )
    elif "answers" in question or "answer" in question:
        row["answers"] = answers
    return row


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file. Check the path, and quote one that has spaces.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: {EMPTY}")
    try:
        return json.loads(path.read_text(encoding=find_encoding(path)))
    except json.JSONDecodeError as error:
        hint = "Save rows as .jsonl." if error.msg == "Extra data" else "Write the file again."
        raise InputError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}, character {error.colno}). {hint}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}). Write the file again.") from error


def _has(value: Any, key: str) -> bool:
    return isinstance(value, dict) and key in value


def _need(place: str, value: Any, key: str) -> None:
    if not isinstance(value, dict):
        raise InputError(f"{place}: found {repr(value)[:60]} where an object {{…}} belongs.")
    if key not in value:
        raise InputError(
            f"{place}: there is no {key!r}; it has {shown(value)}."
            f"{nearest(key, value)} Mend or drop it."
        )


def _list(place: str, value: Any, key: str) -> list[Any]:
    _need(place, value, key)
    if not isinstance(value[key], list):
        raise InputError(
            f"{place}, {key}: found {repr(value[key])[:60]} where a list […] belongs. Mend it."
        )
    return value[key]
