"""The same run twice: undisturbed, and killed inside a step and continued."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import RECIPES

KILLER = """
import os, runpy, signal
from transformers import Trainer

def training_step(self, *args, step=Trainer.training_step, seen=[], **kwargs):
    seen.append(1)
    if len(seen) == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)

Trainer.training_step = training_step
runpy.run_path({recipe!r}, run_name="__main__")
"""


def whole_and_killed(
    fork_recipe: Callable, tmp_path: Path, recipe: str, step: int, options: list[Any]
) -> list[list[str]]:
    """Return the hashes of weights and predictions of both runs, in folders of these names."""
    killer = tmp_path / f"{recipe}.py"
    killer.write_text(KILLER.format(recipe=str(RECIPES / f"{recipe}.py"), step=step))
    results = []
    for command, folder in (
        (recipe, "whole"),
        (killer.with_suffix(""), "killed"),
        (recipe, "killed"),
    ):
        result = fork_recipe(command, *options, "--output_dir", folder)
        if command != recipe:
            assert result.status == -9, result.stderr
            continue
        assert result.status == 0, result.stderr
        files = [tmp_path / folder / n for n in ("model.safetensors", "predictions.jsonl")]
        results.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    return results
