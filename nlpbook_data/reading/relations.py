"""Read the entities of a relation in KLUE-RE's layout: of the corpus, or of the user's own rows."""

from collections.abc import Mapping
from typing import Any

from nlpbook_data.reading.values import FETCH_AGAIN, malformed, member

TYPES = {
    "PER": "인물",
    "ORG": "기관",
    "LOC": "장소",
    "DAT": "날짜와 시간",
    "POH": "그 밖의 고유 명사",
    "NOH": "그 밖의 수량",
}


def read_entity(
    place: str, row: Mapping[str, Any], key: str, text: str, advice: str = FETCH_AGAIN
) -> dict[str, Any]:
    """Return ``{"text", "start", "end", "type"}`` of an entity of `text`, its type as written."""
    entity = member(place, dict(row), key, dict, advice)
    place = f"{place}, {key}"
    word = member(place, entity, "word", str, advice)
    start = member(place, entity, "start_idx", int, advice)
    end = member(place, entity, "end_idx", int, advice) + 1
    if not 0 <= start < end <= len(text) or text[start:end] != word:
        raise malformed(
            f"{place}, characters {start} to {end - 1} of the sentence",
            text[start:end] if 0 <= start < end else "",
            f"the word {word[:60]!r}",
            advice,
        )
    type_ = member(place, entity, "type", str, advice)
    return {"text": word, "start": start, "end": end, "type": type_}
