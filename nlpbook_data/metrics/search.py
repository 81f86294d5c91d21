"""Scores of document search, as a module of `evaluate`."""

import datasets
import evaluate
import numpy as np

from nlpbook_data.metrics.info import describe

DEPTH = 100
CUTS = (1, 5, 10, DEPTH)


class DocumentSearch(evaluate.Metric):
    """How high the true passages of a query are in its ranking.

    MRR is the reciprocal rank of the first true passage. nDCG has a gain of 1 for each true passage
    (Järvelin & Kekäläinen 2002, discount log2(rank + 1)), divided by the value of the best possible
    ranking. Recall is the share of the query's true passages among the first k. Each score is the
    mean over queries.

    A ranking must already be in its final order: ties are resolved before. Passages that are not in
    it count as not found. A query without a true passage is left out of every mean, and counted. A
    passage that is twice in a ranking is an error.

    Args:
        predictions: passage ids for each query, best first; the first 100 count, and fewer are
            allowed.
        references: the ids of each query's true passages, in any order; duplicates count once; []
            for none.
    Returns:
        mrr_at_10, ndcg_at_10, recall_at_1, recall_at_5, recall_at_10, recall_at_100: fractions;
        queries: the number of queries in the means; queries_without_passage: the number left out.
    Raises:
        ValueError: a passage is twice in a ranking, or no query has a true passage.
    Examples:
        >>> metric = DocumentSearch(keep_in_memory=True)
        >>> scores = metric.compute(predictions=[[7, 3, 5], [1], [2]], references=[[3, 5], [1], []])
        >>> scores["mrr_at_10"], scores["recall_at_1"], scores["recall_at_5"]
        (0.75, 0.5, 1.0)
        >>> round(scores["ndcg_at_10"], 3), scores["queries"], scores["queries_without_passage"]
        (0.847, 2, 1)
    """

    def _info(self) -> evaluate.MetricInfo:
        ids = datasets.List(datasets.Value("int64"))
        return describe(self, predictions=ids, references=ids)

    def _compute(
        self, predictions: list[list[int]], references: list[list[int]]
    ) -> dict[str, float | int]:
        gold = [set(true) for true in references]
        hits = np.zeros((len(gold), DEPTH), dtype=bool)
        for query, (ranking, true) in enumerate(zip(predictions, gold, strict=True)):
            if len(set(ranking)) < len(ranking):
                raise ValueError(f"The ranking of query {query} holds a passage twice.")
            first = ranking[:DEPTH]
            hits[query, : len(first)] = [passage in true for passage in first]
        counts = np.array([len(true) for true in gold])
        has_passage = counts > 0
        if not has_passage.any():
            raise ValueError("No query has a true passage: there is nothing to score.")
        hits, counts = hits[has_passage], counts[has_passage]

        ranks = np.arange(1, DEPTH + 1)
        reciprocal = (hits[:, :10] / ranks[:10]).max(axis=1)
        discounts = 1 / np.log2(ranks[:10] + 1)
        best = np.cumsum(discounts)[np.minimum(counts, 10) - 1]
        scores = {"mrr_at_10": reciprocal, "ndcg_at_10": hits[:, :10] @ discounts / best}
        scores |= {f"recall_at_{k}": hits[:, :k].sum(axis=1) / counts for k in CUTS}
        return {name: float(values.mean()) for name, values in scores.items()} | {
            "queries": len(counts),
            "queries_without_passage": int((~has_passage).sum()),
        }


def recall_curve(rankings: list[list[int]], references: list[list[int]]) -> dict[int, float]:
    """Return ``{k: recall at k}`` for k from 1 to 100, over queries with a true passage."""
    shares = [
        np.cumsum([i in true for i in ranking[:DEPTH]] + [0] * (DEPTH - len(ranking))) / len(true)
        for ranking, true in zip(rankings, map(set, references), strict=True)
        if true
    ]
    means = np.mean(shares, axis=0)
    return {k: float(means[k - 1]) for k in (1, 2, 3, 5, 10, 20, 30, 50, DEPTH)}
