"""The raw reviews behind NSMC, one a line and without ratings: text to pretrain on (e9t/nsmc)."""

from collections.abc import Iterator

import pyarrow as pa

from nlpbook_data.corpora.declaration import Corpus, carved, in_file, texts
from nlpbook_data.reading.text import tables_of_lines
from nlpbook_data.reading.values import Files

CORPUS = Corpus(
    name="nsmc_raw",
    task="pretrain",
    title="네이버 영화 리뷰 원문 (평점 없음)",
    features=texts("text"),
    splits={
        "train": in_file("reviews.txt"),
        "validation": carved(0.01),
    },
    license="CC0-1.0",
    homepage="https://github.com/e9t/nsmc",
    citation="Park, L. (2016). Naver sentiment movie corpus v1.0.",
    by_hand=(
        "Take the reviews of raw/ in https://github.com/e9t/nsmc, drop the texts of NSMC's test "
        "file, and write one a line into reviews.txt."
    ),
    large=True,
)


def parse(files: Files) -> Iterator[pa.Table]:
    """Yield tables of ``text``, one row a line."""
    for path in files:
        yield from tables_of_lines(path)
