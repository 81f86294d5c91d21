"""recipes/qa.py as users run it, on data that ships or that the test writes."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY
from safetensors.torch import load_file
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, ByT5Tokenizer
from writing import read_json, read_rows, visible

from nlpbook_data.inference.answers import load_answerer
from nlpbook_data.reports.push import pushed_files

PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("metrics.json", "learning_curve.png", "breakdown.png"),
}
LEFT_BEHIND = PUSHED | {"run.json", "predictions.json", "predictions.jsonl", "errors.jsonl"}
LEFT_BEHIND |= {"baselines.json"}
NO_DROPOUT = ",hidden_dropout_prob=0.0,attention_probs_dropout_prob=0.0"
LENGTHS = ["--max_length", 32, "--stride", 8]
MODEL = [*TINY, *LENGTHS]
FIT = ["--learning_rate", "1e-2", "--per_device_train_batch_size", 8]
FIT += ["--per_device_eval_batch_size", 3]
NAMES = ["김민준", "이서연", "박도윤", "최하은"]
FILLER = ["어제", "오늘", "내일", "매우", "멀리", "다시"]


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def questions(seed: int, count: int, words: int, last: bool = False) -> list[dict[str, Any]]:
    """Who is named in the context? A third of the contexts have no name."""
    dice, made = random.Random(seed), []
    for number in range(count):
        name = dice.choice(NAMES)
        row = dice.choices(FILLER, k=words)
        if number % 3:
            row.insert(words if last else dice.randrange(words + 1), name)
        context = " ".join(row)
        answers = [{"text": name, "answer_start": context.index(name)}] if number % 3 else []
        made.append({"context": context, "question": "누가 왔나?", "answers": answers})
    return [row | {"id": f"q{seed}-{number}"} for number, row in enumerate(made)]


def write_squad(path: Path, rows: list[dict[str, Any]]) -> Path:
    paragraphs = [
        {
            "context": row["context"],
            "qas": [
                {"id": row["id"], "question": row["question"], "is_impossible": not row["answers"]}
                | ({"answers": row["answers"]} if row["answers"] else {})
            ],
        }
        for row in rows
    ]
    return write_json(path, {"version": "2.0", "data": [{"title": "", "paragraphs": paragraphs}]})


def write_csv(path: Path, rows: list[dict[str, Any]], answers: bool = True) -> Path:
    names = ["id", "context", "question", *(("answer_text", "answer_start") if answers else ())]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            flat = {
                f"answer_{k.removeprefix('answer_')}": v
                for a in row["answers"]
                for k, v in a.items()
            }
            writer.writerow(row | flat)
    return path


LONG = questions(4, 7, 70, last=True)


@pytest.fixture
def trained(fork_recipe: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on SQuAD's JSON, and its files beside it; nobody writes to it."""
    folder = tmp_path_factory.getbasetemp() / "qa"
    if not (folder / "run").exists():
        folder.mkdir(exist_ok=True)
        write_squad(folder / "train.json", questions(0, 160, 8))
        write_squad(folder / "validation.json", questions(1, 15, 8))
        write_squad(folder / "test.json", [*questions(2, 5, 6), *LONG, *questions(3, 4, 9)])
        files = [v for s in ("train", "validation", "test") for v in (f"--{s}_file", f"{s}.json")]
        options = [*FIT, "--num_train_epochs", 8, "--output_dir", "run"]
        fork_recipe("qa", *MODEL, *files, *options, cwd=folder).expect()
    return folder / "run"


def test_short_training_on_what_ships_leaves_everything_and_would_push_no_text(
    fork_recipe, tmp_path
):
    quick = ["--num_train_epochs", 1, "--max_train_samples", 24, "--max_eval_samples", 9]
    quick += ["--max_predict_samples", 18, "--max_length", 256, "--stride", 32]
    fork_recipe("qa", *quick).expect()
    folder = tmp_path / "outputs" / "qa"
    assert visible(folder) == LEFT_BEHIND
    assert set(pushed_files(folder)) == PUSHED
    scores, rows = read_json(folder / "metrics.json"), read_rows(folder / "predictions.jsonl")
    assert "threshold" not in scores["baselines"]["nearest sentence"]["test"]  # it has none
    assert scores["ceiling"]["test"]["exact_match"] > 0.9
    official = read_json(folder / "predictions.json")
    assert official == {row["id"]: row["prediction"] for row in rows} and len(official) == 18
    right = [row["prediction"] in (row["answers"] or [""]) for row in rows]
    assert scores["test"]["exact_match"] >= sum(right) / 18  # punctuation is free there
    errors = read_rows(folder / "errors.jsonl")
    assert all(row["prediction"] == row["context"][row["start"] : row["end"]] for row in errors)
    assert len(errors) == 18 - round(18 * scores["test"]["exact_match"])


def test_answers_are_found_in_the_last_window_and_none_where_there_is_none(trained):
    rows, scores = read_rows(trained / "predictions.jsonl"), read_json(trained / "metrics.json")
    gold = [*questions(2, 5, 6), *LONG, *questions(3, 4, 9)]
    tokenizer = AutoTokenizer.from_pretrained(trained)
    assert all(len(tokenizer(row["context"])["input_ids"]) > 3 * 32 for row in LONG)
    assert [row["id"] for row in rows] == [row["id"] for row in gold]
    for row, true in zip(rows, gold, strict=True):
        answers = [answer["text"] for answer in true["answers"]]
        assert row["answers"] == answers and row["prediction"] == (answers or [""])[0]
        assert true["context"][row["start"] : row["end"]] == row["prediction"]
    assert scores["test"]["exact_match"] == 1 and scores["test"]["no_answer_accuracy"] == 1
    assert read_json(trained / "predictions.json") == {r["id"]: r["prediction"] for r in rows}


def test_the_threshold_of_validation_is_in_scores_and_config(trained):
    scores = read_json(trained / "metrics.json")
    threshold = scores["validation"]["threshold"]
    assert isinstance(threshold, float) and scores["test"]["threshold"] == threshold
    assert read_json(trained / "config.json")["qa_threshold"] == threshold


def test_the_saved_folder_answers_as_the_run_did(trained):
    gold = [*questions(2, 5, 6), *LONG, *questions(3, 4, 9)]
    answer = load_answerer(trained, device="cpu")
    found = answer([row["question"] for row in gold], [row["context"] for row in gold])
    for one, row in zip(found, read_rows(trained / "predictions.jsonl"), strict=True):
        assert one["answer"] == row["prediction"]
        assert (one["start"], one["end"]) == (row["start"], row["end"])
        assert one["score"] == pytest.approx(row["score"], abs=1e-4)


def test_prediction_alone_on_questions_without_answers(fork_recipe, tmp_path, trained):
    gold = [*questions(2, 5, 6), *LONG, *questions(3, 4, 9)]
    file = write_csv(tmp_path / "새 질문.csv", gold, answers=False)
    fork_recipe(
        *("qa", "--model_name_or_path", trained, *LENGTHS, "--do_train", "false"),
        *("--do_eval", "false", "--test_file", file, "--output_dir", "out"),
        *("--per_device_eval_batch_size", 3),
    ).expect()
    known, out = read_rows(trained / "predictions.jsonl"), tmp_path / "out"
    assert read_rows(out / "predictions.jsonl") == [row | {"answers": None} for row in known]
    assert read_json(out / "predictions.json") == read_json(trained / "predictions.json")
    assert visible(out) == {
        *("run.json", "metrics.json", "predictions.jsonl", "predictions.json", "errors.jsonl")
    }


def test_evaluation_alone_scores_what_training_scored_on_any_number_of_processes(
    fork_recipe, tmp_path, trained
):
    files = [f"--{s}_file={trained.parent / f'{s}.json'}" for s in ("validation", "test")]
    options = ["--model_name_or_path", trained, *LENGTHS, "--do_train", "false"]
    options += ["--per_device_eval_batch_size", 3]
    for processes in (1, 2):
        fork_recipe(
            *("qa", *options, *files, "--output_dir", processes), processes=processes
        ).expect()
        assert read_json(tmp_path / str(processes) / "run.json")["processes"] == processes
        for name in ("metrics.json", "predictions.jsonl", "predictions.json"):
            assert (tmp_path / str(processes) / name).read_bytes() == (trained / name).read_bytes()


def test_evaluation_alone_keeps_the_threshold_of_the_model(fork_recipe, tmp_path, trained):
    # here another one would be better: all answers are a word that the model never chooses
    rows = [row | {"context": f"오늘 {row['context']}"} for row in LONG]
    rows = [row | {"answers": [{"text": "오늘", "answer_start": 0}]} for row in rows]
    file = write_squad(tmp_path / "other.json", rows)
    fork_recipe(
        *("qa", "--model_name_or_path", trained, *LENGTHS, "--do_train", "false"),
        *("--validation_file", file, "--do_predict", "false", "--output_dir", "out"),
    ).expect()
    threshold = read_json(trained / "config.json")["qa_threshold"]
    assert read_json(tmp_path / "out" / "metrics.json")["validation"]["threshold"] == threshold


def test_padding_to_the_longest_changes_no_answer(fork_recipe, tmp_path, trained):
    fork_recipe(
        *("qa", "--model_name_or_path", trained, *LENGTHS, "--do_train", "false"),
        *("--test_file", trained.parent / "test.json", "--do_eval", "false"),
        *("--pad_to_max_length", "true", "--output_dir", "out"),
    ).expect()
    known = read_json(trained / "predictions.json")
    assert read_json(tmp_path / "out" / "predictions.json") == known


def test_the_split_of_a_batch_over_processes_does_not_change_training(fork_recipe, tmp_path):
    file = write_squad(tmp_path / "train.json", questions(0, 40, 30))
    options = [*MODEL, "--train_file", file, "--learning_rate", "1e-3", "--logging_steps", 1]
    options[1] += NO_DROPOUT
    options += ["--num_train_epochs", 2, "--keep_checkpoints", "true"]
    curves = []
    for processes in (1, 2):
        sizes = ["--per_device_train_batch_size", 8 // processes, "--output_dir", processes]
        fork_recipe("qa", *options, *sizes, processes=processes).expect()
        folder = max((tmp_path / str(processes)).glob("checkpoint-*"), key=lambda f: len(f.name))
        history = read_json(folder / "trainer_state.json")["log_history"]
        curves.append([e[n] for e in history for n in ("loss", "eval_loss", "eval_f1") if n in e])
    assert len(curves[0]) > 8 and max(curves[0]) - min(curves[0]) > 5e-3
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)


def test_of_several_seeds_the_saved_config_has_the_saved_seeds_threshold(fork_recipe, tmp_path):
    file = write_csv(tmp_path / "flat.csv", questions(0, 60, 8))
    options = [*FIT, "--num_train_epochs", 1, "--seeds", 1, 2, 3, "--output_dir", "out"]
    fork_recipe("qa", *MODEL, "--train_file", file, *options).expect()
    out, thresholds = tmp_path / "out", {}
    for seed in (1, 2, 3):
        folder = out / f"seed-{seed}"
        thresholds[seed] = read_json(folder / "metrics.json")["validation"]["threshold"]
        assert read_json(folder / "config.json")["qa_threshold"] == thresholds[seed]
    assert len(set(thresholds.values())) == 3
    saved = read_json(out / "metrics.json")["seeds"]["saved"]
    assert read_json(out / "config.json")["qa_threshold"] == thresholds[saved]
    official = [(f / "predictions.json").read_bytes() for f in (out, out / f"seed-{saved}")]
    assert official[0] == official[1]


def test_lora_on_own_rows_saves_a_merged_model(fork_recipe, tmp_path, trained):
    file = write_csv(tmp_path / "flat.csv", questions(7, 30, 8))
    fork_recipe(
        *("qa", "--model_name_or_path", trained, "--lora", "true", "--learning_rate", "1e-3"),
        *("--train_file", file, *LENGTHS, "--num_train_epochs", 1, "--baselines", "false"),
        *("--output_dir", "out"),
    ).expect()
    out = tmp_path / "out"
    assert not list(out.glob("adapter*"))
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, out))
    query = "bert.encoder.layer.0.attention.self.query.weight"
    assert before.keys() == after.keys() and not before[query].equal(after[query])
    AutoModelForQuestionAnswering.from_pretrained(out)
    assert read_json(out / "metrics.json")["validation"]["exact_match"] > 0.6  # as the base


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--stride", "31"], ("stride of 31", "windows of 32 tokens")),
        (["--metric_for_best_model", "micro_f1"], ("micro_f1", "exact_match")),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(refused, options, parts):
    few = ["--corpus", "sample_qa", "--max_train_samples", 9, "--max_eval_samples", 9]
    refused("qa", parts, *MODEL, *few, *options)


def test_a_decoder_gets_a_separator_between_question_and_context(fork_recipe, tmp_path):
    file = write_csv(tmp_path / "flat.csv", questions(7, 30, 8))
    options = ["--model_name_or_path", "package:models/tiny_decoder", "--from_scratch", "true"]
    options += ["--baselines", "false", "--precision", "float32", "--num_train_epochs", 1, *LENGTHS]
    result = fork_recipe("qa", *options, "--train_file", file, "--output_dir", "out").expect()
    assert "its tokenizer put nothing between two texts; now </s>." in result.stderr
    rows = read_rows(tmp_path / "out" / "predictions.jsonl")
    answer = load_answerer(tmp_path / "out", device="cpu")
    assert answer.tokenizer("가", "나")["input_ids"].count(answer.tokenizer.eos_token_id) == 1
    found = answer([row["question"] for row in rows], [row["context"] for row in rows])
    assert [one["answer"] for one in found] == [row["prediction"] for row in rows]


@pytest.mark.parametrize("recipe", ["qa", "search"])
def test_a_squad_file_whose_data_stands_twice_loses_no_half(refused, tmp_path, recipe):
    def half(number: int) -> str:
        answer = {"text": "서울", "answer_start": 0}
        rows = [{"id": f"{number}", "question": "어디?", "answers": [answer]}]
        paragraphs = [{"context": f"서울 {number}", "qas": rows}]
        return json.dumps([{"paragraphs": paragraphs}], ensure_ascii=False)

    path = tmp_path / "train.json"
    path.write_text(f'{{"data": {half(1)}, "data": {half(2)}}}', encoding="utf-8")
    refused(recipe, ("train.json", "data, data where"), *TINY, "--train_file", path)


def test_a_slow_tokenizer_is_refused(refused, tmp_path):
    ByT5Tokenizer().save_pretrained(tmp_path / "slow")
    options = [*MODEL, "--tokenizer_name", "slow", "--corpus", "sample_qa"]
    refused("qa", ("ByT5Tokenizer", "fast tokenizer"), *options)
