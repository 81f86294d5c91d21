"""The verdict of the closing summary."""

import pytest

from nlpbook_data.reports.summary import goodness, score_rows, verdict


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


@pytest.mark.parametrize(
    ("model", "words"), [(3.5, "0.250 bits/character better than"), (4.0, "not worth")]
)
def test_of_bits_per_character_fewer_are_better(model, words):
    rows = {name: {"test": {"bits_per_character": b}} for name, b in (("a", 3.75), ("b", 5.0))}
    known = {"test": {"bits_per_character": model, "perplexity": 9.0}, "baselines": rows}
    text = " ".join(verdict(known, "test"))
    assert words in text and " a" in text


def test_a_score_is_the_better_the_higher_except_for_some_and_than_none():
    assert goodness("accuracy", 0.2) > goodness("accuracy", 0.1) > goodness("accuracy", None)
    assert goodness("loss", 0.1) > goodness("loss", 0.2) > goodness("loss", None)


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


def test_the_hybrid_is_a_row_and_no_baseline():
    known = {
        "test": {"mrr_at_10": 0.5, "hybrid_mrr_at_10": 0.9},
        "baselines": {"BM25": {"test": {"mrr_at_10": 0.4}}},
    }
    rows = score_rows(known, "test")
    assert [values["mrr_at_10"] for _, values in rows] == [0.5, 0.9, 0.4]
    assert "10.0 points above BM25" in " ".join(verdict(known, "test"))
    assert score_rows({}, "test") == []
