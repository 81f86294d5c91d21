"""Causal language models: prompts and completions, or plain texts, to rows of labelled tokens.

Every row becomes ``start, prompt, completion, end of text``:

- The start is what the tokenizer itself puts before a text (Llama's ``<s>``; GPT-2's puts nothing),
  so that a prompt of training has the tokens of the same prompt in generation. Where it puts
  nothing and there is no prompt, it is the token that begins a text, else that which ends one:
  without a token before it the first one could not be predicted. It is never learnt.
- The prompt's tokens are those of the prompt alone, as generation has it: they do not depend on
  the completion. The completion's are the rest of the tokens of both texts together; where those
  begin otherwise (a token would straddle the boundary), they are those of the completion alone,
  which SentencePiece begins with a blank.
- The end of text comes once, after the completion, and is learnt: that is how a model learns to
  stop. A text that is cut has none. What a tokenizer puts behind a text is left out. Special
  tokens that are written in a text are special tokens, as they are in generation.
- No label is on the first token of a row, so that the labels that are not -100 are those that the
  shifted loss counts.

Rows of a batch are padded, or packed without padding by transformers'
``DataCollatorWithFlattening``: one after the other, with ``position_ids`` that begin anew at each,
by which a model with the attention "sdpa" or "eager" keeps them apart, where it is called with
``use_cache=False`` and without an attention mask. Packing is the collator's and not done here,
so that what a batch has, and so what is learnt, is the same with and without. It pays where rows
differ in length: on two cores, batches of 32 reviews of like length are 2.5 times as fast padded
as packed ones of any length, and those 1.4 times as fast as padded ones of any length.
"""

import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from nlpbook_data.errors import InputError

NO_LOSS = -100


def prompt_from_label(
    batch: dict[str, list[Any]], label_names: Sequence[str]
) -> dict[str, list[str]]:
    """Return rows of document classification as a label's word and, after a blank, the text.

    The blank belongs to the completion, since byte-level and SentencePiece tokens begin with it.

    Args:
        batch: ``{"text": [str, …], "label": [int, …]}``.
        label_names: the labels' words, by id.

    Raises:
        InputError: a row without a label.
    """
    if any(label is None or label < 0 for label in batch["label"]):
        raise InputError("A text has no label to be its prompt. Leave it out, or give it one.")
    return {
        "prompt": [label_names[label] for label in batch["label"]],
        "completion": [f" {text}" for text in batch["text"]],
    }


def prompt_from_question(batch: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Return ``question`` with a line's end as prompts, ``answer`` as completions."""
    return {
        "prompt": [f"{question}\n" for question in batch["question"]],
        "completion": batch["answer"],
    }


def to_prompts(
    batch: dict[str, list[Any]], label_names: Sequence[str] | None = None
) -> dict[str, list[Any]]:
    """Return ``prompt`` and ``completion`` of rows of any kind.

    Args:
        batch: ``prompt`` and, unless it is to be generated, ``completion``; or ``question`` and
            ``answer``; or ``text``, with ``label`` where there are `label_names`. A text alone
            is a completion of the empty prompt.
        label_names: the labels' words; without them a label is no prompt.
    """
    if "prompt" in batch:
        prompts = batch["prompt"]
        return {"prompt": prompts, "completion": batch.get("completion", [None] * len(prompts))}
    if "question" in batch:
        return prompt_from_question(batch)
    if label_names:
        return prompt_from_label(batch, label_names)
    return {"prompt": [""] * len(batch["text"]), "completion": batch["text"]}


def to_texts(
    batch: dict[str, list[Any]], label_names: Sequence[str] | None, completion_only: bool
) -> list[str]:
    """Return the completions of `to_prompts` or, unless `completion_only`, prompts with them."""
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
    """Tokenize prompts and completions, as the module says, and label what is to be learnt.

    A text without a prompt loses nothing: of more than `max_length` tokens it becomes several
    rows, of which each repeats the last `stride` tokens of the one before, without labels. A
    prompt with its completion stays one row: the completion loses what is too much from its
    right. Of a prompt that leaves it no token the row has no labels. Texts are NFC-normalised.

    Args:
        batch: as `to_prompts` takes it.
        tokenizer: any fast tokenizer of a causal language model.
        max_length: at most this many tokens a row.
        completion_only: no label is on a prompt; else on all but a row's first token.
        label_names: as `to_prompts` takes them.
        stride: at least 1: a row's first token is not predicted.

    Returns:
        ``input_ids``; ``labels``, the same or -100; ``characters``, those of the NFC text that the
        labelled tokens stand for (each counts once, with the first of its tokens; the end of text
        stands for none, and a text's rows together for all of it); ``unlearnt``, the characters of
        `to_texts` before those; ``window``, a row's number in its text, from 0; ``dropped``, the
        tokens of the completion that were cut off, -1 for all of them. Where a completion is
        missing, ``input_ids`` of the prompts alone.

    Raises:
        InputError: a slow tokenizer, one without an end of text, a stride that leaves no room.
    """
    rows = to_prompts(batch, label_names)
    if any(completion is None for completion in rows["completion"]):
        return {"input_ids": encode_prompts(rows["prompt"], tokenizer, max_length)}
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} tells no character positions. Choose a model with a fast "
            "tokenizer."
        )
    if tokenizer.eos_token_id is None:
        raise InputError(
            "The tokenizer has no token that ends a text (eos_token). "
            "Name that of a causal language model."
        )
    if not 1 <= stride < max_length:
        raise InputError(f"A stride of {stride} does not fit rows of {max_length} tokens.")
    prompts, completions = (_compose(rows[name]) for name in ("prompt", "completion"))
    before = _tokenize(prompts, tokenizer)
    both = _tokenize([p + c for p, c in zip(prompts, completions, strict=True)], tokenizer)
    after = [
        _split(encoding, p, prompt)
        for encoding, p, prompt in zip(both, before, prompts, strict=True)
    ]
    apart = [completions[i] for i, tokens in enumerate(after) if tokens is None]
    alone = iter(_tokenize(apart, tokenizer))
    after = [next(alone) if tokens is None else tokens for tokens in after]

    eos, prefix = tokenizer.eos_token_id, _prefix(tokenizer)
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for prompt, completion, (p_ids, p_ends), (c_ids, c_ends) in zip(
        prompts, completions, before, after, strict=True
    ):
        start = prefix or ([] if p_ids else [_start(tokenizer)])
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


COLUMNS = ("input_ids", "labels", "characters", "unlearnt", "window", "dropped")


def encode_prompts(
    prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int = sys.maxsize
) -> list[list[int]]:
    """Return the tokens that a completion is generated after: those of `encode`, start included.

    Of more than `max_length` tokens a prompt's last ones are kept, behind the start.
    """
    prefix = _prefix(tokenizer)
    encoded = []
    for ids, _ in _tokenize(_compose(prompts), tokenizer, offsets=False):
        start = prefix or ([] if ids else [_start(tokenizer)])
        encoded.append([*start, *ids[max(0, len(ids) + len(start) - max_length) :]])
    return encoded


def sum_texts(values: np.ndarray, encoded: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Return what the rows of each text have together: (texts, 3).

    Args:
        values: (rows, 2), of each row of `encoded` the loss and the number of labelled tokens.
        encoded: the columns ``window`` and ``characters`` of `encode`.

    Returns:
        each text's loss, labelled tokens and their characters.
    """
    rows = np.column_stack([values, encoded["characters"][:]]).astype(np.float64)
    return np.add.reduceat(rows, np.flatnonzero(np.asarray(encoded["window"][:]) == 0))


def scored_places(texts: Sequence[str], encoded: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Return which characters of `to_texts`, each text's end after them, `encode` gave labels.

    Returns:
        (characters + texts,) of bool.
    """
    begins = np.flatnonzero(np.asarray(encoded["window"][:]) == 0)
    counts = np.add.reduceat(np.asarray(encoded["characters"][:]), begins)
    firsts, dropped = (np.asarray(encoded[name][:])[begins] for name in ("unlearnt", "dropped"))
    places = []
    for text, first, count, cut in zip(_compose(texts), firsts, counts, dropped, strict=True):
        place = np.arange(len(text) + 1)
        learnt = (place >= first) & (place < first + count)
        learnt[-1] = not cut
        places.append(learnt)
    return np.concatenate(places)


def _compose(texts: Sequence[str]) -> list[str]:
    return [unicodedata.normalize("NFC", text) for text in texts]


def _tokenize(
    texts: list[str], tokenizer: PreTrainedTokenizerBase, offsets: bool = True
) -> list[tuple[list[int], list[int]]]:
    """Return the ids of each text, and where in it each token ends, without special tokens."""
    if not texts:
        return []
    encoded = tokenizer(
        texts,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=offsets,
        verbose=False,
    )
    spans = encoded["offset_mapping"] if offsets else [[]] * len(texts)
    return [
        (ids, [end for _, end in span])
        for ids, span in zip(encoded["input_ids"], spans, strict=True)
    ]


def _split(
    both: tuple[list[int], list[int]], before: tuple[list[int], list[int]], prompt: str
) -> tuple[list[int], list[int]] | None:
    """Return what of `both` follows the tokens `before`, None where it does not begin so."""
    (ids, ends), size = both, len(before[0])
    if ids[:size] != before[0]:
        return None
    return ids[size:], [end - len(prompt) for end in ends[size:]]


def _count(ends: list[int], length: int) -> list[int]:
    """Return how many of a text's characters each token adds; the last adds all that is left."""
    if not ends:
        return []
    reached = np.maximum.accumulate([0, *ends[:-1], length])
    return np.diff(reached).tolist()


def _prefix(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return what the tokenizer puts before a text."""
    options = {"return_attention_mask": False}
    ids = tokenizer("가", **options)["input_ids"]
    plain = tokenizer("가", add_special_tokens=False, **options)["input_ids"]
    places = range(len(ids) - len(plain) + 1)
    return ids[: next(i for i in places if ids[i : i + len(plain)] == plain)]


def _start(tokenizer: PreTrainedTokenizerBase) -> int:
    begin = tokenizer.bos_token_id
    return tokenizer.eos_token_id if begin is None else begin
