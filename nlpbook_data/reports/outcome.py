"""The outcome of a run as plain data; card and summary are made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlpbook_data.metrics.names import SHOWN, goodness

CEILING = "ceiling: perfect tokens"
HYBRID, HYBRID_PREFIX = "hybrid: model and BM25", "hybrid_"  # a row's name, and its scores' prefix


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        folder: its folder, as the user named it.
        record: the contents of run.json.
        scores: the contents of metrics.json: ``{"validation": {…}, "test": {…}, "baselines": {…},
            …}``.
        metric: the validation score that chose the weights; None if the last weights are kept.
        name: the name to load the model by: ``user/name`` on the Hub, or the folder's name.
    """

    folder: Path
    record: Mapping[str, Any]
    scores: Mapping[str, Any]
    metric: str | None
    name: str

    @property
    def split(self) -> str:
        """The split of the main scores: test if it was scored, else validation."""
        return "test" if self.scores.get("test") else "validation"

    def rows(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return ``(name, scores)`` of the model, the hybrid, the baselines and the ceiling."""
        scores, split = self.scores, self.split
        rows = []
        if "seeds" in scores:
            count = len(scores["seeds"]["runs"])
            rows.append((f"model, mean of {count} seeds", scores["seeds"][split]))
        elif split in scores:
            rows.append(("model", scores[split]))
        model = rows[0][1] if rows else {}
        hybrid = {
            name.removeprefix(HYBRID_PREFIX): value
            for name, value in model.items()
            if name.startswith(HYBRID_PREFIX)
        }
        if hybrid:
            rows.append((HYBRID, hybrid))
        for name, baseline in scores.get("baselines", {}).items():
            if split in baseline:
                rows.append((name, baseline[split]))
        if split in scores.get("ceiling", {}):
            rows.append((CEILING, scores["ceiling"][split]))
        return rows

    def columns(self) -> list[str]:
        """Return the names of the scores in a table of `rows`, the headline first."""
        rows = self.rows()
        return [name for name in SHOWN if rows and name in rows[0][1]]

    def rivalry(self) -> tuple[float, str, float] | None:
        """Return the model's headline score, the best baseline's name and its score; or None."""
        metric = next(iter(self.columns()), "")
        rows = [
            (name, mean(scores[metric]))
            for name, scores in self.rows()
            if name not in (CEILING, HYBRID)
        ]
        if len(rows) < 2:
            return None
        name, best = max(rows[1:], key=lambda row: goodness(metric, row[1]))
        return rows[0][1], name, best


def mean(score: Any) -> float:
    """Return a score; of one over several seeds the mean."""
    return score["mean"] if isinstance(score, dict) else score
