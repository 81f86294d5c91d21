"""Queries with passages, as of sentence-transformers and FlagEmbedding, and BEIR's folders.

Of BEIR's, ``corpus`` and ``queries`` hold texts with ids, and ``qrels/`` says what answers.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.own_files.tables import first_rows, read_rows
from nlpbook_data.reading.values import OnError, PlacedRows, convert_each, malformed, need_keys

Layout = tuple[str, str, re.Pattern]
JUDGED = ("query", "pos", re.compile("neg"))
# Columns of the query and of one or more passages, and a pattern for those of negatives.
LAYOUTS = (
    ("anchor", "positive", re.compile(r"negatives?(_\d+)?")),
    ("query", "positive", re.compile(r"negatives?(_\d+)?")),
    JUDGED,
    ("query", "positives", re.compile("negatives")),
    ("query", "positive_passages", re.compile("negative_passages")),
    ("query", "passage", re.compile(r"negatives|negative_\d+")),
)
IDS = {"query-id", "corpus-id"}
UNANSWERED = "queries have no passage with a score above 0, and were left out"


def find_layout(row: Mapping[str, Any]) -> Layout | None:
    """Return the layout of `row`; None if it has search's own columns."""
    for layout in LAYOUTS:
        query, positive, negative = layout
        if query in row and positive in row:
            several = isinstance(row[positive], list)
            if positive != "passage" or several or any(map(negative.fullmatch, row)):
                return layout
    return None


def read_search_row(place: str, row: Mapping[str, Any], layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield rows of query, passage and negative, until each passage and negative is in a row."""
    query, positive, negative = layout
    need_keys(place, dict(row), (query, positive), "Mend or drop the row.")
    true = _listed(row[positive])
    false = [one for name in row if negative.fullmatch(name) for one in _listed(row[name])]
    if not true:
        raise InputError(f"{place}: {positive} is empty. Mend or drop the row.")
    for passage, other in zip_longest(true, false):
        passage = true[0] if passage is None else passage
        yield {"query": row[query], "passage": passage, "negative": other}


def text_of(passage: Mapping[str, Any]) -> str:
    """Return title and text of a passage of MIRACL's or BEIR's."""
    return " ".join(str(passage[key]) for key in ("title", "text") if passage.get(key))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [text_of(one) if isinstance(one, dict) else one for one in value]
    return [] if value is None or value != value or value == "" else [value]


def is_qrels(row: Mapping[str, Any]) -> bool:
    """Whether `row` has ids in place of texts."""
    return {*row} >= IDS


def texts_beside(qrels: Path) -> list[Path]:
    """Return the files of queries and of passages beside `qrels`, or in the folder above it."""
    folders, found = (qrels.absolute().parent, qrels.absolute().parent.parent), []
    for name in ("queries", "corpus"):
        paths = [path for folder in folders for path in sorted(folder.glob(f"{name}.*"))]
        if not paths:
            raise InputError(
                f"{qrels}: BEIR's qrels, with ids in place of texts, and no {name}.jsonl beside it "
                "or in the folder above. Put it there."
            )
        found.append(paths[0])
    return found


def read_passages(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ``(id, text)``, the title of a passage before its text."""
    seen = set()
    for place, row in read_rows(path, ("_id", "text"), ("title",), advice="Name it so."):
        id_ = str(row["_id"])
        if id_ in seen:
            raise InputError(f"{place}: the id {id_[:40]!r} is there twice. Give each its own.")
        seen.add(id_)
        yield id_, text_of(row)


def read_qrels(path: Path, rows: PlacedRows, notes: Counter[str], on_error: OnError) -> PlacedRows:
    """Yield search's rows; a passage with a score of 0 is a negative of its query."""
    queries, passages = (dict(read_passages(file)) for file in texts_beside(path))
    found: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(place: str, row: dict[str, Any]) -> None:
        query, passage = str(row["query-id"]), str(row["corpus-id"])
        for known, id_, name in ((queries, query, "queries"), (passages, passage, "corpus")):
            if id_ not in known:
                raise malformed(place, id_, f"an id of {name}", "Mend or drop the row.")
        try:
            score = float(row.get("score", 1))
        except (TypeError, ValueError):
            score = row["score"]
            raise malformed(f"{place}, score", score, "a number", "Mend the row.") from None
        judged = found.setdefault(query, (place, {"query": queries[query], "pos": [], "neg": []}))
        judged[1]["pos" if score > 0 else "neg"].append(passages[passage])

    for _ in convert_each(rows, add, on_error):
        pass
    for place, judged in found.values():
        if judged["pos"]:
            yield from ((place, row) for row in read_search_row(place, judged, JUDGED))
        else:
            notes[UNANSWERED] += 1


def texts_of(files: Iterable[Path]) -> list[Path]:
    """Return the files of queries and of passages of those of `files` that are qrels."""
    found: list[Path] = []
    for path in files:
        if any(map(is_qrels, first_rows(path, 1))):
            found += [file for file in texts_beside(path) if file not in found]
    return found
