"""Scores of document search, worked by hand."""

import math

import numpy as np
import pytest

from nlpbook_data.metrics.search import DocumentSearch, recall_curve

NAMES = ["mrr_at_10", "ndcg_at_10", "recall_at_1", "recall_at_5", "recall_at_10", "recall_at_100"]


def compute(predictions, references):
    return DocumentSearch(keep_in_memory=True).compute(
        predictions=predictions, references=references
    )


@pytest.mark.parametrize(
    "ranking, true, expected",
    [
        ([4, 2, 9], [4], (1, 1, 1, 1, 1, 1)),
        ([4, 2, 9], [9], (1 / 3, 0.5, 0, 1, 1, 1)),
        ([4, 2, 9], [5], (0, 0, 0, 0, 0, 0)),
        ([], [5], (0, 0, 0, 0, 0, 0)),
        (list(range(10)), [9], (0.1, 1 / math.log2(11), 0, 0, 1, 1)),
        (list(range(11)), [10], (0, 0, 0, 0, 0, 1)),
        (list(range(200)), [99], (0, 0, 0, 0, 0, 1)),
        (list(range(200)), [100], (0, 0, 0, 0, 0, 0)),
        # of two, the second and the fourth; the best there could be is 1 + 1 / log2(3)
        (
            [0, 1, 2, 3],
            [3, 1],
            (0.5, (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3)), 0, 1, 1, 1),
        ),
        # twenty true ones, ten of which the first ten can hold
        (list(range(12)), list(range(20)), (1, 1, 0.05, 0.25, 0.5, 0.6)),
        ([3, 1], [1, 1], (0.5, 1 / math.log2(3), 0, 1, 1, 1)),
    ],
)
def test_rankings_worked_by_hand(ranking, true, expected):
    scores = compute([ranking], [true])
    assert [scores[name] for name in NAMES] == pytest.approx(list(expected))


def test_queries_without_a_true_passage_are_left_out_and_counted():
    scores = compute([[1], [2], [3]], [[1], [], []])
    assert scores["recall_at_1"] == 1
    assert scores["queries"] == 1 and scores["queries_without_passage"] == 2


def test_a_passage_twice_in_a_ranking_is_an_error():
    with pytest.raises(ValueError, match="query 1 holds a passage twice"):
        compute([[1, 2], [3, 4, 3]], [[1], [3]])


def test_no_true_passage_at_all_is_an_error():
    with pytest.raises(ValueError, match="No query has a true passage"):
        compute([[1]], [[]])


def test_the_recall_curve_goes_through_the_recalls():
    rng = np.random.default_rng(3)
    rankings = [rng.permutation(300)[: rng.integers(0, 200)].tolist() for _ in range(40)]
    true = [rng.choice(300, rng.integers(0, 5), replace=False).tolist() for _ in range(40)]
    curve, scores = recall_curve(rankings, true), compute(rankings, true)
    for k in (1, 5, 10, 100):
        assert curve[k] == pytest.approx(scores[f"recall_at_{k}"])
    assert list(curve.values()) == sorted(curve.values())
