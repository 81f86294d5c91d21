"""Report the contents and the errors of the user's own files before training."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

from nlpbook_data.errors import InputError, shown
from nlpbook_data.own_files.options import Options
from nlpbook_data.own_files.schemas import (
    check_label,
    describe_format,
    find_schema,
    find_split_files,
    judge_labels,
    labels_of,
    read_examples,
    searched_task,
    sort_labels,
)
from nlpbook_data.reading.brat import is_brat
from nlpbook_data.reading.values import convert_each
from nlpbook_data.search.collections import answering

SHOWN_LABELS = 30


@dataclass
class FileReport:
    """The contents of one file.

    `labels` has the count of each label (of entities: of each type), and `scores` the least and the
    greatest, where the labels are numbers with fractions. Notes are no errors. `lengths` are least,
    median, mean and most characters, by text column.
    """

    path: Path
    format: str = ""
    rows: int = 0
    wrong: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    scores: tuple[float, float] | None = None
    unanswered: int = 0
    notes: list[str] = field(default_factory=list)
    lengths: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass
class Report:
    """The result of `check_file`.

    `files` is by split, with the key ``file`` for a single one. `errors` has the first messages,
    `wrong` is the number of all errors.
    """

    task: str
    files: dict[str, FileReport] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    wrong: int = 0

    @property
    def is_right(self) -> bool:
        """Whether there are no errors."""
        return self.wrong == 0


def check_file(
    path: str | Path,
    task: str,
    columns: Mapping[str, str] | None = None,
    most: int = 20,
    *,
    label_names: Sequence[str] | None = None,
    label_separator: str | None = None,
    gold: bool = True,
    options: Options | None = None,
    scores: bool | None = None,
    positive_label: str | None = None,
) -> Report:
    """Read all of `path` as rows of `task`; continue after each wrong row.

    Args:
        path: as `read_examples` takes it, or a folder of files named by split.
        task: one of `schemas.SCHEMAS`, or rerank, whose rows are search's.
        columns, label_separator, options: as of `read_examples`.
        most: the number of errors to keep; all are counted.
        label_names: the allowed labels; by default any label in train or in a single file, and the
            labels of train in other splits.
        gold: False: the gold column may be missing, as in a test split, or if its name is ``none``.
        scores: for paircls: labels are numbers; by default if they have fractions.
        positive_label: for search: the label of pairs in which one text answers the other; for
            paircls: one of the labels.

    Raises:
        InputError: there is no such file, task or column, so there is nothing to report.
    """
    task = "search" if task == "rerank" else task  # the recipes read the same rows
    path, columns, asked = Path(path).expanduser(), columns or {}, task
    find_schema(task, columns)
    if not path.exists():
        raise InputError(f"{path}: no such file. Check the path, and quote one that has spaces.")
    files = {"file": path}
    gold = gold and columns.get(find_schema(task).gold or "") != "none"
    if path.is_dir() and not (task == "ner" and is_brat(path)):
        try:
            files = find_split_files(path)
        except InputError:
            if task != "doccls" or not any(path.glob("*/*.txt")):
                raise
    if task == "search":
        task = searched_task(files.values(), columns)
        columns = {c: n for c, n in columns.items() if c in find_schema(task).all_columns}
    report = Report(task)

    def on_error(error: InputError) -> None:
        report.wrong += 1
        if len(report.errors) < most:
            report.errors.append(str(error))

    known, whose = label_names or None, "label_names"
    for split, file in files.items():
        before, fresh = report.wrong, replace(options or Options(), notes=Counter())
        reading: dict[str, Any] = {"columns": columns, "gold": gold and split != "test"}
        reading |= {"label_separator": label_separator, "options": fresh, "on_error": on_error}
        allowed = None if known is None else (known, whose)
        checked = report.files[split] = _check(file, task, split, reading, allowed, scores)
        checked.notes += fresh.lines()
        checked.wrong = report.wrong - before
        if split == "train" and known is None and checked.labels:
            known, whose = list(checked.labels), "train"
    first = next(iter(report.files.values()))
    if task == "paircls" and (asked == "search" or positive_label) and first.rows:
        try:
            answering(list(first.labels), positive_label)
        except InputError as error:
            on_error(InputError(f"{first.path}: {error}"))
    return report


def _check(
    path: Path,
    task: str,
    split: str,
    reading: Mapping[str, Any],
    allowed: tuple[Sequence[str], str] | None,
    scores: bool | None,
) -> FileReport:
    """Return the contents of one file.

    `reading` are arguments of `read_examples`; `allowed` are the labels, and whose they are.
    """
    checked, gold, on_error = FileReport(path), reading["gold"], reading["on_error"]
    labels: Counter[str] = Counter()
    lengths: defaultdict[str, array] = defaultdict(lambda: array("q"))
    first: set[str] = set()
    known: dict[int, int] = {}
    differ = 0

    def check(place: str, row: dict[str, Any]) -> dict[str, Any]:
        first.update(row if not first else ())
        for column in sorted(first ^ set(row)):
            raise InputError(
                f"{place}: {column} is {'not ' if column in first else ''}here, other than "
                "in the first row. Give all rows the same columns."
            )
        if allowed:
            for label in labels_of(row):
                check_label(place, label, *allowed, "Mend the row, or add the label.")
        return row

    try:
        checked.format = describe_format(path, task, reading["columns"], gold)
    except InputError:
        pass  # reading reports this too
    try:
        for _, row in convert_each(read_examples(path, task, **reading), check, on_error):
            checked.rows += 1
            labels.update(labels_of(row))
            if task == "doccls":
                now = hash(tuple(labels_of(row)))
                differ += known.setdefault(hash(row["text"]), now) != now
            checked.unanswered += row.get("answers", ["?"]) == []
            for column, value in row.items():
                if isinstance(value, str) and column not in ("label", "id", "title"):
                    lengths[column].append(len(value))
        whole = task in ("doccls", "paircls", "ner") and split != "validation" and gold
        are_scores, notes = judge_labels(
            *(str(path), labels, task, reading["label_separator"], scores),
            whole=whole and checked.rows > 0,
        )
        if are_scores:
            checked.scores = (min(map(float, labels)), max(map(float, labels)))
        if differ:
            checked.notes.append(f"{differ:,} rows repeat a text with another label.")
        checked.notes += notes
        rare = [label for label, count in labels.items() if count == 1]
        if rare and task == "doccls" and gold:
            checked.notes.append(
                f"A single row has the label {shown(rare)}: of splits that are carved, one has it."
            )
    except InputError as error:
        on_error(error)
    if checked.scores is None:
        checked.labels = {label: labels[label] for label in sort_labels(labels)}
    checked.lengths = {c: (min(n), median(n), mean(n), max(n)) for c, n in lengths.items()}
    return checked


def format_report(report: Report) -> str:
    """Return `report` as text: one block for each file, then the first errors."""
    blocks = []
    for split, checked in report.files.items():
        name = checked.path if split == "file" else f"{split}: {checked.path}"
        lines = [f"{name} ({checked.format})" if checked.format else str(name)]
        lines.append(
            f"  {checked.rows:,} rows of {report.task}"
            f"{f', {checked.wrong:,} wrong' if checked.wrong else ''}"
        )
        if checked.unanswered:
            lines.append(f"  {checked.unanswered:,} questions without an answer")
        for column, (least, middle, average, most) in checked.lengths.items():
            lines.append(
                f"  {column}: {least:,} to {most:,} characters, median {middle:,.0f}, mean "
                f"{average:,.1f}"
            )
        if checked.scores:
            least, most = checked.scores
            lines.append(f"  scores from {least:g} to {most:g}")
        if checked.labels:
            shown = [f"{label} {n:,}" for label, n in [*checked.labels.items()][:SHOWN_LABELS]]
            more = len(checked.labels) - len(shown)
            lines.append(
                f"  {'entities' if report.task == 'ner' else 'labels'}: {', '.join(shown)}"
                f"{f', and {more:,} more' if more else ''}"
            )
        lines += [f"  note: {note}" for note in checked.notes]
        blocks.append("\n".join(lines))
    heading = "Wrong:" if report.errors else "Nothing is wrong."
    if report.wrong > len(report.errors):
        heading = f"The first {len(report.errors):,} of {report.wrong:,} errors:"
    blocks.append("\n  ".join([heading, *report.errors]))
    return "\n\n".join(blocks)
