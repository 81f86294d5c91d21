"""Read the user's own rows in a task's schema, from all common formats.

`SCHEMAS` says which columns a task has. Rows are read from the tables of `tables`, in the layouts
of annotation tools and chat models (`tools`) too, and from what `detect_format` finds. Every row is
checked. Offsets count the characters of the text in the file; texts are never normalised.
"""

import ast
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal

from nlpbook_data.errors import InputError, nearest, shown
from nlpbook_data.own_files.entities import find_layout
from nlpbook_data.own_files.options import Options
from nlpbook_data.own_files.search_rows import is_qrels, read_qrels
from nlpbook_data.own_files.tables import (
    csv_separator,
    first_rows,
    first_text_line,
    read_rows,
    read_text_lines,
    require_file,
    table_format,
)
from nlpbook_data.own_files.tools import find_converter, rename_columns
from nlpbook_data.reading.annotation_tools import (
    count_parts,
    from_cell,
    is_listed,
    join_parts,
    parts_of,
    to_span,
)
from nlpbook_data.reading.brat import is_brat, read_brat
from nlpbook_data.reading.entities import PREFIX
from nlpbook_data.reading.json_values import json_layout
from nlpbook_data.reading.squad import read_own_squad
from nlpbook_data.reading.text import (
    MAX_CHARACTERS,
    find_encoding,
    format_of,
    is_utf16,
    read_whole,
)
from nlpbook_data.reading.values import (
    INVISIBLE,
    OnError,
    PlacedRows,
    convert_each,
    find_name,
    malformed,
    member,
    need_keys,
    raise_error,
    whole,
)
from nlpbook_data.reading.workbook import sheets

Read = Callable[[Counter[str], OnError], PlacedRows]  # counts notes; see `read_examples`
MEND = "Mend or drop the row."
ARRAY = re.compile(r"array\((\[[^\[\]]*\])(?:, dtype=\w+)?\)")  # of numpy, in a cell by pandas
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
WHOLE = re.compile(r"(-?[0-9]+)\.0+")
# The text that pandas and others write into empty cells.
EMPTY_WORDS = {"nan", "none", "null", "<na>", "n/a", "#n/a", "na", "nat", "undefined"}
UNSEEN = "labels have invisible characters, such as a zero-width space; they are left out"
NFD = "labels in decomposed letters (NFD) are read as composed ones (NFC)"
NANS = "labels are a word for an empty cell, such as nan. Mend or drop those rows"
NAN_TEXTS = "rows have a word for an empty cell as a text, such as nan. Mend or drop them"
# A cell in the quotes of csv, with a quote in it that is written twice.
QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')
CSV_QUOTES = "rows have the quotes of csv, which are text in tsv. If they are not, save it as .csv"
NESTED = "entities stand inside another one (or twice), and were left out: the outermost is kept"
# The labels of inference, beside which SNLI has - where its annotators did not agree.
INFERENCE = {"entailment", "neutral", "contradiction", "함의", "중립", "모순"}
UNDECIDED = "rows of inference have no gold label (-), and were left out"
REPEATED = "of the first 100 rows repeat an id and text; --multi_label true joins their labels"
YES_NO = "columns of 0 and 1 left unread: all rows count as answers (query, passage and label tell)"
NO_TEXTS = "files or folders are no .txt, and were left out"
SAMPLE_ROWS = 100
MAX_LABELS = 1000
EXAMPLES = {
    "entities": '[{"start": 0, "end": 2, "label": "PER"}]',
    "answers": '[{"text": "서울", "answer_start": 0}]',
}
# The other tasks whose rows search accepts, and the columns that identify their files.
SEARCHED: dict[str, list[tuple[str, ...]]] = {
    "qa": [("question", "context")],
    "paircls": [
        *(("premise", "hypothesis", label) for label in ("label", "gold_label")),
        *(("sentence1", "sentence2", label) for label in ("label", "gold_label")),
        ("query", "passage", "label"),
    ],
}
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Schema:
    """The columns of a task.

    Attributes:
        columns: the possible sets of columns of a file, each with its group columns: their texts
            must not occur on both sides of a carved split.
        gold: the column to predict; a file for prediction may lack it.
        optional: further columns that are read if they exist.
    """

    columns: Mapping[tuple[str, ...], tuple[str, ...]]
    gold: str | None = None
    optional: tuple[str, ...] = ()

    @property
    def all_columns(self) -> list[str]:
        """Every column of the task, each once."""
        return list(dict.fromkeys([*(c for names in self.columns for c in names), *self.optional]))


SCHEMAS = {
    "doccls": Schema({("text", "label"): ("text",)}, gold="label"),
    "paircls": Schema(
        {
            ("premise", "hypothesis", "label"): ("premise",),
            ("sentence1", "sentence2", "label"): ("sentence1", "sentence2"),
        },
        gold="label",
    ),
    "ner": Schema({("text", "entities"): ("text",)}, gold="entities"),
    "qa": Schema(
        {
            ("context", "question", "answers"): ("context",),
            ("context", "question", "answer_text"): ("context",),
        },
        gold="answers",
        optional=("id", "title", "answer_start", "question_type", "is_impossible"),
    ),
    "search": Schema({("query", "passage"): ("query",)}, optional=("negative",)),
    "generation": Schema(
        {
            ("prompt", "completion"): ("prompt",),
            ("question", "answer"): ("question",),
            ("text", "label"): ("text",),
            ("text",): ("text",),
        },
        gold="completion",
    ),
    "pretrain": Schema({("text",): ("text",)}),
}


def find_schema(task: str, columns: Collection[str] = ()) -> Schema:
    """Return the schema of `task`; raise InputError if there is none, or it lacks `columns`."""
    if task not in SCHEMAS:
        raise InputError(
            f"There is no task {task!r}.{nearest(task, SCHEMAS)} The tasks are: "
            f"{', '.join(SCHEMAS)}."
        )
    schema = SCHEMAS[task]
    for column in columns:
        if column not in schema.all_columns:
            raise InputError(
                f"{task} has no column {column!r}.{nearest(column, schema.all_columns)} It has "
                f"{', '.join(schema.all_columns)}."
            )
    return schema


def find_columns(schema: Schema, there: Collection[str], gold: bool = True) -> tuple[str, ...]:
    """Return the set of the task's columns with the largest share, or else most, in `there`.

    Without `gold` the column to predict may be missing.
    """

    def presence(names: tuple[str, ...]) -> tuple[float, int]:
        needed = [column for column in names if gold or column != schema.gold]
        return sum(c in there for c in needed) / len(needed), sum(c in there for c in names)

    return max(schema.columns, key=presence)


def match_columns(
    task: str, columns: Mapping[str, str], there: Collection[str], gold: bool = True
) -> tuple[list[str], dict[str, str], str]:
    """Return the data's required columns, the mapping of all columns, and advice for an error.

    Mappings, `columns` too, are ``{the task's column: the data's}``. The advice tells which options
    name other columns. Without `gold` the column to predict may be missing.
    """
    schema, columns = SCHEMAS[task], rename_columns(task, columns, there)
    name_of = {c: find_name(columns.get(c, c), there) for c in schema.all_columns}
    names = find_columns(schema, [c for c in name_of if name_of[c] in there], gold)
    needed = [column for column in names if gold or column != schema.gold]
    wanted = {column: name_of[column] for column in (*names, *schema.optional)}
    advice = "Name yours with " + " and ".join(f"--{c}_column_name" for c in needed) + "."
    lacking = [column for column in needed if name_of[column] not in there]
    if lacking == [schema.gold]:
        advice = f"{advice} Rows that are only predicted have --{schema.gold}_column_name none."
    return [name_of[column] for column in needed], wanted, advice


def searched_task(paths: Iterable[Path], columns: Mapping[str, str]) -> str:
    """Return the task whose rows the files for search have: search, qa or paircls.

    Contexts answer questions, and premises entail hypotheses; see `search.collections`.
    """
    if columns.get("query", "query") != "query":  # the options name search's own columns
        return "search"
    for path in paths:
        is_json = format_of(path) in (".json", ".jsonl") and path.is_file()
        if is_json and json_layout(path) == "squad":
            return "qa"
        for row in first_rows(path, 1):
            for task, sets in SEARCHED.items():
                if any(all(find_name(name, row) in row for name in names) for names in sets):
                    return task
    return "search"


def find_split_files(folder: Path) -> dict[str, Path]:
    """Return ``{split: file or folder}`` of the contents of `folder`, found by name.

    A name must contain one of the words train, validation (valid, val, dev, eval) or test, between
    ``-``, ``_``, ``.`` or blanks: ``train.jsonl``, ``klue-ner-v1.1_dev.tsv``, ``test/``. Of BEIR's
    folders it is those in ``qrels/``.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Check the path.")
    folder = folder / "qrels" if (folder / "qrels").is_dir() else folder
    found: dict[str, Path] = {}
    others = (".md", ".yaml", ".yml", ".py")
    seen = [path for path in sorted(folder.iterdir()) if path.suffix.lower() not in others]
    seen = [path for path in seen if not path.name.startswith(".")]
    for path in seen:
        words = re.split(r"[-_. ]+", path.name.lower())
        for split, names in SPLIT_WORDS.items():
            if not set(names).isdisjoint(words):
                if split in found:
                    raise InputError(
                        f"{folder}: {found[split].name} and {path.name} are both named as "
                        f"{split}. Leave one there, or name the files one by one."
                    )
                found[split] = path
    if not found:
        raise InputError(
            f"{folder}: no file or folder is named train, validation (dev) or test; there "
            f"is {shown(path.name for path in seen) if seen else 'nothing'}. Rename them, or name "
            "the files one by one."
        )
    return {split: found[split] for split in SPLIT_WORDS if split in found}


def find_qrels(files: Mapping[str, Path]) -> dict[str, Path]:
    """Return `files` with the qrels of its split in place of a folder of BEIR's.

    The folder of train also gives the splits that `files` does not name.
    """
    found: dict[str, Path] = {}
    for split, path in files.items():
        if not (path / "qrels").is_dir():
            found[split] = path
            continue
        own = find_split_files(path)
        if split not in own:
            raise InputError(f"{path}: qrels/ has {shown(own)}, but not {split}. Add it there.")
        found |= {s: own[s] for s in own if s == split or (split == "train" and s not in files)}
    return found


def detect_format(
    path: Path, task: str, columns: Mapping[str, str], gold: bool = True
) -> tuple[str, Read | None]:
    """Return how `path` is read: an ending of `FORMATS` or words, and a reader of other formats.

    These are of ner the text files of `entities` and `brat`, of qa SQuAD's JSON, of doccls a folder
    with one sub-folder of .txt files for each label; and .txt, where each line is a text.

    Raises:
        InputError: there is no such file, or its format is not one of `task`.
    """
    if task == "ner" and is_brat(path):
        return "brat's .txt and .ann files", partial(read_brat, path, gold)
    if path.is_dir() and task == "doccls":
        return "a folder a label, a .txt file a text", partial(_read_label_folders, path, gold)
    if path.is_dir():
        raise InputError(f"{path}: a folder. For {task} name a file in it.")
    require_file(path)
    suffix = format_of(path)
    always = task in ("pretrain", "generation")
    is_plain = suffix == ".txt" and (always or (task in ("ner", "doccls") and not gold))
    if task == "ner" and suffix not in (".csv", ".jsonl", ".xlsx", ".parquet", ".json"):
        first = first_text_line(path)
        cells = first.split("\t")
        if suffix == ".tsv" and find_name(columns.get("text", "text"), cells) in cells:
            return suffix, None
        if layout := find_layout(path):
            return layout[0], lambda notes, on_error: layout[1](on_error)
        if not is_plain:
            raise InputError(
                f"{path}: found {first[:60]!r} where lines of a token and its tag (B-PER, I-PER, "
                "O), or a text with <entity:TAG>, belong. Or save the rows as .jsonl, with text "
                "and entities."
            )
    if is_plain and (task != "doccls" or "\t" not in first_text_line(path)):
        return ".txt", lambda notes, on_error: (
            (place, {"text": line}) for place, line in read_text_lines(path) if line.strip()
        )
    if task == "qa" and suffix in (".json", ".jsonl") and json_layout(path) == "squad":
        return "SQuAD's JSON", lambda notes, on_error: read_own_squad(
            path, find_encoding(path), on_error
        )
    return table_format(path, *([".txt"] if always else [])), None


def describe_format(path: Path, task: str, columns: Mapping[str, str], gold: bool) -> str:
    """Return how `path` is read, in words: format or layout, separator, encoding."""
    return describe_kind(path, detect_format(path, task, columns, gold)[0])


def describe_kind(path: Path, kind: str) -> str:
    """Return how `path` is read, in words; `kind` is an ending, or says it but for the encoding."""
    csv = {",": "csv, comma", ";": "csv, semicolon", "\t": "csv, tab", "|": "csv, pipe"}
    name = {".tsv": "tsv, tab", ".txt": "a line a text"}.get(kind, kind.removeprefix("."))
    name = csv[csv_separator(path)] if kind == ".csv" else name
    if path.is_dir() or kind in (".xlsx", ".parquet"):
        return name
    is_cp949 = find_encoding(path) == "cp949"
    return f"{name}, {'cp949' if is_cp949 else 'UTF-16' if is_utf16(path) else 'UTF-8'}"


def read_examples(
    path: Path,
    task: str,
    columns: Mapping[str, str] | None = None,
    *,
    gold: bool = True,
    label_separator: str | None = None,
    others: bool = False,
    on_error: OnError = raise_error,
    options: Options | None = None,
) -> PlacedRows:
    """Yield ``(place, row)`` of `path` in the schema of `task`; `place` names file and line.

    Labels are words (``"1"`` for a number). Rows of a task:

    - doccls: ``text``, ``label``
    - paircls: ``premise``, ``hypothesis`` or ``sentence1``, ``sentence2``, and ``label``
    - ner: ``text``, ``entities``: ``[{"start", "end", "label"}]``, by start, the end exclusive
    - qa: ``id`` (the row's number where there is none), ``title``, ``context``, ``question``,
      ``answers``: ``[{"text", "answer_start"}]``, empty where the context has no answer
    - search: ``query``, ``passage``, and ``negative`` where there is one
    - generation: ``prompt``, ``completion`` or ``question``, ``answer``, or ``text``, ``label``,
      or ``text``
    - pretrain: ``text``

    Args:
        path: a file, or for doccls a folder.
        columns: ``{the task's column: the file's}``, if they differ.
        gold: False: the column to be predicted may be missing.
        label_separator: for doccls with several labels a row: the separator in a cell (jsonl and
            parquet may have lists). ``label`` is then a sorted list.
        others: return the other columns of a table too, unchanged.
        on_error: called with the error of a row; if it returns, the row is left out.
        options: further options of reading; notes are counted in it.

    Raises:
        InputError: for any bad input; it names file and row.
    """
    columns, options = dict(columns or {}), options or Options()
    find_schema(task, columns)
    read = detect_format(path, task, columns, gold)[1]
    empty = True

    def report(error: InputError) -> None:
        nonlocal empty
        empty = False
        on_error(error)

    several = label_separator is not None
    rows = (
        read(options.notes, report)
        if read
        else _read_table(path, task, columns, gold, others, several, options, report)
    )
    ids: dict[str, str] = {}
    for number, (place, row) in enumerate(rows, start=1):
        try:
            example = convert_row(place, row, task, label_separator, number, options)
            if example is None:
                empty = False
                continue
            if task == "qa":
                if gold and "answers" not in example:
                    raise InputError(
                        f"{place}: there are no answers; write [] where the context has none. "
                        "Rows that are only predicted have --answers_column_name none."
                    )
                if example["id"] in ids:
                    raise InputError(
                        f"{place}: the id {example['id'][:40]!r} is there twice, first at "
                        f"{ids[example['id']]}. Give each question its own."
                    )
                ids[example["id"]] = place.rpartition(f"{path}, ")[2]
        except InputError as error:
            report(error)
        else:
            empty = False
            yield place, row | example if others else example
    if empty:
        raise InputError(f"{path}: there is no row in it. Add rows, or leave this file out.")


def _read_table(
    path: Path,
    task: str,
    columns: Mapping[str, str],
    gold: bool,
    others: bool,
    several: bool,
    options: Options,
    on_error: OnError,
) -> PlacedRows:
    """Yield the rows of a table under the task's names of its columns."""
    sheet = options.sheet_name
    if sheet is None and format_of(path) == ".xlsx" and (more := sheets(path)[1:]):
        options.notes[f"of its sheets left unread (--sheet_name): {shown(more)}"] = len(more)
    sample = first_rows(path, SAMPLE_ROWS, sheet)
    first = sample[0] if sample else {}
    whole_rows = read_rows(path, (), None, on_error, sheet_name=sheet)
    names = [find_name(columns.get(name, name), first) for name in ("id", "text", "label")]
    if parts := count_parts(task, sample, *names):
        if task == "ner" or several:
            yield from join_parts(task, whole_rows, *names)
            return
        options.notes[REPEATED] = parts
    if tool := find_converter(task, sample, columns, several, gold, options):
        for place, found in convert_each(whole_rows, lambda *placed: [*tool(*placed)], on_error):
            yield from ((place, row) for row in found)
        return
    if task == "search" and is_qrels(first):
        yield from read_qrels(path, whole_rows, options.notes, on_error)
        return
    needed, wanted, advice = match_columns(task, columns, first, gold)
    options.note_unread([name for name in first if name not in wanted.values()])
    zero_one = {"0", "1"}
    yes_no = [n for n in first if {str(r.get(n)).removesuffix(".0") for r in sample} == zero_one]
    if task == "search" and (told := {*yes_no} - {*wanted.values()}):
        options.notes[YES_NO] = len(told)
    if task == "doccls" and len(yes_no) > 1 and wanted["label"] not in first:
        advice = (
            f"If {shown(yes_no)} are labels, write the names of those with a 1 into one column, a "
            "comma between them, and pass --multi_label true --label_separator ,."
        )
    cells = [str(value) for row in sample for value in row.values()]
    if task == "ner" and sum(map(bool, map(PREFIX.fullmatch, cells))) > 1:
        advice = (
            "If each row is a token, save it as .tsv without a header: a token and its tag a "
            "line, a blank line after each sentence."
        )
    for column, name in wanted.items() if others else ():
        if name != column and column in first:
            raise InputError(
                f"{path}: the column {column!r} stands beside {name!r}, which takes its name. "
                f"Rename {column!r}."
            )
    optional, is_tsv = None if others else wanted.values(), table_format(path) == ".tsv"
    drop = are_inference(task, [row.get(wanted.get("label", "")) for row in sample])
    for place, row in read_rows(path, needed, optional, on_error, advice, sheet):
        if drop and str(row.get(wanted["label"])).strip() == "-":
            options.notes[UNDECIDED] += 1
            continue
        if is_tsv and any(map(QUOTED.fullmatch, map(str, row.values()))):
            options.notes[CSV_QUOTES] += 1
        found = {column: row.pop(name) for column, name in wanted.items() if name in row}
        yield place, row | found if others else found


def _read_label_folders(
    folder: Path, gold: bool, notes: Counter[str], on_error: OnError
) -> PlacedRows:
    """Yield the .txt files of `folder`'s sub-folders, whose names are the labels."""
    files = [
        path
        for path in sorted([*folder.glob("*.txt"), *folder.glob("*/*")])
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    paths = [(str(path), path) for path in files if path.suffix == ".txt"]
    notes.update([NO_TEXTS] * (len(files) - len(paths)))
    if not paths:
        raise InputError(
            f"{folder}: no .txt file in a sub-folder. Make one sub-folder a label, named as it, "
            "with one .txt file a text."
        )

    def read(place: str, path: Path) -> dict[str, str]:
        text = read_whole(path).removesuffix("\n").removesuffix("\r")
        if path.parent != folder:  # macOS may decompose names
            return {"text": text, "label": unicodedata.normalize("NFC", path.parent.name)}
        if gold:
            raise InputError(f"{path}: stands in no sub-folder, whose name is its label.")
        return {"text": text}

    yield from convert_each(paths, read, on_error)


def convert_row(
    place: str,
    row: Mapping[str, Any],
    task: str,
    label_separator: str | None,
    number: int,
    options: Options,
) -> dict[str, Any] | None:
    """Return the raw `row`, the `number`-th, in the schema of `task`; see `read_examples`.

    None means that `options` leave the row out.
    """
    if task == "qa":
        return _convert_question(place, row, number, options)
    schema = SCHEMAS[task]
    names = next(
        names
        for names in schema.columns
        if all(name in row or (name == schema.gold and len(names) > 1) for name in names)
    )
    example: dict[str, Any] = {}
    for name in names:
        if name not in row:
            continue
        if name == "label" and task == "doccls":
            example[name] = read_labels(place, row[name], label_separator, options.notes)
        elif name == "label":
            example[name] = read_label(place, row[name], options.notes)
        elif name == "entities":
            example[name] = read_entities(place, row[name], example["text"], options.notes)
        else:
            example[name] = text = read_text(place, row[name], name)
            if len(text) < 10 and text.lower() in EMPTY_WORDS:
                options.notes[NAN_TEXTS] += 1
    if task == "search" and "negative" in row:
        other = row["negative"]
        example["negative"] = None if _is_missing(other) else read_text(place, other, "negative")
    return example


def are_inference(task: str, labels: Iterable[Any]) -> bool:
    """Whether `labels` are words of inference, apart from those that stand for none."""
    known = {str(label).strip().lower() for label in labels} - {"-", "none"}
    return task == "paircls" and bool(known) and known <= INFERENCE


def row_columns(task: str, row: Mapping[str, Any]) -> list[str]:
    """Return the columns of `row`, and the column to predict if `row` lacks it."""
    gold = SCHEMAS[task].gold
    if gold is None or gold in row or (gold == "completion" and "prompt" not in row):
        return list(row)
    return [*row, gold]


def group_columns(task: str, columns: Collection[str]) -> tuple[str, ...]:
    """Return those of `columns` whose texts must not be on both sides of a carved split."""
    fitting = (groups for groups in SCHEMAS[task].columns.values() if set(groups) <= set(columns))
    return next(fitting)


def labels_of(row: Mapping[str, Any]) -> list[str]:
    """Return the labels of a row or of its entities, with repetitions."""
    if "entities" in row:
        return [entity["label"] for entity in row["entities"]]
    label = row.get("label", [])
    return label if isinstance(label, list) else [label]


def _as_numbers(labels: Iterable[str]) -> list[float]:
    """Return `labels` as numbers; an empty list if one of them is a word."""
    try:
        return [float(label) for label in labels]
    except ValueError:
        return []


def judge_labels(
    place: str,
    labels: Collection[str],
    task: str,
    separator: str | None,
    scores: bool | None,
    whole: bool = True,
) -> tuple[bool, list[str]]:
    """Return whether the labels of a file are scores, and notes about them.

    They are scores if `scores` says so or, where it is None, if all are numbers and some have
    fractions. With `separator` a row has several labels. Impossible sets of labels are refused if
    the file is `whole`.
    """
    notes = [_score_note(task, labels)] if scores is None else []
    if task == "paircls" and labels and (_are_scores(labels) if scores is None else scores):
        for label in labels:
            if not all(map(math.isfinite, _as_numbers([label]) or [math.nan])):
                raise InputError(f"{place}: the label {label[:60]!r} is no number. Mend it.")
        return True, [*filter(None, notes)]
    if whole:
        notes.append(_check_joined(place, labels, task, separator))
        _check_labels(place, labels, task)
    return False, [*filter(None, [*notes, _alike_note(labels)])]


def _are_scores(labels: Iterable[str]) -> bool:
    """Return whether all `labels` are numbers and at least one has a fraction."""
    numbers = _as_numbers(labels)
    return all(map(math.isfinite, numbers)) and not all(n.is_integer() for n in numbers)


def _score_note(task: str, labels: Collection[str]) -> str | None:
    """Return a note about scores, or about classes that look like scores; None otherwise."""
    commas = [label for label in labels if "," in label]
    if task == "paircls" and commas and all(NUMBER.fullmatch(n.replace(",", ".")) for n in labels):
        return f"The labels, such as {commas[0]!r}, look like scores with a comma. Write points."
    if task not in ("doccls", "paircls") or not all(map(NUMBER.fullmatch, labels)) or not labels:
        return None
    numbers = sorted(float(label) for label in labels)
    between = f"from {numbers[0]:g} to {numbers[-1]:g}"
    if task == "paircls" and _are_scores(labels):
        return f"The labels, numbers {between}, are read as scores (--scores false: as classes)."
    if task == "paircls" and len(labels) > 2 and numbers != [0, 1, 2]:
        return (
            f"The labels, whole numbers {between}, are read as {len(labels)} classes. If they are "
            "scores, pass --scores true."
        )
    if task == "doccls" and _are_scores(labels):
        return f"The labels, numbers {between}, look like scores, and are read as classes."
    return None


def _find_joined(labels: Collection[str]) -> tuple[str, str] | None:
    """Return a label that looks like several, such as ``기쁨,슬픔``, and its separator.

    One of its parts is a label too, or a part of another such label; of words with a blank or a dot
    between them, each is a label.
    """
    ordered = sorted(labels, key=lambda label: (len(label), label))
    for separator in ",;|#/、 ·":
        parts = {label: [p.strip() for p in label.split(separator)] for label in ordered}
        counts = Counter(part for pieces in parts.values() for part in set(pieces))
        for label, pieces in parts.items():
            known = all(p in labels for p in pieces)
            is_joined = known if separator in " ·" else any(counts[p] > 1 for p in pieces)
            if len(pieces) > 1 and all(pieces) and is_joined:
                return label, separator
    return None


def _check_joined(place: str, labels: Collection[str], task: str, separator: str | None) -> str:
    """Refuse joined labels in rows with several labels; return a note for rows with one label."""
    found = _find_joined(labels) if task == "doccls" else None
    if found is None or is_listed(found[0]):
        listed = next(filter(is_listed, labels), None)
        return f"The label {listed!r} looks like a list: --multi_label true." if listed else ""
    how = f"--label_separator {repr(found[1]) if found[1] in ';|# ' else found[1]}"
    if separator is not None:
        raise InputError(
            f"{place}: the label {found[0]!r} looks like several with {found[1]!r} between them. "
            f"Pass {how}."
        )
    return (
        f"The label {found[0]!r} looks like several. If it is, pass --multi_label true {how}; now "
        "it is one class."
    )


def _alike_note(labels: Iterable[str]) -> str | None:
    """Return a note about two labels that look like one, such as True and TRUE, 1 and 01."""
    seen: dict[str | float, str] = {}
    for label in sorted(labels):
        plain = "".join(unicodedata.normalize("NFKC", label).casefold().split())
        plain = {"true": "1", "false": "0"}.get(plain, plain).replace("\u2212", "-")
        other = seen.setdefault(next(iter(_as_numbers([plain])), plain), label)
        if other != label:
            return (
                f"The labels {other!r} and {label!r} look like one, and are two classes. If they "
                "are one, write them alike."
            )
    return None


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Return `labels` sorted, numbers by value."""
    labels = list(labels)
    numeric = all(NUMBER.fullmatch(label) for label in labels)
    return sorted(labels, key=lambda label: (float(label) if numeric else 0.0, label))


def _check_labels(place: str, labels: Collection[str], task: str) -> None:
    """Refuse impossible label sets of a whole file."""
    if task == "ner" and not labels:
        raise InputError(f"{place}: there is no entity in any row. Look at the file.")
    if task not in ("ner", "generation") and len(labels) < 2:
        raise InputError(
            f"{place}: {len(labels)} label ({shown(labels) or 'none'}) in all rows, where a "
            "classifier needs two or more. Check --label_column_name."
        )
    pairs = zip(labels, _as_numbers(labels), strict=False)  # none if one is a word
    odd = sorted(label for label, number in pairs if not math.isfinite(number))
    if 0 < len(odd) < len(labels):
        raise InputError(f"{place}: the label {odd[0]!r}, where all are numbers. Mend those rows.")
    if len(labels) > MAX_LABELS:
        raise InputError(
            f"{place}: {len(labels):,} different labels, such as {min(labels)[:40]!r}. Check "
            "--label_column_name."
        )


def check_label(place: str, label: str, known: Collection[str], whose: str, advice: str) -> None:
    """Refuse a label that is not in `known`, the labels of `whose`."""
    if label not in known:
        raise InputError(
            f"{place}: the label {label[:60]!r} is not among those of {whose} "
            f"({shown(known)}).{nearest(label, known)} {advice}"
        )


def read_text(place: str, value: Any, column: str = "text") -> str:
    """Return `value`; it must be a valid text, not blank, and at most `MAX_CHARACTERS` long."""
    if not isinstance(value, str):
        raise malformed(f"{place}, {column}", value, "a text", MEND)
    if not value.strip():
        raise InputError(f"{place}: the {column} is empty. Mend or drop the row.")
    if len(value) > MAX_CHARACTERS:
        raise InputError(
            f"{place}: a {column} of {len(value):,} characters, over {MAX_CHARACTERS:,}. Look for "
            "a missing line break, or cut it."
        )
    if "\0" in value:
        raise InputError(f"{place}: a NUL in the {column}, which no text holds. Mend the row.")
    return whole(place, value, MEND)


def read_labels(
    place: str, value: Any, separator: str | None, notes: Counter[str]
) -> str | list[str]:
    """Return the label of a row; with a `separator`, its sorted labels."""
    if separator is None:
        if isinstance(value, list):
            raise InputError(f"{place}: found a list of labels. Pass --multi_label true.")
        return read_label(place, value, notes)
    values = value if isinstance(value, list) else [value]
    if isinstance(value, str):
        parts = parts_of(value) if is_listed(value) else value.split(separator)
        values = [part for part in parts if part.strip()]
    found = [read_label(place, value, notes) for value in values]
    if {*found} <= {"0", "1"} and len(found) > 2:
        raise malformed(place, value, "a list of the labels' names", MEND)
    return sorted({*found})


def read_label(place: str, value: Any, notes: Counter[str]) -> str:
    """Return the label `value`, a word or a number, as a visible NFC-normalised word."""
    infinite = isinstance(value, float) and math.isinf(value)
    if infinite or isinstance(value, (dict, list, date)):
        raise malformed(place, value, "a label", MEND)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas writes integers as floats if a cell is missing
    label = "" if value is None or value != value else str(value)
    label, invisible = INVISIBLE.subn("", label)
    label = label.strip()
    if not label:
        raise InputError(f"{place}: the label is missing. Mend or drop the row.")
    if number := WHOLE.fullmatch(label):
        label = number[1]
    if invisible:
        notes[UNSEEN] += 1
    composed = unicodedata.normalize("NFC", label)
    if composed != label:
        notes[NFD] += 1
    if label.lower() in EMPTY_WORDS:
        notes[NANS] += 1
    return whole(place, composed, MEND)


def read_entities(place: str, value: Any, text: str, notes: Counter[str]) -> list[dict[str, Any]]:
    """Return the entities of `text`, sorted by start: labelled spans that do not overlap.

    Of nested entities the outermost is kept, and `notes` counts the others: a token can have only
    one tag. Crossing entities, and entities with two labels, are refused.

    `value` is a list of ``{"start", "end", "label"}``, or of ``[start, end, label]``, or such a
    list as JSON in a cell of csv. If an object has ``text`` too, it is compared.
    """
    entities: list[dict[str, Any]] = []
    for number, entity in enumerate(_objects(place, "entities", value), start=1):
        where = f"{place}, entity {number}"
        need_keys(where, entity, ("start", "end", "label"), MEND)
        start, end = (_integer(where, key, entity[key]) for key in ("start", "end"))
        said = entity.get("text")
        if said is not None and not isinstance(said, str):
            raise malformed(f"{where}, text", said, "a text", MEND)
        if said is not None and start < end and text[start:end] != said:
            raise InputError(
                f"{where}: {start}-{end} of the text is {text[start:end][:40]!r} where its text "
                f"says {said[:40]!r}.{_where_it_is(text, start, said)}"
            )
        if not start < end <= len(text):
            raise InputError(
                f"{where}: the span {start}-{end} is empty, or goes beyond the {len(text)} "
                "characters of the text. Offsets count characters from 0, the end exclusive; mend "
                "the row."
            )
        label = read_label(where, entity["label"], notes)
        entities.append({"start": start, "end": end, "label": label})
    entities.sort(key=lambda entity: (entity["start"], -entity["end"]))
    kept: list[dict[str, Any]] = []
    for entity in entities:
        outer = kept[-1] if kept else {"end": 0}
        if entity["start"] >= outer["end"]:
            kept.append(entity)
            continue
        same = (entity["start"], entity["end"]) == (outer["start"], outer["end"])
        if entity["end"] > outer["end"] or (same and entity["label"] != outer["label"]):
            spans = [f"{e['start']}-{e['end']} {shown([e['label']])}" for e in (outer, entity)]
            raise InputError(f"{place}: the entities {' and '.join(spans)} overlap. Keep one.")
        notes[NESTED] += 1
    return kept


def _convert_question(
    place: str, row: Mapping[str, Any], number: int, options: Options
) -> dict[str, Any] | None:
    context = read_text(place, row["context"], "context")
    id_ = number if _is_missing(row.get("id")) else row["id"]
    known = {"id": id_, "title": row.get("title") or ""}
    example = {
        "id": str(member(place, known, "id", (str, int), MEND)),
        "title": member(place, known, "title", str, MEND),
        "context": context,
        "question": read_text(place, row["question"], "question"),
    }
    if "answers" not in row and "answer_text" not in row:
        return example
    # rows of KLUE-MRC have answers that only look plausible
    found = [] if str(row.get("is_impossible")) in ("True", "true") else _answers_of(place, row)
    answers = [_read_answer(where, answer, context, options) for where, answer in found]
    if found and None in answers and not any(answers):
        return None
    example["answers"] = [answer for answer in answers if answer]
    return example


def _answers_of(place: str, row: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the answers of a row, each with its place."""
    answers, text, start = (row.get(key) for key in ("answers", "answer_text", "answer_start"))
    is_text = isinstance(answers, str) and not answers.lstrip().startswith(("[", "{"))
    if "answers" not in row or is_text or ("answer_text" in row and _is_missing(answers)):
        text = answers if is_text else text  # the cell is the answer text
        if _is_missing(text) and (_is_missing(start) or start in (-1, "-1")):
            return []  # no answer in the context
        return [(place, {"text": text, "answer_start": start})]
    answers = _from_json(place, "answers", answers)
    if isinstance(answers, dict) and all(isinstance(v, list) for v in answers.values()):
        # ``{"text": […], "answer_start": […]}``, as in Hub datasets
        if len({*map(len, answers.values())}) > 1:
            raise InputError(f"{place}: the lists in answers differ in length. Mend the row.")
        rows = zip(*answers.values(), strict=True)
        answers = [dict(zip(answers, values, strict=True)) for values in rows]
    answers = [answers] if isinstance(answers, dict) else answers
    if isinstance(answers, list):
        answers = [{"text": one} if isinstance(one, str) else one for one in answers]
    numbered = enumerate(_objects(place, "answers", answers), start=1)
    return [(f"{place}, answer {number}", answer) for number, answer in numbered]


def _read_answer(
    place: str, answer: dict[str, Any], context: str, options: Options
) -> dict[str, Any] | None:
    """Return the answer; None if it occurs more than once and `options` skip it."""
    need_keys(place, answer, ("text",), MEND)
    text = read_text(place, answer["text"], "answer")
    if _is_missing(answer.get("answer_start")):
        found = _occurrences(text, context)
        if not found:
            raise InputError(
                f"{place}: the answer {text[:40]!r} is not in the context."
                f"{_where_it_is(context, None, text)}"
            )
        if len(found) > 1 and options.repeated_answers == "skip":
            options.notes["answers stand more than once in their context; skipped"] += 1
            return None
        if len(found) > 1 and options.repeated_answers == "first":
            options.notes["answers stand more than once in their context; the first counts"] += 1
        elif len(found) > 1:
            raise InputError(
                f"{place}: the answer {text[:40]!r} is {len(found)} times in the context, at "
                f"{_numbers(found)}. Say which with answer_start, or pass --repeated_answers "
                "first, or skip."
            )
        return {"text": text, "answer_start": found[0]}
    start = _integer(place, "answer_start", answer["answer_start"])
    if not context.startswith(text, start) or start > len(context):
        raise InputError(
            f"{place}: at answer_start {start} the context has "
            f"{context[start : start + len(text)][:40]!r}, not the answer {text[:40]!r}."
            f"{_where_it_is(context, start, text)}"
        )
    return {"text": text, "answer_start": start}


def _where_it_is(text: str, start: int | None, piece: str) -> str:
    """Return where `piece` is in `text`, or how the offsets seem to have been counted."""
    found = _occurrences(piece, text)
    if start in found:
        return f" It stands there up to {start + len(piece)}, the end, which is exclusive; mend it."
    units, wide = (one.encode("utf-16-le", "replace") for one in (text, piece))
    if start is not None and wide and units.startswith(wide, 2 * start):
        return (
            " The offsets count UTF-16 units, of which an emoji has two (JavaScript); count "
            "characters."
        )
    if found:
        return f" It stands at {_numbers(found)}; mend the offset."
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    for form in forms:
        if unicodedata.normalize(form, piece) in unicodedata.normalize(form, text):
            return f" It would be found after {form}; write both in the same form."
    return " It is nowhere in it; mend the row."


def _occurrences(piece: str, text: str) -> list[int]:
    return [match.start() for match in re.finditer(f"(?={re.escape(piece)})", text)]


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")


def _is_missing(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _integer(place: str, key: str, value: Any) -> int:
    if key == "answer_start":  # a cell of csv; pandas writes 3.0 if another is missing
        if isinstance(value, str) and re.fullmatch(r" *-?[0-9]{1,18}(\.0)? *", value):
            value = float(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(f"{place}, {key}", value, "a whole number", MEND)
    if value < 0:
        raise InputError(f"{place}: {key} is {value}, below 0. Offsets count from 0; mend the row.")
    return value


def _objects(place: str, column: str, value: Any) -> list[dict[str, Any]]:
    """Return a list of objects; a cell of csv has it as JSON."""
    value = _from_json(place, column, value)
    if isinstance(value, list) and column == "entities":
        value = [to_span(place, one) for one in value]
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        expected = f"a list like {EXAMPLES[column]} ([] for none)"
        raise malformed(f"{place}, {column}", value, expected, MEND)
    return value


def _from_json(place: str, column: str, value: Any) -> Any:
    """Return the value of a cell of csv, which is JSON, or Python's or numpy's as pandas writes."""
    value = from_cell(value)
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(ARRAY.sub(r"\1", value.strip()))
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{place}: {column} is {value[:40]!r}, not JSON. A cell holds a list like "
            f"{EXAMPLES[column]}, quoted as csv quotes; jsonl is easier."
        ) from error
