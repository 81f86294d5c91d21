"""Load a recipe's rows: from a corpus by name, the user's own files or a Hub dataset."""

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, load_dataset

from nlpbook_data.corpora.declaration import Split
from nlpbook_data.data.cache import (
    cache_root,
    cached_splits,
    check_unchanged,
    code_hash,
    file_sha256,
    hash_of,
    make_key,
    open_split,
    write_split,
    write_text,
)
from nlpbook_data.data.corpus import (
    carve_split,
    carved_shares,
    find_corpus,
    load_corpus,
    raw_hashes,
)
from nlpbook_data.data.labels import in_words
from nlpbook_data.data.relations import as_documents
from nlpbook_data.errors import InputError, first_line, nearest, shown
from nlpbook_data.own_files import schemas, search_rows
from nlpbook_data.own_files.options import Options
from nlpbook_data.own_files.tables import check_columns
from nlpbook_data.own_files.tools import find_converter
from nlpbook_data.reading.squad import ANSWERS

logger = logging.getLogger(__name__)

CARVED_SHARE = 0.1
NOTES = "notes.json"
Row = TypeVar("Row")
UNLABELLED = -1
# Tasks whose corpora another task can use.
RETOLD = {"generation": ("doccls", "pretrain"), "doccls": ("relation",)}
CARVING = ("nlpbook_data.data.cache", "nlpbook_data.data.corpus", "nlpbook_data.data.splits")
READING = (
    *("nlpbook_data.own_files", "nlpbook_data.reading"),
    *("nlpbook_data.data.labels", "nlpbook_data.data.relations"),
)
OTHER_LABELS = "Mend the row; to predict without labels, pass --label_column_name none."


@dataclass(frozen=True)
class Source:
    """The splits of a task, and their description for run.json and the card.

    The splits have the columns of the task's schema (see `own_files.schemas.SCHEMAS`). ``label`` is
    a ``ClassLabel`` (-1 if unlabelled), a list of them, or a float for scores (NaN if unlabelled).
    ``entities`` and ``answers`` are None if unlabelled.
    """

    splits: DatasetDict
    name: str  # of the corpus, of the dataset, or of the files without their folders
    origins: dict[str, str]  # of each split, in words
    hashes: dict[str, str] = field(default_factory=dict)  # sha256 of raw files, or Arrow files
    license: str | None = None  # if it is known
    task: str = "doccls"
    formats: dict[str, str] = field(default_factory=dict)  # of the user's files, in words
    passages: Sequence[str] = ()  # for search: all of BEIR's corpus, also what answers nothing

    @property
    def label_names(self) -> list[str]:
        """The label names in the order of their ids; empty for scores and tasks without labels."""
        feature = _class_label(next(iter(self.splits.values())).features, self.task)
        return list(feature.names) if feature else []

    def count_labels(self, split: str) -> dict[str, int]:
        """Return ``{label: count of its rows or entities}``, in the order of the ids."""
        names = self.label_names
        if not names or not self.is_labelled(split):
            return {}
        column = "entities" if self.task == "ner" else "label"
        rows = self.splits[split].select_columns(column).with_format("arrow")
        values = rows[:][column].combine_chunks()
        while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
            values = values.flatten()
        values = values.field("label") if pa.types.is_struct(values.type) else values
        numbers = values.drop_null().to_numpy(zero_copy_only=False)
        counts = np.bincount(numbers[numbers >= 0], minlength=len(names))
        return dict(zip(names, counts.tolist(), strict=True))

    def find_label(self, option: str, label: str | None) -> str | None:
        """Return `label`, the value of the option `option`.

        Raises:
            InputError: the data has no such label.
        """
        names = self.label_names
        if label is not None and label not in names:
            raise InputError(
                f"--{option} {label}: no such label.{nearest(label, names)} The labels are "
                f"{', '.join(names) or 'scores'}."
            )
        return label

    def positive_label(self, label: str | None) -> str | None:
        """Return the class whose F1 is a score of its own: `label`, else the second of two classes.

        Raises:
            InputError: `label` is none of the labels.
        """
        names = self.label_names
        self.find_label("positive_label", label)
        return names[1] if label is None and len(names) == 2 else label

    @property
    def held_out(self) -> dict[str, Dataset]:
        """The labelled rows of validation and test, as far as they exist."""
        return {s: rows for s, rows in self.splits.items() if s != "train" and self.is_labelled(s)}

    def is_labelled(self, split: str) -> bool:
        """Whether the rows of `split` have gold labels (or entities, or answers)."""
        gold = schemas.SCHEMAS[self.task].gold
        first = self.splits[split][0]
        if gold is None or gold not in first:
            return True
        return first[gold] is not None and first[gold] != UNLABELLED and first[gold] == first[gold]


def _class_label(features: Features, task: str) -> ClassLabel | None:
    """Return the type of the labels of `task`; they may be inside a list or inside entities."""
    feature = features.get("entities" if task == "ner" else "label")
    feature = feature.feature if isinstance(feature, List) else feature
    feature = feature["label"] if isinstance(feature, dict) else feature
    return feature if isinstance(feature, ClassLabel) else None


# Each call yields ``(place, row)`` in the task's schema from the start; an unlabelled row lacks the
# gold column.
Rows = Callable[..., Iterable[tuple[str, dict[str, Any]]]]


def load_source(
    args: Any,
    phases: Any,
    label_names: Sequence[str] | None = None,
    multi_label: bool = False,
    task: str = "doccls",
    scores: bool | None = None,
    keep_train: bool = False,
) -> Source:
    """Load the rows that `args` (`training.DataArguments`) names, for the splits that are needed.

    Missing splits are carved from train, 10% each, with a fixed seed. Equal texts stay in one split
    (equal premises, contexts or prompts in their tasks). ``Source.origins`` records the origin of
    each split.

    Generation also accepts a corpus of doccls or pretrain: the label of a text is its prompt,
    unless ``--label_column_name none`` is set or a text has several labels. Doccls also accepts a
    corpus of relations: their entities are marked in the texts.

    Args:
        args: one of `corpus`, `dataset_name` or the three files; the names of the columns
            (``<column>_column_name`` for each column of the task, if `args` has it); and the number
            of rows to use from the start of each split.
        phases: `do_train` needs train and validation, `do_eval` validation, `do_predict` test.
        label_names: the labels of a trained model; by default the labels of the data. In training
            they only set the numbering, if the data has the same labels.
        multi_label: for doccls: a row has any number of labels.
        task: one of `own_files.schemas.SCHEMAS`; search also accepts rows of qa and paircls.
        scores: for paircls: labels are numbers; by default if the labels of train have fractions.
        keep_train: load train also without training, if it exists.

    Raises:
        InputError: for any bad input; it names file and row.
    """
    files = {"train": args.train_file, "validation": args.validation_file, "test": args.test_file}
    files = {split: Path(path).expanduser() for split, path in files.items() if path}
    options = {"--corpus": args.corpus, "--dataset_name": args.dataset_name}
    options[" ".join(f"--{split}_file" for split in files)] = files
    named = [name for name, value in options.items() if value]
    if len(named) != 1:
        raise InputError(
            f"{' and '.join(named) + ' name' if named else 'Nothing names'} the data, where "
            "exactly one of --corpus, --dataset_name and "
            "--train_file/--validation_file/--test_file must."
        )
    if multi_label and not args.label_separator:
        raise InputError("--label_separator is empty; name what stands between two labels.")
    if task == "search":
        files = schemas.find_qrels(files)
        task = _search_task(args, files)
    if args.corpus:
        source = _from_corpus(args, task, multi_label, scores)
    else:
        options = Options(
            args.sheet_name,
            getattr(args, "ner_tag_names", None) or (),
            getattr(args, "repeated_answers", "refuse"),
        )
        fixed = None if phases.do_train else label_names
        separator = args.label_separator if multi_label else None
        wanted = _Wanted(task, _columns(args, task), fixed, separator, scores, options)
        if args.dataset_name:
            source = _from_hub(args, wanted)
        else:
            source = _from_files(files, wanted, args.cache_dir, args.overwrite_cache)
    names = list(label_names or [])
    if phases.do_train and {*names} != {*source.label_names}:
        names = []
    if names and source.label_names and source.label_names != names:
        source = _align(source, names)
    return _needed(source, args, phases, keep_train)


def _search_task(args: Any, files: Mapping[str, Path]) -> str:
    """Return the task whose corpus or files are searched: search, qa or paircls."""
    if args.corpus:
        task = find_corpus(args.corpus).task
        return task if task in schemas.SEARCHED else "search"
    return schemas.searched_task(files.values(), _columns(args, "search"))


@dataclass(frozen=True)
class _Wanted:
    """How a task's rows are read."""

    task: str
    columns: Mapping[str, str]
    label_names: Sequence[str] | None
    label_separator: str | None
    scores: bool | None
    options: Options

    def key(self, **parts: Any) -> str:
        return make_key(
            task=self.task,
            columns=dict(self.columns),
            separator=self.label_separator,
            label_names=list(self.label_names or []),
            scores=self.scores,
            options=[self.options.sheet_name, list(self.options.ner_tag_names)],
            repeated_answers=self.options.repeated_answers,
            code=code_hash(*READING, *CARVING, __name__),
            **parts,
        )


def _columns(args: Any, task: str) -> dict[str, str]:
    """Return ``args.<column>_column_name`` for the columns of `task`."""
    columns = schemas.find_schema(task).all_columns
    found = {column: getattr(args, f"{column}_column_name", None) for column in columns}
    return {column: name for column, name in found.items() if name}


def _needed(source: Source, args: Any, phases: Any, keep_train: bool) -> Source:
    needed = {
        "train": (phases.do_train or keep_train, args.max_train_samples),
        "validation": (phases.do_train or phases.do_eval, args.max_eval_samples),
        "test": (phases.do_predict, args.max_predict_samples),
    }
    if phases.do_train and "train" not in source.splits:
        raise InputError(f"{source.name}: there is no train split; pass --train_file or another.")
    splits = DatasetDict()
    for split, dataset in source.splits.items():
        wanted, most = needed.get(split, (False, None))
        if wanted:
            splits[split] = dataset.select(range(min(most or len(dataset), len(dataset))))
            if _cut_while_sorted(source, split, len(splits[split])):
                logger.warning(
                    "%s: sorted by label, of which the first %s rows hold other shares than all. "
                    "Shuffle the file.",
                    *(split, f"{len(splits[split]):,}"),
                )
    if not splits:
        raise InputError(
            f"{source.name} has {', '.join(source.splits)}, of which nothing is needed. See "
            "--do_train, --do_eval and --do_predict."
        )
    used = replace(source, splits=splits)
    if "train" in splits and phases.do_train and source.task in ("doccls", "paircls", "ner"):
        _warn_of_missing(used, source.count_labels("train"))
    return used


def _cut_while_sorted(source: Source, split: str, most: int) -> bool:
    """Whether `split` is sorted by label and its first `most` rows have all labels."""
    dataset = source.splits[split]
    if most == len(dataset) or source.task not in ("doccls", "paircls") or not source.label_names:
        return False
    labels = [str(label) for label in dataset["label"][:]]  # or lists of labels
    changes = sum(one != other for one, other in pairwise(labels))
    return 0 < changes < len({*labels}) == len({*labels[:most]})


def _warn_of_missing(source: Source, whole: Mapping[str, int]) -> None:
    """Warn of labels that have no row in the used rows of train, or in a held-out split.

    Args:
        whole: the counts of all rows of train.
    """
    counts = {split: source.count_labels(split) for split in source.splits}
    known = {label for found in (whole, *counts.values()) for label, n in found.items() if n}
    for split, found in counts.items():
        expected = known if split == "train" else {label for label in whole if whole[label]}
        if missing := [label for label, n in found.items() if not n and label in expected]:
            logger.warning(
                "%s: no row has the label %s (%s in all of train; here: %s). %s",
                split,
                shown(missing),
                ", ".join(f"{whole[label]:,}" for label in missing[:20]),
                shown(label for label, n in found.items() if n),
                "No model can learn it: raise --max_train_samples, shuffle the file, or add rows."
                if split == "train"
                else "Its scores say nothing of it; give it rows, or its own file.",
            )


def _from_corpus(args: Any, task: str, multi_label: bool, scores: bool | None) -> Source:
    corpus = find_corpus(args.corpus)
    label = corpus.features.get("label")
    fits = corpus.task in (task, *RETOLD.get(task, ()))
    if not fits or (task == "doccls" and isinstance(label, ClassLabel) == multi_label):
        labels = "one label" if isinstance(label, ClassLabel) else "several labels"
        labels = f" with {labels} a row" if corpus.task == "doccls" else ""
        raise InputError(
            f"The corpus {corpus.name} is for {corpus.task}{labels}. Choose another corpus or "
            "recipe."
        )
    if scores is not None and scores == isinstance(label, ClassLabel):
        found, wanted = ("classes", "numbers") if scores else ("numbers", "classes")
        raise InputError(
            f"The labels of the corpus {corpus.name} are {found}, where --scores or the model "
            f"wants {wanted}. Choose another corpus, or leave --scores out."
        )
    common = (args.corpus_dir, args.cache_dir, args.accept_files)
    schema = schemas.SCHEMAS[task]
    columns = [column for column in schema.all_columns if column in corpus.features]
    if task == "generation":  # a label is a prompt, unless there are several or it is not wanted
        unfit = not isinstance(label, ClassLabel) or args.label_column_name == "none"
        there = [column for column in columns if column != "label" or not unfit]
        columns = list(schemas.find_columns(schema, there))
    splits = load_corpus(args.corpus, *common, rebuild=args.overwrite_cache)
    if corpus.task == "relation":
        splits = as_documents(splits)
    return Source(
        splits=splits.select_columns(columns),
        name=corpus.name,
        origins={split: declared.source for split, declared in corpus.splits.items()},
        hashes=raw_hashes(corpus, *common, splits=list(splits)),
        license=corpus.license,
        task=task,
    )


def _from_files(
    files: Mapping[str, Path], wanted: _Wanted, cache_dir: str | None, rebuild: bool
) -> Source:
    read = partial(
        schemas.read_examples,
        task=wanted.task,
        columns=wanted.columns,
        label_separator=wanted.label_separator,
    )
    for path in files.values():  # report a missing file before hashing
        next(iter(read(path, gold=False, options=replace(wanted.options, notes=Counter()))), None)
    rows: dict[str, Rows] = {
        split: partial(read, path, gold=split != "test") for split, path in files.items()
    }

    texts = search_rows.texts_of(files.values()) if wanted.task == "search" else []
    sources = {**files, **{str(path): path for path in texts}}

    def find_hashes() -> dict[str, str]:
        return {source: _sha256(path, cache_dir) for source, path in sources.items()}

    hashes = find_hashes()
    alike = [split for split in files if list(hashes.values()).count(hashes[split]) > 1]
    if alike:
        logger.warning("%s: one file by its content. Name another for each.", " and ".join(alike))
    names = [path.name for path in files.values()]

    def check() -> None:
        before, now = (
            {str(sources[source]): sha256 for source, sha256 in found.items()}
            for found in (hashes, find_hashes())
        )
        check_unchanged(", ".join(names), before, now)

    splits = {split: Split(path.name, files=(path.name,)) for split, path in files.items()}
    key = wanted.key(files=hashes, formats=[path.suffix.lower() for path in files.values()])
    splits = _with_carved(splits)
    return Source(
        splits=_cached("files", key, rows, splits, wanted, cache_dir, rebuild, check),
        name=", ".join(names),
        origins={split: declared.source for split, declared in splits.items()},
        hashes={
            f"{source} {path.name}" if names.count(path.name) > 1 else path.name: hashes[source]
            for source, path in sources.items()
        },
        task=wanted.task,
        passages=[text for path in texts[1::2] for _, text in search_rows.read_passages(path)],
        formats={
            split: schemas.describe_format(path, wanted.task, wanted.columns, split != "test")
            for split, path in files.items()
        },
    )


def _sha256(path: Path, cache_dir: str | None) -> str:
    """Return the hash of a file, or of the names and contents in a folder of label folders."""
    if not path.is_dir():
        return file_sha256(path, cache_dir)
    files = sorted(file for file in path.rglob("*") if file.suffix in (".txt", ".ann"))
    return hash_of({str(file.relative_to(path)): file_sha256(file, cache_dir) for file in files})


def _from_hub(args: Any, wanted: _Wanted) -> Source:
    try:
        loaded = load_dataset(
            args.dataset_name,
            args.dataset_config_name,
            cache_dir=args.cache_dir,
            keep_in_memory=False,  # rows have changed if their files have
        )
    except Exception as error:  # the client raises many unrelated types
        raise InputError(
            f"The dataset {args.dataset_name} could not be loaded ({first_line(error)}). Check its "
            "name, --dataset_config_name and the network, or fetch it first with nlpbook-data "
            "prefetch."
        ) from error
    aliases = {"dev": "validation", "valid": "validation"}
    loaded = {aliases.get(split, split): dataset for split, dataset in loaded.items()}
    loaded = {split: loaded[split] for split in ("train", "validation", "test") if split in loaded}
    rows = {
        split: partial(_read_hub, dataset, f"{args.dataset_name} {split}", wanted)
        for split, dataset in loaded.items()
    }
    splits = _with_carved({s: Split(f"{s} of {args.dataset_name}", files=(s,)) for s in loaded})
    hashes = {
        split: hash_of(
            {"files": [_sha256(Path(f["filename"]), args.cache_dir) for f in rows.cache_files]}
        )
        for split, rows in loaded.items()
    }
    key = wanted.key(files=hashes)
    return Source(
        splits=_cached("hub", key, rows, splits, wanted, args.cache_dir, args.overwrite_cache),
        name=args.dataset_name,
        origins={split: declared.source for split, declared in splits.items()},
        hashes=hashes,
        task=wanted.task,
    )


def _read_hub(
    dataset: Dataset, place: str, wanted: _Wanted, options: Options
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a split in the task's schema; ``ClassLabel`` ids become label names."""
    separator = wanted.label_separator

    def rows_of(dataset: Dataset) -> Iterator[dict[str, Any]]:
        types = dataset.features
        return ({n: in_words(types[n], value) for n, value in row.items()} for row in dataset)

    first = [*rows_of(dataset.select(range(min(100, len(dataset)))))]
    several = separator is not None
    convert = find_converter(wanted.task, first, wanted.columns, several, True, options)
    if convert is None:
        schema, known = schemas.SCHEMAS[wanted.task], dataset.column_names
        needed, names, advice = schemas.match_columns(wanted.task, wanted.columns, known)
        check_columns(place, known, needed, advice)
        used = {column: name for column, name in names.items() if name in known}
        drop = schemas.are_inference(wanted.task, [row.get(used.get("label", "")) for row in first])
        dataset = dataset.select_columns([*used.values()])

        def convert(where: str, row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
            words = {column: row[name] for column, name in used.items()}
            if schema.gold in words and words[schema.gold] is None:
                if drop:
                    options.notes[schemas.UNDECIDED] += 1
                    return []
                del words[schema.gold]  # unlabelled
            return [words]

    for number, row in enumerate(rows_of(dataset), start=1):
        where = f"{place}, row {number}"
        for words in convert(where, row):
            converted = schemas.convert_row(where, words, wanted.task, separator, number, options)
            if converted is not None:
                yield where, converted


def _with_carved(splits: dict[str, Split]) -> dict[str, Split]:
    """Add the missing splits as shares of train, if there is a train split."""
    if "train" not in splits:
        return splits
    for split in ("validation", "test"):
        if split not in splits:
            source = f"{CARVED_SHARE:.0%} carved from train ({splits['train'].source})"
            splits[split] = Split(source, carved_from="train", share=CARVED_SHARE)
    return splits


def _cached(
    kind: str,
    key: str,
    rows: Mapping[str, Rows],
    splits: Mapping[str, Split],
    wanted: _Wanted,
    cache_dir: str | None,
    rebuild: bool,
    check: Callable[[], None] = lambda: None,
) -> DatasetDict:
    """Validate, encode, carve and cache; `check` is called after reading and may raise."""

    def build(target: Path) -> None:
        origin = "train" if "train" in rows else next(iter(rows))
        silent = replace(wanted.options, notes=Counter())  # each row is read again below
        columns = schemas.row_columns(wanted.task, next(iter(rows[origin](options=silent)))[1])
        first = partial(rows[origin], options=silent)
        names, found, said = _find_labels(
            lambda: telling(first(), f"{origin}, its labels"), wanted, columns
        )
        features = _features(wanted, columns, names)
        for split in rows:
            options = replace(wanted.options, notes=Counter())
            read = partial(rows[split], options=options)
            encoded = telling(_encode(read, wanted, features, found), split)
            write_split(target, split, encoded, features)
            said += [f"{split}: {line}." for line in options.lines()]
            if shares := carved_shares(splits, split):
                groups = schemas.group_columns(wanted.task, columns)
                if not carve_split(target, split, shares, groups, True):
                    rest = " and ".join(shares)
                    said.append(
                        f"{split}: too few different {groups[0]}s for {rest} beside it: equal ones "
                        "are on several sides, so that scores are too good. Name other files: "
                        f"{', '.join(f'--{name}_file' for name in shares)}."
                    )
        for split in splits:
            if len(open_split(target, split)) == 0:
                raise InputError(
                    f"{splits[split].source}: no row is left for {split}. Add rows, or name a "
                    f"--{split}_file."
                )
        check()
        write_text(target / NOTES, json.dumps(said))

    splits_of = cached_splits(kind, key, build, cache_dir, rebuild)
    for line in json.loads((cache_root(cache_dir) / kind / key / NOTES).read_text("utf-8")):
        logger.warning("%s", line)
    return splits_of


def telling(rows: Iterable[Row], what: str, every: float = 10) -> Iterator[Row]:
    """Yield `rows`, and log their number so far every `every` seconds."""
    told = time.monotonic()
    for number, row in enumerate(rows, start=1):
        if number % 1000 == 0 and time.monotonic() - told > every:
            told = time.monotonic()
            logger.info("%s: %s rows read; the next run finds them prepared", what, f"{number:,}")
        yield row


def _find_labels(
    rows: Rows, wanted: _Wanted, columns: Sequence[str]
) -> tuple[list[str] | None, bool, list[str]]:
    """Return the labels, whether they come from `rows`, and the warnings about them.

    The labels are None for scores and for tasks without labels.
    """
    labelled = "label" in columns or "entities" in columns
    if not labelled or wanted.scores:
        return None, True, []
    if wanted.label_names:
        return list(wanted.label_names), False, []
    found: set[str] = set()
    place = ""
    for placed in rows():
        place, row = placed
        found.update(schemas.labels_of(row))
    file = place.rpartition(", ")[0] or place
    are_scores, notes = schemas.judge_labels(
        file, found, wanted.task, wanted.label_separator, wanted.scores
    )
    said = [f"{file}: {note}" for note in notes]
    return None if are_scores else schemas.sort_labels(found), True, said


def _features(wanted: _Wanted, columns: Sequence[str], names: list[str] | None) -> Features:
    label: Any = Value("float32") if names is None else ClassLabel(names=names)
    span = {"start": Value("int32"), "end": Value("int32"), "label": label}
    types = {
        "label": label if wanted.label_separator is None else List(label),
        "entities": List(span),
        "answers": ANSWERS,
    }
    return Features({column: types.get(column, Value("string")) for column in columns})


def _encode(
    rows: Rows, wanted: _Wanted, features: Features, found: bool
) -> Iterator[dict[str, Any]]:
    gold = schemas.SCHEMAS[wanted.task].gold
    label_type = _class_label(features, wanted.task)
    names = label_type.names if label_type else []
    ids = {name: number for number, name in enumerate(names)}
    whose = "train" if found else "the model"
    advice = "Mend the row, or add it to train." if found else OTHER_LABELS
    if found and wanted.task == "paircls" and all(map(schemas.NUMBER.fullmatch, names)):
        advice += " If the labels are scores, pass --scores true."
    labelled = None
    for place, row in rows():
        if labelled is None:
            labelled = gold in row
        if labelled != (gold in row):
            a = "a label" if gold == "label" else gold
            raise InputError(f"{place}: some rows have {a} and some none. Label all or none.")
        for column in {*features, *row} - {gold}:
            if (column in row) != (column in features):
                raise InputError(
                    f"{place}: {column} is {'not ' if column in features else ''}here, other than "
                    "in the first row. Give all rows of all files the same columns."
                )
        if label_type:
            for label in schemas.labels_of(row):
                schemas.check_label(place, label, ids, whose, advice)
        yield {column: _encode_value(place, column, row, ids, features) for column in features}


def _encode_value(
    place: str, column: str, row: Mapping[str, Any], ids: Mapping[str, int], features: Features
) -> Any:
    value: Any = row.get(column)
    if column == "entities" and value is not None:
        return [{**entity, "label": ids[entity["label"]]} for entity in value]
    if column != "label" or (value is None and isinstance(features[column], List)):
        return value
    if isinstance(features[column], ClassLabel):
        return UNLABELLED if value is None else ids[value]
    if isinstance(features[column], List):
        return [ids[label] for label in value]
    try:
        score = math.nan if value is None else float(value)
        if value is None or math.isfinite(score):
            return score
    except ValueError:
        pass
    raise InputError(f"{place}: the label {value[:60]!r} is no number, as the others are. Mend it.")


def _align(source: Source, label_names: list[str]) -> Source:
    """Renumber the labels of `source` as in the model."""
    unknown = [name for name in source.label_names if name not in label_names]
    if unknown:
        raise InputError(
            f"{source.name} has the label {unknown[0]!r}, which the model does not know "
            f"({shown(label_names)}). Choose the model or the data that fit."
        )
    # align_labels_with_mapping would make the names lower-case
    ids = {number: label_names.index(name) for number, name in enumerate(source.label_names)}
    column = "entities" if source.task == "ner" else "label"
    label: Any = ClassLabel(names=label_names)
    features = next(iter(source.splits.values())).features
    if column == "entities":
        feature: Any = List({**features[column].feature, "label": label})
    else:
        feature = List(label) if isinstance(features[column], List) else label
    splits = source.splits.map(
        _renumber,
        batched=True,
        fn_kwargs={"ids": ids, "column": column},
        features=Features(features | {column: feature}),
        keep_in_memory=True,
    )
    return replace(source, splits=splits)


def _renumber(
    batch: dict[str, list[Any]], ids: dict[int, int], column: str
) -> dict[str, list[Any]]:
    def renumber(value: Any) -> Any:
        if isinstance(value, list):
            return [renumber(one) for one in value]
        if isinstance(value, dict):
            return {**value, "label": ids[value["label"]]}
        return None if value is None else ids.get(value, UNLABELLED)

    return {column: [renumber(value) for value in batch[column]]}
