"""Sentences with named entities written for this project; they ship with the package (CC0)."""

from datasets import Features, Value

from nlpbook_data.corpora._klue import ENTITIES
from nlpbook_data.corpora.declaration import Corpus, entity_spans, packaged
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.values import Files, Rows, malformed, member, read_label

LABELS = {tag: id_ for id_, tag in enumerate(ENTITIES)}

CORPUS = Corpus(
    name="sample_ner",
    task="ner",
    title="여섯 가지 개체명 (직접 쓴 예제 말뭉치)",
    features=Features(text=Value("string"), entities=entity_spans(ENTITIES.values())),
    **packaged("sample_ner"),
)


def parse(files: Files) -> Rows:
    """Yield ``{"text", "entities": [{"start", "end", "label"}]}`` for each line of JSON.

    The entities must be in text order and not overlap; the file has KLUE-NER's tags.
    """
    for place, row in read_json_lines(files):
        text = member(place, row, "text", str)
        entities, free = [], 0
        for number, entity in enumerate(member(place, row, "entities", list), start=1):
            here = f"{place}, entity {number}"
            start, end = (member(here, entity, key, int) for key in ("start", "end"))
            if not free <= start < end <= len(text):
                expected = f"a span between {free} and the text's end, {len(text)},"
                raise malformed(here, f"{start}-{end}", expected)
            label = read_label(here, member(here, entity, "label", str), LABELS)
            entities.append({"start": start, "end": end, "label": label})
            free = end
        yield {"text": text, "entities": entities}
