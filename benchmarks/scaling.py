r"""How the cost of training grows with rows, length, width and ranks; and a model of many ranks.

    python benchmarks/scaling.py measure
    python benchmarks/scaling.py model --parameters 109e6 --step_seconds 0.5 --gbits 10 100

`measure` prints tables and writes benchmarks/scaling.json. All is small and on one thread a
process, in seconds of the processor unless it says otherwise, so that neighbours on the cores
cost little. `rows` are whole runs of recipes/doccls.py; the others are forward, backward and
AdamW's step of a BERT of four layers on random tokens, the least of `--steps` steps.

`model` measures nothing: it computes what an all-reduce of the gradients adds to a step.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checkout import commit, device_name

ROOT = Path(__file__).resolve().parents[1]
ROWS, TOKENS, LAYERS = (500, 2000, 8000), 2048, 4
LENGTHS, WIDTHS = (32, 64, 128, 256, 512), (64, 128, 256, 512)
RANKS, MEGABYTES = (1, 2, 4), (1, 4, 16, 64)
LATENCY = 20e-6  # seconds a message, of `model`


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measured = commands.add_parser("measure")
    measured.add_argument("--parts", nargs="+", default=["rows", "length", "width", "ranks"])
    measured.add_argument("--steps", type=int, default=4)
    measured.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "scaling.json")
    modelled = commands.add_parser("model")
    modelled.add_argument("--parameters", type=float, required=True, help="that are trained")
    modelled.add_argument("--step_seconds", type=float, required=True, help="of one rank, measured")
    modelled.add_argument("--gbits", type=float, nargs="+", default=[1, 10, 100, 400])
    modelled.add_argument("--ranks", type=int, nargs="+", default=[2, 4, 8, 16, 32])
    modelled.add_argument("--bytes", type=int, default=4, help="of a gradient's number")
    commands.add_parser("child").add_argument("job")
    options = parser.parse_args()
    if options.command == "model":
        show_model(options)
    elif options.command == "child":
        job = json.loads(options.job)
        result = {"step": step_seconds, "rank": rank_seconds}[job.pop("kind")](**job)
        sys.stdout.write(json.dumps(result))
        sys.stdout.flush()
        os._exit(0)  # threads of a process group can abort what ends by itself
    else:
        measure(options)


def say(*cells: object) -> None:
    """Print a row of a table."""
    words = [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells]
    sys.stdout.write("".join(f"{word:>16}" for word in words).rstrip() + "\n")
    sys.stdout.flush()


def measure(options: argparse.Namespace) -> None:
    """Measure the parts that are asked for."""
    found: dict[str, Any] = {"commit": commit(), "device": device_name()}
    found |= {"cores": os.cpu_count(), "threads": 1}
    found |= {"layers": LAYERS, "tokens a step": TOKENS, "steps": options.steps}
    if "rows" in options.parts:
        say("rows", "processor s", "corpus s", "tokenization s", "training s")
        found["rows"] = [row_seconds(rows) for rows in ROWS]
    step = {"kind": "step", "steps": options.steps}
    for part, values in (("length", LENGTHS), ("width", WIDTHS)):
        if part in options.parts:
            say(part, "s a step", "GFLOP", "GFLOP/s")
            found[part] = []
            for value in values:
                length, width = (value, 256) if part == "length" else (64, value)
                [job] = children([step | {"length": length, "width": width}])
                say(value, job["seconds"], job["gflop"], job["gflop"] / job["seconds"])
                found[part].append({part: value, **job})
    if "ranks" in options.parts:
        say("ranks", "s a step", "clock's", *(f"{size} MB, clock" for size in MEGABYTES))
        found["ranks"] = []
        for ranks in RANKS:
            with tempfile.TemporaryDirectory() as folder:
                job = {"kind": "rank", "steps": options.steps, "count": ranks, "folder": folder}
                first = children([job | {"rank": rank} for rank in range(ranks)])[0]
            say(ranks, *first["seconds"].values(), *first["allreduce"].values())
            found["ranks"].append({"ranks": ranks, **first})
    options.out.write_text(json.dumps(found, indent=1) + "\n")


def children(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run jobs at once, each in a process of its own with one thread; return what they print."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, __file__, "child"]
    processes = [
        subprocess.Popen([*command, json.dumps(job)], env=environment, stdout=subprocess.PIPE)
        for job in jobs
    ]
    printed = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("A process has failed; see above.")
    return [json.loads(text) for text in printed]


def row_seconds(rows: int) -> dict[str, Any]:
    """Run doccls on so many rows for an epoch, from an empty cache."""
    sample = ROOT / "nlpbook_data" / "samples" / "sample_reviews" / "train.jsonl"
    texts = [json.loads(line) for line in sample.read_text(encoding="utf-8").splitlines()]
    shape = "hidden_size=32,num_hidden_layers=1,intermediate_size=64"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "train.jsonl").open("w", encoding="utf-8") as file:
            for number in range(rows):
                row = texts[number % len(texts)]
                row = {"text": f"{row['text']} {number}", "label": row["label"]}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        words = ["--train_file", "train.jsonl", "--output_dir", "run", "--num_train_epochs", "1"]
        words += ["--model_name_or_path", "package:models/tiny_encoder", "--from_scratch", "true"]
        words += ["--config_overrides", shape, "--baselines", "false", "--precision", "float32"]
        words += ["--save_strategy", "no", "--load_best_model_at_end", "false", "--use_cpu", "true"]
        environment = os.environ | {"HF_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(ROOT / "recipes" / "doccls.py"), *words]
        before = os.times()
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        after = os.times()
        seconds = json.loads((folder / "run" / "run.json").read_text())["seconds"]
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    phases = {name: seconds[name] for name in ("corpus", "tokenization", "training")}
    say(rows, spent, *phases.values())
    return {"rows": rows, "processor": round(spent, 2), **phases}


def least(steps: int, clock: Callable[[], float], do: Callable[[], Any]) -> float:
    """Return the least time of `steps`, after one that is not counted."""
    times = []
    for _ in range(steps + 1):
        begun = clock()
        do()
        times.append(clock() - begun)
    return min(times[1:])


def new_step(
    length: int, width: int, tokens: int, parallel: bool
) -> tuple[Callable[[], None], int]:
    """Return what does a training step, and how many parameters are no embeddings."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    shape = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": LAYERS}
    shape |= {"num_attention_heads": max(width // 64, 1), "max_position_embeddings": 512}
    model: Any = BertForSequenceClassification(BertConfig(vocab_size=8000, **shape))
    counted = sum(p.numel() for name, p in model.named_parameters() if "embeddings" not in name)
    if parallel:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.randint(8000, (tokens // length, length))
    labels = torch.randint(2, (len(ids),))

    def step() -> None:
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, counted


def step_seconds(steps: int, length: int, width: int) -> dict[str, float]:
    """Time a step, in seconds of the processor, and count what it computes.

    That is 6 operations a parameter and token, and 12 x width a layer for each token that a token
    attends to: forward 2 and 4, backward twice as many.
    """
    step, counted = new_step(length, width, TOKENS, parallel=False)
    operations = TOKENS * (6 * counted + 12 * LAYERS * length * width)
    seconds = least(steps, time.process_time, step)
    return {"seconds": seconds, "gflop": operations / 1e9, "parameters": counted}


def rank_seconds(steps: int, count: int, rank: int, folder: str) -> dict[str, Any]:
    """Time a step of one of `count` ranks that share the batch, and all-reduces, on the clock.

    A step's seconds of the processor are those that it would take on a core of its own, but for
    the waiting.
    """
    import torch
    from torch import distributed

    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=count)
    step, _ = new_step(64, 256, TOKENS // count, parallel=True)
    seconds = {"processor": least(steps, time.process_time, step)}
    seconds["clock"] = least(steps, time.perf_counter, step)
    times = {}
    for size in MEGABYTES:
        numbers = torch.ones(size * 250_000)
        times[size] = least(steps, time.perf_counter, lambda: distributed.all_reduce(numbers))  # noqa: B023
    distributed.destroy_process_group()
    return {"seconds": seconds, "allreduce": times}


def ring(bytes_: float, ranks: int, gbits: float) -> float:
    """Return the seconds of a ring's all-reduce: each rank sends 2 (n-1)/n of the bytes."""
    return 2 * (ranks - 1) / ranks * bytes_ * 8 / (gbits * 1e9) + 2 * (ranks - 1) * LATENCY


def show_model(options: argparse.Namespace) -> None:
    """Print how much faster so many ranks would be than one, the global batch growing with them."""
    size = options.parameters * options.bytes
    sys.stdout.write(
        f"A model, not a measurement: a ring over {size / 1e6:,.0f} MB of gradients, "
        f"{options.step_seconds} s a step on one rank, each rank with its own rows.\n"
        "Times one rank: nothing of the all-reduce hidden behind the backward pass - as much as "
        "can be (two thirds of the step).\n"
    )
    say("ranks", *(f"{gbits:g} Gbit/s" for gbits in options.gbits))
    for ranks in options.ranks:
        cells = []
        for gbits in options.gbits:
            sent, step = ring(size, ranks, gbits), options.step_seconds
            worst, best = step + sent, max(step, step / 3 + sent)
            cells.append(f"{ranks * step / worst:.3g} - {ranks * step / best:.3g}")
        say(ranks, *cells)


if __name__ == "__main__":
    main()
