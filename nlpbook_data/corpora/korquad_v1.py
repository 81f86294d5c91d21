"""KorQuAD 1.0: questions about passages of the Korean Wikipedia (SQuAD 1.1's JSON)."""

from datasets import Features

from nlpbook_data.corpora.declaration import Corpus, RawFile, carved, in_file, texts
from nlpbook_data.reading.squad import ANSWERS, read_questions
from nlpbook_data.reading.values import Files, Rows, malformed

TRAIN, DEV = "KorQuAD_v1.0_train.json", "KorQuAD_v1.0_dev.json"

CORPUS = Corpus(
    name="korquad-v1",
    task="qa",
    title="KorQuAD 1.0 한국어 위키백과 기계 독해",
    features=Features(**texts("id", "title", "context", "question"), answers=ANSWERS),
    splits={
        "train": in_file(TRAIN),
        "validation": carved(0.05),
        "test": in_file(DEV, "dev file; the official test is not public"),
    },
    files={
        TRAIN: RawFile(
            38_527_475, "40d5115879a701751781df721d901abfa736d8db5f89000f2619433f39bf2dd2", 60_407
        ),
        DEV: RawFile(
            3_881_058, "25ffeb51e6c51ec02c071b60a10188e10005c144110f0d876b26079d80a35bdf", 5_774
        ),
    },
    texts=("context", "question"),
    groups=("context",),
    license="CC-BY-ND-2.0-KR",
    homepage="https://korquad.github.io/KorQuad%201.0/",
    citation="Lim, S., Kim, M., Lee, J. (2019). KorQuAD1.0: Korean QA Dataset for Machine Reading "
    "Comprehension. arXiv:1909.07005.",
    urls=lambda: {f: f"https://korquad.github.io/dataset/{f}" for f in (TRAIN, DEV)},
)


def parse(files: Files) -> Rows:
    """Yield a row for each question; each has an answer."""
    for path in files:
        for place, _, _, row in read_questions(path, "id"):
            if not row["answers"]:
                raise malformed(f"{place}, answers", "[]", "at least one answer")
            yield row
