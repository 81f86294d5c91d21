"""Namuwiki of 2020-03-02 in wikitext form (lovit/namuwikitext)."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from datasets import Features, Value

from nlpbook_data.corpora._wikitext import tables_of_sections
from nlpbook_data.corpora.declaration import Archive, Corpus, Split, korpora_urls

FILES = [f"namuwikitext_20200302.{split}" for split in ("train", "dev", "test")]

CORPUS = Corpus(
    name="namuwikitext",
    task="pretrain",
    title="나무위키 텍스트",
    features=Features(title=Value("string"), text=Value("string")),
    splits={
        "train": Split(f"{FILES[0]} (99% of the pages)", files=(FILES[0],)),
        "validation": Split(f"{FILES[1]} (0.5% of the pages)", files=(FILES[1],)),
        "test": Split(f"{FILES[2]} (0.5% of the pages)", files=(FILES[2],)),
    },
    license="CC-BY-NC-SA-2.0-KR",
    homepage="https://github.com/lovit/namuwikitext",
    citation="Kim, H. (2020). namuwikitext: Namuwiki dump in wikitext form.",
    urls=korpora_urls("korpus_namuwiki.NAMUWIKI_FETCH_INFORMATION"),
    archives=tuple(Archive(files=(f"{file}.zip",), members=(file,)) for file in FILES),
    large=True,
)


def parse(files: list[Path]) -> Iterator[pa.Table]:
    """Yield tables of ``title`` (the heading line as it stands) and ``text``, a section a row."""
    for path in files:
        yield from tables_of_sections(path)
