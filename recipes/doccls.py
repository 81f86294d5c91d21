r"""Document classification: Korean texts into one class, or into any number of labels.

On what ships, without arguments (a small model, under a minute on two cores):
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

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    EvalPrediction,
    TrainingArguments,
)

from nlpbook_data.baselines import score_baselines
from nlpbook_data.baselines.doccls import balanced_weights, predict_documents
from nlpbook_data.data.source import load_source
from nlpbook_data.features.doccls import encode
from nlpbook_data.metrics.doccls import DocumentClassification
from nlpbook_data.reports.plots import plot_confusion_matrix
from nlpbook_data.training import (
    ClassificationLoss,
    DataArguments,
    ModelArguments,
    RecipeArguments,
    RecipeTrainer,
    Run,
    is_multi_label,
    label_ids,
    label_names,
    launch,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    option,
    padding,
    predict_frozen,
    versioned,
)

USAGE = """from transformers import pipeline

classify = pipeline("text-classification", model="MODEL")
classify("배송이 빠르고 마음에 들어요", truncation=True)"""
USAGE_OF_SEVERAL = """from transformers import pipeline
classify = pipeline("text-classification", model="MODEL")
found = classify("배송이 빠르고 마음에 들어요", top_k=None, truncation=True)
[each["label"] for each in found if each["score"] > 0.5]"""


@dataclass
class DocclsArguments:
    """What only this recipe has."""

    multi_label: bool = option(False, "a text has any number of labels")
    negative_label: str | None = option(None, "of which micro-F1 is free")
    class_weights: str = option(
        "none", "balanced: rare classes weigh more", choices=["none", "balanced"]
    )


def main(
    data_args: DataArguments,
    model_args: ModelArguments,
    task_args: DocclsArguments,
    args: TrainingArguments,
    run: Run,
) -> None:
    # 1. Corpus: train, validation and test, each with the columns text and label
    with run.preparation("corpus"):
        known = label_names(model_args, args.do_train)
        multi_label = task_args.multi_label or (not args.do_train and is_multi_label(model_args))
        source = load_source(data_args, args, known, multi_label)
    labels = source.label_names
    negative = source.find_label("negative_label", task_args.negative_label)
    run.describe(source)

    # 2. Tokenizer and model; after this nothing changes the TrainingArguments
    tokenizer = load_tokenizer(model_args)
    config = load_config(
        model_args,
        labels=labels,
        problem_type=f"{'multi' if multi_label else 'single'}_label_classification",
        pad_token_id=tokenizer.pad_token_id,
    )
    max_length = limit_length(data_args.max_length, config, tokenizer)
    model = load_model(AutoModelForSequenceClassification, model_args, config, args.do_train)
    args = run.settle(args, model, best_by="macro_f1")

    # 3. Tokenization: a cached map that runs again when text, tokenizer or `encode` changes.
    #    Nothing is padded here: the collator pads each batch to its longest row.
    with run.preparation("tokenization"):
        encoded = source.splits.map(
            versioned(encode),
            batched=True,
            remove_columns=["text", "label"],
            fn_kwargs={
                "tokenizer": tokenizer,
                "max_length": max_length,
                "num_labels": len(labels) if multi_label else None,
            },
        )

    # 4. Metric, a module of `evaluate`, and loss
    metric = DocumentClassification("multilabel" if multi_label else None, keep_in_memory=True)
    words: dict[str, Any] = {"label_names": labels, "negative": negative}
    gold = {split: label_ids(rows) for split, rows in encoded.items()}

    def score(probabilities: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        return metric.compute(predictions=probabilities, references=references, **words)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, Any]:
        return score(to_probabilities(prediction.predictions, multi_label), prediction.label_ids)

    weights = None
    if task_args.class_weights == "balanced" and args.do_train:
        weights = torch.tensor(balanced_weights(gold["train"], len(labels)))

    # 5. transformers' Trainer, with rows of similar length in a batch and exact sums over devices
    trainer = RecipeTrainer(
        model=model,
        args=args,
        train_dataset=encoded.get("train"),
        eval_dataset=encoded.get("validation"),
        data_collator=DataCollatorWithPadding(tokenizer, **padding(args, max_length)),
        processing_class=tokenizer,
        compute_loss_func=ClassificationLoss(weights, args.label_smoothing_factor),
        compute_metrics=compute_metrics,
        callbacks=[run.callback],
    )
    if args.do_train:
        with run.phase("training"):
            trainer.train(resume_from_checkpoint=run.checkpoint())
        trainer.save_model()

    # 6. The best weights on validation, then on test, once
    scores, rows, wrong = {}, [], []
    for split in (name for name in ("validation", "test") if name in encoded):
        with run.phase(f"evaluation on {split}"):
            output = trainer.predict(encoded[split])
        probabilities = to_probabilities(output.predictions, multi_label)
        if source.is_labelled(split):
            scores[split] = score(probabilities, gold[split])
        rows, wrong = prediction_rows(source.splits[split], labels, probabilities)
    run.leave(scores, rows, wrong, trainer.log)
    if "confusion_matrix" in (last := scores.get("test", scores.get("validation", {}))):
        run.figure("confusion_matrix.png", "혼동 행렬", plot_confusion_matrix, last)

    # 7. The baselines, scored by the same metric; then `launch` writes card and summary, and pushes
    baselines: dict[str, Any] = {}
    if run.wants_baselines:
        with run.phase("baselines"):
            found = predict_documents(source.splits["train"], source.held_out, len(labels))
            frozen = predict_frozen(model_args, trainer, encoded, source.held_out)
            baselines = score_baselines(lambda s, p: score(p, gold[s]), found, frozen)
    usage = USAGE_OF_SEVERAL if multi_label else USAGE
    run.finish(baselines, "문서 분류", "text-classification", usage, labels)


def to_probabilities(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """Return the softmax over classes, or the sigmoid of each label: (rows, classes)."""
    values = torch.from_numpy(logits).double()
    return (values.sigmoid() if multi_label else values.softmax(dim=1)).numpy()


def prediction_rows(
    dataset: Dataset, labels: list[str], probabilities: np.ndarray
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each row's text, label, prediction and probabilities; and the surest mistakes."""
    names, rows = np.array(labels), []
    for row, p in zip(dataset, probabilities, strict=True):
        gold = row["label"]
        if isinstance(gold, list) or gold is None:
            gold, prediction = gold and names[gold].tolist(), names[p > 0.5].tolist()
        else:
            gold, prediction = None if gold < 0 else labels[gold], labels[p.argmax()]
        shown = {name: round(value, 6) for name, value in zip(labels, p.tolist(), strict=True)}
        row = {"text": row["text"], "label": gold, "prediction": prediction}
        rows.append(row | {"probabilities": shown})
    wrong = [row for row in rows if row["label"] not in (None, row["prediction"])]
    return rows, sorted(wrong, key=lambda row: -max(row["probabilities"].values()))


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, DataArguments, ModelArguments, DocclsArguments, RecipeArguments)
