r"""How fast every recipe is, beside padding, the plain example's settings and what the model needs.

    python benchmarks/speed.py
    python benchmarks/speed.py --corpus_dir ../shared/corpora --shape 4x256 \
        --tokenizer_name ../shared/tokenizers/kcbert-base
    python benchmarks/speed.py --rounds 1 --rows 160 --recipes doccls    # a trial

Prints tables and writes benchmarks/speed.json. Starts are whole processes, cold (an empty cache),
then warm, in turn with `accelerate launch` of the recipe's imports of other libraries. Training
runs in one process: one epoch of the same rows and model a way, the ways in turn:

- default: the recipe as it is, but without checkpoints;
- padded: rows in random order, each padded to --max_length;
- example: what Hugging Face's example script of the task does: batches of 8 in random order,
  padded to --max_length in run_glue and run_qa, else to the longest; for search and rerank
  sentence-transformers' own trainer with its defaults;
- floor: forward, backward and step alone, on the default's batches, made before.

Ratios are of one round; the median of the rounds is shown. Where others use the cores, pass
--cpu_seconds: seconds are then the processor's, of all threads and processes.
"""

import argparse
import ast
import copy
import importlib
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from checkout import commit, device_name

ROOT = Path(__file__).resolve().parents[1]
TRAINERS = {
    "pretrain": ("nlpbook_data.training.pretraining", "BlockTrainer"),
    "search": ("nlpbook_data.search.training", "RecipeSentenceTransformerTrainer"),
    "rerank": ("nlpbook_data.search.reranking", "RecipeCrossEncoderTrainer"),
}
RECIPES = ("doccls", "paircls", "ner", "qa", "search", "rerank", "generation", "pretrain")
REAL = {"doccls": "nsmc", "paircls": "klue-nli", "ner": "klue-ner"}  # with --corpus_dir
TEXTS = {
    "paircls": ("premise", "hypothesis"),
    "qa": ("question", "context"),
    "search": ("query", "passage"),
    "rerank": ("query", "passage"),
}
FIXED = ("doccls", "paircls", "qa")  # run_glue.py and run_qa.py pad to the maximum
CPU = "--cpu_seconds" in sys.argv or json.loads(os.environ.get("SPEED", "[0]"))[-1] is True
ALIKE = "import torch, datasets, transformers\nfrom transformers import AutoModel, Trainer\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    parser.add_argument("--corpus_dir", help="train on NSMC, KLUE-NLI and KLUE-NER there")
    parser.add_argument("--tokenizer_name", help="with --shape: for its vocabulary")
    parser.add_argument("--shape", help="layers x width of random weights, there")
    parser.add_argument("--rows", type=int, default=3200, help="of train, at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=1, help="cold and warm ones")
    parser.add_argument("--cpu_seconds", action="store_true", help="others use the cores too")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "speed.json")
    options = parser.parse_args()
    found: dict[str, Any] = {"commit": commit(), "device": device_name()}
    found["cores"] = os.cpu_count()
    found["seconds"] = "of the processor" if CPU else "of the clock"
    found |= {"rows": options.rows, "rounds": options.rounds, "shape": options.shape or "its own"}
    with tempfile.TemporaryDirectory() as folder:
        found["imports"] = compare_imports(Path(folder), options.starts)
        show_imports(found["imports"])
        found["recipes"] = {}
        for recipe in options.recipes:
            found["recipes"][recipe] = measured = measure(recipe, options, Path(folder) / recipe)
            show(recipe, measured)
            options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def timed(do: Callable[[], Any]) -> float:
    start = time.perf_counter()
    do()
    return round(time.perf_counter() - start, 3)


def timed_command(command: list[str]) -> float:
    """Return the seconds that `command` and all processes below it take."""

    def seconds() -> float:
        spent = os.times()
        return spent.children_user + spent.children_system if CPU else time.perf_counter()

    start = seconds()
    subprocess.run(command, check=True, capture_output=True)
    return round(seconds() - start, 3)


def compare_imports(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Time the commands that only say something, each in turn with what it cannot do without."""
    doccls, python = ROOT / "recipes" / "doccls.py", [sys.executable, "-c"]
    commands = {
        "import torch, transformers": [*python, "import torch, transformers"],
        "imports of doccls": [*python, other_imports(doccls)],
        "doccls --help": [sys.executable, str(doccls), "--help"],
        "import datasets": [*python, "import datasets"],
        "nlpbook-data list": [sys.executable, "-m", "nlpbook_data", "list"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    timed_command(commands["nlpbook-data list"])  # fills the cache
    for _ in range(rounds):
        for name, command in commands.items():
            seconds[name].append(timed_command(command))
    return seconds


def other_imports(recipe: Path) -> str:
    """Return the recipe's imports of other libraries, with what any example of Trainer imports."""
    nodes = ast.parse(recipe.read_text(encoding="utf-8")).body
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return ALIKE + "\n".join(line for line in map(ast.unparse, imports) if "nlpbook" not in line)


def measure(recipe: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start a recipe cold and warm, beside its bare imports; then train in all ways."""
    words = ["--baselines", "false", "--eval_strategy", "no", "--save_strategy", "no"]
    words += ["--load_best_model_at_end", "false", "--num_train_epochs", "1", "--resume", "never"]
    config = ROOT / "recipes" / "configs" / f"{recipe}.yaml"
    words += ["--config", str(config)]
    corpus = REAL.get(recipe) if options.corpus_dir else None
    if corpus:
        words += ["--corpus", corpus, "--corpus_dir", options.corpus_dir]
    if options.shape and corpus:
        layers, width = map(int, options.shape.split("x"))
        shape = {"num_hidden_layers": layers, "hidden_size": width}
        shape |= {"num_attention_heads": width // 64, "intermediate_size": 4 * width}
        tokenizer = options.tokenizer_name or "package:models/tiny_encoder"
        values = ",".join(f"{name}={value}" for name, value in shape.items())
        words += ["--from_scratch", "true", "--config_overrides", values]
        words += ["--model_name_or_path", tokenizer]
    starts, bare = [], folder / "bare.py"
    folder.mkdir()
    bare.write_text(other_imports(ROOT / "recipes" / f"{recipe}.py"))
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
    for number in range(options.starts):
        cache = folder / f"cache{number}"
        starts.append({"bare imports": timed_command([*accelerate, str(bare)])})
        for when in ("cold", "warm"):
            starts[-1][when] = child(accelerate, "start", recipe, words, folder, cache)
    if recipe != "pretrain":
        words += ["--max_train_samples", str(options.rows)]
        words += ["--max_eval_samples", str(max(options.rows // 4, 1))]
    rounds = child(accelerate, f"train {options.rounds}", recipe, words, folder, cache)
    return {"corpus": corpus or "its sample", "starts": starts, **rounds}


def child(
    launcher: list[str], what: str, recipe: str, words: list[str], folder: Path, cache: Path
) -> dict[str, Any]:
    """Run a recipe with `Measured` in the place of its trainer; add the memory of all processes."""
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    environment = os.environ | {"HF_DATASETS_CACHE": str(cache)}
    environment["SPEED"] = json.dumps([what, recipe, time.time(), str(result), CPU])
    log = folder / "log.txt"
    with log.open("w") as output:
        process = psutil.Popen(
            [*launcher, __file__, *words, "--output_dir", str(folder / what.split()[0])],
            env=environment,
            stdout=output,
            stderr=output,
        )
        peak = 0
        while process.poll() is None:
            if not result.exists():  # later come the other ways, and batches made before
                peak = max(peak, tree_memory(process))
            time.sleep(0.2)
    if process.returncode or not result.exists():
        raise SystemExit(f"{recipe}, {what}:\n{log.read_text()[-3000:]}")
    return {**json.loads(result.read_text()), "memory MiB": peak >> 20}


def tree_memory(process: psutil.Process) -> int:
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.Error:
            pass
    return total


def run_child() -> None:
    """Be the recipe that SPEED names, with a trainer that measures."""
    what, recipe, began, result, _ = json.loads(os.environ["SPEED"])
    if CPU:
        time.perf_counter = time.process_time  # the recipe's own phases too
    module, name = TRAINERS.get(recipe, ("nlpbook_data.training", "RecipeTrainer"))
    home = importlib.import_module(module)
    base = getattr(home, name)

    class Measured(base):  # type: ignore[valid-type, misc]
        def train(self, *args: Any, **kwargs: Any) -> None:
            if what == "start":
                self.add_callback(on_start(self, recipe, began, Path(result)))
                super().train()
            ways = Ways(self, recipe, lambda: base.train(self), Path(result))
            ways.run(int(what.split()[1]))
            os._exit(0)

    setattr(home, name, Measured)
    program = str(ROOT / "recipes" / f"{recipe}.py")
    sys.argv[0] = program
    runpy.run_path(program, run_name="__main__")


def on_start(trainer: Any, recipe: str, began: float, result: Path) -> Any:
    """Return a callback that notes at the first batch what came before, and ends the process."""
    from transformers import TrainerCallback

    class Start(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            both = psutil.Process(), psutil.Process().parent()
            spent = sum(sum(one.cpu_times()[:2]) for one in both)
            seconds = {"first batch": spent if CPU else time.time() - began}
            records = [getattr(one, "record", None) for one in trainer.callback_handler.callbacks]
            phases = next(filter(None, records))["seconds"]
            seconds |= {"preparation": sum(phases.values()), "phases": phases}
            rows, texts = read_texts(recipe)
            start = time.perf_counter()
            tokenizer, step = trainer.processing_class, 1000
            for n in range(0, rows, step):
                parts = [column[n : n + step] for column in texts]
                length = tokenizer.model_max_length
                tokenizer(*parts, truncation=True, max_length=length, return_attention_mask=False)
            seconds |= {"bare tokenizer": time.perf_counter() - start, "rows": rows}
            result.write_text(json.dumps(seconds))
            os._exit(0)

    return Start()


def read_texts(recipe: str) -> tuple[int, list[list[str]]]:
    """Return how many rows the corpus has, and its texts, of all splits, by column."""
    from nlpbook_data import load_corpus

    words = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
    sample = {"paircls": "nli", "ner": "ner", "qa": "qa", "search": "search", "rerank": "search"}
    corpus = words.get("--corpus", f"sample_{sample.get(recipe, 'reviews')}")
    splits = load_corpus(corpus, words.get("--corpus_dir")).values()
    columns = TEXTS.get(recipe, ("text",))
    texts = [[text for rows in splits for text in rows[column][:]] for column in columns]
    return len(texts[0]), texts


class Ways:
    """One trainer's model and rows, trained and scored in several ways."""

    def __init__(self, trainer: Any, recipe: str, train: Callable[[], Any], result: Path):
        self.trainer, self.recipe, self.train, self.result = trainer, recipe, train, result
        self.given = copy.copy(trainer.args), trainer.data_collator
        self.is_st = recipe in ("search", "rerank")

    def run(self, rounds: int) -> None:
        """Measure all ways in turn, and write what was found."""
        found: dict[str, Any] = {"rounds": []}
        ways = {"default": self.default, "padded": self.padded, "example": self.example}
        ways |= {"floor": self.floor}
        for _ in range(rounds):
            found["rounds"].append({})
            for name, way in ways.items():
                if seconds := way():
                    found["rounds"][-1][name] = seconds
                self.trainer.args, self.trainer.data_collator = map(copy.copy, self.given)
                self.result.write_text(json.dumps(found))  # the memory of what follows is not noted
        found |= {"train rows": len(self.trainer.train_dataset), "tokens": self.tokens}
        found["precision"] = self.trainer.args.mixed_precision
        found["eval rows"] = self.eval_rows
        self.result.write_text(json.dumps(found))

    def whole(self) -> dict[str, float]:
        """Train an epoch and score validation; return the seconds of both."""
        return {"training": timed(self.train), "evaluation": timed(self.evaluate)}

    def evaluate(self) -> None:
        if self.is_st:
            self.trainer.evaluator(self.trainer.model)
        else:
            self.trainer.evaluate()

    @property
    def eval_rows(self) -> int:
        if self.is_st:
            evaluator = self.trainer.evaluator
            return len(getattr(evaluator, "queries", None) or evaluator.part.queries)
        return len(self.trainer.eval_dataset)

    def default(self) -> dict[str, float]:
        return self.whole()

    def padded(self) -> dict[str, float] | None:
        trainer = self.trainer
        if self.recipe == "pretrain" or self.is_st:  # blocks are full; those tokenize by themselves
            return None
        trainer.args.train_sampling_strategy = "random"
        trainer.data_collator.padding = "max_length"
        trainer.data_collator.max_length = trainer.processing_class.model_max_length
        return self.whole() | {"real tokens": self.share(trainer.get_train_dataloader())}

    def example(self) -> dict[str, float] | None:
        """As the example does: see above."""
        trainer = self.trainer
        if self.is_st:
            return self.library()
        if self.recipe in FIXED:
            trainer.data_collator.padding = "max_length"
            trainer.data_collator.max_length = trainer.processing_class.model_max_length
        trainer.args.train_sampling_strategy = "random"
        trainer.args.per_device_train_batch_size = trainer.args.per_device_eval_batch_size = 8
        return self.whole()

    def library(self) -> dict[str, float]:
        """sentence-transformers' own trainer, with its defaults: batches of 8 in random order."""
        import sentence_transformers as library

        kind = {"search": "SentenceTransformer", "rerank": "CrossEncoder"}[self.recipe]
        with tempfile.TemporaryDirectory() as folder:
            arguments = getattr(library, f"{kind}TrainingArguments")(
                folder, num_train_epochs=1, report_to="none", save_strategy="no", disable_tqdm=True
            )
            trainer = getattr(library, f"{kind}Trainer")(
                model=self.trainer.model,
                args=arguments,
                train_dataset=self.trainer.train_dataset,
                loss=self.trainer.loss,
            )
            return {"training": timed(trainer.train)}

    def floor(self) -> dict[str, float]:
        """Forward, backward and step on batches that are there; then the forward of validation."""
        import torch

        trainer, model = self.trainer, self.trainer.model
        batches = self.batches(trainer.get_train_dataloader())
        self.tokens = count_tokens(batches)
        weights = [one for one in model.parameters() if one.requires_grad]
        rate, most = trainer.args.learning_rate, trainer.args.max_grad_norm
        optimizer = torch.optim.AdamW(weights, rate, fused=True)
        measured = getattr(trainer, "compute_loss_func", None)
        model.train()

        def train() -> None:
            for batch in batches:
                items = {}
                if measured:
                    items = {"num_items_in_batch": measured.items(batch["labels"])}
                with trainer.accelerator.autocast():
                    loss = trainer.compute_loss(model, dict(batch), **items)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(weights, most)
                optimizer.step()
                optimizer.zero_grad()

        seconds = {"training": timed(train)}
        if self.is_st or self.recipe == "pretrain":
            return seconds
        batches = self.batches(trainer.get_eval_dataloader())
        model.eval()

        def evaluate() -> None:
            with torch.no_grad(), trainer.accelerator.autocast():
                for batch in batches:
                    model(**{name: v for name, v in batch.items() if name != "labels"})

        return seconds | {"evaluation": timed(evaluate)}

    def batches(self, loader: Any) -> list[dict[str, Any]]:
        import numpy as np

        trainer, random = self.trainer, np.random.default_rng(0)
        if self.recipe == "pretrain":
            return [trainer.label(batch, trainer.mask_rates[0], random) for batch in loader]
        return list(loader)

    def share(self, loader: Any) -> float:
        real, all_of_them = count_tokens(self.batches(loader))
        return real / all_of_them


def count_tokens(batches: list[dict[str, Any]]) -> tuple[int, int]:
    """Return the tokens that are no padding, and all; 0 of texts, which rerank's loss tokenizes."""
    masks = [v for batch in batches for name, v in batch.items() if name.endswith("attention_mask")]
    if not masks:
        ids = sum(batch["input_ids"].numel() for batch in batches if "input_ids" in batch)
        return ids, ids
    return sum(int(mask.sum()) for mask in masks), sum(mask.numel() for mask in masks)


def show_imports(seconds: dict[str, list[float]]) -> None:
    for name, values in seconds.items():
        sys.stdout.write(f"{name:<28}{statistics.median(values):>7.2f} s\n")


def show(recipe: str, measured: dict[str, Any]) -> None:
    """Print the table of a recipe."""
    write = sys.stdout.write
    starts, rounds = measured["starts"], measured["rounds"]
    cold, warm = ([start[when] for start in starts] for when in ("cold", "warm"))

    def middle(values: list[float]) -> float:
        return statistics.median(values)

    rows, bare = cold[0]["rows"], middle([start["bare tokenizer"] for start in cold])
    prepared = [middle([start["preparation"] for start in which]) for which in (cold, warm)]
    first = middle([start["first batch"] for start in warm])
    imports = middle([start["bare imports"] for start in starts])
    write(f"\n{recipe}, {measured['corpus']}, {measured['precision']}\n")
    write(
        f"  preparation of {rows:,} rows: {prepared[0]:.2f} s cold ({prepared[0] / bare:.2f}× the "
        f"bare tokenizer's {bare:.2f} s), {prepared[1]:.2f} s warm\n"
        f"  warm start to first batch: {first:.1f} s ({first / imports:.2f}× `accelerate launch` "
        f"with bare imports, {imports:.1f} s)\n  memory of all processes: "
        f"{measured['memory MiB']:,} MiB\n"
    )
    write(f"  {'':<10}{'train/s':>9}{'tokens/s':>10}{'default is':>12}{'eval/s':>9}{'real':>7}\n")
    real, every = measured["tokens"]
    for way in rounds[0]:
        seconds = middle([one[way]["training"] for one in rounds])
        ratio = middle([one[way]["training"] / one["default"]["training"] for one in rounds])
        scored = [one[way]["evaluation"] for one in rounds if "evaluation" in one[way]]
        score = f"{measured['eval rows'] / middle(scored):9.1f}" if scored else f"{'':>9}"
        share = rounds[0][way].get("real tokens")
        share = real / every if way == "default" and every else share
        shown = f"{share:7.3f}" if share else ""
        tokens = f"{real / seconds:>10.0f}" if real else f"{'':>10}"
        write(
            f"  {way:<10}{measured['train rows'] / seconds:>9.1f}{tokens}"
            f"{ratio:>11.2f}×{score}{shown}\n"
        )


if __name__ == "__main__":
    run_child() if "SPEED" in os.environ else main()
