"""KorNLI: MultiNLI, SNLI and XNLI in Korean, in tsv without quoting (kakaobrain)."""

from datasets import ClassLabel, Features

from nlpbook_data.corpora.declaration import Corpus, RawFile, Split, in_file, korpora_urls, texts
from nlpbook_data.reading.text import read_tsv
from nlpbook_data.reading.values import Files, Rows, read_label

CORPUS = Corpus(
    name="kornli",
    task="paircls",
    title="한국어 자연어 추론 말뭉치 KorNLI",
    features=Features(
        **texts("premise", "hypothesis"), label=ClassLabel(names=["함의", "중립", "모순"])
    ),
    splits={
        "train": Split(
            "multinli.train.ko.tsv and snli_1.0_train.ko.tsv (machine translation)",
            files=("multinli.train.ko.tsv", "snli_1.0_train.ko.tsv"),
        ),
        "validation": in_file("xnli.dev.ko.tsv"),
        "test": in_file("xnli.test.ko.tsv"),
    },
    files={
        "multinli.train.ko.tsv": RawFile(rows=392_702),
        "snli_1.0_train.ko.tsv": RawFile(rows=550_152),
        "xnli.dev.ko.tsv": RawFile(
            511_383, "821fb1c1c2e538ac2724a6132da36ffa379eb9a542ceb89243b3cf711377382c", 2_490
        ),
        "xnli.test.ko.tsv": RawFile(
            1_032_430, "0db53cf8e182283a0d0404ec3fe1b15d1e29236d23d22082dc20d43067254b3e", 5_010
        ),
    },
    texts=("premise", "hypothesis"),
    groups=("premise",),
    license="CC-BY-SA-4.0",
    homepage="https://github.com/kakaobrain/KorNLUDatasets",
    citation="Ham, J. et al. (2020). KorNLI and KorSTS. arXiv:2004.03289.",
    urls=korpora_urls("korpus_kornli.KORNLI_FETCH_INFORMATION"),
)

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2}


def parse(files: Files) -> Rows:
    """Yield ``{"premise": str, "hypothesis": str, "label": 0 | 1 | 2}``; quotes are text."""
    rows = read_tsv(files, ["sentence1", "sentence2", "gold_label"])
    for place, (premise, hypothesis, label) in rows:
        label = read_label(place, label, LABELS)
        yield {"premise": premise, "hypothesis": hypothesis, "label": label}
