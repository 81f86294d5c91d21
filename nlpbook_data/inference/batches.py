"""Load a trained model, and run it on batches of rows of similar length."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.inference.exported import FILE, ExportedModel
from nlpbook_data.training.arguments import ModelArguments, resolve_package
from nlpbook_data.training.models import load_model


def load_trained(
    auto_class: Any, args: ModelArguments, config: Any, device: str | torch.device | None = None
) -> Any:
    """Return the model of `args` on `device`: by default an accelerator, else the CPU.

    A folder of recipes/export.py has a graph instead of weights; it runs on the CPU.

    Raises:
        InputError: no such model, or no trained head of `auto_class`.
    """
    folder = Path(resolve_package(args.model_name_or_path or ""))
    if (folder / FILE).is_file():
        return ExportedModel(folder, config)
    model = load_model(auto_class, args, config, training=False)
    device = device or torch.accelerator.current_accelerator(check_available=True) or "cpu"
    return model.to(device).eval()  # type: ignore[arg-type]  # untyped in transformers


def read_by_length(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    columns: Mapping[str, Sequence[Any]],
    batch_size: int,
) -> Iterator[tuple[np.ndarray, Any]]:
    """Yield ``(row numbers, the model's output)`` for batches of rows of similar length.

    Args:
        columns: ``input_ids`` and the model's other inputs, not padded.
        batch_size: rows in one batch.
    """
    pad = DataCollatorWithPadding(tokenizer)
    order = np.argsort([len(ids) for ids in columns["input_ids"]], kind="stable")
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        batch: Any = pad([{name: values[row] for name, values in columns.items()} for row in rows])
        with torch.inference_mode():
            output = model(**batch.to(model.device))
        yield rows, output
