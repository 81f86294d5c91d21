"""Rows a second of recipes/predict.py's predictor against a loop over transformers' pipeline.

    python recipes/doccls.py --output_dir outputs/doccls
    python benchmarks/predict.py outputs/doccls --corpus_dir ../shared/corpora

The same rows of NSMC's test split, model, truncation, float32 and threads; the ways take turns, a
block of rows after the other. Prints a table and writes benchmarks/predict.json; ratios are within
a block, the median of the blocks is shown.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from checkout import commit

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from transformers import pipeline

from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.inference.predictor import load_predictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="the folder of a run of recipes/doccls.py, or of export.py")
    parser.add_argument("--original", help="the run, where the model is an exported one")
    parser.add_argument("--corpus_dir", default=os.environ.get("NLPBOOK_CORPORA"))
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2048, help="of a block")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    test = load_corpus("nsmc", options.corpus_dir, splits=["test"])["test"]
    texts = [text for text in test["text"] if text.strip()]
    predictor = load_predictor(options.model, device="cpu")
    (column,) = predictor.columns
    classify = pipeline("text-classification", options.original or options.model, device="cpu")

    def ours(rows: list[str]) -> list[tuple[str, float]]:
        found = predictor.predict([{column: text} for text in rows])
        return [(one["prediction"], one["score"]) for one in found]

    def loop(rows: list[str]) -> list[tuple[str, float]]:
        found = [classify(text, truncation=True)[0] for text in rows]
        return [(one["label"], one["score"]) for one in found]

    def batches(rows: list[str]) -> list[tuple[str, float]]:
        found = classify(rows, truncation=True, batch_size=32)
        return [(one["label"], one["score"]) for one in found]

    ways: dict[str, Callable[[list[str]], list[tuple[str, float]]]] = {
        "pipeline, a loop": loop,
        "pipeline, batch_size=32": batches,
        "load_predictor": ours,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    same, far = 0, 0.0
    for way in ways.values():
        way(texts[:32])  # warm
    for block in range(options.blocks):
        rows = texts[block * options.rows : (block + 1) * options.rows]
        found = {}
        for name, way in ways.items():
            start = time.perf_counter()
            found[name] = way(rows)
            rates[name].append(len(rows) / (time.perf_counter() - start))
        for one, other in zip(found["pipeline, a loop"], found["load_predictor"], strict=True):
            same, far = same + (one[0] == other[0]), max(far, abs(one[1] - other[1]))

    report = {"commit": commit(), "rows": options.blocks * options.rows}
    report |= {"threads": options.threads, "ways": {}}
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(values, rates["pipeline, a loop"], strict=True)]
        rate, ratio = statistics.median(values), statistics.median(ratios)
        report["ways"][name] = {"rows_per_second": round(rate, 1), "ratio": round(ratio, 2)}
        print(f"{name:<24} {rate:9.1f} rows/s {ratio:6.2f}x")  # noqa: T201
    report |= {"same_predictions": same, "largest_difference_of_scores": far}
    print(f"{same} of {report['rows']} predictions are the same; scores differ by up to {far:.1e}")  # noqa: T201
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
