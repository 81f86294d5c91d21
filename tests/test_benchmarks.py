"""The benchmark of speed, as one runs it to try it."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parents[1] / "benchmarks" / "speed.py"


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
