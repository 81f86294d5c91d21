"""The book's NER: tagged text read beside the plain text, whatever brackets and colons it has."""

import re

import pytest
from conftest import CORPORA
from fixture_rows import parse
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data.corpora.ner import LABELS, TAGS
from nlpbook_data.reading.entities import untag_text


def align(text: str, with_tags: str) -> list[dict] | None:
    found = untag_text(with_tags, text, TAGS)
    return found and [entity | {"label": LABELS[entity["label"]]} for entity in found]


def tagged(text: str, entities: list[dict]) -> str:
    """Write the tags into `text`: what the official file has as its second half."""
    for entity in reversed(entities):
        start, end = entity["start"], entity["end"]
        tag = list(TAGS)[entity["label"]]
        text = f"{text[:start]}<{text[start:end]}:{tag}>{text[end:]}"
    return text


PIECES = st.text(st.sampled_from("가a<>: "), min_size=1, max_size=4)


@given(st.lists(st.tuples(PIECES, st.sampled_from([None, *TAGS])), max_size=6))
def test_whatever_was_tagged_is_found_to_be_the_text_with_tags(pieces):
    text = "".join(piece for piece, _ in pieces)
    with_tags = "".join(f"<{piece}:{tag}>" if tag else piece for piece, tag in pieces)
    entities = align(text, with_tags)
    assert entities is not None
    assert tagged(text, entities) == with_tags


@given(
    st.lists(st.tuples(st.text("가a: .", min_size=1, max_size=4), st.sampled_from([None, *TAGS])))
)
def test_without_brackets_in_the_text_there_is_one_reading_and_it_is_found(pieces):
    text, entities = "", []
    for piece, tag in pieces:
        if tag:
            label = LABELS[tag]
            entities.append({"start": len(text), "end": len(text) + len(piece), "label": label})
        text += piece
    assert align(text, tagged(text, entities)) == entities


@pytest.mark.parametrize("text", ["<" * 300, "<a:PER>" * 60, "<<a:PER>" * 60])
def test_many_brackets_do_not_take_forever(text):
    assert align(text, text) == []
    assert align(f"{text}가", f"{text}나") is None


@pytest.mark.corpora
def test_real_lines_are_their_text_with_tags_and_brackets_pair_up_in_every_entity():
    regex = re.compile(r"<(.+?):([A-Z]{3})>")
    differ = 0
    for split, file in (("train", "train.txt"), ("test", "val.txt")):
        lines = (CORPORA / "ner" / file).read_text(encoding="utf-8").split("\n")
        rows = parse("ner", split, CORPORA)
        for row, line in zip(rows, lines[:-1], strict=True):
            assert f"{row['text']}␞{tagged(row['text'], row['entities'])}" == line
            texts = [row["text"][entity["start"] : entity["end"]] for entity in row["entities"]]
            assert all(text.count("<") == text.count(">") for text in texts), texts
            differ += texts != [found[1] for found in regex.finditer(line.split("␞")[1])]
    assert differ == 9  # entities that a regex would begin at a bracket of the text
