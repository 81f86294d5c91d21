"""A corpus by name: find its files, verify them, parse them into Arrow, cache the result."""

import importlib
import json
import logging
import os
import pkgutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features
from datasets.arrow_writer import ArrowWriter

from nlpbook_data.cache import cached_splits, code_hash, file_sha256, make_key
from nlpbook_data.errors import InputError, nearest

logger = logging.getLogger(__name__)

# Where Korpora writes, so that what it once fetched is found again.
DEFAULT_CORPUS_DIR = Path("~/Korpora")
CARVE_SEED = 42


@dataclass(frozen=True)
class RawFile:
    """What is known of an official file: its length in bytes, its sha256 and its data rows."""

    bytes: int
    sha256: str
    rows: int


@dataclass(frozen=True)
class Split:
    """Where a split comes from: `files` (relative to the corpus' folder) or a share of another.

    Attributes:
        source: the words that run.json, card and summary print.
        files: the files that make it up; empty for a carved split.
        carved_from: the split that it is taken from, equal texts kept on one side.
        share: the fraction of that split's rows.
    """

    source: str
    files: tuple[str, ...] = ()
    carved_from: str | None = None
    share: float = 0.0


@dataclass(frozen=True)
class Corpus:
    """The declaration of a corpus; its module also has ``parse(files) -> iterator of rows``.

    Attributes:
        name: Korpora's name where Korpora has the corpus; the module's name, `_` read as `-`
            where the corpus' own name has a hyphen.
        task: the recipe that it is for.
        title: one line in Korean.
        features: the columns and their types; labels are ``ClassLabel`` with Korean words.
        splits: train, validation and test; one that is missing here is not there.
        files: what is known of the official files, by file name.
        license, commercial: the licence, and whether it allows commercial use.
        homepage, citation: where it comes from and how it wants to be cited.
        version: raised when the same files parse to other rows.
        urls: a function that returns ``{file name: URL}``, called only to download.
        packaged: True where the files ship inside this package.
    """

    name: str
    task: str
    title: str
    features: Features
    splits: Mapping[str, Split]
    license: str
    commercial: bool
    homepage: str
    citation: str = ""
    version: int = 1
    files: Mapping[str, RawFile] = field(default_factory=dict)
    urls: Callable[[], dict[str, str]] | None = None
    packaged: bool = False

    @property
    def file_names(self) -> list[str]:
        """The raw files, each once."""
        return list(dict.fromkeys(name for split in self.splits.values() for name in split.files))

    def folder(self, corpus_dir: str | os.PathLike | None = None) -> Path:
        """Return where the raw files lie: ``<corpus_dir>/<name>``, Korpora's layout."""
        if self.packaged:
            return Path(__file__).parent / "samples" / self.name
        return Path(corpus_dir or DEFAULT_CORPUS_DIR).expanduser() / self.name


def list_corpora() -> list[str]:
    """Return the names that `load_corpus` takes, sorted; each is a module of `corpora`."""
    package = importlib.import_module("nlpbook_data.corpora")
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    return sorted(_module(name).CORPUS.name for name in names if not name.startswith("_"))


def find_corpus(name: str) -> Corpus:
    """Return the declaration of `name`; raise InputError with the nearest names otherwise."""
    if name not in list_corpora():
        known = list_corpora()
        raise InputError(
            f"There is no corpus {name!r}.{nearest(name, known)} The names are: {', '.join(known)}."
        )
    return _module(name).CORPUS


def load_corpus(
    name: str,
    corpus_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    accept_files: bool = False,
    rebuild: bool = False,
) -> DatasetDict:
    """Load a corpus by name.

    Files that lie under ``<corpus_dir>/<name>`` are used as they are, without the network;
    missing ones are downloaded there. They are checked against the ``manifest.json`` beside
    them or, where there is none, against the official checksums.

    Args:
        name: one of `list_corpora()`.
        corpus_dir: Korpora's root folder; by default ``~/Korpora``.
        cache_dir: where Arrow files are kept; by default the cache of datasets.
        accept_files: take files whose checksums differ as they are.
        rebuild: parse again even where the cache holds the rows.

    Returns:
        The splits that the corpus declares, memory-mapped.

    Raises:
        InputError: unknown name, missing, changed or malformed file, no network.
    """
    corpus = find_corpus(name)
    parse = _module(name).parse
    folder = corpus.folder(corpus_dir)
    hashes = raw_hashes(corpus, corpus_dir, cache_dir, accept_files)
    rows = {} if accept_files else _expected_rows(corpus, folder, hashes)
    key = make_key(
        corpus=name,
        version=corpus.version,
        files=hashes,
        rows=rows,
        code=code_hash("nlpbook_data.corpora", __name__),
    )

    def build(target: Path) -> None:
        parsed = {}
        for split, declared in corpus.splits.items():
            if declared.files:
                paths = [folder / file for file in declared.files]
                write_rows(target / f"{split}.arrow", parse(paths), corpus.features)
                parsed[split] = Dataset.from_file(str(target / f"{split}.arrow"))
                expected = sum(rows.get(file, 0) for file in declared.files)
                if expected and len(parsed[split]) != expected:
                    raise InputError(
                        f"{paths[0]}: {len(parsed[split]):,} rows where its manifest or official "
                        f"count says {expected:,}. Fetch the file again."
                    )
        carve_splits(target, parsed, corpus.splits)

    return cached_splits(f"corpora/{name}", key, build, cache_dir, rebuild)


def raw_hashes(
    corpus: Corpus,
    corpus_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    accept_files: bool = False,
) -> dict[str, str]:
    """Return ``{file name: sha256}`` of the corpus' raw files, fetched first where missing."""
    folder = corpus.folder(corpus_dir)
    missing = [file for file in corpus.file_names if not (folder / file).is_file()]
    if missing:
        from nlpbook_data.fetch import fetch_corpus

        fetch_corpus(corpus, folder, missing)
    manifest = _manifest(folder)
    hashes = {}
    for file in corpus.file_names:
        path = folder / file
        hashes[file] = file_sha256(path, cache_dir)
        vouched = (manifest or {}).get(file, {}).get("sha256")
        official = corpus.files[file].sha256 if file in corpus.files else None
        expected = vouched or official
        if accept_files or expected is None or hashes[file] == expected:
            continue
        raise InputError(
            f"{path}: sha256 {hashes[file]} where "
            f"{'the manifest beside it' if vouched else 'the official file'} has "
            f"{expected}. Fetch it again, or pass --accept_files true to take it as it is."
        )
    return hashes


def _expected_rows(corpus: Corpus, folder: Path, hashes: Mapping[str, str]) -> dict[str, int]:
    """Return the rows that each file must have: the official count, else the manifest's."""
    expected = {
        file: entry["rows"] for file, entry in (_manifest(folder) or {}).items() if "rows" in entry
    }
    for file, raw in corpus.files.items():
        if hashes.get(file) == raw.sha256:
            expected[file] = raw.rows
    return expected


def _manifest(folder: Path) -> dict[str, dict[str, Any]] | None:
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a manifest ({error}). Mend it, or delete it to check the files against "
            "the official checksums."
        ) from error


def write_rows(path: Path, rows: Iterator[dict[str, Any]], features: Features) -> None:
    """Stream `rows` into the Arrow file `path`."""
    with ArrowWriter(path=str(path), features=features) as writer:
        for row in rows:
            writer.write(row)
        writer.finalize()


def carve_splits(target: Path, parsed: Mapping[str, Dataset], splits: Mapping[str, Split]) -> None:
    """Write the carved splits of `splits` into `target`, and what is left of their origins.

    The choice has a fixed seed. Rows with equal texts (NFC, outer blanks off) stay on one side,
    and a ``ClassLabel`` column keeps its balance.
    """
    origins = {split.carved_from for split in splits.values()} - {None}
    for origin in origins:
        shares = {s: d.share for s, d in splits.items() if d.carved_from == origin}
        for split, rows in carve(parsed[origin], shares, rest=origin).items():
            partial = target / f"{split}.arrow.carved"
            with ArrowWriter(path=str(partial), features=parsed[origin].features) as writer:
                writer.write_table(parsed[origin].with_format("arrow")[rows])
                writer.finalize()
            os.replace(partial, target / f"{split}.arrow")


def carve(dataset: Dataset, shares: Mapping[str, float], rest: str) -> dict[str, np.ndarray]:
    """Choose rows for each of `shares`, and `rest` for those left over.

    Returns:
        Sorted row numbers, ``{rest: …, **shares}``; no row in two, equal texts in one.
    """
    texts = [unicodedata.normalize("NFC", text).strip() for text in dataset["text"][:]]
    labels = np.zeros(len(texts))
    if isinstance(dataset.features.get("label"), ClassLabel):
        labels = np.array(dataset["label"][:])
    # not an array of texts: numpy would give each the room of the longest
    number_of = {text: number for number, text in enumerate(sorted(set(texts)))}
    group = np.array([number_of[text] for text in texts], dtype=int)
    _, first = np.unique(group, return_index=True)
    group_rows = np.bincount(group)
    group_label = labels[first]
    owner = np.full(len(first), -1)
    order = np.random.default_rng(CARVE_SEED).permutation(len(first))
    for number, share in enumerate(shares.values()):
        for value in np.unique(labels):
            free = order[(owner[order] == -1) & (group_label[order] == value)]
            wanted = share * np.sum(labels == value)
            # a group is taken while the rows before it fall short of the share by half its size
            before = np.cumsum(group_rows[free]) - group_rows[free]
            owner[free[before + group_rows[free] / 2 <= wanted]] = number
    rows_of = {rest: np.flatnonzero(owner[group] == -1)}
    for number, split in enumerate(shares):
        rows_of[split] = np.flatnonzero(owner[group] == number)
    return rows_of


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"nlpbook_data.corpora.{name.replace('-', '_')}")
