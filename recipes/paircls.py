r"""Sentence pairs: inference (함의, 중립, 모순), paraphrase, or similarity as a number.

On what ships, without arguments (a small model, under a minute on two cores):
    accelerate launch recipes/paircls.py
The book's setting, KcBERT on KLUE-NLI (also: paircls_korsts.yaml, paircls_question_pair.yaml):
    accelerate launch recipes/paircls.py --config recipes/configs/paircls_klue_nli.yaml
Your own file, with premise and hypothesis or sentence1 and sentence2, and label:
    accelerate launch recipes/paircls.py --model_name_or_path klue/bert-base --train_file pairs.csv
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
from nlpbook_data.baselines.paircls import predict_pairs
from nlpbook_data.data.source import load_source
from nlpbook_data.features.paircls import encode
from nlpbook_data.metrics.paircls import PairClassification, SentenceSimilarity
from nlpbook_data.reports.plots import plot_confusion_matrix, plot_scores
from nlpbook_data.training import (
    ClassificationLoss,
    DataArguments,
    ModelArguments,
    RecipeArguments,
    RecipeTrainer,
    Run,
    SquaredErrorLoss,
    label_ids,
    label_names,
    launch,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    match_token_types,
    option,
    padding,
    predict_frozen,
    versioned,
)

USAGE = """from transformers import pipeline
compare = pipeline("text-classification", model="MODEL")
compare({"text": "비가 와서 경기가 취소됐다.", "text_pair": "경기가 열렸다."}, truncation=True)"""


@dataclass
class PairDataArguments(DataArguments):
    """Where the pairs come from."""

    premise_column_name: str = option("premise", "of inference")
    hypothesis_column_name: str = option("hypothesis", "of inference")
    sentence1_column_name: str = option("sentence1", "of other pairs")
    sentence2_column_name: str = option("sentence2", "of other pairs")


@dataclass
class PairclsArguments:
    """What only this recipe has."""

    positive_label: str | None = option(None, "of two, whose F1 counts")
    scores: bool | None = option(None, "labels are numbers, or classes")


def main(
    data_args: PairDataArguments,
    model_args: ModelArguments,
    task_args: PairclsArguments,
    args: TrainingArguments,
    run: Run,
) -> None:
    # 1. Corpus: pairs of texts, and label: a class, or a score (then there are no label names)
    with run.preparation("corpus"):
        known = label_names(model_args, args.do_train)  # none of scores
        scores = task_args.scores if args.do_train else not known
        source = load_source(data_args, args, known, task="paircls", scores=scores)
    labels = source.label_names
    positive = source.positive_label(task_args.positive_label)
    run.describe(source)

    # 2. Tokenizer and model; after this nothing changes the TrainingArguments
    tokenizer = load_tokenizer(model_args, pairs=True)
    config = load_config(
        model_args,
        labels=labels or ["score"],
        problem_type="single_label_classification" if labels else "regression",
        pad_token_id=tokenizer.pad_token_id,
    )
    max_length = limit_length(data_args.max_length, config, tokenizer)
    model = load_model(AutoModelForSequenceClassification, model_args, config, args.do_train)
    args = run.settle(args, model, best_by="macro_f1" if labels else "pearson")

    # 3. Tokenization of both texts together: a cached map, see doccls.py; the collator pads
    columns = next(iter(source.splits.values())).column_names
    with run.preparation("tokenization"):
        encoded = source.splits.map(
            versioned(encode),
            batched=True,
            remove_columns=columns,
            fn_kwargs={
                "tokenizer": tokenizer,
                "max_length": max_length,
                "columns": [name for name in columns if name != "label"],
                "token_types": match_token_types(tokenizer, config),
            },
        )

    # 4. Metric, a module of `evaluate`, and loss: of classes, or of scores
    metric = (PairClassification if labels else SentenceSimilarity)(keep_in_memory=True)
    loss = ClassificationLoss(None, args.label_smoothing_factor) if labels else SquaredErrorLoss()
    words = {"label_names": labels, "positive": positive} if labels else {}
    gold = {split: label_ids(rows) for split, rows in encoded.items()}

    def score(predictions: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        return metric.compute(predictions=predictions, references=references, **words)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, Any]:
        return score(to_predictions(prediction.predictions), prediction.label_ids)

    # 5. Trainer: transformers', with rows of like length in a batch and exact sums over devices
    trainer = RecipeTrainer(
        model=model,
        args=args,
        train_dataset=encoded.get("train"),
        eval_dataset=encoded.get("validation"),
        data_collator=DataCollatorWithPadding(tokenizer, **padding(args, max_length)),
        processing_class=tokenizer,
        compute_loss_func=loss,
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
            predictions = to_predictions(trainer.predict(encoded[split]).predictions)
        if source.is_labelled(split):
            scores[split] = score(predictions, gold[split])
        rows, wrong = prediction_rows(source.splits[split], labels, predictions)
    run.leave(scores, rows, wrong, trainer.log)
    if "confusion_matrix" in (last := scores.get(split, {})):
        run.figure("confusion_matrix.png", "혼동 행렬", plot_confusion_matrix, last)
    elif last:
        run.figure("scores.png", "예측과 정답", plot_scores, rows)

    # 7. The baselines, scored by the same metric; then `launch` writes card and summary, and pushes
    baselines: dict[str, Any] = {}
    if run.wants_baselines:
        with run.phase("baselines"):
            found = predict_pairs(source.splits["train"], source.held_out, len(labels))
            frozen = predict_frozen(model_args, trainer, encoded, source.held_out)
            baselines = score_baselines(lambda s, p: score(p, gold[s]), found, frozen)
    run.finish(baselines, "문장 쌍 분류", "text-classification", USAGE, labels)


def to_predictions(logits: np.ndarray) -> np.ndarray:
    """Softmax over classes, (rows, classes), or the one score of each row, (rows,)."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    return torch.from_numpy(logits).double().softmax(dim=1).numpy()


def prediction_rows(
    dataset: Dataset, names: list[str], predicted: np.ndarray
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each row's texts, gold label and prediction, and the worst mistakes first."""
    rows, faults = [], []  # how bad each mistake is
    for row, p in zip(dataset, predicted, strict=True):
        if names:
            gold = names[row["label"]] if row["label"] >= 0 else None
            shown = {"label": gold, "prediction": names[p.argmax()]}
            shown["probabilities"] = dict(zip(names, p.round(6).tolist(), strict=True))
            faults.append(p.max() * (gold not in (None, shown["prediction"])))
        else:
            gold = None if np.isnan(row["label"]) else round(row["label"], 6)
            shown = {"label": gold, "prediction": p.item()}
            faults.append(0 if gold is None else abs(p.item() - gold))
        rows.append(row | shown)
    worst = sorted(np.flatnonzero(faults), key=lambda number: -faults[number])
    return rows, [rows[number] for number in worst]


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, PairDataArguments, ModelArguments, PairclsArguments, RecipeArguments)
