"""The trainer of language models over packed blocks: masking, and exact sums."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's usual name
from accelerate.utils import gather_object
from datasets import Dataset, IterableDataset
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.errors import InputError
from nlpbook_data.features.pretrain import NO_LOSS, PADDING, SPECIAL, block_mask, mask_words
from nlpbook_data.training.arguments import ModelArguments
from nlpbook_data.training.models import limit_length, load_config, load_model, load_tokenizer
from nlpbook_data.training.muon import MuonAndOther, hidden_matrices
from nlpbook_data.training.trainer import RecipeTrainer

COLUMNS = ("input_ids", "position_ids", "words")
EVALUATED_RATE = 0.15  # masking in validation, the same for all runs: curves are compared


class BlockTrainer(RecipeTrainer):
    """RecipeTrainer for blocks of `features.pretrain.pack`.

    The masked words depend only on seed, step, micro-batch and process. So a run that is killed and
    continued masks the same words.

    Args:
        causal: predict each token from those before it; else masked whole words from all others.
        mask_rates: the share of masked words at the first step and at the last.
        teacher: a model of the same vocabulary; its predictions are learnt in addition to the true
            tokens, ``(1 - weight) * cross-entropy + weight * T² * KL(teacher ‖ student)`` with
            logits divided by the temperature T (Hinton et al. 2015). It is not used in validation.
        distillation: the weight, from 0 to 1, and T.
        muon: whether Muon changes the hidden matrices; see `muon`.
        kwargs: RecipeTrainer's; `train_dataset` may be an ``IterableDataset``.
    """

    loss_is_scaled_for_ga = True  # `compute_loss` divides by the labels of the whole step

    def __init__(
        self,
        *args: Any,
        causal: bool,
        mask_rates: tuple[float, float],
        teacher: PreTrainedModel | None = None,
        distillation: tuple[float, float] = (0.5, 2.0),
        muon: bool = False,
        **kwargs: Any,
    ):
        super().__init__(*args, data_collator=stack, **kwargs)
        self.causal, self.mask_rates = causal, mask_rates
        self.teacher = teacher.to(self.args.device).eval() if teacher else None
        self.distillation, self.muon = distillation, muon

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return Trainer's optimizer, without the hidden matrices if Muon has them."""
        optimizer = super().create_optimizer(model)
        if self.muon and not isinstance(optimizer, MuonAndOther):
            matrices = hidden_matrices(self.model)
            optimizer = MuonAndOther(matrices, optimizer, self.args.weight_decay)
            self.optimizer = optimizer
        return optimizer

    def get_train_dataloader(self) -> DataLoader:
        """Return this process' micro-batches; a stream keeps its own order."""
        if not isinstance(self.train_dataset, IterableDataset):
            return super().get_train_dataloader()
        rows = self.train_dataset.select_columns(list(COLUMNS))
        loader = DataLoader(rows, self.args.train_batch_size, collate_fn=stack, drop_last=True)
        return self.accelerator.prepare_data_loader(loader)

    def _model_columns(self, dataset: Dataset) -> Dataset:
        return dataset.select_columns(list(COLUMNS))

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list, torch.Tensor | None]:
        """Return the next step's batches with labels, and the label count of all processes."""
        batches = []
        for number, batch in zip(range(num_batches), epoch_iterator, strict=False):
            step = self.state.global_step
            first, last = self.mask_rates
            rate = first + (last - first) * min(step / max(self.state.max_steps, 1), 1)
            key = [self.args.seed, step, number, self.args.process_index]
            batches.append(self.label(batch, rate, np.random.default_rng(key)))
        if not batches:
            return [], None
        items = torch.stack([(batch["labels"] != NO_LOSS).sum() for batch in batches]).sum()
        return batches, self.accelerator.gather(items.to(device)).sum()

    def label(
        self, batch: Mapping[str, torch.Tensor], rate: float, random: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """Return ``input_ids``, ``position_ids`` and ``labels``, -100 where none is predicted."""
        ids, positions, words = (batch[name] for name in COLUMNS)
        if self.causal:
            unseen = (positions == 0) | (words == PADDING)
            labels = batch["labels"].masked_fill(unseen, NO_LOSS)
            return {"input_ids": ids, "position_ids": positions, "labels": labels}
        tokenizer = self.processing_class
        shown, labels = mask_words(
            ids.cpu().numpy(),
            words.cpu().numpy(),
            rate,
            tokenizer.mask_token_id,
            len(tokenizer),
            random,
        )
        counted = torch.from_numpy(labels).to(ids.device)
        counted[batch["labels"] == NO_LOSS] = NO_LOSS  # a row added to a ragged batch
        shown = torch.from_numpy(shown).to(ids.device)
        return {"input_ids": shown, "position_ids": positions, "labels": counted}

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the sum of a batch's losses, divided by the label count of the whole step."""
        labels, positions = inputs["labels"], inputs["position_ids"]
        options = {"use_cache": False} if self.causal else {}
        given = {
            "input_ids": inputs["input_ids"],
            "position_ids": positions,
            "attention_mask": block_mask(positions, self.causal),
            "labels": labels,
            **options,
        }
        outputs = model(**given)
        items = (labels != NO_LOSS).sum()
        loss = outputs["loss"]  # a mean; NaN without labels
        if self.teacher is not None and model.training:
            with torch.no_grad():
                theirs = self.guesses(self.teacher(**given)["logits"], labels)
            weight, temperature = self.distillation
            kl = distance(self.guesses(outputs["logits"], labels), theirs, temperature)
            loss = (1 - weight) * loss + weight * temperature**2 * kl
        loss = torch.where(items > 0, loss, 0) * items
        if num_items_in_batch is not None:  # makes Trainer's mean over processes a sum
            loss = loss * self.accelerator.num_processes / num_items_in_batch
        return (loss, outputs) if return_outputs else loss

    def guesses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the logits of the predicted tokens, (tokens, vocabulary), in order."""
        if self.causal:  # a token is predicted at the place before it
            logits, labels = logits[:, :-1], labels[:, 1:]
        return logits[labels != NO_LOSS] if logits.ndim == 3 else logits  # sparse prediction

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict:
        """Score all blocks of validation; their masked words are always the same.

        Returns:
            ``eval_loss``, the mean over labels; ``eval_bits_per_character``, the bits of all tokens
            at that mean, divided by the number of characters; ``eval_masked_accuracy`` for a masked
            model.
        """
        model, rows = self.model.eval(), self.eval_dataset
        size, processes = self.args.eval_batch_size, self.accelerator.num_processes
        sums = np.zeros(3)
        for number, begin in enumerate(range(0, len(rows), size)):
            if number % processes != self.accelerator.process_index:
                continue
            part = range(begin, min(begin + size, len(rows)))
            batch = stack([rows[n] for n in part])  # type: ignore[index, misc]
            batch = {name: values.to(self.args.device) for name, values in batch.items()}
            labelled = self.label(batch, EVALUATED_RATE, np.random.default_rng([0, number]))
            with torch.no_grad(), self.compute_loss_context_manager():
                loss, outputs = self.compute_loss(model, labelled, return_outputs=True)
            labels, logits = labelled["labels"], outputs["logits"]
            guessed = labels != NO_LOSS
            right = 0.0
            if not self.causal:
                found = self.guesses(logits, labels)
                right = float((found.argmax(dim=-1) == labels[guessed]).sum())
            sums += [float(loss), float(guessed.sum()), right]
        model.train()
        sums = np.sum(gather_object([sums]), axis=0) if processes > 1 else sums
        loss, items, right = sums / [sums[1], 1, sums[1]]
        pieces = rows.with_format("numpy")[:]
        guessable = pieces["words"] < SPECIAL
        if self.causal:
            guessable = (pieces["words"] != PADDING) & (pieces["position_ids"] > 0)
        tokens = int(guessable.sum())
        bits = loss / math.log(2) * tokens / max(int(pieces["characters"].sum()), 1)
        metrics = {"loss": loss, "bits_per_character": bits}
        if not self.causal:
            metrics["masked_accuracy"] = right
        metrics = {f"{metric_key_prefix}_{name}": float(value) for name, value in metrics.items()}
        self.log(dict(metrics))  # log adds the epoch to its argument
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


def load_teacher(
    name: str, auto_class: Any, tokenizer: PreTrainedTokenizerBase, block_size: int
) -> PreTrainedModel:
    """Return a pretrained model to learn from.

    Raises:
        InputError: its vocabulary differs from `tokenizer`'s, blocks are too long for it, or no
            such model.
    """
    args = ModelArguments(model_name_or_path=name)
    if load_tokenizer(args).get_vocab() != tokenizer.get_vocab():
        raise InputError(
            f"--teacher {name}: its vocabulary is not the student's, so their guesses cannot be "
            f"compared. Give the student the teacher's by --tokenizer_name {name}."
        )
    config = load_config(args)
    if limit_length(block_size, config, tokenizer) < block_size:
        raise InputError(
            f"--teacher {name}: it takes no blocks of {block_size} tokens. Pass a smaller "
            "--block_size."
        )
    return load_model(auto_class, args, config, training=False)


def distance(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean KL divergence of the student's predictions from the teacher's, in nats.

    Args:
        student, teacher: logits, (tokens, vocabulary).
        temperature: both are divided by it first.
    """
    ours, theirs = ((x.float() / temperature).log_softmax(-1) for x in (student, teacher))
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def stack(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Return blocks of equal size as tensors, (blocks, size), each token its own label."""
    batch = {name: torch.tensor([row[name] for row in rows]) for name in COLUMNS}
    return batch | {"labels": batch["input_ids"].clone()}
