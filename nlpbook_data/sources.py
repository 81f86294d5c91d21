"""Where a recipe's rows come from: a corpus by name, the user's own files or a Hub dataset."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, load_dataset

from nlpbook_data.cache import (
    cached_splits,
    code_hash,
    file_sha256,
    make_key,
    open_split,
    write_split,
)
from nlpbook_data.corpus import (
    Split,
    carve_split,
    carved_shares,
    find_corpus,
    load_corpus,
    raw_hashes,
)
from nlpbook_data.errors import InputError, nearest
from nlpbook_data.files import MAX_CHARACTERS, read_rows

logger = logging.getLogger(__name__)

CARVED_SHARE = 0.1
UNLABELLED = -1
CARVING = ("nlpbook_data.cache", "nlpbook_data.corpus", "nlpbook_data.splits")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
OTHER_LABELS = "Mend the row; to predict without labels, pass --label_column_name none."


@dataclass(frozen=True)
class Source:
    """A task's splits and what run.json and the card say of them.

    Attributes:
        splits: columns ``text`` (str) and ``label`` (``ClassLabel``, -1 where unlabelled, or a
            list of them).
        name: of the corpus, the dataset or the files, without folders.
        origins: where each split comes from, in words.
        hashes: sha256 of the raw files, or the fingerprints of a Hub dataset.
        license: where it is known.
    """

    splits: DatasetDict
    name: str
    origins: dict[str, str]
    hashes: dict[str, str] = field(default_factory=dict)
    license: str | None = None

    @property
    def label_names(self) -> list[str]:
        """The label words in the order of their ids."""
        label = next(iter(self.splits.values())).features["label"]
        return list((label if isinstance(label, ClassLabel) else label.feature).names)

    def is_labelled(self, split: str) -> bool:
        """Whether the rows of `split` have gold labels."""
        first = self.splits[split][0]["label"]
        return first is not None and first != UNLABELLED


@dataclass(frozen=True)
class _FileRows:
    """Iterate ``(place, text, labels)`` over a file, as often as asked; no labels: None."""

    path: Path
    args: Any
    labels_optional: bool
    multi_label: bool

    def __iter__(self) -> Iterator[tuple[str, str, list[str] | None]]:
        text_column, label_column = self.args.text_column_name, self.args.label_column_name
        optional = [label_column] if self.labels_optional else []
        required = [text_column] if self.labels_optional else [text_column, label_column]
        for place, row in read_rows(self.path, required, optional):
            labels = None
            if label_column in row:
                labels = _labels(place, row[label_column], self.args, self.multi_label)
            yield place, _text(place, row[text_column]), labels


@dataclass(frozen=True)
class _HubRows:
    """The same over a split of a Hub dataset; ``ClassLabel`` ids become their words."""

    dataset: Dataset
    args: Any
    place: str
    multi_label: bool

    def __iter__(self) -> Iterator[tuple[str, str, list[str] | None]]:
        text_column, label_column = self.args.text_column_name, self.args.label_column_name
        known = self.dataset.column_names
        for column in (text_column, label_column):
            if column not in known:
                raise InputError(
                    f"{self.place}: there is no column {column!r}; the columns are "
                    f"{', '.join(known)}.{nearest(column, known)} Name yours with "
                    "--text_column_name and --label_column_name."
                )
        feature = self.dataset.features[label_column]
        feature = getattr(feature, "feature", feature)
        for number, row in enumerate(self.dataset, start=1):
            place, value = f"{self.place}, row {number}", row[label_column]
            if isinstance(feature, ClassLabel) and value is not None:
                if value == UNLABELLED:
                    value = None
                else:
                    value = feature.int2str(value)
            labels = None
            if value is not None:
                labels = _labels(place, value, self.args, self.multi_label)
            yield place, _text(place, row[text_column]), labels


def load_source(
    args: Any, phases: Any, label_names: Sequence[str] | None = None, multi_label: bool = False
) -> Source:
    """Load the rows that `args` (`training.DataArguments`) names, of the splits that are needed.

    Splits that are not there are carved from train, 10% each, with a fixed seed and equal texts
    on one side; what came from where is in ``Source.origins``.

    Args:
        args: one of `corpus`, `dataset_name` or the three files, the columns' names, and how many
            rows of each split to use (the first ones).
        phases: `do_train`, `do_eval` and `do_predict`: train and validation, validation, test.
        label_names: the labels of a model that is already trained; by default they are found
            in the data.
        multi_label: a row has any number of labels.

    Raises:
        InputError: for bad input of any kind, naming file and row.
    """
    files = {"train": args.train_file, "validation": args.validation_file, "test": args.test_file}
    files = {split: Path(path).expanduser() for split, path in files.items() if path}
    named = [name for name, value in _named_sources(args, files).items() if value]
    if len(named) != 1:
        raise InputError(
            f"{' and '.join(named) + ' name' if named else 'Nothing names'} the data, where "
            "exactly one of --corpus, --dataset_name and "
            "--train_file/--validation_file/--test_file must."
        )
    if multi_label and not args.label_separator:
        raise InputError("--label_separator is empty; name what stands between two labels.")
    if args.corpus:
        source = _from_corpus(args, multi_label)
    elif args.dataset_name:
        source = _from_hub(args, label_names, multi_label)
    else:
        source = _from_files(args, files, label_names, multi_label)
    if label_names is not None and source.label_names != list(label_names):
        source = _align(source, list(label_names))
    return _needed(source, args, phases)


def _needed(source: Source, args: Any, phases: Any) -> Source:
    needed = {
        "train": (phases.do_train, args.max_train_samples),
        "validation": (phases.do_train or phases.do_eval, args.max_eval_samples),
        "test": (phases.do_predict, args.max_predict_samples),
    }
    if phases.do_train and "train" not in source.splits:
        raise InputError(f"{source.name}: there is no train split; pass --train_file or another.")
    splits = DatasetDict()
    for split, dataset in source.splits.items():
        wanted, most = needed.get(split, (False, None))
        if most is not None and most < 1:
            option = {"validation": "eval", "test": "predict"}.get(split, split)
            raise InputError(f"--max_{option}_samples {most}: a split needs 1 row or more.")
        if wanted:
            splits[split] = dataset.select(range(min(most or len(dataset), len(dataset))))
    if not splits:
        raise InputError(
            f"{source.name} has {', '.join(source.splits)}, of which nothing is needed. See "
            "--do_train, --do_eval and --do_predict."
        )
    return replace(source, splits=splits)


def _named_sources(args: Any, files: Mapping[str, Path]) -> dict[str, Any]:
    file_options = " ".join(f"--{split}_file" for split in files)
    return {"--corpus": args.corpus, "--dataset_name": args.dataset_name, file_options: files}


def _from_corpus(args: Any, multi_label: bool) -> Source:
    corpus = find_corpus(args.corpus)
    label = corpus.features.get("label")
    if corpus.task != "doccls" or isinstance(label, ClassLabel) == multi_label:
        raise InputError(
            f"The corpus {corpus.name} is for {corpus.task} with "
            f"{'one label' if isinstance(label, ClassLabel) else 'several labels'} a row. Choose "
            "another corpus or recipe."
        )
    common = (args.corpus_dir, args.cache_dir, args.accept_files)
    return Source(
        splits=load_corpus(args.corpus, *common, rebuild=args.overwrite_cache).select_columns(
            ["text", "label"]
        ),
        name=corpus.name,
        origins={split: declared.source for split, declared in corpus.splits.items()},
        hashes=raw_hashes(corpus, *common),
        license=corpus.license,
    )


def _from_files(
    args: Any, files: dict[str, Path], label_names: Sequence[str] | None, multi_label: bool
) -> Source:
    columns = (args.text_column_name, args.label_column_name)
    rows = {
        split: _FileRows(path, args, labels_optional=split == "test", multi_label=multi_label)
        for split, path in files.items()
    }
    for path in files.values():
        next(read_rows(path, columns[:1]), None)  # a missing file is said before any is hashed
    hashes = {split: file_sha256(path, args.cache_dir) for split, path in files.items()}
    names = [path.name for path in files.values()]
    splits = {split: Split(path.name, files=(path.name,)) for split, path in files.items()}
    key = make_key(
        files=hashes,
        formats=[path.suffix.lower() for path in files.values()],
        columns=columns,
        separator=args.label_separator,
        label_names=label_names,
        multi_label=multi_label,
        code=code_hash("nlpbook_data.files", *CARVING, __name__),
    )
    splits = _with_carved(splits)
    return Source(
        splits=_cached(args, "files", key, rows, splits, label_names, multi_label),
        name=", ".join(names),
        origins={split: declared.source for split, declared in splits.items()},
        hashes={
            path.name if names.count(path.name) == 1 else f"{split} {path.name}": hashes[split]
            for split, path in files.items()
        },
    )


def _from_hub(args: Any, label_names: Sequence[str] | None, multi_label: bool) -> Source:
    try:
        loaded = load_dataset(args.dataset_name, args.dataset_config_name, cache_dir=args.cache_dir)
    except Exception as error:  # the client raises a dozen unrelated types
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"The dataset {args.dataset_name} could not be loaded ({first}). Check its name, "
            "--dataset_config_name and the network, or fetch it first with nlpbook-data prefetch."
        ) from error
    aliases = {"dev": "validation", "valid": "validation"}
    loaded = {aliases.get(split, split): dataset for split, dataset in loaded.items()}
    loaded = {split: loaded[split] for split in ("train", "validation", "test") if split in loaded}
    rows = {
        split: _HubRows(dataset, args, f"{args.dataset_name} {split}", multi_label)
        for split, dataset in loaded.items()
    }
    splits = _with_carved({s: Split(f"{s} of {args.dataset_name}", files=(s,)) for s in loaded})
    hashes = {split: dataset._fingerprint for split, dataset in loaded.items()}
    key = make_key(
        files=hashes,
        columns=(args.text_column_name, args.label_column_name),
        separator=args.label_separator,
        label_names=label_names,
        multi_label=multi_label,
        code=code_hash(*CARVING, __name__),
    )
    return Source(
        splits=_cached(args, "hub", key, rows, splits, label_names, multi_label),
        name=args.dataset_name,
        origins={split: declared.source for split, declared in splits.items()},
        hashes=hashes,
    )


def _with_carved(splits: dict[str, Split]) -> dict[str, Split]:
    """Add the splits that are missing as shares of train, where there is a train split."""
    if "train" not in splits:
        return splits
    for split in ("validation", "test"):
        if split not in splits:
            source = f"{CARVED_SHARE:.0%} carved from train ({splits['train'].source})"
            splits[split] = Split(source, carved_from="train", share=CARVED_SHARE)
    return splits


def _cached(
    args: Any,
    kind: str,
    key: str,
    rows: Mapping[str, _FileRows | _HubRows],
    splits: Mapping[str, Split],
    label_names: Sequence[str] | None,
    multi_label: bool,
) -> DatasetDict:
    """Validate, encode, carve and cache; `rows` gives ``(place, text, labels)`` anew each time."""

    def build(target: Path) -> None:
        names = list(label_names or _find_labels(rows))
        label = ClassLabel(names=names)
        features = Features(text=Value("string"), label=List(label) if multi_label else label)
        for split in rows:
            encoded = _encode(rows[split], names, multi_label, found=label_names is None)
            write_split(target, split, encoded, features)
            if shares := carved_shares(splits, split):
                carve_split(target, split, shares)
        for split in splits:
            if len(open_split(target, split)) == 0:
                raise InputError(
                    f"{splits[split].source}: no row is left for {split}. Add rows, or name a "
                    f"--{split}_file."
                )

    return cached_splits(kind, key, build, args.cache_dir, args.overwrite_cache)


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(
            f"{place}: found {repr(value)[:60]} where a text belongs. Mend or drop the row."
        )
    if not value.strip():
        raise InputError(f"{place}: the text is empty. Mend or drop the row.")
    if len(value) > MAX_CHARACTERS:
        raise InputError(
            f"{place}: a text of {len(value):,} characters, over {MAX_CHARACTERS:,}. Look for a "
            "missing line break, or cut it."
        )
    return _whole(place, value)


def _labels(place: str, value: Any, args: Any, multi_label: bool) -> list[str]:
    if multi_label:
        values = value if isinstance(value, list) else [value]
        if isinstance(value, str):
            values = [part for part in value.split(args.label_separator) if part.strip()]
        return sorted({_label(place, value) for value in values})
    if isinstance(value, list):
        raise InputError(f"{place}: found a list of labels. Pass --multi_label true.")
    return [_label(place, value)]


def _label(place: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas writes whole numbers as floats where a cell is missing
    label = "" if value is None or value != value else str(value).strip()
    if not label:
        raise InputError(f"{place}: the label is missing. Mend or drop the row.")
    return _whole(place, label)


def _whole(place: str, text: str) -> str:
    r"""Return `text`; refuse a lone surrogate, such as the JSON \ud83d of an emoji cut in two."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise InputError(
            f"{place}: found {half}, half of a character. Mend or drop the row."
        ) from error
    return text


def _find_labels(rows: Mapping[str, _FileRows | _HubRows]) -> list[str]:
    """Return the labels of train, numbers in their own order; at least two."""
    split = "train" if "train" in rows else next(iter(rows))
    found: set[str] = set()
    place = split
    for row in rows[split]:
        place, _, labels = row
        found.update(labels or [])
    if len(found) < 2:
        raise InputError(
            f"{place.rsplit(', ', 1)[0]}: {len(found)} label ({', '.join(found) or 'none'}) in "
            "all rows, where a classifier needs two or more. Check --label_column_name."
        )
    if len(found) > 1000:
        raise InputError(
            f"{place.rsplit(', ', 1)[0]}: {len(found):,} different labels, such as "
            f"{sorted(found)[0][:40]!r}. Check --label_column_name."
        )
    numeric = all(NUMBER.fullmatch(label) for label in found)
    return sorted(found, key=lambda label: (float(label) if numeric else 0.0, label))


def _encode(
    rows: _FileRows | _HubRows, names: list[str], multi_label: bool, found: bool
) -> Iterator[dict[str, Any]]:
    ids = {name: number for number, name in enumerate(names)}
    labelled = None
    for place, text, labels in rows:
        if labelled is None:
            labelled = labels is not None
        if labelled != (labels is not None):
            raise InputError(f"{place}: some rows have a label and some none. Label all or none.")
        for label in labels or []:
            if label not in ids:
                raise InputError(
                    f"{place}: the label {label[:60]!r} is not among those of "
                    f"{'train' if found else 'the model'} ({', '.join(names[:20])})."
                    f"{nearest(label, names)} "
                    + ("Mend the row, or add it to train." if found else OTHER_LABELS)
                )
        encoded = None if labels is None else [ids[label] for label in labels]
        if not multi_label:
            encoded = UNLABELLED if encoded is None else encoded[0]
        yield {"text": text, "label": encoded}


def _align(source: Source, label_names: list[str]) -> Source:
    """Re-number the labels of `source` as the model numbers them."""
    unknown = [name for name in source.label_names if name not in label_names]
    if unknown:
        raise InputError(
            f"{source.name} has the label {unknown[0]!r}, which the model does not know "
            f"({', '.join(label_names[:20])}). Choose the model or the data that fit."
        )
    # not align_labels_with_mapping: it makes the names lower-case
    ids = {number: label_names.index(name) for number, name in enumerate(source.label_names)}
    feature = ClassLabel(names=label_names)
    splits = DatasetDict()
    for split, dataset in source.splits.items():
        several = not isinstance(dataset.features["label"], ClassLabel)
        features = Features(dataset.features | {"label": List(feature) if several else feature})
        splits[split] = dataset.map(
            _renumber, batched=True, fn_kwargs={"ids": ids}, features=features, keep_in_memory=True
        )
    return replace(source, splits=splits)


def _renumber(batch: dict[str, list[Any]], ids: dict[int, int]) -> dict[str, list[Any]]:
    return {
        "label": [
            [ids[i] for i in label] if isinstance(label, list) else ids.get(label, UNLABELLED)
            for label in batch["label"]
        ]
    }
