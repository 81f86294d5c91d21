"""Is a model of sentence pairs better than what the second text alone gives away? A paired test.

    python benchmarks/paired.py RUN_FOLDER

For each seed of a finished run of recipes/paircls.py: on how many test rows model and baseline are
right, on how many only one of them is, and McNemar's exact p; then, of each row's mean over the
seeds, the difference with the p of a sign-flip permutation test (10,000 of them, two-sided).
Prints a table and writes benchmarks/paired.json.
"""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy.stats import binomtest, permutation_test

from nlpbook_data.baselines.paircls import predict_pairs
from nlpbook_data.data.source import load_source
from nlpbook_data.training import DataArguments


def read_rows(folder: Path) -> list[dict]:
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    known = {name: record["arguments"][name] for name in DataArguments.__dataclass_fields__}
    phases = SimpleNamespace(do_train=True, do_eval=True, do_predict=True)
    source = load_source(DataArguments(**known), phases, task="paircls")
    names = source.label_names
    columns = [name for name in source.splits["train"].features if name != "label"]
    texts = {s: {c: rows[c][:] for c in columns} for s, rows in source.splits.items()}
    train = np.array(source.splits["train"]["label"][:])
    gold = [names[label] for label in source.splits["test"]["label"]]
    seeds = sorted(folder.glob("seed-*")) or [folder]
    runs = {seed.name: read_rows(seed) for seed in seeds}
    for rows in runs.values():
        assert [row["label"] for row in rows] == gold
    model = np.array([[r["label"] == r["prediction"] for r in rows] for rows in runs.values()])
    results = {}
    for name, predicted, _ in predict_pairs(texts, train, len(names)):
        right = np.array([names[p.argmax()] for p in predicted["test"]]) == np.array(gold)
        table = results[name] = {}
        for seed, ours in zip(runs, model, strict=True):
            only = int((ours & ~right).sum()), int((right & ~ours).sum())
            p = binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
            table[seed] = {
                "model": float(ours.mean()),
                "baseline": float(right.mean()),
                "only_model_right": only[0],
                "only_baseline_right": only[1],
                "mcnemar_p": float(p),
            }
        difference = model.mean(axis=0) - right
        test = permutation_test(
            (difference,), np.mean, permutation_type="samples", n_resamples=10_000, rng=0
        )
        table["mean of seeds"] = {"difference": float(difference.mean()), "p": float(test.pvalue)}
    shown = ("from_scratch", "config_overrides", "max_length", "num_train_epochs", "learning_rate")
    settings = {name: record["arguments"][name] for name in shown}
    out = {"data": source.name, "rows": len(gold), "settings": settings, "tests": results}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{source.name}, {len(gold)} test rows")  # noqa: T201
    for name, table in results.items():
        for seed, row in table.items():
            shown = "  ".join(f"{key} {value:.4g}" for key, value in row.items())
            print(f"  {name:<20} {seed:<14} {shown}")  # noqa: T201


if __name__ == "__main__":
    main()
