"""The summary on the terminal at the end of a run."""

import shlex
import sys
from pathlib import Path

import numpy as np

from nlpbook_data.language import is_korean, spoken
from nlpbook_data.metrics.names import LOWER_IS_BETTER, format_score, goodness, heading
from nlpbook_data.outward import printable
from nlpbook_data.reports.columns import in_columns
from nlpbook_data.reports.outcome import HYBRID, Outcome, mean
from nlpbook_data.reports.pages import render


def print_summary(outcome: Outcome) -> None:
    """Print scores and baselines, a verdict, time, output files and the next command."""
    data, names = outcome.record["data"], outcome.columns()
    splits = [
        tuple(map(spoken, (split, f"{n:,} rows", data["splits"][split])))
        for split, n in data["rows"].items()
    ]
    scores = [[spoken(outcome.split), *map(heading, names)]]
    for row, values in outcome.rows():
        scores.append([spoken(row), *(format_score(values, name) for name in names)])
    page = render(
        "summary_ko.txt" if is_korean() else "summary.txt",
        spoken=spoken,
        title=f"{outcome.record['recipe']}: {data['name']} ",
        splits=in_columns(splits, right=[1]),
        scores=in_columns(scores, right=range(1, len(names) + 1)) if names else "",
        verdict="\n".join(filter(None, [verdict(outcome), only_class(outcome)])),
        record=outcome.record,
        duration=_duration,
        folder=outcome.folder,
        next=next_command(outcome),
    )
    sys.stdout.write(printable(page))
    sys.stdout.flush()


def verdict(outcome: Outcome) -> str:
    """Compare the model with the best baseline in a sentence, by the headline score."""
    if (found := outcome.rivalry()) is None:
        return ""
    scored, metric = dict(outcome.rows()), outcome.columns()[0]
    model, name, best = found
    seconds = outcome.scores["baselines"][name].get("seconds")
    rival = spoken(f"{name} in {_duration(seconds)} on one core" if seconds else name)
    apart = round(abs(model - best), 3)  # as it is shown
    if not apart:
        return spoken(f"The model is level with {rival}.")
    if metric in LOWER_IS_BETTER:
        score = f"{apart:.3f} {heading(metric)}"
        said = f"The model is {score} {'worse' if model > best else 'better'} than {rival}"
    else:
        points = f"{100 * apart:.1f}"
        said = f"The model is {points} points {'above' if model > best else 'below'} {rival}"
    said = spoken(said)
    if goodness(metric, model) > goodness(metric, best):
        headline = next(iter(scored.values()))[metric]
        if isinstance(headline, dict) and apart <= headline["std"]:
            return spoken(f"{said}, no more than its seeds differ by.")
        return f"{said}."
    if HYBRID in scored and (gain := round(mean(scored[HYBRID][metric]) - best, 3)) > 0:
        return spoken(f"{said}; ranked with it, {100 * gain:.1f} points above.")
    return spoken(
        f"{said}: it is not worth its training time as it stands.\n"
        "Start from larger pretrained weights, or use more data."
    )


def only_class(outcome: Outcome) -> str:
    """Return a warning if the model predicts the same class for every row."""
    scores = outcome.scores.get(outcome.split, {})
    counts = np.array(scores.get("confusion_matrix", []))
    if counts.ndim != 2 or len(counts) < 2 or (used := counts.any(axis=0)).sum() != 1:
        return ""
    label = list(scores["per_class"])[used.argmax()]
    return spoken(f"The model gives every row the same label, {label}.")


def next_command(outcome: Outcome) -> str:
    """Return the next command for the saved model; empty without training, which saves none.

    A fine-tuned model predicts a file. A pretrained model is fine-tuned.
    """
    folder = outcome.folder
    if not outcome.record["arguments"]["do_train"]:
        return ""
    recipe = outcome.record["command"][0]
    if outcome.record["recipe"] == "pretrain":
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


def _duration(seconds: float) -> str:
    if seconds < 90:
        return spoken(f"{seconds:.1f} s")
    minutes = seconds / 60
    return spoken(f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:.1f} h")
