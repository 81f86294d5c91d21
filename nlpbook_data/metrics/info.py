"""What a metric says of itself to `evaluate`."""

import inspect
from typing import Any

import datasets
import evaluate


def describe(metric: evaluate.Metric, **features: Any) -> evaluate.MetricInfo:
    """Return what `metric` is, by its docstring, and the type of each of its columns."""
    said = inspect.getdoc(metric) or ""
    description = said.partition("\nArgs:\n")[0]
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description=said.removeprefix(description),
        features=datasets.Features(features),
    )
