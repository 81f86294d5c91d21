"""KLUE-YNAT: the topic of a headline of Yonhap News (a list of JSON objects)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora._klue import declare, note, read_rows
from nlpbook_data.corpora.declaration import Corpus
from nlpbook_data.reading.values import member, read_label

TOPICS = ["IT과학", "경제", "사회", "생활문화", "세계", "스포츠", "정치"]
LABELS = {topic: id_ for id_, topic in enumerate(TOPICS)}

CORPUS = Corpus(
    name="klue-ynat",
    task="doccls",
    title="KLUE 연합뉴스 기사 제목 주제 분류",
    features=Features(
        id=Value("string"),
        text=Value("string"),
        label=ClassLabel(names=TOPICS),
        news_category=Value("string"),
        date=Value("string"),
        url=Value("string"),
    ),
    **declare("ynat-v1.1", train=45_678, dev=9_107),
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield a row for each headline: annotators chose `label`, the newspaper `news_category`."""
    for place, row in read_rows(files):
        yield {
            "id": row["guid"],
            "text": member(place, row, "title", str),
            "label": read_label(f"{place}, label", row.get("label"), LABELS),
            "news_category": note(place, row, "predefined_news_category"),
            "date": note(place, row, "date"),
            "url": note(place, row, "url"),
        }
