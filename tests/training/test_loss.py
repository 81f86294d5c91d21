"""The loss of a global batch is torch's own over all of it, however the batch is split."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data.training.loss import ClassificationLoss, SquaredErrorLoss

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


def whole_loss(
    reference: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    logits: torch.Tensor,
    labels: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = logits.clone().requires_grad_()
    total = reference(logits, labels)
    total.backward()
    return total.detach(), logits.grad


def assert_equal(found: tuple, expected: tuple) -> None:
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-5, atol=1e-6)


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
    labels = torch.tensor(labels)
    assert_equal(split_loss(loss, logits, labels, cuts), whole_loss(reference, logits, labels))


@pytest.mark.parametrize("weights", WEIGHTS)
@bounded
@given(CUTS.map(sorted), st.integers(0, 2**31))
def test_binary_cross_entropy_of_any_split_is_that_of_the_whole_batch(weights, cuts, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, generator=generator)
    labels = torch.randint(0, 2, (rows, classes), generator=generator).float()
    reference = torch.nn.BCEWithLogitsLoss(pos_weight=weights)
    assert_equal(
        split_loss(ClassificationLoss(weights), logits, labels, cuts),
        whole_loss(reference, logits, labels),
    )


def test_binary_cross_entropy_leaves_ignored_rows_out():
    logits = torch.randn(6, classes, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1.0, 0, 0, 1]] * 6)
    labels[2] = labels[5] = -100
    kept = [0, 1, 3, 4]
    found = split_loss(ClassificationLoss(), logits, labels, [3])
    expected = whole_loss(torch.nn.BCEWithLogitsLoss(), logits[kept], labels[kept])
    assert_equal((found[0], found[1][kept]), expected)
    assert not found[1][[2, 5]].any()


def test_smoothing_moves_binary_targets_towards_a_half():
    logits = torch.tensor([[2.0, -1.0]])
    found = ClassificationLoss(label_smoothing=0.2)(dict(logits=logits), torch.tensor([[1.0, 0.0]]))
    expected = torch.nn.BCEWithLogitsLoss()(logits, torch.tensor([[0.9, 0.1]]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_without_a_count_the_loss_is_the_mean_over_its_own_rows(weights):
    logits = torch.randn(5, classes, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, -100, 1, 1])
    found = ClassificationLoss(weights)(dict(logits=logits), labels)
    torch.testing.assert_close(found, torch.nn.CrossEntropyLoss(weight=weights)(logits, labels))


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


@pytest.mark.parametrize("sizes", [[7], [4, 3], [2, 2, 2, 1], [7, 1]])
def test_squared_errors_of_parts_add_up_to_the_mean_over_all_rows(sizes):
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(8, 1, generator=generator), torch.rand(8, generator=generator)
    labels[7] = -100  # the row of a process that a ragged batch left empty
    loss, count = SquaredErrorLoss(), torch.tensor(7)
    sizes = [*sizes, 8 - sum(sizes)]
    parts = zip(logits.split(sizes), labels.split(sizes), strict=True)
    total = sum(loss(dict(logits=a), b, num_items_in_batch=count) for a, b in parts)
    expected = torch.nn.MSELoss()(logits[:7, 0], labels[:7])
    torch.testing.assert_close(total, expected)
    assert loss.items(labels) == 7
    torch.testing.assert_close(loss(dict(logits=logits), labels), expected)
