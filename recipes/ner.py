"""Named entities: who, where and when in a Korean text, as spans of its characters.

On what ships, without arguments (a small model from random weights, under a minute on two cores):
    accelerate launch recipes/ner.py
The book's setting, KcBERT on the book's corpus (also: ner_klue.yaml, ner_naver.yaml):
    accelerate launch recipes/ner.py --config recipes/configs/ner_book.yaml
Your own files: rows of text and entities, CoNLL's columns, or text with <entity:TAG> marks:
    accelerate launch recipes/ner.py --model_name_or_path klue/bert-base --train_file train.jsonl
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForTokenClassification, EvalPrediction

from nlpbook_data.baselines.ner import entity_dictionary
from nlpbook_data.data.source import Source, load_source
from nlpbook_data.features.ner import alignment_ceiling, decode, encode, tag_names, type_names
from nlpbook_data.features.particles import choose_step
from nlpbook_data.metrics.ner import NamedEntities
from nlpbook_data.reports.highlight import write_highlights
from nlpbook_data.reports.plots import plot_per_class
from nlpbook_data.training import (
    DataArguments,
    ModelArguments,
    RecipeArguments,
    Run,
    TokenLoss,
    clamp_length,
    encode_splits,
    label_names,
    launch,
    load_config,
    load_model,
    load_tokenizer,
    make_trainer,
    parse,
)

USAGE = """from transformers import pipeline

find = pipeline("token-classification", model="MODEL", aggregation_strategy="simple")
find("세종대왕은 한양에서 훈민정음을 만들었다.")"""
CARD = ("개체명 인식", "token-classification", USAGE)


@dataclass
class NerDataArguments(DataArguments):
    """Where the entities come from."""

    entities_column_name: str = field(default="entities", metadata={"help": "start, end, label"})
    stride: int = field(default=32, metadata={"help": "tokens that two windows of a text share"})


@dataclass
class NerArguments:
    """What only this recipe has."""

    strip_particles: str = field(
        default="auto",
        metadata={
            "help": "end entities before particles (조사) in their last token; auto: as train's do",
            "choices": ["auto", "always", "never"],
        },
    )


def main() -> None:
    # 1. Arguments: dataclass defaults < YAML < command line
    types = (NerDataArguments, ModelArguments, NerArguments, RecipeArguments)
    data_args, model_args, task_args, args = parse(__file__, *types)
    run = Run.start(__file__, args, data_args, model_args, task_args)
    if run.finished_before():
        return

    # 2. Corpus -> DatasetDict(train, validation, test)
    with run.phase("corpus"), run.once():
        known = None if args.do_train else type_names(label_names(model_args))
        source = load_source(data_args, args, known, task="ner")
    names = source.label_names
    run.describe(source, best_by="micro_f1")

    # 3. Tokenizer and cached tokenization, long texts in windows
    tokenizer = load_tokenizer(model_args)
    labels = tag_names(names)
    config = load_config(model_args, labels=labels, pad_token_id=tokenizer.pad_token_id)
    max_length = clamp_length(data_args.max_length, config, tokenizer)
    options = {"max_length": max_length, "stride": data_args.stride}
    with run.phase("tokenization"), run.once():
        encoded = encode_splits(source.splits, encode, tokenizer, data_args, **options)

    def find_ceiling(batches: Any, strip: Any) -> dict[str, Any]:
        found = alignment_ceiling(batches, tokenizer, **options, strip=strip)
        return {"micro_f1": found["f1"], "lost": found["reasons"]}

    gold = {s: list(source.splits[s]) for s in ("validation", "test") if s in encoded}
    with run.phase("alignment"):
        known = getattr(config, "strip_particles", False)
        sample = [next(source.splits["train"].iter(2000))] if args.do_train else None
        strip = choose_step(task_args.strip_particles, known, find_ceiling, sample)
        config.strip_particles = strip is not None
        if run.wants_baselines:
            batches = {s: rows.iter(1000) for s, rows in source.held_out.items()}
            run.report_ceiling({s: find_ceiling(rows, strip) for s, rows in batches.items()})

    metric = NamedEntities(keep_in_memory=True)

    def predict(split: str, logits: np.ndarray) -> list[list[dict[str, Any]]]:
        probabilities = torch.from_numpy(logits).softmax(dim=1).numpy()
        return decode(encoded[split], probabilities, [row["text"] for row in gold[split]], strip)

    def score(split: str, entities: list[list[dict[str, Any]]]) -> dict[str, Any]:
        return metric.compute(predictions=entities, references=gold[split], label_names=names)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        scores = score("validation", predict("validation", prediction.predictions))
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    loss = TokenLoss(None, args.label_smoothing_factor)
    for seed_run in run.each_seed():
        # 4. Model
        model = load_model(AutoModelForTokenClassification, model_args, config, args.do_train)

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
    source: Source, split: str, predicted: list[list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each text with true and found entities, and those with mistakes, most first."""
    names, rows, faults = source.label_names, [], []
    for row, found in zip(source.splits[split], predicted, strict=True):
        text, gold = row["text"], row["entities"]
        spans = [{(e["start"], e["end"], e["label"]) for e in part or ()} for part in (gold, found)]
        faults.append(0 if gold is None else len(spans[0] ^ spans[1]))  # wrong and missing ones
        for entity in [*(gold or ()), *found]:
            entity["text"] = text[entity["start"] : entity["end"]]
            entity["label"] = names[entity["label"]]
        rows.append({"text": text, "entities": gold, "prediction": found})
    worst = sorted(np.flatnonzero(faults), key=lambda number: -faults[number])
    return rows, [rows[number] for number in worst]


def illustrate(run: Run, rows: list, wrong: list, scores: dict[str, Any] | None) -> None:
    """Draw the scores of each type, and write a page of the worst mistakes."""
    if scores:
        run.plot(plot_per_class, "per_type.png", scores["per_type"], "유형별 점수")
    if run.is_main and wrong:
        write_highlights(wrong[:100], run.folder / "errors.html", "틀린 개체명")


def score_baselines(source: Source, score: Any) -> dict[str, Any]:
    """Score the dictionary of the training entities by the same metric."""
    texts = {split: rows["text"][:] for split, rows in source.held_out.items()}
    found = {s: entity_dictionary(source.splits["train"], texts[s]) for s in texts}
    return {"dictionary": {split: score(split, entities) for split, entities in found.items()}}


if __name__ == "__main__":
    launch(main)
