"""recipes/doccls.py as users run it, on data that ships or that the test writes."""

from pathlib import Path

import pytest
import spy
from conftest import DOCCLS
from safetensors.torch import load_file
from saved import pretrained
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForSequenceClassification, pipeline
from writing import read_json, read_rows, visible, write_rows

QUICK = [*DOCCLS, "--num_train_epochs", "1", "--max_train_samples", "64"]
LEFT_BEHIND = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl", "baselines.json"),
    *("learning_curve.png", "confusion_matrix.png"),
}


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> Path:
    """Pretrained weights, in so far as they are there: a tiny encoder with no head."""
    return pretrained(tmp_path_factory.mktemp("encoder"), auto="AutoModelForMaskedLM")


def test_the_default_command_trains_scores_and_leaves_everything(run_recipe, fork_recipe, tmp_path):
    cache = ["--cache_dir", tmp_path / "cache"]
    result = run_recipe("doccls", *cache, "--max_steps", 6, launcher="accelerate").expect()
    folder = tmp_path / "outputs" / "doccls"
    assert visible(folder) == LEFT_BEHIND
    scores, record = read_json(folder / "metrics.json"), read_json(folder / "run.json")
    assert set(scores) == {"validation", "test", "baselines"}
    assert scores["baselines"]["majority"]["test"]["accuracy"] == 0.5  # the split is balanced
    rows = read_rows(folder / "predictions.jsonl")
    hits = [row["label"] == row["prediction"] for row in rows]
    assert len(rows) == 400 and sum(hits) / 400 == scores["test"]["accuracy"]
    assert record["status"] == "finished" and record["data"]["rows"]["train"] == 1380
    for word in ("character n-grams", "majority", "accuracy", "next", str(folder.name)):
        assert word in result.stdout
    # the most confident mistakes, in that order
    errors = read_rows(folder / "errors.jsonl")
    confidence = [max(row["probabilities"].values()) for row in errors]
    assert all(row["label"] != row["prediction"] for row in errors)
    assert confidence == sorted(confidence, reverse=True)
    # the saved model gives the predictions again, by the pipeline that its card shows
    classify = pipeline("text-classification", model=str(folder))
    found = classify([row["text"] for row in rows[:50]], truncation=True)
    for row, output in zip(rows[:50], found, strict=True):
        assert output["label"] == row["prediction"]
        assert output["score"] == pytest.approx(row["probabilities"][output["label"]], abs=1e-4)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert str(tmp_path) not in card

    # a process with another hash seed finds what this one has tokenized
    watch = spy.environment(tmp_path / "watched")
    again = [*cache, "--baselines", "false", "--max_steps", 1, "--output_dir", "again"]
    fork_recipe(spy.wrapper(tmp_path / "watched"), *again, env=watch).expect()
    assert spy.trained(tmp_path / "watched") and not spy.tokenized(tmp_path / "watched")


@pytest.mark.parametrize("family", ["Electra", "Roberta", "ModernBert", "GPT2"])
def test_families_train_and_load_again(fork_recipe, tmp_path, family):
    layers = {"n_layer" if family == "GPT2" else "num_hidden_layers": 2}
    model = pretrained(tmp_path / "model", family, **layers)
    fork_recipe(
        *("doccls", "--model_name_or_path", model, "--max_eval_samples", 20),
        *("--corpus", "sample_reviews", "--max_train_samples", 32, "--num_train_epochs", 1),
        *("--baselines", "false", "--output_dir", "out", "--max_predict_samples", 20),
        *("--precision", "float32"),
    ).expect()
    rows = read_rows(tmp_path / "out" / "predictions.jsonl")
    classify = pipeline("text-classification", model=str(tmp_path / "out"), top_k=None)
    for row, scores in zip(rows, classify([row["text"] for row in rows]), strict=True):
        # one text at a time here, a padded batch there: padding changes nothing
        assert {s["label"]: pytest.approx(s["score"], abs=2e-4) for s in scores} == row[
            "probabilities"
        ]


def test_lora_trains_adapters_and_saves_a_merged_model(fork_recipe, tmp_path, encoder):
    done = fork_recipe(
        *("doccls", "--model_name_or_path", encoder, "--lora", "true", "--learning_rate", "1e-2"),
        *("--corpus", "sample_reviews", "--max_train_samples", 64, "--num_train_epochs", 2),
        *("--baselines", "false", "--output_dir", "out"),
    ).expect()
    assert "Warning" not in done.stderr
    assert not list((tmp_path / "out").glob("adapter*"))
    before = load_file(encoder / "model.safetensors")
    after = load_file(tmp_path / "out" / "model.safetensors")
    query = "bert.encoder.layer.0.attention.self.query.weight"
    embedding = "bert.embeddings.word_embeddings.weight"
    assert not before[query].equal(after[query])
    assert before[embedding].equal(after[embedding])
    AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")


def test_several_labels_a_text(fork_recipe, tmp_path):
    topics = {"배우": "연기", "음악": "음악", "가격": "가격"}
    rows = []
    for i in range(120):
        chosen = [word for k, word in enumerate(topics) if (i >> k) & 1]
        text = f"{i}번째 후기 " + " ".join(chosen or ["무난"])
        rows.append({"text": text, "label": [topics[word] for word in chosen]})
    data = write_rows(tmp_path / "topics.jsonl", rows)
    fork_recipe(
        *("doccls", "--model_name_or_path", "package:models/tiny_encoder"),
        *("--from_scratch", "true"),
        *("--train_file", data, "--multi_label", "true", "--output_dir", "out"),
        *("--num_train_epochs", 12, "--class_weights", "balanced", "--learning_rate", "3e-3"),
    ).expect()
    scores = read_json(tmp_path / "out" / "metrics.json")
    assert scores["test"]["micro_f1"] > 0.9  # a keyword decides each label
    assert scores["baselines"]["character n-grams"]["test"]["micro_f1"] > 0.9
    config = read_json(tmp_path / "out" / "config.json")
    assert config["problem_type"] == "multi_label_classification"
    assert set(config["id2label"].values()) == set(topics.values())
    found = read_rows(tmp_path / "out" / "predictions.jsonl")
    assert set(found[0]["probabilities"]) == set(topics.values())

    # the card's snippet, and prediction alone, which needs no flag, give the run's own predictions
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    code = (
        card.split("```python\n")[1].split("\n```")[0].replace('"out"', repr(str(tmp_path / "out")))
    )
    *setup, call, result_line = code.splitlines()
    names: dict = {}
    exec("\n".join(setup), names)
    argument = call.split('"')[1]
    for row in found[:5]:
        exec(call.replace(argument, row["text"]), names)
        assert sorted(eval(result_line, names)) == sorted(row["prediction"])
    alone = ["--do_train", "false", "--do_eval", "false", "--model_name_or_path", "out"]
    write_rows(tmp_path / "new.jsonl", [{"text": row["text"]} for row in found])
    fork_recipe("doccls", *alone, "--test_file", "new.jsonl", "--output_dir", "alone").expect()
    again = read_rows(tmp_path / "alone" / "predictions.jsonl")
    assert [row["prediction"] for row in again] == [row["prediction"] for row in found]


def test_seeds_have_folders_mean_and_spread_and_the_best_on_validation_is_saved(
    fork_recipe, tmp_path
):
    fork_recipe("doccls", *QUICK, "--seeds", 1, 2, 3, "--output_dir", "out").expect()
    folder = tmp_path / "out"
    seeds = {seed: read_json(folder / f"seed-{seed}" / "metrics.json") for seed in (1, 2, 3)}
    scores = read_json(folder / "metrics.json")
    accuracy = [seeds[seed]["test"]["accuracy"] for seed in seeds]
    mean = sum(accuracy) / 3
    spread = (sum((value - mean) ** 2 for value in accuracy) / 2) ** 0.5
    assert scores["seeds"]["test"]["accuracy"] == pytest.approx({"mean": mean, "std": spread})
    best = max(seeds, key=lambda seed: seeds[seed]["validation"]["macro_f1"])
    assert scores["seeds"]["saved"] == best
    weights = [load_file(f / "model.safetensors") for f in (folder, folder / f"seed-{best}")]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert len({(folder / f"seed-{s}" / "model.safetensors").read_bytes() for s in (1, 2, 3)}) == 3


def test_prediction_and_evaluation_alone_give_what_training_gave(fork_recipe, tmp_path):
    fork_recipe("doccls", *QUICK, "--output_dir", "trained").expect()
    known = read_rows(tmp_path / "trained" / "predictions.jsonl")
    write_rows(tmp_path / "새 파일.csv", [{"text": row["text"]} for row in known])
    alone = ["doccls", "--do_train", "false", "--precision", "float32"]
    alone += ["--model_name_or_path", "trained", "--output_dir"]
    new = ["--do_eval", "false", "--test_file", "새 파일.csv"]
    fork_recipe(*alone, "p", *new).expect()
    rows = read_rows(tmp_path / "p" / "predictions.jsonl")
    assert [row["probabilities"] for row in rows] == [row["probabilities"] for row in known]
    assert {row["label"] for row in rows} == {None}
    left = {"run.json", "metrics.json", "predictions.jsonl", "errors.jsonl"}
    assert visible(tmp_path / "p") == left

    fork_recipe(*alone, "scores", "--corpus", "sample_reviews").expect()
    before, after = (read_json(tmp_path / f / "metrics.json") for f in ("trained", "scores"))
    assert after == before


def test_early_stopping_stops(fork_recipe, tmp_path):
    fork_recipe(
        *("doccls", *DOCCLS, "--max_train_samples", 64, "--num_train_epochs", 20),
        *("--early_stopping_patience", 1, "--learning_rate", "1e-9", "--output_dir", "out"),
    ).expect()
    assert read_json(tmp_path / "out" / "run.json")["optimizer_steps"] == 4  # two of 20 epochs


def test_tensorboard_logs(fork_recipe, tmp_path):
    fork_recipe(
        *("doccls", *QUICK, "--report_to", "tensorboard", "--output_dir", "out"),
        env={"TENSORBOARD_LOGGING_DIR": str(tmp_path / "board")},
    ).expect()
    names, scores = set(), read_json(tmp_path / "out" / "metrics.json")
    for file in (tmp_path / "board").rglob("events.out.tfevents*"):
        board = EventAccumulator(str(file)).Reload()
        names |= set(board.Tags()["scalars"])
        if "test/accuracy" in board.Tags()["scalars"]:
            [score] = board.Scalars("test/accuracy")
            assert score.value == pytest.approx(scores["test"]["accuracy"])
    assert {"eval/accuracy", "test/accuracy", "test/macro_f1"} <= names
