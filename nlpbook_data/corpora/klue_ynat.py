"""KLUE-YNAT: the topic of a headline of Yonhap News (a list of JSON objects)."""

from datasets import ClassLabel, Features

from nlpbook_data.corpora._klue import declare, read_rows
from nlpbook_data.corpora.declaration import Corpus, texts
from nlpbook_data.reading.values import Files, Rows, member, read_label, read_notes

TOPICS = ["IT과학", "경제", "사회", "생활문화", "세계", "스포츠", "정치"]
CATEGORY = "predefined_news_category"
LABELS = {topic: id_ for id_, topic in enumerate(TOPICS)}

CORPUS = Corpus(
    name="klue-ynat",
    task="doccls",
    title="KLUE 연합뉴스 기사 제목 주제 분류",
    features=Features(
        **texts("id", "text"),
        label=ClassLabel(names=TOPICS),
        **texts("news_category", "date", "url"),
    ),
    **declare("ynat-v1.1", train=45_678, dev=9_107),
)


def parse(files: Files) -> Rows:
    """Yield a row for each headline: annotators chose `label`, the newspaper `news_category`."""
    for place, row in read_rows(files):
        yield {
            "id": row["guid"],
            "text": member(place, row, "title", str),
            "label": read_label(f"{place}, label", row.get("label"), LABELS),
            "news_category": read_notes(place, row, CATEGORY)[CATEGORY],
            **read_notes(place, row, "date", "url"),
        }
