"""The rows of each batch, as a pure function of seed, epoch and global batch size.

Trainer's own length grouping uses the global random state and groups by the batch of one device. So
with another number of processes, or after a resume inside an epoch, batches would have other rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

# Rows are sorted within pools of this many global batches: 100 leave 3% padding on NSMC.
POOL = 100


def global_batches(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int, grouped: bool = True
) -> list[np.ndarray]:
    """Return the row numbers of each optimizer step of an epoch; every row is in exactly one.

    Rows are shuffled, sorted by length within pools and cut into batches; then the batches are
    shuffled. The batch with the longest row comes first, so a lack of memory shows at once. A
    ragged batch comes last.

    Args:
        lengths: (rows,), the number of tokens of each row.
        batch_size: rows of one optimizer step, over all processes.
        seed, epoch: the order depends only on these and the arguments above.
        grouped: False keeps the shuffled order.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    full = len(order) // batch_size
    if not grouped:
        return np.split(order, range(batch_size, len(order), batch_size))
    # Without this, small data would be one sorted pool, and every epoch would have the same
    # batches.
    pool = batch_size * max(1, min(POOL, full // 4))
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        order[start : start + pool] = part[np.argsort(-lengths[part], kind="stable")]
    batches = np.split(order, range(batch_size, len(order), batch_size))
    ragged = batches[full:]
    batches = [batches[i] for i in rng.permutation(full)]
    if batches:
        longest = max(range(full), key=lambda i: lengths[batches[i]].max())
        batches[0], batches[longest] = batches[longest], batches[0]
    return batches + ragged


def micro_batches(batch: np.ndarray, size: int, processes: int) -> list[list[list[int]]]:
    """Split a global batch into ``[micro-step][process]`` lists of at most `size` rows.

    Every process has the same number of micro-steps. In a ragged batch a process may get an empty
    list; the collator of `trainer.RecipeTrainer` fills it with a row of no weight.
    """
    steps = -(-len(batch) // (size * processes))
    # Equal shares, so that no step has only one row.
    return [
        [share[process::processes].tolist() for process in range(processes)]
        for share in np.array_split(batch, steps)
    ]


@dataclass
class GlobalBatchSampler(Sampler[list[int]]):
    """Yields the micro-batches of one process, in the order of `global_batches`."""

    lengths: np.ndarray  # (rows,), the number of tokens of each
    size: int  # the rows of a micro-batch of one process
    accumulation: int = 1
    processes: int = 1
    process: int = 0
    seed: int = 0
    grouped: bool = True
    padded_to: int | None = None  # tokens; None: a micro-batch's longest row, 0: without padding
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    @property
    def batch_size(self) -> int:
        """Rows of one optimizer step."""
        return self.size * self.accumulation * self.processes

    def __len__(self) -> int:
        full, rest = divmod(len(self.lengths), self.batch_size)
        return full * self.accumulation + -(-rest // (self.size * self.processes))

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches():
            for step in micro_batches(batch, self.size, self.processes):
                yield step[self.process]

    def _batches(self) -> list[np.ndarray]:
        return global_batches(self.lengths, self.batch_size, self.seed, self.epoch, self.grouped)

    def rows(self, steps: int) -> int:
        """Return the number of rows, over all epochs, in the first `steps` optimizer steps."""
        epochs, rest = divmod(steps, -(-len(self.lengths) // self.batch_size))
        return epochs * len(self.lengths) + rest * self.batch_size

    def real_tokens(self) -> float:
        """Return the share of non-padding tokens in the current epoch, over all processes."""
        if self.padded_to == 0:
            return 1.0
        padded = sum(
            len(rows) * (self.padded_to or int(self.lengths[rows].max()))
            for batch in self._batches()
            for step in micro_batches(batch, self.size, self.processes)
            for rows in step
            if rows
        )
        return float(self.lengths.sum() / padded)
