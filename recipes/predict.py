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

from nlpbook_data.errors import InputError
from nlpbook_data.inference.command_line import check_positive, new_parser
from nlpbook_data.inference.decoding import DECODING
from nlpbook_data.inference.journal import Journal, predict_table
from nlpbook_data.inference.places import describe_input, describe_model, find_files, journal_of
from nlpbook_data.inference.predictor import DECODING_RANGES, INPUTS, load_predictor
from nlpbook_data.inference.tables import FORMATS, open_rows, pack
from nlpbook_data.own_files.tables import check_columns
from nlpbook_data.reading.text import packing_of
from nlpbook_data.training.launch import run_program

logger = logging.getLogger("nlpbook_data.recipes.predict")

COLUMNS = sorted({column for sets in INPUTS.values() for names in sets for column in names})
# Of `Predictor.predict`.
OPTIONS = ("details", "threshold", "max_new_tokens", "method", "seed", *DECODING_RANGES)


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = new_parser(__doc__)
    option = parser.add_argument
    option("model", help="the folder of a finished run or of export.py, or a name on the Hub")
    option("--input", default="-", help="a file; - (the default): standard input")
    option("--output", help="a file, or -; by default INPUT.predicted.csv, or standard output")
    option("--format", choices=[name[1:] for name in FORMATS], help="where no file's name says it")
    option("--separator", help="between cells of csv, where it is not , ; or a tab")
    option("--sheet_name", help="of xlsx, the first")
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
    for name, (least, most) in DECODING_RANGES.items():
        option(f"--{name}", type=type(least), metavar=f"{least}..{most}", help="of generation")
    for column in COLUMNS:
        option(f"--{column}_column_name", help=argparse.SUPPRESS)
    return parser.parse_args()


def main(options: argparse.Namespace, scratch: Path) -> None:
    # 1. The file: its rows, unchanged, and its columns
    check_positive(options, "batch_size", "max_new_tokens")
    source, target = find_files(options, scratch)
    name = options.input if options.input != "-" else source.name
    suffix = options.format and f".{options.format}"
    table = open_rows(source, scratch, suffix, options.separator, name, options.sheet_name)

    # 2. The model: its task, its input columns and its outputs
    named = {c: getattr(options, f"{c}_column_name") for c in COLUMNS}
    predictor = load_predictor(
        options.model,
        columns={column: name for column, name in named.items() if name},
        header=None if table.is_plain else table.header,
        device=options.device,
        batch_size=options.batch_size,
        revision=options.model_revision,
    )
    if table.is_plain and len(predictor.columns) > 1:
        raise InputError(
            f"{name}: a line of text is one column, and the model reads "
            f"{' and '.join(predictor.columns)}. Save it as csv with these columns."
        )
    columns = table.header if table.is_plain else predictor.columns
    advice = " and ".join(f"--{column}_column_name" for column in predictor.inputs)
    check_columns(name, table.header, columns, f"Name yours with {advice}.")
    chosen = {name: value for name in OPTIONS if (value := getattr(options, name)) is not None}
    kinds = predictor.outputs(**chosen) | {"error": "text"}
    kinds = {options.prefix + name: kind for name, kind in kinds.items()}
    if taken := sorted(kinds.keys() & {*table.header}):
        raise InputError(
            f"{name}: it has a column {taken[0]!r} already. Pass --prefix new_, for one, to have "
            "other names for the new columns."
        )

    # 3. Predictions, in a journal next to the output: those already in it are not made again
    command = {
        "input": describe_input(source),
        "sheet": options.sheet_name,
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
        raise InputError(f"{target or name}: every row failed; the column error says why.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nlpbook-") as scratch:
        run_program(
            lambda: main(parse_arguments(), Path(scratch)),
            interrupted="Interrupted. The same command goes on from here.",
        )
