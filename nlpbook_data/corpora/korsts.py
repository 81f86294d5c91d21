"""KorSTS: sentence pairs with a similarity from 0 to 5, in tsv without quoting (kakaobrain)."""

import re

from datasets import Features, Value

from nlpbook_data.corpora.declaration import Corpus, RawFile, in_file, korpora_urls, texts
from nlpbook_data.reading.text import read_tsv
from nlpbook_data.reading.values import Files, Rows, malformed

CORPUS = Corpus(
    name="korsts",
    task="paircls",
    title="한국어 문장 유사도 말뭉치 KorSTS",
    features=Features(
        **texts("sentence1", "sentence2"),
        label=Value("float32"),
        **texts("genre", "source", "year", "id"),
    ),
    splits={
        "train": in_file("sts-train.tsv"),
        "validation": in_file("sts-dev.tsv"),
        "test": in_file("sts-test.tsv"),
    },
    files={
        "sts-train.tsv": RawFile(
            1_046_952, "b5aaa7f957d6ff46f4b6834a8b0f024a9234a6eefe9289aed66746b4533da3b8", 5_749
        ),
        "sts-dev.tsv": RawFile(
            307_276, "d835b65b424401fbcce6be28a78159df8d61f5b19977ea7a0b83b8cb6105f393", 1_500
        ),
        "sts-test.tsv": RawFile(
            249_596, "13f83a3440d9db52d134eb40303ce021b03264aa338fbf2871c8786ce04d2105", 1_379
        ),
    },
    texts=("sentence1", "sentence2"),
    license="CC-BY-SA-4.0",
    homepage="https://github.com/kakaobrain/KorNLUDatasets",
    citation="Ham, J. et al. (2020). KorNLI and KorSTS. arXiv:2004.03289.",
    urls=korpora_urls("korpus_korsts.KORSTS_FETCH_INFORMATION"),
)

HEADER = ["genre", "filename", "year", "id", "score", "sentence1", "sentence2"]
SCORE = re.compile(r"[0-4](\.[0-9]+)?|5(\.0+)?")


def parse(files: Files) -> Rows:
    """Yield ``{"sentence1", "sentence2", "label", "genre", "source", "year", "id"}`` for each line.

    The label is the score, a float from 0 to 5; quotes are text.
    """
    for place, cells in read_tsv(files, HEADER):
        row = dict(zip(HEADER, cells, strict=True))
        score, source = row.pop("score"), row.pop("filename")
        if not SCORE.fullmatch(score):
            raise malformed(place, score, "a score from 0 to 5")
        yield {**row, "source": source, "label": float(score)}
