"""BEIR's folders: ``corpus`` and ``queries`` hold texts with ids, ``qrels/`` says what answers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.own_files.tables import first_rows, read_rows
from nlpbook_data.reading.search_rows import read_search_row, text_of
from nlpbook_data.reading.values import OnError, PlacedRows, convert_each, malformed

IDS = {"query-id", "corpus-id"}
LAYOUT = ("query", "pos", re.compile("neg"))
UNANSWERED = "queries have no passage with a score above 0, and were left out"


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
            yield from ((place, row) for row in read_search_row(place, judged, LAYOUT))
        else:
            notes[UNANSWERED] += 1


def texts_of(files: Iterable[Path]) -> list[Path]:
    """Return the files of queries and of passages of those of `files` that are qrels."""
    found: list[Path] = []
    for path in files:
        if any(map(is_qrels, first_rows(path, 1))):
            found += [file for file in texts_beside(path) if file not in found]
    return found
