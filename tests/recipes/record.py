"""Record what the recipes leave behind, so that a change of their code can be held against it.

    python tests/recipes/record.py recorded.json          # all, six minutes on two cores
    python tests/recipes/record.py recorded.json qa ner   # some

Of each case: the sha256 of the saved weights (equal on one machine with the same libraries), of the
predictions, and the scores and the losses of training, which agree within 1e-6 elsewhere.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SMALL = "hidden_size=32,num_hidden_layers=1,intermediate_size=64,num_attention_heads=2"
SHORT = ("--num_train_epochs", "2", "--from_scratch", "true", "--config_overrides", SMALL)
UNTIMED = {"seconds"}


@dataclass(frozen=True)
class Case:
    """One command line; `uses` is a case that must have run, whose folder is its model."""

    recipe: str
    arguments: tuple[str, ...] = ()
    processes: int = 1
    kill: bool = False
    uses: str | None = None


CASES = {
    "doccls": Case("doccls", ("--num_train_epochs", "3")),
    "several labels": Case(
        "doccls", ("--train_file", "tags.jsonl", "--multi_label", "true", *SHORT)
    ),
    "prediction alone": Case(
        "doccls",
        ("--do_train", "false", "--do_eval", "false", "--test_file", "new.csv"),
        uses="doccls",
    ),  # fmt: skip
    "seeds": Case("doccls", ("--seeds", "1", "2", *SHORT)),
    "two processes": Case("doccls", SHORT, processes=2),
    "kill and resume": Case("doccls", ("--num_train_epochs", "6"), kill=True),
    "lora": Case("doccls", ("--lora", "true", *SHORT)),
    "weights, smoothing, accumulation": Case(
        "doccls",
        ("--class_weights", "balanced", "--label_smoothing_factor", "0.1", *SHORT)
        + ("--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "4")
        + ("--early_stopping_patience", "1"),
    ),
    "paircls": Case("paircls", ("--num_train_epochs", "2")),
    "similarity": Case("paircls", ("--train_file", "scores.csv", *SHORT)),
    "ner": Case("ner", ("--num_train_epochs", "2")),
    "ner, two processes, windows": Case(
        "ner", ("--max_length", "24", "--stride", "8", *SHORT), processes=2
    ),
    "qa": Case("qa", ("--num_train_epochs", "2")),
    "qa, windows, lora": Case(
        "qa", ("--max_length", "64", "--stride", "16", "--lora", "true", *SHORT)
    ),
    "search": Case("search", ("--num_train_epochs", "2")),
    "search, hard negatives": Case(
        "search",
        ("--hard_negatives", "bm25", "--matryoshka_dims", "16", "32", *SHORT),
        processes=2,
    ),
    "generation": Case("generation", ("--num_train_epochs", "2")),
    "generation, packing, lora": Case(
        "generation",
        ("--packing", "true", "--lora", "true", "--num_train_epochs", "1")
        + ("--lora_target_modules", "q_proj"),
    ),
}


def main(out: Path, names: list[str]) -> None:
    """Run the cases in one folder, and write what they left behind."""
    recorded = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        wanted = [case for case in CASES if not names or case in names]
        for case in wanted:
            if (uses := CASES[case].uses) and not (folder / slug(uses)).exists():
                run_case(uses, folder)
            recorded[case] = run_case(case, folder)
            out.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n")


def write_files(folder: Path) -> None:
    """Write the users' own files that the cases read."""
    things, feelings = ("배송", "가격", "화질", "음질"), ("좋아요", "별로예요", "괜찮네요")
    rows = [(a, b, f"{a} {b} {n}번째") for n in range(30) for a in things for b in feelings]
    with (folder / "tags.jsonl").open("w", encoding="utf-8") as file:
        for number, (a, b, text) in enumerate(rows):
            labels = [a] if number % 7 else []
            labels += ["긍정"] * (b == "좋아요")
            file.write(json.dumps({"text": text, "label": labels}, ensure_ascii=False) + "\n")
    lines = [f"{text}\n" for *_, text in rows[:40]]
    (folder / "new.csv").write_text("text\n" + "".join(lines), encoding="utf-8")
    pairs = [
        f"{text},{rows[n * 7 % 360][2]},{(n * 37 % 50) / 10 + 0.05:.2f}\n"
        for n, (*_, text) in enumerate(rows)
    ]
    (folder / "scores.csv").write_text(
        "sentence1,sentence2,label\n" + "".join(pairs), encoding="utf-8"
    )


def run_case(name: str, folder: Path) -> dict[str, Any]:
    """Run a case as a user does, and return what it left behind."""
    case = CASES[name]
    output = folder / slug(name)
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    config = "cpu_2.yaml" if case.processes > 1 else "cpu.yaml"
    command += ["--config_file", str(RECIPES / "accelerate" / config)]
    command += ["--main_process_port", "0"] if case.processes > 1 else []
    command += [str(RECIPES / f"{case.recipe}.py"), *case.arguments]
    command += ["--output_dir", str(output), "--precision", "float32", "--use_cpu", "true"]
    command += ["--keep_checkpoints", "true", "--logging_steps", "1"]
    if case.uses:
        command += ["--model_name_or_path", str(folder / slug(case.uses))]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"HF_HOME": str(folder / "hf"), "OMP_WAIT_POLICY": "PASSIVE"}
    run = {"cwd": folder, "env": environment, "text": True}
    start = time.perf_counter()
    if case.kill:
        # Not the launcher but the recipe itself: two signals of SIGKILL, then to the end.
        direct = [sys.executable, *command[command.index(str(RECIPES / f"{case.recipe}.py")) :]]
        for _ in range(2):
            before = len(list(output.glob("checkpoint-*")))
            process = subprocess.Popen(direct, stderr=subprocess.DEVNULL, **run)
            while len(list(output.glob("checkpoint-*/complete"))) <= before:
                time.sleep(0.05)
                if process.poll() is not None:
                    break
            process.send_signal(signal.SIGKILL)
            process.wait()
    done = subprocess.run(command, capture_output=True, **run)
    sys.stderr.write(f"{name}: {done.returncode}, {time.perf_counter() - start:.0f} s\n")
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
    return {"status": done.returncode, **read_folder(output)}


def read_folder(output: Path) -> dict[str, Any]:
    """Return hashes of weights and predictions, the scores, and the losses of training."""
    found: dict[str, Any] = {"weights": {}, "losses": {}}
    for path in sorted(output.rglob("*.safetensors")):
        if "checkpoint-" not in str(path):
            found["weights"][str(path.relative_to(output))] = hash_weights(path)
    predictions = output / "predictions.jsonl"
    found["predictions"] = hashlib.sha256(predictions.read_bytes()).hexdigest()
    found["metrics"] = without_times(json.loads((output / "metrics.json").read_text()))
    for state in sorted(output.rglob("trainer_state.json")):
        history = json.loads(state.read_text())["log_history"]
        run = str(state.parent.parent.relative_to(output))
        losses = [entry["loss"] for entry in history if "loss" in entry]
        if len(losses) > len(found["losses"].get(run, [])):
            found["losses"][run] = losses
    return found


def hash_weights(path: Path) -> str:
    """Return the sha256 of names and numbers of a file of weights, in the order of the names."""
    digest = hashlib.sha256()
    with safe_open(path, framework="pt") as file:
        for name in sorted(file.keys()):
            digest.update(name.encode() + file.get_tensor(name).contiguous().numpy().tobytes())
    return digest.hexdigest()


def without_times(value: Any) -> Any:
    """Return `value` without the seconds that it tells."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in UNTIMED}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def slug(name: str) -> str:
    """Return `name` as a folder's name."""
    return name.replace(",", "").replace(" ", "_")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
