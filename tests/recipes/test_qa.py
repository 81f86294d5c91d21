"""recipes/qa.py as users run it, on data that ships or that the test writes."""

import pytest
from tasks import LONG_QUESTIONS, TASKS, TINY, asked, write_squad
from transformers import AutoTokenizer
from writing import Run, read_json, write_rows

from nlpbook_data.inference.answers import load_answerer
from nlpbook_data.reports.push import pushed_files

PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("metrics.json", "learning_curve.png", "breakdown.png"),
}
KEPT = {"run.json", "predictions.json", "predictions.jsonl", "errors.jsonl", "baselines.json"}
LENGTHS = "--max_length 32 --stride 8"
GOLD = TASKS["qa"].rows(2)


def flat(rows: list[dict]) -> list[dict]:
    """Rows as a table has them: the one answer, or none, in two columns."""
    none = {"text": None, "answer_start": None}
    return [
        {name: row[name] for name in ("id", "context", "question")}
        | {"answer_text": answer["text"], "answer_start": answer["answer_start"]}
        for row in rows
        for answer in [(row["answers"] or [none])[0]]
    ]


def test_short_training_on_what_ships_leaves_everything_and_would_push_no_text(fork_recipe):
    few = "--max_train_samples 24 --max_eval_samples 9 --max_predict_samples 18"
    quick = "--num_train_epochs 1 --max_length 256 --stride 32"
    run = fork_recipe("qa", few, quick).expect().run
    assert run.files == PUSHED | KEPT and set(pushed_files(run.folder)) == PUSHED
    scores, rows, errors = run.scores, run.rows, run.errors
    assert "threshold" not in scores["baselines"]["nearest sentence"]["test"]  # it has none
    assert scores["ceiling"]["test"]["exact_match"] > 0.9
    official = read_json(run / "predictions.json")
    assert official == {row["id"]: row["prediction"] for row in rows} and len(official) == 18
    right = [row["prediction"] in (row["answers"] or [""]) for row in rows]
    assert scores["test"]["exact_match"] >= sum(right) / 18  # punctuation is free there
    assert all(row["prediction"] == row["context"][row["start"] : row["end"]] for row in errors)
    assert len(errors) == 18 - round(18 * scores["test"]["exact_match"])


def test_answers_are_found_in_the_last_window_and_none_where_there_is_none(trained):
    run = trained("qa")
    rows, scores = run.rows, run.scores
    tokenizer = AutoTokenizer.from_pretrained(run.folder)
    assert all(len(tokenizer(row["context"])["input_ids"]) > 3 * 32 for row in LONG_QUESTIONS)
    assert [row["id"] for row in rows] == [row["id"] for row in GOLD]
    for row, true in zip(rows, GOLD, strict=True):
        answers = [answer["text"] for answer in true["answers"]]
        assert row["answers"] == answers and row["prediction"] == (answers or [""])[0]
        assert true["context"][row["start"] : row["end"]] == row["prediction"]
    assert scores["test"]["exact_match"] == 1 and scores["test"]["no_answer_accuracy"] == 1
    assert read_json(run / "predictions.json") == {r["id"]: r["prediction"] for r in rows}
    threshold = scores["validation"]["threshold"]
    assert isinstance(threshold, float) and scores["test"]["threshold"] == threshold
    assert run.config["qa_threshold"] == threshold

    answer = load_answerer(run.folder, device="cpu")
    found = answer([row["question"] for row in GOLD], [row["context"] for row in GOLD])
    for one, row in zip(found, rows, strict=True):
        assert one["answer"] == row["prediction"]
        assert (one["start"], one["end"]) == (row["start"], row["end"])
        assert one["score"] == pytest.approx(row["score"], abs=1e-4)


def test_evaluation_alone_keeps_the_threshold_and_padding_changes_no_answer(
    fork_recipe, tmp_path, trained
):
    # here another one would be better: all answers are a word that the model never chooses
    rows = [row | {"context": f"오늘 {row['context']}"} for row in LONG_QUESTIONS]
    rows = [row | {"answers": [{"text": "오늘", "answer_start": 0}]} for row in rows]
    write_squad(tmp_path / "other.json", rows)
    known = trained("qa")
    run = fork_recipe(
        *("qa", "--model_name_or_path", known, LENGTHS, "--do_train false --output_dir out"),
        *("--validation_file other.json --pad_to_max_length true", "--test_file"),
        known.folder.parent / "test.json",
    ).expect().run  # fmt: skip
    assert run.scores["validation"]["threshold"] == known.config["qa_threshold"]
    assert read_json(run / "predictions.json") == read_json(known / "predictions.json")


def test_of_several_seeds_the_saved_config_has_the_saved_seeds_threshold(fork_recipe, tmp_path):
    write_rows(tmp_path / "flat.csv", flat(asked(0, 60, 8)))
    options = "--learning_rate 1e-2 --per_device_train_batch_size 8 --num_train_epochs 1"
    files = "--train_file flat.csv --output_dir out"
    run = fork_recipe("qa", *TINY, LENGTHS, options, files, "--seeds 1 2 3").expect().run
    seeds = {seed: Run(run / f"seed-{seed}") for seed in (1, 2, 3)}
    thresholds = [seed.scores["validation"]["threshold"] for seed in seeds.values()]
    assert [seed.config["qa_threshold"] for seed in seeds.values()] == thresholds
    assert len(set(thresholds)) == 3
    saved = seeds[run.scores["seeds"]["saved"]]
    assert run.config["qa_threshold"] == saved.config["qa_threshold"]
    official = [(each / "predictions.json").read_bytes() for each in (run, saved)]
    assert official[0] == official[1]


def test_a_decoder_gets_a_separator_between_question_and_context(fork_recipe, tmp_path):
    write_rows(tmp_path / "flat.csv", flat(asked(7, 30, 8)))
    model = "--model_name_or_path package:models/tiny_decoder --from_scratch true"
    options = f"--baselines false --precision float32 --num_train_epochs 1 {LENGTHS}"
    files = "--train_file flat.csv --output_dir out"
    result = fork_recipe("qa", model, options, files).expect()
    assert "its tokenizer put nothing between two texts; now </s>." in result.stderr
    rows, answer = result.run.rows, load_answerer(result.run.folder, device="cpu")
    assert answer.tokenizer("가", "나")["input_ids"].count(answer.tokenizer.eos_token_id) == 1
    found = answer([row["question"] for row in rows], [row["context"] for row in rows])
    assert [one["answer"] for one in found] == [row["prediction"] for row in rows]
