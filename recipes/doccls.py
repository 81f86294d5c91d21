"""Document classification: Korean texts into one class, or into any number of labels.

On what ships, without arguments (a small model from random weights, under a minute on two cores):
    accelerate launch recipes/doccls.py
The book's setting, KcBERT on NSMC:
    accelerate launch recipes/doccls.py --config recipes/configs/doccls_nsmc.yaml
Your own files; validation and test are carved from train where you have none:
    accelerate launch recipes/doccls.py --model_name_or_path klue/bert-base \
        --train_file reviews.csv --text_column_name 본문 --label_column_name 분류
Prediction alone, with a model that was trained before:
    accelerate launch recipes/doccls.py --do_train false --do_eval false \
        --model_name_or_path outputs/doccls --test_file new.csv --output_dir predictions
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, EvalPrediction

from nlpbook_data.baselines.doccls import balanced_weights, character_ngrams, majority
from nlpbook_data.features.doccls import encode
from nlpbook_data.metrics.doccls import DocumentClassification
from nlpbook_data.sources import Source, load_source
from nlpbook_data.training import (
    ClassificationLoss,
    DataArguments,
    ModelArguments,
    RecipeArguments,
    Run,
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
from nlpbook_data.training.plots import plot_confusion_matrix

USAGE = """from transformers import pipeline

classify = pipeline("text-classification", model="MODEL")
classify("배송이 빠르고 마음에 들어요", truncation=True)"""


@dataclass
class DocclsArguments:
    """What only this recipe has."""

    multi_label: bool = field(default=False, metadata={"help": "a text has any number of labels"})
    class_weights: str = field(
        default="none",
        metadata={"help": "balanced: rare classes weigh more", "choices": ["none", "balanced"]},
    )


def main() -> None:
    # 1. Arguments: dataclass defaults < YAML < command line
    types = (DataArguments, ModelArguments, DocclsArguments, RecipeArguments)
    data_args, model_args, task_args, args = parse(__file__, *types)
    run = Run.start(__file__, args, data_args, model_args, task_args)
    if run.finished_before():
        return

    # 2. Corpus -> DatasetDict(train, validation, test)
    with run.phase("corpus"), run.once():
        known = None if args.do_train else label_names(model_args)
        source = load_source(data_args, args, known, task_args.multi_label)
    names = source.label_names
    run.describe(source, best_by="macro_f1")

    # 3. Tokenizer and cached tokenization
    tokenizer = load_tokenizer(model_args)
    config = load_config(
        model_args,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
        problem_type=f"{'multi' if task_args.multi_label else 'single'}_label_classification",
        pad_token_id=tokenizer.pad_token_id,
    )
    max_length = clamp_length(data_args.max_length, config, tokenizer)
    width = len(names) if task_args.multi_label else None
    with run.phase("tokenization"), run.once():
        encoded = encode_splits(
            source.splits, encode, tokenizer, data_args, max_length=max_length, num_labels=width
        )

    metric = DocumentClassification("multilabel" if width else None, keep_in_memory=True)

    def score(probabilities: np.ndarray, gold: np.ndarray) -> dict[str, Any]:
        return metric.compute(predictions=probabilities, references=gold, label_names=names)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        scores = score(to_probabilities(prediction.predictions, width), prediction.label_ids)
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    weights = None
    if task_args.class_weights == "balanced" and args.do_train:
        weights = torch.tensor(
            balanced_weights(np.array(encoded["train"]["labels"][:]), len(names))
        )

    loss = ClassificationLoss(weights, args.label_smoothing_factor)

    for seed_run in run.each_seed():
        # 4. Model
        model = load_model(
            AutoModelForSequenceClassification, model_args, config, trained_head=not args.do_train
        )

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
            split: to_probabilities(seed_run.predict(trainer, encoded, split), width)
            for split in ("validation", "test")
            if split in encoded
        }
        scores = {
            split: score(probabilities, np.array(encoded[split]["labels"][:]))
            for split, probabilities in predicted.items()
            if source.is_labelled(split)
        }
        split = list(predicted)[-1]
        rows = prediction_rows(source, split, predicted[split], width)
        wrong = [row for row in rows if row["label"] not in (None, row["prediction"])]
        wrong.sort(key=lambda row: max(row["probabilities"].values()), reverse=True)
        seed_run.leave(scores, rows, wrong)
        if "confusion_matrix" in scores.get(split, {}):
            seed_run.plot(
                plot_confusion_matrix, "confusion_matrix.png", scores[split], names, "혼동 행렬"
            )

    with run.phase("baselines"):
        baselines = score_baselines(source, encoded, score) if run.wants_baselines else {}
    run.finish(baselines, "문서 분류", "text-classification", USAGE, names)


def to_probabilities(logits: np.ndarray, width: int | None) -> np.ndarray:
    """Softmax over classes, or a sigmoid for each of several labels: (rows, classes)."""
    logits = torch.from_numpy(logits).double()
    return (logits.softmax(dim=1) if width is None else logits.sigmoid()).numpy()


def prediction_rows(
    source: Source, split: str, probabilities: np.ndarray, width: int | None
) -> list[dict[str, Any]]:
    """Return text, gold label, prediction and probabilities of each row, labels in words."""
    names = np.array(source.label_names)
    rows = []
    for row, p in zip(source.splits[split], probabilities, strict=True):
        if width is None:
            label, prediction = row["label"], names[p.argmax()].item()
            label = None if label is None or label < 0 else names[label].item()
        else:
            label, prediction = row["label"], names[p > 0.5].tolist()
            label = None if label is None else names[label].tolist()
        shown = {name: round(float(value), 6) for name, value in zip(names, p, strict=True)}
        rows.append({"text": row["text"], "label": label, "prediction": prediction})
        rows[-1]["probabilities"] = shown
    return rows


def score_baselines(source: Source, encoded: Any, score: Any) -> dict[str, Any]:
    """Train the baselines on the rows that the model saw and score them by the same metric."""
    gold = {
        split: np.array(rows["labels"][:])
        for split, rows in encoded.items()
        if "labels" in rows.features
    }
    texts = {split: source.splits[split]["text"][:] for split in gold}
    held_out = [split for split in gold if split != "train"]
    size = len(source.label_names)
    shares = {s: score(majority(gold["train"], size, len(gold[s])), gold[s]) for s in held_out}
    predicted, seconds = character_ngrams(
        texts["train"], gold["train"], size, [texts[s] for s in held_out]
    )
    ngrams = {s: score(p, gold[s]) for s, p in zip(held_out, predicted, strict=True)}
    return {"majority": shares, "character n-grams": {**ngrams, "seconds": round(seconds, 1)}}


if __name__ == "__main__":
    launch(main)
