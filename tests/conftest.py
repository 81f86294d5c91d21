"""What the tests share: the recipes run as users run them, small data, the real corpora."""

import contextlib
import functools
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from hub_double import HubDouble
from hypothesis import settings
from tasks import TASKS
from writing import Run, write_nsmc

from nlpbook_data.reports.outcome import Outcome

# A neighbour on the cores is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

REPOSITORY = Path(__file__).resolve().parents[1]
RECIPES = REPOSITORY / "recipes"
COMMAND = str(REPOSITORY / "nlpbook_data" / "__main__")  # for `fork_recipe` and `fork_online`
CORPORA = Path(os.environ.get("NLPBOOK_CORPORA", REPOSITORY.parent / "shared" / "corpora"))
TOKENIZERS = CORPORA.parent / "tokenizers"

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["NLPBOOK_LANG"] = "en"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not CORPORA.is_dir():
        skip = pytest.mark.skip(reason=f"no corpora at {CORPORA}; set NLPBOOK_CORPORA")
        for item in items:
            if item.get_closest_marker("corpora"):  # not keywords: a folder is called so
                item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded as their "summary": xdist swallows what they print themselves."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(str(text))


@pytest.fixture(scope="session")
def hf_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this test session, shared by its recipes."""
    return tmp_path_factory.mktemp("hf_home")


@dataclass(frozen=True)
class Result:
    """How a recipe ended, and what it left."""

    status: int
    stdout: str
    stderr: str
    run: Run

    @property
    def error(self) -> str:
        """The message after ``error: ``, or an empty string."""
        lines = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        return lines[-1].removeprefix("error: ") if lines else ""

    def expect(self, status: int = 0, *parts: str) -> "Result":
        """Assert how it ended: without a traceback, with `parts` in the message; return it."""
        assert self.status == status and "Traceback" not in self.stderr, self.stderr
        assert [part for part in parts if part not in self.error] == [], self.error
        return self


def words_of(arguments: Sequence[object]) -> list[str]:
    """Return the words of a command; one that begins with an option may hold several of them."""
    found: list[str] = []
    for word in map(str, arguments):
        found += word.split() if re.match(r"--\w+( |$)", word) else [word]
    return found


def launched(script: Path, words: list[str], processes: int) -> list[str]:
    """Return the command that runs a recipe by ``accelerate launch`` on CPUs."""
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    config = RECIPES / "accelerate" / ("cpu_2.yaml" if processes > 1 else "cpu.yaml")
    command += ["--config_file", str(config)]
    if processes > 1:
        command += ["--main_process_port", "0", "--num_processes", str(processes)]
        words = [*words, "--use_cpu", "true"]
    return [*command, str(script), *words]


def run_of(folder: Path, recipe: str, words: list[str]) -> Run:
    """Return what a command in `folder` leaves where its last ``--output_dir`` says."""
    at = [number + 1 for number, word in enumerate(words) if word == "--output_dir"]
    return Run(folder / (words[at[-1]] if at else f"outputs/{Path(recipe).name}"))


@pytest.fixture
def run_recipe(hf_home: Path, tmp_path: Path) -> Callable[..., Result]:
    """Run a recipe in a new process, from an empty folder, as a user does.

    ``run_recipe("doccls", *arguments, processes=1, launcher="python", env={}, timeout=240)``;
    launcher "accelerate" is ``accelerate launch``, which `processes=2` implies; a variable that is
    None is taken out of `env`.
    """

    def run(
        recipe: str,
        *arguments: object,
        processes: int = 1,
        launcher: str = "python",
        cwd: Path | None = None,
        env: dict[str, str | None] | None = None,
        timeout: int = 240,
    ) -> Result:
        script, words = RECIPES / f"{recipe}.py", words_of(arguments)
        variables = {**os.environ, "HF_HOME": str(hf_home), **(env or {})}
        command = [sys.executable, str(script), *words]
        if processes > 1 or launcher == "accelerate":
            command = launched(script, words, processes)
        done = subprocess.run(
            command,
            cwd=cwd or tmp_path,
            env={name: text for name, text in variables.items() if text is not None},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        run = run_of(cwd or tmp_path, recipe, words)
        return Result(done.returncode, done.stdout, done.stderr, run)

    return run


class ForkServer:
    """Runs recipes in forks of a process that has imported everything: seconds less a run."""

    def __init__(self, env: dict[str, str]):
        command = [sys.executable, str(Path(__file__).parent / "fork_server.py")]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env, text=True)

    def run(
        self,
        cwd: Path,
        recipe: str,
        *arguments: object,
        processes: int = 1,
        env: dict[str, str] | None = None,
        signals: Sequence[tuple[float, int]] = (),
    ) -> Result:
        """Run a recipe, or a script's path without its ending, in `cwd`; `env` is set at last.

        Args:
            processes: 2 does what accelerate's launcher does.
            signals: ``(seconds after the start, number)`` of those that the run gets.
        """
        words = words_of((*arguments, "--use_cpu true") if processes > 1 else arguments)
        with tempfile.TemporaryDirectory() as folder:
            logs = [Path(folder, "stdout"), Path(folder, "stderr")]
            request = {
                "recipe": str(RECIPES / f"{recipe}.py"),
                "arguments": words,
                "processes": processes,
                "cwd": str(cwd),
                "env": env or {},
                "logs": [str(log) for log in logs],
            }
            begun = time.monotonic()
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            for seconds, number in sorted(signals):
                rest = max(begun + seconds - time.monotonic(), 0)
                if select.select([self.process.stdout], [], [], rest)[0]:
                    break
                for child in psutil.Process(self.process.pid).children():
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.send_signal(number)
            status = int(self.process.stdout.readline())
            texts = [log.read_text("utf-8", "replace") if log.exists() else "" for log in logs]
        return Result(status, *texts, run_of(cwd, recipe, words))

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait(timeout=30)


@pytest.fixture(scope="session")
def recipe_server(hf_home: Path) -> Iterator[ForkServer]:
    server = ForkServer({**os.environ, "HF_HOME": str(hf_home)})
    yield server
    server.close()


@pytest.fixture
def fork_recipe(recipe_server: ForkServer, tmp_path: Path) -> Callable[..., Result]:
    """Run a recipe in a fork; files, arguments, exit status and output are `run_recipe`'s.

    ``fork_recipe("doccls", *arguments, processes=1, cwd=None, env=None)``; see `ForkServer.run`.
    """

    def run(recipe: str, *arguments: object, cwd: Path | None = None, **options: Any) -> Result:
        return recipe_server.run(cwd or tmp_path, recipe, *arguments, **options)

    return run


@pytest.fixture(scope="session")
def trained(
    recipe_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Run]:
    """``trained("ner")``: a run of one of `TASKS`, its files beside it; nobody writes to it."""

    @functools.cache
    def train(task: str) -> Run:
        folder = tmp_path_factory.mktemp(task)
        TASKS[task].write_files(folder)
        words = (*TASKS[task].train, "--output_dir", "run")
        return recipe_server.run(folder, *words).expect().run

    return train


@pytest.fixture
def refused(fork_recipe: Callable[..., Result], tmp_path: Path) -> Callable[..., None]:
    """``refused("ner", parts, *arguments)``: one message that holds `parts`; nothing is left."""

    def run(recipe: str, parts: Sequence[str], *arguments: object) -> None:
        result = fork_recipe(recipe, *arguments, "--output_dir", "out").expect(1, *parts)
        assert not (tmp_path / "out").exists() and result.stdout == ""

    return run


@pytest.fixture(scope="session")
def online(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[HubDouble, Path, ForkServer]]:
    home = tmp_path_factory.mktemp("online")
    with HubDouble() as hub:
        server = ForkServer(hub.env(home, token=False))
        yield hub, home, server
        server.close()


@pytest.fixture
def hub(online: tuple[HubDouble, Path, ForkServer]) -> HubDouble:
    """A double of the Hub, with nothing in it, for `fork_online`."""
    double = online[0]
    double.repos.clear()
    double.requests.clear()
    double.fail_commit = None
    return double


@pytest.fixture
def fork_online(
    online: tuple[HubDouble, Path, ForkServer], hub: HubDouble, tmp_path: Path
) -> Callable[..., Result]:
    """Run a recipe as `fork_recipe` does, with `hub` for the Hub; `token=False`: as a stranger.

    What was fetched before is not there any more.
    """

    def run(recipe: str, *arguments: object, token: bool = True) -> Result:
        _, home, server = online
        shutil.rmtree(home / "hub", ignore_errors=True)
        env = {"HF_TOKEN": hub.token if token else ""}
        return server.run(tmp_path, recipe, *arguments, env=env)

    return run


@pytest.fixture
def nsmc(tmp_path: Path) -> list[str]:
    """Options that read a tiny NSMC."""
    folder = write_nsmc(tmp_path / "corpora")
    options = ["--corpus_dir", str(folder), "--cache_dir", str(tmp_path / "cache")]
    return [*options, "--accept_files"]


@pytest.fixture
def finished(tmp_path):
    """Return an outcome; ``finished(scores, record={…}, **fields of Outcome)``."""

    def make(scores, record=(), **fields):
        rows = {"train": 640, "test": 200}
        data = {"name": "sample_reviews", "license": "CC0-1.0", "rows": rows}
        arguments = {
            "model_name_or_path": "klue/bert-base",
            "from_scratch": False,
            "do_train": True,
            "seeds": None,
            "seed": 7,
            "learning_rate": 1e-3,
            "num_train_epochs": 3,
            "max_steps": -1,
            "lr_scheduler_type": "linear",
        }
        known = {
            "arguments": arguments,
            "recipe": "doccls",
            "command": ["recipes/doccls.py"],
            "data": data | {"splits": {"train": "리뷰 [1].jsonl", "test": "ratings_test.txt"}},
            "device": "CPU, 2 cores",
            "processes": 1,
            "precision": "float32",
            "seconds": {"training": 12.0},
            "global_batch": 16,
            "max_length": 128,
            "versions": {"transformers": "5.23.0"},
            "plots": {"learning_curve.png": "학습 곡선"},
        }
        fields = {"folder": tmp_path, "metric": "accuracy", "name": "tester/reviews"} | fields
        return Outcome(record=known | dict(record), scores=scores, **fields)

    return make
