"""The job scripts of SLURM, run with stand-ins for its programs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RECIPES, words_of
from tasks import DOCCLS, NO_CHOICE
from test_survival import wait_for
from writing import read_json, written

SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
count = int(os.environ["SLURM_NNODES"])
environments = [os.environ | {{"SLURM_NODEID": str(number)}} for number in range(count)]
tasks = [subprocess.Popen(sys.argv[1:], env=environment) for environment in environments]
signal.signal(signal.SIGUSR1, lambda *_: [task.send_signal(signal.SIGUSR1) for task in tasks])
statuses = [task.wait() for task in tasks]
sys.exit(max(128 - status if status < 0 else status for status in statuses))
"""
SCONTROL = """#!/bin/sh
case "$1" in
    show) echo 127.0.0.1 ;;
    requeue) echo "$2" >> requeued ;;
esac
"""
RUNS = """#!/bin/bash
trap 'exit {status}' USR1
printf '%s\\n' "$@" > "words$SLURM_NODEID"
for _ in {{1..200}}; do sleep 0.1; done
"""


@pytest.fixture
def submit(tmp_path: Path, hf_home: Path) -> Callable[..., subprocess.Popen]:
    """``submit(script, program, *words)``: the job, where `program` is what nlpbook-data does."""

    def submit(script: str, program: str, *words: object) -> subprocess.Popen:
        stand_ins = {"srun": SRUN, "scontrol": SCONTROL, "nlpbook-data": program}
        for name, text in stand_ins.items():
            written(tmp_path / "bin" / name, text).chmod(0o755)
        nodes = "1" if script == "one_node" else "2"
        env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        env |= {"HF_HOME": str(hf_home), "SLURM_NNODES": nodes, "SLURM_JOB_ID": "7"}
        env |= {"SLURM_JOB_NODELIST": "node[1-2]"}
        # bash reads a script while it runs; SLURM too runs a copy
        copy = shutil.copy(RECIPES / "slurm" / f"{script}.sbatch", tmp_path / "job")
        command = ["bash", str(copy), *map(str, words)]
        return subprocess.Popen(command, cwd=tmp_path, env=env)

    return submit


@pytest.mark.parametrize(
    ("script", "status"), [("one_node", 138), ("several_nodes", 138), ("several_nodes", 1)]
)
def test_a_job_whose_time_ends_is_queued_again_if_it_can_go_on(submit, tmp_path, script, status):
    job = submit(script, RUNS.format(status=status), "recipe.py", "--run_name", "한 판")
    count = 1 if script == "one_node" else 2
    wait_for(lambda: sum(path.stat().st_size > 0 for path in tmp_path.glob("words*")) == count)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=15) == status
    assert (tmp_path / "requeued").exists() == (status == 138)
    words = (tmp_path / f"words{count - 1}").read_text().splitlines()
    assert words[0] == "launch"
    assert words[-5:] == ["recipe.py", "--run_name", "한 판", "--resume", "auto"]
    if count == 2:
        assert words[1:7] == ["--machines", "2", "--rank", "1", "--head", "127.0.0.1"]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("script", ["one_node", "several_nodes"])
def test_a_job_goes_on_until_it_is_finished(submit, tmp_path, script):
    program = f'#!/bin/sh\nexec {sys.executable} -m nlpbook_data "$@"\n'
    options = [*DOCCLS, *NO_CHOICE, "--save_strategy steps --save_steps 10 --use_cpu true"]
    options += ["--max_train_samples 64 --max_steps 300 --per_device_train_batch_size 8"]
    words = [RECIPES / "doccls.py", *words_of(options)]
    job = submit(script, program, *words, "--output_dir", "run")
    wait_for(lambda: [*(tmp_path / "run").glob("checkpoint-*/complete")], 120)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=60) == 138
    assert (tmp_path / "requeued").read_text() == "7\n"
    [left] = [path.parent.name for path in (tmp_path / "run").glob("checkpoint-*/complete")]
    for folder in ("run", "whole"):
        assert submit(script, program, *words, "--output_dir", folder).wait(timeout=240) == 0
    assert read_json(tmp_path / "run" / "run.json")["resumed_from"] == left
    for name in ("model.safetensors", "predictions.jsonl"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("run", "whole"))
        assert one == other, name
