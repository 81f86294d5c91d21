"""Naver sentiment movie corpus: ``id⇥document⇥label`` lines, no quoting (e9t/nsmc)."""

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora.declaration import Corpus, RawFile, carved, in_file, korpora_urls
from nlpbook_data.reading.text import read_tsv
from nlpbook_data.reading.values import Files, Rows, read_label

CORPUS = Corpus(
    name="nsmc",
    task="doccls",
    title="네이버 영화 리뷰 감성 말뭉치",
    features=Features(text=Value("string"), label=ClassLabel(names=["부정", "긍정"])),
    splits={
        "train": in_file("ratings_train.txt"),
        "validation": carved(0.05),
        "test": in_file("ratings_test.txt"),
    },
    files={
        "ratings_train.txt": RawFile(
            14_628_807, "e03b7d14e9e41be8d464a28057cd25d7396c53e67aa7fd5f7e552c59b0ee2940", 150_000
        ),
        "ratings_test.txt": RawFile(
            4_893_335, "8ac9f64052f11dbf6ae0acb5e038f03d90a76f0eda7820cfb3a92d02edfcebda", 50_000
        ),
    },
    license="CC0-1.0",
    homepage="https://github.com/e9t/nsmc",
    citation="Park, L. (2016). Naver sentiment movie corpus v1.0.",
    urls=korpora_urls("korpus_nsmc.NSMC_FETCH_INFORMATION"),
)

LABELS = {"0": 0, "1": 1}


def parse(files: Files) -> Rows:
    """Yield ``{"text": str, "label": 0 | 1}`` for each line.

    Quotes are text. A text may be empty.
    """
    for place, (_, text, label) in read_tsv(files, ["id", "document", "label"]):
        yield {"text": text, "label": read_label(place, label, LABELS)}
