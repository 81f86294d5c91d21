"""Scores of sentence pairs against scikit-learn, and correlations worked from their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from nlpbook_data.metrics.paircls import PairClassification, SentenceSimilarity

NAMES = ["같은 질문", "다른 질문"]


@pytest.mark.parametrize("positive", NAMES)
def test_f1_is_that_of_the_positive_class(positive):
    random = np.random.default_rng(1)
    probabilities, gold = random.dirichlet([1, 1], 200), random.integers(0, 2, 200)
    metric = PairClassification(keep_in_memory=True)
    scores = metric.compute(
        predictions=probabilities, references=gold, label_names=NAMES, positive=positive
    )
    expected = f1_score(gold, probabilities.argmax(1), pos_label=NAMES.index(positive))
    assert scores["f1"] == pytest.approx(expected)


def test_three_classes_have_no_positive_one():
    metric = PairClassification(keep_in_memory=True)
    scores = metric.compute(
        predictions=[[0.1, 0.2, 0.7]], references=[2], label_names=["함의", "중립", "모순"]
    )
    assert "f1" not in scores and scores["accuracy"] == 1


def pearson(x: list[float], y: list[float]) -> float:
    """The definition, in Python's own numbers."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y)
    return covariance / spread**0.5


def ranks(values: list[float]) -> list[float]:
    """Mean rank of each value: ties share theirs."""
    return [
        sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values
    ]


SCORES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(SCORES)
def test_correlations_are_those_of_the_definitions(pairs):
    predicted, gold = [p / 10 for p, _ in pairs], [g / 10 for _, g in pairs]
    scores = SentenceSimilarity(keep_in_memory=True).compute(predictions=predicted, references=gold)
    if len(set(predicted)) == 1 or len(set(gold)) == 1:
        assert scores["pearson"] == scores["spearman"] == 0
    else:
        assert scores["pearson"] == pytest.approx(pearson(predicted, gold), abs=1e-9)
        expected = pearson(ranks(predicted), ranks(gold))
        assert scores["spearman"] == pytest.approx(expected, abs=1e-9)
    squares = [(p - g) ** 2 for p, g in zip(predicted, gold, strict=True)]
    assert scores["mean_squared_error"] == pytest.approx(sum(squares) / len(squares))


def test_one_row_has_no_correlation():
    scores = SentenceSimilarity(keep_in_memory=True).compute(predictions=[1.0], references=[3.0])
    assert scores == {"pearson": 0.0, "spearman": 0.0, "mean_squared_error": 4.0}
