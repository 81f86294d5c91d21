"""The corpora that ship with the package: what READMEs promise, and which lines are refused."""

import importlib
import json
import re
import unicodedata
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from datasets import DatasetDict

from nlpbook_data import InputError, load_corpus
from nlpbook_data.data.corpus import find_corpus

SIZES = {
    "sample_reviews": (1380, 200, 400),
    "sample_nli": (1020, 186, 228),
    "sample_ner": (440, 80, 140),
    "sample_qa": (267, 45, 72),
    "sample_search": (900, 180, 360),
}
TYPES = ["날짜", "장소", "기관", "인물", "수량", "시간"]  # in the order of KLUE-NER's tags


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> dict[str, DatasetDict]:
    cache = tmp_path_factory.mktemp("cache")
    return {name: load_corpus(name, cache_dir=cache) for name in SIZES}


def rows_of(splits: DatasetDict) -> list[dict[str, Any]]:
    return [row for split in splits.values() for row in split]


def mentions(rows: Any) -> list[tuple[str, str]]:
    return [
        (row["text"][entity["start"] : entity["end"]], TYPES[entity["label"]])
        for row in rows
        for entity in row["entities"]
    ]


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_readme_and_texts_are_composed_hangul(samples, name):
    assert tuple(map(len, samples[name].values())) == SIZES[name]
    texts = {*find_corpus(name).texts, "title", "passage"}
    columns = texts & {*samples[name]["train"].column_names}
    for row in rows_of(samples[name]):
        for text in (row[column] for column in columns):
            assert text == unicodedata.normalize("NFC", text).strip() != ""
            assert re.search("[가-힣]", text), text


@pytest.mark.parametrize(
    ("name", "column", "count", "most"),
    [
        ("sample_reviews", "text", 1980, 0.3),
        ("sample_nli", "premise", 478, 0.2),
        ("sample_search", "query", 1440, 0.4),
    ],
)
def test_no_two_texts_share_much_of_their_character_trigrams(samples, name, column, count, most):
    texts = sorted({re.sub(r"\W", "", row[column]) for row in rows_of(samples[name])})
    assert len(texts) == count
    trigrams = [(text, {text[i : i + 3] for i in range(len(text) - 2)}) for text in texts]
    pairs = combinations(trigrams, 2)
    assert [
        (a, b) for (a, one), (b, other) in pairs if len(one & other) > most * len(one | other)
    ] == []


def test_reviews_are_balanced_by_label_and_domain(samples):
    for rows in samples["sample_reviews"].values():
        counts = Counter(zip(rows["label"][:], rows["domain"][:], strict=True))
        assert set(counts) == {(label, domain) for label in (0, 1) for domain in ("영화", "상품")}
        assert len(set(counts.values())) == 1


# sample_nli


def test_each_premise_has_one_hypothesis_of_each_label_all_on_one_side(samples):
    for split in samples["sample_nli"].values():
        counts = Counter(zip(split["premise"][:], split["label"][:], strict=True))
        assert set(counts) == {(text, label) for text in split["premise"] for label in range(3)}
        assert set(counts.values()) == {1}
        labels = np.array(split["label"])  # and no order tells the label
        assert max((np.arange(len(labels)) % 3 == (labels + k) % 3).mean() for k in range(3)) < 0.5
    for one, other in combinations(samples["sample_nli"].values(), 2):
        assert not set(one["premise"]) & set(other["premise"])
    rows = rows_of(samples["sample_nli"])
    hypotheses = {row["hypothesis"] for row in rows}
    assert len(hypotheses) == len(rows) and not hypotheses & {row["premise"] for row in rows}


# sample_ner


def test_every_entity_type_is_often_in_every_split_and_an_eighth_has_none(samples):
    least = {"train": 90, "validation": 10, "test": 30}
    for split, rows in samples["sample_ner"].items():
        assert rows.features["entities"].feature["label"].names == TYPES
        counts = Counter(name for _, name in mentions(rows))
        assert set(counts) == set(TYPES) and min(counts.values()) >= least[split]
        assert 0.10 <= sum(not row["entities"] for row in rows) / len(rows) <= 0.15
    seen, found = (mentions(samples["sample_ner"][split]) for split in ("train", "test"))
    assert 0.5 <= sum(mention not in seen for mention in found) / len(found) <= 0.75


def test_no_sentence_is_there_twice_and_no_entity_has_a_mark_at_its_edge(samples):
    rows = rows_of(samples["sample_ner"])
    texts = [re.sub(r"\W", "", row["text"]) for row in rows]
    assert len(set(texts)) == len(texts)
    assert not [text for text in texts if re.search(r"[<>]|:[A-Z]{2}\b", text)]
    edges = {edge for text, _ in mentions(rows) for edge in (text[0], text[-1])}
    assert not edges & set(" \t\n,·!?\"'")


# sample_qa


def test_a_question_does_not_give_its_answer_away(samples):
    rows = rows_of(samples["sample_qa"])
    assert all(len({row[column] for row in rows}) == len(rows) for column in ("id", "question"))
    seen = [text for split in samples["sample_qa"].values() for text in set(split["context"])]
    assert len(seen) == len(set(seen)) == 69  # no passage on two sides
    for row in rows:
        question = row["question"]
        pieces = {question[i : i + 13] for i in range(len(question) - 12)}
        assert not [piece for piece in pieces if row["answers"] and piece in row["context"]]
        for answer in row["answers"]:
            start, text = answer["answer_start"], answer["text"]
            before = row["context"][:start]
            assert before == "" or before[-1] in " '《\n"  # where a word begins
            assert row["context"][start:].startswith(text) and text == text.strip() != ""
            assert text not in question and len(text) <= 30


# sample_search


def test_each_passage_has_its_share_of_queries_in_every_split(samples):
    shares = {"train": 5, "validation": 1, "test": 2}
    for split, rows in samples["sample_search"].items():
        counts = Counter(zip(rows["passage"][:], rows["service"][:], strict=True))
        assert len(counts) == 180 and set(counts.values()) == {shares[split]}
        assert set(Counter(service for _, service in counts).values()) == {20}
        assert len({passage for passage, _ in counts}) == 180
        assert all(60 <= len(passage) <= 160 for passage, _ in counts)


# Lines that are refused

LINES = {
    "sample_reviews": {"text": "재밌다", "label": 1, "domain": "영화"},
    "sample_nli": {"premise": "비가 온다.", "hypothesis": "날이 궂다.", "label": "함의"},
    "sample_ner": {"text": "김민지가 서울에 산다", "entities": []},
    "sample_qa": {
        "id": "1-1",
        "title": "등대",
        "context": "1931년에 등대가 섰다.",
        "question": "등대는 언제 세워졌나?",
        "answers": [{"text": "1931년", "answer_start": 0}],
        "question_type": "언제",
    },
    "sample_search": {
        "query": "책 늦게 주면요?",
        "passage": "연체 시 대출이 정지됩니다.",
        "service": "도서관",
    },
}


def entity(start: object, end: object, label: object = "PS") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def answer(text: str, start: object) -> list[dict[str, Any]]:
    return [{"text": text, "answer_start": start}]


@pytest.mark.parametrize(
    ("name", "column", "value", "said"),
    [
        ("sample_reviews", "label", 2, "label: found '2' where 0 or 1"),
        ("sample_nli", "label", "중간", "label: found '중간' where one of the labels 함의, 중립"),
        ("sample_nli", "label", 0, "label: found '0' where a value of type str"),
        ("sample_nli", "premise", None, "premise: found 'None'"),
        ("sample_nli", "hypothesis", "\ud83d", "hypothesis: found .* half of a character"),
        ("sample_ner", "entities", [entity(-1, 3)], "entity 1: found '-1-3' .* 0 and .* 11,"),
        ("sample_ner", "entities", [entity(0, 12)], "entity 1: found '0-12'"),
        ("sample_ner", "entities", [entity(2, 2)], "entity 1: found '2-2'"),
        ("sample_ner", "entities", [entity(0, 3), entity(2, 5)], "entity 2: found '2-5' .* 3 and"),
        ("sample_ner", "entities", [entity(0, 3, "LOC")], "entity 1: found 'LOC' .* DT, LC, OG"),
        ("sample_ner", "entities", [entity("0", 3)], "entity 1, start: found '0'"),
        ("sample_ner", "entities", [{"start": 0, "end": 3}], "entity 1: there is no 'label'"),
        ("sample_ner", "entities", ["PS"], "entity 1: found 'PS' where an object"),
        ("sample_qa", "answers", answer("1932년", 0), "found '1931년'"),
        ("sample_qa", "answers", answer("1931년", 1), "position 1 of context"),
        ("sample_qa", "answers", answer("", 0), "position 0 of context"),
        ("sample_qa", "answers", answer("1931년", -14), "found '-14'"),
        ("sample_qa", "question_type", "무슨", "found '무슨'"),
        ("sample_search", "passage", None, "passage: found 'None'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(tmp_path, name, column, value, said):
    path = tmp_path / "a.jsonl"
    lines = [LINES[name], {**LINES[name], column: value}]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(InputError, match=f"a.jsonl, line 2.*{said}"):
        list(importlib.import_module(f"nlpbook_data.corpora.{name}").parse([path]))


def test_right_lines_are_read_with_labels_as_numbers(tmp_path):
    line = {**LINES["sample_ner"], "entities": [entity(0, 1), entity(1, 3), entity(3, 11, "LC")]}
    expected = [{**e, "label": {"PS": 3, "LC": 1}[e["label"]]} for e in line["entities"]]
    path = tmp_path / "a.jsonl"
    for name, one, columns in [
        ("sample_ner", line, {"entities": expected}),
        ("sample_nli", LINES["sample_nli"], {"label": 0}),
        ("sample_qa", LINES["sample_qa"], {"question_type": 1}),
        ("sample_search", LINES["sample_search"], {}),
    ]:
        path.write_text(json.dumps(one), encoding="utf-8")
        (row,) = importlib.import_module(f"nlpbook_data.corpora.{name}").parse([path])
        assert row == {**one, **columns}
