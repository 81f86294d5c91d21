"""Initial embeddings from the co-occurrence of tokens, before any training.

They factorise the positive pointwise mutual information of tokens within a window (Levy and
Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization"), with context frequencies
to the power of 0.75 (Levy, Goldberg and Dagan 2015). For a small model and little text this saves
millions of tokens of training, and takes a minute.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse
from transformers import PreTrainedModel, PreTrainedTokenizerBase

WINDOW = 5
DEVIATION = 0.05  # standard deviation of an embedding's numbers


def count_neighbours(
    rows: Iterable[Sequence[int]], vocabulary: int, window: int = WINDOW
) -> sparse.csr_matrix:
    """Count pairs of tokens at most `window` apart in a row; each pair counts 1 / distance.

    Args:
        rows: token ids.

    Returns:
        a symmetric matrix, (vocabulary, vocabulary).
    """
    shape = (vocabulary, vocabulary)
    counts, between = sparse.csr_matrix(shape), [-1] * window
    flat = np.array([token for row in rows for token in (*row, *between)], dtype=np.int64)
    for distance in range(1, window + 1):
        left, right = flat[:-distance], flat[distance:]
        real = (left >= 0) & (right >= 0)
        weights = np.full(int(real.sum()), 1 / distance)
        counts += sparse.csr_matrix((weights, (left[real], right[real])), shape=shape)
    return counts + counts.T


def positive_pmi(counts: sparse.csr_matrix, smoothing: float = 0.75) -> sparse.csr_matrix:
    """Return log(P(a, b) / (P(a) Q(b))), only positive values; Q is P to the power `smoothing`."""
    cells = counts.tocoo()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    contexts = totals**smoothing
    ratio = cells.data * contexts.sum() / (totals[cells.row] * contexts[cells.col])
    return sparse.csr_matrix(
        (np.maximum(np.log(ratio), 0), (cells.row, cells.col)), shape=counts.shape
    )


def start_from_neighbours(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batches: Iterable[list[str]],
    seed: int = 0,
) -> None:
    """Set a model's input embeddings in place; tied output embeddings change with them.

    Special tokens, and tokens that never occur near another, keep their random rows.

    Args:
        batches: lists of texts.
    """
    from sklearn.utils.extmath import randomized_svd

    embeddings: Any = model.get_input_embeddings().weight
    vocabulary, size = embeddings.shape
    counts = sparse.csr_matrix((vocabulary, vocabulary))
    for texts in batches:
        ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        counts += count_neighbours(ids, vocabulary)
    left, values, _ = randomized_svd(positive_pmi(counts), size, random_state=seed)
    found = left * np.sqrt(values)
    alone = np.linalg.norm(found, axis=1) < 1e-6
    alone[tokenizer.all_special_ids] = True
    found -= found[~alone].mean(axis=0)
    # A random rotation, so that the values spread over all numbers of a row
    random = np.random.default_rng(seed)
    found = found @ np.linalg.qr(random.normal(size=(size, size)))[0]
    found *= DEVIATION / found[~alone].std()
    with torch.no_grad():
        rows = torch.from_numpy(~alone)
        embeddings[rows] = torch.from_numpy(found[~alone]).to(embeddings)
