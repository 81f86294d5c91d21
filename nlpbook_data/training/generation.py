"""What generation adds to a run: samples at each evaluation and at the end, and their judge."""

import json
import logging
from collections.abc import Callable, Sequence
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
from nlpbook_data.training.arguments import ModelArguments, RecipeArguments, resolve_package
from nlpbook_data.training.models import label_names
from nlpbook_data.training.run import Run

logger = logging.getLogger(__name__)

BY_STEP = "samples_by_step.jsonl"
WATCHED = {name: DECODING[name] for name in ("greedy", "top-p")}
PROMPTS, WATCHED_PROMPTS, WATCHED_TOKENS = 4, 2, 24

Judge = Callable[[list[dict[str, str]]], list[dict[str, str]]]


def choose_prompts(source: Source) -> list[str]:
    """Return the labels, or else the first prompts of the last split; that of plain texts is ""."""
    rows = source.splits[list(source.splits)[-1]][:100]
    prompts = source.label_names or to_prompts(rows)["prompt"]
    return list(dict.fromkeys(prompts))[:PROMPTS]


def drop_void(run: Run, encoded: DatasetDict) -> DatasetDict:
    """Return `encoded` without train's rows of a prompt alone; record and log what did not fit.

    Raises:
        InputError: no row is left.
    """
    for split, rows in encoded.items():
        if "labels" not in rows.column_names:  # prompts alone are cut when they are continued
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
    """Refuse to save adapters, not merged, of a model that nobody could load."""
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
    """Give `model` the generation config that it is saved with.

    It ends and pads as the tokenizer; the rest is that of the model's folder or name on the Hub,
    which a model from random weights does not read itself, or "top-p" where there is none.
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
    """Continue a fixed set of prompts; only the main process does.

    Attributes:
        prompts: as the model was trained on them.
        max_new_tokens: of each continuation, at most.
        count: how often the methods that draw at random continue each prompt; a method that does
            not writes the same each time.
        judge: of `load_judge`, where the prompts ask for labels.
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
        """Forget what a run that was stopped wrote after the checkpoint it continues from."""
        path = self.run.folder.path / BY_STEP
        if self.run.folder.is_main and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
            write_text(path, "".join(kept))

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Add a few short samples to the file of them."""
        if not self.run.folder.is_main:
            return
        prompts = self.prompts[:WATCHED_PROMPTS]
        length = min(self.max_new_tokens, WATCHED_TOKENS)
        model = kwargs.get("model", self.model)  # another in each trial of a search
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
        """Return what follows each of `prompts`, by top-p."""
        seed, method = self.run.args.seed, {"top-p": DECODING["top-p"]}
        length = self.max_new_tokens
        return sample(self.model, self.tokenizer, prompts, seed, length, method)["top-p"]

    def write(self) -> dict[str, list[dict[str, str]]]:
        """Return ``{method: [{"prompt", "text"}, …]}``, `count` texts of each prompt.

        With a judge a row has the label that was ``asked`` for, and the one that was ``judged``.
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
    """Return what adds ``asked`` and ``judged`` to rows of ``prompt`` and ``text``.

    Args:
        folder: of a finished run of document classification.
        labels: the words that a prompt asks for a label by: it is one, or begins with it and a
            blank.

    Raises:
        InputError: a prompt that asks for no label, no such run, or one that does not know all of
            `labels`.
    """

    def asked(prompt: str) -> str | None:
        return next((label for label in labels if f"{prompt} ".startswith(f"{label} ")), None)

    if free := [prompt for prompt in prompts if asked(prompt) is None]:
        raise InputError(
            f"--judge {folder}: the prompt {free[0][:40]!r} asks for no label of the data. Leave "
            "--judge out."
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
