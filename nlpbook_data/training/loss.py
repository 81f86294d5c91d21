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
class GlobalMean:
    """A loss whose `total` over some rows is divided by the `items` of the global batch.

    Labels of -100 count nothing.
    """

    def items(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the divisor of the loss of `labels`: their count."""
        return labels.ne(IGNORED).sum()  # no wait for a GPU

    def predictions(self, outputs: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits: (rows, classes), or (rows, 1) for scores."""
        return outputs["logits"].float()

    def total(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of `labels`."""
        raise NotImplementedError

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return `total` divided by `num_items_in_batch`.

        Args:
            outputs: a model's, by name.
            num_items_in_batch: the `items` of the global batch; by default those of these labels.
        """
        count = self.items(labels) if num_items_in_batch is None else num_items_in_batch
        return self.total(outputs, labels) / count


@dataclass
class ClassificationLoss(GlobalMean):
    """Cross-entropy over classes or, for 0/1 vectors, binary cross-entropy over labels.

    Labels are class ids (rows,) or floats (rows, classes).

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
        if labels.is_floating_point() or self.class_weights is None:
            return super().items(labels)
        return self.class_weights.to(labels.device)[labels[labels.ne(IGNORED)]].sum()

    def total(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of `labels`."""
        logits, smoothing = outputs["logits"].float(), self.label_smoothing
        weight = None if self.class_weights is None else self.class_weights.to(logits.device)
        if not labels.is_floating_point():
            options = {"ignore_index": IGNORED, "reduction": "sum", "label_smoothing": smoothing}
            return F.cross_entropy(logits, labels, weight, **options)
        target = labels * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(
            logits, target, pos_weight=weight, reduction="none"
        )
        return (losses * labels.ne(IGNORED)).sum()


@dataclass
class TokenLoss(ClassificationLoss):
    """Cross-entropy of each token over classes; labels are (rows, tokens)."""

    def total(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of `labels`."""
        return super().total({"logits": outputs["logits"].flatten(0, 1)}, labels.flatten())


@dataclass
class LanguageModelLoss(TokenLoss):
    """Cross-entropy of each token, given those before it; ``labels[:, 0]`` never counts."""

    def items(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the divisor of the loss of `labels`: the count of those that are predicted."""
        return super().items(labels[:, 1:])

    def total(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of `labels`."""
        return super().total({"logits": outputs["logits"][:, :-1]}, labels[:, 1:])

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
class SpanLoss(GlobalMean):
    """Cross-entropy of an answer's first and last token, (rows, 2), over the tokens of its row.

    Padding gets no probability. In transformers' own heads it does, so their loss changes with the
    length of the batch.

    Attributes:
        label_smoothing: the share of the target that is spread over all tokens of the row.
    """

    label_smoothing: float = 0.0

    def predictions(self, outputs: Any, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return the start and end logits: (rows, tokens, 2)."""
        return torch.stack([outputs["start_logits"], outputs["end_logits"]], dim=2).float()

    def total(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of `labels`."""
        padding = outputs["attention_mask"].eq(0).unsqueeze(2)
        logits = self.predictions(outputs).masked_fill(padding, -torch.inf)
        losses = -logits.log_softmax(dim=1)
        kept = labels.ne(IGNORED)
        hit = losses.gather(1, labels.where(kept, 0).unsqueeze(1)).squeeze(1)
        if self.label_smoothing:
            spread = losses.masked_fill(padding, 0).sum(dim=1) / (~padding).sum(dim=1)
            hit = (1 - self.label_smoothing) * hit + self.label_smoothing * spread
        return hit.where(kept, 0).sum()


@dataclass
class SquaredErrorLoss(GlobalMean):
    """Mean squared error of one score for each row; labels are (rows,) floats."""

    def total(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of `labels`."""
        errors = outputs["logits"].float().squeeze(1) - labels
        return (errors.square() * labels.ne(IGNORED)).sum()
