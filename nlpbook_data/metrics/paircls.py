"""Scores of sentence pairs, as modules of `evaluate`: for classes and for similarity scores."""

import warnings
from typing import Any

import datasets
import evaluate
import numpy as np

from nlpbook_data.metrics.doccls import DocumentClassification
from nlpbook_data.metrics.info import describe


class PairClassification(DocumentClassification):
    """Document classification's scores and, for two classes, the F1 of the positive one.

    Examples:
        >>> metric = PairClassification(keep_in_memory=True)
        >>> scores = metric.compute(
        ...     predictions=[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], references=[0, 0, 1],
        ...     label_names=["같음", "다름"], positive="다름")
        >>> round(scores["f1"], 3)
        0.667
    """

    def _compute(
        self,
        predictions: Any,
        references: Any,
        label_names: list[str] | None = None,
        positive: str | None = None,
    ) -> dict[str, Any]:
        scores = super()._compute(predictions, references, label_names)
        if positive is not None:
            scores["f1"] = scores["per_class"][positive]["f1"]
        return scores


class SentenceSimilarity(evaluate.Metric):
    """Pearson's and Spearman's correlation with gold scores, and the mean squared error.

    Args:
        predictions: scores, (rows,).
        references: gold scores, (rows,).
    Returns:
        pearson, spearman (-1 to 1; 0 if either side is constant or there are fewer than two rows)
        and mean_squared_error.
    Examples:
        >>> metric = SentenceSimilarity(keep_in_memory=True)
        >>> scores = metric.compute(predictions=[0.0, 1.0, 4.0], references=[0.0, 2.0, 4.0])
        >>> round(scores["pearson"], 3), scores["spearman"], round(scores["mean_squared_error"], 3)
        (0.961, 1.0, 0.333)
    """

    def _info(self) -> evaluate.MetricInfo:
        return describe(
            self, predictions=datasets.Value("float64"), references=datasets.Value("float64")
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        from scipy.stats import pearsonr, spearmanr

        predicted, gold = np.asarray(predictions), np.asarray(references)
        scores = {}
        for name, correlate in (("pearson", pearsonr), ("spearman", spearmanr)):
            value = np.nan
            if len(gold) > 1:
                with warnings.catch_warnings(action="ignore"):  # about constant input
                    value = correlate(predicted, gold).statistic
            scores[name] = 0.0 if np.isnan(value) else float(value)
        return scores | {"mean_squared_error": float(np.mean((predicted - gold) ** 2))}
