"""recipes/pretrain.py: it learns, it resumes to the bit, and streams."""

import gzip
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
from writing import write_rows, written

from nlpbook_data.data.texts import TextArguments, stream_texts
from nlpbook_data.errors import InputError
from nlpbook_data.training.pretraining import distance

SMALL = "--config_overrides num_hidden_layers=1,intermediate_size=64 --block_size 32"
OPTIONS = f"{SMALL} --precision float32 --use_cpu"
NEITHER = "--eval_strategy no --save_strategy no --output_dir out"


@pytest.fixture(scope="module")
def trained(recipe_server, tmp_path_factory):
    steps = "--max_steps 12 --eval_strategy steps --save_strategy steps --save_steps 3"
    options = (OPTIONS, steps, "--eval_steps 3 --keep_checkpoints true --output_dir run")
    return recipe_server.run(tmp_path_factory.mktemp("trained"), "pretrain", *options).expect()


def test_what_is_saved_guesses_words(trained):
    run = trained.run
    assert set(run.scores["validation"]) == {"loss", "bits_per_character", "masked_accuracy"}
    model = AutoModelForMaskedLM.from_pretrained(run.folder)
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(run.folder))
    losses = run.curve("eval_loss")
    assert len(losses) == 4 and losses[-1] < losses[0]


def test_the_next_command_fine_tunes_what_is_saved(trained, fork_recipe):
    line = next(line for line in trained.stdout.splitlines() if line.startswith("next"))
    words = shlex.split(line)
    assert words[:3] == ["next", "accelerate", "launch"]
    cheap = "--max_train_samples 32 --num_train_epochs 1 --baselines false"
    cwd = trained.run.folder.parent  # where the command was given
    done = fork_recipe(Path(words[3]).stem, *words[4:], cheap, cwd=cwd).expect()
    assert "model.safetensors" in done.run.files


@pytest.mark.long
def test_a_stream_needs_no_blocks_on_the_disk(fork_recipe, tmp_path):
    written(tmp_path / "a.txt", "".join(f"오늘은 {n}번째 날이고 날씨가 좋다\n" for n in range(400)))
    options = "--text_files a.txt --streaming true --max_steps 4"
    run = fork_recipe("pretrain", OPTIONS, options, NEITHER).expect().run
    assert 0 < run.scores["validation"]["loss"] < 10


@pytest.mark.long
def test_a_decoder_learns_what_follows(fork_recipe):
    model = "--model_name_or_path package:models/tiny_decoder --from_scratch true"
    options = "--objective causal --corpora sample_reviews --max_steps 4 --validation_share 0.1"
    command = ["pretrain", OPTIONS, model, options, NEITHER, "--config_overrides n_layer=1"]
    run = fork_recipe(*command).expect().run
    assert set(run.scores["validation"]) == {"loss", "bits_per_character"}
    AutoModelForCausalLM.from_pretrained(run.folder)


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
    options = "--text_files a.txt b.csv without --exclude_files test.txt"
    said = [
        "a.txt: 392 texts (a line a text, cp949); left out: 398 blank lines, 7 of --exclude_files",
        "b.csv: 393 texts (csv, comma, UTF-8); left out: 0 blank lines, 7 of --exclude_files",
        "without: 393 texts (a line a text, UTF-8); left out: 0 blank lines, 7 of --exclude_files",
    ]
    run = fork_recipe("pretrain", OPTIONS, options, NEITHER, "--max_steps 2").expect()
    formats = "a line a text, cp949; csv, comma, UTF-8; a line a text, UTF-8"
    assert f"of the texts ({formats})" in run.stderr
    assert run.run.record["data"]["formats"]["train"] == formats
    made = fork_recipe("tokenizer", options, "--vocab_size 600").expect()
    for line in said:
        assert run.stderr.count(line) == made.stderr.count(line) == 1, line


@pytest.mark.parametrize(("objective", "model"), [("masked", "encoder"), ("causal", "decoder")])
def test_who_is_already_like_the_teacher_has_nothing_to_learn_from_it(
    objective, model, fork_recipe
):
    losses = {}
    for weight in ("0", "0.5", "1"):
        run = fork_recipe(
            *("pretrain", f"--model_name_or_path package:models/{model} --objective {objective}"),
            f"--teacher package:models/{model} --distillation_weight {weight}",
            "--corpora sample_reviews --validation_share 0.02 --block_size 32 --max_steps 1",
            "--per_device_train_batch_size 2 --precision float32 --logging_steps 1",
            "--eval_strategy no --save_strategy steps --save_steps 1 --keep_checkpoints true",
            f"--load_best_model_at_end false --output_dir {weight}",
        ).expect().run  # fmt: skip
        [losses[weight]] = run.curve("loss")
    assert losses["1"] == pytest.approx(0, abs=1e-5)
    assert losses["0.5"] == pytest.approx(losses["0"] / 2, rel=1e-4) and losses["0"] > 1


def test_guesses_are_as_far_apart_as_scipy_says():
    student, teacher = np.random.default_rng(7).normal(size=(2, 5, 11)) * 3
    for temperature in (0.5, 1.0, 2.0):
        p, q = softmax(teacher / temperature, -1), softmax(student / temperature, -1)
        found = distance(torch.tensor(student), torch.tensor(teacher), temperature)
        assert float(found) == pytest.approx(rel_entr(p, q).sum(-1).mean(), rel=1e-5)


def test_a_teacher_of_another_vocabulary_is_refused(fork_recipe):
    teacher = "package:models/decoder"
    options = "--model_name_or_path package:models/encoder --corpora sample_reviews"
    done = fork_recipe("pretrain", options, "--teacher", teacher, "--output_dir out")
    run = done.expect(1, f"--tokenizer_name {teacher}").run
    assert not (run / "model.safetensors").exists()


def test_blocks_are_no_longer_than_what_the_model_takes(fork_recipe):
    """The shipped configuration has 128 positions."""
    options = "--block_size 4000 --max_steps 1 --output_dir out"
    done = fork_recipe("pretrain", OPTIONS, options).expect()
    assert "4000 tokens are more than the model takes: 128 are used." in done.stderr
    assert done.run.record["max_length"] == 128


def test_a_rate_that_masks_nothing_is_refused(fork_recipe):
    fork_recipe("pretrain", "--mask_rate 0").expect(1, "--mask_rate 0.0", "from 0.001 to 1")
