"""Speed of the default (rows of like length, padded to the longest) against rows padded to 128.

    python benchmarks/padding.py --corpus_dir ../shared/corpora \
        --model_name_or_path ../shared/tokenizers/kcbert-base

Runs recipes/doccls.py twice a round, in turn, with the same rows, model, optimizer and seed; only
padding and order differ. Prints a table and writes benchmarks/padding.json; ratios are within a
round, the median of the rounds is shown.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMALL = "num_hidden_layers=4,hidden_size=256,num_attention_heads=4,intermediate_size=1024"
WAYS = {
    "padded to 128": ["--pad_to_max_length", "true", "--train_sampling_strategy", "random"],
    "default": [],
}


def measure(folder: Path, options: argparse.Namespace, extra: list[str]) -> dict[str, float]:
    """Run the recipe and return examples/s in training and evaluation, and real tokens."""
    command = [sys.executable, str(ROOT / "recipes" / "doccls.py"), "--output_dir", str(folder)]
    command += ["--corpus", "nsmc", "--from_scratch", "true", "--config_overrides", SMALL]
    command += ["--num_train_epochs", "1", "--eval_strategy", "no", "--save_strategy", "no"]
    command += ["--load_best_model_at_end", "false", "--baselines", "false", "--seed", "1"]
    command += ["--max_train_samples", str(options.train_rows), "--max_eval_samples", "64"]
    command += ["--max_predict_samples", str(options.test_rows), "--precision", options.precision]
    command += ["--model_name_or_path", options.model_name_or_path]
    if options.corpus_dir:
        command += ["--corpus_dir", options.corpus_dir]
    subprocess.run([*command, *extra], check=True, capture_output=True, text=True)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return {
        "training examples/s": record["train_examples_per_second"],
        "evaluation examples/s": record["data"]["rows"]["test"]
        / record["seconds"]["evaluation on test"],
        "real tokens": record["real_token_share"],
        "device": record["device"],
        "precision": record["precision"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus_dir")
    parser.add_argument("--model_name_or_path", default="beomi/kcbert-base")
    parser.add_argument("--train_rows", type=int, default=6400)
    parser.add_argument("--test_rows", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "padding.json")
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            rounds.append(
                {
                    way: measure(Path(folder) / f"{number} {way}", options, extra)
                    for way, extra in WAYS.items()
                }
            )
    first = rounds[0]["default"]
    lines = [f"{'':<26}{'padded to 128':>15}{'default':>12}{'ratio':>8}"]
    ratios = {}
    for name in ("training examples/s", "evaluation examples/s", "real tokens"):
        padded, default = ([r[way][name] for r in rounds] for way in WAYS)
        ratios[name] = statistics.median(b / a for a, b in zip(padded, default, strict=True))
        a, b = statistics.median(padded), statistics.median(default)
        lines.append(f"{name:<26}{a:>15.2f}{b:>12.2f}{ratios[name]:>7.2f}×")
    lines.append(
        f"NSMC, {options.train_rows:,} rows, 4×256 BERT, batch 32, {first['precision']}, "
        f"{first['device']}, {options.rounds} rounds"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    options.out.write_text(json.dumps({"rounds": rounds, "median_ratios": ratios}, indent=1) + "\n")


if __name__ == "__main__":
    main()
