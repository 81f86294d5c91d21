"""Baselines that a trained model must beat; one module a task."""

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any


def score_baselines(
    score: Callable[[str, Any], dict[str, Any]], *found: Iterable[tuple[str, Mapping[str, Any]]]
) -> dict[str, dict[str, Any]]:
    """Score the baselines by the same metric as the model, and time them.

    Args:
        score: called with a split and its predictions.
        found: yield the name of each baseline and its predictions by split.

    Returns:
        ``{name: {split: scores, "seconds": s, "predictions": those of the last split}}``.
    """
    scored: dict[str, dict[str, Any]] = {}
    start = time.perf_counter()
    for name, predictions in chain(*found):
        seconds = time.perf_counter() - start
        scored[name] = {split: score(split, values) for split, values in predictions.items()}
        scored[name]["predictions"] = list(predictions.values())[-1]
        if seconds >= 0.05:
            scored[name]["seconds"] = round(seconds, 1)
        start = time.perf_counter()
    return scored
