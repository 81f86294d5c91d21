"""The closing summary on the terminal."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from nlpbook_data.metrics.names import LOWER_IS_BETTER, SHOWN, format_score, goodness
from nlpbook_data.reports.outcome import CEILING, HYBRID, Outcome
from nlpbook_data.reports.push import model_files

WIDTH = 72  # of the rules


def print_summary(outcome: Outcome) -> None:
    """Print score beside baselines, what they mean, time, places and the next command."""
    record, data = outcome.record, outcome.record.get("data", {})
    # Wide, and the terminal wraps: no score is cut, and paths and commands can be copied.
    console = Console(width=1000, soft_wrap=True, markup=False, highlight=False, emoji=False)
    console.print()
    title = f"{outcome.recipe}: {data.get('name', '')}"
    console.print(Rule(title, align="left", style="none"), width=WIDTH)
    splits = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left"):
        splits.add_column(justify=justify)
    for split, origin in data.get("splits", {}).items():
        if split in data["rows"]:
            splits.add_row(split, f"{data['rows'][split]:,} rows", origin)
    console.print(splits)

    names = outcome.columns()
    if names:
        scores = Table(outcome.split, box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for name in names:
            scores.add_column(SHOWN[name], justify="right")
        for label, values in outcome.rows():
            scores.add_row(label, *(format_score(values, name) for name in names))
        console.print("", scores, sep="\n")
        console.print("", verdict(outcome), sep="\n")

    times = [f"{name} {_duration(s)}" for name, s in record.get("seconds", {}).items() if s]
    facts = {"time": ", ".join(times)}
    if "train_examples_per_second" in record:
        facts["training"] = (
            f"{record['train_examples_per_second']:,.0f} examples/s, "
            f"{record['real_token_share']:.0%} real tokens, {record['precision']}, "
            f"{record['device']}, peak memory {record['peak_memory_mib']['host']:,} MiB"
        )
    facts |= {"folder": str(outcome.folder), "next": next_command(outcome)}
    console.print()
    for name, fact in facts.items():
        if fact:
            console.print(f"{name:<10}{fact}")
    console.print(Rule(style="none"), width=WIDTH)


def verdict(outcome: Outcome) -> str:
    """Say in words how the model stands to the best baseline, by the headline score."""
    rows = [row for row in outcome.rows() if row[0] not in (CEILING, HYBRID)]
    if len(rows) < 2:
        return ""
    metric = outcome.columns()[0]
    model = _value(rows[0][1], metric)
    baselines = [(name, _value(values, metric)) for name, values in rows[1:]]
    name, best = max(baselines, key=lambda row: goodness(metric, row[1]))
    seconds = outcome.scores["baselines"][name].get("seconds")
    cost = f" in {_duration(seconds)} on one core" if seconds else ""
    apart = abs(model - best)
    difference = f"{100 * apart:.1f} points {'above' if model > best else 'below'}"
    if metric in LOWER_IS_BETTER:
        difference = f"{apart:.3f} {SHOWN[metric]} {'worse' if model > best else 'better'} than"
    said = f"The model is {difference} {name}{cost}"
    if goodness(metric, model) > goodness(metric, best):
        return f"{said}."
    return (
        f"{said}: it is not worth its training time as it stands.\n"
        "Start from pretrained weights, or use more data."
    )


def next_command(outcome: Outcome) -> str:
    """Return the command that goes on with the saved model; nothing where none is saved.

    What is fine-tuned predicts a file; what is pretrained is fine-tuned.
    """
    folder = outcome.folder
    if not model_files(folder):
        return ""
    recipe = outcome.record.get("command", [f"recipes/{outcome.recipe}.py"])[0]
    if outcome.recipe == "pretrain":
        causal = outcome.record["card"]["pipeline_tag"] == "text-generation"
        recipe = str(Path(recipe).with_name("generation.py" if causal else "doccls.py"))
        options = ["--model_name_or_path", str(folder), "--corpus", "sample_reviews"]
        return shlex.join(["accelerate", "launch", recipe, *options])
    words = [
        *("accelerate", "launch", recipe, "--do_train", "false", "--do_eval", "false"),
        *("--model_name_or_path", str(folder), "--test_file", "FILE"),
        *("--output_dir", str(folder.parent / f"{folder.resolve().name}-predictions")),
    ]
    return shlex.join(words)


def _value(scores: Mapping[str, Any], name: str) -> float:
    value = scores[name]
    return value["mean"] if isinstance(value, dict) else value


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
