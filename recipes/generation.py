r"""Sentence generation: a causal language model of prompts and completions, or of plain texts.

On what ships, without arguments (a small model, under a minute on two cores):
    accelerate launch recipes/generation.py
The book's setting, KoGPT2 on NSMC: the prompt is 긍정 or 부정, the completion a review:
    accelerate launch recipes/generation.py --config recipes/configs/generation_nsmc.yaml
Your own file: prompt and completion, question and answer, text and label, text, or .txt:
    accelerate launch recipes/generation.py --model_name_or_path gpt2 --train_file talk.jsonl
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForTokenClassification,
    EvalPrediction,
    TrainingArguments,
)

from nlpbook_data.baselines.generation import score_ngrams
from nlpbook_data.data.source import load_source
from nlpbook_data.features.generation import encode, scored_places, sum_texts, to_prompts, to_texts
from nlpbook_data.inference.decoding import check_room, special_ids
from nlpbook_data.metrics.generation import LanguageModelling, score_samples
from nlpbook_data.training import (
    DataArguments,
    LanguageModelLoss,
    ModelArguments,
    RecipeArguments,
    RecipeTrainer,
    Run,
    launch,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    option,
    padding,
    versioned,
)
from nlpbook_data.training.generation import (
    Sampler,
    check_adapters,
    choose_prompts,
    complete_generation_config,
    drop_void,
    load_judge,
)
from nlpbook_data.training.trainer import check_causal, pack

USAGE = """from transformers import pipeline
write = pipeline("text-generation", model="MODEL")
write("긍정", return_full_text=False)
# As a server of OpenAI's /v1/completions: vllm serve MODEL, or transformers serve MODEL"""


@dataclass
class GenerationDataArguments(DataArguments):
    """Where the texts come from."""

    prompt_column_name: str = option("prompt", "what is continued")
    completion_column_name: str = option("completion", "how it is")
    question_column_name: str = option("question", "prompts with a line")
    answer_column_name: str = option("answer", "their completions")


@dataclass
class GenerationArguments:
    """What only this recipe has."""

    completion_only: bool = option(True, "learn no token of a prompt")
    packing: bool = option(False, "train without padding")
    merge_lora: bool = option(True, "false: save --lora as adapters")
    sample_prompts: list[str] | None = option(
        None, "by default the labels, or the first prompts held out"
    )
    samples_per_prompt: int = option(8, "continuations by each method")
    max_new_tokens: int = option(64, "of a continuation, at most")
    judge: str | None = option(None, "a run of doccls that tells labels")


def main(
    data_args: GenerationDataArguments,
    model_args: ModelArguments,
    task_args: GenerationArguments,
    args: TrainingArguments,
    run: Run,
) -> None:
    # 1. Corpus: prompts and completions, or texts, with a label or without
    with run.preparation("corpus"):
        source = load_source(data_args, args, task="generation")
    labels = source.label_names
    run.describe(source)
    check_adapters(task_args.merge_lora, model_args, args)
    prompts = task_args.sample_prompts or choose_prompts(source)
    judge = task_args.judge and load_judge(task_args.judge, labels, prompts, args.device)

    # 2. Tokenizer and model; after this nothing changes the TrainingArguments
    tokenizer = load_tokenizer(model_args)
    tokenizer.padding_side = "left"  # as generation from a batch of prompts needs
    config = load_config(model_args, **special_ids(tokenizer))
    max_length = limit_length(data_args.max_length, config, tokenizer)
    check_room(config, task_args.max_new_tokens)
    model = load_model(AutoModelForCausalLM, model_args, config, args.do_train)
    complete_generation_config(model, model_args, tokenizer, task_args.max_new_tokens)
    args = run.settle(args, model, best_by="bits_per_character")

    # 3. Tokenization: a cached map that runs again when text, tokenizer or `encode` changes
    only = {"completion_only": task_args.completion_only, "label_names": labels}
    with run.preparation("tokenization"):
        encoded = source.splits.map(
            versioned(encode),
            batched=True,
            remove_columns=next(iter(source.splits.values())).column_names,
            fn_kwargs={"tokenizer": tokenizer, "max_length": max_length, **only},
        )
    encoded = drop_void(run, encoded)

    # 4. Metric, a module of `evaluate`, of each text's loss, tokens and characters
    metric = LanguageModelling(keep_in_memory=True)

    def score(sums: np.ndarray) -> dict[str, float]:
        tokens, characters = sums[:, 1:].T.astype(int)
        return metric.compute(losses=sums[:, 0], tokens=tokens, characters=characters)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        return score(sum_texts(prediction.predictions, encoded["validation"]))

    # 5. transformers' Trainer, with rows of similar length in a batch and exact sums over devices
    right = copy.deepcopy(tokenizer)
    right.padding_side = "right"  # so a row has the same positions as alone
    sampler = Sampler(run, model, tokenizer, prompts, task_args, judge)
    trainer = RecipeTrainer(
        model=model,
        args=args,
        train_dataset=encoded.get("train"),
        eval_dataset=encoded.get("validation"),
        data_collator=DataCollatorForTokenClassification(right, **padding(args, max_length)),
        train_collator=pack if task_args.packing else None,
        processing_class=tokenizer,
        compute_loss_func=LanguageModelLoss(None, args.label_smoothing_factor),
        compute_metrics=compute_metrics,
        callbacks=[run.callback, sampler],
    )
    check_causal(model, task_args.packing)
    if args.do_train:
        with run.phase("training"):
            trainer.train(resume_from_checkpoint=run.checkpoint())
        trainer.save_model(merge_lora=task_args.merge_lora)

    # 6. The best weights on validation, then on test, once; bare prompts are only continued
    scores, rows, wrong = dict[str, Any](), [], []
    for split in (name for name in ("validation", "test") if name in encoded):
        with run.phase(f"evaluation on {split}"):
            output = trainer.predict(encoded[split])
            if source.is_labelled(split):
                sums = sum_texts(output.predictions, encoded[split])
                scores[split] = score(sums)
                rows, wrong = loss_rows(to_prompts(source.splits[split][:], labels), sums)
            else:
                asked, empty = source.splits[split]["prompt"][:], {"completion": None}
                texts = zip(asked, sampler.answer(asked), strict=True)
                rows, wrong = [{"prompt": p, **empty, "prediction": t} for p, t in texts], []

    # 7. Samples by every decoding method, and their scores
    if run.folder.is_main:
        with run.phase("sampling"):
            run.write("samples.json", samples := sampler.write())
        scores["samples"] = score_samples(samples)
    run.leave(scores, rows, wrong, trainer.log)

    # 8. The baselines, by the same metric; then `launch` writes card and summary, and pushes
    baselines: dict[str, Any] = {}
    if run.wants_baselines:
        with run.phase("baselines"):
            texts = {s: to_texts(split[:], **only) for s, split in source.held_out.items()}
            places = {s: scored_places(texts[s], encoded[s]) for s in texts}
            train = to_texts(source.splits["train"][:], **only)
            baselines = score_ngrams(train, texts, places=places)
    run.finish(baselines, "문장 생성", "text-generation", USAGE, labels)


def loss_rows(
    parts: dict[str, list[Any]], sums: np.ndarray
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each text with its bits per character; and the same, the hardest text first."""
    rows = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    for row, (loss, tokens, characters) in zip(rows, sums.tolist(), strict=True):
        bits = loss / np.log(2) / characters if characters else None
        row |= {"loss": loss, "tokens": int(tokens), "bits_per_character": bits}
    hardest = [row for row in rows if row["bits_per_character"]]
    return rows, sorted(hardest, key=lambda row: -row["bits_per_character"])


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, GenerationDataArguments, ModelArguments, GenerationArguments, RecipeArguments)
