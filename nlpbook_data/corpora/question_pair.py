"""Question pairs: do two questions mean the same? csv with a BOM (songys/Question_pair).

The column ``is_duplicate`` means the opposite of its name: 0 is the same question (같은 질문) and 1
another one (다른 질문), both in the author's README and in the pairs.
"""

from datasets import ClassLabel, Features

from nlpbook_data.corpora.declaration import Corpus, RawFile, carved, in_file, korpora_urls, texts
from nlpbook_data.reading.text import read_csv
from nlpbook_data.reading.values import Files, Rows, malformed, read_label

CORPUS = Corpus(
    name="question_pair",
    task="paircls",
    title="한국어 질문쌍 말뭉치",
    features=Features(
        **texts("sentence1", "sentence2"), label=ClassLabel(names=["같은 질문", "다른 질문"])
    ),
    splits={
        "train": in_file("kor_pair_train.csv"),
        "validation": carved(0.1),
        "test": in_file(
            "kor_pair_test.csv", "its author warns that train is distributed otherwise"
        ),
    },
    files={
        "kor_pair_train.csv": RawFile(
            608_164, "b0fa4fa4e6fccb9b77f4e4d69c97c558b32d1356ee9041f5faf68fc0446b6fd7", 6_888
        ),
        "kor_pair_test.csv": RawFile(
            52_943, "6e25fc564778bbec695ad3b1d0db7cb8956adabb2186e9c0d582c7346a90a073", 688
        ),
    },
    texts=("sentence1", "sentence2"),
    license="CC-BY-SA-4.0",
    homepage="https://github.com/songys/Question_pair",
    citation="Song, Y. Paired Question v.2. https://github.com/songys/Question_pair",
    urls=korpora_urls("korpus_question_pair.QUESTION_PAIR_FETCH_INFORMATION"),
)

LABELS = {"0": 0, "1": 1}
TRAIN_HEADER = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]
# The last column has no name and no meaning; one row of the official file has a 1 in it.
TEST_HEADER = ["test_id", "question1", "question2", "is_duplicate", ""]


def parse(files: Files) -> Rows:
    """Yield ``{"sentence1": str, "sentence2": str, "label": 0 | 1}``; 0 is the same question."""
    for path in files:
        header = TEST_HEADER if "test" in path.name else TRAIN_HEADER
        first = header.index("question1")
        for place, cells in read_csv([path], header):
            if header is TEST_HEADER and cells[-1] not in ("", *LABELS):
                raise malformed(place, cells[-1], "an empty last cell")
            question1, question2, label = cells[first : first + 3]
            label = read_label(place, label, LABELS)
            yield {"sentence1": question1, "sentence2": question2, "label": label}
