"""Petitions to the Blue House, August 2017 to March 2019: JSON lines, a file a month (lovit)."""

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora.declaration import Corpus, Split, carved, korpora_urls, texts
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.values import Files, Rows, malformed, member, read_label, read_texts

# The board's list of categories, in its order (pages c=35 to c=51).
CATEGORIES = [
    *("정치개혁", "외교/통일/국방", "일자리", "미래", "성장동력", "농산어촌", "보건복지"),
    *("육아/교육", "안전/환경", "저출산/고령화대책", "행정", "반려동물", "교통/건축/국토"),
    *("경제민주화", "인권/성평등", "문화/예술/체육/언론", "기타"),
]
LABELS = {category: number for number, category in enumerate(CATEGORIES)}
MONTHS = [(2017 + month // 12, month % 12 + 1) for month in range(7, 27)]

CORPUS = Corpus(
    name="korean_petitions",
    task="doccls",
    title="청와대 국민청원 말뭉치 (2017년 8월 – 2019년 3월)",
    features=Features(
        text=Value("string"),
        label=ClassLabel(names=CATEGORIES),
        **texts("title", "begin", "end"),
        num_agree=Value("int32"),
    ),
    splits={
        "train": Split(
            "petitions_2017-08 to petitions_2019-03",
            files=tuple(f"petitions_{year}-{month:02}" for year, month in MONTHS),
        ),
        "validation": carved(0.1),
        "test": carved(0.1),
    },
    license="CC0-1.0",
    homepage="https://github.com/lovit/petitions_archive",
    citation="Kim, H. (2019). 청와대 국민청원 데이터 아카이브. lovit/petitions_archive.",
    urls=korpora_urls("korpus_korean_petitions.KOREAN_PETITIONS_FETCH_INFORMATION"),
    large=True,
)


def parse(files: Files) -> Rows:
    """Yield ``{"text", "label", "title", "begin", "end", "num_agree"}`` for each petition.

    The label is its category; begin and end are dates (``2018-05-01``). A text may be empty.
    """
    for place, petition in read_json_lines(files):
        num_agree = member(place, petition, "num_agree", int)
        if not 0 <= num_agree < 2**31:
            raise malformed(f"{place}, num_agree", num_agree, "a number of people")
        yield {
            "text": member(place, petition, "content", str),
            "label": read_label(place, member(place, petition, "category", str), LABELS),
            **read_texts(place, petition, "title", "begin", "end"),
            "num_agree": num_agree,
        }
