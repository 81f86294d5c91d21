"""A Trainer whose result, without dropout, does not depend on how the global batch is split."""

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import gather_object
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import (
    DataCollatorWithFlattening,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
)
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from nlpbook_data.errors import InputError, nearest
from nlpbook_data.language import spoken
from nlpbook_data.metrics.names import SHOWN, heading
from nlpbook_data.training.arguments import RecipeArguments
from nlpbook_data.training.features import text_lengths
from nlpbook_data.training.loss import IGNORED
from nlpbook_data.training.models import SUCH_AS, save_trained
from nlpbook_data.training.precision import check_predictions
from nlpbook_data.training.record import are_finite, check_loss
from nlpbook_data.training.sampler import GlobalBatchSampler
from nlpbook_data.training.tuning import search

logger = logging.getLogger(__name__)
FIRST = 1000  # rows of train whose tokens are looked at
UNKNOWN_SHARE = 0.1  # of tokens; a Korean vocabulary has about 0.01 in Korean text


class CheckedTrainer(Trainer):
    """Trainer that stops once the loss or the weights are no numbers, and has our log lines."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._spoiled = torch.tensor(0, device=self.args.device)  # the first step with a bad loss
        self.add_callback(_CheckedWeights(self))
        add_callbacks(self)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Do as Trainer does, and record the first step whose loss is NaN or infinite."""
        loss = super().training_step(*args, **kwargs)
        known = loss.isfinite() | (self._spoiled > 0)  # stays on the device, no wait
        self._spoiled = self._spoiled.where(known, self.state.global_step + 1)
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Check the losses, then do as Trainer does.

        Raises:
            InputError: a loss is NaN or infinite; the message names the step and, in training, the
                rows of its batch.
        """
        if not math.isfinite(logs.get("loss", 0.0)):
            self.stop_at("loss", logs["loss"])
        check_loss(logs.get("eval_loss", 0.0), self.state.global_step)
        super().log(logs, *args, **kwargs)

    def stop_at(self, what: str, value: float) -> None:
        """Raise the error of the first bad loss, else of the last step; all processes call it."""
        steps = self.accelerator.gather(self._spoiled).flatten().tolist()
        step = min((step for step in steps if step), default=self.state.global_step)
        check_loss(value, step, what, sorted(gather_object(self._rows(step))))

    def _rows(self, step: int) -> list[int]:
        """Return this process' rows of a step, from 1; a stream's have no numbers."""
        if not isinstance(self.train_dataset, Dataset):
            return []
        loader, size = self.get_train_dataloader(), self.args.gradient_accumulation_steps
        epoch, number = divmod(step - 1, -(-len(loader) // size))
        loader.set_epoch(epoch)
        batches = islice(loader.batch_sampler, number * size, (number + 1) * size)
        return [row + 1 for batch in batches for row in batch]


class RecipeTrainer(CheckedTrainer):
    """Trainer with batches of similar length, and exact sums over batches and processes.

    Args:
        args: `RecipeArguments`, settled.
        compute_loss_func: of `training.loss`.
        train_collator: the collator of training, if it differs from evaluation's.

    All other arguments are Trainer's own.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        train_collator: Callable[[list], dict[str, Any]] | None = None,
        **kwargs: Any,
    ):
        # our own loss; see loss.py
        model.accepts_loss_kwargs = False  # type: ignore[assignment]  # a plain attribute
        super().__init__(model, **kwargs)
        self.train_collator = train_collator

    def train(self, *args: Any, trial: Any = None, **kwargs: Any) -> Any:
        """Train as Trainer does, after a check that checkpoints can be compared.

        Raises:
            InputError: there is no score ``--metric_for_best_model``; the loss became NaN or
                infinite.
            Searched: ``--hp_trials`` runs many separate trainings instead of this one.
        """
        if trial is not None:
            return super().train(*args, trial=trial, **kwargs)  # type: ignore[misc]
        check_metric(self.args, lambda: ["loss", *self._score_names()])
        if isinstance(self.train_dataset, Dataset) and self.is_world_process_zero():
            first = self.train_dataset[:FIRST]["input_ids"]
            warn_of_unknown(first, self.processing_class)
        if self.args.hp_trials:
            search(self)
        return super().train(*args, **kwargs)

    def get_train_dataloader(self) -> DataLoader:
        """Return this process' micro-batches; see `sampler`."""
        args = self.args
        rows = self._model_columns(self.train_dataset)
        padded_to = self.processing_class.model_max_length if args.pad_to_max_length else None
        sampler = GlobalBatchSampler(
            text_lengths(rows),
            size=args.train_batch_size,
            accumulation=args.gradient_accumulation_steps,
            processes=args.world_size,
            process=args.process_index,
            seed=args.seed if args.data_seed is None else args.data_seed,
            grouped=args.train_sampling_strategy == "group_by_length",
            padded_to=0 if self.train_collator else padded_to,
        )
        collator = partial(_collate, self.train_collator or self.data_collator, rows)
        return self._load(rows, sampler, collator)

    def _model_columns(self, dataset: Dataset) -> Dataset:
        known = (*self.processing_class.model_input_names, "labels")
        return dataset.select_columns([name for name in dataset.column_names if name in known])

    def _load(self, rows: Any, batches: Any, collator: Callable[[list], Any]) -> DataLoader:
        """Return this process' loader of `batches`, lists of row numbers."""
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
        # num_processes=1: rows are already divided, and accelerate would complete a ragged batch
        # with rows of the beginning.
        return prepare_data_loader(
            loader, args.device, num_processes=1, process_index=0, put_on_device=True
        )

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list, torch.Tensor | None]:
        """Return the batches of the next step, and the number of items of all processes.

        There are no batches if a continued training had already ended.
        """
        ended = self.state.global_step >= self.state.max_steps or self.control.should_training_stop
        if ended:
            self.control.should_training_stop = True
            return [], None
        batches = list(islice(epoch_iterator, num_batches))
        items = sum(self.compute_loss_func.items(batch["labels"]) for batch in batches).to(device)
        return batches, self.accelerator.gather(items).sum()

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Do as Trainer does, and pass the attention mask to the loss."""
        return super().compute_loss(partial(_with_mask, model), inputs, *args, **kwargs)

    def get_eval_dataloader(self, eval_dataset: Dataset | None = None) -> DataLoader:
        """Return this process' batches, with rows of similar length, longest first."""
        size, processes = self.args.per_device_eval_batch_size, self.args.world_size
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        order = np.argsort(-text_lengths(dataset), kind="stable")
        batches = [order[begin : begin + size].tolist() for begin in range(0, len(order), size)]
        self._evaluated = dataset, order, len(batches)
        mine = batches[self.args.process_index :: processes]
        # All processes need the same number: a model that is spread over them computes together.
        mine += batches[:1] * (-(-len(batches) // processes) - len(mine))
        return self._load(self._model_columns(dataset), mine, self.data_collator)

    def get_test_dataloader(self, test_dataset: Dataset) -> DataLoader:
        """Return batches, see `get_eval_dataloader`."""
        return self.get_eval_dataloader(test_dataset)

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: Any = None,
    ) -> tuple[None, None, None]:
        """Keep the predictions of a batch without padding; `evaluation_loop` collects them.

        Trainer would pad all of them to the longest row, on the device.
        """
        labels = inputs.pop("labels", None)
        with torch.no_grad(), self.compute_loss_context_manager():
            outputs = _with_mask(model, **inputs)
        measure: Any = self.compute_loss_func
        values = measure.predictions(outputs, labels)
        lengths = torch.ones(len(values), dtype=torch.long)
        if values.ndim == 3:
            mask = inputs["attention_mask"].bool()
            values, lengths = values[mask], mask.sum(dim=1).cpu()
        loss = items = 0.0
        if labels is not None:
            loss, items = measure.total(outputs, labels).item(), measure.items(labels).item()
        self._kept.append((values.cpu().numpy(), lengths.numpy(), loss, items))
        return None, None, None

    def evaluation_loop(
        self, dataloader: DataLoader, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> Any:
        """Return the predictions of all rows, in the original order, on every process.

        Predictions of tokens, and their ``label_ids``, are concatenated without padding: (tokens of
        all rows, …). Results do not depend on the number of processes: they share the same batches.
        The loss is the mean over all rows; Trainer's is a mean over batches.
        """
        self._kept: list[tuple[np.ndarray, np.ndarray, float, float]] = []
        output = super().evaluation_loop(  # type: ignore[misc]
            dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs
        )
        dataset, order, batches = self._evaluated
        processes = self.args.world_size
        kept = gather_object([self._kept]) if processes > 1 else [self._kept]
        kept = [kept[n % processes][n // processes] for n in range(batches)]
        values = np.concatenate([values for values, *_ in kept])
        lower = self.args.mixed_precision
        check_predictions(values, self.model, "float32" if lower == "no" else lower)
        ends = np.cumsum(np.concatenate([lengths for _, lengths, *_ in kept]))
        rows = np.split(values, ends[:-1])
        values = np.concatenate([rows[n] for n in np.argsort(order)])
        metrics = dict(output.metrics)
        losses, items = (sum(row[column] for row in kept) for column in (2, 3))
        if items:
            metrics[f"{metric_key_prefix}_loss"] = losses / items
        labels = label_ids(dataset)
        if metric_key_prefix == "eval":
            scores = self._score(EvalPrediction(values, labels))
            metrics |= {f"eval_{name}": value for name, value in scores.items()}
        return output._replace(predictions=values, label_ids=labels, metrics=metrics)

    def _score(self, prediction: EvalPrediction) -> dict[str, float]:
        assert self.compute_metrics is not None
        scores = self.compute_metrics(prediction)
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    def save_model(
        self,
        output_dir: str | None = None,
        _internal_call: bool = False,
        *,
        merge_lora: bool = True,
    ) -> None:
        """Save a checkpoint as Trainer does or, without a folder, the final model.

        The final model and tokenizer can be loaded by ``from_pretrained`` and ``pipeline``.
        Adapters are merged, unless `merge_lora` is false. The files have no path of this machine.

        Raises:
            InputError: a weight is NaN or infinite.
        """
        if output_dir is not None:
            super().save_model(output_dir, _internal_call)
            return
        if not are_finite(self.model):
            check_loss(math.nan, self.state.global_step, "weights")
        model, weights = self.accelerator.unwrap_model(self.model), None
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:  # each process has only a part
            engine = self.deepspeed if self.is_deepspeed_enabled else self.model
            weights = self.accelerator.get_state_dict(engine)
        if self.args.should_save:
            folder = Path(self.args.output_dir).expanduser()
            save_trained(model, self.processing_class, folder, merge_lora, weights)

    def _score_names(self) -> list[str]:
        """Return the names of the scores before training, by scoring predictions of 1."""
        dataset = self.eval_dataset
        batch = self.data_collator([self._model_columns(dataset)[0]]).to(self.model.device)
        labels = batch.pop("labels")
        with torch.no_grad():
            outputs = _with_mask(self.model.eval(), **batch)
            values = self.compute_loss_func.predictions(outputs, labels)
        rows = len(dataset) if values.ndim == 2 else text_lengths(dataset).sum()
        ones = np.ones((rows, values.shape[-1]), dtype=np.float32)
        return list(self._score(EvalPrediction(ones, label_ids(dataset))))


def warn_of_unknown(rows: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase) -> None:
    """Warn if a tenth of the tokens of the first `rows` are unknown to the tokenizer.

    transformers reads a folder with only a vocab.txt as an uncased English model. This removes
    accents, and so decomposes each Hangul syllable into letters: nearly all tokens are unknown.
    """
    known = [token != tokenizer.unk_token_id for ids in rows for token in ids]
    share = 1 - sum(known) / max(len(known), 1)
    if share > UNKNOWN_SHARE:
        logger.warning(
            "The tokenizer does not know %.0f%% of the tokens of the first %s rows, and %s teaches "
            'nothing. Where it has a vocab.txt alone, write {"do_lower_case": false} into '
            "tokenizer_config.json beside it; else choose another model or --tokenizer_name.",
            *(100 * share, f"{len(rows):,}", tokenizer.unk_token),
        )


def check_metric(args: RecipeArguments, find_names: Callable[[], list[str]]) -> None:
    """Check that there is a validation score called ``--metric_for_best_model``.

    Args:
        args: settled.
        find_names: returns the names of the scores; called if the score is not the recipe's own.

    Raises:
        InputError: there is none.
    """
    if args.eval_strategy == "no" or args.metric == args.default_metric:
        return
    name, scores = args.metric, find_names()
    if name not in scores:
        raise InputError(
            f"--metric_for_best_model {name}: there is no such score.{nearest(name, scores)} "
            f"The scores are {', '.join(scores)}."
        )


def add_callbacks(trainer: Trainer) -> None:
    """Add callbacks: early stopping if asked for, and one log line for each evaluation."""
    args = trainer.args
    if args.early_stopping_patience is not None:
        trainer.add_callback(
            _EarlyStopping(args.early_stopping_patience, args.early_stopping_threshold)
        )
    for noisy in (PrinterCallback, ProgressCallback):
        if trainer.pop_callback(noisy) is not None:
            trainer.add_callback(_Progress() if noisy is ProgressCallback else _EvaluationLines())


def padding(args: RecipeArguments, max_length: int) -> dict[str, Any]:
    """Return the options of a padding collator; by default it pads to a batch's longest row.

    Args:
        args: settled; with ``--pad_to_max_length`` every row gets `max_length` tokens. Tensor cores
            need multiples of 8.
    """
    multiple = 8 if args.mixed_precision != "no" and args.device.type == "cuda" else None
    if args.pad_to_max_length:
        return {"padding": "max_length", "max_length": max_length, "pad_to_multiple_of": multiple}
    return {"pad_to_multiple_of": multiple}


def label_ids(dataset: Dataset) -> np.ndarray | None:
    """Return the labels of all rows, (rows,) or (rows, labels), or of all tokens, (tokens,).

    None if the dataset has no labels.
    """
    if "labels" not in dataset.column_names:
        return None
    column = dataset.with_format("arrow")[:]["labels"].combine_chunks()
    if not isinstance(column, pa.ListArray | pa.LargeListArray):
        return column.to_numpy(zero_copy_only=False)
    values, widths = column.flatten().to_numpy(zero_copy_only=False), column.value_lengths()
    return values.reshape(len(column), -1) if len(widths.unique()) == 1 else values


def _with_mask(model: Any, **inputs: Any) -> dict[str, Any]:
    return {**model(**inputs), "attention_mask": inputs.get("attention_mask")}


def check_causal(model: PreTrainedModel, packing: bool = False) -> None:
    """Test that a token sees no later tokens and, with `packing`, none of the row before.

    Raises:
        InputError: it sees them, or predicts NaN.
    """
    one, other = [4, 5, 6, 7], [5, 6, 4]
    training = model.training
    model.eval()

    def logits(*rows: list[int]) -> torch.Tensor:
        batch = pack([{"input_ids": row} for row in rows])
        inputs = {"input_ids": batch["input_ids"].to(model.device), "use_cache": False}
        if packing:
            inputs["position_ids"] = batch["position_ids"].to(model.device)
        return model(**inputs)["logits"][0].float()

    def differ(a: torch.Tensor, b: torch.Tensor) -> bool:
        return not torch.allclose(a, b, atol=1e-3, rtol=1e-3)

    with torch.no_grad():
        alone = logits(one)
        check_predictions(alone, model)
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
            f"--packing true: in this {model.config.model_type} a packed text sees the one before "
            "it. Leave it out, or pass another --attn_implementation."
        )


def pack(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return `rows` as one row, (1, tokens), with positions that restart at each row.

    With a cache, or an attention mask, models would not see where a row begins.
    """
    return {**DataCollatorWithFlattening()(rows), "use_cache": False}


def _collate(
    collator: Callable[[list], dict[str, torch.Tensor]], dataset: Dataset, rows: list[Any]
) -> dict[str, torch.Tensor]:
    """Collate; a process without rows in a ragged batch gets a row that does not count."""
    batch = collator(rows or [dataset[0]])
    if not rows:
        batch["labels"] = torch.full_like(batch["labels"], IGNORED)
    return batch


class _CheckedWeights(TrainerCallback):
    """Stops before a checkpoint that would hold weights that are no numbers."""

    def __init__(self, trainer: CheckedTrainer):
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not control.should_save:
            return
        good = torch.tensor(int(are_finite(kwargs["model"])), device=args.device)
        if not self.trainer.accelerator.gather(good).all():  # a process may have only a part
            self.trainer.stop_at("weights", math.nan)

    on_epoch_end = on_step_end


class _EarlyStopping(EarlyStoppingCallback):
    """Early stopping that also holds when a stopped run is continued."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        if self.early_stopping_patience_counter >= max(self.early_stopping_patience, 1):
            control.should_training_stop = True


class _EvaluationLines(TrainerCallback):
    """Logs one line for each evaluation."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        scores = "  ".join(
            f"{heading(name)} {logs[f'eval_{name}']:.4f}"
            for name in ("loss", *SHOWN)
            if f"eval_{name}" in (logs or {})
        )
        if state.is_world_process_zero and scores:
            self.write(f"epoch {state.epoch:.2f}  step {state.global_step}  validation: {scores}")

    def write(self, line: str) -> None:
        logger.info(line)


class _Progress(ProgressCallback, _EvaluationLines):
    """Trainer's progress bars, with the loss next to the bar instead of lines of numbers."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and self.training_bar is not None and "loss" in (logs or {}):
            self.training_bar.set_postfix(loss=f"{logs['loss']:.4f}")
        _EvaluationLines.on_log(self, args, state, control, logs)

    def write(self, line: str) -> None:
        (self.training_bar or self.prediction_bar).write(spoken(line))
