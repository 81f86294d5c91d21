"""Load a trained model, and run it on batches of rows of similar length."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.errors import InputError, first_line
from nlpbook_data.inference.exported import FILE, ExportedModel
from nlpbook_data.training.arguments import ModelArguments, resolve_package
from nlpbook_data.training.models import load_config, load_model, load_tokenizer
from nlpbook_data.training.precision import check_predictions

OUTPUTS = ("logits", "start_logits", "end_logits")


def load_trained(
    auto_class: Any, args: ModelArguments, device: str | torch.device | None = None
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Return model and tokenizer of `args`, the model on `device`: by default an accelerator.

    A folder of recipes/export.py has a graph instead of weights; it runs on the CPU.

    Raises:
        InputError: no such model or device, or no trained head of `auto_class`.
    """
    tokenizer, config = load_tokenizer(args), load_config(args)
    folder = Path(resolve_package(args.model_name_or_path or ""))
    if (folder / FILE).is_file():
        if device and str(device) != "cpu":
            raise InputError(f"--device {device}: {folder} is exported, for a CPU. Leave it out.")
        return ExportedModel(folder, config), tokenizer
    model = load_model(auto_class, args, config, training=False)
    device = device or torch.accelerator.current_accelerator(check_available=True) or "cpu"
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"--device {device}: it cannot be used ({first_line(error)}). Leave it out, or name "
            "another."
        ) from error
    return model.to(device).eval(), tokenizer  # type: ignore[arg-type]  # untyped in transformers


def read_by_length(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    columns: Mapping[str, Sequence[Any]],
    batch_size: int,
) -> Iterator[tuple[np.ndarray, Any]]:
    """Yield ``(row numbers, the model's output)`` for batches of rows of similar length.

    Args:
        columns: ``input_ids`` and the model's other inputs, not padded.

    Raises:
        InputError: a row of the batch is predicted NaN.
    """
    pad = DataCollatorWithPadding(tokenizer)
    order = np.argsort([len(ids) for ids in columns["input_ids"]], kind="stable")
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        batch: Any = pad([{name: values[row] for name, values in columns.items()} for row in rows])
        with torch.inference_mode():
            output = model(**batch.to(model.device))
        for values in (getattr(output, name, None) for name in OUTPUTS):
            if values is not None:
                check_predictions(values, model)
        yield rows, output


def read_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    columns: Mapping[str, Sequence[Any]],
    batch_size: int,
    *names: str,
) -> list[list[np.ndarray]]:
    """Return the outputs `names` as float32, of each a list with the tokens of every row.

    For `columns` see `read_by_length`.
    """
    lengths = [len(ids) for ids in columns["input_ids"]]
    found: list[list[Any]] = [[None] * len(lengths) for _ in names]
    for rows, output in read_by_length(model, tokenizer, columns, batch_size):
        for name, values in zip(names, found, strict=True):
            for row, tokens in zip(rows, getattr(output, name).float().cpu().numpy(), strict=True):
                values[row] = tokens[: lengths[row]].copy()  # a copy, to free the padded batch
    return found
