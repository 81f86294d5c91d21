r"""Code that kowikitext and namuwikitext share: sections begin with a `` = title =`` line."""

from collections.abc import Iterator

import pyarrow as pa

from nlpbook_data.corpora.declaration import Archive, Corpus, Split, korpora_urls, texts
from nlpbook_data.reading.text import decode, read_blocks
from nlpbook_data.reading.values import Files, malformed


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
        features=texts("title", "text"),
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


def parse(files: Files) -> Iterator[pa.Table]:
    r"""Yield tables of ``title`` and ``text``, one row a section.

    A section begins at each line that begins with `` =``, as in Korpora. Its title is that line,
    unchanged. Its text is the lines after it, stripped and without blank ones, joined by ``\n``.
    """
    for path in files:
        for number, data in read_blocks(path, b"\n =", "a section"):
            text = decode(path, number, data)
            if not text.startswith(" ="):  # only of the first piece
                raise malformed(f"{path}, line {number}", text[:5], "a title ' = … ='")
            titles, bodies = [], []
            for section in text[2:].split("\n ="):
                title, _, body = section.partition("\n")
                titles.append(f" ={title}")
                bodies.append("\n".join(filter(None, map(str.strip, body.split("\n")))))
            yield pa.table({"title": titles, "text": bodies})
