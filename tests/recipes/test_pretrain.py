"""recipes/pretrain.py: it learns, it resumes to the bit, and streams."""

import gzip
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
from writing import read_json, write_rows, written

from nlpbook_data.data.texts import TextArguments, stream_texts
from nlpbook_data.errors import InputError
from nlpbook_data.training.pretraining import distance

SMALL = "num_hidden_layers=1,intermediate_size=64"
OPTIONS = ["--config_overrides", SMALL, "--block_size", "32", "--precision", "float32", "--use_cpu"]
STEPS = ["--max_steps", "12", "--eval_strategy", "steps", "--save_strategy", "steps"]
STEPS += ["--save_steps", "3", "--eval_steps", "3"]


def scores_of(folder):
    return read_json(folder / "metrics.json")["validation"]


@pytest.fixture(scope="module")
def trained(recipe_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    options = (*OPTIONS, *STEPS, "--keep_checkpoints", "true", "--output_dir", folder)
    done = recipe_server.run(folder, "pretrain", *options).expect()
    return folder, done.stdout


def test_what_is_saved_guesses_words(trained):
    folder, _ = trained
    assert set(scores_of(folder)) == {"loss", "bits_per_character", "masked_accuracy"}
    model = AutoModelForMaskedLM.from_pretrained(folder)
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(folder))
    history = read_json(folder / "checkpoint-12" / "trainer_state.json")["log_history"]
    losses = [row["eval_loss"] for row in history if "eval_loss" in row]
    assert len(losses) == 4 and losses[-1] < losses[0]


def test_the_next_command_fine_tunes_what_is_saved(trained, fork_recipe, tmp_path):
    printed = trained[1]
    words = shlex.split(next(line for line in printed.splitlines() if line.startswith("next")))
    assert words[:3] == ["next", "accelerate", "launch"]
    cheap = ("--max_train_samples", "32", "--num_train_epochs", "1", "--baselines", "false")
    fork_recipe(Path(words[3]).stem, *words[4:], *cheap).expect()
    assert (tmp_path / "outputs" / "doccls" / "model.safetensors").exists()


@pytest.mark.long
def test_a_stream_needs_no_blocks_on_the_disk(fork_recipe, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"오늘은 {n}번째 날이고 날씨가 좋다\n" for n in range(400)))
    options = ["--text_files", texts, "--streaming", "true", "--max_steps", "4"]
    options += ["--eval_strategy", "no", "--save_strategy", "no", "--output_dir", "out"]
    fork_recipe("pretrain", *OPTIONS, *options).expect()
    assert 0 < scores_of(tmp_path / "out")["loss"] < 10


@pytest.mark.long
def test_a_decoder_learns_what_follows(fork_recipe, tmp_path):
    options = ["--model_name_or_path", "package:models/tiny_decoder", "--from_scratch", "true"]
    options += ["--config_overrides", "n_layer=1", "--objective", "causal", "--corpora"]
    options += ["sample_reviews", "--max_steps", "4", "--eval_strategy", "no", "--save_strategy"]
    options += ["no", "--validation_share", "0.1", "--output_dir", "out"]
    fork_recipe("pretrain", *OPTIONS, *options).expect()
    assert set(scores_of(tmp_path / "out")) == {"loss", "bits_per_character"}
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_a_stream_without_an_end_is_refused(fork_recipe):
    result = fork_recipe("pretrain", *OPTIONS, "--output_dir", "out", "--streaming", "true")
    assert result.status == 1 and "--max_steps" in result.error


def test_a_line_that_is_no_utf8_is_named_though_datasets_wraps_the_error(fork_recipe, tmp_path):
    (tmp_path / "talk.txt").write_bytes("배우가 좋다\n".encode() + b"\xff\xfe\n")
    result = fork_recipe("pretrain", "--text_files", "talk.txt", "--output_dir", "out")
    assert result.status == 1 and result.error.startswith("talk.txt, line 2: ")
    assert "UTF-8" in result.error and not (tmp_path / "out").exists()


def test_texts_are_read_from_the_files_that_check_reads(tmp_path):
    lines = "배우가 좋다\n\n또 보고 싶다\n"
    (tmp_path / "a.txt").write_bytes(lines.encode("cp949"))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.csv").write_text("번호,text\n1,배우가 좋다\n2,또 보고 싶다\n", encoding="utf-8")
    rows = [{"text": "배우가 좋다"}, {"text": "또 보고 싶다"}]
    write_rows(tmp_path / "d.jsonl", rows)
    for path in sorted(tmp_path.iterdir()):
        found = [*stream_texts(TextArguments(text_files=[str(path)]))]
        assert found == ["배우가 좋다", "또 보고 싶다"], path.name
    endless = written(tmp_path / "no_line_breaks.txt", lines + "가나다 " * 250_001)
    with pytest.raises(InputError, match="no_line_breaks.txt, line 4: a text of 1,000,004"):
        [*stream_texts(TextArguments(text_files=[str(endless)]))]


def test_a_run_says_how_files_were_read_and_what_was_left_out(fork_recipe, tmp_path):
    texts = [f"오늘은 {n}번째 날이고 날씨가 좋다" for n in range(400)]
    (tmp_path / "a.txt").write_bytes("\n\n".join(texts[:-1]).encode("cp949"))
    write_rows(tmp_path / "b.csv", [{"text": text} for text in texts])
    (tmp_path / "without").write_text("\n".join(texts), encoding="utf-8")
    written(tmp_path / "test.txt", "\n".join(texts[:7]))
    options = ["--text_files", "a.txt", "b.csv", "without", "--exclude_files", "test.txt"]
    said = [
        "a.txt: 392 texts (a line a text, cp949); left out: 398 blank lines, 7 of --exclude_files",
        "b.csv: 393 texts (csv, comma, UTF-8); left out: 0 blank lines, 7 of --exclude_files",
        "without: 393 texts (a line a text, UTF-8); left out: 0 blank lines, 7 of --exclude_files",
    ]
    short = ["--max_steps", 2, "--eval_strategy", "no", "--save_strategy", "no"]
    run = fork_recipe("pretrain", *OPTIONS, *short, *options, "--output_dir", "out").expect()
    formats = "a line a text, cp949; csv, comma, UTF-8; a line a text, UTF-8"
    assert f"of the texts ({formats})" in run.stderr
    assert read_json(tmp_path / "out" / "run.json")["data"]["formats"]["train"] == formats
    made = fork_recipe("tokenizer", *options, "--vocab_size", 600).expect()
    for line in said:
        assert run.stderr.count(line) == made.stderr.count(line) == 1, line


ENCODER = ("--model_name_or_path", "package:models/encoder", "--corpora", "sample_reviews")


@pytest.mark.parametrize("objective", ["masked", "causal"])
def test_who_is_already_like_the_teacher_has_nothing_to_learn_from_it(
    objective, fork_recipe, tmp_path
):
    model = {"masked": "package:models/encoder", "causal": "package:models/decoder"}[objective]
    losses = {}
    for weight in ("0", "0.5", "1"):
        fork_recipe(
            *("pretrain", "--model_name_or_path", model, "--corpora", "sample_reviews"),
            *("--objective", objective, "--block_size", "32", "--precision", "float32"),
            *("--save_strategy", "steps", "--save_steps", "1", "--logging_steps", "1"),
            *("--max_steps", "1", "--eval_strategy", "no", "--per_device_train_batch_size", "2"),
            *("--teacher", model, "--distillation_weight", weight, "--output_dir", weight),
            *("--load_best_model_at_end", "false", "--keep_checkpoints", "true"),
            *("--validation_share", "0.02"),
        ).expect()
        state = read_json(tmp_path / weight / "checkpoint-1" / "trainer_state.json")
        losses[weight] = state["log_history"][0]["loss"]
    assert losses["1"] == pytest.approx(0, abs=1e-5)
    assert losses["0.5"] == pytest.approx(losses["0"] / 2, rel=1e-4) and losses["0"] > 1


def test_guesses_are_as_far_apart_as_scipy_says():
    student, teacher = np.random.default_rng(7).normal(size=(2, 5, 11)) * 3
    for temperature in (0.5, 1.0, 2.0):
        p, q = softmax(teacher / temperature, -1), softmax(student / temperature, -1)
        found = distance(torch.tensor(student), torch.tensor(teacher), temperature)
        assert float(found) == pytest.approx(rel_entr(p, q).sum(-1).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("share", "parts"), [("0.005", ("validation", "Raise")), ("1", ("train", "Lower"))]
)
def test_a_split_without_texts_is_refused(fork_recipe, tmp_path, share, parts):
    written(tmp_path / "few.txt", "".join(f"내일 {n}번째 말이다\n" for n in range(20)))
    options = ["--text_files", "few.txt", "--validation_share", share, "--output_dir", "out"]
    fork_recipe("pretrain", *OPTIONS, *options).expect(1, f"--validation_share {share}", *parts)


def test_a_teacher_of_another_vocabulary_is_refused(fork_recipe, tmp_path):
    teacher = "package:models/decoder"
    result = fork_recipe("pretrain", *ENCODER, "--teacher", teacher, "--output_dir", "out")
    assert result.status == 1 and f"--tokenizer_name {teacher}" in result.error
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_blocks_are_no_longer_than_what_the_model_takes(fork_recipe, tmp_path):
    """The shipped configuration has 128 positions."""
    options = [*OPTIONS, "--block_size", "4000", "--max_steps", "1", "--output_dir", "out"]
    result = fork_recipe("pretrain", *options).expect()
    assert "4000 tokens are more than the model takes: 128 are used." in result.stderr
    assert read_json(tmp_path / "out" / "run.json")["max_length"] == 128


def test_a_rate_that_masks_nothing_is_refused(fork_recipe):
    fork_recipe("pretrain", "--mask_rate", "0").expect(1, "--mask_rate 0.0", "from 0.001 to 1")
