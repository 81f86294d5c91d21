"""Relation extraction as document classification: both entities are marked in the text."""

from typing import Any

from datasets import Dataset, DatasetDict

from nlpbook_data.data.cache import code_hash


def as_documents(splits: DatasetDict) -> DatasetDict:
    """Return a relation corpus with the columns text, with marked entities, and label."""
    types = next(iter(splits.values())).features["subject"]["type"].names
    options = {"types": types, "code": code_hash(__name__)}
    return splits.map(mark_entities, batched=True, fn_kwargs=options).select_columns(
        ["text", "label"]
    )


def mark_entities(rows: Dataset, types: list[str], code: str = "") -> dict[str, list[Any]]:
    """Return the texts with both entities marked; see `mark_pair`.

    Args:
        types: the names of the entities' types.
        code: part of the fingerprint, so that `map` runs again when this module changes.
    """
    named = [
        [{**entity, "type": types[entity["type"]]} for entity in pair]
        for pair in zip(rows["subject"], rows["object"], strict=True)
    ]
    return {"text": [mark_pair(t, *pair) for t, pair in zip(rows["text"], named, strict=True)]}


def mark_pair(text: str, subject: dict[str, Any], other: dict[str, Any]) -> str:
    """Return `text` with both entities and their types between punctuation marks.

    ``@ * 인물 * 이순신 @`` is the subject, ``# ^ 기관 ^ 조선 #`` the object: the typed markers of
    Zhou & Chen (2022), which need no new tokens in any vocabulary.
    """
    edits = [
        edit
        for e, before, after in ((subject, "@ * {} * ", " @"), (other, "# ^ {} ^ ", " #"))
        for edit in (
            (e["start"], 1, -e["end"], before.format(e["type"])),
            (e["end"], 0, -e["start"], after),
        )
    ]
    for place, _, _, mark in sorted(edits, reverse=True):  # from the end of the text backwards
        text = text[:place] + mark + text[place:]
    return text
