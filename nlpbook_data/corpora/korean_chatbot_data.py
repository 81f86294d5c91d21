"""Questions and a chatbot's answers, in csv (songys/Chatbot_data)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora.declaration import Corpus, RawFile, Split, carved, korpora_urls
from nlpbook_data.reading.text import read_csv
from nlpbook_data.reading.values import read_label

CORPUS = Corpus(
    name="korean_chatbot_data",
    task="generation",
    title="한국어 챗봇 문답 말뭉치",
    features=Features(
        question=Value("string"),
        answer=Value("string"),
        label=ClassLabel(names=["일상", "이별", "사랑"]),
    ),
    splits={
        "train": Split("ChatbotData.csv", files=("ChatbotData.csv",)),
        "validation": carved(0.1),
        "test": carved(0.1),
    },
    files={
        "ChatbotData.csv": RawFile(
            bytes=889_842,
            sha256="287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2",
            rows=11_823,
        ),
    },
    texts=("question", "answer"),
    groups=("question",),
    # from the author's copy on the Hub; Korpora says CC0, the repository nothing
    license="CC-BY-SA-4.0",
    homepage="https://github.com/songys/Chatbot_data",
    citation="Song, Y. Chatbot_data_for_Korean v1.0. https://github.com/songys/Chatbot_data",
    urls=korpora_urls("korpus_chatbot_data.KOREAN_CHATBOT_FETCH_INFORMATION"),
)

LABELS = {"0": 0, "1": 1, "2": 2}


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield ``{"question": str, "answer": str, "label": 0 | 1 | 2}`` for each row.

    The label is the topic. One label of the official file has trailing blanks, which are ignored.
    """
    for path in files:
        for place, (question, answer, label) in read_csv(path, ["Q", "A", "label"]):
            label = read_label(place, label.strip(" "), LABELS)
            yield {"question": question, "answer": answer, "label": label}
