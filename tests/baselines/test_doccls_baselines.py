"""The yardsticks: what a trivial model must and must not know."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.utils.class_weight import compute_class_weight

from nlpbook_data.baselines.doccls import (
    balanced_weights,
    character_ngrams,
    fit_logistic,
    majority,
)

GOOD = [f"{n}번 봐도 정말 재미있어요" for n in range(20)]
BAD = [f"{n}번 봐도 너무 지루해요" for n in range(20)]
UNSEEN = ["이 영화 재미있어요", "이 영화 지루해요"]


@pytest.mark.parametrize(
    ("labels", "shares"),
    [([0, 2, 2, 2], [0.25, 0, 0.75]), ([[1, 0, 0], [1, 1, 0]], [1, 0.5, 0])],
)
def test_majority_gives_each_row_the_shares_of_train(labels, shares):
    assert majority(np.array(labels), num_labels=3, rows=2).tolist() == [shares] * 2


def test_ngrams_learn_what_one_word_tells_for_each_split_in_order():
    labels = np.array([1] * 20 + [0] * 20)
    splits = [UNSEEN, UNSEEN[::-1], UNSEEN[:1]]
    both, turned, first = character_ngrams(GOOD + BAD, labels, 2, splits)
    assert both.argmax(axis=1).tolist() == [1, 0]
    assert both.sum(axis=1) == pytest.approx(1)
    assert (both[::-1] == turned).all() and (both[:1] == first).all()


def test_ngrams_give_a_class_without_training_rows_nothing():
    labels = np.array([3] * 20 + [1] * 20)
    [found] = character_ngrams(GOOD + BAD, labels, 5, [UNSEEN])
    assert found.argmax(axis=1).tolist() == [3, 1]
    assert found.shape == (2, 5)
    assert not found[:, [0, 2, 4]].any()


def test_ngrams_of_one_class_are_certain_of_it():
    [found] = character_ngrams(GOOD, np.full(20, 1), 3, [UNSEEN])
    assert found.tolist() == [[0, 1, 0]] * 2


def test_ngrams_of_several_labels_judge_each_by_itself():
    texts = [f"{text} {word}" for text in GOOD + BAD for word in ("배송 빠름", "배송 느림")]
    good, fast = np.array([1] * 40 + [0] * 40), np.array([1, 0] * 40)
    labels = np.stack([good, fast, np.ones(80), np.zeros(80)], axis=1)
    [found] = character_ngrams(texts, labels, 4, [["재미있어요 배송 느림", "지루해요 배송 빠름"]])
    assert (found > 0.5).tolist() == [[True, False, True, False], [False, True, True, False]]
    assert found[:, 2:].tolist() == [[1, 0]] * 2  # a label of all rows, or of none


def test_many_classes_are_learnt_one_by_one_like_few():
    labels = np.arange(60) % 20
    columns = np.stack([labels * 10_000, np.arange(60) + 7_000], axis=1)  # a class's, and a row's
    places = (np.repeat(np.arange(60), 2).astype(np.int32), columns.ravel().astype(np.int32))
    wide = csr_array((np.ones(120), places), shape=(60, 200_000))  # 4 million weights
    [found] = fit_logistic(wide, labels, 25, [wide[:20]])
    assert found.argmax(axis=1).tolist() == list(range(20))
    assert found.sum(axis=1) == pytest.approx(1)
    assert found.shape == (20, 25) and not found[:, 20:].any()


def test_balanced_weights_are_scikit_learns():
    labels = np.random.default_rng(0).choice(4, size=200, p=[0.7, 0.2, 0.08, 0.02])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert balanced_weights(labels, 4) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        ([0, 0, 2, 2], [4 / (3 * 2), 1, 4 / (3 * 2)]),
        ([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]], [3, 4, 0]),  # negatives by positives
    ],
)
def test_balanced_weights_by_hand(labels, weights):
    assert balanced_weights(np.array(labels), 3) == pytest.approx(weights)
