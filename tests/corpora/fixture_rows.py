"""Rows of the fixtures, as `parse` gives them."""

import importlib
import shutil
from pathlib import Path
from typing import Any

from datasets import ClassLabel, List

from nlpbook_data.data.corpus import find_corpus

FIXTURES = Path(__file__).parent / "fixtures"


def parse(name: str, split: str, root: Path = FIXTURES) -> list[dict[str, Any]]:
    """Return what the corpus' `parse` makes of the files of one split below `root`."""
    corpus = find_corpus(name)
    paths = corpus.splits[split].paths(corpus.folder(root))
    return rows_of(name, [path for path in paths if path.is_file()])


def rows_of(name: str, paths: list[Path]) -> list[dict[str, Any]]:
    """Return what the corpus' `parse` makes of files."""
    module = importlib.import_module(f"nlpbook_data.corpora.{name.replace('-', '_')}")
    rows = []
    for part in module.parse(paths):
        rows += part.to_pylist() if hasattr(part, "to_pylist") else [part]
    return rows


def parse_changed(
    root: Path, name: str, split: str, file: str, old: str | bytes, new: str | bytes
) -> list[dict[str, Any]]:
    """Copy the corpus' fixture to `root`, replace `old` by `new` in `file` once, and parse."""
    corpus = find_corpus(name)
    shutil.copytree(corpus.folder(FIXTURES), corpus.folder(root), dirs_exist_ok=True)
    path = corpus.folder(root) / file
    old, new = (part.encode() if isinstance(part, str) else part for part in (old, new))
    content = path.read_bytes()
    assert content.count(old) >= 1, f"{old!r} is not in {file}"
    path.write_bytes(content.replace(old, new, 1))
    return parse(name, split, root)


def in_words(value: Any, feature: Any) -> Any:
    """Return a row, or a value of it, with the words of its labels; -1, which is none, as None."""
    if isinstance(feature, ClassLabel):
        return feature.int2str(value) if value >= 0 else None
    if isinstance(feature, List):
        return [in_words(item, feature.feature) for item in value]
    if isinstance(value, dict):
        return {key: in_words(item, feature[key]) for key, item in value.items()}
    return value
