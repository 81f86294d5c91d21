"""sample_nli: what its README promises of the pairs, and lines that are refused."""

import json
import re
import unicodedata
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from nlpbook_data import InputError, load_corpus
from nlpbook_data.corpora.sample_nli import parse

NEGATION = re.compile("않|못|없|아니|안 |말라")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return load_corpus("sample_nli", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def rows(pairs):
    return [row for split in pairs.values() for row in split]


def test_there_are_three_splits_of_420_pairs(pairs):
    sizes = {split: len(rows) for split, rows in pairs.items()}
    assert sizes == {"train": 270, "validation": 75, "test": 75}


def test_labels_are_korean_words(pairs):
    for split in pairs.values():
        assert split.features["label"] == ClassLabel(names=["함의", "중립", "모순"])


def test_every_premise_has_one_hypothesis_of_each_label_in_its_split(pairs):
    for split in pairs.values():
        counts = Counter(zip(split["premise"][:], split["label"][:], strict=True))
        assert set(counts) == {(text, label) for text in split["premise"] for label in range(3)}
        assert set(counts.values()) == {1}


def test_no_premise_stands_on_two_sides(pairs):
    for one, other in combinations(pairs.values(), 2):
        assert not set(one["premise"]) & set(other["premise"])


def test_no_hypothesis_stands_twice_or_is_a_premise(rows):
    hypotheses = [row["hypothesis"] for row in rows]
    assert len(set(hypotheses)) == len(hypotheses)
    assert not set(hypotheses) & {row["premise"] for row in rows}


def test_texts_are_composed_hangul_sentences_without_outer_blanks(rows):
    for text in (row[column] for row in rows for column in ("premise", "hypothesis")):
        assert text == unicodedata.normalize("NFC", text).strip()
        assert re.fullmatch(r"[가-힣A-Z0-9,. ]*[가-힣]\.", text) and "  " not in text, text


def test_no_two_premises_share_over_30_percent_of_their_character_trigrams(rows):
    premises = {row["premise"] for row in rows}
    trigrams = {text: {text[i : i + 3] for i in range(len(text) - 2)} for text in premises}
    found = [
        (one, other)
        for one, other in combinations(premises, 2)
        if len(trigrams[one] & trigrams[other])
        > 0.3 * min(len(trigrams[one]), len(trigrams[other]))
    ]
    assert found == []


def test_rows_of_a_premise_do_not_follow_the_order_of_the_labels(pairs):
    for split in pairs.values():
        labels = np.array(split["label"])
        assert max((np.arange(len(labels)) % 3 == (labels + k) % 3).mean() for k in range(3)) < 0.5


def test_lengths_and_negations_are_alike_over_labels(rows):
    by_label = [[row["hypothesis"] for row in rows if row["label"] == label] for label in range(3)]
    lengths = [np.mean([len(text) for text in texts]) for texts in by_label]
    assert max(lengths) - min(lengths) < 1
    negated = [np.mean([bool(NEGATION.search(text)) for text in texts]) for texts in by_label]
    assert min(negated) > 0.3 and max(negated) < 0.4


def test_a_classifier_that_sees_the_hypothesis_only_is_near_chance(rows):
    # one shuffle of the README's five; a draft that was not balanced had 0.44
    texts, labels, premises = (
        [row[column] for row in rows] for column in ("hypothesis", "label", "premise")
    )
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True)
    classifier = make_pipeline(vectors, LogisticRegression(max_iter=1000))
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=0)
    scores = cross_val_score(classifier, texts, labels, groups=premises, cv=folds)
    assert 0.25 < scores.mean() < 0.42


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"label": "중간"}, "line 2, label: found '중간' where one of the labels 함의, 중립, 모순"),
        ({"label": 0}, "line 2, label: found '0' where a value of type str"),
        ({"premise": None}, "line 2, premise: found 'None' where a value of type str"),
        ({"hypothesis": "\ud83d"}, "line 2, hypothesis: .* where a whole character"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(changed: dict, named: str, tmp_path: Path):
    row = {"premise": "비가 온다.", "hypothesis": "날이 궂다.", "label": "함의"}
    path = tmp_path / "train.jsonl"
    path.write_text(f"{json.dumps(row)}\n{json.dumps({**row, **changed})}\n")
    with pytest.raises(InputError, match=f"train.jsonl, {named}"):
        list(parse([path]))


@pytest.mark.parametrize("column", ["premise", "hypothesis", "label"])
def test_a_missing_column_is_refused_with_its_line(column: str, tmp_path: Path):
    row = {"premise": "비가 온다.", "hypothesis": "날이 궂다.", "label": "함의"}
    del row[column]
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(InputError, match=f"line 1: .* where an object with '{column}'"):
        list(parse([path]))
