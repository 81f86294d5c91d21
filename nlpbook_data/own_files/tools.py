"""Find out which tool wrote a file, and convert its rows to the columns of a task."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from nlpbook_data.data.relations import mark_pair
from nlpbook_data.errors import InputError
from nlpbook_data.own_files.options import Options
from nlpbook_data.own_files.search_rows import find_layout, read_search_row
from nlpbook_data.reading import annotation_tools as tools
from nlpbook_data.reading.conversations import (
    PARTS,
    is_instruction,
    read_conversation,
    read_instruction,
    turns_of,
)
from nlpbook_data.reading.relations import TYPES, read_entity
from nlpbook_data.reading.values import member, plain_name

Row = Mapping[str, Any]
# Converts a row of the file to rows of the task; to none if it is not annotated.
Convert = Callable[[str, Row], Iterable[dict[str, Any]]]
UNUSED = "rows were left out: not annotated, or not accepted"
UNSAID = "rows were left out: nothing in them is said by an assistant"
# Column names of known layouts, such as NSMC's and KLUE's, by the columns that identify them.
RENAMED: dict[str, list[tuple[set[str], dict[str, str]]]] = {
    "doccls": [
        ({"id", "document"}, {"text": "document"}),
        ({"guid", "title"}, {"text": "title"}),
        ({"id", "data", "label"}, {"text": "data"}),
    ],
    "paircls": [
        ({"gold_label"}, {"label": "gold_label"}),
        ({"query", "passage", "label"}, {"sentence1": "query", "sentence2": "passage"}),
    ],
    "qa": [({"guid", "context", "question"}, {"id": "guid"})],
    "generation": [({"q", "a"}, {"question": "q", "answer": "a"})],
}

RELATION = {"sentence", "subject_entity", "object_entity"}


def rename_columns(task: str, columns: Mapping[str, str], there: Iterable[str]) -> dict[str, str]:
    """Return `columns` (``{the task's: the file's}``), completed for a known layout."""
    known = {*map(plain_name, there)}
    for told_by, names in RENAMED.get(task, []):
        if told_by <= known and not any(plain_name(columns.get(c, c)) in known for c in names):
            return {**columns, **names}
    return dict(columns)


def find_converter(
    task: str,
    rows: Sequence[Row],
    columns: Mapping[str, str],
    several: bool,
    gold: bool,
    options: Options,
) -> Convert | None:
    """Return the converter for the layout of `rows`, the first rows of a file.

    None if they have the task's own columns, or no known layout. With `several`, a row may have no
    labels. Without `gold`, a file without any annotation keeps its texts.
    """
    first = rows[0] if rows else {}
    text, label = (columns.get(column, column) for column in ("text", "label"))
    wanted = tools.Wanted(task, text, label, options.notes)
    if task in ("ner", "doccls") and (read := tools.find_tool(rows, wanted)):
        return _only_annotated(read, wanted, rows, several, gold)
    if task == "doccls" and RELATION <= {*first} and text not in first:
        return lambda place, row: [_read_relation(place, row, gold)]
    if task == "ner":
        return _find_spans(rows, columns, gold, options)
    if task == "generation" and any(map(turns_of, rows)):
        return partial(_read_conversation, options.notes)
    if task == "generation" and is_instruction(first):
        options.note_unread([name for name in first if name not in PARTS])
        return lambda place, row: [read_instruction(row)]
    if task == "search" and (layout := find_layout(_plain_names(first))):
        named = (n for n in map(plain_name, first) if n not in layout[:2])
        options.note_unread([name for name in named if not layout[2].fullmatch(name)])
        return lambda place, row: read_search_row(place, _plain_names(row), layout)
    if task == "paircls" and any(isinstance(row.get("labels"), dict) for row in rows):  # KLUE-STS
        return lambda place, row: [{**row, "label": (row.get("labels") or {}).get("label")}]
    return None


def _read_conversation(notes: Counter[str], place: str, row: Row) -> list[dict[str, Any]]:
    found = [*read_conversation(place, row)]
    notes.update([] if found else [UNSAID])
    return found


def _read_relation(place: str, row: Row, gold: bool) -> dict[str, Any]:
    """Return KLUE-RE's sentence with both entities marked, as in the corpus klue-re."""
    text = member(place, dict(row), "sentence", str, tools.MEND)
    keys = ("subject_entity", "object_entity")
    pair = [read_entity(place, row, key, text, tools.MEND) for key in keys]
    marked = mark_pair(text, *({**e, "type": TYPES.get(e["type"], e["type"])} for e in pair))
    return {"text": marked} | ({"label": row.get("label")} if gold or "label" in row else {})


def _plain_names(row: Row) -> dict[str, Any]:
    return {plain_name(name): value for name, value in row.items()} | dict(row)


def _only_annotated(
    read: tools.Read, wanted: tools.Wanted, rows: Sequence[Row], several: bool, gold: bool
) -> Convert:
    """Return a converter that leaves out, and counts, what is not annotated."""
    is_ner = wanted.task == "ner"

    def is_annotated(found: tools.Annotated) -> bool:
        value = found[1] if found else None
        return value is not None and (value not in ([], "") or several or is_ner)

    silent = wanted._replace(notes=Counter())
    only_texts = not gold and not any(is_annotated(read("", row, silent)) for row in rows)

    def convert(place: str, row: Row) -> list[dict[str, Any]]:
        found = read(place, row, wanted)
        if found and only_texts:
            return [{"text": found[0]}]
        if not found or not is_annotated(found):
            wanted.notes[UNUSED] += 1
            return []
        text, value = found
        if is_ner:
            return [{"text": text, "entities": value}]
        is_one = isinstance(value, list) and len(value) == 1 and not several
        return [{"text": text, "label": value[0] if is_one else value}]

    return convert


def _find_spans(
    rows: Sequence[Row], columns: Mapping[str, str], gold: bool, options: Options
) -> Convert | None:
    """Return the converter of tokens with tags, or of doccano's spans, if `rows` have them."""
    if tags := tools.tag_columns(rows):
        # a blank among the tokens: they are characters, as KLUE's on the Hub
        parting = "" if any(" " in (row.get(tags[0]) or ()) for row in rows) else " "
        names = options.ner_tag_names
        return lambda place, row: [tools.join_tagged(place, row, tags, names, parting)]
    spans = tools.span_column(rows)
    if spans is None or any(columns.get("entities", "entities") in row for row in rows):
        return None
    keys = (columns.get("text", "text"), "text", "data")

    def read(place: str, row: Row) -> list[dict[str, Any]]:
        found = {"text": next((row[k] for k in keys if k in row), None)}
        if row.get(spans) is not None:
            found["entities"] = tools.from_cell(row[spans]) or []
        elif gold:
            raise InputError(f"{place}: there is no {spans}; write [] where nothing is marked.")
        return [found]

    return read
