"""Every recipe: what stops a run costs nothing but time, and says so in one sentence."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kills
import numpy as np
import psutil
import pytest
from conftest import RECIPES, launched, words_of
from safetensors.numpy import load_file
from tasks import DOCCLS, NO_CHOICE
from writing import read_json, write_rows, written

TRAINED = [name for name in kills.CASES if name not in ("tokenizer", "predict")]
LORA = ["--model_name_or_path package:models/encoder --lora true", *kills.SHORT]
CASES = kills.CASES | {
    "rerank, lora": [*LORA, "--train_file faq.jsonl --rerank_depth 5"],
    "pretrain, muon": [*kills.CASES["pretrain"], "--muon true"],
}


def each(*quick: str, names: list[str] = TRAINED) -> list[Any]:
    """Return `names` to parametrize by; all but the `quick` ones are long."""
    return [n if n in quick else pytest.param(n, marks=pytest.mark.long) for n in names]


BEFORE = """import os, resource, runpy, signal, sys
{code}
runpy.run_path({recipe!r}, run_name="__main__")
"""
IN_STEP = """import torch, transformers
step = transformers.Trainer.training_step
def training_step(self, model, inputs, *arguments, **options):
    if self.state.global_step == {step}:
        {action}
    return step(self, model, inputs, *arguments, **options)
transformers.Trainer.training_step = training_step
"""
DROPOUTS = {
    "encoder": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "decoder": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
}
# Writes the rows of each batch that a loader draws into the file drawn.
DRAWN = """import datasets, json, math
draw = datasets.Dataset.__getitems__
def __getitems__(self, keys):
    with open("drawn", "a") as file:
        print(json.dumps([len(self), list(map(int, keys))]), file=file)
    return draw(self, keys)
datasets.Dataset.__getitems__ = __getitems__
"""


@pytest.fixture
def run(fork_recipe: Callable, tmp_path: Path) -> Callable[..., Any]:
    """Run a case of `kills` in a folder, after `code` in the same process."""

    def run(name: str, folder: str = "here", code: str = "", *options: Any) -> Any:
        here = tmp_path / folder
        if not here.is_dir():
            here.mkdir()
            write_rows(here / "faq.jsonl", kills.QUESTIONS)
        recipe = f"{name.partition(',')[0]}.py"
        text = BEFORE.format(code=code, recipe=str(RECIPES / recipe))
        script = written(tmp_path / "scripts" / recipe, text)
        words = [*CASES[name], "--output_dir", "run", "--resume", "auto", *options]
        return fork_recipe(script.with_suffix(""), *words, cwd=here)

    return run


@pytest.fixture
def undisturbed(run: Callable, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    def undisturbed(name: str) -> dict[str, str]:
        run(name, "whole").expect()
        return kills.left(name, tmp_path / "whole")

    return undisturbed


def record(folder: Path) -> dict[str, Any]:
    return read_json(folder / "here" / "run" / "run.json")


def assert_one_sentence(result: Any) -> None:
    assert "Traceback" not in result.stderr, result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.parametrize("name", each())
def test_sigterm_saves_and_the_same_command_ends_as_if_nothing_had_happened(
    run, undisturbed, tmp_path, name
):
    code = IN_STEP.format(step=2, action="os.kill(os.getpid(), signal.SIGTERM)")
    result = run(name, "here", code)
    assert result.status == 143, result.stderr
    assert_one_sentence(result)
    assert "same command continues" in result.error
    assert record(tmp_path)["status"] == "interrupted"
    assert (tmp_path / "here" / "run" / "checkpoint-3" / "complete").is_file()
    run(name).expect()
    assert record(tmp_path)["resumed_from"] == "checkpoint-3"
    assert kills.left(name, tmp_path / "here") == undisturbed(name)


@pytest.mark.parametrize("name", each("doccls"))
def test_a_disk_that_is_full_once_the_model_is_written(run, undisturbed, tmp_path, name):
    whole = undisturbed(name)
    room = (tmp_path / "whole" / "run" / "model.safetensors").stat().st_size + 20_000
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
    result = run(name, "here", IN_STEP.format(step=3, action=limit))  # the optimizer is twice that
    assert result.status == 1, result.stderr
    assert_one_sentence(result)
    assert "no space is left" in result.error
    assert record(tmp_path)["status"] == "failed"
    left = [path.parent.name for path in (tmp_path / "here" / "run").glob("*/complete")]
    assert left == ["checkpoint-2"]
    run(name).expect()
    assert record(tmp_path)["resumed_from"] == "checkpoint-2" and "error" not in record(tmp_path)
    assert kills.left(name, tmp_path / "here") == whole


@pytest.mark.parametrize("name", each("doccls", "ner"))
def test_out_of_memory_names_the_options_with_which_the_run_ends_as_ever(run, tmp_path, name):
    words = words_of(CASES[name])
    overrides = [words[n + 1] for n, word in enumerate(words) if word == "--config_overrides"][-1]
    names = DROPOUTS["decoder" if name == "generation" else "encoder"]
    still = ["--config_overrides", ",".join([overrides, *(f"{n}=0.0" for n in names)])]
    still += ["--load_best_model_at_end false"]
    code = IN_STEP.format(step=3, action="torch.empty(2**50)")
    result = run(name, "here", code, *still)
    assert result.status == 1
    assert_one_sentence(result)
    assert record(tmp_path)["status"] == "failed"
    batch = record(tmp_path)["global_batch"]
    words = re.search(r"add to the same command: ([^.]+)\.", result.error)[1].split()
    run(name, "here", "", *still, *words).expect()
    assert record(tmp_path)["global_batch"] == batch
    assert record(tmp_path)["resumed_from"] == "checkpoint-2"
    if name == "pretrain":  # it masks other words in other micro-batches
        return
    run(name, "whole", "", *still).expect()
    here, whole = (load_file(tmp_path / f / "run" / "model.safetensors") for f in ("here", "whole"))
    assert here.keys() == whole.keys()
    # Softmax over positions cancels these: their gradients are rounding, which Adam scales up
    for key in (k for k in whole if not k.endswith(("key.bias", "qa_outputs.bias"))):
        np.testing.assert_allclose(here[key], whole[key], rtol=0, atol=1e-4, err_msg=key)


@pytest.mark.parametrize(
    "name", each("qa", "search", "generation", names=[*TRAINED, "rerank, lora", "pretrain, muon"])
)
def test_after_a_kill_a_damaged_last_checkpoint_is_passed_over(run, undisturbed, tmp_path, name):
    code = IN_STEP.format(step=4, action="os.kill(os.getpid(), signal.SIGKILL)")
    keep = ("--save_total_limit", 5)
    assert run(name, "here", code, *keep).status == -9
    last = tmp_path / "here" / "run" / "checkpoint-4" / "optimizer.pt"
    last.write_bytes(last.read_bytes()[:1000])
    result = run(name, "here", "", *keep).expect()
    assert "checkpoint-4 is passed over: optimizer.pt is damaged" in result.stderr
    assert record(tmp_path)["resumed_from"] == "checkpoint-2"
    assert kills.left(name, tmp_path / "here") == undisturbed(name)


@pytest.mark.parametrize("name", each())
def test_a_changed_argument_is_refused_and_named(run, tmp_path, name):
    code = IN_STEP.format(step=3, action="os.kill(os.getpid(), signal.SIGKILL)")
    assert run(name, "here", code).status == -9
    before = kills.left(name, tmp_path / "here")
    result = run(name, "here", "", "--learning_rate", "0.25")
    assert result.status == 1
    assert_one_sentence(result)
    assert "learning_rate" in result.error and "0.25" in result.error
    assert kills.left(name, tmp_path / "here") == before


@pytest.mark.parametrize("name", each("doccls", "search", "pretrain"))
def test_a_loss_that_is_no_number_names_the_step_and_the_rows_of_its_batch(run, tmp_path, name):
    """It is found a step later, before the checkpoint, and sooner where each step is logged."""
    code = DRAWN + IN_STEP.format(step=2, action="next(model.parameters()).data.fill_(math.nan)")
    options = ["--logging_steps", 1] if name in ("search", "rerank") else []
    result = run(name, "here", code, *options)
    assert result.status == 1, result.stderr
    assert_one_sentence(result)
    assert "--learning_rate" in result.error
    assert (record(tmp_path)["status"], record(tmp_path)["error"]) == ("failed", result.error)
    assert not (result.run / "model.safetensors").exists()
    for path in result.run.folder.rglob("*.safetensors"):
        assert all(np.isfinite(weights).all() for weights in load_file(path).values()), path
    lines = (tmp_path / "here" / "drawn").read_text().splitlines()
    drawn = [json.loads(line) for line in lines]  # of validation too, which has fewer rows
    batches = [rows for size, rows in drawn if size == max(drawn)[0]]
    found = re.search(r"became nan in step 3, whose batch has the rows ([\d, ]+)", result.error)
    assert found, result.error
    named = [int(row) for row in found[1].replace(" ", "").strip(",").split(",")]
    assert named == [row + 1 for row in sorted(batches[2])][: len(named)]
    assert len(named) == min(len(batches[2]), 16)


def test_a_row_that_spoils_the_loss_is_among_those_that_are_named(fork_recipe, tmp_path):
    rows = [{"text": f"영화 {n}편", "label": "가나"[n % 2]} for n in range(40)]
    rows[16]["text"] = "ㅋㅋㅋㅋ"  # a token that no other row has
    write_rows(tmp_path / "a.jsonl", rows)
    code = """import transformers
loss = transformers.Trainer.compute_loss
def compute_loss(self, model, inputs, *arguments, **options):
    found = any("ㅋ" in self.processing_class.decode(ids) for ids in inputs["input_ids"])
    return loss(self, model, inputs, *arguments, **options) * (float("nan") if found else 1)
transformers.Trainer.compute_loss = compute_loss
"""
    text = BEFORE.format(code=code, recipe=str(RECIPES / "doccls.py"))
    script = written(tmp_path / "doccls.py", text).with_suffix("")
    files = " ".join(f"--{split}_file a.jsonl" for split in ("train", "validation", "test"))
    options = "--num_train_epochs 1 --per_device_train_batch_size 4 --logging_steps 5"
    result = fork_recipe(script, *DOCCLS, files, options, "--output_dir run")
    assert result.status == 1, result.stderr
    found = re.search(
        r"became nan in step \d+, whose batch has the rows ([\d, ]+) of", result.error
    )
    assert found, result.error
    named = [int(number) for number in found[1].split(",")]
    assert len(named) == 4 and 17 in named


def wait_for(found: Callable[[], Any], seconds: float = 600) -> Any:
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "processes", "ended"),
    [
        *(("doccls", 1, "launcher"), ("doccls", 2, "launcher")),
        *(("doccls", 2, "rank 0"), ("doccls", 2, "rank 1")),
        *(("qa", 2, "rank 1"), ("search", 2, "rank 0"), ("pretrain", 2, "rank 1")),
    ],
)
def test_the_launcher_is_stopped_or_a_process_dies(tmp_path, hf_home, name, processes, ended):
    """All end within a minute, none is left, and the same command ends as it would have."""
    write_rows(tmp_path / "faq.jsonl", kills.QUESTIONS)
    env = {**os.environ, "HF_HOME": str(hf_home)}
    files = {"cwd": tmp_path, "env": env, "stderr": subprocess.PIPE, "text": True}
    size = f"--per_device_train_batch_size {4 // processes} --save_steps 10 --max_steps 100"
    options = [*CASES[name], *NO_CHOICE, "--save_strategy steps", size, "--output_dir run"]

    def command(*more: str) -> list[str]:
        return launched(RECIPES / f"{name}.py", words_of([*options, *more]), processes)

    process = subprocess.Popen(command(), stdout=subprocess.DEVNULL, **files)
    wait_for(lambda: [*(tmp_path / "run").glob("checkpoint-*/complete")])
    launcher = psutil.Process(process.pid)
    ranks = [p for p in launcher.children(recursive=True) if f"{name}.py" in " ".join(p.cmdline())]
    assert len(ranks) == processes
    begun = time.monotonic()
    if ended == "launcher":
        launcher.terminate()
    else:
        ranks[int(ended[-1])].kill()
    output = process.communicate(timeout=60)[1]
    alive = psutil.wait_procs(ranks, timeout=60 - (time.monotonic() - begun))[1]
    for rank in alive:
        rank.kill()
    assert not alive, output
    status = read_json(tmp_path / "run" / "run.json")["status"]
    if ended == "launcher":
        assert status == "interrupted", output
        assert "Stopping after this step" in output and "same command continues" in output
    saved = [p.parent.name for p in (tmp_path / "run").glob("checkpoint-*/complete")]
    steps = max(int(name[11:]) for name in saved)
    assert 0 < steps < 100
    for folder in ("run", "whole"):
        words = command("--output_dir", folder, "--resume auto")
        done = subprocess.run(words, stdout=subprocess.DEVNULL, **files, timeout=900, check=False)
        assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "run" / "run.json")["resumed_from"] == f"checkpoint-{steps}"
    for file in ("model.safetensors", *(["predictions.jsonl"] if name != "pretrain" else [])):
        one, other = ((tmp_path / folder / file).read_bytes() for folder in ("run", "whole"))
        assert one == other, file


@pytest.mark.long
@pytest.mark.parametrize("name", ["checkpoint", "finished"])
def test_a_power_cut_right_after_a_save(tmp_path, fork_recipe, name):
    """The image of a mounted file system holds what was flushed, and no more."""
    image, disk, other = tmp_path / "image", tmp_path / "disk", tmp_path / "after"
    disk.mkdir()
    other.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    mounting = ["mount", "-o", "loop", image, disk]
    try:
        subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here ({error})")
    if name == "checkpoint":
        code = f"""import shutil
from nlpbook_data.training.record import RunCallback
saved = RunCallback.on_save
def on_save(self, args, state, *arguments, **options):
    saved(self, args, state, *arguments, **options)
    if state.global_step == 4:
        shutil.copyfile({str(image)!r}, {str(image) + "-after"!r})
RunCallback.on_save = on_save
"""
    else:
        code = f"""import shutil
from nlpbook_data.training.folder import RunFolder
delete = RunFolder.delete_checkpoints
def delete_checkpoints(self, keep=0, best=None):
    if self.path.joinpath("model.safetensors").is_file() and not keep:
        shutil.copyfile({str(image)!r}, {str(image) + "-after"!r})
    delete(self, keep, best)
RunFolder.delete_checkpoints = delete_checkpoints
"""
    try:
        text = BEFORE.format(code=code, recipe=str(RECIPES / "doccls.py"))
        script = written(tmp_path / "scripts" / "doccls.py", text).with_suffix("")
        fork_recipe(script, *kills.CASES["doccls"], "--output_dir", disk / "run").expect()
        subprocess.run(["mount", "-o", "loop", f"{image}-after", other], check=True)
        if name == "finished":
            for file in ("model.safetensors", "config.json", "predictions.jsonl"):
                there, here = ((place / "run" / file).read_bytes() for place in (other, disk))
                assert there == here, file
        shutil.copytree(other / "run", tmp_path / "run")
    finally:
        for place in (disk, other):
            subprocess.run(["umount", place], check=False, capture_output=True)
    fork_recipe(
        "doccls", *kills.CASES["doccls"], "--output_dir", "run", "--resume", "auto"
    ).expect()
    if name == "checkpoint":
        assert read_json(tmp_path / "run" / "run.json")["resumed_from"] == "checkpoint-4"


@pytest.mark.long
def test_kills_at_random_moments(record_property):
    lines: list[str] = []
    counts = kills.kill(6, 3, ["doccls", "tokenizer", "predict"], lines.append)
    record_property("summary", lines[-1])
    assert counts["right"] == counts["tried"] >= 6, "\n".join(lines)
