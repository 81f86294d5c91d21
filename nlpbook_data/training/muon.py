"""Muon for the hidden matrices of a model, another optimizer for all its other weights."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from torch import nn
from torch.optim import Muon, Optimizer
from transformers import PreTrainedModel


class MuonAndOther(Optimizer):
    """Two optimizers that are one for schedules and checkpoints.

    The learning rate serves both: an update of Muon has the size that one of AdamW usually has
    (Liu et al. 2025, arXiv 2502.16982).

    Args:
        matrices: the weights that Muon changes (Jordan et al. 2024).
        other: the optimizer of all weights; it loses those of `matrices`.
    """

    def __init__(self, matrices: list[nn.Parameter], other: Optimizer, weight_decay: float):
        chosen = {id(matrix) for matrix in matrices}
        for group in other.param_groups:
            group["params"] = [each for each in group["params"] if id(each) not in chosen]
        options = {"weight_decay": weight_decay, "adjust_lr_fn": "match_rms_adamw"}
        muon = Muon(matrices, other.param_groups[0]["lr"], **options)
        self.parts = (muon, other)
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Let each optimizer change its weights."""
        loss = closure() if closure else None
        groups = iter(self.param_groups)  # other ones after `load_state_dict`
        for part in self.parts:
            part.param_groups = list(islice(groups, len(part.param_groups)))
            part.state = self.state
            part.step()
        return loss


def hidden_matrices(model: PreTrainedModel) -> list[nn.Parameter]:
    """Return the trained matrices of a model without its embeddings and its head."""
    body = model.base_model
    layers = [each for each in body.modules() if isinstance(each, nn.Embedding)]
    embeddings = {id(each.weight) for each in layers}
    weights = [each for each in body.parameters() if each.requires_grad and each.ndim == 2]
    return [each for each in weights if id(each) not in embeddings]
