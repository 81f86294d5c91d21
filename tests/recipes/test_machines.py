"""Several machines, which are launchers on this one: as one process, and one that is lost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import spy
import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.utils import patch_environment
from conftest import RECIPES, words_of
from tasks import DOCCLS, NO_CHOICE, STILL
from test_survival import wait_for
from torch.distributed import TCPStore
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from writing import Run, read_json

from nlpbook_data.training.machines import Machines
from nlpbook_data.training.models import save_trained
from nlpbook_data.training.record import are_finite

TOLERANCE = 1e-5
WITHIN = 75  # seconds: a minute, and starting on busy cores
LIBRARY = "library"  # accelerate's own launcher
OURS = "ours"
SHORT = [
    *(*DOCCLS, "--config_overrides", STILL, "--max_train_samples 61 --seed 3", *NO_CHOICE),
    "--save_strategy steps --save_steps 5 --logging_steps 1 --keep_checkpoints true --use_cpu true",
]


def test_a_machine_that_is_done_is_no_loss_and_one_that_is_silent_is():
    store = TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=5))
    lost: list[str] = []
    pace = {"beat": 0.05, "silence": 2.0}
    first, second = (Machines(store, number, 2, lost.append, **pace) for number in (0, 1))
    wait_for(lambda: first.heard[1][0] and second.heard[0][0], 10)
    second.close()
    wait_for(lambda: not first.heard, 10)
    first.close()
    assert lost == []
    first = Machines(store, 2, 4, lost.append, **pace)  # 3 is never heard of
    wait_for(lambda: lost, 10)
    assert "machine 3 of" in lost[0]
    first.close()


@pytest.fixture
def start(hf_home: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """``start(rank, *arguments, by=OURS, port=…, cwd=…, env={}, before=())``: one of two."""
    running: list[subprocess.Popen] = []

    def start(
        rank: int,
        *arguments: object,
        by: str = OURS,
        port: int,
        head: str = "127.0.0.1",
        cwd: Path = tmp_path,
        env: dict[str, str] | None = None,
        before: tuple[str, ...] = (),
    ) -> subprocess.Popen:
        command = [*before, sys.executable, "-m"]
        if by == OURS:
            command += ["nlpbook_data", "launch", "--machines", "2", "--rank", str(rank)]
            command += ["--head", head, "--port", str(port)]
        else:
            command += ["accelerate.commands.accelerate_cli", "launch", "--num_processes", "2"]
            command += ["--config_file", str(RECIPES / "accelerate" / "multi_node.yaml")]
            command += ["--machine_rank", str(rank), "--main_process_port", str(port)]
        command += [str(RECIPES / "doccls.py"), *words_of(arguments)]
        files = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, "HF_HOME": str(hf_home), **(env or {})}
        process = subprocess.Popen(command, cwd=cwd, env=environment, **files)
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()


@pytest.fixture
def port() -> int:
    """A port that is free now."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False).port


def ends(process: subprocess.Popen, since: float, within: float = WITHIN) -> str:
    """Wait for the end of a machine that has lost another; return its one sentence."""
    output = process.communicate(timeout=max(within - (time.monotonic() - since), 1))[1]
    assert process.returncode not in (0, None), output
    [line] = [line for line in output.splitlines() if line.startswith("error: ")]
    return line


def finish(machines: Iterable[subprocess.Popen]) -> None:
    for process in [*machines]:  # all are started
        output = process.communicate(timeout=300)[1]
        assert process.returncode == 0, output


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("by", [LIBRARY, OURS])
def test_two_machines_do_what_one_process_does(start, port, fork_recipe, tmp_path, by):
    """Also prepare the corpus once, in the folder that they share."""
    words = [*SHORT, "--num_train_epochs 2", "--cache_dir", tmp_path / "cache"]
    env = spy.environment(tmp_path)
    options = "--per_device_train_batch_size 4 --output_dir two"
    finish(start(rank, *words, options, by=by, port=port, env=env) for rank in (0, 1))
    assert spy.tokenized(tmp_path) == {0: 61 + 200 + 400}
    assert len([*(tmp_path / "cache" / "nlpbook" / "corpora").glob("*/*/entry.json")]) == 1
    options, two = "--per_device_train_batch_size 8 --output_dir one", Run(tmp_path / "two")
    one = fork_recipe("doccls", *words, options).expect().run
    losses = one.curve("loss")
    assert len(losses) == 16 and max(losses) - min(losses) > 500 * TOLERANCE
    assert two.curve("loss") == pytest.approx(losses, abs=TOLERANCE)
    weights = one.weights, two.weights
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=TOLERANCE, rtol=0)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_machine_that_does_not_come(start, port):
    begun = time.monotonic()
    first = start(0, *SHORT, port=port)
    second = start(1, *SHORT, port=1)  # where nobody listens
    assert "machines came within" in ends(first, begun)
    assert "Machine 0 does not answer" in ends(second, begun)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("by", "lost"), [(OURS, 1), (OURS, 0), (LIBRARY, 1)])
def test_a_machine_that_dies_ends_the_other_and_the_same_command_goes_on(
    start, port, tmp_path, by, lost
):
    words = [*SHORT, "--per_device_train_batch_size 4 --output_dir run", "--max_steps"]
    two = [start(rank, *words, 5000, by=by, port=port) for rank in (0, 1)]
    wait_for(lambda: [*(tmp_path / "run").glob("checkpoint-*/complete")], 120)
    begun = time.monotonic()
    below = psutil.Process(two[lost].pid).children(recursive=True)
    for process in (psutil.Process(two[lost].pid), *below):
        process.kill()
    assert "same command" in ends(two[1 - lost], begun)
    saved = max(int(p.parent.name[11:]) for p in (tmp_path / "run").glob("checkpoint-*/complete"))
    (tmp_path / "run" / "run.json").write_text(
        json.dumps(read_json(tmp_path / "run" / "run.json")).replace("5000", str(saved + 5))
    )
    finish(start(rank, *words, saved + 5, by=by, port=port) for rank in (0, 1))
    assert read_json(tmp_path / "run" / "run.json")["resumed_from"] == f"checkpoint-{saved}"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_machines_that_share_no_folder_are_refused(start, port, tmp_path):
    begun, two = time.monotonic(), []
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
        words = [*SHORT, "--max_steps 5 --output_dir run"]
        two.append(start(rank, *words, port=port, cwd=tmp_path / str(rank)))
    assert "that all machines share" in ends(two[1], begun, 180)
    assert "Another process" in ends(two[0], begun, 180)


@pytest.fixture
def cable() -> Iterator[Callable[[], None]]:
    """Two network namespaces, nlpbook0 and nlpbook1, with a cable between them that can be cut."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        for n in (0, 1):
            ip("netns", "add", f"nlpbook{n}")
        ip(*"link add v0 netns nlpbook0 type veth peer name v1 netns nlpbook1".split())
        for n in (0, 1):
            ip("-n", f"nlpbook{n}", *f"addr add 10.9.0.{n + 1}/24 dev v{n}".split())
            for interface in (f"v{n}", "lo"):
                ip("-n", f"nlpbook{n}", "link", "set", interface, "up")
        yield lambda: ip(*"-n nlpbook1 link set v1 down".split())
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made here ({error})")
    finally:
        for n in (0, 1):
            subprocess.run(["ip", "netns", "del", f"nlpbook{n}"], check=False, capture_output=True)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_cut_cable_ends_both(start, cable, tmp_path):
    words = [*SHORT, "--max_steps 5000 --per_device_train_batch_size 4 --output_dir run"]
    two = [
        start(n, *words, port=29500, head="10.9.0.1", before=("ip", "netns", "exec", f"nlpbook{n}"))
        for n in (0, 1)
    ]
    wait_for(lambda: [*(tmp_path / "run").glob("checkpoint-*/complete")], 120)
    begun = time.monotonic()
    cable()
    for n in (0, 1):
        assert f"machine {1 - n} of this run" in ends(two[n], begun)


def test_a_model_that_is_spread_by_fsdp_is_saved_whole(tmp_path):
    place = f"file://{tmp_path}/store"
    torch.distributed.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    try:
        folder = RECIPES.parent / "nlpbook_data" / "models" / "tiny_encoder"
        config = AutoConfig.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_config(config)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
        assert are_finite(model)
        whole = StateDictOptions(full_state_dict=True)  # as accelerate's get_state_dict has it
        weights = get_model_state_dict(model, options=whole)
        save_trained(model, AutoTokenizer.from_pretrained(folder), tmp_path, weights=weights)
    finally:
        torch.distributed.destroy_process_group()
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).state_dict()
    assert again.keys() == before.keys()
    assert all(torch.equal(again[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    "path", sorted((RECIPES / "accelerate").glob("*.yaml")), ids=lambda path: path.stem
)
def test_accelerate_takes_its_configs_as_they_are(path):
    config = load_config_from_file(str(path))  # it refuses unknown keys
    assert isinstance(config, ClusterConfig)
    assert config.mixed_precision == "no"  # the recipe chooses; two choices would fight
    header = path.read_text(encoding="utf-8").partition("compute_environment")[0]
    assert f"--config_file recipes/accelerate/{path.name}" in header
    assert config.num_processes % config.num_machines == 0
    if config.fsdp_config:  # read by each process from its environment
        with patch_environment(**{k.upper(): v for k, v in config.fsdp_config.items()}):
            plugin = FullyShardedDataParallelPlugin()
        assert (plugin.fsdp_version, plugin.reshard_after_forward) == (2, True)
        fields = {f"fsdp_{name.removeprefix('fsdp_')}" for name in vars(plugin)}
        assert config.fsdp_config.keys() - fields == {"fsdp_offload_params"}  # cpu_offload
