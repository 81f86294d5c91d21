"""Block 3 of every recipe: tokenization by the cached ``map``, once for all processes."""

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import transformers
from datasets import Dataset, DatasetDict
from transformers import PreTrainedTokenizerBase

from nlpbook_data.data.cache import cached_splits, code_hash, make_key
from nlpbook_data.training.arguments import DataArguments

logger = logging.getLogger(__name__)


def encode_splits(
    splits: DatasetDict,
    encode: Callable[..., dict[str, list[Any]]],
    tokenizer: PreTrainedTokenizerBase,
    args: DataArguments,
    **arguments: Any,
) -> DatasetDict:
    """Map `encode` (of `nlpbook_data.features`) over `splits`, or take the rows from the cache.

    The cache key holds the rows' own key, the code of all features, the tokenizer's content, the
    versions that matter and `arguments`; not the path of anything.

    Args:
        splits: as `load_corpus` and `load_source` return them.
        encode: called as ``encode(batch, tokenizer=tokenizer, **arguments)``, with ``training=``
            whether the split is train where it takes that.
        args: says where the cache is and whether to build anew.
        arguments: JSON-able values.

    Returns:
        The same splits with the columns of `encode` alone.
    """
    key = make_key(
        rows={split: dataset._fingerprint for split, dataset in splits.items()},
        encode=f"{encode.__module__}.{encode.__qualname__}",
        code=code_hash("nlpbook_data.features"),
        tokenizer=tokenizer_content(tokenizer),
        versions=[tokenizers.__version__, transformers.__version__],
        arguments=arguments,
    )

    def build(target: Path) -> None:
        for split, dataset in splits.items():
            logger.info("Tokenizing %s: %s rows", split, f"{len(dataset):,}")
            if "training" in inspect.signature(encode).parameters:
                arguments["training"] = split == "train"
            dataset.map(
                encode,
                batched=True,
                remove_columns=dataset.column_names,
                fn_kwargs={"tokenizer": tokenizer, **arguments},
                cache_file_name=str(target / f"{split}.arrow"),
                load_from_cache_file=False,
                desc=f"Tokenizing {split}",
            )

    return cached_splits("encoded", key, build, args.cache_dir, args.overwrite_cache)


def tokenizer_content(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return what decides a tokenizer's output; its state of padding and truncation does not."""
    content: dict[str, Any] = {
        "class": type(tokenizer).__name__,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "sides": [tokenizer.padding_side, tokenizer.truncation_side],
    }
    if tokenizer.is_fast:
        backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.no_padding()
        backend.no_truncation()
        content["backend"] = backend.to_str()
    else:
        content["vocabulary"] = sorted(tokenizer.get_vocab().items())
    return content


def text_lengths(dataset: Dataset) -> np.ndarray:
    """Return the tokens of each row, (rows,), without reading them into Python."""
    column = dataset.with_format("arrow")[:]["input_ids"].combine_chunks()
    return np.diff(column.offsets.to_numpy())
