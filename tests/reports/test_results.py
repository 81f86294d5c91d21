"""nlpbook-data results: the table of runs, and paired tests of two of them."""

import csv
import io
import json

import numpy as np
import pytest
from sklearn.metrics import f1_score
from test_main import command
from writing import write_rows, written

from nlpbook_data.reports.paired import compare_rows, measure, total

GOLD = ["가"] * 10 + ["나"] * 10


def write_run(folder, model, predicted, gold=GOLD, baseline=None, status="finished", **arguments):
    """Write what a run of doccls leaves: `predicted` by seed."""
    scores = {}
    for seed, labels in predicted.items():
        rows = [
            {"text": f"글 {number}", "label": label, "prediction": found}
            for number, (label, found) in enumerate(zip(gold, labels, strict=True))
        ]
        part = folder / f"seed-{seed}" if len(predicted) > 1 else folder
        write_rows(part / "predictions.jsonl", rows)
        right = float(np.mean([row["label"] == row["prediction"] for row in rows]))
        scores[seed] = {"test": {"accuracy": right}}
    metrics = dict(scores[seed])
    if len(predicted) > 1:
        write_rows(folder / "predictions.jsonl", rows)
        several = {"runs": {str(s): v for s, v in scores.items()}}
        metrics["seeds"] = several | {"test": {"accuracy": {"mean": 0.0, "std": 0.0}}}
    if baseline:
        metrics["baselines"] = {"majority": {"test": {"accuracy": 0.5}}}
        written(folder / "baselines.json", json.dumps({"majority": baseline}))
    record = {"status": status, "recipe": "doccls", "global_batch": 32}
    record["data"] = {"name": "후기", "rows": {"test": len(gold)}, "sha256": {}}
    record["arguments"] = {"model_name_or_path": model, "seed": max(predicted), **arguments}
    written(folder / "metrics.json", json.dumps(metrics))
    written(folder / "run.json", json.dumps(record))


def wrong(*rows):
    """Return predictions of which these rows are wrong."""
    return ["나" if (label == "가") == (n in rows) else "가" for n, label in enumerate(GOLD)]


@pytest.fixture
def outputs(tmp_path):
    outputs = tmp_path / "실험"
    write_run(outputs / "a", "한국어/모형", {1: wrong(0), 2: wrong(0, 1)}, baseline=["가"] * 20)
    write_run(outputs / "b", "other", {1: wrong(0, 5, 6, 7, 8, 9), 2: wrong(0, 1)})
    return outputs


def test_models_stand_beside_each_other_and_a_pair_is_tested_seed_by_seed(outputs, tmp_path):
    told = command(
        "results", outputs, "--compare", "한국어/모형", outputs / "b", "--format", "json"
    )
    found = json.loads(told.stdout)
    mean, std = np.mean([0.95, 0.9]), np.std([0.95, 0.9], ddof=1)
    first = found["results"][0]
    assert (first["model"], first["seeds"], first["baseline_score"]) == ("한국어/모형", "1 2", 0.5)
    assert [first["mean"], first["std"]] == pytest.approx([mean, std])
    one, two, both = found["tests"]
    # five rows that A alone has right: two sides of 1 in 2 to the fifth
    assert (one["only_a"], one["only_b"], one["p"]) == (5, 0, pytest.approx(0.0625))
    assert (two["only_a"], two["only_b"], two["p"]) == (0, 0, 1.0)
    assert both["seed"] == "mean of 2" and both["difference"] == pytest.approx(0.125)
    assert both["low"] <= both["difference"] <= both["high"]

    figure = tmp_path / "results.png"
    table = command("results", outputs, "--figure", figure)
    lines = table.stdout.splitlines()
    cells = [sum(2 if "가" <= c <= "힣" else 1 for c in line) for line in lines[1:4]]
    assert len(set(cells)) == 1 and "0.9250 ± 0.0354" in lines[2]
    assert figure.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(command("results", outputs, "--format", "csv").stdout)))
    assert [row["model"] for row in rows] == ["한국어/모형", "other"]
    markdown = command("results", outputs, "--format", "markdown").stdout
    assert "| best baseline | 0.5000 majority |" in markdown


def test_runs_of_other_numbers_of_seeds_are_named_so(outputs):
    write_run(outputs / "one", "single", {5: wrong(0, 12)})
    told = command("results", outputs, "--compare", "single", "한국어/모형", "--format", "json")
    (test,) = json.loads(told.stdout)["tests"]
    assert test["seed"] == "mean of 1 and 2" and test["a"] == 0.9


def test_a_table_for_the_hub_links_its_models_and_what_was_pushed(outputs):
    write_run(outputs / "c", "klue/bert-base", {1: wrong(0)}, hub_model_id="someone/reviews")
    markdown = command("results", outputs / "c", "--format", "markdown").stdout
    hub = "https://huggingface.co"
    linked = (f"[klue/bert-base]({hub}/klue/bert-base)", f"[0.9500]({hub}/someone/reviews)")
    assert f"| {' | '.join(linked)} |" in markdown


def test_a_baseline_is_compared_by_the_rows_that_the_run_kept(outputs):
    told = command("results", outputs / "a", "--compare", outputs / "a", "majority")
    assert "McNemar" in told.stdout and "+0.4250" in told.stdout


def test_a_name_of_both_a_model_and_another_runs_folder_is_refused(outputs, monkeypatch):
    monkeypatch.chdir(outputs)
    write_run(outputs / "h", "a", {1: GOLD})
    told = command("results", ".", "--compare", "a", "other", status=1)
    assert "--compare a: the name of a model and the folder of another run" in told.stderr
    assert "A: ./a, B: other" in command("results", ".", "--compare", "./a", "other").stdout


def test_other_test_rows_are_another_column_and_are_not_compared(outputs):
    write_run(outputs / "c", "third", {1: GOLD[:15]}, gold=GOLD[:15])
    write_run(outputs / "d", "fourth", {1: GOLD}, status="interrupted")
    table = command("results", outputs)
    assert "test 20" in table.stdout and "test 15" in table.stdout
    assert "are not compared" in table.stderr and "interrupted; left out" in table.stderr
    refused = command("results", outputs, "--compare", "other", "third", status=1)
    assert "not tested on the same rows" in refused.stderr
    unknown = command("results", outputs, "--compare", "othr", "third", status=1)
    assert "Did you mean other" in unknown.stderr
    (outputs / "c" / "predictions.jsonl").unlink()
    assert "one has no predictions.jsonl" in command("results", outputs).stderr
    empty = command("results", outputs / "a" / "seed-1", status=1)
    assert "no finished run" in empty.stderr


def test_runs_of_one_model_are_told_apart_by_what_differs(outputs):
    for name, rate, seed in (("e", 0.1, 1), ("f", 0.1, 2), ("g", 0.2, 1)):
        write_run(outputs / name, "fifth", {seed: GOLD}, learning_rate=rate)
    rows = json.loads(command("results", outputs, "--format", "json").stdout)["results"]
    found = {row["model"]: row["seeds"] for row in rows if row["model"].startswith("fifth")}
    assert found == {"fifth, learning_rate=0.1": "1 2", "fifth, learning_rate=0.2": "1"}


def test_scores_of_rows_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    gold, found = rng.choice(["가", "나", "다"], size=(2, 60))
    rows = [
        {"label": g, "prediction": p, "probabilities": dict.fromkeys("가나다", 0)}
        for g, p in zip(gold, found, strict=True)
    ]
    macro = f1_score(gold, found, average="macro")
    others = f1_score(gold, found, average="micro", labels=["나", "다"])
    assert total("macro_f1", measure("macro_f1", rows)[None]) == pytest.approx(macro)
    assert total("micro_f1", measure("micro_f1", rows, "가")[None]) == pytest.approx(others)
    numbers = [{"label": n, "prediction": n * n} for n in range(12)]
    a, b = measure("pearson", numbers)[None], measure("pearson", numbers[::-1])[None]
    expected = np.corrcoef(range(12), np.arange(12) ** 2)[0, 1]
    tested = compare_rows("pearson", a, b)
    assert tested["a"] == pytest.approx(expected) and tested["difference"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "run.json: not JSON"), ("[]", "list"), ('{"status": "finished"}', "argument")],
)
def test_a_damaged_run_is_named_and_does_not_hide_the_others(content, said, outputs):
    written(outputs / "a" / "run.json", content)
    told = command("results", outputs)
    assert f"{outputs / 'a'}: left out" in told.stderr and said in told.stderr
    assert "other" in told.stdout
    written(outputs / "b" / "run.json", content)
    command("results", outputs, status=1)
