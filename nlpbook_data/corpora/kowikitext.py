"""Korean Wikipedia of 2020-09-20 in wikitext form (lovit/kowikitext)."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from datasets import Features, Value

from nlpbook_data.corpora._wikitext import tables_of_sections
from nlpbook_data.corpora.declaration import Archive, Corpus, Split, korpora_urls

FILES = [f"kowikitext_20200920.{split}" for split in ("train", "dev", "test")]

CORPUS = Corpus(
    name="kowikitext",
    task="pretrain",
    title="한국어 위키백과 텍스트",
    features=Features(title=Value("string"), text=Value("string")),
    splits={
        "train": Split(f"{FILES[0]} (99% of the pages)", files=(FILES[0],)),
        "validation": Split(f"{FILES[1]} (0.5% of the pages)", files=(FILES[1],)),
        "test": Split(f"{FILES[2]} (0.5% of the pages)", files=(FILES[2],)),
    },
    license="CC-BY-SA-3.0",
    homepage="https://github.com/lovit/kowikitext",
    citation="Kim, H. (2020). kowikitext: Korean Wikipedia dump in wikitext form.",
    urls=korpora_urls("korpus_kowiki.KOWIKI_FETCH_INFORMATION"),
    archives=tuple(Archive(files=(f"{file}.zip",), members=(file,)) for file in FILES),
    large=True,
)


def parse(files: list[Path]) -> Iterator[pa.Table]:
    """Yield tables of ``title`` (the heading line as it stands) and ``text``, a section a row."""
    for path in files:
        yield from tables_of_sections(path)
