r"""Predictions for the rows of a file, by the model of any finished run but search and rerank.

    python recipes/predict.py outputs/doccls --input reviews.csv
writes reviews.predicted.csv: all columns of reviews.csv, then prediction, score and error. csv,
tsv, xlsx, jsonl, parquet and txt, also .gz or .zst, are written as what they were. Task, columns,
length and thresholds are those of training. To name your column, and to see all probabilities:
    python recipes/predict.py outputs/doccls --input 후기.xlsx --text_column_name 본문 --details
Lines from another program:
    cat lines.txt | python recipes/predict.py outputs/ner > entities.txt
What was stopped, even by kill -9, goes on by the same command.
"""

import argparse
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.inference.command_line import check_positive, new_parser
from nlpbook_data.inference.decoding import DECODING
from nlpbook_data.inference.journal import Journal, predict_table
from nlpbook_data.inference.predictor import INPUTS, load_predictor
from nlpbook_data.inference.tables import FORMATS, copy_pipe, open_table, pack, unpack
from nlpbook_data.own_files.tables import check_columns, first_text_line
from nlpbook_data.reading.text import format_of, packing_of
from nlpbook_data.training.launch import run_program

logger = logging.getLogger("nlpbook_data.recipes.predict")

COLUMNS = sorted({column for sets in INPUTS.values() for names in sets for column in names})
OPTIONS = ("details", "threshold", "max_new_tokens", "method", "seed")  # of `Predictor.predict`


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = new_parser(__doc__)
    option = parser.add_argument
    option("model", help="the folder of a finished run or of export.py, or a name on the Hub")
    option("--input", default="-", help="a file; - (the default): standard input")
    option("--output", help="a file, or -; by default INPUT.predicted.csv, or standard output")
    option("--format", choices=[name[1:] for name in FORMATS], help="where no file's name says it")
    option("--separator", help="between cells of csv, where it is not , ; or a tab")
    option("--prefix", default="", help="before the names of the new columns")
    option("--overwrite", action="store_true", help="replace an output that is there")
    option("--batch_size", type=int, default=32, help="rows that the model reads at a time")
    option("--device", help="cpu, cuda, …; by default an accelerator where there is one")
    option("--model_revision", default="main", help="branch, tag or commit on the Hub")
    option("--details", action="store_true", default=None, help="all probabilities, or positions")
    option("--threshold", type=float, help="a label is given above it (several labels), 0.5")
    option("--max_new_tokens", type=int, help="of a generated text, those of training")
    option("--method", choices=list(DECODING), help="of generation, top-p")
    option("--seed", type=int, help="of generation, 42")
    for column in COLUMNS:
        option(f"--{column}_column_name", help=argparse.SUPPRESS)
    return parser.parse_args()


def main(options: argparse.Namespace, scratch: Path) -> None:
    # 1. The file: its rows, unchanged, and its columns
    check_positive(options, "batch_size", "max_new_tokens")
    source, target = find_files(options, scratch)
    suffix = f".{options.format}" if options.format else format_of(source)
    unpacked = unpack(source, scratch)
    if suffix == ".txt" and not options.format and "\t" in first_text_line(unpacked):
        suffix = ".tsv"  # as in training: NSMC's own files are called .txt
    table = open_table(unpacked, suffix, options.separator)
    table.name = options.input if options.input != "-" else source.name
    is_plain = suffix == ".txt"

    # 2. The model: its task, its input columns and its outputs
    named = {c: getattr(options, f"{c}_column_name") for c in COLUMNS}
    predictor = load_predictor(
        options.model,
        columns={column: name for column, name in named.items() if name},
        header=None if is_plain else table.header,
        device=options.device,
        batch_size=options.batch_size,
        revision=options.model_revision,
    )
    if is_plain and len(predictor.columns) > 1:
        raise InputError(
            f"{source}: a line of text is one column, and the model reads "
            f"{' and '.join(predictor.columns)}. Save it as csv with these columns."
        )
    columns = table.header if is_plain else predictor.columns
    advice = " and ".join(f"--{column}_column_name" for column in predictor.inputs)
    check_columns(source, table.header, columns, f"Name yours with {advice}.")
    chosen = {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}
    kinds = predictor.outputs(**chosen) | {"error": "text"}
    kinds = {options.prefix + name: kind for name, kind in kinds.items()}
    if taken := sorted(kinds.keys() & {*table.header}):
        raise InputError(
            f"{source}: it has a column {taken[0]!r} already. Pass --prefix new_, for one, to have "
            "other names for the new columns."
        )

    # 3. Predictions, in a journal next to the output: those already in it are not made again
    command = {
        "input": describe_input(source),
        "model": describe_model(options),
        "columns": list(columns),
        "new columns": list(kinds),
        "options": chosen,
    }
    beside = journal_of(target) if target else scratch / "journal"
    whole = beside.with_name(f"{beside.name}.whole")
    journal = Journal(beside, command)
    finished = False
    try:
        for outputs in predict_table(table, predictor, columns, chosen, skip=journal.done):
            journal.append([{options.prefix + k: v for k, v in row.items()} for row in outputs])

        if describe_input(source) != command["input"]:
            raise InputError(f"{source}: it was changed meanwhile. Delete {beside} to start anew.")

        # 4. The same rows with the new columns; the output file is complete or does not exist
        failed = sum(f"{options.prefix}error" in row for row in journal)
        packing = packing_of(target) if target else ""
        rewritten = scratch / f"{source.name}.rewritten" if packing else whole
        table.write(rewritten, journal, kinds, predictor.label_separator)
        if packing:
            pack(rewritten, whole, packing)
        if target:
            os.replace(whole, target)
        else:
            with whole.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        finished = True
    finally:
        whole.unlink(missing_ok=True)
        journal.close(delete=finished)
    logger.info("%s: %s rows, %s failed", target or "-", f"{journal.done:,}", f"{failed:,}")
    if failed and failed == journal.done:
        raise InputError(f"{target or source}: every row failed; the column error says why.")


def find_files(options: argparse.Namespace, scratch: Path) -> tuple[Path, Path | None]:
    """Return the input and output files; a pipe is copied to a file, None is stdout.

    Raises:
        InputError: the output exists, is the input, or would have another format; nothing says
            which format the input has.
    """
    source, default = Path(options.input), "-"
    if options.input == "-":
        options.format = options.format or "txt"
    elif not (options.format or source.suffix):
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
    return target.with_name(f"{target.name}.partial")


def describe_input(source: Path) -> list[Any]:
    return [source.name, source.stat().st_size, source.stat().st_mtime_ns]


def describe_model(options: argparse.Namespace) -> Any:
    """Return an identification of the model: sizes and times of its files, or its name."""
    files = sorted(Path(options.model).glob("*"))
    kept = [path for path in files if path.suffix in (".safetensors", ".onnx", ".json")]
    found = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in kept}
    return found or [options.model, options.model_revision]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nlpbook-") as scratch:
        run_program(
            lambda: main(parse_arguments(), Path(scratch)),
            interrupted="Interrupted. The same command goes on from here.",
        )
