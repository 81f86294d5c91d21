"""The loss of a global batch is torch's own over all of it, however the batch is split."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from nlpbook_data.training.loss import (
    ClassificationLoss,
    LanguageModelLoss,
    SpanLoss,
    SquaredErrorLoss,
    TokenLoss,
)

WEIGHTS = [None, torch.tensor([0.5, 2.0, 1.0, 4.0])]
CUTS = st.lists(st.integers(0, 13), max_size=4)  # empty parts are among them
rows, classes = 13, 4
bounded = settings(max_examples=25, deadline=None)


def split_loss(
    loss: ClassificationLoss, logits: torch.Tensor, labels: torch.Tensor, cuts: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum the losses over the parts that `cuts` makes, as the steps of a trainer do; its gradient.

    A part without rows becomes one row of label -100, as in `trainer.RecipeTrainer`.
    """
    logits = logits.clone().requires_grad_()
    parts = list(zip(logits.tensor_split(cuts), labels.tensor_split(cuts), strict=True))
    ignored = torch.full_like(labels[:1], -100)
    parts = [(x, y) if len(y) else (logits[:1], ignored) for x, y in parts]
    count = sum(loss.items(y) for _, y in parts)
    total = sum(loss(dict(logits=x), y, num_items_in_batch=count) for x, y in parts)
    total.backward()
    return total.detach(), logits.grad


def assert_split_is_whole(
    loss: ClassificationLoss,
    reference: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    logits: torch.Tensor,
    labels: torch.Tensor,
    cuts: list[int],
) -> None:
    """Loss and gradient of the parts are those of `reference`; so is the loss without a count."""
    found, gradient = split_loss(loss, logits, labels, cuts)
    logits = logits.clone().requires_grad_()
    expected = reference(logits, labels)
    expected.backward()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, logits.grad, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(loss(dict(logits=logits), labels), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", WEIGHTS)
@bounded
@given(
    CUTS.map(sorted),
    st.lists(st.sampled_from([-100, 0, 1, 2, 3]), min_size=rows, max_size=rows).filter(
        lambda labels: any(label >= 0 for label in labels)
    ),
    st.integers(0, 2**31),
)
def test_cross_entropy_of_any_split_is_that_of_the_whole_batch(
    weights, smoothing, cuts, labels, seed
):
    logits = 3 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))
    reference = torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)
    loss = ClassificationLoss(weights, smoothing)
    assert_split_is_whole(loss, reference, logits, torch.tensor(labels), cuts)
    tokens = logits[:12].view(3, 4, classes), torch.tensor(labels[:12]).view(3, 4)
    if weights is None and any(label >= 0 for label in labels[:12]):

        def flat(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return reference(logits.flatten(0, 1), labels.flatten())

        assert_split_is_whole(TokenLoss(None, smoothing), flat, *tokens, [c for c in cuts if c < 4])


@pytest.mark.parametrize("weights", WEIGHTS)
@bounded
@given(CUTS.map(sorted), st.integers(0, 2**31), st.lists(st.integers(0, rows - 2)))
def test_binary_cross_entropy_of_any_split_is_that_of_the_rows_that_count(
    weights, cuts, seed, ignored
):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, generator=generator)
    labels = torch.randint(0, 2, (rows, classes), generator=generator).float()
    labels[ignored] = -100

    def reference(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        kept = labels[:, 0] >= 0
        return torch.nn.BCEWithLogitsLoss(pos_weight=weights)(logits[kept], labels[kept])

    assert_split_is_whole(ClassificationLoss(weights), reference, logits, labels, cuts)


def test_smoothing_moves_binary_targets_towards_a_half():
    logits = torch.tensor([[2.0, -1.0]])
    found = ClassificationLoss(label_smoothing=0.2)(dict(logits=logits), torch.tensor([[1.0, 0.0]]))
    expected = torch.nn.BCEWithLogitsLoss()(logits, torch.tensor([[0.9, 0.1]]))
    torch.testing.assert_close(found, expected)


def test_logits_of_half_precision_are_summed_in_float32():
    logits = torch.tensor([[9.0, 0.0]]).repeat(3000, 1)
    labels = torch.ones(3000, dtype=torch.long)  # a sum of 27,000; float16 ends at 65,504
    loss = ClassificationLoss()
    found = loss(dict(logits=logits.half()), labels, num_items_in_batch=torch.tensor(1))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(3000 * 9.000123), rtol=1e-4, atol=0)


def test_items_counts_rows_weights_or_cells():
    labels = torch.tensor([0, 3, -100, 1, 1])
    assert ClassificationLoss().items(labels) == 4
    assert ClassificationLoss(WEIGHTS[1]).items(labels) == 0.5 + 4 + 2 + 2
    assert ClassificationLoss().items(torch.zeros(5, classes)) == 5 * classes
    assert ClassificationLoss(WEIGHTS[1]).items(torch.full((1, classes), -100.0)) == 0


@pytest.mark.parametrize("cuts", [[], [4], [2, 4, 6], [7]])
def test_squared_errors_of_parts_add_up_to_the_mean_over_the_rows_that_count(cuts):
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(8, 1, generator=generator), torch.rand(8, generator=generator)
    labels[7] = -100

    def reference(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.MSELoss()(logits[:7, 0], labels[:7])

    assert_split_is_whole(SquaredErrorLoss(), reference, logits, labels, cuts)


def pad_spans(lengths: list[int], width: int, seed: int = 0) -> tuple[dict, torch.Tensor]:
    """Return outputs with arbitrary logits, padding's included, and labels within the rows."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), width)
    logits = {f"{s}_logits": 4 * torch.randn(shape, generator=generator) for s in ("start", "end")}
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    labels = torch.stack([torch.randint(0, n, (2,), generator=generator) for n in lengths])
    return logits | {"attention_mask": mask}, labels


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_span_is_torchs_on_the_rows_without_padding(smoothing):
    lengths = [3, 9, 1, 6]
    outputs, labels = pad_spans(lengths, 9)
    names = ("start_logits", "end_logits")
    each = [
        torch.nn.functional.cross_entropy(
            outputs[name][row, :length], labels[row, side], label_smoothing=smoothing
        )
        for row, length in enumerate(lengths)
        for side, name in enumerate(names)
    ]
    loss = SpanLoss(smoothing)
    torch.testing.assert_close(loss(outputs, labels), torch.stack(each).mean())
    for row, length in enumerate(lengths):  # alone, as in the batch
        alone = {name: values[row : row + 1, :length] for name, values in outputs.items()}
        found = loss(alone, labels[row : row + 1], num_items_in_batch=torch.tensor(1))
        expected = each[2 * row] + each[2 * row + 1]
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_span_losses_of_parts_add_up_and_ignored_rows_count_nothing():
    outputs, labels = pad_spans([4, 7, 2, 5], 7)
    labels[3] = -100  # the row of a process that a ragged batch left empty
    loss, count = SpanLoss(0.1), torch.tensor(6)
    assert loss.items(labels) == count
    logits = outputs["start_logits"].requires_grad_()
    parts = [
        loss({name: v[p] for name, v in outputs.items()}, labels[p], num_items_in_batch=count)
        for p in (slice(0, 1), slice(1, 3), slice(3, 4))
    ]
    assert parts[2] == 0
    sum(parts).backward()
    gradient = logits.grad.clone()
    assert not gradient[outputs["attention_mask"] == 0].any() and not gradient[3].any()
    logits.grad = None
    whole = loss({name: values[:3] for name, values in outputs.items()}, labels[:3])
    whole.backward()
    torch.testing.assert_close(sum(parts), whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, logits.grad, rtol=1e-5, atol=1e-6)


def test_the_loss_of_a_language_model_is_transformers_own():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=8)
    model = GPT2LMHeadModel(config).eval()
    ids = torch.randint(0, 11, (3, 8))
    labels = ids.clone()
    labels[0, :3] = labels[1, 5:] = labels[2, :7] = -100  # prompts, padding, a single token
    expected = model(input_ids=ids, labels=labels)
    outputs, loss = {"logits": expected.logits}, LanguageModelLoss()
    torch.testing.assert_close(loss(outputs, labels), expected.loss)
    sums = loss.predictions(outputs, labels)
    assert sums[:, 1].tolist() == [5, 4, 1]  # the first token follows nothing
    torch.testing.assert_close(sums[:, 0].sum() / sums[:, 1].sum(), expected.loss)
