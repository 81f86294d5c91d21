"""recipes/doccls.py as users run it, on data that ships or that the test writes."""

import numpy as np
import pytest
import spy
from saved import pretrained
from tasks import DOCCLS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import pipeline
from writing import Run, write_rows

QUICK = [*DOCCLS, "--num_train_epochs 1 --max_train_samples 64 --output_dir out"]
LEFT_BEHIND = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl", "baselines.json"),
    *("learning_curve.png", "confusion_matrix.png"),
}


def test_the_default_command_trains_scores_and_leaves_everything(run_recipe, fork_recipe, tmp_path):
    cache = ["--cache_dir", tmp_path / "cache"]
    few = "--max_steps 6 --max_eval_samples 60 --max_predict_samples 120"
    result = run_recipe("doccls", *cache, few, launcher="accelerate").expect()
    run = result.run
    assert run.files == LEFT_BEHIND
    assert set(run.scores) == {"validation", "test", "baselines"}
    rows = run.rows
    hits = [row["label"] == row["prediction"] for row in rows]
    assert len(rows) == 120 and np.mean(hits) == pytest.approx(run.scores["test"]["accuracy"])
    good = np.mean([row["label"] == "긍정" for row in rows])
    majority = run.scores["baselines"]["majority"]["test"]["accuracy"]
    assert majority in (pytest.approx(good), pytest.approx(1 - good))
    assert run.record["status"] == "finished" and run.record["data"]["rows"]["train"] == 1380
    for word in ("character n-grams", "majority", "accuracy", "next", "doccls"):
        assert word in result.stdout
    # the most confident mistakes, in that order
    confidence = [max(row["probabilities"].values()) for row in run.errors]
    assert all(row["label"] != row["prediction"] for row in run.errors)
    assert confidence == sorted(confidence, reverse=True)
    # the saved model gives the predictions again, by the pipeline that its card shows
    classify = pipeline("text-classification", model=str(run))
    found = classify([row["text"] for row in rows[:50]], truncation=True)
    for row, output in zip(rows, found, strict=False):
        assert output["label"] == row["prediction"]
        assert output["score"] == pytest.approx(row["probabilities"][output["label"]], abs=1e-4)
    assert str(tmp_path) not in run.card

    # a process with another hash seed finds what this one has tokenized
    watch = spy.environment(tmp_path / "watched")
    again = [*cache, few, "--baselines false --max_steps 1 --output_dir again"]
    fork_recipe(spy.wrapper(tmp_path / "watched"), *again, env=watch).expect()
    assert spy.trained(tmp_path / "watched") and not spy.tokenized(tmp_path / "watched")


@pytest.mark.parametrize("family", ["Electra", "Roberta", "ModernBert", "GPT2"])
def test_families_train_and_load_again(fork_recipe, tmp_path, family):
    layers = {"n_layer" if family == "GPT2" else "num_hidden_layers": 2}
    few = "--max_train_samples 32 --max_eval_samples 20 --max_predict_samples 20"
    run = fork_recipe(
        *("doccls", "--model_name_or_path", pretrained(tmp_path / "model", family, **layers)),
        *("--corpus sample_reviews --num_train_epochs 1 --precision float32", few),
        "--baselines false --output_dir out",
    ).expect().run  # fmt: skip
    classify = pipeline("text-classification", model=str(run), top_k=None)
    for row, scores in zip(run.rows, classify([row["text"] for row in run.rows]), strict=True):
        # one text at a time here, a padded batch there: padding changes nothing
        found = {s["label"]: pytest.approx(s["score"], abs=2e-4) for s in scores}
        assert found == row["probabilities"]


def test_several_labels_a_text(fork_recipe, tmp_path):
    topics = {"배우": "연기", "음악": "음악", "가격": "가격"}
    rows = []
    for i in range(120):
        chosen = [word for k, word in enumerate(topics) if (i >> k) & 1]
        text = f"{i}번째 후기 " + " ".join(chosen or ["무난"])
        rows.append({"text": text, "label": [topics[word] for word in chosen]})
    write_rows(tmp_path / "topics.jsonl", rows)
    run = fork_recipe(
        *("doccls", "--model_name_or_path package:models/tiny_encoder --from_scratch true"),
        "--train_file topics.jsonl --multi_label true --class_weights balanced",
        "--num_train_epochs 12 --learning_rate 3e-3 --output_dir out",
    ).expect().run  # fmt: skip
    assert run.scores["test"]["micro_f1"] > 0.9  # a keyword decides each label
    assert run.scores["baselines"]["character n-grams"]["test"]["micro_f1"] > 0.9
    assert run.config["problem_type"] == "multi_label_classification"
    assert set(run.config["id2label"].values()) == set(topics.values())
    assert set(run.rows[0]["probabilities"]) == set(topics.values())

    # the card's snippet, and prediction alone, which needs no flag, give the run's own predictions
    code = run.card.split("```python\n")[1].split("\n```")[0].replace('"out"', repr(str(run)))
    *setup, call, result_line = code.splitlines()
    names: dict = {}
    exec("\n".join(setup), names)
    argument = call.split('"')[1]
    for row in run.rows[:5]:
        exec(call.replace(argument, row["text"]), names)
        assert sorted(eval(result_line, names)) == sorted(row["prediction"])
    alone = "--do_train false --do_eval false --model_name_or_path out --output_dir alone"
    write_rows(tmp_path / "new.jsonl", [{"text": row["text"]} for row in run.rows])
    again = fork_recipe("doccls", alone, "--test_file new.jsonl").expect().run.rows
    assert [row["prediction"] for row in again] == [row["prediction"] for row in run.rows]


def test_seeds_have_folders_mean_and_spread_and_the_best_on_validation_is_saved(fork_recipe):
    run = fork_recipe("doccls", *QUICK, "--seeds 1 2 3").expect().run
    seeds = {seed: Run(run / f"seed-{seed}") for seed in (1, 2, 3)}
    accuracy = [seed.scores["test"]["accuracy"] for seed in seeds.values()]
    spread = {"mean": np.mean(accuracy), "std": np.std(accuracy, ddof=1)}
    assert run.scores["seeds"]["test"]["accuracy"] == pytest.approx(spread)
    best = max(seeds, key=lambda seed: seeds[seed].scores["validation"]["macro_f1"])
    assert run.scores["seeds"]["saved"] == best
    weights = run.weights, seeds[best].weights
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    assert len({(seed / "model.safetensors").read_bytes() for seed in seeds.values()}) == 3


def test_early_stopping_stops(fork_recipe):
    slow = "--num_train_epochs 20 --early_stopping_patience 1 --learning_rate 1e-9"
    run = fork_recipe("doccls", *QUICK, slow).expect().run
    assert run.record["optimizer_steps"] == 4  # two of 20 epochs


def test_tensorboard_logs(fork_recipe, tmp_path):
    env = {"TENSORBOARD_LOGGING_DIR": str(tmp_path / "board")}
    run = fork_recipe("doccls", *QUICK, "--report_to tensorboard", env=env).expect().run
    names = set()
    for file in (tmp_path / "board").rglob("events.out.tfevents*"):
        board = EventAccumulator(str(file)).Reload()
        names |= set(board.Tags()["scalars"])
        if "test/accuracy" in board.Tags()["scalars"]:
            [score] = board.Scalars("test/accuracy")
            assert score.value == pytest.approx(run.scores["test"]["accuracy"])
    assert {"eval/accuracy", "test/accuracy", "test/macro_f1"} <= names
