"""The run and what it leaves behind: run.json, model, scores, predictions, plots, card."""

import copy
import errno
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
import transformers
from filelock import FileLock, Timeout
from huggingface_hub import get_token
from transformers import TrainerCallback, set_seed

from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError
from nlpbook_data.metrics.names import LOWER_IS_BETTER, SHOWN, goodness
from nlpbook_data.reports.card import write_card
from nlpbook_data.reports.outcome import Outcome
from nlpbook_data.reports.plots import plot_learning_curve
from nlpbook_data.reports.push import full_name, push_folder
from nlpbook_data.reports.summary import print_summary
from nlpbook_data.training.arguments import (
    SAME_RUN,
    SAME_RUN_PREFIXES,
    RecipeArguments,
    as_record,
)
from nlpbook_data.training.models import merge_lora, save_model
from nlpbook_data.training.precision import choose_precision

logger = logging.getLogger(__name__)

COMPLETE = "complete"  # the file that marks a whole checkpoint
TRAINED_IN = "training_precision"  # in the model's config: predictions repeat only in the same
PACKAGES = ("transformers", "datasets", "evaluate", "accelerate", "torch", "tokenizers")


class Interrupted(BaseException):
    """A signal asked the run to stop."""


class Run:
    """One run of a recipe in its folder, or one seed of it.

    Attributes:
        recipe: the recipe's name.
        args: `RecipeArguments` of this run, its seed and folder set.
        folder: ``--output_dir``, or ``seed-N`` in it.
        record: what goes into run.json.
        best_by: the task's own score of validation to choose by.
        callbacks: the recipe's own, for the trainer.
        scores: ``{"validation": {…}, "test": {…}, "baselines": {…}}``.
    """

    def __init__(
        self,
        recipe: str,
        args: RecipeArguments,
        record: dict[str, Any],
        parent: "Run | None" = None,
    ):
        self.recipe = recipe
        self.args = args
        self.parent = parent or self  # of one seed: the run of all
        self.best_by = parent.best_by if parent else ""
        self.ceiling: dict[str, Any] = {}
        self.callbacks: list[TrainerCallback] = []
        self.folder = Path(args.output_dir).expanduser()
        self.record = record
        self.scores: dict[str, Any] = {}
        self.seed_runs: list[Run] = []
        self.history: list[dict[str, Any]] = []
        self.training = False
        self.started = False
        self.signal: int | None = None

    @classmethod
    def start(cls, recipe: str, args: RecipeArguments, *others: Any) -> "Run":
        """Check that the folder is free for this run, and begin its record; write nothing yet.

        Raises:
            InputError: the folder cannot be written, holds another run, or is in use.
        """
        if args.resume_from_checkpoint and args.resume is None:
            args.resume = args.resume_from_checkpoint
        args._n_gpu = min(args.n_gpu, 1)  # one process a device: `accelerate launch` starts them
        seeds = args.seeds or [args.seed]
        if len(set(seeds)) != len(seeds):
            raise InputError(f"--seeds {' '.join(map(str, seeds))} names a seed twice.")
        if args.push_to_hub and not (args.hub_token or get_token()):
            raise InputError(
                "--push_to_hub needs a token, and none is there. Run `hf auth login` first."
            )
        if args.push_to_hub:
            name = args.hub_model_id or Path(args.output_dir).expanduser().resolve().name
            try:
                args.hub_model_id = full_name(name, args.hub_token)
            except Exception as error:  # the client raises a dozen unrelated types
                raise InputError(
                    "--push_to_hub: the Hub does not say whose token this is "
                    f"({(str(error).strip() or type(error).__name__).splitlines()[0]}). Run "
                    "`hf auth login` again, or see to the network."
                ) from error
        # Trainer pushes at each checkpoint while this is set; ours pushes once, last.
        args.push_at_end, args.push_to_hub = args.push_to_hub, False
        args.dataloader_pin_memory &= args.device.type == "cuda"
        arguments = as_record(*others, args)
        for other in others:
            if args.process_index and hasattr(other, "overwrite_cache"):
                other.overwrite_cache = False  # the first process has prepared the data again
        run = cls(Path(recipe).stem, args, {"status": "running", "arguments": arguments})
        global _current
        _current = run
        run._refuse_other_run()
        run.record |= {
            "command": _redacted(sys.argv, args),
            "recipe": run.recipe,
            "global_batch": run.global_batch,
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "commit": _commit(Path(recipe).parent),
            "versions": {name: version(name) for name in PACKAGES}
            | {"python": platform.python_version()},
            "device": _device(args),
            "processes": args.world_size,
            "seconds": {},
        }
        return run

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return self.args.process_index == 0

    @property
    def global_batch(self) -> int:
        """Rows of one optimizer step over all processes."""
        args = self.args
        rows = args.per_device_train_batch_size * args.gradient_accumulation_steps
        return rows * args.world_size

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase into run.json, in seconds."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = self.record["seconds"]
            seconds[name] = round(seconds.get(name, 0) + time.perf_counter() - start, 3)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Let the main process go first, so that the others find what it cached."""
        with self.args.main_process_first(local=False, desc="preparing data"):
            yield

    def describe(self, source: Any, best_by: str) -> None:
        """Record the data; refuse to continue a run that began with other data.

        Args:
            source: of `load_source`.
            best_by: the score of validation that chooses among checkpoints and seeds, unless the
                user named one.
        """
        self.best_by = best_by
        if self.args.metric_for_best_model == "auto":
            self.args.metric_for_best_model = best_by
        metric = (self.args.metric_for_best_model or "loss").removeprefix("eval_")
        self.args.greater_is_better = metric not in LOWER_IS_BETTER
        data = {
            "name": source.name,
            "splits": source.origins,
            "rows": {split: len(rows) for split, rows in source.splits.items()},
            "sha256": source.hashes,
            "license": source.license,
        }
        before = self._previous().get("data", {}).get("sha256")
        if before not in (None, data["sha256"]) and self._continues():
            raise InputError(
                f"{self.folder}: the data changed since this run began "
                f"({', '.join(k for k in data['sha256'] if before.get(k) != data['sha256'][k])}). "
                "Choose another --output_dir, or pass --resume never."
            )
        self.record["data"] = data
        for split, origin in source.origins.items():
            if split in source.splits:
                logger.info("%s: %s rows, %s", split, f"{len(source.splits[split]):,}", origin)

    def each_seed(self) -> Iterator["Run"]:
        """Yield the runs to be done, one a seed, the random state set; finished ones are kept.

        Nothing is written before one trains or leaves its scores, so that a model that cannot be
        loaded costs nothing of a run that was here before.
        """
        seeds = self.args.seeds or [self.args.seed]
        for seed in seeds:
            child = self
            if len(seeds) > 1:
                args = copy.copy(self.args)
                args.seed, args.seeds = seed, None
                args.output_dir = str(self.folder / f"seed-{seed}")
                child = Run(self.recipe, args, copy.deepcopy(self.record), parent=self)
                child.record["arguments"] |= {"seed": seed, "output_dir": args.output_dir}
                if self._continues() and child._is_finished():
                    logger.info("seed %d is finished: %s", seed, child.folder)
                    child.scores = json.loads((child.folder / "metrics.json").read_text())
                    child.record = child._previous()
                    self.seed_runs.append(child)
                    continue
            else:
                child.args.seed = seed
            self.seed_runs.append(child)
            set_seed(seed)
            yield child
            if child is not self:
                child._close("finished")

    def checkpoint(self) -> str | None:
        """Return the checkpoint to continue from: the last whole one, or the one named."""
        resume = self.args.resume
        if resume not in (None, "auto", "never"):
            return resume
        whole = [path for path in self._checkpoints() if (path / COMPLETE).is_file()]
        if not whole:
            return None
        logger.info("Continuing from %s.", whole[-1])
        return str(whole[-1])

    def train(self, trainer: Any) -> None:
        """Train, from a checkpoint where there is one; record speed and padding."""
        with self.once():
            self._open()
        checkpoint = self.checkpoint()
        self.training = True
        with self.phase("training"):
            try:
                output = trainer.train(resume_from_checkpoint=checkpoint)
            finally:
                self.history = trainer.state.log_history
        self.training = False
        state, sampler = trainer.state, trainer.sampler
        padded_to = trainer.max_length if self.args.pad_to_max_length else None
        packed = trainer.train_collator is not None
        rows = sampler.rows(state.global_step) - sampler.rows(trainer._initial_global_step)
        seconds = max(output.metrics["train_runtime"], 1e-9)
        self.record |= {
            "optimizer_steps": state.global_step,
            "resumed_from": checkpoint and Path(checkpoint).name,
            "best_checkpoint": state.best_model_checkpoint
            and Path(state.best_model_checkpoint).name,
            "train_examples_per_second": round(rows / seconds, 2),
            "train_tokens_per_second": round(rows / seconds * float(sampler.lengths.mean()), 1),
            "real_token_share": 1.0 if packed else round(sampler.real_tokens(padded_to), 4),
            "peak_memory_mib": _peak_memory(self.args),
        }

    def choose_precision(self, model: Any) -> None:
        """Choose by measuring `model`; a continued run, and a trained model, keep their own."""
        trained_in = None if self.args.do_train else getattr(model.config, TRAINED_IN, None)
        known = self._previous() or self.parent._previous()
        before = known.get("precision") if self._continues() else trained_in
        # One choice for all seeds: they are compared, and a process can have only one.
        before = self.parent.record.get("precision", before)
        self.record["precision"] = choose_precision(self.args, model, before)
        self.parent.record["precision"] = self.record["precision"]
        setattr(model.config, TRAINED_IN, self.record["precision"])

    def watch(self) -> TrainerCallback:
        """Return the callback that notes the first batch and answers a signal with a checkpoint."""
        return _Watch(self)

    def save(self, trainer: Any) -> None:
        """Write model and tokenizer as ``from_pretrained`` and ``pipeline`` want them."""
        trainer.check_weights()
        self.record["max_length"] = trainer.max_length
        if hasattr(trainer, "export"):  # of another library's form
            trainer.export(self.folder)
            return
        model = trainer.accelerator.unwrap_model(trainer.model)
        if self.record["arguments"].get("merge_lora", True):
            model = merge_lora(model)
        model.config._name_or_path = ""  # it may be a local path
        tokenizer = copy.deepcopy(trainer.processing_class)
        # So that a pipeline truncates as training did.
        tokenizer.model_max_length = trainer.max_length
        tokenizer.init_kwargs.pop("name_or_path", None)
        if self.is_main:
            save_model(model, self.folder)
            tokenizer.save_pretrained(self.folder)

    def predict(self, trainer: Any, encoded: Mapping[str, Any], split: str) -> np.ndarray:
        """Return the logits of `split` in the order of its rows; every process has all of them."""
        with self.phase(f"evaluation on {split}"):
            return trainer.predict(encoded[split]).predictions

    def leave(
        self,
        scores: Mapping[str, Any],
        predictions: list[dict[str, Any]],
        errors: list[dict[str, Any]],
    ) -> None:
        """Write metrics.json, predictions.jsonl, the first 100 errors and the learning curve."""
        self.scores = dict(scores)
        if not self.is_main:
            return
        self._open()
        write_text(self.folder / "metrics.json", _json(self.scores))
        for name, rows in (("predictions.jsonl", predictions), ("errors.jsonl", errors[:100])):
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_text(self.folder / name, "".join(lines))
        if self.history:
            metric = (self.args.metric_for_best_model or "").removeprefix("eval_")
            self.plot(plot_learning_curve, "learning_curve.png", self.history, metric, "학습 곡선")

    def plot(self, draw: Callable[..., None], name: str, *arguments: Any) -> None:
        """Draw ``draw(*arguments[:-1], path)`` into `name`; the last argument is its caption."""
        if self.is_main:
            draw(*arguments[:-1], self.folder / name)
        self.record.setdefault("plots", {})[name] = arguments[-1]

    def report_ceiling(self, scores: Mapping[str, Any]) -> None:
        """Record what perfect predictions of tokens would score: ``{split: scores}``."""
        self.ceiling = dict(scores)
        for split, values in scores.items():
            name = next(name for name in SHOWN if name in values)
            logger.info("%s: perfect tokens would score %s %.4f", split, SHOWN[name], values[name])

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file of the recipe's own."""
        if self.is_main:
            write_text(self.folder / name, _json(value))

    def extend_config(self, **values: Any) -> None:
        """Add to the saved model's config.json what only evaluation has found out."""
        path = self.folder / "config.json"
        if self.args.do_train and self.is_main:
            self.write(path.name, json.loads(path.read_text(encoding="utf-8")) | values)

    def add_scores(self, name: str, scores: Mapping[str, Any]) -> None:
        """Add to metrics.json what is no score of a split."""
        self.scores[name] = dict(scores)
        self.write("metrics.json", self.scores)

    @property
    def wants_baselines(self) -> bool:
        """Whether this process scores the baselines."""
        return self.args.baselines and self.args.do_train and self.is_main

    def finish(
        self,
        baselines: Mapping[str, Any],
        task: str,
        pipeline_tag: str,
        usage: str,
        labels: list[str],
    ) -> None:
        """Choose among the seeds, write the card and run.json, print the summary, push last.

        Args:
            baselines: ``{name: {"validation": {…}, "test": {…}, "seconds": s}}``.
            task: its name in Korean.
            pipeline_tag: its name on the Hub.
            usage: Python source for the card; MODEL stands for the model's name.
            labels: in words.
        """
        metric = (self.args.metric_for_best_model or "loss").removeprefix("eval_")
        if metric == "loss":  # which is not among the scores
            metric = self.best_by
        if len(self.seed_runs) > 1 and self.is_main:
            self._open()  # where all seeds were finished before
            best = max(
                self.seed_runs,
                key=lambda run: goodness(metric, run.scores.get("validation", {}).get(metric)),
            )
            for path in best.folder.iterdir():
                if path.is_file() and path.name != "run.json" and not path.name.startswith("."):
                    shutil.copy2(path, self.folder / path.name)
            for path in best.folder.glob("[0-9]*_*"):  # modules of a SentenceTransformer
                shutil.copytree(path, self.folder / path.name, dirs_exist_ok=True)
            self.scores = dict(best.scores) | {"seeds": _over_seeds(self.seed_runs, best)}
            self.record["seconds"] |= {
                f"seed-{r.args.seed}": r.record["seconds"].get("training") for r in self.seed_runs
            }
            self.record |= {k: v for k, v in best.record.items() if k not in self.record}
        if baselines:
            self.scores["baselines"] = dict(baselines)
        if self.ceiling:
            self.scores["ceiling"] = self.ceiling
        if self.is_main:
            write_text(self.folder / "metrics.json", _json(self.scores))
            if self.args.do_train:
                write_card(self.outcome, task, pipeline_tag, usage, labels)
        self._close("finished")
        if self.is_main:
            for run in [*self.seed_runs, self]:
                if not self.args.keep_checkpoints:
                    run.delete_checkpoints()
            print_summary(self.outcome)
            if self.args.push_at_end:
                self.push()

    def push(self) -> None:
        """Push the folder's allow-listed files; a failure keeps everything and says so."""
        try:
            address = push_folder(
                self.folder,
                repo_id=self.args.hub_model_id,
                token=self.args.hub_token,
                private=self.args.hub_private_repo,
                revision=self.args.hub_revision,
            )
        except Exception as error:  # the client raises a dozen unrelated types
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"The push failed ({first}), and everything is kept in {self.folder}. Push again "
                "by the same command with --resume auto --push_to_hub true."
            ) from error
        logger.info("Pushed to %s", address)

    def finished_before(self) -> bool:
        """Whether ``--resume auto`` has nothing left to do but, where asked, to push."""
        if self.args.resume != "auto" or not self._is_finished():
            return False
        self.record = self._previous()
        self.scores = json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))
        if self.is_main:
            logger.info(
                "This run is finished; nothing is trained. To train again: --resume never, or "
                "another --output_dir."
            )
            print_summary(self.outcome)
            if self.args.push_at_end:
                self.push()
        return True

    @property
    def outcome(self) -> Outcome:
        """What card and summary are made from."""
        chosen = self.args.do_train and self.args.load_best_model_at_end
        metric = (self.args.metric_for_best_model or "loss").removeprefix("eval_")
        name = self.args.hub_model_id or self.folder.resolve().name
        return Outcome(
            self.folder, self.recipe, self.record, self.scores, metric if chosen else None, name
        )

    def fail(self, status: str, message: str) -> None:
        """Record how the run ended, where it had begun to write."""
        for run in [*self.seed_runs, self]:
            if run.started and run.record["status"] == "running":
                run.record["error"] = message
                run._close(status)

    def _open(self) -> None:
        """Make the folder, lock it, forget what a finished run or ``never`` makes void; once."""
        if self.started:
            return
        if self.parent is not self:
            self.parent._open()
        if self.is_main:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{self.folder}: cannot be made ({error.strerror}). Choose another "
                    "--output_dir."
                ) from error
            self._lock()
            if not self._continues():
                self.delete_checkpoints()
            self._write_record()
        self.started = True

    def _lock(self) -> None:
        self.lock = FileLock(self.folder / ".lock", blocking=False)
        try:
            self.lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{self.folder}: another process is writing a run here. Wait for it or end it."
            ) from error

    def _close(self, status: str) -> None:
        self.record["status"] = status
        self.record["ended"] = datetime.now().astimezone().isoformat(timespec="seconds")
        if self.is_main and self.started:
            self._write_record()
            if hasattr(self, "lock"):
                self.lock.release()

    def _write_record(self) -> None:
        write_text(self.folder / "run.json", _json(self.record))

    def _previous(self) -> dict[str, Any]:
        """Return the run.json that lay here when this process began."""
        if not hasattr(self, "_before"):
            try:
                self._before = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self._before = {}
        return self._before

    def _is_finished(self) -> bool:
        return self._previous().get("status") == "finished"

    def _continues(self) -> bool:
        """Whether what lies here is to be continued."""
        if self.args.resume == "never" or not self.args.do_train:
            return False
        return self.args.resume == "auto" or not self._is_finished()

    def _checkpoints(self) -> list[Path]:
        found = [p for p in self.folder.glob("checkpoint-*") if p.name[11:].isdigit()]
        return sorted(found, key=lambda path: int(path.name[11:]))

    def delete_checkpoints(self, keep: int = 0, best: str | None = None) -> None:
        """Delete all but the last `keep` and the one named `best`."""
        found = self._checkpoints()
        for path in found[: max(len(found) - keep, 0)]:
            if best is None or path.name != Path(best).name:
                (path / COMPLETE).unlink(missing_ok=True)  # first: it may be killed halfway
                shutil.rmtree(path)

    def _refuse_other_run(self) -> None:
        folder = self.folder
        try:
            with tempfile.TemporaryFile(dir=_nearest_existing(folder)):
                pass
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror}). Choose another --output_dir."
            ) from error
        if self.is_main and (folder / ".lock").is_file():
            self._lock()
            self.lock.release()
        resume = self.args.resume
        if resume not in (None, "auto", "never"):
            if not (Path(resume) / "trainer_state.json").is_file():
                raise InputError(
                    f"--resume {resume}: not a checkpoint's folder. Name one, or auto or never."
                )
        previous = self._previous()
        if not previous and folder.is_dir():
            foreign = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
            if foreign:
                raise InputError(
                    f"{folder}: holds files that no run of ours wrote, such as "
                    f"{sorted(foreign)[0]}. Choose another --output_dir."
                )
        other = _differences(previous.get("arguments", {}), self.record["arguments"])
        if previous and previous.get("recipe", self.recipe) != self.recipe:
            other = [f"recipe {previous['recipe']} there, {self.recipe} here", *other]
        if previous and previous.get("global_batch", self.global_batch) != self.global_batch:
            there = previous["global_batch"]
            other = [f"global batch {there} there, {self.global_batch} here", *other]
        if previous and other:
            raise InputError(
                f"{folder}: holds another run ({'; '.join(other[:3])}"
                f"{' …' if len(other) > 3 else ''}). Choose another --output_dir."
            )

    def check_space(self, model: Any) -> None:
        """Refuse to train what could not be saved: each checkpoint has weights and two moments."""
        if not self.is_main:
            return
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        everything = sum(p.numel() for p in model.parameters())
        checkpoints = (self.args.save_total_limit or 2) + 1
        needed = 4 * everything + 12 * trained * checkpoints * (self.args.save_strategy != "no")
        free = shutil.disk_usage(_nearest_existing(self.folder)).free
        if free < needed:
            raise InputError(
                f"{self.folder}: {free / 1e6:,.0f} MB are free, and model and checkpoints need "
                f"{needed / 1e6:,.0f} MB. Free some space, or choose another --output_dir."
            )


_current: Run | None = None


def launch(main: Callable[[], None]) -> None:
    """Run a recipe's `main`; turn what goes wrong into one message and an exit status.

    1: bad input or no disk space; 130 and 143: interrupted, with the next command; anything else
    keeps its traceback, since it is a defect.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    first = int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("RANK", 0)) == 0
    logging.getLogger("nlpbook_data").setLevel(logging.INFO if first else logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    # It warns that checkpoints of the same second are ordered by number, as they should be.
    transformers.logging.get_logger("transformers.trainer_utils").setLevel(logging.ERROR)
    # It warns of the padding that generation itself puts behind texts that have ended.
    transformers.logging.get_logger("transformers.modeling_utils").setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        import datasets

        datasets.disable_progress_bars()
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    try:
        main()
        return
    except InputError as error:
        status, word, message = 1, "failed", str(error)
    except Interrupted as error:
        status, word = 128 + error.args[0], "interrupted"
        message = "Interrupted. The same command continues from the last checkpoint."
        if _current is None or not _current.started:
            message = "Interrupted before training began; nothing was written."
    except BaseException as error:
        what = _resource_message(error)
        if what is None:
            _record_failure("failed", f"{type(error).__name__}: {error}")
            raise
        status, word, message = 1, "failed", what
    _record_failure(word, message)
    if first:
        sys.stderr.write(f"error: {message}\n")
    sys.stderr.flush()
    # Not sys.exit: process groups and loader threads of a half-done run may wait for each other.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def _record_failure(status: str, message: str) -> None:
    if _current is not None:
        try:
            _current.fail(status, message)
        except OSError:  # a full disk: the message on the terminal has to do
            pass


def _resource_message(error: BaseException) -> str | None:
    """Return the message for a full or closed disk or memory, or None for any other error."""
    text = str(error)
    where = getattr(error, "filename", None) or (_current and _current.folder)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    # safetensors and torch wrap the operating system's error in one of their own
    if full or "No space left" in text or "File too large" in text:
        what = getattr(error, "strerror", None) or text.splitlines()[0]
        return (
            f"{where}: no space is left on the disk ({what}). Free some, then give the same "
            "command again; whole checkpoints are kept."
        )
    closed = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
    if isinstance(error, OSError) and error.errno in closed and error.filename:
        return (
            f"{error.filename}: {error.strerror}. Change its permissions, or name another place "
            "(--output_dir, --cache_dir, --corpus_dir)."
        )
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return (
            "The memory does not suffice. Lower --per_device_train_batch_size and raise "
            "--gradient_accumulation_steps by the same factor: the result stays the same."
        )
    return None


def _on_signal(number: int, frame: Any) -> None:
    run = _current
    active = next((r for r in (run.seed_runs if run else []) if r.training), None)
    if active is None or active.signal or active.args.world_size > 1:
        raise Interrupted(number)
    active.signal = number
    logger.warning("Stopping after this step with a checkpoint; once more stops at once.")


class _Watch(TrainerCallback):
    def __init__(self, run: Run):
        self.run = run

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if "seconds_to_first_batch" not in self.run.record:
            seconds = time.perf_counter() - _process_start()
            self.run.record["seconds_to_first_batch"] = round(seconds, 3)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.run.signal and args.save_strategy != "no":
            control.should_save = True
        elif self.run.signal:
            raise Interrupted(self.run.signal)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.run.signal:
            raise Interrupted(self.run.signal)


def _nearest_existing(folder: Path) -> Path:
    return next(p for p in [folder.absolute(), *folder.absolute().parents] if p.exists())


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    now = json.loads(_json(now))
    return [
        f"{name} {before[name]} there, {now[name]} here"
        for name in now
        if name in before
        and before[name] != now[name]
        and name not in SAME_RUN
        and not name.startswith(SAME_RUN_PREFIXES)
    ]


def _over_seeds(runs: list[Run], best: Run) -> dict[str, Any]:
    """Return each seed's scores with mean and standard deviation (n - 1) over the seeds."""
    summary: dict[str, Any] = {"saved": best.args.seed, "runs": {}}
    for run in runs:
        summary["runs"][str(run.args.seed)] = {
            split: {k: v for k, v in run.scores[split].items() if isinstance(v, float)}
            for split in ("validation", "test")
            if split in run.scores
        }
    for split in ("validation", "test"):
        names = next(iter(summary["runs"].values())).get(split, {})
        values = {name: [r[split][name] for r in summary["runs"].values()] for name in names}
        summary[split] = {
            name: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1))}
            for name, v in values.items()
        }
    return summary


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"


def _redacted(words: list[str], args: RecipeArguments) -> list[str]:
    secrets = {value for value in (args.hub_token, os.environ.get("HF_TOKEN")) if value}
    return ["<token>" if any(secret in word for secret in secrets) else word for word in words]


def _commit(folder: Path) -> str | None:
    """Return the commit of the recipe's checkout, with ``+changes`` where it is not clean."""
    try:
        git = ["git", "-C", str(folder)]
        options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 10}
        commit = subprocess.run([*git, "rev-parse", "HEAD"], **options)
        if commit.returncode:
            return None
        status = subprocess.run([*git, "status", "--porcelain", "-uno"], **options)
        return commit.stdout.strip() + ("+changes" if status.stdout.strip() else "")
    except (OSError, subprocess.TimeoutExpired):
        return None


def _device(args: RecipeArguments) -> str:
    if args.device.type == "cuda":
        return torch.cuda.get_device_name(args.device)
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    # Only Linux tells how many of its cores are ours.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{'MPS, ' if args.device.type == 'mps' else ''}{name}, {cores} cores"


def _process_start() -> float:
    """Return when this process began, on the clock of ``time.perf_counter``."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return time.perf_counter() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return _IMPORTED


_IMPORTED = time.perf_counter()


def _peak_memory(args: RecipeArguments) -> dict[str, int]:
    """Return the peak of this process in MiB, and of its GPU."""
    try:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit >> 20}
    except ImportError:  # Windows
        peak = {"host": psutil.Process().memory_info().peak_wset >> 20}
    if args.device.type == "cuda":
        peak["cuda"] = torch.cuda.max_memory_allocated(args.device) >> 20
    return peak
