"""Turn plain text into blocks of tokens for language modelling, and mask words in them.

A text becomes ``[CLS] … [SEP]``, or ``<s> … </s>`` for a decoder; a long text becomes several such
pieces. Whole pieces are packed into blocks of equal size; positions restart at each piece, and by
`block_mask` a token sees only its own piece. So a piece has the same loss packed as alone.
"""

import math
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from nlpbook_data.errors import InputError

NO_LOSS = -100
INSIDE, BEGINS, SPECIAL, PADDING = 0, 1, 2, 3  # the role of a token in a word


def encode(
    batch: dict[str, list[str]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, list[Any]]:
    """Tokenize texts into pieces of at most `max_length` tokens, special ones included.

    Args:
        batch: ``{"text": [str, …]}``.

    Returns:
        ``input_ids``; ``words``, for each token 1 if it begins a word, 0 inside a word, 2 for a
        special token; ``characters``, the number of characters of a piece. A long text is divided
        into pieces of equal length.

    Raises:
        InputError: a slow tokenizer, or one without tokens to begin and end a text.
    """
    end = tokenizer.eos_token_id
    known = (tokenizer.cls_token_id, tokenizer.bos_token_id, end), (tokenizer.sep_token_id, end)
    first, last = (next((i for i in ids if i is not None), None) for ids in known)
    if first is None or last is None or not tokenizer.is_fast:
        raise InputError(
            f"The tokenizer {tokenizer.name_or_path} has no tokens that begin and end a text, or "
            "is no fast one. recipes/tokenizer.py trains one."
        )
    pieces: dict[str, list[Any]] = {"input_ids": [], "words": [], "characters": []}
    room = max_length - 2
    encoded = tokenizer(batch["text"], add_special_tokens=False, return_offsets_mapping=True)
    for row, ids in enumerate(encoded["input_ids"]):
        words = encoded.word_ids(row)
        ends = [end for _, end in encoded["offset_mapping"][row]]
        count = max(1, math.ceil(len(ids) / room))
        edges = [round(n * len(ids) / count) for n in range(count + 1)]
        reached = 0
        for begin, end in zip(edges, edges[1:], strict=False):
            if begin == end:
                continue
            pieces["input_ids"].append([first, *ids[begin:end], last])
            starts = [words[n] != words[n - 1] for n in range(begin + 1, end)]
            roles = [BEGINS, *(BEGINS if start else INSIDE for start in starts)]
            pieces["words"].append([SPECIAL, *roles, SPECIAL])
            pieces["characters"].append(ends[end - 1] - reached)
            reached = ends[end - 1]
    return pieces


def pack(batch: dict[str, list[Any]], size: int, pad_id: int) -> dict[str, list[Any]]:
    """Fill blocks of `size` tokens with whole pieces: longest first, best fit.

    Args:
        batch: the output of `encode`.

    Returns:
        ``input_ids``, ``words`` and ``position_ids`` of `size` numbers each, with the rest of a
        block padded as one more piece; ``characters``, the sum over a block's pieces.
    """
    order = sorted(range(len(batch["input_ids"])), key=lambda n: -len(batch["input_ids"][n]))
    blocks: list[list[int]] = []
    free: list[list[int]] = [[] for _ in range(size + 1)]  # the blocks by free room
    for piece in order:
        length = len(batch["input_ids"][piece])
        room = next((r for r in range(length, size + 1) if free[r]), None)
        if room is None:
            block, room = len(blocks), size
            blocks.append([])
        else:
            block = free[room].pop()
        blocks[block].append(piece)
        free[room - length].append(block)
    names = ("input_ids", "words", "position_ids", "characters")
    packed: dict[str, list[Any]] = {name: [] for name in names}
    for block in blocks:
        lengths = [len(batch["input_ids"][n]) for n in block]
        left = size - sum(lengths)
        for name, filling in (("input_ids", pad_id), ("words", PADDING)):
            packed[name].append([x for n in block for x in batch[name][n]] + [filling] * left)
        packed["position_ids"].append([p for n in [*lengths, left] for p in range(n)])
        packed["characters"].append(sum(batch["characters"][n] for n in block))
    return packed


def block_mask(position_ids: torch.Tensor, causal: bool = False) -> torch.Tensor:
    """Return the attention mask, (blocks, 1, size, size): tokens of one piece see each other.

    Args:
        position_ids: (blocks, size), 0 where a piece begins.
        causal: no token sees a later one.
    """
    piece = (position_ids == 0).cumsum(dim=1)
    seen = piece[:, None, :, None] == piece[:, None, None, :]
    return seen.tril() if causal else seen


def mask_words(
    input_ids: np.ndarray,
    words: np.ndarray,
    rate: float,
    mask_id: int,
    choices: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Mask whole words as BERT does: 8 of 10 by the mask, 1 by random tokens, 1 unchanged.

    Args:
        input_ids, words: (blocks, size), as `pack` returns them.
        rate: the share of words to predict.
        choices: the size of the vocabulary.

    Returns:
        the input tokens and the labels, -100 for tokens that are not predicted.
    """
    number = np.cumsum(words.reshape(-1) != INSIDE) - 1  # each token's word number
    count = int(number[-1]) + 1 if number.size else 0
    guessed = (random.random(count) < rate)[number].reshape(words.shape) & (words < SPECIAL)
    kind = random.random(count)[number].reshape(words.shape)
    shown = np.where(guessed & (kind < 0.8), mask_id, input_ids)
    noise = random.integers(0, choices, input_ids.shape)
    shown = np.where(guessed & (kind >= 0.9), noise, shown)
    return shown, np.where(guessed, input_ids, NO_LOSS)
