"""A model of recipes/export.py: run by onnxruntime, called like a transformers model."""

import contextlib
import io
import logging
import statistics
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers

from nlpbook_data.errors import InputError, first_line, needing

FILE = "model.onnx"


class ExportedModel:
    """A graph with its config; outputs have the names of the graph's outputs."""

    device = torch.device("cpu")

    def __init__(self, folder: Path, config: Any):
        with needing("onnx"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared
        try:
            self.session = onnxruntime.InferenceSession(
                folder / FILE, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # many types, all for an incomplete file
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


def write_graph(model: Any, inputs: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write the graph of a transformers model, for any number of rows and tokens.

    Args:
        inputs: a batch of at least two rows for tracing.

    Raises:
        InputError: the packages for ONNX are not installed.
    """
    with needing("onnx"):
        import onnx
        import onnxruntime  # noqa: F401
        from transformers.exporters import OnnxConfig, OnnxExporter
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    any_size = dict.fromkeys((0, 1), torch.export.Dim.AUTO)
    config = OnnxConfig(dynamic=True, dynamic_shapes=dict.fromkeys(inputs, any_size))
    previous = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # it warns of untested versions
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
        OnnxExporter().export(model, dict(inputs), config=config).save_pretrained(folder)
    transformers.logging.set_verbosity(previous)
    graph = onnx.load(folder / FILE, load_external_data=False)
    for node in graph.graph.node:
        node.ClearField("metadata_props")  # stack traces, with the paths of this machine
    onnx.save_model(graph, folder / FILE)


def quantize_graph(source: Path, folder: Path) -> None:
    """Write the graph with its matrix products in 8 bits.

    The input of a product with fewer outputs than inputs, such as the second one of a feed-forward
    layer, has a few large values, beside which one scale would lose the others. So these products
    have a scale for every 32 numbers; the others one for each column of weights and one for all
    inputs, which is faster. With the latter alone, 24 of 1,000 reviews of NSMC had another class;
    with the former alone, batches were 1.3 times as fast as PyTorch, with both 2 times.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    graph = onnx.load(source / FILE)
    shapes = {weights.name: weights.dims for weights in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type == "MatMul"]
    narrowing = [
        node.name
        for node in products
        if len(shape := shapes.get(node.input[1], ())) == 2 and shape[0] > shape[1]
    ]
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it logs every product
    folder.mkdir()
    quantize_dynamic(
        graph,
        folder / FILE,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=narrowing,
    )
    graph = onnx.load(folder / FILE)
    quantizer = MatMulNBitsQuantizer(graph, bits=8, block_size=32, accuracy_level=4)
    quantizer.process()
    root.setLevel(level)
    onnx.save_model(quantizer.model.model, folder / FILE)


@torch.inference_mode()
def measure(
    models: Mapping[str, Any], batches: list[dict[str, torch.Tensor]]
) -> dict[str, list[float]]:
    """Return the seconds of each `Predictor`'s model for each of `batches`; models take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for batch in [batches[0], *batches]:
        for name, predictor in models.items():
            start = time.perf_counter()
            predictor.model(**batch)
            seconds[name].append(time.perf_counter() - start)
    return {name: values[1:] for name, values in seconds.items()}  # without the first, a warm-up


def ratio(seconds: dict[str, list[float]], name: str) -> float:
    """Return the speed of a model relative to the original, the median."""
    return statistics.median(a / b for a, b in zip(seconds["torch"], seconds[name], strict=True))


def compare(one: Any, other: Any) -> tuple[bool, float]:
    """Return whether predictions are equal except for scores, and the difference of the scores."""
    if isinstance(one, float) and isinstance(other, float):
        return True, abs(one - other)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [compare(one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [compare(*two) for two in zip(one, other, strict=True)]
    else:
        return one == other, 0.0
    return all(same for same, _ in pairs), max((far for _, far in pairs), default=0.0)
