"""모두의 말뭉치, named entities of newspapers and speech: 15 tags over characters (NIKL, v1)."""

from datasets import Features

from nlpbook_data.corpora._modu import declare, read_sentences
from nlpbook_data.corpora.declaration import entity_spans, texts
from nlpbook_data.reading.values import Files, Rows, malformed, member, read_label

NAMES = {
    "PS": "사람",
    "LC": "지역",
    "OG": "기관",
    "AF": "인공물",
    "DT": "날짜",
    "TI": "시간",
    "CV": "문명·문화",
    "AM": "동물",
    "PT": "식물",
    "QT": "수량",
    "FD": "학문 분야",
    "TR": "이론",
    "EV": "사건",
    "MT": "물질",
    "TM": "용어",
}
LABELS = {tag: n for n, tag in enumerate(NAMES)}

CORPUS = declare(
    "modu_ne",
    "개체명 분석 말뭉치",
    Features(**texts("id", "text"), entities=entity_spans(NAMES.values())),
    folder="NIKL_NE",
    pattern="[NS]XNE*.json",
    files="NXNE1902008030.json and SXNE1902007240.json",
    share=0.1,
    task="ner",
    source="NXNE*.json (newspapers) + SXNE*.json (speech)",
    note=" (2019, v1; that of 2020 has other files and keys)",
)


def parse(files: Files) -> Rows:
    """Yield ``{"id", "text", "entities": [{"start", "end", "label"}]}`` for each sentence.

    Every span is checked against the entity text in the corpus.
    """
    for place, sentence, name, text in read_sentences(files):
        entities = []
        for number, entity in enumerate(member(place, sentence, "NE", list), start=1):
            where = f"{place}, NE {number}"
            start, end = (member(where, entity, key, int) for key in ("begin", "end"))
            form = member(where, entity, "form", str)
            if not 0 <= start < end <= len(text) or text[start:end] != form:
                found = text[max(start, 0) : end]
                raise malformed(f"{where}, begin and end", found, repr(form[:60]))
            label = read_label(f"{where}, label", member(where, entity, "label", str), LABELS)
            entities.append({"start": start, "end": end, "label": label})
        yield {"id": name, "text": text, "entities": entities}
