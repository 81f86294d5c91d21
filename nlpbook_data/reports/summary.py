"""The closing summary on the terminal."""

import math
from pathlib import Path
from typing import Any

# Scores that are worth a line, in this order, as far as a task has them; the first is the headline.
SHOWN = {
    "accuracy": "accuracy",
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "klue_char_macro_f1": "KLUE char F1",
    "f1": "F1",
    "exact_match": "exact match",
    "klue_exact_match": "KLUE EM",
    "rouge_w": "ROUGE-W",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "bits_per_character": "bits/character",
    "perplexity": "perplexity",
    "mrr_at_10": "MRR@10",
    "ndcg_at_10": "nDCG@10",
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
    "recall_at_100": "recall@100",
}
# Of all other scores more is better.
LOWER_IS_BETTER = {"loss", "perplexity", "bits_per_character", "expected_calibration_error"}


CEILING = "ceiling: perfect tokens"
HYBRID, HYBRID_PREFIX = "hybrid: model and BM25", "hybrid_"  # a row, and what its scores begin with


def summary_lines(run: Any) -> list[str]:
    """Return the lines: score beside baselines, what they mean, time, places, next command."""
    record, scores, folder = run.record, run.scores, run.folder
    data = record.get("data", {})
    split = "test" if scores.get("test") else "validation"
    lines = [f"── {run.recipe}: {data.get('name', '')} ".ljust(72, "─")]
    for name, origin in data.get("splits", {}).items():
        if name in data["rows"]:
            lines.append(f"  {name:<11}{data['rows'][name]:>9,} rows   {origin}")
    rows = score_rows(scores, split)
    if rows:
        names = [name for name in SHOWN if name in rows[0][1]]
        lines += ["", f"  {split:<26}" + "".join(f"{SHOWN[name]:>20}" for name in names)]
        for label, values in rows:
            lines.append(
                f"  {label:<26}" + "".join(f"{format_score(values, n):>20}" for n in names)
            )
        lines += ["", *(f"  {line}" for line in verdict(scores, split))]
    seconds = record.get("seconds", {})
    phases = ", ".join(f"{name} {_duration(s)}" for name, s in seconds.items() if s)
    lines += ["", f"  time       {phases}"]
    if "train_examples_per_second" in record:
        lines.append(
            f"  training   {record['train_examples_per_second']:,.0f} examples/s, "
            f"{record['real_token_share']:.0%} real tokens, {record['precision']}, "
            f"{record['device']}, peak memory {record['peak_memory_mib']['host']:,} MiB"
        )
    lines += [f"  folder     {folder}", *_next_lines(run, folder), "─" * 72]
    return lines


def score_rows(scores: dict[str, Any], split: str) -> list[tuple[str, dict[str, Any]]]:
    """Return ``(name, scores)`` of the model, what it is part of, baselines and the ceiling."""
    rows = []
    if "seeds" in scores:
        count = len(scores["seeds"]["runs"])
        rows.append((f"model, mean of {count} seeds", scores["seeds"][split]))
    elif split in scores:
        rows.append(("model", scores[split]))
    hybrid = {
        name.removeprefix(HYBRID_PREFIX): value
        for name, value in (rows[0][1] if rows else {}).items()
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


def goodness(metric: str, value: float | None) -> float:
    """Return a number that is the greater the better the score `value` is; least for None."""
    if value is None:
        return -math.inf
    return -value if metric in LOWER_IS_BETTER else value


def verdict(scores: dict[str, Any], split: str) -> list[str]:
    """Say in words how the model stands to the best baseline, by the first of `SHOWN`."""
    rows = [row for row in score_rows(scores, split) if row[0] not in (CEILING, HYBRID)]
    if len(rows) < 2:
        return []
    metric = next(name for name in SHOWN if name in rows[0][1])
    model = _value(rows[0][1], metric)
    baselines = [(name, _value(values, metric)) for name, values in rows[1:]]
    name, best = max(baselines, key=lambda row: goodness(metric, row[1]))
    seconds = scores["baselines"][name].get("seconds")
    cost = f" in {_duration(seconds)} on one core" if seconds else ""
    apart = abs(model - best)
    difference = f"{100 * apart:.1f} points {'above' if model > best else 'below'}"
    if metric in LOWER_IS_BETTER:
        difference = f"{apart:.3f} {SHOWN[metric]} {'worse' if model > best else 'better'} than"
    if goodness(metric, model) > goodness(metric, best):
        return [f"The model is {difference} {name}{cost}."]
    return [
        f"The model is {difference} {name}{cost}: it is not worth its",
        "training time as it stands. Start from pretrained weights, or use more data.",
    ]


def _next_lines(run: Any, folder: Path) -> list[str]:
    if not list(folder.glob("*.safetensors")):
        return []
    return [
        f"  next       accelerate launch recipes/{run.recipe}.py \\",
        "                 --do_train false --do_eval false \\",
        f"                 --model_name_or_path {_quoted(folder)} --test_file FILE \\",
        "                 --output_dir predictions",
    ]


def _quoted(path: Path) -> str:
    return f"'{path}'" if " " in str(path) else str(path)


def _value(scores: dict[str, Any], name: str) -> float:
    value = scores[name]
    return value["mean"] if isinstance(value, dict) else value


def format_score(scores: dict[str, Any], name: str) -> str:
    """Return a score, with its spread over seeds, or nothing where there is none."""
    value = scores.get(name)
    if isinstance(value, dict):
        return f"{value['mean']:.4f} ± {value['std']:.4f}"
    return "" if value is None else f"{value:.4f}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
