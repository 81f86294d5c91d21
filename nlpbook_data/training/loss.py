"""Losses that are the mean over the global batch, independent of how it is split.

Trainer calls them as ``compute_loss_func(outputs, labels, num_items_in_batch=…)``; the batch's
``attention_mask`` is among the outputs. The count is the result of `items`, summed over the
micro-batches of the step and over all processes (see `trainer.RecipeTrainer`). The sum of losses
divided by this count is the same for 1×8, for 2×4 with accumulation and for two processes ×4, with
a ragged last batch and with class weights. A mean of means is not (transformers#47688). Evaluation
keeps `predictions`: (rows, …), or (rows, tokens, …) without padding.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

IGNORED = -100


@dataclass
class ClassificationLoss:
    """Cross-entropy over classes or, for 0/1 vectors, binary cross-entropy over labels.

    Attributes:
        class_weights: (classes,), or None. With weights, the mean is weighted as in
            ``torch.nn.CrossEntropyLoss``. For 0/1 vectors, they are the weights of the positives of
            each class.
        label_smoothing: the share of the target that is spread over all classes; 0/1 vectors move
            towards 0.5.
    """

    class_weights: torch.Tensor | None = None
    label_smoothing: float = 0.0

    def items(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the divisor of the loss of `labels`: their count, or the sum of their weights."""
        kept = labels.ne(IGNORED)
        if labels.is_floating_point() or self.class_weights is None:
            return kept.sum()  # no wait for a GPU
        return self.class_weights.to(labels.device)[labels[kept]].sum()

    def predictions(self, outputs: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits: (rows, classes)."""
        return outputs["logits"].float()

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the sum over `labels`, -100 left out, divided by `num_items_in_batch`.

        Args:
            outputs: a model's output with ``logits`` (rows, classes).
            labels: (rows,) class ids or (rows, classes) floats.
            num_items_in_batch: the `items` of the global batch; by default those of these labels.
        """
        logits = outputs["logits"].float()
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        if labels.is_floating_point():
            kept = labels.ne(IGNORED)
            target = labels * (1 - self.label_smoothing) + self.label_smoothing / 2
            losses = F.binary_cross_entropy_with_logits(
                logits, target, pos_weight=weights, reduction="none"
            )
            total = (losses * kept).sum()
        else:
            total = F.cross_entropy(
                logits,
                labels,
                weight=weights,
                ignore_index=IGNORED,
                reduction="sum",
                label_smoothing=self.label_smoothing,
            )
        count = self.items(labels) if num_items_in_batch is None else num_items_in_batch
        return total / count


@dataclass
class TokenLoss(ClassificationLoss):
    """Cross-entropy of each token over classes; `predictions` are (rows, tokens, classes)."""

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the sum over `labels`, (rows, tokens), divided by `num_items_in_batch`."""
        tokens = {"logits": outputs["logits"].flatten(0, 1)}
        return super().__call__(tokens, labels.flatten(), num_items_in_batch)


@dataclass
class LanguageModelLoss(TokenLoss):
    """Cross-entropy of each token, given those before it; ``labels[:, 0]`` never counts."""

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the sum over `labels`, (rows, tokens), divided by `num_items_in_batch`."""
        shifted = {"logits": outputs["logits"][:, :-1]}
        return super().__call__(shifted, labels[:, 1:], num_items_in_batch)

    def predictions(self, outputs: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return each row's summed loss, in nats without smoothing, and its token count: (rows, 2).

        Both are 0 without `labels`.
        """
        if labels is None:
            return outputs["logits"].new_zeros(len(outputs["logits"]), 2)
        logits, targets = outputs["logits"][:, :-1].float(), labels[:, 1:]
        losses = F.cross_entropy(
            logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none"
        )
        return torch.stack([losses.sum(dim=1), targets.ne(IGNORED).sum(dim=1)], dim=1)


@dataclass
class SpanLoss:
    """Cross-entropy of an answer's first and last token over the tokens of its row.

    Padding gets no probability. In transformers' own heads it does, so their loss changes with the
    length of the batch.

    Attributes:
        label_smoothing: the share of the target that is spread over all tokens of the row.
    """

    label_smoothing: float = 0.0

    def items(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the divisor of the loss of `labels`: the number of positions."""
        return labels.ne(IGNORED).sum()

    def predictions(self, outputs: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the start and end logits: (rows, tokens, 2)."""
        return torch.stack([outputs["start_logits"], outputs["end_logits"]], dim=2).float()

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the sum over `labels`, -100 left out, divided by `num_items_in_batch`.

        Args:
            outputs: with ``start_logits`` and ``end_logits``, (rows, tokens).
            labels: first and last token, (rows, 2).
            num_items_in_batch: the `items` of the global batch; by default those of these labels.
        """
        padding = outputs["attention_mask"].eq(0).unsqueeze(2)
        logits = self.predictions(outputs).masked_fill(padding, -torch.inf)
        losses = -logits.log_softmax(dim=1)
        kept = labels.ne(IGNORED)
        hit = losses.gather(1, labels.where(kept, 0).unsqueeze(1)).squeeze(1)
        if self.label_smoothing:
            spread = losses.masked_fill(padding, 0).sum(dim=1) / (~padding).sum(dim=1)
            hit = (1 - self.label_smoothing) * hit + self.label_smoothing * spread
        total = hit.where(kept, 0).sum()
        return total / (self.items(labels) if num_items_in_batch is None else num_items_in_batch)


@dataclass
class SquaredErrorLoss:
    """Mean squared error of one score for each row."""

    def items(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the divisor of the loss of `labels`: their count."""
        return labels.ne(IGNORED).sum()

    def predictions(self, outputs: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the scores: (rows, 1)."""
        return outputs["logits"].float()

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the sum over `labels`, -100 left out, divided by `num_items_in_batch`.

        Args:
            outputs: a model's output with ``logits`` (rows, 1).
            labels: (rows,) floats.
            num_items_in_batch: the `items` of the global batch; by default those of these labels.
        """
        errors = outputs["logits"].float().squeeze(1) - labels
        total = (errors.square() * labels.ne(IGNORED)).sum()
        return total / (self.items(labels) if num_items_in_batch is None else num_items_in_batch)
