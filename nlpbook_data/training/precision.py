"""Choose float32, bf16 or fp16: the precision that the device supports and runs faster."""

import time
from typing import Any

import torch
from accelerate.utils import broadcast_object_list

from nlpbook_data.errors import InputError

# Only for a clear gain: a lower precision costs accuracy, and timings vary on a busy machine.
WORTHWHILE = 1.2
# A smaller model is fast in float32 everywhere, and its steps are too short to time well. So what
# ships (6 million) gives the same scores on any machine.
MEASURED_PARAMETERS = 10_000_000
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(args: Any, model: torch.nn.Module, before: str | None = None) -> str:
    """Set ``bf16``/``fp16`` of `args` by ``--precision`` and return the choice.

    Args:
        args: `RecipeArguments`; explicit ``bf16: true`` and ``fp16: true`` are kept.
        model: the one to train or to evaluate.
        before: the choice at the start of the run, or of the model's training; "auto" keeps it.

    Raises:
        InputError: a precision that the device does not have.
    """
    kind = args.device.type
    supported = supported_precisions(kind)
    chosen = "bf16" if args.bf16 else "fp16" if args.fp16 else args.precision
    if chosen == "auto" and before in supported:
        chosen = before
    if chosen == "auto":
        lower = [name for name in ("bf16", "fp16") if name in supported][:1]
        large = sum(p.numel() for p in model.parameters()) >= MEASURED_PARAMETERS
        chosen = "float32"
        if lower and large and speed_up(model, args.device, DTYPES[lower[0]]) > WORTHWHILE:
            chosen = lower[0]
        if args.world_size > 1:  # all processes use one measurement
            chosen = broadcast_object_list([chosen])[0]
    if chosen not in supported:
        raise InputError(
            f"--precision {chosen}: this device ({kind}) has {', '.join(supported)}. Pass one of "
            "them, or auto."
        )
    args.bf16, args.fp16 = chosen == "bf16", chosen == "fp16"
    # Trainer reads this field, but TrainingArguments filled it before the choice.
    args.mixed_precision = chosen if chosen != "float32" else "no"
    return chosen


def supported_precisions(kind: str) -> list[str]:
    """Return the precisions that device `kind` runs natively; a T4 only emulates bf16."""
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return ["float32", "bf16", "fp16"] if native else ["float32", "fp16"]
    # fp16 training needs gradient scaling, which torch has only for CUDA.
    return ["float32", "bf16"] if kind == "cpu" else ["float32"]


def check_predictions(values: Any, model: Any, precision: str = "float32") -> None:
    """Raise an error if a prediction is NaN.

    Args:
        values: numbers of any shape, a tensor or an array.
        model: the one that predicts; its config may name it.

    Raises:
        InputError: one is NaN.
    """
    if not torch.as_tensor(values).isnan().any():
        return
    name = getattr(getattr(model, "config", None), "name_or_path", None) or "The model"
    hint = "Pass --precision float32, or name another model."
    if precision == "float32":
        hint = "Name another model."
    raise InputError(
        f"{name} predicts NaN: its weights are damaged, or too large for {precision}. {hint}"
    )


def speed_up(model: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> float:
    """Time forward and backward of `model` on any tokens, in float32 and in `dtype`.

    The model, its gradients and the random state do not change.

    Returns:
        How many times faster `dtype` is, by the best of several rounds.
    """
    model.to(device).train()
    rows, length = (8, 24) if device.type == "cpu" else (32, 64)
    tokens = torch.arange(rows * length, device=device).view(rows, length)
    tokens %= model.config.vocab_size

    def seconds(enabled: bool) -> float:
        start = time.perf_counter()
        with torch.autocast(device.type, dtype=dtype, enabled=enabled):
            output = model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
        tensors = [value for value in output.values() if torch.is_tensor(value)]
        sum(tensor.float().sum() for tensor in tensors).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        model.zero_grad()
        return time.perf_counter() - start

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        first = seconds(False) + seconds(True)  # these warm up
        # Alternate, so that a busy moment of the machine does not affect only one of them.
        rounds = [(seconds(False), seconds(True)) for _ in range(10 if first < 0.5 else 3)]
    full, lower = zip(*rounds, strict=True)
    return min(full) / min(lower)
