r"""A finished run as ONNX: for onnxruntime, without PyTorch, and in 8 bits for a CPU.

    pip install 'nlpbook-recipes[onnx]'
    python recipes/export.py outputs/doccls --output outputs/doccls-onnx
outputs/doccls-onnx has the model in float32, outputs/doccls-onnx/int8 the same with products of 8
bits. Both are checked against the original on the rows of the run, or on yours:
    python recipes/export.py outputs/qa --output outputs/qa-onnx --input questions.csv
Each of the two folders is used like that of a run: python recipes/predict.py outputs/doccls-onnx
Their examples.jsonl, for demo and server, is five rows of the test split; delete it if their texts
are not yours to give.
"""

import argparse
import itertools
import json
import logging
import shlex
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.errors import InputError
from nlpbook_data.inference.command_line import check_positive, new_parser
from nlpbook_data.inference.exported import (
    FILE,
    compare,
    measure,
    quantize_graph,
    ratio,
    write_graph,
)
from nlpbook_data.inference.predictor import Predictor, Row, load_predictor
from nlpbook_data.inference.service import EXPORTED, find_examples
from nlpbook_data.inference.tables import open_rows
from nlpbook_data.own_files.tables import check_columns
from nlpbook_data.training import ModelArguments, load_config, load_tokenizer
from nlpbook_data.training.launch import run_program

logger = logging.getLogger("nlpbook_data.recipes.export")

LINE = "%-14s %7s %9s %7s %9s %10s %9s"
SINGLY, BATCHED = 100, 500  # the number of rows timed one by one, and in batches
CLOSE = 1e-4  # the largest difference of scores in float32
FASTER = 1.5  # the speed-up expected of 8 bits


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = new_parser(__doc__)
    option = parser.add_argument
    option("model", help="the folder of a finished run of doccls, paircls, ner or qa")
    option("--output", required=True, help="a new folder")
    option("--input", help="a file of rows to check by; by default those that the run predicted")
    option("--rows", type=int, default=200, help="that many of them are read")
    option("--threads", type=int, default=2, help="of the CPU, to measure the time")
    return parser.parse_args()


def main(options: argparse.Namespace, scratch: Path) -> None:
    # 1. The original model, and rows for it
    check_positive(options, "rows", "threads")
    folder = Path(options.output)
    if folder.exists():
        raise InputError(f"{folder} is there already. Name another --output, or delete it.")
    torch.set_num_threads(options.threads)
    original = load_predictor(options.model, device="cpu")
    if original.task == "generation" or not isinstance(original.model, torch.nn.Module):
        raise InputError(
            f"{options.model}: doccls, paircls, ner and qa are exported, from their runs' folders. "
            "Of what writes texts the folder itself is used, by predict, demo, serve and vllm."
        )
    rows = find_rows(options, original, scratch)

    # 2. The graph, for any number of rows and tokens, and its copy with products of 8 bits
    plain, small = scratch / "export", scratch / "export" / "int8"
    write_graph(original.model, given_inputs(original, rows[:8])[0], plain)
    quantize_graph(plain, small)
    args = ModelArguments(options.model)
    tokenizer, config = load_tokenizer(args), load_config(args)
    config.name_or_path = ""  # no path of this machine
    examples = find_examples(Path(options.model), tuple(original.inputs))
    for part in (plain, small):
        tokenizer.save_pretrained(part)
        config.save_pretrained(part)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in examples)
        (part / EXPORTED).write_text("".join(lines), encoding="utf-8")

    # 3. Compare the three: predictions and times
    exact, int8 = (load_predictor(part) for part in (plain, small))
    models = {"torch": original, "onnx float32": exact, "onnx int8": int8}
    details = dict.fromkeys({"details"} & original.options, True)
    found = {name: model.predict(rows, **details) for name, model in models.items()}
    one_by_one = [batch for row in rows[:SINGLY] for batch in given_inputs(original, [row])]
    seconds = measure(models, one_by_one)
    of_batches = measure(models, given_inputs(original, rows[:BATCHED]))
    sizes = {"torch": sum(p.numel() * p.element_size() for p in original.model.parameters())}
    sizes["onnx float32"] = sum(path.stat().st_size for path in plain.glob(f"{FILE}*"))
    sizes["onnx int8"] = (small / FILE).stat().st_size
    report: dict[str, Any] = {"rows": len(rows), "threads": options.threads, "models": {}}
    logger.info(LINE, "model", "MB", "ms a row", "speed", "batches", "same", "change")
    for name in models:
        pairs = [compare(*two) for two in zip(found["torch"], found[name], strict=True)]
        same, change = sum(s for s, _ in pairs), max(c for _, c in pairs)
        report["models"][name] = {
            "megabytes": sizes[name] / 1e6,
            "milliseconds": 1000 * statistics.median(seconds[name]),
            "speed": ratio(seconds, name),  # a row at a time
            "speed_of_batches": ratio(of_batches, name),
            "same": same,
            "score_change": change,
        }
        *numbers, _, _ = report["models"][name].values()
        shown = (f"{number:.2f}" for number in numbers)
        logger.info(LINE, name, *shown, f"{same}/{len(rows)}", f"{change:.1e}")
    _, (*_, same, change), (_, _, singly, batched, *_) = map(dict.values, report["models"].values())
    if same < len(rows) or change > CLOSE:
        raise InputError(
            f"{options.model}: the graph predicts {len(rows) - same} of {len(rows)} rows otherwise "
            f"and scores that differ by {change:.1e}. Nothing was written; its architecture is not "
            "exported as it should be."
        )
    if (speed := min(singly, batched)) < FASTER:
        logger.warning(
            "int8 is only %.2f times as fast as torch: 8 bits speed up the products of matrices "
            "alone, a small part of a small model, and only a CPU that has them (VNNI, AMX).",
            speed,
        )
    (plain / "export_report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    try:
        shutil.move(plain, folder)
    except OSError:  # the disk of `folder` is full; that of the scratch folder was not
        shutil.rmtree(folder, ignore_errors=True)
        raise
    told = shlex.quote(str(folder))
    logger.info("%s, %s/int8: python recipes/predict.py %s --input FILE", folder, folder, told)


def find_rows(options: argparse.Namespace, predictor: Predictor, scratch: Path) -> list[Row]:
    """Return rows with the model's columns: of ``--input``, or the rows that the run predicted."""
    names, folder = predictor.inputs, Path(options.model)
    if options.input:
        table = open_rows(Path(options.input), scratch)
        check_columns(table.name, table.header, names.values(), "Rename the columns of the file.")
        records = table.records(list(names.values()))
        found = (record.row for record in records if record.row is not None)
    else:
        path, run = folder / "predictions.jsonl", folder / "run.json"
        rows = [json.loads(x) for x in path.open(encoding="utf-8")] if path.is_file() else []
        if rows and not names.keys() <= rows[0].keys() and run.is_file():  # qa saves no contexts
            corpus = json.loads(run.read_text(encoding="utf-8"))["arguments"].get("corpus")
            rows = list(load_corpus(corpus)["test"]) if corpus else []
        found = ({name: row.get(c) for c, name in names.items()} for row in rows)
    chosen = list(itertools.islice(found, options.rows))
    whole = [r for r, p in zip(chosen, predictor.predict(chosen), strict=True) if "error" not in p]
    if len(whole) < 2:
        raise InputError(
            f"{options.input or folder}: {len(whole)} of the first {options.rows} rows can be "
            "predicted, and the export is checked by two or more. Name a file with "
            f"{' and '.join(names.values())} by --input, or more --rows."
        )
    return whole


def given_inputs(predictor: Predictor, rows: Sequence[Row]) -> list[dict[str, torch.Tensor]]:
    """Return the batches with which `predictor` calls its model for `rows`."""
    given: list[dict[str, torch.Tensor]] = []
    hook = predictor.model.register_forward_pre_hook(
        lambda model, arguments, named: given.append(dict(named)), with_kwargs=True
    )
    predictor.predict(rows)
    hook.remove()
    return given


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nlpbook-") as scratch:
        run_program(
            lambda: main(parse_arguments(), Path(scratch)),
            interrupted="Interrupted. The same command begins anew.",
        )
