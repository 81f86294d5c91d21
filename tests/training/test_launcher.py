"""What a recipe takes over from `accelerate launch`."""

import os
import subprocess
import sys

import pytest
from writing import written

from nlpbook_data.training.launcher import cores

SCRIPT = """import torch
from nlpbook_data.training.launcher import find_launcher, use_cores
use_cores(find_launcher())
print("threads", torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("given", "threads"),
    [({}, cores()), pytest.param({"OMP_NUM_THREADS": "1"}, 1, marks=pytest.mark.long)],
)
def test_all_cores_are_used_unless_a_number_was_given(tmp_path, given, threads):
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    done = subprocess.run(
        [*launch, str(written(tmp_path / "script.py", SCRIPT))],
        env=env | given,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert f"threads {threads}\n" in done.stdout, done.stderr
