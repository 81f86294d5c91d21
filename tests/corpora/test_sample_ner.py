"""The sentences with named entities that ship with the package: what is promised of them."""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from datasets import ClassLabel, DatasetDict

from nlpbook_data import InputError, load_corpus
from nlpbook_data.corpora.sample_ner import CORPUS, parse

SAMPLE = CORPUS.folder(None)
NAMES = ["날짜", "장소", "기관", "인물", "수량", "시간"]
TAGS = dict(zip(["DT", "LC", "OG", "PS", "QT", "TI"], NAMES, strict=True))


@pytest.fixture(scope="module")
def sentences(tmp_path_factory) -> DatasetDict:
    return load_corpus("sample_ner", cache_dir=tmp_path_factory.mktemp("cache"))


def rows_of(sentences: DatasetDict) -> list[dict]:
    return [row for split in sentences.values() for row in split]


def mentions(rows: list[dict]) -> list[tuple[str, str]]:
    return [
        (row["text"][entity["start"] : entity["end"]], NAMES[entity["label"]])
        for row in rows
        for entity in row["entities"]
    ]


def test_there_are_660_sentences_in_three_splits(sentences):
    sizes = {split: len(rows) for split, rows in sentences.items()}
    assert sizes == {"train": 440, "validation": 80, "test": 140}


def test_types_are_korean_words_in_the_order_of_klue_ner(sentences):
    for rows in sentences.values():
        assert rows.features["entities"].feature["label"] == ClassLabel(names=NAMES)


def test_tags_of_the_file_become_their_korean_words(sentences):
    lines = (SAMPLE / "test.jsonl").read_text("utf-8").splitlines()
    tags = [entity["label"] for line in lines for entity in json.loads(line)["entities"]]
    assert [TAGS[tag] for tag in tags] == [name for _, name in mentions(sentences["test"])]


@pytest.mark.parametrize(("split", "least"), [("train", 90), ("validation", 10), ("test", 30)])
def test_every_type_is_often_in_every_split(sentences, split, least):
    counts = Counter(name for _, name in mentions(sentences[split]))
    assert set(counts) == set(NAMES)
    assert min(counts.values()) >= least


def test_a_tenth_to_15_percent_of_each_split_has_no_entity(sentences):
    for rows in sentences.values():
        assert 0.10 <= sum(not row["entities"] for row in rows) / len(rows) <= 0.15


def test_spans_lie_in_the_text_in_order_and_do_not_overlap(sentences):
    for row in rows_of(sentences):
        ends = [0, *(entity["end"] for entity in row["entities"])]
        for entity, free in zip(row["entities"], ends, strict=False):
            assert free <= entity["start"] < entity["end"] <= len(row["text"]), row


def test_no_entity_begins_or_ends_with_a_blank_or_a_comma(sentences):
    edges = {edge for text, _ in mentions(rows_of(sentences)) for edge in (text[0], text[-1])}
    assert not edges & set(" \t\n,·!?\"'")


def test_texts_are_composed_hangul_without_outer_blanks_and_left_over_tags(sentences):
    for row in rows_of(sentences):
        text = row["text"]
        assert text == unicodedata.normalize("NFC", text).strip() != ""
        assert re.search("[가-힣]", text), text
        assert not re.search(r"[<>]|:[A-Z]{2}\b", text), text


def test_no_text_is_there_twice_spaces_and_marks_aside(sentences):
    texts = [re.sub(r"\W", "", row["text"]) for row in rows_of(sentences)]
    assert [text for text, times in Counter(texts).items() if times > 1] == []


def test_between_a_half_and_three_quarters_of_the_test_entities_are_not_in_train(sentences):
    seen = set(mentions(sentences["train"]))
    found = mentions(sentences["test"])
    assert 0.5 <= sum(mention not in seen for mention in found) / len(found) <= 0.75


def test_what_makes_korean_entities_hard_is_there_in_train(sentences):
    rows = list(sentences["train"])
    before = [(row["text"], entity) for row in rows for entity in row["entities"]]
    after = [text[entity["end"] : entity["end"] + 1] for text, entity in before]
    found = mentions(rows)
    texts = " ".join(row["text"] for row in rows)
    assert sum(bool(re.match("[가-힣]", mark)) for mark in after) > len(found) / 3  # particles
    assert sum(not mark for mark in after) >= 10  # an entity is the end of the text
    assert sum(entity["start"] == 0 for _, entity in before) >= 50
    assert sum(" " in text for text, _ in found) >= 50
    assert sum(bool(re.search("[A-Za-z]", text)) for text, _ in found) >= 15
    assert re.search("[\U0001f300-\U0001faff]", texts)
    neighbours = [
        (one, other)
        for row in rows
        for one, other in zip(row["entities"], row["entities"][1:], strict=False)
    ]
    assert sum(other["start"] - one["end"] <= 1 for one, other in neighbours) >= 50


def test_names_stand_under_two_types_and_as_common_words(sentences):
    types: dict[str, set[str]] = {}
    for text, name in mentions(rows_of(sentences)):
        types.setdefault(text, set()).add(name)
    assert types["하나"] == {"기관", "수량"} and types["세종"] == {"인물", "장소"}
    plain = [row["text"] for row in rows_of(sentences) if not row["entities"]]
    for word in ("기아", "전주", "토스", "당근", "오산"):
        assert types[word] and any(word in text for text in plain)


def write(folder: Path, entities: object, text: object = "김민지가 서울에 산다") -> list[Path]:
    path = folder / "a.jsonl"
    path.write_text(json.dumps({"text": text, "entities": entities}) + "\n", "utf-8")
    return [path]


def entity(start: object, end: object, label: object = "PS") -> dict:
    return {"start": start, "end": end, "label": label}


def test_entities_may_touch_and_end_with_the_text(tmp_path):
    files = write(tmp_path, [entity(0, 1), entity(1, 3), entity(3, 11, "LC")])
    assert [(found["start"], found["end"]) for found in next(parse(files))["entities"]] == [
        *((0, 1), (1, 3), (3, 11))
    ]


@pytest.mark.parametrize(
    ("entities", "number", "found"),
    [
        ([entity(-1, 3)], 1, "'-1-3' where a span between 0 and the text's end, 11,"),
        ([entity(0, 12)], 1, "'0-12'"),
        ([entity(2, 2)], 1, "'2-2'"),
        ([entity(3, 2)], 1, "'3-2'"),
        ([entity(0, 3), entity(2, 5, "LC")], 2, "'2-5' where a span between 3 and"),
        ([entity(5, 7, "LC"), entity(0, 3)], 2, "'0-3'"),
        ([entity(0, 3), entity(5, 7, "LOC")], 2, "'LOC' where one of the labels DT, LC, OG"),
        ([entity(0, 3, 3)], 1, "'3' where a value of type str"),
        ([entity("0", 3)], 1, "'0' where a value of type int"),
        ([{"start": 0, "end": 3}], 1, "'start, end' where an object with 'label'"),
        (["PS"], 1, "'PS' where an object"),
    ],
)
def test_a_wrong_entity_is_refused_with_its_place(tmp_path, entities, number, found):
    files = write(tmp_path, [*entities])
    with pytest.raises(InputError) as error:
        list(parse(files))
    assert f"{files[0]}, line 1, entity {number}" in str(error.value)
    assert found in str(error.value)
