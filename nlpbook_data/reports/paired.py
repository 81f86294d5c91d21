"""Does A predict better than B on the same rows? Paired tests, by scipy."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nlpbook_data.errors import InputError
from nlpbook_data.metrics.qa import SCORES as OF_ANSWERS

RESAMPLES = 10_000
CELLS = 10_000_000  # numbers that scipy draws at a time
# The model's keys in a row of predictions.jsonl; all others come from the corpus.
OUTPUTS = {"prediction", "probabilities", "score", "start", "end", "loss", "tokens"}
OUTPUTS |= {"bits_per_character"}
RIGHT_OR_WRONG = ("accuracy", "exact_match", "klue_exact_match")
CORRELATIONS = ("pearson", "spearman")
Rows = Sequence[Mapping[str, Any]]


def given(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the corpus' part of a row of predictions.jsonl."""
    return {name: value for name, value in row.items() if name not in OUTPUTS}


def measure(metric: str, rows: Rows, negative: str | None = None) -> np.ndarray:
    """Return the contribution of each row to a score: (parts, 2, rows).

    The score of a part is the sum of its first numbers divided by the sum of its second ones. The
    total is the mean over parts: the classes for macro-F1, else one part. For correlations, the two
    numbers are the gold and the predicted score.

    Args:
        rows: rows of predictions.jsonl with gold labels.
        negative: a label that micro-F1 leaves out.

    Raises:
        InputError: `metric` is not tested here, or not a score of such rows.
    """
    try:
        if metric == "micro_f1":
            return _of_sets(rows, {negative})
        return _MEASURES[metric](metric, rows)
    except KeyError as error:
        raise InputError(
            f"{metric} cannot be tested row by row here. Pass --metric with one of the task's own "
            f"among {', '.join(['micro_f1', *_MEASURES])}."
        ) from error


def _rates(metric: str, rows: Rows) -> np.ndarray:
    if metric in OF_ANSWERS:
        right = [OF_ANSWERS[metric](row["prediction"], row["answers"]) for row in rows]
    elif metric == "accuracy":
        right = [_as_set(row["label"]) == _as_set(row["prediction"]) for row in rows]
    else:
        right = [_of_ranking(metric, row) for row in rows if row["passages"]]
    return np.array([[right, np.ones(len(right))]], dtype=float)


def _of_ranking(metric: str, row: Mapping[str, Any]) -> float:
    hits = [hit["id"] in row["passages"] for hit in row["prediction"]]
    if metric == "mrr_at_10":
        return 1 / (1 + hits.index(True)) if any(hits) else 0.0
    return sum(hits[: int(metric.rpartition("_")[2])]) / len(row["passages"])


def _of_sets(rows: Rows, left_out: set[str | None]) -> np.ndarray:
    column = "entities" if "entities" in rows[0] else "label"
    pairs = [[_as_set(row[name]) - left_out for name in (column, "prediction")] for row in rows]
    counts = [(2 * len(gold & found), len(gold) + len(found)) for gold, found in pairs]
    return np.array(counts, dtype=float).T[None]


def _of_classes(metric: str, rows: Rows) -> np.ndarray:
    pairs = [(_as_set(row["label"]), _as_set(row["prediction"])) for row in rows]
    return np.array(
        [
            [
                [2 * (c in gold and c in found) for gold, found in pairs],
                [(c in gold) + (c in found) for gold, found in pairs],
            ]
            for c in rows[0]["probabilities"]
        ],
        dtype=float,
    )


def _of_texts(metric: str, rows: Rows) -> np.ndarray:
    bits = np.array([row["loss"] / math.log(2) for row in rows])
    each = np.array([row["bits_per_character"] or np.inf for row in rows])
    return np.array([[bits, bits / each]])


def _as_set(value: Any) -> set[Any]:
    """Return a label, several labels, or entities as a set."""
    values = value if isinstance(value, list) else [value]
    return {(v["start"], v["end"], v["label"]) if isinstance(v, dict) else v for v in values}


def _of_numbers(metric: str, rows: Rows) -> np.ndarray:
    return np.array([[[float(row[name]) for row in rows] for name in ("label", "prediction")]])


_MEASURES: dict[str, Callable[[str, Rows], np.ndarray]] = {
    **dict.fromkeys(("accuracy", *OF_ANSWERS), _rates),
    "macro_f1": _of_classes,
    **dict.fromkeys(CORRELATIONS, _of_numbers),
    "bits_per_character": _of_texts,
    **dict.fromkeys(("mrr_at_10", "recall_at_1", "recall_at_5", "recall_at_10"), _rates),
}


def total(metric: str, values: np.ndarray) -> float:
    """Return the score of all rows, the mean over seeds; `values` are (seeds, parts, 2, rows)."""
    if metric in CORRELATIONS:
        from scipy.stats import pearsonr, spearmanr

        correlate = pearsonr if metric == "pearson" else spearmanr
        return float(np.mean([correlate(*seed[0]).statistic for seed in values]))
    first, second = np.moveaxis(values.sum(axis=-1), -1, 0)
    return float(np.divide(first, second, out=np.zeros_like(first), where=second > 0).mean())


def compare_rows(metric: str, a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Test the difference of two scores, each (seeds, parts, 2, rows) as from `measure`.

    With one seed and rows that are right or wrong, it is McNemar's exact test. Otherwise it is a
    permutation test: A's and B's results are exchanged row by row at random, all seeds of a row
    together. For a mean over rows, this changes the sign of their difference. The interval comes
    from a paired bootstrap.

    Returns:
        a, b, difference, low and high (95%), p (two-sided) and test. With one seed and rows that
        are right or wrong also only_a and only_b: the number of rows on which only A or only B is
        right.
    """
    from scipy.stats import binomtest, bootstrap, permutation_test

    found: dict[str, Any] = {"a": total(metric, a), "b": total(metric, b)}
    found["difference"] = found["a"] - found["b"]
    rows = a.shape[-1]
    size = {"n_resamples": RESAMPLES, "rng": 0}
    batch = max(1, CELLS // rows)
    counts = metric not in CORRELATIONS and all((part[:, :, 1] == 1).all() for part in (a, b))
    if counts:  # a mean over rows
        difference = (a[:, 0, 0].mean(axis=0) - b[:, 0, 0].mean(axis=0),)
        interval = bootstrap(difference, np.mean, method="percentile", batch=batch, **size)
        if metric in RIGHT_OR_WRONG and len(a) == len(b) == 1:
            ours, theirs = (int((difference[0] == sign).sum()) for sign in (1, -1))
            p = binomtest(ours, ours + theirs).pvalue if ours + theirs else 1.0
            found |= {"only_a": ours, "only_b": theirs, "p": float(p), "test": "McNemar, exact"}
        else:
            tested = permutation_test(
                difference, np.mean, permutation_type="samples", batch=batch, **size
            )
            found |= {"p": float(tested.pvalue), "test": "sign flips"}
    else:
        if len(a) != len(b):
            raise InputError(
                f"{metric} is compared seed by seed, and there are {len(a)} and {len(b)} seeds. "
                "Give both runs as many --seeds."
            )
        both, numbers = np.concatenate([a, b], axis=-1), np.arange(rows)

        def apart(first: np.ndarray, second: np.ndarray) -> float:
            return total(metric, both[..., first]) - total(metric, both[..., second])

        interval = bootstrap(
            (numbers,),
            lambda chosen: apart(chosen, chosen + rows),
            **(size | {"n_resamples": RESAMPLES // 10}),
            method="percentile",
            vectorized=False,
        )
        exchanged = (numbers, numbers + rows)
        tested = permutation_test(
            exchanged, apart, permutation_type="samples", vectorized=False, **size
        )
        found |= {"p": float(tested.pvalue), "test": "exchanged rows"}
    low, high = interval.confidence_interval
    return found | {"low": float(low), "high": float(high)}
