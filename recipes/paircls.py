"""Sentence pairs: inference (함의, 중립, 모순), paraphrase, or similarity as a number.

On what ships, without arguments (a small model from random weights, under a minute on two cores):
    accelerate launch recipes/paircls.py
The book's setting, KcBERT on KLUE-NLI (also: paircls_korsts.yaml, paircls_question_pair.yaml):
    accelerate launch recipes/paircls.py --config recipes/configs/paircls_klue_nli.yaml
Your own file, with premise and hypothesis or sentence1 and sentence2, and label:
    accelerate launch recipes/paircls.py --model_name_or_path klue/bert-base --train_file pairs.csv
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, EvalPrediction

from nlpbook_data.baselines.paircls import predict_pairs
from nlpbook_data.data.source import Source, load_source
from nlpbook_data.features.paircls import encode
from nlpbook_data.metrics.paircls import PairClassification, SentenceSimilarity
from nlpbook_data.reports.plots import plot_confusion_matrix, plot_scores
from nlpbook_data.training import (
    ClassificationLoss,
    DataArguments,
    ModelArguments,
    RecipeArguments,
    Run,
    SquaredErrorLoss,
    clamp_length,
    encode_splits,
    label_names,
    launch,
    load_config,
    load_model,
    load_tokenizer,
    make_trainer,
    match_token_types,
    parse,
)

USAGE = """from transformers import pipeline

compare = pipeline("text-classification", model="MODEL")
compare({"text": "비가 와서 경기가 취소됐다.", "text_pair": "경기가 열렸다."}, truncation=True)"""
CARD = ("문장 쌍 분류", "text-classification", USAGE)


@dataclass
class PairDataArguments(DataArguments):
    """Where the pairs come from."""

    premise_column_name: str = field(default="premise", metadata={"help": "of inference"})
    hypothesis_column_name: str = field(default="hypothesis", metadata={"help": "of inference"})
    sentence1_column_name: str = field(default="sentence1", metadata={"help": "of other pairs"})
    sentence2_column_name: str = field(default="sentence2", metadata={"help": "of other pairs"})


@dataclass
class PairclsArguments:
    """What only this recipe has."""

    positive_label: str | None = field(
        default=None, metadata={"help": "of two classes, the one whose F1 is scored"}
    )


def main() -> None:
    # 1. Arguments: dataclass defaults < YAML < command line
    types = (PairDataArguments, ModelArguments, PairclsArguments, RecipeArguments)
    data_args, model_args, task_args, args = parse(__file__, *types)
    run = Run.start(__file__, args, data_args, model_args, task_args)
    if run.finished_before():
        return

    # 2. Corpus -> DatasetDict(train, validation, test)
    with run.phase("corpus"), run.once():
        known = None if args.do_train else label_names(model_args)  # none for scores
        scores = None if known is None else not known
        source = load_source(data_args, args, known, task="paircls", scores=scores)
    names = source.label_names
    columns = [name for name in next(iter(source.splits.values())).features if name != "label"]
    run.describe(source, best_by="macro_f1" if names else "pearson")
    positive = source.positive_label(task_args.positive_label)

    # 3. Tokenizer and cached tokenization
    tokenizer = load_tokenizer(model_args)
    config = load_config(
        model_args,
        labels=names or ["score"],
        problem_type="single_label_classification" if names else "regression",
        pad_token_id=tokenizer.pad_token_id,
    )
    max_length = clamp_length(data_args.max_length, config, tokenizer)
    types = match_token_types(tokenizer, config)
    options = {"max_length": max_length, "columns": columns, "token_types": types}
    with run.phase("tokenization"), run.once():
        encoded = encode_splits(source.splits, encode, tokenizer, data_args, **options)

    gold = {s: np.array(encoded[s]["labels"][:]) for s in encoded if source.is_labelled(s)}
    metric = (PairClassification if names else SentenceSimilarity)(keep_in_memory=True)
    words = {"label_names": names, "positive": positive} if names else {}

    def predict(split: str, logits: np.ndarray) -> np.ndarray:  # (rows, classes), or (rows,)
        probabilities = torch.from_numpy(logits).double().softmax(dim=1).numpy()
        return probabilities if names else logits[:, 0]

    def score(split: str, predictions: np.ndarray) -> dict[str, Any]:
        return metric.compute(predictions=predictions, references=gold[split], **words)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        scores = score("validation", predict("validation", prediction.predictions))
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    loss = ClassificationLoss(None, args.label_smoothing_factor) if names else SquaredErrorLoss()

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


def prediction_rows(
    source: Source, split: str, predicted: np.ndarray
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each row's texts, gold label and prediction, and the worst mistakes first."""
    names, rows, faults = source.label_names, [], []
    for row, p in zip(source.splits[split], predicted, strict=True):
        label, shown = row.pop("label"), {}
        if names:
            label = None if label is None or label < 0 else names[label]
            prediction = names[p.argmax()]
            probabilities = {name: round(v, 6) for name, v in zip(names, p.tolist(), strict=True)}
            shown = {"probabilities": probabilities}
            faults.append(p.max() * (label not in (None, prediction)))
        else:
            label = None if label is None or np.isnan(label) else round(label, 6)
            prediction = p.item()
            faults.append(0 if label is None else abs(prediction - label))
        rows.append(row | {"label": label, "prediction": prediction} | shown)
    worst = sorted(np.flatnonzero(faults), key=lambda number: -faults[number])
    return rows, [rows[number] for number in worst]


def illustrate(run: Run, rows: list, wrong: list, scores: dict[str, Any] | None) -> None:
    """Draw the confusion matrix of classes, or predicted against true scores."""
    if scores and "confusion_matrix" in scores:
        names = list(scores["per_class"])
        run.plot(plot_confusion_matrix, "confusion_matrix.png", scores, names, "혼동 행렬")
    elif scores:
        run.plot(plot_scores, "scores.png", rows, "예측과 정답")


def score_baselines(source: Source, score: Any) -> dict[str, Any]:
    """Train the baselines on the rows that the model saw and score them by the same metric."""
    splits = {s: rows for s, rows in source.splits.items() if source.is_labelled(s)}
    columns = [name for name in splits["train"].features if name != "label"]
    pairs = {s: {column: rows[column][:] for column in columns} for s, rows in splits.items()}
    gold, scored = np.array(splits["train"]["label"][:]), {}
    for name, predicted, seconds in predict_pairs(pairs, gold, len(source.label_names)):
        scored[name] = {split: score(split, found) for split, found in predicted.items()}
        scored[name]["seconds"] = round(seconds, 1)
    return scored


if __name__ == "__main__":
    launch(main)
