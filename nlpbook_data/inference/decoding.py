"""Compare the book's decoding methods: one model, the same prompts, the same seed."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.errors import InputError
from nlpbook_data.features.generation import encode_prompts

logger = logging.getLogger(__name__)

SPECIAL = ("pad", "bos", "eos")
DECODING: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "beam": {"do_sample": False, "num_beams": 3},
    "top-k": {"do_sample": True, "top_k": 50},
    "top-p": {"do_sample": True, "top_k": 0, "top_p": 0.92},
    "temperature": {"do_sample": True, "top_k": 0, "temperature": 0.7},
    "repetition penalty": {"do_sample": False, "repetition_penalty": 1.5},
    "no-repeat n-gram": {"do_sample": False, "no_repeat_ngram_size": 3},
}


def check_room(config: Any, max_new_tokens: int) -> int:
    """Return the most tokens of a prompt.

    Raises:
        InputError: `max_new_tokens` is below 1, or more than the model's positions.
    """
    positions = getattr(config, "max_position_embeddings", None) or 10**9
    room = positions - max_new_tokens
    if room < 2 or max_new_tokens < 1:  # the start and one token
        raise InputError(
            f"{max_new_tokens} new tokens: a model of {positions} positions, of which a prompt "
            f"needs some, can write from 1 to {positions - 2}. Ask for as many."
        )
    return room


def special_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | None]:
    """Return the ids of padding, start and end of text, under their names in configs."""
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in SPECIAL}


def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    seed: int,
    max_new_tokens: int,
    methods: Mapping[str, Mapping[str, Any]] = DECODING,
    batch_size: int = 32,
) -> dict[str, list[str]]:
    """Return the model's continuation of each prompt by each of the decoding `methods`.

    Each method starts from `seed`, and the state of the global random generators is restored. Texts
    of sampling methods also depend on `batch_size` and on the order of the prompts. A prompt that
    leaves no room for `max_new_tokens` is truncated on the left, which is logged.

    Args:
        prompts: in the form of training, see `features.generation.encode`.
        max_new_tokens: a text ends at its end of text, or after so many tokens.
        methods: ``{name: arguments of GenerationConfig}``.

    Returns:
        ``{method: [the text after each prompt, without special tokens, …]}``.

    Raises:
        InputError: `max_new_tokens` is more than the model's positions.
    """
    room, encoded = check_room(model.config, max_new_tokens), encode_prompts(prompts, tokenizer)
    if cut := sum(len(ids) > room for ids in encoded):
        logger.warning("%d of %d prompts lose their left: over %d tokens.", cut, len(prompts), room)
        encoded = encode_prompts(prompts, tokenizer, room)
    special = special_ids(tokenizer)
    if hasattr(model, "get_base_model"):  # LoRA: PEFT's generate would keep the settings below
        model = model.get_base_model()  # type: ignore[operator]  # PEFT's, not a tensor
    training, defaults = model.training, model.generation_config
    model.eval()
    model.generation_config = GenerationConfig()  # no defaults of the model
    texts: dict[str, list[str]] = {name: [] for name in methods}
    try:
        # torch.manual_seed seeds all devices, and a process has one
        with torch.random.fork_rng([] if model.device.type == "cpu" else [model.device]):
            for name, method in methods.items():
                torch.manual_seed(seed)
                config = GenerationConfig(**method, **special, max_new_tokens=max_new_tokens)
                for begin in range(0, len(encoded), batch_size):
                    rows = encoded[begin : begin + batch_size]
                    texts[name] += _continue(model, tokenizer, rows, config)
    finally:
        model.train(training)
        model.generation_config = defaults
    return texts


def _continue(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[list[int]],
    config: GenerationConfig,
) -> list[str]:
    batch = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt")
    width = batch["input_ids"].shape[1]
    written = model.generate(  # type: ignore[operator]  # only causal models have it
        **batch.to(model.device), generation_config=config
    )
    texts: list[str] = []
    for row, new in zip(rows, written[:, width:].tolist(), strict=True):
        # Decode the new tokens after the prompt: alone they may lose their first blank.
        prompt, whole = (
            str(tokenizer.decode(x, skip_special_tokens=True)) for x in (row, row + new)
        )
        texts.append(whole[len(prompt) :])
    return texts
