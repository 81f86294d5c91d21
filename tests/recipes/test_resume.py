"""A run that is killed and started again ends as if nothing had happened."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spy
from conftest import DOCCLS, SIZE, Result

# 61 rows in global batches of 8: 8 steps an epoch, each of 2 micro-batches.
EPOCHS, STEPS, ACCUMULATION = 3, 8, 2
MICRO_BATCHES = EPOCHS * STEPS * ACCUMULATION
EVERY = 3
ARGUMENTS = [
    *(*DOCCLS, "--max_train_samples", 61, "--num_train_epochs", EPOCHS, "--learning_rate", "5e-3"),
    *("--per_device_train_batch_size", 4, "--gradient_accumulation_steps", ACCUMULATION),
    *("--eval_strategy", "steps", "--eval_steps", EVERY, "--seed", 5, "--warmup_steps", 0),
    *("--save_strategy", "steps", "--save_steps", EVERY),
    *("--metric_for_best_model", "loss"),  # it falls to the end: the best weights are the last
]
BEST_IS_FIRST = ("--metric_for_best_model", "macro_f1")  # a constant here
# Micro-batches of epoch 2 that complete a step: one half of its gradient is there and is lost.
KILLS = random.Random(0).sample(range(STEPS * ACCUMULATION + 2, 2 * STEPS * ACCUMULATION + 1, 2), 3)
TRAINER = "transformers.trainer:"
STEP = f"{TRAINER}Trainer.training_step:"
EARLY_STOPPING = ("--early_stopping_patience", 3, "--early_stopping_threshold", 1)


class Runs:
    """Runs of one command into one folder, each watched."""

    def __init__(self, run_recipe: Callable, fork_recipe: Callable, folder: Path):
        self.run_recipe, self.fork_recipe, self.folder = run_recipe, fork_recipe, folder
        self.out = folder / "out"
        self.watched: list[Path] = []

    def __call__(
        self, *options: Any, kill: str | None = None, fork: bool = True, processes: int = 1
    ) -> Result:
        self.watched.append(self.folder / f"watched-{len(self.watched)}")
        env = spy.environment(self.watched[-1], kill)
        arguments = [*ARGUMENTS, "--output_dir", self.out, *options]
        if fork and processes == 1:
            return self.fork_recipe(spy.wrapper(self.watched[-1]), *arguments, env=env)
        return self.run_recipe("doccls", *arguments, env=env, processes=processes)

    @property
    def micro_batches(self) -> int:
        """Those of the last run, of one process."""
        return sum(batch["rank"] == 0 for batch in spy.trained(self.watched[-1]))

    @property
    def record(self) -> dict[str, Any]:
        return json.loads((self.out / "run.json").read_text())

    def result(self, out: Path | None = None) -> dict[str, str]:
        """Return the hashes of what must not change."""
        names = ("model.safetensors", "metrics.json", "predictions.jsonl", "errors.jsonl")
        files = [(out or self.out) / name for name in names]
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        record = json.loads(((out or self.out) / "run.json").read_text())
        return hashes | {key: record[key] for key in ("optimizer_steps", "best_checkpoint")}


@pytest.fixture
def runs(run_recipe: Callable, fork_recipe: Callable, tmp_path: Path) -> Runs:
    return Runs(run_recipe, fork_recipe, tmp_path)


@pytest.fixture
def killed(runs: Runs) -> Callable[..., None]:
    def killed(kill: str, *options: Any, **how: Any) -> None:
        result = runs(*options, kill=kill, **how)
        assert result.status == -9 or how.get("processes"), result.stderr
        assert result.status != 0
        assert runs.record["status"] == "running"

    return killed


@pytest.fixture(scope="module")
def results() -> dict[tuple, dict[str, str]]:
    return {}


@pytest.fixture
def undisturbed(runs: Runs, results: dict, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """What the same command leaves if nothing kills it; run once a module and set of options."""

    def undisturbed(*options: Any) -> dict[str, str]:
        if options not in results:
            other = Runs(runs.run_recipe, runs.fork_recipe, tmp_path / "undisturbed")
            other.folder.mkdir()
            result = other(*options)
            assert result.status == 0, result.stderr
            results[options] = other.result()
        return results[options]

    return undisturbed


def assert_same(runs: Runs, expected: dict[str, Any]) -> None:
    assert runs.result() == expected


@pytest.mark.parametrize(
    ("micro_batch", "resume"),
    [
        (KILLS[0], ["--resume", "auto"]),
        pytest.param(KILLS[1], [], marks=pytest.mark.long),
        pytest.param(KILLS[2], ["--resume", "auto"], marks=pytest.mark.long),
    ],
)
def test_killed_inside_a_step_and_continued_ends_in_the_same_weights(
    runs, killed, undisturbed, micro_batch, resume
):
    killed(f"{STEP}{micro_batch}")
    result = runs(*resume)
    assert result.status == 0, result.stderr
    done = (micro_batch - 1) // ACCUMULATION // EVERY * EVERY
    assert undisturbed()["best_checkpoint"] == f"checkpoint-{EPOCHS * STEPS}"  # not one before
    assert runs.record["resumed_from"] == f"checkpoint-{done}"
    assert runs.micro_batches == MICRO_BATCHES - done * ACCUMULATION
    assert_same(runs, undisturbed())


@pytest.mark.long
def test_killed_as_a_process_of_its_own_and_continued_by_another(runs, killed, undisturbed):
    killed(f"{STEP}30", fork=False)
    result = runs("--resume", "auto", fork=False)
    assert result.status == 0, result.stderr
    assert runs.record["resumed_from"] == "checkpoint-12"
    assert_same(runs, undisturbed())


@pytest.mark.long
def test_killed_twice(runs, killed, undisturbed):
    killed(f"{STEP}20")
    killed(f"{STEP}20")  # 18 micro-batches were done: in step 19 of 24
    assert runs().status == 0
    assert runs.record["resumed_from"] == "checkpoint-18"
    assert_same(runs, undisturbed())


def test_killed_before_the_first_checkpoint_starts_over(runs, killed, undisturbed):
    killed(f"{STEP}4")
    assert runs().status == 0
    assert runs.record["resumed_from"] is None
    assert_same(runs, undisturbed())


def test_half_written_checkpoint_is_ignored(runs, killed, undisturbed):
    killed(f"{TRAINER}Trainer._save_optimizer_and_scheduler:4")
    assert (runs.out / "checkpoint-12" / "model.safetensors").is_file()
    result = runs()
    assert result.status == 0, result.stderr
    assert runs.record["resumed_from"] == "checkpoint-9"
    assert_same(runs, undisturbed())


def test_checkpoint_that_is_written_again_does_not_count_until_it_is_whole(
    runs, killed, undisturbed
):
    kept = ("--save_total_limit", 9)
    killed(f"{STEP}30", *kept)
    again = ("--resume", runs.out / "checkpoint-6")
    killed(f"{TRAINER}Trainer._save_optimizer_and_scheduler:2", *kept, *again)
    assert runs(*kept).status == 0
    assert runs.record["resumed_from"] == "checkpoint-9"  # 12 was being written
    assert_same(runs, undisturbed())


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "deletion", "done"), [((), 1, 6), ((), 7, 24), (BEST_IS_FIRST, 1, 9)]
)
def test_half_deleted_checkpoint_is_ignored(runs, killed, undisturbed, options, deletion, done):
    killed(f"rmtree:{deletion}", *options)
    result = runs("--resume", "auto", *options)
    assert result.status == 0, result.stderr
    assert runs.record["resumed_from"] == f"checkpoint-{done}"
    assert_same(runs, undisturbed(*options))


@pytest.mark.long
def test_killed_while_the_checkpoints_of_a_finished_run_are_deleted(runs, undisturbed):
    runs(kill="rmtree:8")
    result = runs("--resume", "auto")
    assert (result.status, runs.micro_batches) == (0, 0)
    assert "This run is finished" in result.stderr
    assert_same(runs, undisturbed())


@pytest.mark.long
def test_half_deleted_checkpoint_of_a_run_to_be_started_over_is_ignored(runs, killed, undisturbed):
    killed(f"{STEP}18")
    killed("rmtree:1", "--resume", "never")
    assert [path.name for path in runs.out.glob("checkpoint-*")] == ["checkpoint-6"]
    result = runs()
    assert result.status == 0, result.stderr
    assert runs.record["resumed_from"] is None
    assert_same(runs, undisturbed())


@pytest.mark.parametrize("options", [(), ("--max_steps", 12), EARLY_STOPPING])
def test_killed_after_training_does_not_train_on(runs, killed, undisturbed, options):
    killed(f"{TRAINER}Trainer.predict:2", *options)
    result = runs(*options)
    assert result.status == 0, result.stderr
    assert runs.micro_batches == 0
    assert_same(runs, undisturbed(*options))


@pytest.mark.long
def test_patience_survives(runs, killed, undisturbed):
    expected = undisturbed(*EARLY_STOPPING)
    assert expected["optimizer_steps"] == 4 * EVERY  # the first is the best, three are not better
    killed(f"{STEP}22", *EARLY_STOPPING)
    assert runs(*EARLY_STOPPING).status == 0
    assert runs.record["resumed_from"] == "checkpoint-9"
    assert_same(runs, expected)


def test_another_split_of_the_batch_continues_the_run(runs, killed, undisturbed):
    still = (
        "--config_overrides",
        f"{SIZE},hidden_dropout_prob=0,attention_probs_dropout_prob=0",
    )
    undisturbed(*still)
    killed(f"{STEP}22", *still)
    whole = ("--per_device_train_batch_size", 8, "--gradient_accumulation_steps", 1)
    result = runs(*still, *whole)
    assert result.status == 0, result.stderr
    assert runs.record["resumed_from"] == "checkpoint-9"
    assert runs.micro_batches == EPOCHS * STEPS - 9

    def predictions(folder: Path) -> list[float]:
        rows = map(json.loads, (folder / "predictions.jsonl").read_text().splitlines())
        return [p for row in rows for p in row["probabilities"].values()]

    other = predictions(runs.folder / "undisturbed" / "out")
    assert predictions(runs.out) == pytest.approx(other, abs=1e-5)


@pytest.mark.long
def test_moved_run_continues(runs, killed, undisturbed):
    killed(f"{TRAINER}Trainer.predict:1", *BEST_IS_FIRST)
    runs.out = shutil.move(runs.out, runs.folder / "moved")
    result = runs(*BEST_IS_FIRST)
    assert result.status == 0, result.stderr
    assert_same(runs, undisturbed(*BEST_IS_FIRST))


def test_auto_on_a_finished_run_trains_nothing_and_says_so(runs):
    assert runs().status == 0
    before = runs.result(), runs.record
    result = runs("--resume", "auto")
    assert result.status == 0
    assert "This run is finished; nothing is trained." in result.stderr
    assert runs.micro_batches == 0
    assert (runs.result(), runs.record) == before


def test_finished_run_is_trained_again_by_default(runs, undisturbed):
    assert runs("--keep_checkpoints", "true").status == 0
    assert runs().status == 0
    assert (runs.micro_batches, runs.record["resumed_from"]) == (MICRO_BATCHES, None)
    assert_same(runs, undisturbed())


def test_never_starts_over(runs, killed, undisturbed):
    killed(f"{STEP}30")
    assert runs("--resume", "never").status == 0
    assert (runs.micro_batches, runs.record["resumed_from"]) == (MICRO_BATCHES, None)
    assert_same(runs, undisturbed())


def test_killed_in_the_second_seed_the_first_is_not_trained_again(runs, killed, undisturbed):
    seeds = ("--seeds", 1, 2)
    expected = undisturbed(*seeds)
    killed(f"{STEP}{MICRO_BATCHES + 30}", *seeds)
    first = runs.result(runs.out / "seed-1")
    result = runs(*seeds)
    assert result.status == 0, result.stderr
    assert runs.micro_batches == MICRO_BATCHES - 12 * ACCUMULATION
    assert runs.result(runs.out / "seed-1") == first
    assert_same(runs, expected)


@pytest.mark.long
def test_killed_after_the_last_seed_the_card_still_shows_the_plots(runs, killed):
    seeds = ("--seeds", 1, 2)
    killed("nlpbook_data.training.launch:write_card:1", *seeds)
    assert runs(*seeds).status == 0
    assert runs.micro_batches == 0
    for plot in ("learning_curve.png", "confusion_matrix.png"):
        assert (runs.out / plot).is_file()
        assert f"]({plot})" in (runs.out / "README.md").read_text()


@pytest.mark.long
def test_two_processes_killed_and_continued_end_in_the_same_weights(runs, killed):
    half = ("--gradient_accumulation_steps", 1, "--max_train_samples", 29)  # 4 steps an epoch
    half = (*half, "--load_best_model_at_end", "false")
    other = Runs(runs.run_recipe, runs.fork_recipe, runs.folder / "undisturbed")
    other.folder.mkdir()
    assert other(*half, processes=2).status == 0
    killed(f"{STEP}8", *half, processes=2)
    result = runs(*half, "--resume", "auto", processes=2)
    assert result.status == 0, result.stderr
    assert runs.record["resumed_from"] == "checkpoint-6"
    assert runs.micro_batches == EPOCHS * 4 - 6
    assert runs.result() == other.result()
