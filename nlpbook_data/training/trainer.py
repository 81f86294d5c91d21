"""Block 5 of every recipe: HF Trainer with our order of rows, loss, checkpoints and Hub rules."""

import copy
import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import gather_object
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import (
    DataCollatorForTokenClassification,
    DataCollatorWithFlattening,
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
)
from transformers.integrations import get_reporting_integration_callbacks
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError, nearest
from nlpbook_data.metrics.names import SHOWN
from nlpbook_data.reports.push import push_folder
from nlpbook_data.training.features import text_lengths
from nlpbook_data.training.loss import IGNORED, LanguageModelLoss, TokenLoss
from nlpbook_data.training.models import SUCH_AS
from nlpbook_data.training.run import COMPLETE, Run
from nlpbook_data.training.sampler import GlobalBatchSampler

logger = logging.getLogger(__name__)


def make_trainer(
    run: Run,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    loss: Any,
    compute_metrics: Callable[[Any], dict[str, float]],
    train_dataset: Dataset | None = None,
    eval_dataset: Dataset | None = None,
) -> "RecipeTrainer":
    """Return the trainer of `run`: padding to the longest row of a batch, rows of like length.

    Args:
        max_length: the most tokens of a row.
        loss: with ``__call__`` and ``items``, as `training.loss` has them.
        compute_metrics: ``EvalPrediction`` in, flat scores out.
        train_dataset, eval_dataset: columns ``input_ids`` and ``labels``.

    Raises:
        InputError: an option that does not fit the others, the model or the device.
    """
    args = run.args
    callbacks = prepare(run, model)
    multiple = 8 if args.mixed_precision != "no" and args.device.type == "cuda" else None
    model.accepts_loss_kwargs = False  # the loss is ours; see loss.py
    args.label_names = ["labels"]  # whatever the model's own loss takes
    per_token = isinstance(loss, TokenLoss)
    padding = copy.deepcopy(tokenizer)
    if isinstance(loss, LanguageModelLoss):  # only so are a row's positions those that it has alone
        padding.padding_side = "right"
    collator = (DataCollatorForTokenClassification if per_token else DataCollatorWithPadding)(
        padding,
        padding="max_length" if args.pad_to_max_length else True,
        max_length=max_length if args.pad_to_max_length else None,
        pad_to_multiple_of=multiple,
    )
    check_metric(run, lambda: _score_names(model, collator, loss, compute_metrics, eval_dataset))
    trainer = RecipeTrainer(
        model=model,
        args=args,
        data_collator=collator,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        compute_loss_func=loss,
        callbacks=callbacks,
    )
    if isinstance(loss, LanguageModelLoss):
        check_causal(trainer.model, loss.packing)
        trainer.train_collator = _pack if loss.packing else None
    return trainer.follow(run, max_length)


def prepare(run: Run, model: PreTrainedModel) -> list[TrainerCallback]:
    """Check the options of `run`, choose its precision by `model`, and return its callbacks.

    Raises:
        InputError: an option that does not fit the others or the device.
    """
    args = run.args
    callbacks: list[TrainerCallback] = [run.watch(), *run.callbacks]
    if args.early_stopping_patience is not None:
        if args.eval_strategy == "no":
            raise InputError("--early_stopping_patience needs --eval_strategy steps or epoch.")
        callbacks.append(
            _EarlyStopping(args.early_stopping_patience, args.early_stopping_threshold)
        )
        args.restore_callback_states_from_checkpoint = True
    if args.do_train:
        run.check_space(model)
    try:
        for callback in get_reporting_integration_callbacks(args.report_to):
            callback()
    except (ValueError, RuntimeError, ImportError) as error:  # unknown, or not installed
        raise InputError(f"--report_to {' '.join(args.report_to)}: {error}") from error
    run.choose_precision(model)
    if not args.do_train:
        args.eval_strategy = "no"
    return callbacks


def check_metric(run: Run, find_names: Callable[[], list[str]]) -> None:
    """Raise InputError where no score is called as ``--metric_for_best_model`` says."""
    args = run.args
    if args.eval_strategy == "no" or args.metric_for_best_model == run.best_by:
        return
    scores = list(dict.fromkeys(["loss", *find_names()]))
    name = (args.metric_for_best_model or "loss").removeprefix("eval_")
    if name not in scores:
        raise InputError(
            f"--metric_for_best_model {name}: there is no such score.{nearest(name, scores)} "
            f"The scores are {', '.join(scores)}."
        )


def _score_names(
    model: PreTrainedModel,
    collator: Any,
    loss: Any,
    compute_metrics: Callable[[Any], dict[str, float]],
    dataset: Dataset,
) -> list[str]:
    """Return the names of the scores, before anything is trained: of predictions that are 1."""
    names = collator.tokenizer.model_input_names
    row = {name: value for name, value in dataset[0].items() if name in [*names, "labels"]}
    batch = collator([row]).to(model.device)
    labels = batch.pop("labels")
    with torch.no_grad():
        values = loss.predictions(_with_mask(model.eval(), **batch), labels)
    rows = len(dataset) if values.ndim == 2 else text_lengths(dataset).sum()
    ones = np.ones((rows, values.shape[-1]), dtype=np.float32)
    return list(compute_metrics(EvalPrediction(ones, None)))


def check_causal(model: PreTrainedModel, packing: bool = False) -> None:
    """Measure that a token does not see the next ones nor, packed, those of the row before.

    Raises:
        InputError: it does.
    """
    one, other = [4, 5, 6, 7], [5, 6, 4]
    training = model.training
    model.eval()

    def logits(*rows: list[int]) -> torch.Tensor:
        batch = _pack([{"input_ids": row} for row in rows])
        inputs = {"input_ids": batch["input_ids"].to(model.device), "use_cache": False}
        if packing:
            inputs["position_ids"] = batch["position_ids"].to(model.device)
        return model(**inputs)["logits"][0].float()

    def differ(a: torch.Tensor, b: torch.Tensor) -> bool:
        return not torch.allclose(a, b, atol=1e-3, rtol=1e-3)

    with torch.no_grad():
        alone = logits(one)
        sees_next = differ(logits(one[:2]), alone[:2])
        sees_other = packing and differ(logits(other, one)[len(other) :], alone)
    model.train(training)
    if sees_next:
        raise InputError(
            f"A model of the type {model.config.model_type} sees the tokens that it is to predict. "
            f"Name another, such as {SUCH_AS['AutoModelForCausalLM']}."
        )
    if sees_other:
        raise InputError(
            f"--packing true: in {model.config.model_type} with the attention "
            f"{model.config._attn_implementation} a packed text sees the one before it. Leave it "
            "out."
        )


def _pack(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `rows` as one, (1, tokens), with positions that begin anew at each.

    With a cache, or an attention mask, models would not see where a row begins.
    """
    return {**DataCollatorWithFlattening()(rows), "use_cache": False}


class RunMixin:
    """What all recipes add to a Trainer: order of rows, exact scores, checkpoints, Hub rules."""

    run: Run
    max_length: int
    keep: int | None
    sampler: GlobalBatchSampler
    train_collator: Callable[[list], dict[str, Any]] | None = None  # evaluation's, if None

    def follow(self, run: Run, max_length: int) -> Any:
        """Return this trainer, of `run`, with our lines for its logs."""
        self.run, self.max_length = run, max_length
        # Only what `_save_checkpoint` has marked may be deleted.
        self.keep, self.args.save_total_limit = self.args.save_total_limit, None
        for noisy in (PrinterCallback, ProgressCallback):
            if self.pop_callback(noisy) is not None:
                self.add_callback(_Progress() if noisy is ProgressCallback else _EvaluationLines())
        return self

    def train_rows(self) -> tuple[Any, np.ndarray, Callable[[list], dict[str, Any]]]:
        """Return the rows to train on, their lengths, and what makes a batch of some, or none."""
        raise NotImplementedError

    def get_train_dataloader(self) -> DataLoader:
        """Return this process' micro-batches; see `sampler`."""
        args = self.args
        rows, lengths, collator = self.train_rows()
        self.sampler = GlobalBatchSampler(
            lengths,
            size=self._train_batch_size,
            accumulation=args.gradient_accumulation_steps,
            processes=args.world_size,
            process=args.process_index,
            seed=args.seed if args.data_seed is None else args.data_seed,
            grouped=args.train_sampling_strategy == "group_by_length",
        )
        return self._load(rows, self.sampler, collator)

    def _load(self, rows: Any, batches: Any, collator: Callable[[list], Any]) -> DataLoader:
        """Return a loader of `batches`, lists of row numbers: this process' part."""
        args = self.args
        loader = DataLoader(
            rows,
            batch_sampler=batches,
            collate_fn=collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
        )
        # One process for accelerate: the rows are dealt out already, and it would complete a
        # ragged batch with rows of the beginning.
        return prepare_data_loader(
            loader, args.device, num_processes=1, process_index=0, put_on_device=True
        )

    def evaluation_loop(
        self, dataloader: DataLoader, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> Any:
        """Return the predictions of all rows on every process, in the rows' own order.

        Those of tokens follow one another without padding, (tokens of all rows, …). Every number
        is the same for any number of processes: they take the same batches in turn. The loss is
        the mean over all rows, where Trainer's is a mean over batches.
        """
        self._kept: list[tuple[np.ndarray, np.ndarray | None, float, float]] = []
        output = super().evaluation_loop(
            dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs
        )
        order, batches = self._eval_batches
        processes = self.args.world_size
        kept = gather_object([self._kept]) if processes > 1 else [self._kept]
        kept = [kept[n % processes][n // processes] for n in range(batches)]
        values = np.concatenate([values for values, *_ in kept])
        if kept[0][1] is None:
            values = values[np.argsort(order)]
        else:
            ends = np.cumsum(np.concatenate([lengths for _, lengths, *_ in kept]))
            rows = np.split(values, ends[:-1])
            values = np.concatenate([rows[n] for n in np.argsort(order)])
        metrics = dict(output.metrics)
        losses, items = (sum(row[column] for row in kept) for column in (2, 3))
        if items:
            metrics[f"{metric_key_prefix}_loss"] = losses / items
        if metric_key_prefix == "eval":
            scores = self.compute_metrics(EvalPrediction(values, None))
            metrics |= {f"eval_{name}": value for name, value in scores.items()}
        return output._replace(predictions=values, metrics=metrics)

    def get_eval_dataloader(self, eval_dataset: Dataset | None = None) -> DataLoader:
        """Return this process' batches: of rows of like length, longest first."""
        args = self.args
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        order = np.argsort(-text_lengths(dataset), kind="stable")
        size = args.per_device_eval_batch_size
        batches = [order[begin : begin + size].tolist() for begin in range(0, len(order), size)]
        self._eval_batches = order, len(batches)
        # All processes need as many: a model that is spread over them computes together.
        steps = -(-len(batches) // args.world_size)
        mine = batches[args.process_index :: args.world_size]
        mine += batches[:1] * (steps - len(mine))
        rows = self._remove_unused_columns(dataset, description="Evaluation")
        return self._load(rows, mine, self.data_collator)

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        """Return batches as `get_eval_dataloader` does."""
        return self.get_eval_dataloader(test_dataset)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, and stop where the loss is no number."""
        super().log(logs, start_time)
        for name in ("loss", "eval_loss"):
            self._check_loss(logs.get(name, 0.0))

    def _check_loss(self, loss: float, what: str = "loss") -> None:
        if not math.isfinite(loss):
            raise InputError(
                f"The {what} became {loss} by step {self.state.global_step}. Lower "
                "--learning_rate, or pass --precision float32; the checkpoints before are kept."
            )

    def check_weights(self) -> None:
        """Stop where a weight is no number: one bad gradient spoils them all, after its loss."""
        for weights in self.model.parameters():
            if not weights.isfinite().all():
                self._check_loss(math.nan, "weights")

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save, and mark the checkpoint as whole once every process has written its part.

        Only then are older ones deleted; Trainer would delete them before.
        """
        self._check_loss(float(self._tr_loss))
        self.check_weights()
        complete = self.run.folder / f"checkpoint-{self.state.global_step}" / COMPLETE
        if self.args.should_save:
            complete.unlink(missing_ok=True)
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            write_text(complete, "")
            if self.keep and self.keep > 0:
                self.run.delete_checkpoints(self.keep, self.state.best_model_checkpoint)

    def _init_training_state(self, *args: Any, **kwargs: Any) -> Any:
        """Find the best checkpoint in this folder: it may have been moved since it was written."""
        trained = super()._init_training_state(*args, **kwargs)
        best = self.run.folder / f"checkpoint-{self.state.best_global_step}"
        if best.is_dir():
            self.state.best_model_checkpoint = str(best)
        return trained

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Train an epoch, unless the checkpoint is from where training had ended."""
        if self.state.global_step < self.state.max_steps and not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Leave the card as `run` wrote it; Trainer's own would replace it."""

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """Push the run's folder, allow-listed files alone."""
        options = {"token": self.args.hub_token, "private": self.args.hub_private_repo}
        return push_folder(self.run.folder, repo_id=self.args.hub_model_id, **options)


class RecipeTrainer(RunMixin, Trainer):
    """Trainer whose result does not depend on how the global batch is split."""

    def train_rows(self) -> tuple[Dataset, np.ndarray, Callable[[list], dict[str, Any]]]:
        """Return the columns of train that the model takes."""
        rows = self._remove_unused_columns(self.train_dataset, description="Training")
        collator = self.train_collator or self.data_collator
        return rows, text_lengths(rows), _WithEmpty(collator, rows)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        items = sum(self.compute_loss_func.items(batch["labels"]) for batch in batch_samples)
        items = items.to(device)
        return self.accelerator.gather(items).sum() if self.args.world_size > 1 else items

    def _issue_warnings_after_load(self, loaded: Any) -> None:
        """Warn of weights that a checkpoint lacks, but not of those that are tied to others."""
        tied = getattr(self.model, "_tied_weights_keys", None) or ()
        missing = [key for key in loaded.missing_keys if key not in tied]
        super()._issue_warnings_after_load(loaded._replace(missing_keys=missing))

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Do as Trainer does, and tell the loss which tokens are padding."""
        return super().compute_loss(partial(_with_mask, model), inputs, *args, **kwargs)

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any
    ) -> tuple[None, None, None]:
        """Keep the predictions of a batch, without its padding; `evaluation_loop` collects them.

        Trainer would pad them all to the longest row, on the device.
        """
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels", None)
        with torch.no_grad(), self.compute_loss_context_manager():
            outputs = _with_mask(model, **inputs)
        values = self.compute_loss_func.predictions(outputs, labels)
        lengths = None
        if values.ndim == 3:
            mask = inputs["attention_mask"].bool()
            values, lengths = values[mask], mask.sum(dim=1).cpu().numpy()
        loss = items = 0.0
        if labels is not None:
            one = torch.tensor(1, device=labels.device)
            loss = self.compute_loss_func(outputs, labels, num_items_in_batch=one).item()
            items = self.compute_loss_func.items(labels).item()
        self._kept.append((values.cpu().numpy(), lengths, loss, items))
        return None, None, None


def _with_mask(model: Any, **inputs: Any) -> dict[str, Any]:
    return {**model(**inputs), "attention_mask": inputs.get("attention_mask")}


class _WithEmpty:
    """Collate, and give a process that a ragged batch left empty one row that counts nothing."""

    def __init__(self, collator: Callable[[list], dict[str, torch.Tensor]], dataset: Dataset):
        self.collator = collator
        self.dataset = dataset

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        if rows:
            return self.collator(rows)
        batch = self.collator([self.dataset[0]])
        batch["labels"] = torch.full_like(batch["labels"], IGNORED)
        return batch


class _EarlyStopping(EarlyStoppingCallback):
    """Early stopping that a run continued after it had stopped remembers."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        if self.early_stopping_patience_counter >= max(self.early_stopping_patience, 1):
            control.should_training_stop = True


class _EvaluationLines(TrainerCallback):
    """One line an evaluation."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and "eval_loss" in (logs or {}):
            shown = {"loss": "loss"} | SHOWN
            scores = [
                f"{shown[name]} {logs[f'eval_{name}']:.4f}"
                for name in shown
                if f"eval_{name}" in logs
            ]
            place = f"epoch {state.epoch:.2f}  step {state.global_step}  validation: "
            self.write(place + "  ".join(scores))

    def write(self, line: str) -> None:
        logger.info(line)


class _Progress(ProgressCallback, _EvaluationLines):
    """Trainer's bars, with the loss beside the bar in place of a line of numbers a log."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and self.training_bar is not None and "loss" in (logs or {}):
            self.training_bar.set_postfix(loss=f"{logs['loss']:.4f}")
        _EvaluationLines.on_log(self, args, state, control, logs)

    def write(self, line: str) -> None:
        (self.training_bar or self.prediction_bar).write(line)
