"""Runs of all recipes, killed at random moments and continued, end as if nothing had happened.

    python tests/kills.py                        # 100 kills over all recipes
    python tests/kills.py 20 --seed 3 doccls ner    # 20 of some

A run is killed by SIGKILL, or asked to stop by SIGTERM: so many seconds after its start, or when it
opens, renames or deletes its N-th file. The same command (``--resume auto``) then goes on; it may
be killed again. It is right where it ends with what an undisturbed run of that command leaves, byte
for byte, with no file beside, and where what stopped said so in one sentence, or had not yet said
or written anything, for Python was still loading it. Tried and right are kills; the exit status is
1 where one was wrong. The seed and each moment are printed. The commands run in forks of a process
that has imported the libraries (`fork_server`).
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import RECIPES, ForkServer
from saved import save_run
from tasks import DECODER, DOCCLS, TINY
from writing import write_rows, written

sys.path.append(str(Path(__file__).resolve().parent / "recipes"))  # where pytest does not run it
from record import without_times  # noqa: E402

HERE = Path(__file__).resolve().parent
SECONDS = 600  # the end of a run that hangs; a busy machine is no hang
SMALL = ["--max_steps", 5, "--per_device_train_batch_size", 8, "--learning_rate", "1e-3"]
STEPS = ["--save_strategy", "steps", "--save_steps", 2, "--eval_strategy", "steps"]
SHORT = [*SMALL, *STEPS, "--eval_steps", 2, "--max_length", 32]
FEW = ["--max_train_samples", 36, "--max_eval_samples", 8, "--max_predict_samples", 8]
WINDOWS = ["--max_length", 96, "--stride", 16]
BLOCKS = "num_hidden_layers=1,intermediate_size=64"
QUESTIONS = [{"query": f"{n}번 물음은 무엇인가?", "passage": f"{n % 9}번 답"} for n in range(36)]
CASES: dict[str, list[Any]] = {
    "doccls": [*DOCCLS, *SHORT, *FEW],
    "paircls": [*TINY, *SHORT, *FEW, "--corpus", "sample_nli"],
    "ner": [*TINY, *SHORT, *FEW, "--corpus", "sample_ner", "--stride", 8],
    "qa": [*TINY, *SHORT, *FEW, "--corpus", "sample_qa", *WINDOWS],
    "search": [*TINY, *SHORT, "--train_file", "faq.jsonl", "--matryoshka_dims", 32, 8],
    "rerank": [*TINY, *SHORT, "--train_file", "faq.jsonl", "--rerank_depth", 5],
    "generation": [
        *(*DECODER, *SHORT, *FEW, "--corpus sample_reviews", "--samples_per_prompt 1"),
    ],
    "pretrain": [
        *("--config_overrides", BLOCKS, "--block_size", 32, "--precision", "float32"),
        *("--use_cpu", "true", "--max_steps", 5, *STEPS, "--eval_steps", 2),
    ],
    "tokenizer": ["--text_files", "texts.txt", "--kind", "bpe", "--vocab_size", 600],
    "predict": ["model", "--input", "rows.jsonl", "--batch_size", 8],
}
# Put before a recipe: a signal when it opens, renames or deletes its N-th file.
AT_FILE = """import os, runpy, sys
left = iter(range(1, {count}))
def watch(event, arguments):
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        if next(left, None) is None and not stopped:
            stopped.append(True)
            os.kill(os.getpid(), {signal})
stopped = []
sys.addaudithook(watch)
try:
    runpy.run_path({recipe!r}, run_name="__main__")
finally:
    sys.stderr.write(f"files {{{count} - len([*left])}}\\n")
"""


class Runs:
    """Runs commands in forks, each in a folder of its own, and signals them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.server = ForkServer({**os.environ, "PYTHONPATH": str(HERE.parent)})
        save_run(folder / "model", "doccls")
        rows = [{"n": n, "text": f"{n}번째로 본 영화가 좋다"} for n in range(400)]
        self.files = [
            write_rows(folder / "rows.jsonl", rows),
            write_rows(folder / "faq.jsonl", QUESTIONS),
            written(folder / "texts.txt", "".join(f"{r['text']} 그리고 {r['n']}\n" for r in rows)),
        ]
        self.names = {path.name for path in self.files}

    def words(self, name: str) -> list[str]:
        """Return the arguments of a case."""
        words = [str(self.folder / "model") if w == "model" else str(w) for w in CASES[name]]
        if name != "predict":
            words += ["--output_dir", "run"]
        if name not in ("predict", "tokenizer"):
            words += ["--resume", "auto"]
        return words

    def __call__(
        self,
        name: str,
        here: Path,
        number: int = 0,
        after: float | None = None,
        at_file: int | None = None,
    ) -> tuple[int, str, float]:
        """Run a case in the folder `here`; return status, output and seconds.

        Args:
            number: of the signal that it gets, `after` so many seconds or `at_file` so many.
        """
        if not here.is_dir():
            here.mkdir(parents=True)
            for path in self.files:
                shutil.copy(path, here)
        recipe = name
        if at_file:
            path = str(RECIPES / f"{name}.py")
            code = AT_FILE.format(count=at_file, signal=int(number), recipe=path)
            written(self.folder / "watched" / f"{name}.py", code)
            recipe = str(self.folder / "watched" / name)
        env = {"HF_HOME": str(here / ".hf"), "HF_DATASETS_CACHE": str(here / ".hf" / "datasets")}
        signals = [(SECONDS, signal.SIGKILL)]
        signals += [(after, number)] if after is not None else []
        begun = time.monotonic()
        found = self.server.run(here, recipe, *self.words(name), env=env, signals=signals)
        return found.status, found.stdout + found.stderr, time.monotonic() - begun


def left(name: str, here: Path) -> dict[str, str]:
    """Return the hashes of what must not change, and the names of all files that are there."""
    found = {}
    for path in sorted(here.rglob("*")):
        place = path.relative_to(here)
        if path.is_dir() or ".hf" in place.parts or path.name == ".lock":
            continue
        content = path.read_bytes()
        if path.name == "metrics.json":
            content = json.dumps(without_times(json.loads(content))).encode()
        elif path.name == "run.json":
            content = json.loads(content)["status"].encode()
        elif path.suffix in (".png", ".md"):  # of times, and of fonts
            content = b""
        found[str(place)] = hashlib.sha256(content).hexdigest()
    return found


def names_in(here: Path) -> set[str]:
    """Return the names in a folder but for the cache; of none, nothing."""
    return {path.name for path in here.iterdir() if path.name != ".hf"} if here.is_dir() else set()


def fault(status: int, output: str, number: int, wrote: bool = True) -> str:
    """Return what is wrong with how a run ended that got the signal `number`; 0 for none."""
    if status == -signal.SIGTERM and number == signal.SIGTERM and not (output or wrote):
        return ""
    if "Traceback" in output:
        return "a traceback: " + output[-1500:]
    if status == 0 or (status == -signal.SIGKILL and number == signal.SIGKILL):
        return ""
    if number == signal.SIGTERM and status == 143:
        errors = [line for line in output.splitlines() if line.startswith("error: ")]
        return "" if len(errors) == 1 else f"{len(errors)} errors"
    return f"status {status}: {output[-500:]}"


def kill(
    kills: int, seed: int, names: list[str], say: Callable[[str], None] = print
) -> Counter[str]:
    """Kill and continue runs until there were `kills`; return what was tried, right and wrong."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        runs = Runs(Path(folder))
        expected: dict[str, tuple[dict[str, str], float, int]] = {}
        for number in range(10 * kills):
            if counts["tried"] >= kills:
                break
            name = names[number % len(names)]
            here = Path(folder) / name
            if name not in expected:
                status, output, seconds = runs(name, here, at_file=100_000)
                assert status == 0, f"{name} undisturbed: status {status}: {output[-800:]}"
                files = int(re.search(r"^files (\d+)$", output, re.MULTILINE)[1])
                expected[name] = left(name, here), seconds, files
                say(f"{name} undisturbed: {seconds:.1f} s, {files} files")
                shutil.rmtree(here)
            moments, wrong = [], ""
            whole, seconds, files = expected[name]

            def refuses(name: str = name, here: Path = here, whole: Any = whole) -> bool:
                """Whether all is done: predict's command does not replace its output."""
                return name == "predict" and left(name, here) == whole

            for _ in range(random_.choice((1, 1, 2))):
                sent = random_.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
                after, at_file = random_.uniform(0.01, seconds), random_.randint(1, files)
                by_file = random_.random() < 0.6
                moment: dict[str, Any] = {"at_file": at_file} if by_file else {"after": after}
                before = names_in(here)
                status, output, spent = runs(name, here, sent, **moment)
                if status == 0:  # it had ended before; the first also imports
                    expected[name] = whole, min(seconds, spent), files
                    break
                word = f"at file {at_file}" if by_file else f"after {after:.2f} s"
                moments.append(f"{sent.name} {word}")
                wrote = names_in(here) != (before or runs.names)
                wrong = wrong or fault(status, output, sent, wrote)
                if refuses():
                    break
            if moments:
                if not refuses():
                    status, output, _ = runs(name, here)
                    wrong = wrong or fault(status, output, 0)
                if not wrong and (found := left(name, here)) != whole:
                    other = sorted(n for n in {**found, **whole} if found.get(n) != whole.get(n))
                    wrong = f"differs: {', '.join(other)}"
                counts["tried"] += len(moments)
                counts["wrong" if wrong else "right"] += len(moments)
                counts[name] += len(moments)
                say(f"{name}: {', '.join(moments)}: {wrong or 'right'}")
            shutil.rmtree(here)
        runs.server.close()
    each = ", ".join(f"{name} {counts[name]}" for name in names)
    say(
        f"kills: {counts['tried']} tried, {counts['right']} right, {counts['wrong']} wrong ({each})"
    )
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=100)
    parser.add_argument("recipes", nargs="*", help=", ".join(CASES))
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_intermixed_args()

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    sys.exit(bool(kill(options.kills, options.seed, options.recipes or [*CASES], say)["wrong"]))
