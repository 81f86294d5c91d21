"""Sentence pairs: a batch of rows in, model inputs out."""

import math
from typing import Any

from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing
from transformers import PreTrainedTokenizerBase

from nlpbook_data.features.compose import nfc
from nlpbook_data.features.tokens import ids_around


def separate_pairs(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Let a tokenizer that puts nothing between two texts, as decoders' do, put its separator.

    That is its separator token, or else its end of text. It is saved with the tokenizer: whoever
    gives it two texts later gets the same ids.

    Returns:
        What stands between two texts from now on, or None where nothing was to do.
    """
    separator = tokenizer.sep_token or tokenizer.eos_token
    backend = getattr(tokenizer, "backend_tokenizer", None)
    around = ids_around(tokenizer, "가", "나")
    if around is None or separator is None or backend is None:
        return None
    alone = ids_around(tokenizer, "가") or ([], [])
    opening, closing, before, after = map(tokenizer.convert_ids_to_tokens, (*alone, *around))
    special = {*opening, *closing, *before, *after, separator}
    template = TemplateProcessing(
        single=[*opening, "$A", *closing],
        pair=[*before, "$A", separator, "$B", *after],
        special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in special],
    )
    trims = isinstance(backend.post_processor, ByteLevel)  # blanks off the characters of tokens
    backend.post_processor = Sequence([backend.post_processor, template]) if trims else template
    return separator


def encode(
    batch: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    columns: tuple[str, str],
    token_types: bool,
) -> dict[str, list[Any]]:
    """Tokenize the two `columns` together and carry ``label`` over as ``labels``.

    Texts are NFC-normalised. Where the tokenizer puts nothing between two texts, the second begins
    with its separator: `separate_pairs` makes that its own. A pair of more than `max_length`
    tokens, special ones included, loses tokens of the longer text until both are as long, then of
    both.

    Args:
        batch: the two columns of str, and ``label``: int, or float for scores.
        columns: such as premise and hypothesis.
        token_types: whether the model tells the two texts apart by ``token_type_ids``.

    Returns:
        ``{"input_ids": [[int, …], …], "token_type_ids": …, "labels": [int | float, …]}``;
        ``labels`` is left out where a row has none (-1, or NaN for scores).
    """
    first, second = (nfc(batch[column]) for column in columns)
    if ids_around(tokenizer, "가", "나") is not None:  # two texts would be one
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
