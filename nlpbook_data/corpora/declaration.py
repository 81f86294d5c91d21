"""The declaration of a corpus: its files, splits, columns and licence; and the files' manifest.

``CORPUS`` in a module of this folder is a `Corpus`; `nlpbook_data.data.corpus` loads it.
"""

import importlib
import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, List, Value

from nlpbook_data.corpora.licenses import find_license
from nlpbook_data.errors import InputError

# Korpora's folder, so that its downloads are found again.
DEFAULT_CORPUS_DIR = Path("~/Korpora")


@dataclass(frozen=True)
class RawFile:
    """The known facts of an official file, in this order: bytes, sha256 and rows of data."""

    bytes: int | None = None
    sha256: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Archive:
    """A download that raw files are unpacked from.

    Attributes:
        files: the downloaded files; several files are the parts of one archive, in order.
        members: the raw files in it, named as in `Split.files`.
    """

    files: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Where a split comes from: `files` (relative to the corpus' folder) or a share of another.

    Attributes:
        source: the origin in words, for run.json, card and summary.
        files: the files of the split; empty for a carved split. A name with ``*`` is a pattern, for
            corpora that are downloaded by hand and whose files vary; at least one file must match.
        aligned: files whose n-th line belongs to the n-th row; `parse` receives them after `files`.
        optional: loaded only if its files exist, or if it is asked for by name.
        rows: the official row count, if it is not known for each file.
        carved_from: the split that the rows are taken from; equal texts stay together.
        share: the share of that split's rows.
    """

    source: str
    files: tuple[str, ...] = ()
    aligned: tuple[str, ...] = ()
    optional: bool = False
    rows: int | None = None
    carved_from: str | None = None
    share: float = 0.0

    def paths(self, folder: Path) -> list[Path]:
        """Return the files in `folder`, patterns resolved, in the order that `parse` expects."""
        paths = []
        for name in (*self.files, *self.aligned):
            if "*" not in name:
                paths.append(folder / name)
            elif folder.is_dir():
                # macOS may have written a Korean name decomposed
                found = {unicodedata.normalize("NFC", path.name): path for path in folder.iterdir()}
                paths += [path for known, path in sorted(found.items()) if fnmatchcase(known, name)]
        return paths

    def missing(self, folder: Path) -> list[str]:
        """Return the files that are missing in `folder`; all patterns, if none has a match."""
        names = [*self.files, *self.aligned]
        patterns = [name for name in names if "*" in name]
        missing = [name for name in names if "*" not in name and not (folder / name).is_file()]
        return missing + (patterns if patterns and not self.paths(folder) else [])


@dataclass(frozen=True)
class Corpus:
    """The declaration of a corpus; its module also has ``parse(files) -> iterator of rows``.

    Attributes:
        name: Korpora's name, if Korpora has the corpus. It is the module's name, with `-` for `_`
            if the corpus' name has a hyphen.
        task: the recipe that uses it, or a task that it suits.
        title: one line in Korean.
        features: the columns and their types; labels are ``ClassLabel`` with Korean words.
        splits: train, validation and test, as far as the corpus has them.
        files: the known facts of the official files, by file name.
        texts: the columns of a model's input; rows that are equal in all of them are duplicates.
        groups: the columns whose texts must not occur on both sides of a carved split; `texts` by
            default.
        license: its short name in `licenses.LICENSES`, where its terms are.
        homepage, citation: its source and its citation.
        version: increased when the parser makes other rows of the same files.
        urls: a function that returns ``{file name: URL}``; called only to download.
        archives: the downloads that are unpacked into raw files.
        by_hand: for a corpus without `urls`: where to apply, and which files to put into the
            folder.
        folder_name: the folder's name, if it differs from the corpus' name.
        packaged: True if the files ship with this package.
        large: True for gigabytes: splits are carved while streaming, by a hash of the text, and the
            cache key has `version` instead of a hash of the code.
    """

    name: str
    task: str
    title: str
    features: Features
    splits: Mapping[str, Split]
    license: str
    homepage: str
    citation: str = ""
    version: int = 1
    files: Mapping[str, RawFile] = field(default_factory=dict)
    texts: tuple[str, ...] = ("text",)
    groups: tuple[str, ...] = ()
    urls: Callable[[], dict[str, str]] | None = None
    archives: tuple[Archive, ...] = ()
    by_hand: str = ""
    folder_name: str = ""
    packaged: bool = False
    large: bool = False

    @property
    def commercial(self) -> bool:
        """Whether its licence allows commercial use."""
        return find_license(self.license).commercial

    @property
    def redistributable(self) -> bool:
        """Whether its licence allows giving a converted copy to others."""
        return find_license(self.license).convertible

    @property
    def rows(self) -> dict[str, int]:
        """The official row count of each split with files, as far as it is known."""
        rows = {}
        for name, split in self.splits.items():
            known = [self.files.get(file, RawFile()).rows for file in split.files]
            if split.rows or (known and all(known)):
                rows[name] = split.rows or sum(filter(None, known))
        return rows

    @property
    def file_names(self) -> list[str]:
        """The raw files of all splits, each once; patterns are not resolved."""
        names = [n for split in self.splits.values() for n in (*split.files, *split.aligned)]
        return list(dict.fromkeys(names))

    def folder(self, corpus_dir: str | os.PathLike | None = None) -> Path:
        """Return the folder of the raw files: ``<corpus_dir>/<name>``, Korpora's layout."""
        if self.packaged:
            return Path(__file__).parents[1] / "samples" / self.name
        root = Path(corpus_dir or DEFAULT_CORPUS_DIR).expanduser()
        return root / (self.folder_name or self.name)

    def presence(self, corpus_dir: str | os.PathLike | None = None) -> str:
        """Return ``"yes"``, ``"partly"`` or ``"no"``: whether the files are on disk.

        The files of optional splits do not count.
        """
        folder = self.folder(corpus_dir)
        there = {
            not split.missing(folder)
            for split in self.splits.values()
            if split.files and not split.optional
        }
        return "partly" if len(there) == 2 else "yes" if there == {True} else "no"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return ``manifest.json`` of `folder`, or None if it does not exist."""
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(entry, dict) for entry in manifest["files"].values()):
            raise TypeError("an entry of files is no object")
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a manifest ({error}). Mend it, or delete it to check the files against "
            "the official checksums."
        ) from error


def in_file(name: str, remark: str = "", aligned: tuple[str, ...] = ()) -> Split:
    """Return a split that is all of one file; run.json, card and summary print the `remark`."""
    return Split(name + (f" ({remark})" if remark else ""), (name,), aligned)


def carved(share: float, note: str = "") -> Split:
    """Return a split that is `share` of train, for a corpus without an official one."""
    source = f"{share:.0%} carved from train" + (f" ({note})" if note else "")
    return Split(source, carved_from="train", share=share)


def texts(*names: str) -> Features:
    """Return columns of texts."""
    return Features({name: Value("string") for name in names})


def entity_spans(names: Iterable[str]) -> List:
    """Return the type of an entity column: character spans with the label names `names`."""
    label = ClassLabel(names=list(names))
    return List({"start": Value("int32"), "end": Value("int32"), "label": label})


def korpora_urls(table: str) -> Callable[[], dict[str, str]]:
    """Return a function that reads ``{file name: URL}`` out of Korpora's `table`.

    ``korpus_nsmc.NSMC_FETCH_INFORMATION`` is that variable of the module ``Korpora.korpus_nsmc``.
    """

    def urls() -> dict[str, str]:
        module, _, name = table.partition(".")
        rows = getattr(importlib.import_module(f"Korpora.{module}"), name)
        # a destination is the corpus' folder and the file name
        return {row["destination"].partition("/")[2]: row["url"] for row in rows}

    return urls
