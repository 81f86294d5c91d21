"""Baselines that a trained model must beat; one module a task."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def score_baselines(
    found: Iterable[tuple[str, Mapping[str, Any], float]],
    score: Callable[[str, Any], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Score the baselines by the same metric as the model.

    Args:
        found: for each baseline: name, predictions by split, and the seconds that it took.
        score: called with a split and its predictions.

    Returns:
        ``{name: {split: scores, "seconds": s, "predictions": those of the last split}}``.
    """
    scored: dict[str, dict[str, Any]] = {}
    for name, predictions, seconds in found:
        scored[name] = {split: score(split, values) for split, values in predictions.items()}
        scored[name]["predictions"] = list(predictions.values())[-1]
        if seconds:
            scored[name]["seconds"] = round(seconds, 1)
    return scored
