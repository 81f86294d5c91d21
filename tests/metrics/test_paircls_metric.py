"""Scores of sentence pairs against scikit-learn, and correlations worked from their definitions."""

import numpy as np
import pytest
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


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        # deviations -1, -1, 2 and -2, 1, 1; ranks 1.5, 1.5, 3 and 1, 2.5, 2.5
        ([0, 0, 3], [0, 3, 3], (3 / 6, 0.75 / 1.5, 3)),
        ([2, 1, 0], [0, 1, 20], (-20 / (2 * 254) ** 0.5, -1, (4 + 0 + 400) / 3)),
        ([1, 1], [1, 3], (0, 0, 2)),  # one side is constant
        ([1], [3], (0, 0, 4)),
    ],
)
def test_correlations_and_errors_by_hand(predicted, gold, expected):
    scores = SentenceSimilarity(keep_in_memory=True).compute(predictions=predicted, references=gold)
    assert list(scores) == ["pearson", "spearman", "mean_squared_error"]
    assert list(scores.values()) == pytest.approx(expected)
