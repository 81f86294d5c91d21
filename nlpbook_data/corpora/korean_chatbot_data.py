"""Questions and a chatbot's answers, in csv (songys/Chatbot_data)."""

from datasets import ClassLabel, Features

from nlpbook_data.corpora.declaration import Corpus, RawFile, carved, in_file, korpora_urls, texts
from nlpbook_data.reading.text import read_csv
from nlpbook_data.reading.values import Files, Rows, read_label

CORPUS = Corpus(
    name="korean_chatbot_data",
    task="generation",
    title="한국어 챗봇 문답 말뭉치",
    features=Features(
        **texts("question", "answer"), label=ClassLabel(names=["일상", "이별", "사랑"])
    ),
    splits={
        "train": in_file("ChatbotData.csv"),
        "validation": carved(0.1),
        "test": carved(0.1),
    },
    files={
        "ChatbotData.csv": RawFile(
            889_842, "287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2", 11_823
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


def parse(files: Files) -> Rows:
    """Yield ``{"question": str, "answer": str, "label": 0 | 1 | 2}`` for each row.

    The label is the topic. One label of the official file has trailing blanks, which are ignored.
    """
    for place, (question, answer, label) in read_csv(files, ["Q", "A", "label"]):
        label = read_label(place, label.strip(" "), LABELS)
        yield {"question": question, "answer": answer, "label": label}
