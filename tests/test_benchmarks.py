"""The scripts that make tables, as one runs them to try them."""

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEED = ROOT / "benchmarks" / "speed.py"
FIXTURES = Path(__file__).parent / "corpora" / "fixtures"
FEW = ("--max_train_samples", "24", "--max_eval_samples", "8", "--max_predict_samples", "8")


def run_script(script, *words, **env):
    """Run a script of the shell where nothing lies; return what it wrote to its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / script), *words],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "NLPBOOK_LANG": "en", **env},
        cwd=env["OUT"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_speed_measures_every_way_on_the_same_rows(tmp_path):
    out = tmp_path / "speed.json"
    words = ["--recipes", "doccls", "--rounds", "1", "--rows", "64", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, str(SPEED), *words], check=True, capture_output=True, text=True
    )
    record = json.loads(out.read_text())
    found = record["recipes"]["doccls"]
    assert "commit" in record
    [ways], [start] = found["rounds"], found["starts"]
    assert found["train rows"] == 64
    assert start["warm"]["preparation"] < start["cold"]["preparation"]
    real, every = found["tokens"]
    assert set(ways) == {"default", "padded", "example", "floor"}
    assert ways["padded"]["real tokens"] < real / every < 1
    assert "floor" in done.stdout and "bare imports" in done.stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_named_with_its_changes(tmp_path):
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    commit = runpy.run_path(str(SPEED.with_name("checkout.py")))["commit"]
    assert commit(tmp_path) is None
    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    git("tag", "v1", "-m", "not this name")
    assert commit(tmp_path) == git("rev-parse", "--short", "HEAD")
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == git("rev-parse", "--short", "HEAD") + "-dirty"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_models_are_compared_on_each_task(tmp_path):
    options = ["--max_steps", "2", "--seeds", "1", *FEW, "--cache_dir", str(tmp_path / "cache")]
    env = {"OUT": str(tmp_path), "TABLES": str(tmp_path), "TASKS": "paircls"}
    printed = run_script("benchmarks/models.sh", *options, **env)
    assert printed.endswith((tmp_path / "models.md").read_text("utf-8"))
    found = json.loads((tmp_path / "models.json").read_text("utf-8"))
    names = [row["model"] for row in found["results"]]
    assert names[:2] == ["encoder", "encoder (random weights)"]
    assert len(names) == 3 and names[2].startswith("tiny_encoder (random weights")
    for row in found["results"]:
        assert (row["recipe"], row["rows"], row["seeds"]) == ("paircls", 8, "1")
        assert f"| {row['model']} | {row['mean']:.4f} |" in printed
    assert "| best baseline | 0." in printed
    [test] = found["tests"]
    assert (test["a"], test["b"]) == tuple(row["mean"] for row in found["results"][:2])
    assert (tmp_path / "models.png").stat().st_size > 5000


@pytest.mark.long
@pytest.mark.timeout(600)
def test_one_model_goes_through_the_tasks_of_klue(tmp_path):
    for path in (FIXTURES / "klue-nli").iterdir():  # too few to carve validation from
        rows = json.loads(path.read_text("utf-8"))
        rows = [row | {"premise": f"{row['premise']} {n}"} for n in range(8) for row in rows]
        (tmp_path / "klue-nli").mkdir(exist_ok=True)
        (tmp_path / "klue-nli" / path.name).write_text(json.dumps(rows), "utf-8")
    options = ["package:models/tiny_encoder", "--from_scratch", "true", "--max_steps", "2"]
    options += ["--accept_files", "--cache_dir", str(tmp_path / "cache")]
    env = {"NLPBOOK_CORPORA": str(tmp_path), "TASKS": "paircls_klue_nli", "OUT": str(tmp_path)}
    printed = run_script("recipes/klue.sh", *options, **env)
    assert "paircls klue-nli, test 16" in printed and "best baseline" in printed
    assert re.search(r"^tiny_encoder \(random weights\) +[01]\.\d{4}$", printed, re.M), printed
    assert (tmp_path / "results.png").stat().st_size > 5000


def test_ctrl_c_ends_all_tasks_of_klue(tmp_path):
    stub = tmp_path / "accelerate"
    stub.write_text("#!/bin/sh\necho >> calls\nkill -INT $PPID\nexit 130\n", "utf-8")
    stub.chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "recipes" / "klue.sh"), "any/model"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 130 and (tmp_path / "calls").read_text("utf-8") == "\n"
