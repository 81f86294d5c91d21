"""recipes/paircls.py as users run it, on data that ships or that the test writes."""

import json

import numpy as np
import pytest
from conftest import TINY
from saved import pretrained
from transformers import AutoTokenizer, pipeline
from writing import read_json, read_rows, visible, write_rows

MODEL = [*TINY, "--num_train_epochs", "1"]
COMMON = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl", "learning_curve.png"),
    "baselines.json",
}
FEW = ["--max_train_samples", 60, "--max_eval_samples", 30, "--max_predict_samples", 60]
FROZEN = "frozen model, logistic regression"


def scored(rows: int) -> list[dict]:
    return [
        {"sentence1": f"{n}번 글", "sentence2": f"{n % 7}번 다른 글", "label": (n % 11) / 2}
        for n in range(rows)
    ]


def test_the_default_command_trains_scores_and_leaves_everything(fork_recipe, tmp_path):
    fork_recipe("paircls", *FEW, "--num_train_epochs", 1).expect()
    folder = tmp_path / "outputs" / "paircls"
    assert visible(folder) == COMMON | {"confusion_matrix.png"}
    scores = read_json(folder / "metrics.json")
    assert set(scores["baselines"]) == {
        *("majority", "hypothesis alone", "character overlap", "character n-grams", FROZEN)
    }
    rows = read_rows(folder / "predictions.jsonl")
    assert set(rows[0]) == {"premise", "hypothesis", "label", "prediction", "probabilities"}
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert scores["test"]["accuracy"] == pytest.approx(right)
    classify = pipeline("text-classification", model=str(folder))
    for row in rows[:5]:
        pair = {"text": row["premise"], "text_pair": row["hypothesis"]}
        found = classify(pair, truncation=True)
        assert found["label"] == row["prediction"]
        assert found["score"] == pytest.approx(max(row["probabilities"].values()), abs=1e-4)


def test_labels_with_fractions_are_scores_chosen_by_pearson(fork_recipe, tmp_path):
    path = write_rows(tmp_path / "scores.jsonl", scored(80))
    extra = ["--baselines", "true", "--learning_rate", "1e-2", "--output_dir", "out"]
    fork_recipe("paircls", *MODEL, "--train_file", path, *extra).expect()
    folder = tmp_path / "out"
    assert visible(folder) == COMMON | {"scores.png"}
    scores = read_json(folder / "metrics.json")
    rows = read_rows(folder / "predictions.jsonl")
    gold, predicted = ([row[name] for row in rows] for name in ("label", "prediction"))
    assert scores["test"]["pearson"] == pytest.approx(np.corrcoef(gold, predicted)[0, 1], abs=1e-4)
    assert "pearson" in scores["baselines"]["character overlap"]["test"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "피어슨 상관 기준" in card and "레이블:" not in card
    errors = [abs(row["label"] - row["prediction"]) for row in read_rows(folder / "errors.jsonl")]
    assert errors == sorted(errors, reverse=True)
    compare = pipeline("text-classification", model=str(folder))  # as the card does
    for row in rows[:5]:
        pair = {"text": row["sentence1"], "text_pair": row["sentence2"]}
        assert compare(pair, truncation=True)["score"] == pytest.approx(row["prediction"], abs=1e-4)

    # the finished model predicts, and its scores are known to be scores, from the folder alone
    again = [{**row, "label": round(row["label"])} for row in scored(9)]
    test = write_rows(tmp_path / "whole.jsonl", again)
    options = ["--do_train", "false", "--do_eval", "false", "--output_dir", "again"]
    fork_recipe("paircls", "--model_name_or_path", folder, "--test_file", test, *options).expect()
    assert [row["label"] for row in read_rows(tmp_path / "again" / "predictions.jsonl")] == [
        float(row["label"]) for row in again
    ]


def test_unlabelled_pairs_are_predicted(fork_recipe, tmp_path):
    train = [
        {"premise": f"글 {n}", "hypothesis": f"{n}", "label": ["가", "나"][n % 2]}
        for n in range(60)
    ]
    path = write_rows(tmp_path / "train.jsonl", train)
    test = [{"premise": "새 글", "hypothesis": "다른 글"}] * 3
    files = ["--train_file", path, "--test_file", write_rows(tmp_path / "test.jsonl", test)]
    fork_recipe("paircls", *MODEL, *files, "--output_dir", "out").expect()
    rows = read_rows(tmp_path / "out" / "predictions.jsonl")
    assert len(rows) == 3 and {row["label"] for row in rows} == {None}
    assert "test" not in read_json(tmp_path / "out" / "metrics.json")


@pytest.mark.parametrize("positive", ["같음", "다름"])
def test_the_positive_class_is_the_one_named(fork_recipe, tmp_path, positive):
    rows = [
        {"sentence1": f"글 {n}", "sentence2": f"{n}", "label": ["같음", "다름"][n % 3 == 0]}
        for n in range(90)
    ]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    options = ["--train_file", path, "--positive_label", positive, "--output_dir", "out"]
    fork_recipe("paircls", *MODEL, *options).expect()
    scores = read_json(tmp_path / "out" / "metrics.json")["test"]
    assert scores["f1"] == scores["per_class"][positive]["f1"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--corpus", "nsmc"], ("nsmc is for doccls",)),
        (["--corpus", "sample_nli", "--scores", "true"], ("sample_nli are classes", "--scores")),
        (["--corpus", "sample_nli", "--positive_label", "반대"], ("반대", "함의, 중립, 모순")),
        (["--train_file", "bad.jsonl"], ("bad.jsonl, line 2", "hypothesis")),
        (["--corpus", "sample_nli", "--metric_for_best_model", "pearson"], ("pearson", "macro_f1")),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(refused, tmp_path, options, parts):
    pair = {"premise": "가", "hypothesis": "나", "label": "함의"}
    write_rows(tmp_path / "bad.jsonl", [pair, {"premise": "가", "label": "함의"}])
    refused("paircls", parts, *MODEL, *options)


def test_two_processes_train_as_one(fork_recipe, tmp_path):
    path = write_rows(tmp_path / "scores.jsonl", scored(61))
    options = [*MODEL, "--train_file", path, "--per_device_train_batch_size"]
    for processes, size, folder in ((1, 8, "one"), (2, 4, "two")):
        fork_recipe("paircls", *options, size, "--output_dir", folder, processes=processes).expect()
    one, two = (read_rows(tmp_path / folder / "predictions.jsonl") for folder in ("one", "two"))
    assert [row["sentence1"] for row in one] == [row["sentence1"] for row in two]
    found = [[row["prediction"] for row in rows] for rows in (one, two)]
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize("data", ["classes", "scores"])
def test_evaluation_alone_scores_what_training_scored_on_any_number_of_processes(
    fork_recipe, tmp_path, data
):
    source = ["--corpus", "sample_nli", *FEW]
    if data == "scores":
        source = ["--train_file", write_rows(tmp_path / "scores.jsonl", scored(61))]
    options = [*source, "--per_device_eval_batch_size", "3", "--max_length", "32"]
    fork_recipe("paircls", *MODEL, *options, "--output_dir", "trained").expect()
    options += ["--model_name_or_path", "trained", "--do_train", "false"]
    for processes in (1, 2):
        folder = ["--output_dir", processes]
        fork_recipe("paircls", *options, *folder, processes=processes).expect()
        for name in ("metrics.json", "predictions.jsonl"):
            known = (tmp_path / "trained" / name).read_bytes()
            found = (tmp_path / str(processes) / name).read_bytes()
            if data == "classes":  # whose probabilities are rounded
                assert found == known
            elif name == "predictions.jsonl":  # loaded weights may differ in the last bit
                rows = [
                    [json.loads(r)["prediction"] for r in b.splitlines()] for b in (found, known)
                ]
                np.testing.assert_allclose(*rows, rtol=1e-5)


def test_a_decoder_gets_a_separator_that_is_said_and_saved(fork_recipe, tmp_path):
    path = write_rows(tmp_path / "scores.jsonl", scored(40))
    options = ["--model_name_or_path", "package:models/decoder", "--baselines", "true"]
    options += ["--max_steps", 2, "--max_length", 32, "--precision", "float32"]
    result = fork_recipe("paircls", *options, "--train_file", path, "--output_dir", "out").expect()
    assert "its tokenizer put nothing between two texts; now </s>." in result.stderr
    assert "character overlap" in result.stdout and FROZEN not in result.stdout  # for scores

    # whoever reads the folder gives the run's own predictions: pipeline, predict.py, load_predictor
    rows = read_rows(tmp_path / "out" / "predictions.jsonl")
    expected = pytest.approx([row["prediction"] for row in rows], abs=1e-4)
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")("가", "나")["input_ids"]
    assert ids.count(2) == 1 and 2 not in (ids[0], ids[-1])  # </s>
    predict = pipeline("text-classification", model=str(tmp_path / "out"), function_to_apply="none")
    pairs = [{"text": row["sentence1"], "text_pair": row["sentence2"]} for row in rows]
    assert [predict(pair, truncation=True)["score"] for pair in pairs] == expected
    texts = [{"sentence1": p["text"], "sentence2": p["text_pair"]} for p in pairs]
    given = write_rows(tmp_path / "new.jsonl", texts)
    fork_recipe("predict", "out", "--input", given, "--output", "predicted.jsonl").expect()
    found = read_rows(tmp_path / "predicted.jsonl")
    assert [row["prediction"] for row in found] == expected


def test_a_model_of_one_token_type_saves_a_tokenizer_that_gives_none(fork_recipe, tmp_path):
    model = pretrained(tmp_path / "roberta", type_vocab_size=1)
    path = write_rows(tmp_path / "scores.jsonl", scored(40))
    options = ["--model_name_or_path", model, "--max_steps", 2, "--baselines", "false"]
    fork_recipe("paircls", *options, "--train_file", path, "--output_dir", "out").expect()
    saved = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert "token_type_ids" not in saved("가", "나")
    predict = pipeline("text-classification", model=str(tmp_path / "out"), function_to_apply="none")
    row = read_rows(tmp_path / "out" / "predictions.jsonl")[0]
    found = predict({"text": row["sentence1"], "text_pair": row["sentence2"]}, truncation=True)
    assert found["score"] == pytest.approx(row["prediction"], abs=1e-4)
