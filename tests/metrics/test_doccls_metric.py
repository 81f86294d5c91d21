"""The scores against scikit-learn, and the calibration error against a loop and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from nlpbook_data.metrics.doccls import DocumentClassification, calibration_error

SINGLE = DocumentClassification(keep_in_memory=True)
MULTI = DocumentClassification("multilabel", keep_in_memory=True)
bounded = settings(max_examples=25, deadline=None)


def draw_probabilities(rng: np.random.Generator, rows: int, classes: int) -> np.ndarray:
    """Probabilities with ties and with certain rows among them."""
    raw = rng.choice([0.0, 1.0, 1.0, 2.0, 5.0], size=(rows, classes)) + 1e-3
    return raw / raw.sum(axis=1, keepdims=True)


def assert_as_sklearn(scores: dict, gold: np.ndarray, predicted: np.ndarray, labels: list) -> None:
    expected = sklearn_metrics.precision_recall_fscore_support(
        gold, predicted, labels=labels, zero_division=0
    )
    for number, name in enumerate(scores["per_class"]):
        found = scores["per_class"][name]
        for key, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
            assert found[key] == pytest.approx(values[number]), (name, key)
    assert scores["macro_f1"] == pytest.approx(expected[2].mean())
    assert scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(gold, predicted))


@bounded
@given(
    st.integers(1, 40), st.integers(2, 6), st.lists(st.integers(0, 5), max_size=3), st.integers(0)
)
def test_single_label_scores_are_scikit_learns(rows, classes, absent, seed):
    rng = np.random.default_rng(seed)
    present = [c for c in range(classes) if c not in absent] or [0]
    gold = rng.choice(present, size=rows)
    probabilities = draw_probabilities(rng, rows, classes)
    scores = SINGLE.compute(predictions=probabilities, references=gold)
    predicted = np.array([list(row).index(max(row)) for row in probabilities])
    labels = list(range(classes))
    assert_as_sklearn(scores, gold, predicted, labels)
    confusion = sklearn_metrics.confusion_matrix(gold, predicted, labels=labels)
    assert scores["confusion_matrix"] == confusion.tolist()


@bounded
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0))
def test_multilabel_scores_are_scikit_learns(rows, classes, seed):
    rng = np.random.default_rng(seed)
    gold = (rng.random((rows, classes)) < rng.choice([0.05, 0.4, 0.9])).astype(int)
    gold[rng.random(rows) < 0.3] = 0  # rows without a label
    probabilities = rng.choice([0.0, 0.2, 0.5, 0.51, 0.9, 1.0], size=(rows, classes))
    scores = MULTI.compute(predictions=probabilities, references=gold)
    predicted = (probabilities > 0.5).astype(int)
    assert_as_sklearn(scores, gold, predicted, list(range(classes)))
    micro = sklearn_metrics.f1_score(gold, predicted, average="micro", zero_division=0)
    assert scores["micro_f1"] == pytest.approx(micro)


def test_klue_re_s_scores_are_those_worked_out_by_hand():
    """Gold rows are one of each of 없음, 나 and 가; no row is 다, which has no curve.

    없음 and 나: the gold row is ranked first, precision is 1 up to recall 1, the area 1. 가: a
    wrong row (0.5), then the gold one (0.4): precision goes from 0 at recall 0 to 1/2 at 1, a
    triangle of 1/4. Beside 없음 two rows are gold, 가 is predicted twice and right once.
    """
    scores = SINGLE.compute(
        predictions=[[0.6, 0.2, 0.1, 0.1], [0.2, 0.5, 0.3, 0.0], [0.3, 0.4, 0.2, 0.1]],
        references=[0, 2, 1],
        label_names=["없음", "가", "나", "다"],
        negative="없음",
    )
    assert scores["auprc"] == pytest.approx((1 + 1 / 4 + 1) / 3)
    assert scores["micro_f1"] == pytest.approx(1 / 2)


def test_names_take_the_place_of_numbers_in_their_order():
    names = ["부정", "긍정"]
    scores = SINGLE.compute(predictions=[[1, 0]] * 3, references=[0, 0, 1], label_names=names)
    assert {name: c["support"] for name, c in scores["per_class"].items()} == {"부정": 2, "긍정": 1}
    assert list(scores["per_class"]) == names


@pytest.mark.parametrize(
    ("confidence", "correct", "expected"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([1.0, 1.0], [False, False], 1.0),
        ([0.5, 0.5], [True, False], 0.0),  # one bin: half is right, half is expected
        ([0.75], [True], 0.25),
        # 0.9 and 0.92 share the bin (13/15, 14/15]: |1/2 − 0.91| × 2/3; 0.6 alone: 0.4 × 1/3
        ([0.9, 0.92, 0.6], [True, False, True], 0.41 * 2 / 3 + 0.4 / 3),
        ([0.0], [False], 0.0),
        ([0.2, 0.19], [True, False], 0.305),  # 0.2 ends the bin (2/15, 3/15]
    ],
)
def test_calibration_error_by_hand(confidence, correct, expected):
    assert calibration_error(np.array(confidence), np.array(correct)) == pytest.approx(expected)


def test_calibration_of_single_labels_is_that_of_the_highest_probability():
    scores = SINGLE.compute(predictions=[[0.2, 0.8], [0.3, 0.7]], references=[1, 0])
    # bins (11/15, 12/15] and (10/15, 11/15]: |1 − 0.8| / 2 + |0 − 0.7| / 2
    assert scores["expected_calibration_error"] == pytest.approx(0.45)


def test_calibration_of_several_labels_is_over_every_decision():
    scores = MULTI.compute(predictions=[[0.8, 0.3]], references=[[1, 1]])
    # "holds" with 0.8, right; "does not hold" with 0.7, wrong
    assert scores["expected_calibration_error"] == pytest.approx(0.45)
