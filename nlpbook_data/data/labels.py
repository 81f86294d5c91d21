"""Label numbers as the words that they stand for."""

from typing import Any

from datasets import ClassLabel, Features, List


def in_words(feature: Any, value: Any) -> Any:
    """Return `value` of the type `feature` with words in place of label numbers; -1 is None."""
    if isinstance(feature, ClassLabel):
        return None if value is None or value < 0 else feature.int2str(value)
    if isinstance(feature, List) and value is not None:
        return [in_words(feature.feature, item) for item in value]
    if isinstance(feature, dict | Features) and value is not None:
        return {name: in_words(feature[name], item) for name, item in value.items()}
    return value
