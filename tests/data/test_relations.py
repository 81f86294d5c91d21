"""Relations as documents: what is marked, and where."""

from nlpbook_data.data.relations import mark_entities

TYPES = ["인물", "기관"]


def entity(text, word, type_, start=None):
    start = text.index(word) if start is None else start
    return {"text": word, "start": start, "end": start + len(word), "type": type_}


def test_both_entities_stand_between_their_marks():
    text = "이순신은 조선의 장군이다"
    inner = "서울시립대학교"
    rows = {
        "text": [text, text, inner],
        "subject": [entity(text, "이순신", 0), entity(text, "조선", 1), entity(inner, inner, 1)],
        "object": [entity(text, "조선", 1), entity(text, "이순신", 0), entity(inner, "서울시", 1)],
    }
    assert mark_entities(rows, TYPES)["text"] == [
        "@ * 인물 * 이순신 @은 # ^ 기관 ^ 조선 #의 장군이다",
        "# ^ 인물 ^ 이순신 #은 @ * 기관 * 조선 @의 장군이다",
        "@ * 기관 * # ^ 기관 ^ 서울시 #립대학교 @",
    ]
