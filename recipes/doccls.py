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
from datasets import List
from transformers import AutoModelForSequenceClassification, EvalPrediction

from nlpbook_data.baselines.doccls import balanced_weights, character_ngrams, majority
from nlpbook_data.data.source import Source, load_source
from nlpbook_data.features.doccls import encode
from nlpbook_data.metrics.doccls import DocumentClassification
from nlpbook_data.reports.plots import plot_confusion_matrix
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

USAGE = """from transformers import pipeline

classify = pipeline("text-classification", model="MODEL")
classify("배송이 빠르고 마음에 들어요", truncation=True)"""
CARD = ("문서 분류", "text-classification", USAGE)


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
        labels=names,
        problem_type=f"{'multi' if task_args.multi_label else 'single'}_label_classification",
        pad_token_id=tokenizer.pad_token_id,
    )
    max_length = clamp_length(data_args.max_length, config, tokenizer)
    width = len(names) if task_args.multi_label else None
    with run.phase("tokenization"), run.once():
        encoded = encode_splits(
            source.splits, encode, tokenizer, data_args, max_length=max_length, num_labels=width
        )

    gold = {s: np.array(encoded[s]["labels"][:]) for s in encoded if source.is_labelled(s)}
    metric = DocumentClassification("multilabel" if width else None, keep_in_memory=True)

    def predict(split: str, logits: np.ndarray) -> np.ndarray:
        return to_probabilities(logits, width)

    def score(split: str, probabilities: np.ndarray) -> dict[str, Any]:
        return metric.compute(predictions=probabilities, references=gold[split], label_names=names)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        scores = score("validation", predict("validation", prediction.predictions))
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    weights = None
    if task_args.class_weights == "balanced" and args.do_train:
        weights = torch.tensor(balanced_weights(gold["train"], len(names)))
    loss = ClassificationLoss(weights, args.label_smoothing_factor)

    for seed_run in run.each_seed():
        # 4. Model
        model = load_model(AutoModelForSequenceClassification, model_args, config, args.do_train)

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


def to_probabilities(logits: np.ndarray, width: int | None) -> np.ndarray:
    """Softmax over classes, or a sigmoid for each of several labels: (rows, classes)."""
    logits = torch.from_numpy(logits).double()
    return (logits.softmax(dim=1) if width is None else logits.sigmoid()).numpy()


def prediction_rows(
    source: Source, split: str, probabilities: np.ndarray
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each row's text, label, prediction and probabilities, and the surest mistakes."""
    names, rows = np.array(source.label_names), []
    for row, p in zip(source.splits[split], probabilities, strict=True):
        label = row["label"]
        if isinstance(source.splits[split].features["label"], List):
            label, prediction = label and names[label].tolist(), names[p > 0.5].tolist()
        else:
            label, prediction = None if label < 0 else names[label].item(), names[p.argmax()].item()
        shown = {name: round(value, 6) for name, value in zip(names, p.tolist(), strict=True)}
        row = {"text": row["text"], "label": label, "prediction": prediction}
        rows.append(row | {"probabilities": shown})
    wrong = [row for row in rows if row["label"] not in (None, row["prediction"])]
    return rows, sorted(wrong, key=lambda row: -max(row["probabilities"].values()))


def illustrate(run: Run, rows: list, wrong: list, scores: dict[str, Any] | None) -> None:
    """Draw the confusion matrix of classes."""
    if scores and "confusion_matrix" in scores:
        names = list(scores["per_class"])
        run.plot(plot_confusion_matrix, "confusion_matrix.png", scores, names, "혼동 행렬")


def score_baselines(source: Source, score: Any) -> dict[str, Any]:
    """Train the baselines on the rows that the model saw and score them by the same metric."""
    size, train, held_out = len(source.label_names), source.splits["train"], source.held_out
    gold = train["label"][:]
    if isinstance(train.features["label"], List):
        gold = [np.isin(range(size), row) for row in gold]
    gold = np.array(gold, dtype=int)
    shares = {s: score(s, majority(gold, size, len(rows))) for s, rows in held_out.items()}
    texts = [rows["text"][:] for rows in held_out.values()]
    predicted, seconds = character_ngrams(train["text"][:], gold, size, texts)
    ngrams = {s: score(s, found) for s, found in zip(held_out, predicted, strict=True)}
    return {"majority": shares, "character n-grams": {**ngrams, "seconds": round(seconds, 1)}}


if __name__ == "__main__":
    launch(main)
