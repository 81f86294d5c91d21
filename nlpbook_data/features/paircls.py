"""Sentence pairs: a batch of rows in, model inputs out."""

import math
import unicodedata
from typing import Any

from transformers import PreTrainedTokenizerBase


def encode(
    batch: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    columns: tuple[str, str],
    token_types: bool,
) -> dict[str, list[Any]]:
    """Tokenize the two `columns` together and carry ``label`` over as ``labels``.

    Texts are NFC-normalised. A tokenizer that puts nothing between two texts, as decoders' do, gets
    its separator or end of text there. A pair of more than `max_length` tokens, special ones
    included, loses tokens of the longer text until both are as long, then of both.

    Args:
        batch: the two columns of str, and ``label``: int, or float for scores.
        tokenizer: any tokenizer of transformers.
        max_length: at most this many tokens.
        columns: such as premise and hypothesis.
        token_types: whether the model tells the two texts apart by ``token_type_ids``.

    Returns:
        ``{"input_ids": [[int, …], …], "token_type_ids": …, "labels": [int | float, …]}``;
        ``labels`` is left out where a row has none (-1, or NaN for scores).
    """
    first, second = (
        [unicodedata.normalize("NFC", text) for text in batch[column]] for column in columns
    )
    special = tokenizer.num_special_tokens_to_add
    if special(pair=True) <= special(pair=False):  # as of decoders: two texts would be one
        separator = tokenizer.sep_token or tokenizer.eos_token or "\n"
        second = [separator + text for text in second]
    encoded = tokenizer(
        first,
        second,
        truncation="longest_first",
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=token_types,
    )
    columns = {name: encoded[name] for name in ("input_ids", "token_type_ids") if name in encoded}
    labels = batch["label"]
    if not any(label is None or label == -1 or math.isnan(label) for label in labels):
        columns["labels"] = labels
    return columns
