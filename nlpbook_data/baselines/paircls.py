"""The yardsticks of sentence pairs: n-grams of both texts, of the second alone, and overlap."""

from collections.abc import Iterator, Mapping

import numpy as np
from datasets import Dataset
from scipy.sparse import csr_matrix, hstack

from nlpbook_data.baselines.doccls import (
    character_ngrams,
    fit_logistic,
    majority,
    ngram_vectorizer,
)

Pairs = tuple[list[str], list[str]]
OVERLAP_STRENGTH = 100.0  # its one number is from 0 to 1: the usual penalty would flatten it


def predict_pairs(
    train: Dataset, held_out: Mapping[str, Dataset], num_labels: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield each yardstick's name, and probabilities (rows, num_labels) or scores (rows,) a split.

    Args:
        train: the columns of both texts, and ``label``: class ids, or scores where `num_labels` is
            0.
        held_out: the same by split.
    """
    names = [name for name in train.column_names if name != "label"]
    labels = np.array(train["label"][:])
    tests = {s: tuple(rows[name][:] for name in names) for s, rows in held_out.items()}
    texts = tuple(train[name][:] for name in names)
    if not num_labels:
        low, high = labels.min(), labels.max()
        yield "character overlap", {s: low + overlap(p) * (high - low) for s, p in tests.items()}
        return
    yield "majority", {s: majority(labels, num_labels, len(p[0])) for s, p in tests.items()}
    seconds = [second for _, second in tests.values()]
    predicted = character_ngrams(texts[1], labels, num_labels, seconds)
    yield f"{names[1]} alone", dict(zip(tests, predicted, strict=True))
    shared = [overlap(pair)[:, None] for pair in tests.values()]
    predicted = fit_logistic(overlap(texts)[:, None], labels, num_labels, shared, OVERLAP_STRENGTH)
    yield "character overlap", dict(zip(tests, predicted, strict=True))
    predicted = pair_ngrams(texts, labels, num_labels, list(tests.values()))
    yield "character n-grams", dict(zip(tests, predicted, strict=True))


def pair_ngrams(
    train: Pairs, labels: np.ndarray, num_labels: int, tests: list[Pairs]
) -> list[np.ndarray]:
    """Train logistic regression on the character n-grams of each text and on those of both.

    Args:
        train: the first and the second texts, n each.
        labels: class ids, (n,).
        tests: the pairs of each split to predict.

    Returns:
        Probabilities (rows, num_labels) a split.
    """
    vectorizer = ngram_vectorizer(2 * len(labels)).fit([*train[0], *train[1]])

    def features(pairs: Pairs) -> csr_matrix:
        first, second = map(vectorizer.transform, pairs)
        return hstack([first, second, first.multiply(second)], format="csr")

    return fit_logistic(features(train), labels, num_labels, list(map(features, tests)))


def overlap(pairs: Pairs) -> np.ndarray:
    """Return the Dice coefficient of the character bigrams of each pair's texts, 0 to 1, (rows,).

    Blanks do not count; a text of one character has no bigram and counts as its own.
    """

    def bigrams(text: str) -> set[str]:
        text = "".join(text.split())
        return {text[i : i + 2] for i in range(max(len(text) - 1, 1))}

    scores = []
    for first, second in zip(*pairs, strict=True):
        a, b = bigrams(first), bigrams(second)
        scores.append(2 * len(a & b) / (len(a) + len(b)))
    return np.array(scores)
