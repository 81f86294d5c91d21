"""The description of a metric for `evaluate`."""

import inspect
from typing import Any

import datasets
import evaluate


def describe(metric: evaluate.Metric, **features: Any) -> evaluate.MetricInfo:
    """Return the info of `metric`: its docstring, and the type of each column."""
    said = inspect.getdoc(metric) or ""
    description = said.partition("\nArgs:\n")[0]
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description=said.removeprefix(description),
        features=datasets.Features(features),
    )
