"""Samples of generated text at each evaluation and at the end, and their judge."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DatasetDict
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    pipeline,
)

from nlpbook_data.data.cache import write_text
from nlpbook_data.data.source import Source
from nlpbook_data.errors import InputError
from nlpbook_data.features.generation import to_prompts
from nlpbook_data.inference.decoding import DECODING, sample, special_ids
from nlpbook_data.reports.card import public_name
from nlpbook_data.reports.push import model_files
from nlpbook_data.training.arguments import ModelArguments, RecipeArguments, resolve_package
from nlpbook_data.training.models import label_names
from nlpbook_data.training.run import Run

logger = logging.getLogger(__name__)

BY_STEP = "samples_by_step.jsonl"
WATCHED = {name: DECODING[name] for name in ("greedy", "top-p")}
PROMPTS, WATCHED_PROMPTS, WATCHED_TOKENS = 4, 2, 24

Judge = Callable[[list[dict[str, str]]], list[dict[str, str]]]


def choose_prompts(source: Source) -> list[str]:
    """Return the labels, else the first prompts of the last split ("" for plain texts)."""
    rows = source.splits[list(source.splits)[-1]][:100]
    prompts = source.label_names or to_prompts(rows)["prompt"]
    return list(dict.fromkeys(prompts))[:PROMPTS]


def drop_void(run: Run, encoded: DatasetDict) -> DatasetDict:
    """Return `encoded` without train rows that have only a prompt; record and log truncations.

    Raises:
        InputError: no row of train is left.
    """
    for split, rows in encoded.items():
        if "labels" not in rows.column_names:  # prompts without completions are truncated later
            continue
        dropped = np.array(rows["dropped"][:])
        cut, void = dropped[dropped > 0], dropped < 0
        numbers = {"texts": len(cut), "tokens": int(cut.sum()), "rows": int(void.sum())}
        run.record.setdefault("dropped", {})[split] = numbers
        if dropped.any():
            logger.warning(
                "%s: %s completions are longer than --max_length: %s of their last tokens are "
                "dropped; %s rows are left out whose prompt alone is.",
                split,
                *(f"{number:,}" for number in numbers.values()),
            )
        if void.all():
            raise InputError(
                f"{split}: every prompt has --max_length tokens or more, which leaves none to "
                "learn. Raise it."
            )
        if split == "train" and void.any():
            encoded[split] = rows.select(np.flatnonzero(~void))
    return encoded


def check_adapters(merge: bool, args: ModelArguments, recipe_args: RecipeArguments) -> None:
    """Refuse to save unmerged adapters if nobody could load their base model."""
    if merge:
        return
    if not args.lora or args.from_scratch:
        raise InputError(
            "--merge_lora false saves adapters of a trained model: it needs --lora true, and no "
            "--from_scratch."
        )
    if recipe_args.push_at_end and public_name(args.model_name_or_path) is None:
        raise InputError(
            f"--merge_lora false --push_to_hub true: {args.model_name_or_path} is not on the Hub, "
            "so that nobody could load its adapters. Leave --merge_lora out."
        )


def complete_generation_config(
    model: PreTrainedModel,
    args: ModelArguments,
    tokenizer: PreTrainedTokenizerBase,
    max_new_tokens: int,
) -> None:
    """Set the generation config that is saved with `model`.

    End of text and padding are the tokenizer's. All other settings come from the model's folder or
    Hub name (a model with random weights does not read them itself), or are "top-p" without one.
    """
    model = getattr(model, "get_base_model", lambda: model)()
    name = resolve_package(args.model_name_or_path)
    try:
        config = GenerationConfig.from_pretrained(name, revision=args.model_revision)
    except OSError:
        config = GenerationConfig(**DECODING["top-p"])
    config.update(**special_ids(tokenizer), max_new_tokens=max_new_tokens)
    model.generation_config = config


class Sampler(TrainerCallback):
    """Continues a fixed set of prompts, only on the main process.

    Attributes:
        prompts: in the form of training.
        max_new_tokens: the most tokens of a continuation.
        count: the number of continuations of each prompt by random methods; other methods always
            give the same.
        judge: from `load_judge`, if the prompts ask for labels.
    """

    def __init__(
        self,
        run: Run,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompts: Sequence[str],
        task_args: Any,
        judge: Judge | None = None,
    ):
        self.run, self.model, self.tokenizer = run, model, tokenizer
        self.prompts, self.judge = list(prompts), judge
        self.max_new_tokens, self.count = task_args.max_new_tokens, task_args.samples_per_prompt

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Delete samples that an interrupted run wrote after the checkpoint that continues."""
        path = self.run.folder.path / BY_STEP
        if self.run.folder.is_main and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
            write_text(path, "".join(kept))

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Add a few short samples to their file."""
        if not self.run.folder.is_main:
            return
        prompts = self.prompts[:WATCHED_PROMPTS]
        length = min(self.max_new_tokens, WATCHED_TOKENS)
        model = kwargs.get("model", self.model)  # each trial of a search has another
        written = sample(model, self.tokenizer, prompts, args.seed, length, WATCHED)
        with (self.run.folder.path / BY_STEP).open("a", encoding="utf-8") as file:
            for method, texts in written.items():
                for prompt, text in zip(prompts, texts, strict=True):
                    row = {"step": state.global_step, "epoch": round(state.epoch, 4)}
                    row |= {"method": method, "prompt": prompt, "text": text}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        prompt, text = prompts[-1], written["top-p"][-1]
        logger.info("sample (top-p): %s", " ".join(f"{prompt}{text}".split()))

    def answer(self, prompts: Sequence[str]) -> list[str]:
        """Return the continuation of each of `prompts`, by top-p."""
        seed, method = self.run.args.seed, {"top-p": DECODING["top-p"]}
        length = self.max_new_tokens
        return sample(self.model, self.tokenizer, prompts, seed, length, method)["top-p"]

    def write(self) -> dict[str, list[dict[str, str]]]:
        """Return ``{method: [{"prompt", "text"}, …]}``, with `count` texts for each prompt.

        With a judge, rows also have the ``asked`` label and the ``judged`` one.
        """
        seed, length, written = self.run.args.seed, self.max_new_tokens, {}
        for name, method in DECODING.items():
            times = self.count if method["do_sample"] else 1
            prompts = [prompt for prompt in self.prompts for _ in range(times)]
            texts = sample(self.model, self.tokenizer, prompts, seed, length, {name: method})[name]
            rows = [{"prompt": p, "text": text} for p, text in zip(prompts, texts, strict=True)]
            if self.judge:
                rows = self.judge(rows)
            written[name] = [row for row in rows for _ in range(self.count // times)]
        return written


def load_judge(folder: str, labels: Sequence[str], prompts: Sequence[str], device: Any) -> Judge:
    """Return a function that adds ``asked`` and ``judged`` to rows of ``prompt`` and ``text``.

    Args:
        folder: the folder of a finished run of document classification.
        labels: the names of the labels; a prompt is a label, or begins with one and a blank.

    Raises:
        InputError: a prompt asks for no label, there is no such run, or its model lacks one of
            `labels`.
    """

    def asked(prompt: str) -> str | None:
        return next((label for label in labels if f"{prompt} ".startswith(f"{label} ")), None)

    if free := [prompt for prompt in prompts if asked(prompt) is None]:
        raise InputError(
            f"--judge {folder}: the prompt {free[0][:40]!r} asks for no label of the data. Leave "
            "--judge out."
        )
    if Path(folder).is_dir() and not model_files(Path(folder)):
        raise InputError(
            f"--judge {folder}: holds no model (*.safetensors). Name the folder of the run itself."
        )
    known = label_names(ModelArguments(model_name_or_path=folder)) or ["no label by name"]
    if unknown := [label for label in labels if label not in known]:
        raise InputError(
            f"--judge {folder}: it knows {', '.join(known)}, and the data has {unknown[0]}. Name a "
            "run of recipes/doccls.py on the same labels."
        )

    def judge(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        classify = pipeline(
            "text-classification", model=folder, device=device, trust_remote_code=False
        )
        found = classify([row["text"].strip() for row in rows], truncation=True, batch_size=32)
        return [
            row | {"asked": asked(row["prompt"]), "judged": one["label"]}
            for row, one in zip(rows, found, strict=True)
        ]

    return judge
