"""The benchmark of speed, as one runs it to try it."""

import json
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
    found = json.loads(out.read_text())["recipes"]["doccls"]
    [ways], [start] = found["rounds"], found["starts"]
    assert found["train rows"] == 64
    assert start["warm"]["preparation"] < start["cold"]["preparation"]
    real, every = found["tokens"]
    assert set(ways) == {"default", "padded", "example", "floor"}
    assert ways["padded"]["real tokens"] < real / every < 1
    assert "floor" in done.stdout and "bare imports" in done.stdout
