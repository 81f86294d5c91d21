"""The order of rows: each once, the same for every split of the global batch."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data.training.sampler import (
    POOL,
    GlobalBatchSampler,
    global_batches,
    micro_batches,
)

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=120).map(np.array)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))  # size, steps, ranks
bounded = settings(max_examples=60, deadline=None)


def as_sets(batches: list[np.ndarray]) -> list[list[int]]:
    return [sorted(batch.tolist()) for batch in batches]


def all_processes(
    lengths: np.ndarray, shape: tuple[int, int, int], epoch: int = 0, **arguments: object
) -> list[list[list[int]]]:
    """What every process yields in an epoch: ``[process][micro-step]`` lists of rows."""
    size, accumulation, processes = shape
    yielded = []
    for process in range(processes):
        sampler = GlobalBatchSampler(lengths, size, accumulation, processes, process, **arguments)
        sampler.set_epoch(epoch)
        yielded.append(list(sampler))
    return yielded


@bounded
@given(LENGTHS, st.integers(1, 40), SEEDS, st.integers(0, 9), st.booleans())
def test_global_batches_hold_every_row_once_and_only_the_last_is_ragged(
    lengths, batch_size, seed, epoch, grouped
):
    batches = global_batches(lengths, batch_size, seed, epoch, grouped)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    full, rest = divmod(len(lengths), batch_size)
    assert [len(batch) for batch in batches] == [batch_size] * full + [rest] * bool(rest)


@bounded
@given(LENGTHS, st.integers(1, 40), SEEDS)
def test_the_longest_row_of_the_full_batches_comes_first(lengths, batch_size, seed):
    batches = global_batches(lengths, batch_size, seed, epoch=0)
    full = [batch for batch in batches if len(batch) == batch_size]
    if full:
        assert lengths[batches[0]].max() == max(lengths[batch].max() for batch in full)


def test_other_epochs_and_seeds_give_other_batches_and_the_same_ones_the_same():
    lengths = np.random.default_rng(0).integers(5, 100, 40)  # few enough for one sorted pool
    one = as_sets(global_batches(lengths, 4, seed=1, epoch=0))
    assert one == as_sets(global_batches(lengths, 4, seed=1, epoch=0))
    for seed, epoch in [(1, 1), (2, 0), (0, 1)]:
        other = as_sets(global_batches(lengths, 4, seed, epoch))
        assert other != one
        # not the same batches in another order
        assert len({*map(tuple, one)} & {*map(tuple, other)}) <= 2


def test_batches_do_not_come_sorted_by_length():
    lengths = np.random.default_rng(0).integers(5, 200, 2000)
    longest = [lengths[batch].max() for batch in global_batches(lengths, 8, seed=0, epoch=0)]
    for next_to in (np.arange(len(longest)), np.roll(longest, 1)):
        assert abs(np.corrcoef(longest, next_to)[0, 1]) < 0.2


def test_grouping_leaves_under_a_tenth_of_padding_where_random_order_leaves_a_half():
    lengths = np.random.default_rng(0).lognormal(2.8, 0.6, POOL * 32 * 3).astype(int) + 2
    grouped, plain = (GlobalBatchSampler(lengths, 32, grouped=how) for how in (True, False))
    assert grouped.real_tokens() > 0.9
    assert plain.real_tokens() < 0.5


@bounded
@given(LENGTHS, SHAPES, SEEDS, st.integers(0, 3), st.booleans())
def test_the_steps_together_are_the_global_batches_however_they_are_split(
    lengths, shape, seed, epoch, grouped
):
    size, accumulation, processes = shape
    order = {"seed": seed, "grouped": grouped}
    yielded = all_processes(lengths, shape, epoch, **order)
    whole = global_batches(lengths, size * accumulation * processes, epoch=epoch, **order)
    for process, steps in enumerate(yielded):
        assert len(steps) == len(GlobalBatchSampler(lengths, *shape, process))
        assert all(len(step) <= size for step in steps)
    steps = [sum(step, []) for step in zip(*yielded, strict=True)]  # the rows of all processes
    for start, batch in zip(range(0, len(steps), accumulation), whole, strict=True):
        assert sorted(sum(steps[start : start + accumulation], [])) == sorted(batch)


@bounded
@given(st.integers(1, 200), st.integers(1, 8), st.integers(1, 8))
def test_micro_batches_share_the_rows_as_evenly_as_can_be(rows, size, processes):
    steps = micro_batches(np.arange(rows), size, processes)
    assert len(steps) == -(-rows // (size * processes))
    assert all(len(step) == processes for step in steps)
    shared = [sum(map(len, step)) for step in steps]
    assert max(shared) - min(shared) <= 1
    for step in steps:
        assert max(map(len, step)) - min(map(len, step)) <= 1


@pytest.mark.parametrize("grouped", [True, False])
def test_global_random_states_neither_matter_nor_change(grouped):
    def batches() -> list[list[int]]:
        return list(GlobalBatchSampler(np.arange(1, 50), 4, seed=3, grouped=grouped))

    def states() -> tuple:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    first = batches()
    assert states() == before
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert batches() == first


@bounded
@given(LENGTHS, SHAPES, SEEDS, st.integers(0, 3), st.booleans())
def test_real_tokens_is_what_padding_each_micro_batch_leaves(lengths, shape, seed, epoch, grouped):
    real = padded = 0
    for process in all_processes(lengths, shape, epoch, seed=seed, grouped=grouped):
        for rows in filter(None, process):
            longest = max(lengths[row] for row in rows)
            for row in rows:
                cells = [1] * lengths[row] + [0] * (longest - lengths[row])
                real, padded = real + sum(cells), padded + len(cells)
    sampler = GlobalBatchSampler(lengths, *shape, seed=seed, grouped=grouped)
    sampler.set_epoch(epoch)
    assert sampler.real_tokens() == pytest.approx(real / padded)
    fixed = replace(sampler, padded_to=300)
    assert fixed.real_tokens() == pytest.approx(lengths.sum() / (300 * len(lengths)))


@bounded
@given(LENGTHS, SHAPES, st.integers(0, 60))
def test_rows_counts_what_the_first_steps_see(lengths, shape, steps):
    sampler = GlobalBatchSampler(lengths, *shape)
    epoch = [len(batch) for batch in global_batches(lengths, sampler.batch_size, 0, 0)]
    assert sampler.rows(steps) == sum((epoch * (steps // len(epoch) + 1))[:steps])
