"""One run of a recipe with one seed: services for its `main`, and its output files."""

import copy
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.optim import SGD
from transformers import PreTrainedModel, Trainer, get_scheduler
from transformers.integrations import get_reporting_integration_callbacks

from nlpbook_data.data.source import Source
from nlpbook_data.errors import InputError, first_line
from nlpbook_data.metrics.names import LOWER_IS_BETTER, SHOWN, heading
from nlpbook_data.outward import redact
from nlpbook_data.reports.plots import plot_learning_curve
from nlpbook_data.training.arguments import SETTINGS, USED, RecipeArguments
from nlpbook_data.training.checkpoints import flush
from nlpbook_data.training.folder import RunFolder
from nlpbook_data.training.precision import choose_precision
from nlpbook_data.training.record import Interrupted, RunCallback, now

LABELS_SHOWN = 30
REPEATED = 3  # seconds; a scheduler and torchrun both send the same signal
logger = logging.getLogger(__name__)

TRAINED_IN = "training_precision"  # in the model's config: only the same one repeats predictions


class Unchanged(Exception):
    """A finished run was started again, with the same data."""


class Run:
    """One run of a recipe's `main`. See `launch`.

    Attributes:
        folder: the run's `RunFolder`.
        record: the contents of run.json.
        callback: for the trainer; it marks checkpoints and handles signals.
        whole: the run of all seeds that this run is a part of; or None.
        scores: the contents of metrics.json: ``{"validation": {…}, "test": {…}, "baselines":
            {…}}``.
        wants_baselines: whether this process computes the baselines in this run.
    """

    def __init__(self, args: RecipeArguments, record: dict[str, Any], whole: "Run | None" = None):
        self.args, self.record, self.whole = args, record, whole
        self.folder = RunFolder(args)
        self.callback = RunCallback(self.open, self.folder, record, args.save_total_limit)
        self.scores: dict[str, Any] = {}
        self.columns: list[str] = []  # the data's columns, by the task's names
        self.wants_baselines = args.baselines and args.do_train and self.folder.is_main

    def with_seed(self, seed: int) -> "Run":
        """Return the run of one seed, a part of this run, in its own folder."""
        args = copy.copy(self.args)
        args.seed, args.seeds = seed, None
        args.output_dir = str(self.folder.path / f"seed-{seed}")
        record = copy.deepcopy(self.record)
        record["arguments"] |= {"seed": seed, "output_dir": args.output_dir}
        return Run(args, record, whole=self)

    def load(self) -> None:
        """Load record and scores from the folder of a finished run.

        Raises:
            InputError: its metrics.json is missing or damaged.
        """
        self.record = self.folder.previous
        path = self.folder.path / "metrics.json"
        try:
            self.scores = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: missing or damaged, though the run is finished. Pass --resume never to "
                "train again, or choose another --output_dir."
            ) from error

    def open(self) -> None:
        """Open the folder for writing, the folder of all seeds first."""
        if self.whole:
            self.whole.open()
        self.folder.open(self.record)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase, in seconds, for run.json."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = self.record["seconds"]
            seconds[name] = round(seconds.get(name, 0) + time.perf_counter() - start, 3)

    @contextmanager
    def preparation(self, name: str) -> Iterator[None]:
        """Time a phase in which the main process goes first; the others use its cache."""
        with self.phase(name), self.args.main_process_first(local=False, desc=name):
            yield

    def describe(self, source: Source) -> None:
        """Record and log the data.

        Raises:
            InputError: the continued run began with other data.
            Unchanged: the run is finished and had the same data.
        """
        self.record["data"] = {
            "name": source.name,
            "splits": source.origins,
            "formats": source.formats,
            "rows": {split: len(rows) for split, rows in source.splits.items()},
            "sha256": source.hashes,
            "license": source.license,
        }
        before = self.folder.previous or (self.whole.record if self.whole else {})
        self.folder.refuse_other_data(self.record["data"], before.get("data", {}))
        if self.folder.is_asked_for:
            raise Unchanged
        self.columns = next(iter(source.splits.values())).column_names
        for split, origin in source.origins.items():
            if split in source.splits:
                rows, how = f"{len(source.splits[split]):,}", source.formats.get(split)
                logger.info("%s: %s rows, %s%s", split, rows, origin, f" ({how})" if how else "")
        log_labels(source)

    def settle(
        self, args: RecipeArguments, model: PreTrainedModel, best_by: str
    ) -> RecipeArguments:
        """Complete `args` by data and model, and return them; after this they do not change.

        Args:
            model: used to choose the precision, and to check the room on the disk.
            best_by: the validation score that chooses among checkpoints and seeds, unless
                ``--metric_for_best_model`` names another.

        Raises:
            InputError: an option does not fit the others, the disk, the device or the libraries.
        """
        args = copy.copy(args)
        args.default_metric = best_by
        if args.metric_for_best_model == "auto":
            args.metric_for_best_model = best_by
        args.greater_is_better = args.metric not in LOWER_IS_BETTER
        args.save_total_limit = None  # Trainer would delete old ones before the new one is marked
        if args.early_stopping_patience is not None:
            if args.eval_strategy == "no":
                raise InputError("--early_stopping_patience needs --eval_strategy steps or epoch.")
            args.restore_callback_states_from_checkpoint = True
        if args.do_train:
            saved = (self.args.save_total_limit or 2) + 1 if args.save_strategy != "no" else 0
            self.folder.check_space(model, saved)
            check_optimizer(args, model)
        else:
            args.eval_strategy = "no"
        if args.report_to and redact(given := args.to_json_string()) != given:
            raise InputError(
                f"An argument holds a token, which --report_to {' '.join(args.report_to)} would "
                "show. Leave it out."
            )
        try:
            for callback in get_reporting_integration_callbacks(args.report_to):
                callback()
        except (ValueError, RuntimeError, ImportError) as error:  # unknown or not installed
            raise InputError(f"--report_to {' '.join(args.report_to)}: {error}") from error
        trained_in = None if args.do_train else getattr(model.config, TRAINED_IN, None)
        # One choice for all seeds: they are compared, and a process can have only one precision.
        whole = self.whole or self
        before = whole.record.get("precision") or (
            (self.folder.previous or whole.folder.previous).get("precision")
            if self.folder.continues
            else trained_in
        )
        self.record["precision"] = choose_precision(args, model, before)
        setattr(model.config, TRAINED_IN, self.record["precision"])
        if args.do_train:
            used = {"task": self.record["recipe"], "columns": self.columns}
            for name, value in self.record["arguments"].items():
                if name in USED or name.endswith("_column_name"):
                    used[name] = value
            setattr(model.config, SETTINGS, used)
        self.record["chosen_by"] = best_by if args.metric == "loss" else args.metric
        return args

    def checkpoint(self) -> str | None:
        """Return the checkpoint to continue from, if there is one."""
        return self.folder.checkpoint()

    def leave(
        self,
        scores: Mapping[str, Any],
        predictions: list[dict[str, Any]],
        errors: list[dict[str, Any]],
        log: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        """Write metrics.json, predictions.jsonl, the first 100 errors and the learning curve.

        Args:
            log: the trainer's `log`, for the test scores in TensorBoard and similar tools.
        """
        self.open()
        self.scores = dict(scores)
        self.folder.write("metrics.json", self.scores)
        self.folder.write_rows("predictions.jsonl", predictions)
        self.folder.write_rows("errors.jsonl", errors[:100])
        if self.callback.history:
            curve = (plot_learning_curve, self.callback.history, self.record["chosen_by"])
            self.figure("learning_curve.png", "학습 곡선", *curve)
        test = {f"test_{n}": v for n, v in self.scores.get("test", {}).items() if n in SHOWN}
        if log and test and self.args.report_to:
            log(test)

    def figure(self, name: str, caption: str, draw: Callable[..., None], *arguments: Any) -> None:
        """Draw ``draw(*arguments, path)`` into the file `name`."""
        if self.folder.is_main:
            draw(*arguments, self.folder.path / name)
        self.record.setdefault("plots", {})[name] = caption

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file of the recipe's own."""
        self.open()
        self.folder.write(name, value)

    def report_ceiling(self, scores: Mapping[str, Any]) -> None:
        """Record the scores of perfect token predictions: ``{split: scores}``."""
        self.record["ceiling"] = dict(scores)
        for split, values in scores.items():
            name = next(name for name in SHOWN if name in values)
            logger.info(
                "%s: perfect tokens would score %s %.4f", split, heading(name), values[name]
            )

    def finish(
        self,
        baselines: Mapping[str, Any],
        task: str,
        pipeline_tag: str,
        usage: str,
        labels: Sequence[str],
    ) -> None:
        """Complete metrics.json and run.json; `launch` writes the card, and pushes last.

        Args:
            baselines: ``{name: {"validation": {…}, "test": {…}, "seconds": s}}``; their
                ``predictions``, for the rows of predictions.jsonl, are written to baselines.json.
            task: the name of the task in Korean.
            pipeline_tag: the Hub's name of the task.
            usage: Python source for the card; MODEL stands for the model's name.
            labels: the names of the labels.
        """
        if baselines:
            several = self.record["arguments"].get("multi_label", False)
            told = {name: dict(scores) for name, scores in baselines.items()}
            found = {n: s.pop("predictions") for n, s in told.items() if "predictions" in s}
            if found:
                words = {name: in_words(each, labels, several) for name, each in found.items()}
                self.folder.write("baselines.json", words)
            self.scores["baselines"] = told
        if "ceiling" in self.record:
            self.scores["ceiling"] = self.record.pop("ceiling")
        card = {"task": task, "pipeline_tag": pipeline_tag, "usage": usage, "labels": list(labels)}
        self.record["card"] = card
        self.folder.write("metrics.json", self.scores)
        if self.whole:  # the run of all seeds is finished when its card is written
            self.close("finished")

    def close(self, status: str) -> None:
        """Record how the run ended."""
        self.record |= {"status": status, "ended": now()}
        if self.folder.is_open:
            if status == "finished":
                flush(self.folder.path)
            self.folder.write("run.json", self.record)
            self.folder.close()

    def fail(self, status: str, message: str) -> None:
        """Record why the run, and the run of all seeds, failed."""
        for run in filter(None, (self, self.whole)):
            run.folder.discard()
            if run.record["status"] == "running":
                run.record["error"] = message
                if run.folder.is_open:
                    run.folder.delete_unmarked()  # makes room for run.json on a full disk
                try:
                    run.close(status)
                except OSError:
                    run.folder.mark_failed()
                    raise

    def advise_memory(self) -> str:
        """Return advice for a lack of memory: options that halve the batch."""
        given, in_step = self.record["arguments"], self.callback.in_step
        rows, times = given["per_device_train_batch_size"], given["gradient_accumulation_steps"]
        if in_step and rows % 2 == 0 and "mini_batch_size" not in given:
            return (
                f"The memory does not suffice for {rows} rows at a time. For the same global "
                f"batch, add to the same command: --per_device_train_batch_size {rows // 2} "
                f"--gradient_accumulation_steps {2 * times}. It continues from the last checkpoint."
            )
        if in_step and (texts := given.get("mini_batch_size", 1)) > 1:
            texts = texts // 2 if given["cached"] else max(min(texts, rows // 2), 1)
            return (
                "The memory does not suffice for a step. For the same batch, add to the same "
                f"command: --cached true --mini_batch_size {texts}. It continues from the last "
                "checkpoint."
            )
        if not in_step and (rows := given["per_device_eval_batch_size"]) > 1:
            return (
                "The memory does not suffice outside of training. For the same result, add to "
                f"the same command: --per_device_eval_batch_size {rows // 2}."
            )
        return (
            "The memory does not suffice even for the smallest batch. Lower --max_length, pass "
            "--gradient_checkpointing true, or choose a smaller model."
        )

    def interrupt(self, number: int) -> None:
        """Handle a signal: save a checkpoint after this step, or stop at once if it cannot be."""
        seconds = time.monotonic() - self.callback.signalled
        if self.callback.signal and self.args.world_size > 1 and seconds < REPEATED:
            return
        if self.callback.signal or not self.callback.is_training:
            raise Interrupted(number)
        self.callback.signal, self.callback.signalled = number, time.monotonic()
        logger.warning("Stopping after this step with a checkpoint; once more stops at once.")


def check_optimizer(args: RecipeArguments, model: PreTrainedModel) -> None:
    """Make optimizer and schedule once, so that what they lack is said before training.

    Raises:
        InputError: a library or a setting is missing.
    """
    optimizer, schedule = f"--optim {args.optim.value}", args.lr_scheduler_type.value
    try:
        Trainer.get_optimizer_cls_and_kwargs(args, model)
    except (ImportError, ValueError) as error:
        raise InputError(f"{optimizer}: {first_line(error)}") from error
    try:
        weights = SGD([torch.zeros(1, requires_grad=True)])
        get_scheduler(schedule, weights, 0, 1, args.lr_scheduler_kwargs)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"--lr_scheduler_type {schedule}: {first_line(error)}. Pass what it needs by "
            "--lr_scheduler_kwargs."
        ) from error


def in_words(values: Any, labels: Sequence[str], several: bool) -> list[Any]:
    """Return a baseline's predictions in the form of predictions.jsonl.

    Args:
        values: probabilities (rows, labels), scores (rows,), entities, or texts.
        several: rows have any number of `labels`.
    """
    if isinstance(values, np.ndarray) and values.ndim == 2:
        if several:
            return [[labels[n] for n in np.flatnonzero(row > 0.5).tolist()] for row in values]
        return [labels[n] for n in values.argmax(axis=1).tolist()]
    if isinstance(values, np.ndarray):
        return values.tolist()
    return [
        [e | {"label": labels[e["label"]]} for e in row] if isinstance(row, list) else row
        for row in values
    ]


def log_labels(source: Source) -> None:
    """Log the count of each label in the first split, which is train if there is one."""
    split = next(iter(source.splits))
    often = Counter(source.count_labels(split)).most_common()
    words = ", ".join(f"{label} {count:,}" for label, count in often[:LABELS_SHOWN])
    if len(often) > LABELS_SHOWN:
        logger.info("labels of %s: %s and %d more", split, words, len(often) - LABELS_SHOWN)
    elif often:
        logger.info("labels of %s: %s", split, words)
