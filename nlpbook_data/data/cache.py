"""A content-keyed cache of ``DatasetDict``s: one folder an entry, Arrow files a split.

The key is a hash of the content that the rows are made from, never of a path or a class name. So an
entry is found again from another folder, process or rank, and never returned for other content. One
rename publishes an entry when all its files are on disk. If the length of a file has changed since
then, the entry counts as absent.
"""

import ast
import functools
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import Dataset, DatasetDict, Features
from datasets.arrow_writer import ArrowWriter
from datasets.table import MemoryMappedTable
from filelock import FileLock

from nlpbook_data.errors import InputError

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")  # these come first, in this order
# Only one table is in memory at a time.
TABLE_ROWS = 10_000
TABLE_CHARACTERS = 10_000_000


def cache_root(cache_dir: str | os.PathLike | None = None) -> Path:
    """Return the folder of our entries: ``<cache_dir or HF_DATASETS_CACHE>/nlpbook``."""
    return Path(cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser() / "nlpbook"


def make_key(**parts: Any) -> str:
    """Hash JSON-able `parts` and the version of datasets (it writes the files) into 32 digits."""
    return hash_of(parts | {"datasets": datasets.__version__})


def hash_of(parts: Mapping[str, Any]) -> str:
    """Hash JSON-able `parts`, in any order, into 32 digits."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.cache
def code_hash(*modules: str) -> str:
    """Hash the syntax trees of `modules` (a package: all its modules); comments do not count."""
    digest = hashlib.sha256()
    for module in modules:
        spec = importlib.util.find_spec(module)
        assert spec and spec.origin, module
        paths = [Path(spec.origin)]
        if spec.submodule_search_locations:
            paths = sorted(paths[0].parent.rglob("*.py"))
        for path in paths:
            digest.update(f"{module}/{path.name}\n{_syntax(path)}\n".encode())
    return digest.hexdigest()


@functools.cache  # corpora share most of their modules
def _syntax(path: Path) -> str:
    return ast.dump(ast.parse(path.read_text(encoding="utf-8")))


def file_sha256(path: Path, cache_dir: str | os.PathLike | None = None) -> str:
    """Return the sha256 of `path`, cached until its size, times or inode change.

    Hashing runs at about 1.4 GB/s, so without the cache a corpus of 12 GB would cost 8 s at each
    start. The hash of a file changed in the last two seconds is not cached: the file may change
    again within the clock's tick. The ctime counts too: an editor may restore the old mtime.
    """
    state = _state(path)
    memory = cache_root(cache_dir) / "sha256" / hashlib.sha256(state.encode()).hexdigest()
    if memory.is_file() and len(remembered := memory.read_text()) == 64:
        return remembered
    sha256 = hash_file(path)
    if time.time() - path.stat().st_mtime > 2 and _state(path) == state:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_text(memory, sha256)
    return sha256


def hash_file(path: Path) -> str:
    """Return the sha256 of `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: Path) -> str:
    stat = path.stat()
    times = f"{stat.st_mtime_ns} {stat.st_ctime_ns}"
    return f"{path.resolve()} {stat.st_size} {times} {stat.st_ino}"


def check_unchanged(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse rows of files that have changed while they were read.

    Raises:
        InputError: a file has changed.
    """
    if changed := sorted(file for file in before if now.get(file) != before[file]):
        raise InputError(
            f"{name}: {changed[0]} changed while it was read, and nothing was kept. Give the "
            "command again once the file is written."
        )


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8; a reader sees the old file or the complete new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def cached_splits(
    name: str,
    key: str,
    build: Callable[[Path], None],
    cache_dir: str | os.PathLike | None = None,
    rebuild: bool = False,
) -> DatasetDict:
    """Return the entry `name`/`key`; build it first if it is absent, damaged or `rebuild` is set.

    `build` gets a folder and writes the splits into it with `write_split`. If several processes
    start at the same time, one builds and the others wait. The splits are memory-mapped, train
    first, and their fingerprints are derived from `key`.
    """
    entry = cache_root(cache_dir) / name / key
    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{entry}.lock"):
        sizes = None if rebuild else _sizes(entry)
        if sizes is None:
            sizes = _build_entry(entry, build)
        # The default fingerprint contains the file's mtime: after a rebuild of this entry, all data
        # derived from it would be rebuilt too.
        names = {split: make_key(entry=key, split=split) for split in sizes}
        return DatasetDict({split: open_split(entry, split, names[split]) for split in sizes})


def as_tables(
    rows: Iterable[Mapping[str, Any] | pa.Table], features: Features
) -> Iterator[pa.Table]:
    """Gather rows into tables of bounded size; tables are passed through."""
    schema, characters = features.arrow_schema, 0
    gathered: list[Mapping[str, Any]] = []

    def table() -> pa.Table:
        columns = {name: [row[name] for row in gathered] for name in schema.names}
        return pa.Table.from_pydict(columns, schema=schema)

    for row in rows:
        if isinstance(row, pa.Table):
            yield row.cast(schema)
            continue
        gathered.append(row)
        characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(gathered) == TABLE_ROWS or characters > TABLE_CHARACTERS:
            yield table()
            gathered, characters = [], 0
    if gathered:
        yield table()


def write_split(
    folder: Path, split: str, rows: Iterable[Mapping[str, Any] | pa.Table], features: Features
) -> Dataset:
    """Stream `rows` into the split's file in `folder`; return them memory-mapped."""
    with open_writer(folder, split, features) as writer:
        for table in as_tables(rows, features):
            writer.write_table(table)
        writer.finalize()
    return open_split(folder, split)


def open_writer(folder: Path, split: str, features: Features) -> ArrowWriter:
    """Return a writer for the tables of `split`; finalize it after the last table."""
    return ArrowWriter(path=str(folder / f"{split}.arrow"), features=features)


def open_split(folder: Path, split: str, fingerprint: str | None = None) -> Dataset:
    """Return the rows that were written as `split` into `folder`, memory-mapped.

    With the same `fingerprint`, ``map`` finds its cached results again.
    """
    table = MemoryMappedTable.from_file(str(folder / f"{split}.arrow"))
    return Dataset(table, fingerprint=fingerprint)


def _sizes(entry: Path) -> dict[str, int] | None:
    """Return the recorded bytes of each split, or None if the entry is absent or damaged."""
    try:
        sizes = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
        intact = all((entry / f"{s}.arrow").stat().st_size == size for s, size in sizes.items())
    except (OSError, ValueError):
        return None
    if not intact:
        logger.warning("The cache entry %s is damaged and is built again.", entry)
    return sizes if intact else None


def _build_entry(entry: Path, build: Callable[[Path], None]) -> dict[str, int]:
    partial = entry.with_name(f"{entry.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
    partial.mkdir()
    try:
        build(partial)
        sizes = {path.stem: path.stat().st_size for path in partial.glob("*.arrow")}
        order = [*SPLITS, *sorted(sizes.keys() - set(SPLITS))]
        sizes = {split: sizes[split] for split in order if split in sizes}
        write_text(partial / "entry.json", json.dumps(sizes))
        shutil.rmtree(entry, ignore_errors=True)
        os.replace(partial, entry)
        return sizes
    except OSError as error:
        error.filename = error.filename or str(entry)  # Arrow does not name the file
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
