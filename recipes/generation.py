"""Sentence generation: a causal language model of prompts and completions, or of plain texts.

On what ships, without arguments (a small model from random weights, under a minute on two cores):
    accelerate launch recipes/generation.py
The book's setting, KoGPT2 on NSMC: the prompt is 긍정 or 부정, the completion a review:
    accelerate launch recipes/generation.py --config recipes/configs/generation_nsmc.yaml
Your own file: prompt and completion, question and answer, text and label, text, or .txt:
    accelerate launch recipes/generation.py --model_name_or_path gpt2 --train_file talk.jsonl
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import AutoModelForCausalLM, EvalPrediction

from nlpbook_data.baselines.generation import score_ngrams
from nlpbook_data.data.source import Source, load_source
from nlpbook_data.features.generation import encode, sum_texts, to_prompts
from nlpbook_data.inference.decoding import check_room, special_ids
from nlpbook_data.metrics.generation import LanguageModelling, TextGeneration
from nlpbook_data.training import (
    DataArguments,
    LanguageModelLoss,
    ModelArguments,
    RecipeArguments,
    Run,
    clamp_length,
    encode_splits,
    launch,
    load_config,
    load_model,
    load_tokenizer,
    make_trainer,
    parse,
)
from nlpbook_data.training.generation import (
    Sampler,
    check_adapters,
    choose_prompts,
    complete_generation_config,
    load_judge,
    report_dropped,
)

USAGE = """from transformers import pipeline

write = pipeline("text-generation", model="MODEL")
write("긍정", return_full_text=False)
# As a server of OpenAI's /v1/completions: vllm serve MODEL, or transformers serve MODEL"""
CARD = ("문장 생성", "text-generation", USAGE)


@dataclass
class GenerationDataArguments(DataArguments):
    """Where the texts come from."""

    prompt_column_name: str = field(default="prompt", metadata={"help": "what is continued"})
    completion_column_name: str = field(default="completion", metadata={"help": "how it is"})
    question_column_name: str = field(default="question", metadata={"help": "prompts with a line"})
    answer_column_name: str = field(default="answer", metadata={"help": "their completions"})


@dataclass
class GenerationArguments:
    """What only this recipe has."""

    completion_only: bool = field(default=True, metadata={"help": "learn no token of a prompt"})
    packing: bool = field(default=False, metadata={"help": "train without padding"})
    merge_lora: bool = field(default=True, metadata={"help": "false: save --lora as adapters"})
    sample_prompts: list[str] | None = field(
        default=None, metadata={"help": "by default the labels, or the first prompts held out"}
    )
    samples_per_prompt: int = field(default=8, metadata={"help": "continuations by each method"})
    max_new_tokens: int = field(default=64, metadata={"help": "of a continuation, at most"})
    judge: str | None = field(
        default=None, metadata={"help": "a run of doccls that says which label a text has"}
    )


def main() -> None:
    # 1. Arguments: dataclass defaults < YAML < command line
    types = (GenerationDataArguments, ModelArguments, GenerationArguments, RecipeArguments)
    data_args, model_args, task_args, args = parse(__file__, *types)
    run = Run.start(__file__, args, data_args, model_args, task_args)
    if run.finished_before():
        return

    # 2. Corpus -> DatasetDict(train, validation, test)
    with run.phase("corpus"), run.once():
        source = load_source(data_args, args, task="generation")
    names = source.label_names
    run.describe(source, best_by="bits_per_character")
    check_adapters(task_args.merge_lora, model_args, args)
    prompts = task_args.sample_prompts or choose_prompts(source)
    judge = task_args.judge and load_judge(task_args.judge, names, prompts, args.device)

    # 3. Tokenizer and cached tokenization
    tokenizer = load_tokenizer(model_args)
    tokenizer.padding_side = "left"  # as a batch of prompts needs it; training pads to the right
    config = load_config(model_args, **special_ids(tokenizer))
    max_length = clamp_length(data_args.max_length, config, tokenizer)
    check_room(config, task_args.max_new_tokens)
    only = {"completion_only": task_args.completion_only, "label_names": names}
    with run.phase("tokenization"), run.once():
        encoded = encode_splits(
            source.splits, encode, tokenizer, data_args, max_length=max_length, **only
        )
    report_dropped(run, encoded)
    metric = LanguageModelling(keep_in_memory=True)

    def predict(split: str, losses: np.ndarray) -> Any:  # (texts, 3), or what follows the prompts
        if source.is_labelled(split):
            return sum_texts(losses, encoded[split])
        return sampler.answer(source.splits[split]["prompt"][:])

    def score(split: str, sums: np.ndarray) -> dict[str, Any]:
        tokens, characters = sums[:, 1:].T.astype(int)
        return metric.compute(losses=sums[:, 0], tokens=tokens, characters=characters)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        return score("validation", predict("validation", prediction.predictions))

    def score_baselines(source: Source, score: Any) -> dict[str, Any]:
        texts = {}
        for split, rows in {"train": source.splits["train"], **source.held_out}.items():
            pairs = zip(*to_prompts(rows[:], names).values(), strict=True)
            texts[split] = [c if task_args.completion_only else p + c for p, c in pairs]
        return score_ngrams(texts.pop("train"), texts)

    loss = LanguageModelLoss(None, args.label_smoothing_factor, packing=task_args.packing)
    for seed_run in run.each_seed():
        # 4. Model
        model = load_model(AutoModelForCausalLM, model_args, config, args.do_train)
        complete_generation_config(model, model_args, tokenizer, task_args.max_new_tokens)
        sampler = Sampler(seed_run, model, tokenizer, prompts, task_args, judge)
        seed_run.callbacks.append(sampler)

        # 5. Trainer: train, or continue
        trainer = make_trainer(
            seed_run,
            model,
            tokenizer,
            max_length,
            loss=loss,
            compute_metrics=compute_metrics,
            train_dataset=encoded.get("train"),
            eval_dataset=encoded.get("validation"),
        )
        if args.do_train:
            seed_run.train(trainer)
            seed_run.save(trainer)

        # 6. Evaluate the best model, on test once; write what the run leaves behind; push last
        predicted = {
            split: predict(split, seed_run.predict(trainer, encoded, split))
            for split in ("validation", "test")
            if split in encoded
        }
        scores = {s: score(s, found) for s, found in predicted.items() if source.is_labelled(s)}
        split = list(predicted)[-1]
        rows, wrong = prediction_rows(source, split, predicted[split])
        seed_run.leave(scores, rows, wrong)
        illustrate(seed_run, rows, wrong, scores.get(split))

    with run.phase("baselines"):
        baselines = score_baselines(source, score) if run.wants_baselines else {}
    run.finish(baselines, *CARD, source.label_names)


def prediction_rows(
    source: Source, split: str, predicted: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each text with its bits per character, and the hardest first; or what was written."""
    parts = to_prompts(source.splits[split][:], source.label_names)
    rows = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    if not source.is_labelled(split):
        return [row | {"prediction": text} for row, text in zip(rows, predicted, strict=True)], []
    for row, (loss, tokens, characters) in zip(rows, predicted.tolist(), strict=True):
        bits = loss / np.log(2) / characters if characters else None
        row |= {"loss": loss, "tokens": int(tokens), "bits_per_character": bits}
    hardest = [row for row in rows if row["bits_per_character"]]
    return rows, sorted(hardest, key=lambda row: -row["bits_per_character"])


def illustrate(run: Run, rows: list, wrong: list, scores: dict[str, Any] | None) -> None:
    """Continue the prompts by every method of decoding, and score what was written."""
    if run.is_main:
        with run.phase("sampling"):
            written = run.callbacks[0].write()
        metric, found = TextGeneration(keep_in_memory=True), {}
        for method, rows in written.items():
            labels = {k: [row[k] for row in rows] for k in ("asked", "judged") if k in rows[0]}
            found[method] = metric.compute(predictions=[row["text"] for row in rows], **labels)
        run.write("samples.json", written)
        run.add_scores("samples", found)


if __name__ == "__main__":
    launch(main)
