"""Read rows exported by annotation tools: doccano, Label Studio, Prodigy, and tokens with tags."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nlpbook_data.errors import InputError, shown
from nlpbook_data.reading.entities import join_tokens, split_tag
from nlpbook_data.reading.values import PlacedRows

Object = Mapping[str, Any]
# A text and its entities or label, None if nobody has annotated it; None if it was not accepted.
Annotated = tuple[Any, Any] | None
MEND = "Mend or drop the row."
AGREE = "rows have several annotations that are equal"
DIFFER = "rows have several annotations that differ: the first of each counts"
# Further columns of Label Studio's JSON-MIN and csv, apart from data and annotations.
STUDIO = {
    *("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"),
    *("meta", "inner_id", "predictions", "annotations", "drafts", "file_upload", "data"),
}
CELL = re.compile(r'\s*("?)([\[{].*)\1\s*', re.DOTALL)
SPAN_COLUMNS = ("entities", "spans", "labels", "label", "annotations", "NE")
TOKEN_COLUMNS = ("tokens", "words")
TAG_COLUMNS = ("ner_tags", "tags", "ner", "labels", "entities", "label")
# Names that tools have for the parts of an entity.
SPAN_KEYS = {
    "start": ("start_offset", "begin"),
    "end": ("end_offset",),
    "label": ("type", "tag", "entity_group"),
}


class Wanted(NamedTuple):
    """What is read of a tool's rows: of doccls or ner, under these names; notes are counted."""

    task: str
    text: str
    label: str
    notes: Counter[str]


Read = Callable[[str, Object, Wanted], Annotated]


def is_span(value: Any) -> bool:
    """Whether `value` is an entity of any tool: ``[start, end, name]`` or an object."""
    if isinstance(value, list):
        return len(value) == 3 and [type(part) for part in value[:2]] == [int, int]
    return isinstance(value, dict) and bool({"start", *SPAN_KEYS["start"]} & {*value})


def from_cell(value: Any) -> Any:
    """Return what a cell of csv, or of tsv with csv's quotes, holds as JSON; else `value`."""
    found = CELL.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return value
    try:
        return json.loads(found[2].replace('""', '"') if found[1] else found[2])
    except (ValueError, RecursionError):
        return value


def to_span(place: str, value: Any) -> Any:
    """Return ``{"start", "end", "label"}`` of an entity of any tool; other values unchanged."""
    if not is_span(value):
        return value
    if isinstance(value, list):
        return dict(zip(("start", "end", "label"), value, strict=True))
    span = dict(value)
    for name, others in SPAN_KEYS.items():
        if name not in span and (other := next((o for o in others if o in span), None)):
            span[name] = span.pop(other)
    if isinstance(names := span.get("labels"), list) and "label" not in span:  # Label Studio's
        if len(names) != 1:
            raise InputError(f"{place}: an entity has {len(names)} labels. Keep one.")
        span["label"] = span.pop("labels")[0]
    return span


def count_parts(task: str, rows: Sequence[Object], id_: str, text: str, label: str) -> int:
    """Return how many of `rows` are but a label or entity of a text, as in old csv of doccano."""
    if task == "ner":
        names = [{name, *others} for name, others in SPAN_KEYS.items()] + [{"text"}]
        return sum(all(name & {*row} for name in names) for row in rows)
    keys = [(str(row[id_]), str(row[text])) for row in rows if {id_, text, label} <= {*row}]
    return len(keys) - len({*keys}) if task == "doccls" else 0


def join_parts(task: str, rows: PlacedRows, id_: str, text: str, label: str) -> PlacedRows:
    """Yield a text once for all rows with it and its id; with a list of labels or entities."""
    found: dict[tuple[str, str], tuple[str, list[dict[str, Any]]]] = {}
    text = "text" if task == "ner" else text
    for place, row in rows:
        key = (str(row.get(id_)), str(row.get(text)))
        found.setdefault(key, (place, []))[1].append(row)
    for place, parts in found.values():
        whole = parts[0].get(text)
        if task == "ner":
            spans = (to_span(place, part) for part in parts)
            keys = ("start", "end", "label")
            entities = [{key: _number(span.get(key)) for key in keys} for span in spans]
            entities = [span for span in entities if span["start"] not in ("", None)]
            yield place, {"text": whole, "entities": entities}
        else:
            cells = [part.get(label) for part in parts]
            labels = [x for cell in cells for x in (cell if isinstance(cell, list) else [cell])]
            yield place, {"text": whole, "label": labels if len(parts) > 1 else cells[0]}


def _number(cell: Any) -> Any:
    """Return the whole number in a cell of csv; pandas writes 3.0 if another is missing."""
    return int(float(cell)) if re.fullmatch(r"[0-9]{1,18}(\.0)?", str(cell)) else cell


def span_column(rows: Iterable[Object]) -> str | None:
    """Return the column that has entities in at least one of `rows`."""
    for row in rows:
        for name in SPAN_COLUMNS:
            value = from_cell(row.get(name))
            if isinstance(value, list) and value and all(map(is_span, value)):
                return name
    return None


def tag_columns(rows: Sequence[Object]) -> tuple[str, str] | None:
    """Return the columns of tokens and of their tags."""
    for row in rows:
        for column in TOKEN_COLUMNS:
            tokens = row.get(column)
            if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
                names = (n for n in TAG_COLUMNS if isinstance(row.get(n), list))
                tags = next((n for n in names if len(row[n]) == len(tokens)), None)
                return (column, tags) if tags else None
    return None


def join_tagged(
    place: str, row: Object, columns: tuple[str, str], names: Sequence[str], separator: str
) -> dict[str, Any]:
    """Return the text and entities of tokens and their tags: words, or indices of `names`."""
    tokens, column = row.get(columns[0]), columns[1]
    tags = row.get(column)
    if not isinstance(tokens, list) or not all(
        isinstance(token, str) and (token.strip() or not separator) for token in tokens
    ):
        raise InputError(f"{place}: {columns[0]} is {repr(tokens)[:60]}, no list of words. {MEND}")
    if not isinstance(tags, list) or len(tags) != len(tokens):
        found = len(tags) if isinstance(tags, list) else repr(tags)[:40]
        raise InputError(f"{place}: {len(tokens)} tokens and {found} {column}. {MEND}")
    words = []
    for tag in tags:
        if isinstance(tag, int) and not isinstance(tag, bool):
            if not 0 <= tag < len(names):
                known = f"of {len(names)} names" if names else "without names"
                raise InputError(
                    f"{place}: {column} holds the number {tag} {known}. Say what the numbers stand "
                    "for, in their order: --ner_tag_names O B-PER I-PER …"
                )
            tag = names[tag]
        words.append(split_tag(place, str(tag)))
    text, entities = join_tokens(tokens, words, separator)
    return {"text": text, "entities": entities}


def is_label_studio(row: Object) -> bool:
    """Whether `row` is a task of Label Studio's JSON, with its data in a separate object."""
    kept = ("annotations", "completions", "predictions")
    return isinstance(row.get("data"), dict) and any(key in row for key in kept)


def read_label_studio(place: str, row: Object, wanted: Wanted) -> Annotated:
    """Return a task; of several annotations the first counts, and a note tells if they differ."""
    text = _studio_text(place, row["data"], wanted.text)
    annotations = row.get("annotations", row.get("completions")) or []
    kept = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
    if not kept:
        return None if annotations else (text, None)
    parts = ([p for p in one.get("result") or [] if isinstance(p, dict)] for one in kept)
    first, *others = (
        [_studio_entities(text, part, wanted.notes) for part in parts]
        if wanted.task == "ner"
        else [_studio_labels(place, part, wanted.label) for part in parts]
    )
    if others:
        differ = any(_in_order(other) != _in_order(first) for other in others)
        wanted.notes[DIFFER if differ else AGREE] += 1
    return text, first


def _studio_entities(text: str, results: Sequence[Object], notes: Counter[str]) -> list[Any]:
    kinds = [str(one.get("type")) for one in results]
    others = [kind for kind in kinds if kind.endswith("labels") and kind != "labels"]
    notes.update(f"marks are {kind}, not in plain text, and were left out" for kind in others)
    values = [one.get("value") for one in results if one.get("type") in ("labels", None)]
    return [_studio_span(text, one) for one in values]


def _studio_labels(place: str, results: Sequence[Object], label_name: str) -> list[Any]:
    found: dict[str, list[Any]] = {}
    for one in results:
        value = one.get("value") or {}
        if {"choices", "taxonomy", "rating"} & {*value}:
            paths = (map(str, path) for path in value.get("taxonomy") or [])
            labels = found.setdefault(str(one.get("from_name")), [])
            labels += value.get("choices") or map(">".join, paths)
            labels += [value["rating"]] if "rating" in value else []
    return _only(place, found, label_name)


def _in_order(found: Iterable[Any]) -> list[str]:
    """Return entities or labels as strings in a fixed order, to compare them."""
    keys = ("start", "end", "labels")
    parts = ([one.get(k) for k in keys] if isinstance(one, dict) else one for one in found)
    return sorted(map(repr, parts))


def read_label_studio_min(place: str, row: Object, wanted: Wanted) -> Annotated:
    """Return a row of JSON-MIN or of csv."""
    data = {k: v for k, v in row.items() if k not in STUDIO}
    text = _studio_text(place, data, wanted.text)
    others = {k: from_cell(v) for k, v in data.items() if v != text}
    if wanted.task == "ner":
        lists = (v for v in others.values() if isinstance(v, list) and all(map(is_span, v)))
        return text, [_studio_span(text, one) for one in next(lists, [])]
    value = _only(place, others, wanted.label)
    return text, value.get("choices") if isinstance(value, dict) else value


def _only(place: str, found: Mapping[str, Any], label_name: str) -> Any:
    """Return the value of `label_name`, or of the only name in `found`; [] if there is none."""
    if label_name in found or len(found) < 2:
        return found.get(label_name, next(iter(found.values()), []))
    raise InputError(
        f"{place}: the label may be {' or '.join(sorted(found))}. Say which: --label_column_name."
    )


def _studio_text(place: str, data: Object, name: str) -> Any:
    texts = [key for key, value in data.items() if isinstance(value, str)]
    for key in (name, "text", *(texts if len(texts) == 1 else ())):
        if key in data:
            return data[key]
    raise InputError(
        f"{place}: the text may be any of {shown(texts) or 'nothing'}. Say which: "
        "--text_column_name."
    )


def _studio_span(text: str, value: Any) -> Any:
    """Return the span; versions before 1.5 counted UTF-16 units, which the span's text reveals."""
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return value
    start, end, said = value.get("start"), value.get("end"), value["text"]
    if not isinstance(start, int) or not isinstance(end, int) or text[start:end] == said:
        return value
    units = text.encode("utf-16-le", "surrogatepass")
    if units[2 * start : 2 * end] == said.encode("utf-16-le", "surrogatepass"):
        begin = len(units[: 2 * start].decode("utf-16-le", "replace"))
        return {**value, "start": begin, "end": begin + len(said)}
    if text[start:end].strip() == said.strip():  # blanks at the ends are not always exported
        return {**value, "text": None}
    return value


def is_prodigy(row: Object) -> bool:
    """Whether `row` is from Prodigy's ``db-out``."""
    return row.get("answer") in ("accept", "reject", "ignore") and bool(
        {"_input_hash", "_task_hash", "spans", "accept", "options", "_view_id"} & {*row}
    )


def read_prodigy(place: str, row: Object, wanted: Wanted) -> Annotated:
    """Return an accepted annotation."""
    if row["answer"] != "accept":
        return None
    if wanted.task == "ner":
        return row.get("text"), row.get("spans") or []
    return row.get("text"), row.get("accept", row.get("label"))


def read_cats(place: str, row: Object, wanted: Wanted) -> Annotated:
    """Return a text with those of spaCy's ``{"cats": {"긍정": 1.0}}`` above one half."""
    cats = row.get("cats") or {}
    return row.get("text"), [name for name, share in cats.items() if share > 0.5]


def is_doccano(row: Object) -> bool:
    """Whether `row` is from doccano's classification, with a list of labels for each text."""
    return (
        any(name in row for name in ("id", "Comments", "annotations", "data"))
        and any(isinstance(row.get(name), list) for name in ("label", "labels", "annotations"))
        and isinstance(row.get("text", row.get("data")), str)
    )


def read_doccano(place: str, row: Object, wanted: Wanted) -> Annotated:
    """Return a classified text."""
    value = row.get("label", row.get("labels", row.get("annotations")))
    if isinstance(value, list):
        value = [one.get("label") if isinstance(one, dict) else one for one in value]
    return row.get("text", row.get("data")), value


def find_tool(rows: Sequence[Object], wanted: Wanted) -> Read | None:
    """Return the reader of the tool that wrote at least one of `rows`."""
    own = all(wanted.text in row for row in rows) and wanted.label not in ("label", "labels")
    is_doccls = wanted.task == "doccls"
    tools: list[tuple[Callable[[Object], bool], Read, bool]] = [
        (is_label_studio, read_label_studio, True),
        (
            lambda row: bool({"annotation_id", "lead_time"} & {*row}) and "data" not in row,
            *(read_label_studio_min, True),
        ),
        (is_prodigy, read_prodigy, True),
        (lambda row: isinstance(row.get("cats"), dict), read_cats, is_doccls),
        (is_doccano, read_doccano, is_doccls and not own),
    ]
    return next((read for is_, read, fits in tools if fits and any(map(is_, rows))), None)


def is_listed(cell: str) -> bool:
    """Whether a cell holds a list, tuple or set as pandas or json writes it."""
    pattern = r"\s*(\[.*\]|[({].*['\",].*[)}]|set\(\))\s*"
    return re.fullmatch(pattern, cell, re.DOTALL) is not None


def parts_of(cell: str) -> list[str]:
    """Return the items of such a cell: ``['기쁨', '슬픔']``, ``{'기쁨'}``, ``[0, 1]``."""
    inside = cell.strip().removeprefix("set")[1:-1]
    if found := re.findall(r"'([^']*)'|\"([^\"]*)\"", inside):
        return [one or other for one, other in found]
    return [part.strip() for part in inside.split(",") if part.strip()]
