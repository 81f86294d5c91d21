"""A model that recipes/export.py wrote, called as one of transformers, run by onnxruntime."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from nlpbook_data.errors import InputError, first_line

FILE = "model.onnx"
INSTALL = "Install it by: pip install 'nlpbook-recipes[onnx]'"


class ExportedModel:
    """A graph with its config; what it returns has the names of the graph's outputs."""

    device = torch.device("cpu")

    def __init__(self, folder: Path, config: Any):
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(f"{folder}: {FILE} needs onnxruntime. {INSTALL}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(
                folder / FILE, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of many types, all of a file that is not whole
            raise InputError(
                f"{folder / FILE}: it could not be loaded ({first_line(error)[:200]}). Export the "
                "model again."
            ) from error
        self.config = config
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    def __call__(self, **batch: torch.Tensor) -> Any:
        found = self.session.run(self.outputs, {name: batch[name].numpy() for name in self.inputs})
        return SimpleNamespace(**dict(zip(self.outputs, map(torch.from_numpy, found), strict=True)))
