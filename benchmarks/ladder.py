"""Small encoders that differ in one choice each, pretrained for equal processor time.

    python benchmarks/ladder.py --text_files FILES --corpus_dir FOLDER --minutes 8

Each setting is timed right before its pretraining, which gets as many steps as fit into the minutes
on one thread; so busy neighbours cost all settings alike. Then each model is fine-tuned on 20,000
rows of NSMC and scored on validation. Test is never scored: its texts, and validation's, are only
kept out of the pretraining text. The same command goes on where it was stopped.
Writes OUT/ladder.json after every step, and prints the table.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from checkout import commit

from nlpbook_data.data.source import load_source
from nlpbook_data.data.texts import TextArguments, stream_texts
from nlpbook_data.training import DataArguments, RecipeArguments

RECIPES = Path(__file__).parents[1] / "recipes"
FEW, MORE = 2, 10  # steps of the two runs whose difference is the time of a step
BLOCKS, SIZE = 32, 128  # of a step
PRETRAINING = {
    **{"validation_share": 0.02, "block_size": SIZE, "per_device_train_batch_size": BLOCKS},
    **{"learning_rate": 2e-3, "warmup_steps": 0.05, "lr_scheduler_type": "linear"},
    **{"adam_beta2": 0.98, "weight_decay": 0.1, "mask_rate": 0.3, "last_mask_rate": 0.15},
    **{"precision": "float32", "use_cpu": True, "eval_strategy": "no", "seed": 7},
    **{"load_best_model_at_end": False, "from_scratch": True, "save_total_limit": 1},
}
FINE_TUNING = {
    **{"corpus": "nsmc", "max_train_samples": 20_000, "max_length": 64, "num_train_epochs": 1},
    **{"learning_rate": 5e-4, "per_device_train_batch_size": 32, "do_predict": False},
    **{"precision": "float32", "use_cpu": True, "eval_strategy": "no", "save_strategy": "no"},
    **{"load_best_model_at_end": False, "baselines": False},
}
MODERN, BERT = "package:models/encoder", "package:models/tiny_encoder"
SHAPE = "hidden_size=256,num_hidden_layers=4,intermediate_size=1024,max_position_embeddings=512"
SETTINGS: dict[str, dict[str, Any] | None] = {  # what differs from the first
    "ModernBERT 6×256, 8k, AdamW, 30→15%": {},
    "Muon for hidden matrices": {"muon": True},
    "BERT 4×256": {"model_name_or_path": BERT, "config_overrides": SHAPE},
    "16k vocabulary": {"tokenizer_name": 16_000},
    "15% of the words": {"mask_rate": 0.15},
    "no pretraining": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--text_files", nargs="+", required=True, help="a text a line")
    parser.add_argument("--every", type=int, default=8, help="use each Nth line of the files")
    parser.add_argument("--corpus_dir", help="folder of raw corpora, with nsmc")
    parser.add_argument("--minutes", type=float, default=8, help="of pretraining, a setting")
    parser.add_argument("--steps", type=int, nargs="*", default=[], help="of settings timed before")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of fine-tuning")
    parser.add_argument("--out", type=Path, default=Path("outputs/ladder"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    write_texts(args)
    rows: dict[str, dict[str, Any]] = {}
    for number, (name, changes) in enumerate(SETTINGS.items()):
        folder = args.out / f"setting-{number}"
        rows[name] = {"accuracy": {}}
        if changes is not None:
            steps = args.steps[number] if number < len(args.steps) else None
            rows[name] |= pretrain(folder, changes, args.minutes, steps, args.out)
        report(args, rows)
    for seed in args.seeds:
        for number, (name, changes) in enumerate(SETTINGS.items()):
            folder = args.out / f"setting-{number}"
            start = {"model_name_or_path": folder / "model"}
            if changes is None:
                start = {"model_name_or_path": MODERN, "from_scratch": True}
                start |= {"tokenizer_name": args.out / "vocabulary-8000"}
            out = folder / f"nsmc-{seed}"
            run("doccls", out, FINE_TUNING | start | {"corpus_dir": args.corpus_dir, "seed": seed})
            rows[name]["accuracy"][seed] = scores(out)["accuracy"]
            report(args, rows)


def write_texts(args: argparse.Namespace) -> None:
    """Write the text, and the texts of NSMC's validation and test that it must not contain."""
    data = DataArguments(corpus="nsmc", corpus_dir=args.corpus_dir)
    held_out = load_source(data, RecipeArguments(output_dir=str(args.out))).splits
    excluded = [row["text"] for split in ("validation", "test") for row in held_out[split]]
    texts = stream_texts(TextArguments(text_files=args.text_files))
    files = {"exclude": excluded, "text": [*texts][:: args.every]}
    for name, lines in files.items():
        (args.out / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")


def pretrain(
    folder: Path, changes: dict, minutes: float, steps: int | None, out: Path
) -> dict[str, Any]:
    """Pretrain for that many minutes of the processor, or steps; return cost and scores."""
    texts = {"text_files": out / "text.txt", "exclude_files": out / "exclude.txt"}
    size = changes.get("tokenizer_name", 8000)
    vocabulary = out / f"vocabulary-{size}"
    run("tokenizer", vocabulary, texts | {"vocab_size": size})
    options = PRETRAINING | texts | {"model_name_or_path": MODERN} | changes
    options["tokenizer_name"] = vocabulary
    often = {"save_strategy": "steps", "save_steps": 50}
    never = {"save_strategy": "no"}
    cached = folder.with_name(f"cached-{size}")  # a first run of a vocabulary, not timed
    for trial in (cached, folder / "few"):
        run("pretrain", trial, options | never | {"max_steps": FEW})
    start = seconds(folder / "few")
    if steps is None:
        run("pretrain", folder / "more", options | never | {"max_steps": MORE})
        step = (seconds(folder / "more") - start) / (MORE - FEW)
        steps = max(MORE, int(minutes * 60 / step))
    run("pretrain", folder / "model", options | often | {"max_steps": steps})
    trained = (seconds(folder / "model") - start) * steps / (steps - FEW) / 60
    found = {"steps": steps, "tokens": steps * BLOCKS * SIZE, "minutes": round(trained, 2)}
    return found | scores(folder / "model")


def run(recipe: str, folder: Path, options: dict[str, Any]) -> None:
    """Run a recipe once, and note the seconds of the processor that it took beside its folder.

    Of a run that was killed and goes on, it notes those of the last part.
    """
    noted = folder.with_suffix(".seconds")
    if noted.exists():
        return
    words = [sys.executable, str(RECIPES / f"{recipe}.py"), "--output_dir", str(folder)]
    if recipe != "tokenizer":
        words += ["--resume", "auto"]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(words, check=True, env=os.environ | one)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    noted.write_text(f"{spent:.1f}")


def seconds(folder: Path) -> float:
    """Return what `run` noted."""
    return float(folder.with_suffix(".seconds").read_text())


def scores(folder: Path) -> dict[str, float]:
    """Return the scores of validation."""
    return json.loads((folder / "metrics.json").read_text("utf-8"))["validation"]


def report(args: argparse.Namespace, rows: dict[str, dict[str, Any]]) -> None:
    """Write what is known, and print it as a table."""
    setting = {"pretraining": PRETRAINING, "fine_tuning": FINE_TUNING, "minutes": args.minutes}
    record = {"commit": commit(), "settings": rows} | setting
    (args.out / "ladder.json").write_text(json.dumps(record, ensure_ascii=False, indent=1))
    lines = ["| setting | tokens | minutes | bits per character | NSMC validation |"]
    lines += ["|---|---|---|---|---|"]
    for name, row in rows.items():
        found = [*row["accuracy"].values()]
        accuracy = f"{mean(found):.4f}" if found else ""
        accuracy += f" ± {stdev(found):.4f}" if len(found) > 1 else ""
        cost = " |  | "
        if "tokens" in row:
            cost = f"{row['tokens'] / 1e6:.2f}M | {row['minutes']:.1f} | "
            cost += f"{row['bits_per_character']:.3f}"
        lines.append(f"| {name} | {cost} | {accuracy} |")
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
