"""Where predictions of a file's rows are read and written, and what tells a command's from others'.

source, target = find_files(options, scratch)
"""

import argparse
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.inference.tables import copy_pipe
from nlpbook_data.own_files.tables import require_file
from nlpbook_data.reading.text import format_of, packing_of


def find_files(options: argparse.Namespace, scratch: Path) -> tuple[Path, Path | None]:
    """Return the input and output files; a pipe is copied to a file, None is stdout.

    Args:
        options: with input, output, format and overwrite; without a format, standard input is txt.

    Raises:
        InputError: the input is not there or empty, or nothing says its format; the output exists,
            is the input, or would have another format.
    """
    source, default = Path(options.input), "-"
    if options.input == "-":
        options.format = options.format or "txt"
    elif not source.is_fifo():
        require_file(source)
    if not (options.format or source.suffix):
        raise InputError(f"{source}: its name does not say its format. Say it by --format.")
    if options.input == "-" or source.is_fifo():  # such as <(command) in a shell
        pipe = None if options.input == "-" else source
        source = scratch / f"stdin.{options.format or source.suffix[1:]}"
        copy_pipe(pipe, source)
    else:
        packing = packing_of(source)
        plain = source.with_suffix("") if packing else source
        suffix = f".{options.format}" if options.format else plain.suffix
        default = str(source.with_name(f"{plain.stem}.predicted{suffix}{packing}"))
    if (options.output or default) == "-":
        return source, None
    target = Path(options.output or default)
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target}: it is the input too. Name another --output.")
    if target.exists() and not target.is_file():
        raise InputError(f"{target}: not a file. Name one by --output; - is standard output.")
    # a journal beside it is of a command that was killed right after it had written the output
    if target.exists() and not options.overwrite and not journal_of(target).exists():
        raise InputError(f"{target} is there already. Pass --overwrite, or name another --output.")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: no such folder. Make it, or name another --output.")
    suffix = f".{options.format}" if options.format else format_of(source)
    suffix += packing_of(source).lower()
    if not target.name.lower().endswith(suffix):
        raise InputError(f"{target}: rows are written as they are read. Let it end in {suffix}.")
    return source, target


def journal_of(target: Path) -> Path:
    """Return the file of a `Journal` beside `target`."""
    return target.with_name(f"{target.name}.partial")


def describe_input(source: Path) -> list[Any]:
    """Return what a change of the file would change: its name, size and time."""
    return [source.name, source.stat().st_size, source.stat().st_mtime_ns]


def describe_model(options: argparse.Namespace) -> Any:
    """Return an identification of the model: sizes and times of its files, or its name."""
    files = sorted(Path(options.model).glob("*"))
    kept = [path for path in files if path.suffix in (".safetensors", ".onnx", ".json")]
    found = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in kept}
    return found or [options.model, options.model_revision]
