"""Scores of document classification, as a module of `evaluate`."""

from typing import Any

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """\
Accuracy, macro-F1, precision/recall/F1 of each class and the expected calibration error, from
probabilities. With the configuration "multilabel" a label holds where its probability is over
0.5; accuracy is then that of whole rows, and micro-F1 stands beside macro-F1.
"""

_INPUTS = """
Args:
    predictions: probabilities, (rows, classes).
    references: class ids, (rows,); for "multilabel" 0/1 vectors, (rows, classes).
    label_names: the classes' names, in the order of their ids.
Returns:
    accuracy, macro_f1, expected_calibration_error (fractions), per_class
    {name: precision, recall, f1, support} and confusion_matrix (gold by predicted counts;
    "multilabel": micro_f1 instead). Macro-F1 is over all classes, absent ones count 0
    (scikit-learn's ``zero_division=0``).
Examples:
    >>> metric = DocumentClassification(keep_in_memory=True)
    >>> scores = metric.compute(
    ...     predictions=[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], references=[0, 0, 1])
    >>> round(scores["accuracy"], 3), round(scores["macro_f1"], 3)
    (0.667, 0.667)
"""

BINS = 15


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _INPUTS)
class DocumentClassification(evaluate.Metric):
    """See `_DESCRIPTION` and `_INPUTS`."""

    def _info(self) -> evaluate.MetricInfo:
        reference = datasets.Value("int64")
        if self.config_name == "multilabel":
            reference = datasets.List(datasets.Value("int64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features(
                predictions=datasets.List(datasets.Value("float64")), references=reference
            ),
        )

    def _compute(
        self, predictions: Any, references: Any, label_names: list[str] | None = None
    ) -> dict[str, Any]:
        probabilities = np.asarray(predictions)
        gold = np.asarray(references)
        names = label_names or [str(i) for i in range(probabilities.shape[1])]
        if self.config_name == "multilabel":
            return _score_multilabel(probabilities, gold, names)
        predicted = probabilities.argmax(axis=1)
        size = len(names)
        confusion = np.bincount(gold * size + predicted, minlength=size * size).reshape(size, size)
        hits = confusion.diagonal()
        per_class = _per_class(hits, confusion.sum(axis=0), confusion.sum(axis=1), names)
        return {
            "accuracy": float(hits.sum() / len(gold)),
            "macro_f1": float(np.mean([score["f1"] for score in per_class.values()])),
            "expected_calibration_error": calibration_error(
                probabilities.max(axis=1), predicted == gold
            ),
            "per_class": per_class,
            "confusion_matrix": confusion.tolist(),
        }


def _score_multilabel(
    probabilities: np.ndarray, gold: np.ndarray, names: list[str]
) -> dict[str, Any]:
    predicted = probabilities > 0.5
    truth = gold.astype(bool)
    hits = (predicted & truth).sum(axis=0)
    per_class = _per_class(hits, predicted.sum(axis=0), truth.sum(axis=0), names)
    positives = predicted.sum() + truth.sum()
    certainty = np.where(predicted, probabilities, 1 - probabilities)
    return {
        "accuracy": float((predicted == truth).all(axis=1).mean()),
        "macro_f1": float(np.mean([score["f1"] for score in per_class.values()])),
        "micro_f1": float(2 * hits.sum() / positives) if positives else 0.0,
        "expected_calibration_error": calibration_error(
            certainty.ravel(), (predicted == truth).ravel()
        ),
        "per_class": per_class,
    }


def _per_class(
    hits: np.ndarray, predicted: np.ndarray, gold: np.ndarray, names: list[str]
) -> dict[str, dict[str, float]]:
    return {
        name: {
            "precision": float(hits[i] / predicted[i]) if predicted[i] else 0.0,
            "recall": float(hits[i] / gold[i]) if gold[i] else 0.0,
            "f1": float(2 * hits[i] / (predicted[i] + gold[i])) if predicted[i] + gold[i] else 0.0,
            "support": int(gold[i]),
        }
        for i, name in enumerate(names)
    }


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error over 15 bins of equal width (Guo et al., 2017).

    Args:
        confidence: the probability of the predicted class, (rows,).
        correct: whether it was right, (rows,).
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
