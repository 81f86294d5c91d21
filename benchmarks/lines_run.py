"""Count the lines of ours that one run of a recipe executes, in how many functions and files.

    python benchmarks/lines_run.py                     # doccls, as it runs without arguments
    python benchmarks/lines_run.py ner --max_steps 10  # any recipe, any of its options

It says how much code stands between a reader and what the recipe does. A line counts once, however
often it runs, and only inside functions: imports and definitions are not counted. The cache is
empty at first, so that reading and tokenizing count too. Without ``--output_dir`` the run goes to a
folder that is deleted afterwards.
"""

import logging
import os
import runpy
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = (str(REPOSITORY / "nlpbook_data"), str(REPOSITORY / "recipes"))

logger = logging.getLogger("lines_run")


def lines_run(recipe: Path, arguments: list[str]) -> dict[CodeType, set[int]]:
    """Run `recipe` in this process; return the numbers of the lines that ran, by function.

    Comprehensions and lambdas are in it, under names such as ``<listcomp>``; the bodies of modules
    and classes are not.
    """
    seen: dict[CodeType, set[int]] = {}

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        ours = code.co_filename.startswith(OURS) and code.co_filename.endswith(
            ".py"
        )  # no templates
        # Not modules' and classes' own bodies, nor the comprehensions that stand there
        outer = frame.f_back.f_code if code.co_name.startswith("<") and frame.f_back else code
        if not ours or not (code.co_flags & outer.co_flags & 0x1):  # CO_OPTIMIZED
            return None
        lines = seen.setdefault(code, set())

        def on_line(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                lines.add(frame.f_lineno)
            return on_line

        return on_line

    argv, sys.argv = sys.argv, [str(recipe), *arguments]
    threading.settrace(on_call)
    sys.settrace(on_call)
    try:
        runpy.run_path(str(recipe), run_name="__main__")
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]  # None is how it is switched off
        sys.argv = argv
    return seen


def main() -> None:
    """Print the three numbers, and the lines by file."""
    name, *arguments = sys.argv[1:] or ["doccls"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_HOME"] = f"{folder}/cache"
        if "--output_dir" not in arguments:
            arguments += ["--output_dir", f"{folder}/run"]
        seen = lines_run(REPOSITORY / "recipes" / f"{name}.py", arguments)
    lines = {(code.co_filename, line) for code, found in seen.items() for line in found}
    functions = [code for code in seen if not code.co_name.startswith("<")]
    files = Counter(str(Path(file).relative_to(REPOSITORY)) for file, _ in lines)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    for file, count in files.most_common():
        logger.info("%6d  %s", count, file)
    logger.info(
        "%s: %s lines of ours in %d functions of %d files",
        *(name, f"{files.total():,}", len(functions), len(files)),
    )


if __name__ == "__main__":
    main()
