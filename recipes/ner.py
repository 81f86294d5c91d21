r"""Named entities: who, where and when in a Korean text, as spans of its characters.

On what ships, without arguments (a small model, under a minute on two cores):
    accelerate launch recipes/ner.py
The book's setting, KcBERT on the book's corpus (also: ner_klue.yaml, ner_naver.yaml):
    accelerate launch recipes/ner.py --config recipes/configs/ner_book.yaml
Your own files: rows of text and entities, CoNLL's columns, <entity:TAG>, or what a tool exports:
    accelerate launch recipes/ner.py --model_name_or_path klue/bert-base --train_file train.jsonl
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    EvalPrediction,
    TrainingArguments,
)

from nlpbook_data.baselines import score_baselines
from nlpbook_data.baselines.ner import find_known_entities
from nlpbook_data.data.source import load_source
from nlpbook_data.features.ner import alignment_ceiling, decode, encode, tag_names, type_names
from nlpbook_data.features.particles import choose_stripping
from nlpbook_data.metrics.ner import NamedEntities
from nlpbook_data.reports.highlight import write_highlights
from nlpbook_data.reports.plots import plot_per_class
from nlpbook_data.training import (
    DataArguments,
    ModelArguments,
    RecipeArguments,
    RecipeTrainer,
    Run,
    TokenLoss,
    label_names,
    launch,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    option,
    padding,
    versioned,
)

USAGE = """from nlpbook_data.answering import load_tagger

find = load_tagger("MODEL")
find("세종대왕은 한양에서 훈민정음을 만들었다.")"""


@dataclass
class NerDataArguments(DataArguments):
    """Where the entities come from."""

    entities_column_name: str = option("entities", "start, end, label")
    ner_tag_names: list[str] | None = option(None, "of ner_tags' numbers")
    stride: int = option(32, "tokens that two windows of a text share")


@dataclass
class NerArguments:
    """What only this recipe has."""

    strip_particles: str = option(
        "auto", "cut particles (조사) off", choices=["auto", "always", "never"]
    )


def main(
    data_args: NerDataArguments,
    model_args: ModelArguments,
    task_args: NerArguments,
    args: TrainingArguments,
    run: Run,
) -> None:
    # 1. Corpus: text, and entities as spans of its characters
    with run.preparation("corpus"):
        known = type_names(label_names(model_args, args.do_train) or [], args.do_train)
        source = load_source(data_args, args, known, task="ner")
    types = source.label_names
    run.describe(source)

    # 2. Tokenizer and model; after this nothing changes the TrainingArguments
    tokenizer = load_tokenizer(model_args)
    config = load_config(model_args, labels=tag_names(types), pad_token_id=tokenizer.pad_token_id)
    max_length = limit_length(data_args.max_length, config, tokenizer)
    model = load_model(AutoModelForTokenClassification, model_args, config, args.do_train)
    args = run.settle(args, model, best_by="micro_f1")

    # 3. Tokenization, long texts in windows that overlap: a cached map, see doccls.py
    windows = {"tokenizer": tokenizer, "max_length": max_length, "stride": data_args.stride}
    with run.preparation("tokenization"):
        encoded = source.splits.map(
            versioned(encode), batched=True, remove_columns=["text", "entities"], fn_kwargs=windows
        )

    # 4. From tokens back to characters: particles are stripped if that improves train's entities
    def ceiling(batches: Any, strip: Any) -> dict[str, Any]:  # of perfect token labels
        found = alignment_ceiling(batches, strip=strip, **windows)
        return {"micro_f1": found["f1"], "lost": found["reasons"]}

    with run.phase("alignment"):
        strip = choose_stripping(
            task_args.strip_particles,
            None if args.do_train else getattr(config, "strip_particles", False),
            lambda strip: ceiling([next(source.splits["train"].iter(2000))], strip),
        )
        if run.wants_baselines:
            held = source.held_out
            run.report_ceiling({s: ceiling(held[s].iter(1000), strip) for s in held})
    model.config.strip_particles = strip is not None

    # 5. Metric, a module of `evaluate`, of character spans
    metric = NamedEntities(keep_in_memory=True)
    gold = {split: list(rows) for split, rows in source.splits.items() if split != "train"}

    def find(split: str, logits: np.ndarray) -> list[list[dict[str, Any]]]:
        probabilities = torch.from_numpy(logits).softmax(dim=1).numpy()
        return decode(encoded[split], probabilities, [row["text"] for row in gold[split]], strip)

    def score(split: str, entities: list[list[dict[str, Any]]]) -> dict[str, Any]:
        return metric.compute(predictions=entities, references=gold[split], label_names=types)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, Any]:
        return score("validation", find("validation", prediction.predictions))

    # 6. transformers' Trainer, with rows of similar length in a batch and exact sums over devices
    trainer = RecipeTrainer(
        model=model,
        args=args,
        train_dataset=encoded.get("train"),
        eval_dataset=encoded.get("validation"),
        data_collator=DataCollatorForTokenClassification(tokenizer, **padding(args, max_length)),
        processing_class=tokenizer,
        compute_loss_func=TokenLoss(None, args.label_smoothing_factor),
        compute_metrics=compute_metrics,
        callbacks=[run.callback],
    )
    if args.do_train:
        with run.phase("training"):
            trainer.train(resume_from_checkpoint=run.checkpoint())
        trainer.save_model()

    # 7. The best weights on validation, then on test, once
    scores, rows, wrong = {}, [], []
    for split in (name for name in ("validation", "test") if name in encoded):
        with run.phase(f"evaluation on {split}"):
            output = trainer.predict(encoded[split])
        entities = find(split, output.predictions)
        if source.is_labelled(split):
            scores[split] = score(split, entities)
        rows, wrong = prediction_rows(source.splits[split], types, entities)
    run.leave(scores, rows, wrong, trainer.log)
    if last := scores.get(split):
        run.figure("per_type.png", "유형별 점수", plot_per_class, last["per_type"])
    if run.folder.is_main and wrong:
        write_highlights(wrong[:100], run.folder.path / "errors.html", "틀린 개체명")

    # 8. The baselines, scored by the same metric; then `launch` writes card and summary, and pushes
    baselines: dict[str, Any] = {}
    if run.wants_baselines:
        with run.phase("baselines"):
            found = find_known_entities(source.splits["train"], source.held_out)
            baselines = score_baselines(score, found)
    run.finish(baselines, "개체명 인식", "token-classification", USAGE, types)


def prediction_rows(
    dataset: Dataset, types: list[str], predicted: list[list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each text with gold and predicted entities; and those with mistakes, most first."""

    def in_words(text: str, entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            entity
            | {"text": text[entity["start"] : entity["end"]], "label": types[entity["label"]]}
            for entity in entities
        ]

    rows, faults = [], []
    for row, found in zip(dataset, predicted, strict=True):
        text, gold = row["text"], row["entities"]
        spans = [{(e["start"], e["end"], e["label"]) for e in part or ()} for part in (gold, found)]
        faults.append(0 if gold is None else len(spans[0] ^ spans[1]))  # wrong and missing entities
        gold = gold if gold is None else in_words(text, gold)
        rows.append({"text": text, "entities": gold, "prediction": in_words(text, found)})
    worst = sorted(np.flatnonzero(faults), key=lambda number: -faults[number])
    return rows, [rows[number] for number in worst]


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, NerDataArguments, ModelArguments, NerArguments, RecipeArguments)
