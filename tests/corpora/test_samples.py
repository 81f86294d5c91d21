"""The corpora that ship with the package: what their READMEs promise."""

import re
import unicodedata
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from datasets import DatasetDict

from nlpbook_data import load_corpus
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
