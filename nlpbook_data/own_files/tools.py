"""Find out which tool wrote a file, and convert its rows to the columns of a task."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from nlpbook_data.data.relations import mark_pair
from nlpbook_data.errors import InputError
from nlpbook_data.own_files.options import Options
from nlpbook_data.reading import annotation_tools as tools
from nlpbook_data.reading.conversations import (
    PARTS,
    is_conversation,
    is_instruction,
    read_conversation,
    read_instruction,
)
from nlpbook_data.reading.relations import TYPES, read_entity
from nlpbook_data.reading.search_rows import find_layout, read_search_row
from nlpbook_data.reading.values import member, plain_name

Row = Mapping[str, Any]
# Converts a row of the file to rows of the task; to none if it is not annotated.
Convert = Callable[[str, Row], Iterable[dict[str, Any]]]
# Returns the text of a tool's row with what is annotated; counts notes.
Read = Callable[[str, Row, Counter[str]], dict[str, Any] | None]
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
) -> tuple[str, Convert] | None:
    """Return the name of the layout of `rows`, the first rows of a file, and its converter.

    None if they have the task's own columns, or no known layout. With `several`, a row may have no
    labels. Without `gold`, a file without any annotation keeps its texts.
    """
    first = rows[0] if rows else {}
    if task in ("ner", "doccls") and (tool := _find_tool(task, rows, columns)):
        return tool[0], _only_annotated(tool[1], task, rows, several, gold, options.notes)
    if task == "doccls" and RELATION <= {*first} and columns.get("text", "text") not in first:
        return "KLUE-RE", lambda place, row: [_read_relation(place, row, gold)]
    if task == "ner":
        return _find_spans(rows, columns, gold, options)
    if task == "generation":
        if any(map(is_conversation, rows)):
            return "conversations", partial(_read_conversation, options.notes)
        if is_instruction(first):
            options.note_unread([name for name in first if name not in PARTS])
            return "instructions", lambda place, row: [read_instruction(row)]
    if task == "search" and (layout := find_layout(_plain_names(first))):
        named = (n for n in map(plain_name, first) if n not in layout[:2])
        options.note_unread([name for name in named if not layout[2].fullmatch(name)])
        return " and ".join(layout[:2]), lambda place, row: read_search_row(
            place, _plain_names(row), layout
        )
    if task == "paircls" and any(isinstance(row.get("labels"), dict) for row in rows):  # KLUE-STS
        return "KLUE", lambda place, row: [{**row, "label": (row.get("labels") or {}).get("label")}]
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


def _find_tool(
    task: str, rows: Sequence[Row], columns: Mapping[str, str]
) -> tuple[str, Read] | None:
    text, label = (columns.get(column, column) for column in ("text", "label"))
    if any(map(tools.is_label_studio, rows)):
        return "Label Studio", lambda p, r, notes: tools.read_label_studio(
            p, r, task, text, label, notes
        )
    if any(map(tools.is_label_studio_min, rows)):
        return "Label Studio's JSON-MIN", lambda p, r, notes: tools.read_label_studio_min(
            p, r, task, text, label
        )
    if any(map(tools.is_prodigy, rows)):
        return "Prodigy", lambda p, r, notes: tools.read_prodigy(r, task)
    if task == "doccls" and any(map(tools.is_cats, rows)):
        return "spaCy", lambda p, r, notes: tools.read_cats(r)
    own = all(text in row for row in rows) and label not in ("label", "labels")
    if task == "doccls" and not own and tools.is_doccano(rows):
        return "doccano", lambda p, r, notes: tools.read_doccano(r)
    return None


def _only_annotated(
    read: Read, task: str, rows: Sequence[Row], several: bool, gold: bool, notes: Counter[str]
) -> Convert:
    """Return a converter that leaves out, and counts, what is not annotated."""
    wanted = "entities" if task == "ner" else "label"

    def is_annotated(found: dict[str, Any] | None) -> bool:
        value = (found or {}).get(wanted)
        return value is not None and (value not in ([], "") or several or task == "ner")

    only_texts = not gold and not any(is_annotated(read("", row, Counter())) for row in rows)

    def convert(place: str, row: Row) -> list[dict[str, Any]]:
        found = read(place, row, notes)
        if found and only_texts:
            return [{"text": found["text"]}]
        if not found or not is_annotated(found):
            notes[UNUSED] += 1
            return []
        label = found.get("label")
        if isinstance(label, list) and len(label) == 1 and not several:
            return [{**found, "label": label[0]}]
        return [found]

    return convert


def _find_spans(
    rows: Sequence[Row], columns: Mapping[str, str], gold: bool, options: Options
) -> tuple[str, Convert] | None:
    """Return the converter of tokens with tags, or of doccano's spans, if `rows` have them."""
    if tags := tools.tag_columns(rows):
        # a blank among the tokens: they are characters, as KLUE's on the Hub
        parting = "" if any(" " in (row.get(tags[0]) or ()) for row in rows) else " "
        names = options.ner_tag_names
        return "tokens and tags", lambda p, r: [tools.join_tagged(p, r, tags, names, parting)]
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

    return "doccano", read
