"""Queries with passages in the formats of sentence-transformers and FlagEmbedding."""

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from nlpbook_data.errors import InputError

# Columns of the query and of one or more passages, and a pattern for those of negatives.
LAYOUTS = (
    ("anchor", "positive", re.compile(r"negatives?(_\d+)?")),
    ("query", "positive", re.compile(r"negatives?(_\d+)?")),
    ("query", "pos", re.compile("neg")),
    ("query", "positives", re.compile("negatives")),
    ("query", "positive_passages", re.compile("negative_passages")),
    ("query", "passage", re.compile(r"negatives|negative_\d+")),
)
Layout = tuple[str, str, re.Pattern]


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
    for name in (query, positive):
        if name not in row:
            raise InputError(f"{place}: there is no {name}. Mend or drop the row.")
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
