"""Watch a recipe from inside its process, or kill it there, without a change to the command.

This file is copied as ``sitecustomize.py`` into a folder on PYTHONPATH (`environment`), or loaded
by a wrapper in a fork of the warm process (`wrapper`). It does nothing unless SPY is set.
"""

import functools
import importlib.abc
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def environment(
    folder: Path, kill: str | None = None, package: Path | None = None, slow: float = 0
) -> dict[str, str]:
    """Return the environment that watches a run; what is seen is written into `folder`.

    Args:
        kill: ``module:Class.function:N``, the process kills itself by SIGKILL when it is called
            for the N-th time; ``rmtree:N``: in the middle of the N-th deletion of a checkpoint.
        package: a folder that holds another nlpbook_data, imported in place of the installed one.
        slow: seconds that each call of a tokenizer takes longer.
    """
    (folder / "site").mkdir(parents=True)
    shutil.copy(__file__, folder / "site" / "sitecustomize.py")
    paths = [folder / "site", package, os.environ.get("PYTHONPATH")]
    return {
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SPY": str(folder),
        "SPY_KILL": kill or "",
        "SPY_PACKAGE": str(package or ""),
        "SPY_SLOW": str(slow),
    }


def wrapper(folder: Path, recipe: str = "doccls") -> str:
    """Return what `fork_recipe` takes as the recipe, so that `environment` works in a fork too."""
    path = folder / f"{recipe}.py"
    path.write_text(
        f"import runpy, sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import spy\nspy.forget_package()\nspy.install()\n"
        f"runpy.run_path({str(RECIPES / path.name)!r}, run_name='__main__')\n"
    )
    return str(path.with_suffix(""))


def trained(folder: Path) -> list[dict[str, Any]]:
    """Return the micro-batches that the processes trained on, in order of rank and time.

    Each has ``rank``, ``epoch`` (from 0), ``rows`` (token ids without padding), ``labels`` and
    ``package``, the file of nlpbook_data.
    """
    return [batch for _, batch in _read(folder, "trained")]


def tokenized(folder: Path) -> dict[int, int]:
    """Return how many rows each rank tokenized."""
    rows: dict[int, int] = {}
    for rank, count in _read(folder, "tokenized"):
        rows[rank] = rows.get(rank, 0) + count
    return rows


def _read(folder: Path, what: str) -> Iterator[tuple[int, Any]]:
    for path in sorted(folder.glob(f"{what}-*.jsonl")):
        for line in path.read_text().splitlines():
            yield int(path.stem.rsplit("-")[-1]), json.loads(line)


def _write(what: str, value: Any) -> None:
    path = Path(os.environ["SPY"]) / f"{what}-{os.environ.get('RANK', 0)}.jsonl"
    with path.open("a") as file:
        file.write(json.dumps(value) + "\n")


def forget_package() -> None:
    """Let a fork import another nlpbook_data than the process that it was forked from."""
    if os.environ["SPY_PACKAGE"]:
        sys.dont_write_bytecode = True
        sys.path.insert(0, os.environ["SPY_PACKAGE"])
        for name in [name for name in sys.modules if name.split(".")[0] == "nlpbook_data"]:
            del sys.modules[name]


def install() -> None:
    """Watch training steps and tokenizers, in modules that are imported or will be."""
    patches: dict[str, list[Callable[[ModuleType], None]]] = {
        "transformers.trainer": [_watch_steps],
        "transformers.tokenization_utils_base": [_watch_tokenizers],
    }
    kill = os.environ["SPY_KILL"]
    if kill.startswith("rmtree:"):
        _kill_in_rmtree(int(kill.split(":")[1]))
    elif kill:
        module, function, count = kill.split(":")
        patches.setdefault(module, []).append(lambda m: _kill_at(m, function, int(count)))
    for module in [module for module in patches if module in sys.modules]:
        for patch in patches.pop(module):
            patch(sys.modules[module])
    sys.meta_path.insert(0, _AfterImport(patches))


class _AfterImport(importlib.abc.MetaPathFinder):
    def __init__(self, patches: dict[str, list[Callable[[ModuleType], None]]]):
        self.patches = patches

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        patches = self.patches.pop(name, None)
        if patches is None:
            return None
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for patch in patches:
                patch(module)

        spec.loader.exec_module = exec_module
        return spec


def _watch_steps(trainer: ModuleType) -> None:
    step = trainer.Trainer.training_step

    @functools.wraps(step)
    def training_step(self: Any, model: Any, inputs: dict, *args: Any, **kwargs: Any) -> Any:
        masks = inputs["attention_mask"].bool()
        rows = [ids[mask].tolist() for ids, mask in zip(inputs["input_ids"], masks, strict=True)]
        batch = {"rank": self.args.process_index, "epoch": int(self.state.epoch or 0)}
        batch |= {"rows": rows, "labels": inputs["labels"].tolist()}
        _write("trained", batch | {"package": sys.modules["nlpbook_data"].__file__})
        return step(self, model, inputs, *args, **kwargs)

    trainer.Trainer.training_step = training_step


def _watch_tokenizers(module: ModuleType) -> None:
    call = module.PreTrainedTokenizerBase.__call__

    @functools.wraps(call)
    def __call__(self: Any, text: Any = None, *args: Any, **kwargs: Any) -> Any:
        _write("tokenized", 1 if isinstance(text, str) else len(text))
        time.sleep(float(os.environ["SPY_SLOW"]))
        return call(self, text, *args, **kwargs)

    module.PreTrainedTokenizerBase.__call__ = __call__


def _kill_at(module: ModuleType, function: str, count: int) -> None:
    owner, _, name = function.rpartition(".")
    owner = getattr(module, owner) if owner else module
    original = getattr(owner, name)
    calls = iter(range(1, count))

    @functools.wraps(original)
    def killing(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, killing)


def _kill_in_rmtree(count: int) -> None:
    """Leave the N-th checkpoint that is deleted without its optimizer: rmtree has no order."""
    original = shutil.rmtree
    calls = iter(range(1, count))

    def rmtree(path: Any, *args: Any, **kwargs: Any) -> None:
        if Path(path).name.startswith("checkpoint-") and next(calls, None) is None:
            (Path(path) / "optimizer.pt").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        original(path, *args, **kwargs)

    shutil.rmtree = rmtree


if __name__ == "sitecustomize" and os.environ.get("SPY"):
    install()
