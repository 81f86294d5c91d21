"""The closing summary: its verdict, its table and the command that it offers."""

import shlex

import pytest

from nlpbook_data.metrics.names import LOWER_IS_BETTER, goodness
from nlpbook_data.reports.summary import next_command, print_summary, verdict


def scores(model: float, ngrams: float) -> dict:
    return {
        "test": {"accuracy": model, "macro_f1": model},
        "baselines": {
            "majority": {"test": {"accuracy": 0.5, "macro_f1": 0.3}},
            "character n-grams": {"test": {"accuracy": ngrams, "macro_f1": 0.8}, "seconds": 45.0},
        },
    }


@pytest.mark.parametrize(
    ("model", "said", "worth"),
    [
        (0.80, "7.0 points below", False),
        (0.90, "3.0 points above", True),
        (0.87, "level with", True),
        (0.8698, "level with", True),  # as it is shown
    ],
)
def test_a_model_is_worth_its_time_above_the_best_baseline_alone(finished, model, said, worth):
    text = verdict(finished(scores(model, 0.87)))
    assert said in text and "character n-grams in 45.0 s" in text
    assert ("not worth" not in text) == worth


@pytest.mark.parametrize(
    ("model", "words"), [(3.5, "0.250 bits/character better than"), (4.0, "not worth")]
)
def test_of_bits_per_character_fewer_are_better(finished, model, words):
    rows = {name: {"test": {"bits_per_character": b}} for name, b in (("a", 3.75), ("b", 5.0))}
    known = {"test": {"bits_per_character": model, "perplexity": 9.0}, "baselines": rows}
    text = verdict(finished(known))
    assert words in text and " a" in text


def test_a_score_is_the_better_the_higher_except_for_errors_and_than_none():
    assert goodness("accuracy", 0.2) > goodness("accuracy", 0.1) > goodness("accuracy", None)
    for name in ("loss", "mean_squared_error", "expected_calibration_error", "perplexity"):
        assert name in LOWER_IS_BETTER
        assert goodness(name, 0.1) > goodness(name, 0.2) > goodness(name, None)


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        (0.86, "1.0 points below"),
        (0.88, "1.0 points above character n-grams in 45.0 s on one core, no more than its seeds"),
        (0.90, "3.0 points above character n-grams in 45.0 s on one core."),
    ],
)
def test_over_seeds_the_mean_and_the_spread_count(finished, mean, said):
    several = scores(0.90, 0.87)
    values = dict.fromkeys(("accuracy", "macro_f1"), {"mean": mean, "std": 0.02})
    several["seeds"] = {"runs": {"1": {}, "2": {}}, "test": values}
    assert said in verdict(finished(several))


@pytest.mark.parametrize("known", [{"test": {"accuracy": 0.9}}, {"baselines": {}}, {}])
def test_without_a_baseline_or_a_score_there_is_no_verdict(finished, known):
    assert verdict(finished(known)) == ""


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (0.5, "10.0 points above BM25"),
        (0.3, "10.0 points below BM25; ranked with it, 10.0 points above"),
    ],
)
def test_the_hybrid_is_a_row_and_no_baseline_and_the_model_may_help_there(finished, model, said):
    rows = {"mrr_at_10": model, "hybrid_mrr_at_10": 0.5}
    outcome = finished({"test": rows, "baselines": {"BM25": {"test": {"mrr_at_10": 0.4}}}})
    assert [values["mrr_at_10"] for _, values in outcome.rows()] == [model, 0.5, 0.4]
    assert said in verdict(outcome)


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(finished, tmp_path, capsys):
    folder = tmp_path / ("모델 [1] '$x' " + "아주 긴 이름 " * 5)
    outcome = finished(scores(0.9, 0.8), folder=folder)
    outcome.record["arguments"]["do_train"] = False
    assert next_command(outcome) == ""  # no weights, nothing to predict with
    outcome.record["arguments"]["do_train"] = True
    print_summary(outcome)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next"))
    words = shlex.split(line)
    assert words[:4] == ["next", "accelerate", "launch", "recipes/doccls.py"]
    assert words[words.index("--model_name_or_path") + 1] == str(folder)


@pytest.mark.parametrize(("counts", "told"), [([[0, 4], [0, 6]], True), ([[1, 3], [0, 6]], False)])
def test_a_model_that_gives_one_class_alone_is_told_so(finished, capsys, counts, told):
    known = scores(0.6, 0.5)
    known["test"] |= {"confusion_matrix": counts, "per_class": {"부정": {}, "긍정": {}}}
    print_summary(finished(known))
    assert ("the same label, 긍정" in capsys.readouterr().out) == told
