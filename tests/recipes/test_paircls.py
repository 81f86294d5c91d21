"""recipes/paircls.py as users run it, on data that ships or that the test writes."""

import numpy as np
import pytest
from saved import pretrained
from tasks import TINY, scored
from transformers import AutoTokenizer, pipeline
from writing import read_rows, write_rows

MODEL = [*TINY, "--num_train_epochs 1 --output_dir out"]
COMMON = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl", "learning_curve.png"),
    "baselines.json",
}
FEW = "--max_train_samples 60 --max_eval_samples 30 --max_predict_samples 60"
FROZEN = "frozen model, logistic regression"


def test_the_default_command_trains_scores_and_leaves_everything(fork_recipe):
    run = fork_recipe("paircls", FEW, "--num_train_epochs 1").expect().run
    assert run.files == COMMON | {"confusion_matrix.png"}
    assert set(run.scores["baselines"]) == {
        *("majority", "hypothesis alone", "character overlap", "character n-grams", FROZEN)
    }
    rows = run.rows
    assert set(rows[0]) == {"premise", "hypothesis", "label", "prediction", "probabilities"}
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert run.scores["test"]["accuracy"] == pytest.approx(right)
    classify = pipeline("text-classification", model=str(run))
    for row in rows[:5]:
        pair = {"text": row["premise"], "text_pair": row["hypothesis"]}
        found = classify(pair, truncation=True)
        assert found["label"] == row["prediction"]
        assert found["score"] == pytest.approx(max(row["probabilities"].values()), abs=1e-4)


def test_labels_with_fractions_are_scores_chosen_by_pearson(fork_recipe, tmp_path):
    write_rows(tmp_path / "scores.jsonl", scored(0, 80))
    extra = "--train_file scores.jsonl --baselines true --learning_rate 1e-2"
    run = fork_recipe("paircls", *MODEL, extra).expect().run
    assert run.files == COMMON | {"scores.png"}
    gold, predicted = ([row[name] for row in run.rows] for name in ("label", "prediction"))
    pearson = np.corrcoef(gold, predicted)[0, 1]
    assert run.scores["test"]["pearson"] == pytest.approx(pearson, abs=1e-4)
    assert "pearson" in run.scores["baselines"]["character overlap"]["test"]
    assert "피어슨 상관 기준" in run.card and "레이블:" not in run.card
    errors = [abs(row["label"] - row["prediction"]) for row in run.errors]
    assert errors == sorted(errors, reverse=True)
    compare = pipeline("text-classification", model=str(run))  # as the card does
    for row in run.rows[:5]:
        pair = {"text": row["sentence1"], "text_pair": row["sentence2"]}
        assert compare(pair, truncation=True)["score"] == pytest.approx(row["prediction"], abs=1e-4)

    # the finished model predicts, and its scores are known to be scores, from the folder alone
    given = [{**row, "label": round(row["label"])} for row in scored(0, 9)]
    write_rows(tmp_path / "whole.jsonl", given)
    options = "--do_train false --do_eval false --test_file whole.jsonl --output_dir again"
    again = fork_recipe("paircls", "--model_name_or_path out", options).expect().run
    assert [row["label"] for row in again.rows] == [float(row["label"]) for row in given]


def test_unlabelled_pairs_are_predicted(fork_recipe, tmp_path):
    train = [
        {"premise": f"글 {n}", "hypothesis": f"{n}", "label": "가나"[n % 2]} for n in range(60)
    ]
    write_rows(tmp_path / "train.jsonl", train)
    write_rows(tmp_path / "test.jsonl", [{"premise": "새 글", "hypothesis": "다른 글"}] * 3)
    files = "--train_file train.jsonl --test_file test.jsonl"
    run = fork_recipe("paircls", *MODEL, files).expect().run
    assert len(run.rows) == 3 and {row["label"] for row in run.rows} == {None}
    assert "test" not in run.scores


def test_the_positive_class_is_the_one_named(fork_recipe, tmp_path):
    names = ["같음", "다름"]
    rows = [
        {"sentence1": f"글 {n}", "sentence2": f"{n}", "label": names[n % 3 == 0]} for n in range(90)
    ]
    write_rows(tmp_path / "pairs.jsonl", rows)
    for positive in names:
        options = (
            "--train_file pairs.jsonl",
            "--positive_label",
            positive,
            "--output_dir",
            positive,
        )
        scores = fork_recipe("paircls", *MODEL, *options).expect().run.scores["test"]
        assert scores["f1"] == scores["per_class"][positive]["f1"]


def test_a_decoder_gets_a_separator_that_is_said_and_saved(fork_recipe, tmp_path):
    write_rows(tmp_path / "scores.jsonl", scored(0, 40))
    options = "--max_steps 2 --max_length 32 --precision float32 --train_file scores.jsonl"
    model = "--model_name_or_path package:models/decoder --baselines true --output_dir out"
    result = fork_recipe("paircls", model, options).expect()
    run = result.run
    assert "its tokenizer put nothing between two texts; now </s>." in result.stderr
    assert "character overlap" in result.stdout and FROZEN not in result.stdout  # for scores

    # whoever reads the folder gives the run's own predictions: pipeline, predict.py, load_predictor
    expected = pytest.approx([row["prediction"] for row in run.rows], abs=1e-4)
    ids = AutoTokenizer.from_pretrained(run.folder)("가", "나")["input_ids"]
    assert ids.count(2) == 1 and 2 not in (ids[0], ids[-1])  # </s>
    predict = pipeline("text-classification", model=str(run), function_to_apply="none")
    pairs = [{"text": row["sentence1"], "text_pair": row["sentence2"]} for row in run.rows]
    assert [predict(pair, truncation=True)["score"] for pair in pairs] == expected
    texts = [{"sentence1": p["text"], "sentence2": p["text_pair"]} for p in pairs]
    write_rows(tmp_path / "new.jsonl", texts)
    fork_recipe("predict", "out", "--input new.jsonl --output predicted.jsonl").expect()
    found = read_rows(tmp_path / "predicted.jsonl")
    assert [row["prediction"] for row in found] == expected


def test_a_model_of_one_token_type_saves_a_tokenizer_that_gives_none(fork_recipe, tmp_path):
    model = pretrained(tmp_path / "roberta", type_vocab_size=1)
    write_rows(tmp_path / "scores.jsonl", scored(0, 40))
    options = "--max_steps 2 --baselines false --train_file scores.jsonl --output_dir out"
    run = fork_recipe("paircls", "--model_name_or_path", model, options).expect().run
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(run.folder)("가", "나")
    predict = pipeline("text-classification", model=str(run), function_to_apply="none")
    row = run.rows[0]
    found = predict({"text": row["sentence1"], "text_pair": row["sentence2"]}, truncation=True)
    assert found["score"] == pytest.approx(row["prediction"], abs=1e-4)
