"""The yardsticks of sentence pairs."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from nlpbook_data.baselines.paircls import overlap, predict_pairs


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("가나다", "가나다", 1.0),
        ("가나다", "나다라", 0.5),  # 가나 나다 / 나다 다라
        ("가나다라", "가 나", 0.5),  # 가나 나다 다라 / 가나
        ("가나", "다라", 0.0),
        ("가", "가", 1.0),
        ("가나가나", "가나", 2 / 3),  # a bigram counts once
    ],
)
def test_overlap_is_the_dice_coefficient_of_bigrams(first, second, expected):
    assert overlap(([first], [second])) == pytest.approx([expected])


def predict(rows: list[tuple[str, str]], labels: np.ndarray, num_labels: int) -> dict[str, Any]:
    """What each baseline says of the rows that it was trained on."""
    columns = {"premise": [a for a, _ in rows], "hypothesis": [b for _, b in rows]}
    train = Dataset.from_dict(columns | {"label": labels.tolist()})
    found = predict_pairs(train, {"test": train}, num_labels)
    return {name: predictions["test"] for name, predictions in found}


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    return float((predicted.argmax(axis=1) == labels).mean())


def test_only_the_pair_model_sees_whether_two_texts_agree():
    """Each text goes with both labels, so that neither alone tells anything."""
    words = ["사과", "포도", "수박", "딸기", "참외", "자두"]
    rows = [(a, b) for a in words for b in words for _ in range(1 if a != b else 5)]
    labels = np.array([int(a == b) for a, b in rows])
    results = predict(rows, labels, 2)
    assert accuracy(results["character overlap"], labels) == 1  # all of it, or none
    assert accuracy(results["character n-grams"], labels) == 1
    assert accuracy(results["hypothesis alone"], labels) == accuracy(results["majority"], labels)


def test_the_second_text_alone_shows_what_it_gives_away():
    rows = [(f"글 {n}", "아무도 없다" if n % 2 else "누가 있다") for n in range(20)]
    labels = np.arange(20) % 2
    results = predict(rows, labels, 2)
    assert accuracy(results["hypothesis alone"], labels) == 1


def test_scores_are_the_overlap_on_the_scale_of_train():
    rows = [("가나다", "가나다"), ("가나다", "라마바")]
    predicted = predict(rows, np.array([0.0, 5.0]), 0)
    assert {name: p.tolist() for name, p in predicted.items()} == {"character overlap": [5.0, 0.0]}
