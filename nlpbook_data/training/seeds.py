"""Runs that differ only in their seed: keep the best one's files, compute mean and spread."""

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlpbook_data.metrics.names import goodness
from nlpbook_data.training.run import Run


def combine(whole: Run, runs: Sequence[Run]) -> None:
    """Copy the files of the best of `runs` into the folder of `whole`, and complete its scores.

    The best run has the best validation score, by the metric that chose its checkpoint. The scores
    get the key ``seeds``: ``{"saved": seed, "runs": {seed: {split: {name: value}}}, split: {name:
    {"mean", "std"}}}``, where std divides by n - 1.
    """
    metric = runs[0].record["chosen_by"]
    best = max(runs, key=lambda run: goodness(metric, run.scores.get("validation", {}).get(metric)))
    for path in best.folder.path.iterdir():
        if path.is_file() and path.name != "run.json" and not path.name.startswith("."):
            shutil.copy2(path, whole.folder.path / path.name)
        elif path.name[0].isdigit():  # a module of a SentenceTransformer
            shutil.copytree(path, whole.folder.path / path.name, dirs_exist_ok=True)
    baselines = next((run.scores["baselines"] for run in runs if "baselines" in run.scores), None)
    whole.scores = {**best.scores, "seeds": _spread(runs, best)}
    if baselines:
        whole.scores["baselines"] = baselines
    whole.record["seconds"] |= {
        f"seed-{run.args.seed}": run.record["seconds"].get("training") for run in runs
    }
    whole.record |= {k: v for k, v in best.record.items() if k not in whole.record}
    whole.folder.write("metrics.json", whole.scores)


def _spread(runs: Sequence[Run], best: Run) -> dict[str, Any]:
    summary: dict[str, Any] = {"saved": best.args.seed, "runs": {}}
    for run in runs:
        summary["runs"][str(run.args.seed)] = {
            split: {k: v for k, v in run.scores[split].items() if isinstance(v, float)}
            for split in ("validation", "test")
            if split in run.scores
        }
    for split in ("validation", "test"):
        names = next(iter(summary["runs"].values())).get(split, {})
        values = {name: [r[split][name] for r in summary["runs"].values()] for name in names}
        summary[split] = {
            name: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1))}
            for name, v in values.items()
        }
    return summary
