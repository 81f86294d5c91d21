"""A run that is killed and started again ends as if nothing had happened."""

import hashlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spy
from conftest import Result
from tasks import DOCCLS, STILL
from writing import Run, close

# 61 rows in global batches of 8: 8 steps an epoch, each of 2 micro-batches.
EPOCHS, STEPS, ACCUMULATION = 3, 8, 2
MICRO_BATCHES = EPOCHS * STEPS * ACCUMULATION
EVERY = 3
ARGUMENTS = [
    *(*DOCCLS, f"--max_train_samples 61 --num_train_epochs {EPOCHS} --learning_rate 5e-3"),
    f"--per_device_train_batch_size 4 --gradient_accumulation_steps {ACCUMULATION} --seed 5",
    f"--eval_strategy steps --eval_steps {EVERY} --save_strategy steps --save_steps {EVERY}",
    "--warmup_steps 0 --per_device_eval_batch_size 70 --max_predict_samples 70",
    "--metric_for_best_model loss",  # it falls to the end: the best weights are the last
]
BEST_IS_FIRST = ("--metric_for_best_model macro_f1",)  # a constant here
# Micro-batches of epoch 2 that complete a step: one half of its gradient is there and is lost.
KILLS = random.Random(0).sample(range(STEPS * ACCUMULATION + 2, 2 * STEPS * ACCUMULATION + 1, 2), 3)
TRAINER = "transformers.trainer:"
STEP = f"{TRAINER}Trainer.training_step:"
EARLY_STOPPING = ("--early_stopping_patience 3 --early_stopping_threshold 1",)


class Runs:
    """Runs of one command into one folder, each watched."""

    def __init__(self, fork_recipe: Callable, folder: Path):
        self.fork_recipe, self.folder = fork_recipe, folder
        self.out = Run(folder / "out")
        self.watched: list[Path] = []

    def __call__(self, *options: Any, kill: str | None = None) -> Result:
        watched = self.folder / f"watched-{len(self.watched)}"
        self.watched.append(watched)
        env = spy.environment(watched, kill)
        arguments = [*ARGUMENTS, "--output_dir", self.out, *options]
        return self.fork_recipe(spy.wrapper(watched), *arguments, env=env)

    @property
    def micro_batches(self) -> int:
        """Those of the last run."""
        return len(spy.trained(self.watched[-1]))

    @property
    def record(self) -> dict[str, Any]:
        return self.out.record

    def result(self, out: Run | None = None) -> dict[str, Any]:
        """Return what must not change."""
        run = out or self.out
        names = ("model.safetensors", "metrics.json", "predictions.jsonl", "errors.jsonl")
        found = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}
        return found | {key: run.record[key] for key in ("optimizer_steps", "best_checkpoint")}


@pytest.fixture
def runs(fork_recipe: Callable, tmp_path: Path) -> Runs:
    return Runs(fork_recipe, tmp_path)


@pytest.fixture
def killed(runs: Runs) -> Callable[..., None]:
    def killed(kill: str, *options: Any) -> None:
        result = runs(*options, kill=kill)
        assert result.status == -9, result.stderr
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
            other = Runs(runs.fork_recipe, tmp_path / "undisturbed")
            other.folder.mkdir()
            other(*options).expect()
            results[options] = other.result()
        return results[options]

    return undisturbed


@pytest.mark.parametrize(
    ("micro_batch", "resume"),
    [
        (KILLS[0], ["--resume auto"]),
        pytest.param(KILLS[1], [], marks=pytest.mark.long),
        pytest.param(KILLS[2], ["--resume auto"], marks=pytest.mark.long),
    ],
)
def test_killed_inside_a_step_and_continued_ends_in_the_same_weights(
    runs, killed, undisturbed, micro_batch, resume
):
    killed(f"{STEP}{micro_batch}")
    runs(*resume).expect()
    done = (micro_batch - 1) // ACCUMULATION // EVERY * EVERY
    assert undisturbed()["best_checkpoint"] == f"checkpoint-{EPOCHS * STEPS}"  # not one before
    assert runs.record["resumed_from"] == f"checkpoint-{done}"
    assert runs.micro_batches == MICRO_BATCHES - done * ACCUMULATION
    assert runs.result() == undisturbed()


def test_killed_before_the_first_checkpoint_starts_over(runs, killed, undisturbed):
    killed(f"{STEP}4")
    runs().expect()
    assert runs.record["resumed_from"] is None
    assert runs.result() == undisturbed()


def test_half_written_checkpoint_is_ignored(runs, killed, undisturbed):
    killed(f"{TRAINER}Trainer._save_optimizer_and_scheduler:4")
    assert (runs.out / "checkpoint-12" / "model.safetensors").is_file()
    runs().expect()
    assert runs.record["resumed_from"] == "checkpoint-9"
    assert runs.result() == undisturbed()


def test_checkpoint_that_is_written_again_does_not_count_until_it_is_whole(
    runs, killed, undisturbed
):
    kept = ("--save_total_limit 9",)
    killed(f"{STEP}30", *kept)
    again = ("--resume", runs.out / "checkpoint-6")
    killed(f"{TRAINER}Trainer._save_optimizer_and_scheduler:2", *kept, *again)
    runs(*kept).expect()
    assert runs.record["resumed_from"] == "checkpoint-9"  # 12 was being written
    assert runs.result() == undisturbed()


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "deletion", "done"), [((), 1, 6), ((), 7, 24), (BEST_IS_FIRST, 1, 9)]
)
def test_half_deleted_checkpoint_is_ignored(runs, killed, undisturbed, options, deletion, done):
    killed(f"rmtree:{deletion}", *options)
    runs("--resume auto", *options).expect()
    assert runs.record["resumed_from"] == f"checkpoint-{done}"
    assert runs.result() == undisturbed(*options)


@pytest.mark.long
def test_killed_while_the_checkpoints_of_a_finished_run_are_deleted(runs, undisturbed):
    runs(kill="rmtree:8")
    result = runs("--resume auto")
    assert (result.status, runs.micro_batches) == (0, 0)
    assert "This run is finished" in result.stderr
    assert runs.result() == undisturbed()


@pytest.mark.long
def test_half_deleted_checkpoint_of_a_run_to_be_started_over_is_ignored(runs, killed, undisturbed):
    killed(f"{STEP}18")
    killed("rmtree:1", "--resume never")
    assert [path.name for path in runs.out.folder.glob("checkpoint-*")] == ["checkpoint-6"]
    runs().expect()
    assert runs.record["resumed_from"] is None
    assert runs.result() == undisturbed()


@pytest.mark.parametrize("options", [(), ("--max_steps 12",), EARLY_STOPPING])
def test_killed_after_training_does_not_train_on(runs, killed, undisturbed, options):
    killed(f"{TRAINER}Trainer.predict:2", *options)
    runs(*options).expect()
    assert runs.micro_batches == 0
    assert runs.result() == undisturbed(*options)


@pytest.mark.long
def test_patience_survives(runs, killed, undisturbed):
    expected = undisturbed(*EARLY_STOPPING)
    assert expected["optimizer_steps"] == 4 * EVERY  # the first is the best, three are not better
    killed(f"{STEP}22", *EARLY_STOPPING)
    runs(*EARLY_STOPPING).expect()
    assert runs.record["resumed_from"] == "checkpoint-9"
    assert runs.result() == expected


def test_another_split_of_the_batch_continues_the_run(runs, killed, undisturbed):
    still = ("--config_overrides", STILL)
    undisturbed(*still)
    killed(f"{STEP}22", *still)
    runs(*still, "--per_device_train_batch_size 8 --gradient_accumulation_steps 1").expect()
    assert runs.record["resumed_from"] == "checkpoint-9"
    assert runs.micro_batches == EPOCHS * STEPS - 9
    assert close(runs.out.rows, Run(runs.folder / "undisturbed" / "out").rows, 1e-5)


@pytest.mark.long
def test_moved_run_continues(runs, killed, undisturbed):
    killed(f"{TRAINER}Trainer.predict:1", *BEST_IS_FIRST)
    runs.out = Run(shutil.move(runs.out.folder, runs.folder / "moved"))
    runs(*BEST_IS_FIRST).expect()
    assert runs.result() == undisturbed(*BEST_IS_FIRST)


def test_auto_on_a_finished_run_trains_nothing_and_says_so(runs):
    runs().expect()
    before = runs.result(), runs.record
    result = runs("--resume auto").expect()
    assert "This run is finished; nothing is trained." in result.stderr
    assert runs.micro_batches == 0
    assert (runs.result(), runs.record) == before


def test_finished_run_is_trained_again_by_default(runs, undisturbed):
    runs("--keep_checkpoints true").expect()
    runs().expect()
    assert (runs.micro_batches, runs.record["resumed_from"]) == (MICRO_BATCHES, None)
    assert runs.result() == undisturbed()


def test_never_starts_over(runs, killed, undisturbed):
    killed(f"{STEP}30")
    runs("--resume never").expect()
    assert (runs.micro_batches, runs.record["resumed_from"]) == (MICRO_BATCHES, None)
    assert runs.result() == undisturbed()


def test_killed_in_the_second_seed_the_first_is_not_trained_again(runs, killed, undisturbed):
    seeds = ("--seeds 1 2",)
    expected = undisturbed(*seeds)
    killed(f"{STEP}{MICRO_BATCHES + 30}", *seeds)
    first = runs.result(Run(runs.out / "seed-1"))
    runs(*seeds).expect()
    assert runs.micro_batches == MICRO_BATCHES - 12 * ACCUMULATION
    assert runs.result(Run(runs.out / "seed-1")) == first
    assert runs.result() == expected


@pytest.mark.long
def test_killed_after_the_last_seed_the_card_still_shows_the_plots(runs, killed):
    seeds = ("--seeds 1 2",)
    killed("nlpbook_data.training.launch:write_card:1", *seeds)
    runs(*seeds).expect()
    assert runs.micro_batches == 0
    for plot in ("learning_curve.png", "confusion_matrix.png"):
        assert (runs.out / plot).is_file() and f"]({plot})" in runs.out.card
