"""Hybrid search: fuse the ranking of vectors, or of a reranker, with the ranking of BM25."""

from collections.abc import Mapping, Sequence

import numpy as np

WEIGHT = 0.5  # the model's default weight
WEIGHTS = np.linspace(0, 1, 41)

Scored = Mapping[int, float]  # passages of one query and their scores, best first


def fuse(model: Scored, words: Scored, weight: float) -> dict[int, float]:
    """Fuse two rankings of one query; return ``{passage id: score}``, best first.

    The score is ``weight · m + (1 - weight) · w`` (a convex combination: Bruch, Gai & Ingber 2023).
    ``m`` is the model's score, scaled so that its best passage has 1 and its last one 0. ``w`` is
    BM25's score, scaled so that its best passage has 1. A passage that is missing in a ranking has
    0 there. Equal scores are in BM25's order, then in the model's.

    Args:
        weight: of the model, from 0 (BM25's ranking, then the passages that only the model has) to
            1.
    """
    ids, parts = _align(model, words)
    scores = weight * parts[0] + (1 - weight) * parts[1]
    order = np.argsort(-scores, kind="stable")
    return dict(zip(ids[order].tolist(), scores[order].tolist(), strict=True))


def choose_weight(
    model: Sequence[Scored],
    words: Sequence[Scored],
    relevant: Sequence[Sequence[int]],
    errors: float = 2.0,
) -> float:
    """Return the model's weight with the best MRR@10 of the fusion on these queries.

    Of equally good weights the middle one is returned. The better half alone, with a weight of 0 or
    1, is returned if the fusion is not better by more than `errors` standard errors of the
    difference: what a few queries decide would not hold for others.

    Args:
        relevant: the true passages of each query; queries without one do not count.
    """
    found = []
    for one, other, true in zip(model, words, relevant, strict=True):
        if not true:
            continue
        ids, parts = _align(one, other)
        scores = np.stack([1 - WEIGHTS, WEIGHTS], axis=1) @ parts[::-1]
        order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        hits = np.isin(ids[order], list(true))
        found.append((hits / np.arange(1, hits.shape[1] + 1)).max(axis=1, initial=0))
    if not found:
        return WEIGHT
    ranks = np.array(found)  # reciprocal ones, (queries, weights)
    means = ranks.mean(axis=0)
    best = np.flatnonzero(means >= means.max() - 1e-9)
    place, half = best[len(best) // 2], 0 if means[0] >= means[-1] else -1
    gain = ranks[:, place] - ranks[:, half]
    if gain.mean() <= errors * gain.std() / np.sqrt(len(gain)):
        place = half
    return round(float(WEIGHTS[place]), 3)


def _align(model: Scored, words: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of both rankings, BM25's first, and their scaled scores, (2, ids)."""
    ids = list(dict.fromkeys((*words, *model)))
    places = {passage: place for place, passage in enumerate(ids)}
    parts = np.zeros((2, len(ids)))
    for part, found, least in zip(parts, (model, words), (None, 0.0), strict=True):
        values = np.array([*found.values()], dtype=float)
        if found:
            low = values.min() if least is None else least
            width = values.max() - low
            part[[places[i] for i in found]] = (values - low) / width if width > 0 else 1.0
    return np.array(ids, dtype=np.int64), parts
