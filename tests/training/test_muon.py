"""Muon and AdamW in one optimizer: each changes its weights by its own rule, and resumes."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM

from nlpbook_data.training.arguments import resolve_package
from nlpbook_data.training.muon import MuonAndOther, hidden_matrices

LR, DECAY = 0.01, 0.1
MATRICES = {"attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"}


@pytest.fixture
def model():
    torch.manual_seed(0)
    name = resolve_package("package:models/encoder")
    config = AutoConfig.from_pretrained(name, num_hidden_layers=1, vocab_size=50)
    return AutoModelForMaskedLM.from_config(config)


def optimizer_of(model, lr=LR):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    other = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))
    return MuonAndOther(hidden_matrices(model), other, DECAY)


def backward(model, seed):
    torch.manual_seed(seed)
    ids = torch.randint(5, 50, (4, 12))
    model(input_ids=ids, labels=ids).loss.backward()


def test_each_weight_is_changed_by_its_own_rule(model):
    optimizer = optimizer_of(model)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    backward(model, 1)
    optimizer.step()
    by_muon = set()
    for name, weight in model.named_parameters():
        decayed = before[name] * (1 - LR * DECAY * (weight.ndim > 1))
        change = (decayed - weight.detach()) / LR
        if "momentum_buffer" in optimizer.state[weight]:
            by_muon.add(name.removeprefix("model.layers.0.").removesuffix(".weight"))
            # the gradient U S Vᵀ becomes about 0.2 √(longest side) U Vᵀ
            u, _, v = torch.linalg.svd(weight.grad, full_matrices=False)
            sizes = (u.T @ change @ v.T) / (0.2 * max(weight.shape) ** 0.5)
            largest = sizes.diagonal()[:20]  # the iteration leaves tiny ones tiny
            assert largest.min() > 0.6 and largest.max() < 1.3
        else:  # Adam's first step: both moments are the gradient's own
            gradient = weight.grad
            torch.testing.assert_close(
                change, gradient / (gradient.abs() + 1e-8), atol=1e-3, rtol=1e-3
            )
    assert by_muon == MATRICES


def test_a_saved_state_goes_on_and_one_schedule_serves_both(model):
    twin = copy.deepcopy(model)
    whole, stopped = optimizer_of(model), optimizer_of(twin)
    for seed in (1, 2, 3):
        for each, optimizer in ((model, whole), (twin, stopped)):
            each.zero_grad()
            backward(each, seed)
            optimizer.step()
        state = copy.deepcopy(stopped.state_dict())
        stopped = optimizer_of(twin, lr=5.0)  # the state has the rate
        stopped.load_state_dict(state)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)

    before = [weight.detach().clone() for weight in twin.parameters()]
    schedule = torch.optim.lr_scheduler.LambdaLR(stopped, lambda step: 0.0)
    stopped.step()
    assert schedule.get_last_lr() == [0.0, 0.0, 0.0]
    assert all(map(torch.equal, before, twin.parameters()))
