"""Record what the recipes leave behind, so that a change of their code can be held against it.

    python tests/recipes/record.py recorded.json          # all, some minutes on two cores
    python tests/recipes/record.py recorded.json qa ner   # some

Of each case: the sha256 of the saved weights (equal on one machine with the same libraries), of the
predictions, and the scores and the losses of training, which agree within 1e-6 elsewhere. The
commands run in forks of a process that has imported the libraries (`fork_server`).
"""

import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where pytest does not run it
from conftest import ForkServer
from tasks import SIZE, scored
from writing import Run, write_rows

SMALL = f"--config_overrides {SIZE},num_attention_heads=2"
SHORT = f"{SMALL} --from_scratch true --num_train_epochs 2"
# A recipe and its options; a name before a slash is that of an earlier case, whose model it uses.
CASES = {
    "doccls": "doccls --num_train_epochs 3",
    "several labels": f"doccls --train_file tags.jsonl --multi_label true {SHORT}",
    "doccls/prediction": "doccls --do_train false --do_eval false --test_file new.csv",
    "seeds": f"doccls --seeds 1 2 {SHORT}",
    "two processes": f"doccls {SHORT}",
    "lora": f"doccls --lora true {SHORT}",
    "weights, smoothing, accumulation": (
        f"doccls --class_weights balanced --label_smoothing_factor 0.1 {SHORT}"
        " --per_device_train_batch_size 8 --gradient_accumulation_steps 4"
        " --early_stopping_patience 1"
    ),
    "paircls": "paircls --num_train_epochs 2",
    "similarity": f"paircls --train_file scores.csv {SHORT}",
    "ner": "ner --num_train_epochs 2",
    "ner, two processes, windows": f"ner --max_length 24 --stride 8 {SHORT}",
    "qa": "qa --num_train_epochs 2",
    "qa, windows, lora": f"qa --max_length 64 --stride 16 --lora true {SHORT}",
    "search": "search --num_train_epochs 2",
    "search, two processes, negatives": (
        f"search --hard_negatives bm25 --matryoshka_dims 16 32 {SHORT}"
    ),
    "generation": "generation --num_train_epochs 2",
    "generation, packing, lora": (
        "generation --packing true --lora true --num_train_epochs 1 --lora_target_modules q_proj"
    ),
}
ALWAYS = "--precision float32 --use_cpu true --keep_checkpoints true --logging_steps 1"


def main(out: Path, names: list[str]) -> None:
    """Run the cases in one folder, and write what they left behind."""
    recorded = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        server = ForkServer({**os.environ, "HF_HOME": str(folder / "hf")})
        used = {name.partition("/")[0] for name in names}
        for case in [case for case in CASES if not names or case in {*names, *used}]:
            uses = case.partition("/")[0]
            options = [
                *CASES[case].split(),
                *ALWAYS.split(),
                "--output_dir",
                case.replace("/", " "),
            ]
            if uses != case:
                options += ["--model_name_or_path", uses]
            start = time.perf_counter()
            done = server.run(folder, *options, processes=2 if "two processes" in case else 1)
            done.expect()
            sys.stderr.write(f"{case}: {time.perf_counter() - start:.0f} s\n")
            recorded[case] = read_run(done.run)
            out.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n")
        server.close()


def write_files(folder: Path) -> None:
    """Write the users' own files that the cases read."""
    things, feelings = ("배송", "가격", "화질", "음질"), ("좋아요", "별로예요", "괜찮네요")
    rows = [(a, b, f"{a} {b} {n}번째") for n in range(30) for a in things for b in feelings]
    tags = [
        {"text": text, "label": [a] * bool(n % 7) + ["긍정"] * (b == "좋아요")}
        for n, (a, b, text) in enumerate(rows)
    ]
    write_rows(folder / "tags.jsonl", tags)
    write_rows(folder / "new.csv", [{"text": text} for *_, text in rows[:40]])
    write_rows(folder / "scores.csv", scored(0, 360))


def read_run(run: Run) -> dict[str, Any]:
    """Return hashes of weights and predictions, the scores, and the losses of training."""
    weights = sorted(p for p in run.folder.rglob("*.safetensors") if "checkpoint-" not in str(p))
    losses = {}
    for folder in sorted({path.parent.parent for path in run.folder.rglob("trainer_state.json")}):
        losses[str(folder.relative_to(run.folder))] = Run(folder).curve("loss")
    return {
        "weights": {str(path.relative_to(run.folder)): sha256(path) for path in weights},
        "predictions": sha256(run / "predictions.jsonl"),
        "metrics": without_times(run.scores),
        "losses": losses,
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def without_times(value: Any) -> Any:
    """Return `value` without the seconds that it tells."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "seconds"}
    return [without_times(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
