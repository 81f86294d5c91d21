"""The book's named entities: ``text␞text with <entity:TAG>`` lines (from kmounlp/NER)."""

from datasets import Features, Value

from nlpbook_data.corpora.declaration import Corpus, carved, entity_spans, in_file
from nlpbook_data.reading.entities import number_labels, untag_text
from nlpbook_data.reading.text import read_lines
from nlpbook_data.reading.values import Files, Rows, malformed

TAGS = {
    "PER": "인물",
    "LOC": "장소",
    "ORG": "기관",
    "POH": "기타 고유명사",
    "DAT": "날짜",
    "TIM": "시간",
    "DUR": "기간",
    "MNY": "금액",
    "PNT": "비율",
    "NOH": "기타 수량",
}
LABELS = {tag: number for number, tag in enumerate(TAGS)}

CORPUS = Corpus(
    name="ner",
    task="ner",
    title="한국해양대 개체명 말뭉치 (책의 형식)",
    features=Features(text=Value("string"), entities=entity_spans(TAGS.values())),
    splits={
        "train": in_file("train.txt"),
        "validation": carved(0.1),
        "test": in_file("val.txt", "the only held-out file"),
    },
    license="MIT, non-commercial",
    homepage="https://github.com/kmounlp/NER",
    citation="한국해양대학교 자연언어처리연구실 (2019). https://github.com/kmounlp/NER",
    by_hand=(
        "Put train.txt and val.txt of the book (ratsgo's NLPBOOK, 개체명 인식) there. Its Google "
        "Drive links answered with an HTML page when they were last tried. Or make them from "
        "https://github.com/kmounlp/NER: a sentence a line, text␞text with <entity:TAG>."
    ),
)

SEPARATOR = "␞"


def parse(files: Files) -> Rows:
    """Yield ``{"text": str, "entities": [{"start", "end", "label"}]}`` for each line.

    The text is not changed; the tagged half must be the same text with tags.
    """
    for path in files:
        for place, line in read_lines(path):
            halves = line.split(SEPARATOR)
            if len(halves) != 2:
                raise malformed(place, line, f"text{SEPARATOR}text with <entity:TAG>")
            text, tagged = halves
            found = untag_text(tagged, text, LABELS)
            if found is None:
                raise malformed(place, tagged, f"the text before {SEPARATOR} with <entity:TAG>")
            yield {"text": text, "entities": number_labels(found, LABELS)}
