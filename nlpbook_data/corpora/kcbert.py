"""What KcBERT was trained on: comments on Naver news, one a line (Beomi/KcBERT)."""

from collections.abc import Iterator

import pyarrow as pa

from nlpbook_data.corpora.declaration import Archive, Corpus, carved, in_file, korpora_urls, texts
from nlpbook_data.reading.text import tables_of_lines
from nlpbook_data.reading.values import Files

FILE = "20190101_20200611_v2.txt"

CORPUS = Corpus(
    name="kcbert",
    task="pretrain",
    title="KcBERT 학습 데이터 (네이버 뉴스 댓글)",
    features=texts("text"),
    splits={"train": in_file(FILE), "validation": carved(0.01)},
    license="MIT",
    homepage="https://github.com/Beomi/KcBERT",
    citation="Lee, J. (2020). KcBERT: Korean comments BERT. HCLT 2020.",
    urls=korpora_urls("korpus_kcbert.KCBERT_FETCH_INFORMATION"),
    archives=(
        Archive(tuple(f"kcbert-train.tar.gz{part}" for part in ("aa", "ab", "ac")), (FILE,)),
    ),
    large=True,
)


def parse(files: Files) -> Iterator[pa.Table]:
    """Yield tables of ``text``, one row a line."""
    for path in files:
        yield from tables_of_lines(path)
