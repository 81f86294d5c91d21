"""The verdict of the closing summary."""

import pytest

from nlpbook_data.training.summary import verdict


def scores(model: float, ngrams: float) -> dict:
    return {
        "test": {"accuracy": model, "macro_f1": model},
        "baselines": {
            "majority": {"test": {"accuracy": 0.5, "macro_f1": 0.3}},
            "character n-grams": {"test": {"accuracy": ngrams, "macro_f1": 0.8}, "seconds": 45.0},
        },
    }


def test_a_model_below_the_best_baseline_is_not_worth_its_time():
    text = " ".join(verdict(scores(0.80, 0.87), "test"))
    assert "7.0 points below character n-grams in 45.0 s" in text
    assert "not worth" in text


def test_a_model_above_the_best_baseline_says_by_how_much():
    text = " ".join(verdict(scores(0.90, 0.87), "test"))
    assert "3.0 points above character n-grams" in text and "not worth" not in text


def test_over_seeds_the_mean_counts():
    several = scores(0.90, 0.87)
    several["seeds"] = {
        "runs": {"1": {}, "2": {}},
        "test": {"accuracy": {"mean": 0.86, "std": 0.02}, "macro_f1": {"mean": 0.86, "std": 0.02}},
    }
    assert "1.0 points below" in " ".join(verdict(several, "test"))


@pytest.mark.parametrize("missing", ["baselines", "test"])
def test_without_a_baseline_or_a_score_there_is_no_verdict(missing):
    known = scores(0.9, 0.8)
    del known[missing]
    if missing == "test":
        known["baselines"] = {}
    assert verdict(known, "test") == []
