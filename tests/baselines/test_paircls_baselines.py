"""The yardsticks of sentence pairs."""

import numpy as np
import pytest

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


def splits(rows: list[tuple[str, str]]) -> dict[str, dict[str, list[str]]]:
    columns = {"premise": [a for a, _ in rows], "hypothesis": [b for _, b in rows]}
    return {"train": columns, "test": columns}


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    return float((predicted.argmax(axis=1) == labels).mean())


def test_only_the_pair_model_sees_whether_two_texts_agree():
    """Each text goes with both labels, so that neither alone tells anything."""
    words = ["사과", "포도", "수박", "딸기", "참외", "자두"]
    rows = [(a, b) for a in words for b in words for _ in range(1 if a != b else 5)]
    labels = np.array([int(a == b) for a, b in rows])
    results = {name: p["test"] for name, p, _ in predict_pairs(splits(rows), labels, 2)}
    assert list(results) == ["majority", "hypothesis alone", "character n-grams"]
    assert accuracy(results["character n-grams"], labels) == 1
    assert accuracy(results["hypothesis alone"], labels) == accuracy(results["majority"], labels)


def test_the_second_text_alone_shows_what_it_gives_away():
    rows = [(f"글 {n}", "아무도 없다" if n % 2 else "누가 있다") for n in range(20)]
    labels = np.arange(20) % 2
    results = {name: p["test"] for name, p, _ in predict_pairs(splits(rows), labels, 2)}
    assert accuracy(results["hypothesis alone"], labels) == 1


def test_scores_are_the_overlap_on_the_scale_of_train():
    rows = [("가나다", "가나다"), ("가나다", "라마바")]
    ((name, predicted, _),) = predict_pairs(splits(rows), np.array([0.0, 5.0]), 0)
    assert name == "character overlap" and predicted["test"].tolist() == [5.0, 0.0]
