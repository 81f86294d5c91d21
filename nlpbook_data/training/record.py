"""The contents of run.json, and the callback that collects them during training."""

import json
import logging
import math
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate import PartialState
from transformers import TrainerCallback

from nlpbook_data.errors import InputError
from nlpbook_data.outward import redact
from nlpbook_data.training.arguments import RecipeArguments, as_record
from nlpbook_data.training.checkpoints import COMPLETE, mark_whole
from nlpbook_data.training.folder import RunFolder
from nlpbook_data.training.launcher import cores
from nlpbook_data.training.sampler import GlobalBatchSampler

logger = logging.getLogger(__name__)

PACKAGES = ("transformers", "datasets", "evaluate", "accelerate", "torch", "tokenizers")
ROWS_NAMED = 16  # the most rows named of a batch


class Interrupted(BaseException):
    """A signal asked the run to stop; its number is the argument."""


def start_record(recipe: Path, args: RecipeArguments, *others: Any) -> dict[str, Any]:
    """Return the record of a run before it begins."""
    rows = args.per_device_train_batch_size * args.gradient_accumulation_steps
    return {
        "status": "running",
        "arguments": json.loads(redact(json.dumps(as_record(*others, args), default=str))),
        "command": [redact(word) for word in sys.argv],
        "recipe": recipe.stem,
        "global_batch": rows * args.world_size,
        "started": now(),
        "commit": _commit(recipe.parent),
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "device": _device(args),
        "processes": args.world_size,
        "seconds": {},
    }


def now() -> str:
    """Return date and time to the second, with the time zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


@dataclass
class RunCallback(TrainerCallback):
    """Opens the folder, marks complete checkpoints, measures speed, and handles signals."""

    open_folder: Callable[[], None]  # called when training begins
    folder: RunFolder
    record: dict[str, Any]  # the contents of run.json
    keep: int | None  # so many checkpoints in addition to the best; None keeps all
    history: list[dict[str, Any]] = field(default_factory=list)  # Trainer's log of training
    signal: int | None = None  # one that was received; it stops training after this step
    signalled: float = 0.0  # when it was received
    is_training: bool = False  # whether a checkpoint can be saved after a signal
    in_step: bool = False  # whether an optimizer step is running, not an evaluation
    told: Any = None  # exchanges signals between processes
    before: set[Path] = field(default_factory=set)  # complete checkpoints before this training
    first_step: int = 0  # the optimizer steps done before this training
    began: float = 0.0  # when this training began

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the folder; look for the best checkpoint in it, because it may have been moved."""
        self.open_folder()
        best = self.folder.path / f"checkpoint-{state.best_global_step}"
        if best.is_dir():
            state.best_model_checkpoint = str(best)
        self.record["max_length"] = kwargs["processing_class"].model_max_length
        self.record["resumed_from"] = (
            f"checkpoint-{state.global_step}" if state.global_step else None
        )
        self.folder.delete_damaged(state.global_step)
        self.before = set(self.folder.marked_checkpoints())
        self.first_step, self.began = state.global_step, time.perf_counter()
        self.is_training = True
        if args.world_size > 1:  # the devices' backend would wait for their queues
            self.told = _Told(torch.distributed.new_group(backend="gloo"))
            self.folder.check_shared(self.told.group)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the time from the start of the process to the first batch."""
        self.in_step = True
        if "seconds_to_first_batch" not in self.record:
            seconds = time.time() - psutil.Process().create_time()
            self.record["seconds_to_first_batch"] = round(seconds, 3)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After a signal, save or, if saving is not possible, stop."""
        self.in_step = False
        stop = self.told.stop(self.signal) if self.told else self.signal
        self.signal = stop or self.signal
        if stop and args.save_strategy == "no":
            raise Interrupted(stop)
        control.should_save |= bool(stop)
        path = self.folder.path / f"checkpoint-{state.global_step}"
        if self.folder.is_main and path in self.before:  # it may be rewritten, and killed meanwhile
            (path / COMPLETE).unlink(missing_ok=True)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop if the continued run had already reached its last step."""
        if state.global_step == self.first_step:
            control.should_log = control.should_evaluate = control.should_save = False

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark the checkpoint as complete when every process has written its part.

        Older checkpoints are deleted only after that.
        """
        PartialState().wait_for_everyone()
        if self.folder.is_main:
            mark_whole(self.folder.path / f"checkpoint-{state.global_step}")
            if self.keep:
                self.folder.delete_checkpoints(self.keep, state.best_model_checkpoint)
        if self.signal and (self.told is None or self.told.agreed):
            raise Interrupted(self.signal)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record steps, speed and padding."""
        self.is_training, self.history = False, state.log_history
        if self.signal:  # it came after the last step
            raise Interrupted(self.signal)
        seconds = max(time.perf_counter() - self.began, 1e-9)
        best = state.best_model_checkpoint
        self.record |= {
            "optimizer_steps": state.global_step,
            "best_checkpoint": best and Path(best).name,
            "peak_memory_mib": _peak_memory(args),
        }
        sampler = kwargs["train_dataloader"].batch_sampler
        if isinstance(sampler, GlobalBatchSampler):
            rows = sampler.rows(state.global_step) - sampler.rows(self.first_step)
            self.record |= {
                "train_examples_per_second": round(rows / seconds, 2),
                "train_tokens_per_second": round(rows / seconds * sampler.lengths.mean(), 1),
                "real_token_share": round(sampler.real_tokens(), 4),
            }


class _Told:
    """A signal to one process stops all processes after the same step.

    Each step reads the exchange that the previous step started, so it does not wait.
    """

    def __init__(self, group: Any):
        self.group, self.sent, self.number = group, None, torch.zeros(1, dtype=torch.int64)
        self.agreed = 0

    def stop(self, signal: int | None) -> int:
        """Return the signal that all processes agree on, 0 for none; all call it once a step."""
        if self.sent is not None:
            self.sent.wait()
            self.agreed = int(self.number)
        self.number = torch.tensor([signal or 0])
        options = {"op": torch.distributed.ReduceOp.MAX, "group": self.group, "async_op": True}
        self.sent = torch.distributed.all_reduce(self.number, **options)
        return self.agreed


def check_loss(loss: float, step: int, what: str = "loss", rows: Sequence[int] = ()) -> None:
    """Raise an error if the loss is NaN or infinite.

    Args:
        rows: the rows of the batch of `step`, if they are known.

    Raises:
        InputError: the loss is NaN or infinite.
    """
    if math.isfinite(loss):
        return
    if rows:
        named = ", ".join(map(str, rows[:ROWS_NAMED])) + (", …" if len(rows) > ROWS_NAMED else "")
        raise InputError(
            f"The {what} became {loss} in step {step}, whose batch has the rows {named} of train "
            "as it was prepared. Lower --learning_rate, or pass --precision float32; the "
            "checkpoints before are kept."
        )
    raise InputError(
        f"The {what} became {loss} by step {step}. Lower --learning_rate, or pass "
        "--precision float32; the checkpoints before are kept."
    )


def are_finite(model: torch.nn.Module) -> bool:
    """Return whether no weight is NaN or infinite; one bad gradient can spoil all of them."""
    return all(weights.isfinite().all() for weights in model.parameters())


def _commit(folder: Path) -> str | None:
    """Return the commit of the recipe's checkout, with ``+changes`` if it is not clean."""
    git = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            [*git, "--dirty=+changes"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _device(args: RecipeArguments) -> str:
    if args.device.type == "cuda":
        return torch.cuda.get_device_name(args.device)
    name, cpus = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpus.is_file() and (found := re.search(r"model name\s*: (.+)", cpus.read_text())):
        name = found[1]
    name = f"MPS, {name}" if args.device.type == "mps" else name
    return f"{name}, {torch.get_num_threads()} of {cores()} cores"


def _peak_memory(args: RecipeArguments) -> dict[str, int]:
    """Return the peak memory of this process in MiB, and of its GPU."""
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, else KiB
        found = {"host": peak >> (20 if sys.platform == "darwin" else 10)}
    except ImportError:  # Windows
        found = {"host": psutil.Process().memory_info().peak_wset >> 20}
    if args.device.type == "cuda":
        found["cuda"] = torch.cuda.max_memory_allocated(args.device) >> 20
    return found
