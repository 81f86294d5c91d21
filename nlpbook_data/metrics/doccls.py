"""Scores of document classification, as a module of `evaluate`."""

from typing import Any

import datasets
import evaluate
import numpy as np

from nlpbook_data.metrics.info import describe

BINS = 15


class DocumentClassification(evaluate.Metric):
    """Accuracy, macro-F1, each class' precision, recall and F1, and calibration error.

    All are computed from probabilities. With the configuration "multilabel", labels with a
    probability over 0.5 are predicted, accuracy counts rows whose labels are all right, and there
    is a micro-F1 too.

    Args:
        predictions: probabilities, (rows, classes).
        references: class ids, (rows,); for "multilabel" 0/1 vectors, (rows, classes).
        label_names: the classes' names, in the order of their ids.
        negative: the class that means "none", such as KLUE-RE's 관계 없음.
    Returns:
        accuracy, macro_f1, expected_calibration_error (fractions), per_class {name: precision,
        recall, f1, support} and confusion_matrix (gold by predicted counts; "multilabel": micro_f1
        instead); with `negative` KLUE-RE's two scores: micro_f1, the micro-averaged F1 of the other
        classes, and auprc, the mean area under the precision-recall curve over all classes with
        gold rows, `negative` included. Macro-F1 is over all classes; absent ones count 0
        (scikit-learn's ``zero_division=0``).
    Examples:
        >>> metric = DocumentClassification(keep_in_memory=True)
        >>> scores = metric.compute(
        ...     predictions=[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], references=[0, 0, 1])
        >>> round(scores["accuracy"], 3), round(scores["macro_f1"], 3)
        (0.667, 0.667)
    """

    def _info(self) -> evaluate.MetricInfo:
        reference = datasets.Value("int64")
        if self.config_name == "multilabel":
            reference = datasets.List(datasets.Value("int64"))
        return describe(
            self, predictions=datasets.List(datasets.Value("float64")), references=reference
        )

    def _compute(
        self,
        predictions: Any,
        references: Any,
        label_names: list[str] | None = None,
        negative: str | None = None,
    ) -> dict[str, Any]:
        probabilities, gold = np.asarray(predictions), np.asarray(references)
        classes = range(probabilities.shape[1])
        multilabel = self.config_name == "multilabel"
        if multilabel:
            predicted, truth = probabilities > 0.5, gold.astype(bool)
            certainty = np.where(predicted, probabilities, 1 - probabilities)
            right = predicted == truth
        else:
            chosen = probabilities.argmax(axis=1)
            predicted, truth = (ids[:, None] == np.array(classes) for ids in (chosen, gold))
            certainty, right = probabilities.max(axis=1), chosen == gold
        counts = [part.sum(axis=0).tolist() for part in (predicted & truth, predicted, truth)]
        names = label_names or [str(number) for number in classes]
        per_class = {n: score_counts(*c) for n, *c in zip(names, *counts, strict=True)}
        scores = {
            "accuracy": float((predicted == truth).all(axis=1).mean()),
            "macro_f1": float(np.mean([score["f1"] for score in per_class.values()])),
            "expected_calibration_error": calibration_error(certainty.ravel(), right.ravel()),
            "per_class": per_class,
        }
        if multilabel:
            return scores | {"micro_f1": score_counts(*map(sum, counts))["f1"]}
        confusion = np.zeros((len(names), len(names)), dtype=int)
        np.add.at(confusion, (gold, chosen), 1)
        if negative is not None:
            others = [np.delete(part, names.index(negative)).sum().item() for part in counts]
            scores["micro_f1"] = score_counts(*others)["f1"]
            scores["auprc"] = area_under_curves(truth, probabilities)
        return scores | {"confusion_matrix": confusion.tolist()}


def score_counts(hits: int, predicted: int, gold: int) -> dict[str, float]:
    """Return precision, recall and F1 from counts; a division by 0 is 0, support is `gold`."""
    return {
        "precision": hits / predicted if predicted else 0.0,
        "recall": hits / gold if gold else 0.0,
        "f1": 2 * hits / (predicted + gold) if predicted + gold else 0.0,
        "support": gold,
    }


def area_under_curves(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Return KLUE-RE's AUPRC from 0 to 1: areas by the trapezoidal rule, as in KLUE's code.

    Args:
        truth: (rows, classes), whether the row is of the class.
        probabilities: (rows, classes).
    """
    from sklearn.metrics import auc, precision_recall_curve

    areas = []
    for gold, scores in zip(truth.T, probabilities.T, strict=True):
        if gold.any():
            precision, recall, _ = precision_recall_curve(gold, scores)
            areas.append(auc(recall, precision))
    return float(np.mean(areas))


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error over 15 bins of equal width (Guo et al., 2017).

    Args:
        confidence: the probability of the predicted class, (rows,).
        correct: whether it was right, (rows,).
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
