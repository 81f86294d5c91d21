"""Label numbers as label names."""

from typing import Any

from datasets import ClassLabel, Features, List


def in_words(feature: Any, value: Any) -> Any:
    """Return `value` of type `feature` with label names in place of numbers; -1 becomes None."""
    if isinstance(feature, ClassLabel):
        return None if value is None or value < 0 else feature.int2str(value)
    if isinstance(feature, List) and value is not None:
        return [in_words(feature.feature, item) for item in value]
    if isinstance(feature, dict | Features) and value is not None:
        return {name: in_words(feature[name], item) for name, item in value.items()}
    return value
