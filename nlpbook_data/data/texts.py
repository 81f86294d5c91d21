"""Stream plain text for training, by line or by corpus row, whatever its size."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from nlpbook_data.data.cache import file_sha256
from nlpbook_data.data.corpus import find_corpus, load_corpus, raw_hashes
from nlpbook_data.data.splits import plain
from nlpbook_data.errors import InputError
from nlpbook_data.own_files.schemas import describe_kind, read_examples, read_text
from nlpbook_data.own_files.tables import FORMATS, read_text_lines
from nlpbook_data.reading.text import format_of

logger = logging.getLogger(__name__)


@dataclass
class TextArguments:
    """Where plain text comes from; files and corpora follow one another."""

    text_files: list[str] | None = field(
        default=None, metadata={"help": "a text a line, or tables with the column text"}
    )
    corpora: list[str] | None = field(
        default=None, metadata={"help": "names of `nlpbook-data list`; of each the train split"}
    )
    corpus_dir: str | None = field(
        default=None, metadata={"help": "folder of raw corpora (Korpora's root), ~/Korpora"}
    )
    exclude_files: list[str] | None = field(
        default=None, metadata={"help": "a text a line that must not be trained on, as a test's"}
    )

    @property
    def name(self) -> str:
        """The names of corpora and files, without folders."""
        return " + ".join([Path(f).name for f in self.text_files or []] + (self.corpora or []))

    def describe_files(self) -> str:
        """Return how the text files are read, in words."""
        return "; ".join(dict.fromkeys(_describe(file) for file in self.text_files or []))


def hash_texts(args: TextArguments) -> dict[str, str]:
    """Return ``{file name: sha256}`` of all files of `args`.

    Raises:
        InputError: a file does not exist.
    """
    hashes: dict[str, str] = {}
    for file in [*(args.text_files or []), *(args.exclude_files or [])]:
        path = Path(file).expanduser()
        if not path.is_file():
            raise InputError(f"{file}: no such file. Check --text_files and --exclude_files.")
        name = path.name if path.name not in hashes else f"{len(hashes)} {path.name}"
        hashes[name] = file_sha256(path)
    for name in args.corpora or []:
        found = raw_hashes(find_corpus(name), args.corpus_dir, splits=["train"])
        hashes |= {f"{name}/{file}": value for file, value in found.items()}
    return hashes


def stream_texts(args: TextArguments, tell: bool = False) -> Iterator[str]:
    """Yield the texts that `args` names, stripped, without blank and excluded ones.

    Each string column of a corpus is text.

    Args:
        tell: log how each file is read, its texts, and what is left out of it.

    Raises:
        InputError: nothing is named, or something cannot be read.
    """
    if not args.text_files and not args.corpora:
        raise InputError("Nothing names the text: pass --text_files or --corpora.")
    lines = chain.from_iterable(map(_read_file, args.exclude_files or []))
    excluded = set(map(plain, lines)) - {""}
    sources = [(file, _read_file(file)) for file in args.text_files or []]
    sources += [(name, _read_corpus(name, args.corpus_dir)) for name in args.corpora or []]
    for number, (name, texts) in enumerate(sources):
        kept = blank = left_out = 0
        for text in map(str.strip, texts):
            if not text:
                blank += 1
            elif excluded and plain(text) in excluded:
                left_out += 1
            else:
                kept += 1
                yield text
        if tell and number < len(args.text_files or []):
            logger.info(
                "%s: %s texts (%s); left out: %s blank lines, %s of --exclude_files",
                *(name, f"{kept:,}", _describe(name), f"{blank:,}", f"{left_out:,}"),
            )


def _describe(file: str) -> str:
    path = Path(file).expanduser()
    return describe_kind(path, kind if (kind := format_of(path)) in FORMATS else ".txt")


def _read_corpus(name: str, corpus_dir: str | None) -> Iterator[str]:
    for row in load_corpus(name, corpus_dir, splits=["train"], streaming=True)["train"]:
        yield from (value for value in row.values() if isinstance(value, str))


def _read_file(file: str) -> Iterator[str]:
    """Yield the texts of a file, blank lines too.

    csv, xlsx, JSON and other tables have them in the column ``text``, as ``nlpbook-data check
    --task pretrain`` reads it. Any other file has one text a line.

    Raises:
        InputError: the file does not exist or cannot be read, or a text is too long.
    """
    path = Path(file).expanduser()
    if not path.is_file():  # a pipe or a device may never end
        raise InputError(f"{file}: no such file. Check --text_files.")
    try:
        if format_of(path) in FORMATS:
            yield from (row["text"] for _, row in read_examples(path, "pretrain"))
        else:
            for place, line in read_text_lines(path):
                yield read_text(place, line) if line.strip() else ""
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}. Check --text_files.") from error


def is_held_out(text: str, share: float) -> bool:
    """Whether a text is in validation. Only its content decides, so equal texts stay together."""
    digest = hashlib.sha256(plain(text).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
