"""Causal language models: prompts and completions, or plain texts, become labelled tokens.

Every row becomes ``start, prompt, completion, end of text``:

- The start is what the tokenizer itself puts before a text (Llama puts ``<s>``, GPT-2 nothing), as
  in generation. If it puts nothing and there is no prompt, the start is the bos token, or else the
  eos token, from which the first token of a text is predicted. The start has no label.
- The prompt is tokenized alone, as in generation. For the completion, both texts are tokenized
  together, and the tokens after the prompt's are taken. If these tokens do not begin with the
  prompt's (a token crosses the boundary), the completion is tokenized alone; SentencePiece then
  begins it with a blank.
- The end of text comes once, after the completion, and has a label: so the model learns to stop. A
  truncated text has no end of text. Tokens that a tokenizer puts after a text are left out. Special
  tokens written in a text are special tokens, as in generation.
- The first token of a row has no label, so the shifted loss counts exactly the labels that are not
  -100.

Rows of a batch are padded, or packed by transformers' ``DataCollatorWithFlattening``: one after the
other, with ``position_ids`` that restart at each row. By these a model with the attention "sdpa" or
"eager" keeps the rows apart, if it is called with ``use_cache=False`` and without an attention
mask. On two cores, with batches of 32 reviews, padding rows of similar length is 2.5 times as fast
as packing rows of any length, and packing those 1.4 times as fast as padding them.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from nlpbook_data.errors import InputError
from nlpbook_data.features.compose import nfc
from nlpbook_data.features.tokens import check_fast, ids_around, tokenize

NO_LOSS = -100


def to_prompts(
    batch: dict[str, list[Any]], label_names: Sequence[str] | None = None
) -> dict[str, list[Any]]:
    """Return ``prompt`` and ``completion`` of rows of any kind.

    Args:
        batch: ``prompt``, and ``completion`` if it is known; or ``question`` and ``answer``; or
            ``text``, and ``label`` if there are `label_names`. A text alone is a completion of the
            empty prompt. A question ends with a line break; a text follows its label after a blank,
            which is the completion's, because byte-level and SentencePiece tokens begin with it.
        label_names: the names of the labels; without them labels are not used as prompts.

    Raises:
        InputError: a row without a label that is to be its prompt.
    """
    if "prompt" in batch:
        prompts = batch["prompt"]
        return {"prompt": prompts, "completion": batch.get("completion", [None] * len(prompts))}
    if "question" in batch:
        return {"prompt": [f"{q}\n" for q in batch["question"]], "completion": batch["answer"]}
    texts = batch["text"]
    if not label_names:
        return {"prompt": [""] * len(texts), "completion": texts}
    if any(label is None or label < 0 for label in batch["label"]):
        raise InputError("A text has no label to be its prompt. Leave it out, or give it one.")
    prompts = [label_names[label] for label in batch["label"]]
    return {"prompt": prompts, "completion": [f" {text}" for text in texts]}


def to_texts(
    batch: dict[str, list[Any]], label_names: Sequence[str] | None, completion_only: bool
) -> list[str]:
    """Return the completions of `to_prompts`, after their prompts unless `completion_only`."""
    pairs = zip(*to_prompts(batch, label_names).values(), strict=True)
    return [text if completion_only else prompt + text for prompt, text in pairs]


def encode(
    batch: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    completion_only: bool = True,
    label_names: Sequence[str] | None = None,
    stride: int = 1,
) -> dict[str, list[Any]]:
    """Tokenize and label prompts and completions, as the module's docstring describes.

    A text without a prompt is never truncated: with more than `max_length` tokens it becomes
    several rows. Each row repeats the last `stride` tokens of the row before, without labels. A
    prompt with its completion stays one row, and the completion is truncated on the right. If the
    prompt leaves no room for a token of the completion, the row has no labels. Texts are
    NFC-normalised.

    Args:
        batch: see `to_prompts`.
        tokenizer: any fast tokenizer of a causal language model.
        max_length: at most this many tokens a row.
        completion_only: prompts have no labels; else all tokens but a row's first have one.
        label_names: see `to_prompts`.
        stride: at least 1: a row's first token is not predicted.

    Returns:
        ``input_ids``; ``labels``, the same or -100; ``characters``, the number of characters of the
        NFC text that the labelled tokens cover (each counts once, with the first of its tokens);
        ``unlearnt``, the number of characters of `to_texts` before those; ``window``, the row's
        number in its text, from 0; ``dropped``, the number of truncated tokens of the completion,
        -1 for all of them. If a completion is missing, only the ``input_ids`` of the prompts.

    Raises:
        InputError: a slow tokenizer, a tokenizer without an end of text, a stride that leaves no
            room.
    """
    rows = to_prompts(batch, label_names)
    if any(completion is None for completion in rows["completion"]):
        return {"input_ids": encode_prompts(rows["prompt"], tokenizer, max_length)}
    check_fast(tokenizer)
    if tokenizer.eos_token_id is None:
        raise InputError(
            "The tokenizer has no token that ends a text (eos_token). "
            "Name that of a causal language model."
        )
    if not 1 <= stride < max_length:
        raise InputError(f"A stride of {stride} does not fit rows of {max_length} tokens.")
    prompts, completions = (nfc(rows[name]) for name in ("prompt", "completion"))
    before = _tokenize(prompts, tokenizer)
    both = _tokenize([p + c for p, c in zip(prompts, completions, strict=True)], tokenizer)
    after = [
        _split(encoding, p, prompt)
        for encoding, p, prompt in zip(both, before, prompts, strict=True)
    ]
    apart = [completions[i] for i, tokens in enumerate(after) if tokens is None]
    again = iter(_tokenize(apart, tokenizer))
    after = [next(again) if tokens is None else tokens for tokens in after]

    eos, (prefix, alone) = tokenizer.eos_token_id, _starts(tokenizer)
    names = ("input_ids", "labels", "characters", "unlearnt", "window", "dropped")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for prompt, completion, (p_ids, p_ends), (c_ids, c_ends) in zip(
        prompts, completions, before, after, strict=True
    ):
        start = prefix if p_ids else alone
        if not c_ids or c_ids[-1] != eos:
            c_ids, c_ends = [*c_ids, eos], [*c_ends, 0]
        ids, dropped = [*start, *p_ids, *c_ids], 0
        counts = [*[0] * len(start), *_count(p_ends, len(prompt))]
        counts += _count(c_ends, len(completion))
        unlearnt = max(1, len(start) + (len(p_ids) if completion_only else 0))
        if p_ids and len(ids) > max_length:
            void = len(start) + len(p_ids) >= max_length
            dropped = -1 if void else len(ids) - max_length
            ids = ids[:max_length]
            unlearnt = max_length if void else unlearnt
        for number, begin in enumerate(range(0, max(len(ids) - stride, 1), max_length - stride)):
            end = min(begin + max_length, len(ids))
            learnt = min(end, unlearnt if begin == 0 else begin + stride)
            columns["input_ids"].append(ids[begin:end])
            columns["labels"].append([NO_LOSS] * (learnt - begin) + ids[learnt:end])
            columns["characters"].append(sum(counts[learnt:end]))
            columns["unlearnt"].append(0 if completion_only else sum(counts[:unlearnt]))
            columns["window"].append(number)
            columns["dropped"].append(dropped)
    return columns


def encode_prompts(
    prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int = sys.maxsize
) -> list[list[int]]:
    """Return each prompt's tokens for generation: the start and the prompt, as in `encode`.

    With more than `max_length` tokens, the start and the last tokens of the prompt are kept.
    """
    prefix, alone = _starts(tokenizer)
    encoded = []
    for ids in tokenize(nfc(prompts), tokenizer, offsets=False)["input_ids"]:
        start = prefix if ids else alone
        encoded.append([*start, *ids[max(0, len(ids) + len(start) - max_length) :]])
    return encoded


def sum_texts(values: np.ndarray, encoded: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Sum the rows of each text: (texts, 3).

    Args:
        values: (rows, 2), the loss and the number of labelled tokens of each row of `encoded`.
        encoded: the columns ``window`` and ``characters`` of `encode`.

    Returns:
        each text's loss, labelled tokens and characters.
    """
    rows = np.column_stack([values, encoded["characters"][:]]).astype(np.float64)
    return np.add.reduceat(rows, np.flatnonzero(np.asarray(encoded["window"][:]) == 0))


def scored_places(texts: Sequence[str], encoded: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Return a mask of the characters of `to_texts` that `encode` gave labels.

    Returns:
        (characters + texts,) of bool; the end of a text follows its characters.
    """
    begins = np.flatnonzero(np.asarray(encoded["window"][:]) == 0)
    counts = np.add.reduceat(np.asarray(encoded["characters"][:]), begins)
    firsts, dropped = (np.asarray(encoded[name][:])[begins] for name in ("unlearnt", "dropped"))
    places = []
    for text, first, count, cut in zip(nfc(texts), firsts, counts, dropped, strict=True):
        place = np.arange(len(text) + 1)
        learnt = (place >= first) & (place < first + count)
        learnt[-1] = not cut
        places.append(learnt)
    return np.concatenate(places)


def _tokenize(
    texts: list[str], tokenizer: PreTrainedTokenizerBase
) -> list[tuple[list[int], list[int]]]:
    """Return the ids of each text, and the end of each token in it, without special tokens."""
    encoded = tokenize(texts, tokenizer)
    rows = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return [(ids, [end for _, end in spans]) for ids, spans in rows]


def _split(
    both: tuple[list[int], list[int]], before: tuple[list[int], list[int]], prompt: str
) -> tuple[list[int], list[int]] | None:
    """Return the part of `both` after the tokens `before`, None if `both` begins otherwise."""
    (ids, ends), size = both, len(before[0])
    if ids[:size] != before[0]:
        return None
    return ids[size:], [end - len(prompt) for end in ends[size:]]


def _count(ends: list[int], length: int) -> list[int]:
    """Return how many new characters each token covers; the last covers all the remaining ones."""
    if not ends:
        return []
    reached = np.maximum.accumulate([0, *ends[:-1], length])
    return np.diff(reached).tolist()


def _starts(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the start of a row, and that of a row without prompt."""
    prefix, _ = ids_around(tokenizer, "가") or ([], [])
    begin = tokenizer.bos_token_id
    return prefix, prefix or [tokenizer.eos_token_id if begin is None else begin]
