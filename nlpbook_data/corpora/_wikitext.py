r"""Code that kowikitext and namuwikitext share: sections begin with a `` = title =`` line."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from datasets import Features, Value

from nlpbook_data.corpora.declaration import Archive, Corpus, Split, korpora_urls
from nlpbook_data.errors import InputError
from nlpbook_data.reading.text import BLOCK_BYTES, MAX_LINE_BYTES
from nlpbook_data.reading.values import FETCH_AGAIN, malformed

HEADING = b"\n ="


def declare(name: str, title: str, stem: str, license: str, citation: str, table: str) -> Corpus:
    """Return the declaration of a wiki with the files ``<stem>.{train,dev,test}``."""
    files = {
        split: f"{stem}.{part}"
        for split, part in {"train": "train", "validation": "dev", "test": "test"}.items()
    }
    return Corpus(
        name=name,
        task="pretrain",
        title=title,
        features=Features(title=Value("string"), text=Value("string")),
        splits={
            split: Split(f"{file} ({'99' if split == 'train' else '0.5'}% of the pages)", (file,))
            for split, file in files.items()
        },
        license=license,
        homepage=f"https://github.com/lovit/{name}",
        citation=citation,
        urls=korpora_urls(table),
        archives=tuple(Archive((f"{file}.zip",), (file,)) for file in files.values()),
        large=True,
    )


def parse(files: list[Path]) -> Iterator[pa.Table]:
    """Yield tables of ``title`` (the unchanged heading line) and ``text``, one row a section."""
    for path in files:
        yield from tables_of_sections(path)


def tables_of_sections(path: Path) -> Iterator[pa.Table]:
    r"""Yield tables of ``title`` and ``text``, one row a section.

    A section begins at each line that begins with `` =``, as in Korpora. Its title is that line,
    unchanged. Its text is the lines after it, stripped and without blank ones, joined by ``\n``.
    Only one block of the file is in memory at a time.
    """
    number, rest = 1, b""
    with path.open("rb") as file:
        first = file.read(5)
        if first and not first.removeprefix(b"\xef\xbb\xbf").startswith(b" ="):
            raise malformed(f"{path}, line 1", repr(first), "a title ' = … ='")
        rest = first.removeprefix(b"\xef\xbb\xbf")
        while block := file.read(BLOCK_BYTES):
            data = rest + block
            # Only the new block can hold a heading, apart from one that crosses the blocks.
            cut = data.rfind(HEADING, max(0, len(rest) - len(HEADING)))
            if cut < 0:
                if len(data) > MAX_LINE_BYTES:
                    raise InputError(
                        f"{path}, line {number}: a section longer than {MAX_LINE_BYTES:,} bytes. "
                        f"{FETCH_AGAIN}"
                    )
                rest = data
                continue
            yield _table(path, number, data[:cut])
            number += data.count(b"\n", 0, cut + 1)
            rest = data[cut + 1 :]
    if rest:
        yield _table(path, number, rest)


def _table(path: Path, number: int, data: bytes) -> pa.Table:
    """Return the sections of `data`, whose first line is line `number` of `path`."""
    if b"\0" in data:
        line = number + data.count(b"\n", 0, data.index(b"\0"))
        raise InputError(f"{path}, line {line}: a NUL, which no text holds. {FETCH_AGAIN}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = number + data.count(b"\n", 0, error.start)
        raise InputError(
            f"{path}, line {line}: not UTF-8 ({error.reason}). {FETCH_AGAIN}"
        ) from error
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    titles, texts = [], []
    for section in text[2:].split("\n ="):
        title, _, body = section.partition("\n")
        titles.append(f" ={title}")
        texts.append("\n".join(filter(None, map(str.strip, body.split("\n")))))
    return pa.table({"title": pa.array(titles, pa.string()), "text": pa.array(texts, pa.string())})
