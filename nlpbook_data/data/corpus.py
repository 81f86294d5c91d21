"""Load a corpus by name: find its files, verify them, parse them into Arrow, cache the result."""

import importlib
import logging
import os
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

from nlpbook_data.corpora.declaration import Corpus, RawFile, Split, read_manifest
from nlpbook_data.data.cache import (
    as_tables,
    cached_splits,
    check_unchanged,
    code_hash,
    file_sha256,
    make_key,
    open_split,
    open_writer,
    write_split,
)
from nlpbook_data.data.splits import assign, carve, find_leaks
from nlpbook_data.errors import InputError, nearest

logger = logging.getLogger(__name__)

CARVE_ROWS = 1000


def list_corpora() -> list[str]:
    """Return the names that `load_corpus` accepts, sorted; each is a module of `corpora`."""
    found = (getattr(_module(name), "CORPUS", None) for name in _modules())
    return sorted(corpus.name for corpus in found if corpus)


def find_corpus(name: str) -> Corpus:
    """Return the declaration of `name`; raise InputError with the nearest names otherwise."""
    if _module_name(name) in _modules():  # only this module is imported
        corpus = getattr(_module(name), "CORPUS", None)
        if corpus and corpus.name == name:
            return corpus
    known = list_corpora()
    raise InputError(
        f"There is no corpus {name!r}.{nearest(name, known)} `nlpbook-data list` names the "
        f"{len(known)} that there are."
    )


def load_corpus(
    name: str,
    corpus_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    accept_files: bool = False,
    rebuild: bool = False,
    splits: Sequence[str] | None = None,
    deduplicate: bool = False,
    streaming: bool = False,
) -> DatasetDict | IterableDatasetDict:
    """Load a corpus by name.

    Files under ``<corpus_dir>/<name>`` are used as they are, without the network; missing files are
    downloaded there. They are checked against the ``manifest.json`` in the same folder or, without
    one, against the official checksums. A split is left out with a warning if its files are missing
    and a manifest written by hand does not list them.

    Args:
        name: one of `list_corpora()`.
        corpus_dir: Korpora's root folder; by default ``~/Korpora``.
        cache_dir: the folder of Arrow files; by default the cache of datasets.
        accept_files: accept files whose checksums differ.
        rebuild: parse again even if the rows are cached.
        splits: only these; by default all splits, but optional ones only if their files exist.
        deduplicate: drop the rows of train whose texts also occur in validation or test, and the
            rows of a carved validation split whose texts also occur in test; their number is
            logged.
        streaming: return ``IterableDataset``s. A large corpus is read from its files row by row,
            without Arrow files and without a check of the row count.

    Returns:
        The splits in the corpus' declaration, memory-mapped.

    Raises:
        InputError: unknown name or split, missing, changed or malformed file, no network.
    """
    corpus = find_corpus(name)
    folder = corpus.folder(corpus_dir)
    wanted = chosen = find_splits(corpus, corpus_dir, splits)
    if deduplicate and splits is not None:  # leaks are found by the held-out splits
        all_there = find_splits(corpus, corpus_dir)
        chosen = [split for split in corpus.splits if split in {*wanted, *all_there}]
    hashes = raw_hashes(corpus, corpus_dir, cache_dir, accept_files, splits=chosen)
    if streaming and corpus.large:
        if deduplicate:
            raise InputError(f"{name}: deduplicate and streaming exclude each other here.")
        return _stream_splits(corpus, folder, chosen)
    rows = {} if accept_files else _expected_rows(corpus, folder, hashes)
    origins = [s for s in corpus.splits if s in {corpus.splits[c].carved_from or c for c in chosen}]
    key = make_key(
        corpus=name,
        version=corpus.version,
        files=hashes,
        rows=rows,
        splits=origins,
        code=None if corpus.large else _code_hash(name),
    )

    def build(target: Path) -> None:
        for split in origins:
            _build_split(corpus, target, folder, split, rows)
        now = raw_hashes(corpus, corpus_dir, cache_dir, accept_files, splits=chosen)
        check_unchanged(name, hashes, now)

    loaded = cached_splits(f"corpora/{name}", key, build, cache_dir, rebuild)
    if deduplicate:
        loaded = DatasetDict({split: loaded[split] for split in chosen})
        loaded = _without_leaks(corpus, loaded, key, cache_dir, rebuild)
    loaded = DatasetDict({split: loaded[split] for split in wanted})
    if streaming:
        return IterableDatasetDict({s: rows.to_iterable_dataset() for s, rows in loaded.items()})
    return loaded


def find_splits(
    corpus: Corpus,
    corpus_dir: str | os.PathLike | None = None,
    splits: Sequence[str] | None = None,
) -> list[str]:
    """Return the splits to load: `splits`, or all except those that are missing on purpose."""
    if splits is not None:
        for split in splits:
            if split not in corpus.splits:
                raise InputError(
                    f"{corpus.name} has no split {split!r}.{nearest(split, corpus.splits)} It has "
                    f"{', '.join(corpus.splits)}."
                )
        return [split for split in corpus.splits if split in splits]
    folder = corpus.folder(corpus_dir)
    manifest = read_manifest(folder) or {}
    by_hand = bool(manifest) and "fetched" not in manifest
    absent = set()
    for split, declared in corpus.splits.items():
        missing = declared.missing(folder)
        unlisted = [file for file in missing if by_hand and file not in manifest["files"]]
        if missing and (declared.optional or unlisted):
            absent.add(split)
            if not declared.optional:
                logger.warning(
                    "%s: no %s split: %s is not there, nor in the manifest. To get it: "
                    "nlpbook-data fetch %s",
                    *(corpus.name, split, unlisted[0], corpus.name),
                )
    chosen = [name for name, s in corpus.splits.items() if not absent & {name, s.carved_from}]
    if not chosen:
        raise InputError(f"{folder}: none of the files of {corpus.name} is there.")
    return chosen


def raw_hashes(
    corpus: Corpus,
    corpus_dir: str | os.PathLike | None,
    cache_dir: str | os.PathLike | None = None,
    accept_files: bool = False,
    *,
    splits: Sequence[str],
) -> dict[str, str]:
    """Return ``{file name: sha256}`` of the raw files of `splits`; missing files are downloaded."""
    folder = corpus.folder(corpus_dir)
    chosen = [corpus.splits[split] for split in splits]
    chosen += [corpus.splits[split.carved_from] for split in chosen if split.carved_from]
    missing = list(dict.fromkeys(file for split in chosen for file in split.missing(folder)))
    if missing:
        from nlpbook_data.fetch.corpus_files import fetch_corpus  # takes 0.2 s

        fetch_corpus(corpus, folder, missing)
    manifest = (read_manifest(folder) or {"files": {}})["files"]
    hashes = {}
    for path in dict.fromkeys(path for split in chosen for path in split.paths(folder)):
        file = path.relative_to(folder).as_posix()
        hashes[file] = file_sha256(path, cache_dir)
        vouched = manifest.get(file, {}).get("sha256")
        expected = vouched or corpus.files.get(file, RawFile()).sha256
        if not accept_files and expected not in (None, hashes[file]):
            raise InputError(
                f"{path}: sha256 {hashes[file]} where "
                f"{'the manifest beside it' if vouched else 'the official file'} has "
                f"{expected}. Fetch it again, or pass --accept_files true to take it as it is."
            )
    return hashes


def _build_split(
    corpus: Corpus,
    target: Path,
    folder: Path,
    split: str,
    expected: Mapping[str, int],
) -> None:
    """Parse `split`, and the splits carved from it, into `target`."""
    paths = corpus.splits[split].paths(folder)
    rows = _module(corpus.name).parse(paths)
    shares = carved_shares(corpus.splits, split)
    if corpus.large:
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(open_writer(target, name, corpus.features))
                for name in (split, *shares)
            }
            count = 0
            for table in as_tables(rows, corpus.features):
                count += len(table)
                for name, part in _divide(corpus, table, split, shares):
                    writers[name].write_table(part)
            for writer in writers.values():
                writer.finalize()
    else:
        count = len(write_split(target, split, rows, corpus.features))
    known = [expected.get(file) for file in corpus.splits[split].files]
    official = sum(filter(None, known))
    if None not in known and count != official:
        raise InputError(
            f"{paths[0]}: {count:,} rows where its manifest or official count says {official:,}. "
            "Fetch the file again."
        )
    if shares and not corpus.large:
        carve_split(target, split, shares, corpus.groups or corpus.texts)


def carved_shares(splits: Mapping[str, Split], origin: str) -> dict[str, float]:
    """Return the splits that are carved from `origin`, with their shares."""
    return {name: s.share for name, s in splits.items() if s.carved_from == origin}


def carve_split(
    target: Path,
    origin: str,
    shares: Mapping[str, float],
    groups: Sequence[str] = ("text",),
    each_class: bool = False,
) -> bool:
    """Write the splits of `shares` and the remaining rows of `origin` into `target`; see `carve`.

    Returns:
        False if, with `each_class`, there are too few different texts for every split; then rows
        with equal texts are in several splits.
    """
    dataset = open_split(target, origin)
    chosen = carve(dataset, shares, origin, groups, each_class)
    apart = not each_class or all(map(len, chosen.values())) or len(dataset) <= len(shares)
    if not apart:
        chosen = carve(dataset, shares, origin, (), each_class)
    for split, rows in chosen.items():
        tables = dataset.with_format("arrow").select(rows).iter(CARVE_ROWS)
        write_split(target, f"{split}-carved", tables, dataset.features)
        (target / f"{split}-carved.arrow").replace(target / f"{split}.arrow")
    return apart


def _divide(
    corpus: Corpus, table: pa.Table, split: str, shares: Mapping[str, float]
) -> Iterator[tuple[str, pa.Table]]:
    """Yield ``(split, rows)`` of `table`, by the text of the first of the corpus' group columns."""
    if not shares:
        yield split, table
        return
    owner = assign(table[(corpus.groups or corpus.texts)[0]], shares)
    for position, name in enumerate([*shares, split]):
        mine = owner == (position if name != split else -1)
        if mine.any():
            yield name, table.filter(pa.array(mine))


def _stream_splits(corpus: Corpus, folder: Path, chosen: Sequence[str]) -> IterableDatasetDict:
    streams = IterableDatasetDict()
    for split in chosen:
        origin = corpus.splits[split].carved_from or split
        paths = corpus.splits[origin].paths(folder)
        # the workers of a loader divide several files among them
        files = [paths] if corpus.splits[origin].aligned else [[path] for path in paths]
        streams[split] = IterableDataset.from_generator(
            _stream,
            features=corpus.features,
            gen_kwargs={"name": corpus.name, "split": split, "files": files},
        )
    return streams


def _stream(name: str, split: str, files: Iterable[list[Path]]) -> Iterator[dict[str, Any]]:
    corpus = find_corpus(name)
    origin = corpus.splits[split].carved_from or split
    shares = carved_shares(corpus.splits, origin)
    for paths in files:
        for table in as_tables(_module(name).parse(paths), corpus.features):
            for owner, part in _divide(corpus, table, origin, shares):
                if owner == split:
                    yield from part.to_pylist()


def _without_leaks(
    corpus: Corpus,
    loaded: DatasetDict,
    key: str,
    cache_dir: str | os.PathLike | None,
    rebuild: bool,
) -> DatasetDict:
    held_out = {"train": ["validation", "test"]}
    if "validation" in loaded and corpus.splits["validation"].carved_from:
        held_out["validation"] = ["test"]

    def build(target: Path) -> None:
        for split, others in held_out.items():
            others = [loaded[other] for other in others if other in loaded]
            write_split(target, split, _kept(loaded[split], others, corpus), corpus.features)

    if "train" not in loaded:
        return loaded
    clean = cached_splits(
        f"corpora/{corpus.name}", make_key(without_leaks=key), build, cache_dir, rebuild
    )
    for split, others in held_out.items():
        logger.info(
            "%s: %d of %d rows of %s dropped, whose texts stand in %s.",
            corpus.name,
            *(len(loaded[split]) - len(clean[split]), len(loaded[split]), split),
            " or ".join(others),
        )
    return DatasetDict(loaded | clean)


def _kept(dataset: Dataset, held_out: Sequence[Dataset], corpus: Corpus) -> Iterator[pa.Table]:
    """Yield the rows of `dataset` whose texts are in no split of `held_out`."""
    start = 0
    for leaked in find_leaks(dataset, held_out, corpus.texts):
        block = dataset.with_format("arrow")[start : start + len(leaked)]
        yield block.filter(pa.array(~leaked))
        start += len(leaked)


def _expected_rows(corpus: Corpus, folder: Path, hashes: Mapping[str, str]) -> dict[str, int]:
    """Return the row count that each file must have: the official one, else the manifest's."""
    listed = (read_manifest(folder) or {"files": {}})["files"].items()
    expected = {file: entry["rows"] for file, entry in listed if "rows" in entry}
    for file, raw in corpus.files.items():
        if raw.rows and hashes.get(file, "") == raw.sha256:
            expected[file] = raw.rows
    return expected


def _code_hash(name: str) -> str:
    """Hash the code that makes the rows: the corpus' module, shared modules, the loader."""
    shared = (name for name in _modules() if name.startswith("_") or name == "declaration")
    corpora = (f"nlpbook_data.corpora.{module}" for module in (_module_name(name), *sorted(shared)))
    ours = ("nlpbook_data.data.cache", "nlpbook_data.data.splits", __name__)
    return code_hash(*corpora, "nlpbook_data.reading", *ours)


def _modules() -> list[str]:
    package = importlib.import_module("nlpbook_data.corpora")
    return [info.name for info in pkgutil.iter_modules(package.__path__)]


def _module_name(name: str) -> str:
    return name.replace("-", "_")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"nlpbook_data.corpora.{_module_name(name)}")
