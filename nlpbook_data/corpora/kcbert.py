"""What KcBERT was trained on: comments on Naver news, one a line (Beomi/KcBERT)."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from datasets import Features, Value

from nlpbook_data.corpora._read import tables_of_lines
from nlpbook_data.data.corpus import Archive, Corpus, Split


def urls() -> dict[str, str]:
    """Return Korpora's table as ``{file name: URL}``."""
    from Korpora.korpus_kcbert import KCBERT_FETCH_INFORMATION

    return {Path(row["destination"]).name: row["url"] for row in KCBERT_FETCH_INFORMATION}


FILE = "20190101_20200611_v2.txt"

CORPUS = Corpus(
    name="kcbert",
    task="pretrain",
    title="KcBERT 학습 데이터 (네이버 뉴스 댓글)",
    features=Features(text=Value("string")),
    splits={
        "train": Split(FILE, files=(FILE,)),
        "validation": Split("1% carved from train", carved_from="train", share=0.01),
    },
    license="MIT",
    commercial=True,
    homepage="https://github.com/Beomi/KcBERT",
    citation="Lee, J. (2020). KcBERT: Korean comments BERT. HCLT 2020.",
    urls=urls,
    archives=(
        Archive(
            files=tuple(f"kcbert-train.tar.gz{part}" for part in ("aa", "ab", "ac")),
            members=(FILE,),
        ),
    ),
    large=True,
)


def parse(files: list[Path]) -> Iterator[pa.Table]:
    """Yield tables of ``text``, a line a row."""
    for path in files:
        yield from tables_of_lines(path)
