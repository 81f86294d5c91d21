"""A cacheable function for `map`, and the lengths of tokenized rows."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tokenizers
import transformers
from datasets import Dataset

from nlpbook_data.data.cache import code_hash


class versioned:
    """A function for ``datasets.map`` whose cached rows become invalid when its code changes.

    `map` identifies an imported function by its name, so after an edit it would silently return the
    old rows. This object contains a hash of the code of the function's package (without comments),
    and the versions of the tokenizing libraries.

    Attributes:
        function: a function of a module.
        version: the string that changes the fingerprint of `map`.
    """

    def __init__(self, function: Callable[..., Any]):
        package = function.__module__.rpartition(".")[0]
        functools.update_wrapper(self, function)
        self.function = function
        self.version = f"{code_hash(package)} {tokenizers.__version__} {transformers.__version__}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)


def text_lengths(dataset: Dataset) -> np.ndarray:
    """Return the number of tokens of each row, (rows,), without reading them into Python."""
    rows = dataset.with_format("arrow")[:]["input_ids"].combine_chunks()
    return np.diff(rows.offsets.to_numpy())
