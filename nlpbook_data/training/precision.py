"""float32, bf16 or fp16: what the device supports and, where it does, runs this model faster."""

import time
from typing import Any

import torch
from accelerate.utils import broadcast_object_list

from nlpbook_data.errors import InputError

# A clear gain only: a lower precision also costs accuracy, and timings of a busy machine vary.
WORTHWHILE = 1.2
# A smaller model is fast in float32 everywhere, its steps are too short to be timed well, and what
# ships (6 million) gives the same scores on any machine.
MEASURED_PARAMETERS = 10_000_000
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(args: Any, model: torch.nn.Module, before: str | None = None) -> str:
    """Set ``bf16``/``fp16`` of `args` by ``--precision`` and return the choice.

    Args:
        args: `RecipeArguments`; ``bf16: true`` and ``fp16: true`` are taken as said.
        model: the one to train or to evaluate.
        before: what the run chose when it began, or the model was trained in; "auto" keeps it.

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
        if args.world_size > 1:  # one measurement for all
            chosen = broadcast_object_list([chosen])[0]
    if chosen not in supported:
        raise InputError(
            f"--precision {chosen}: this device ({kind}) has {', '.join(supported)}. Pass one of "
            "them, or auto."
        )
    args.bf16, args.fp16 = chosen == "bf16", chosen == "fp16"
    # Trainer reads this field, which TrainingArguments filled before the choice was made.
    args.mixed_precision = chosen if chosen != "float32" else "no"
    return chosen


def supported_precisions(kind: str) -> list[str]:
    """Return what the device `kind` runs natively; a T4 emulates bf16, and so has fp16 alone."""
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return ["float32", "bf16", "fp16"] if native else ["float32", "fp16"]
    # fp16 training needs gradient scaling, which torch has for CUDA alone.
    return ["float32", "bf16"] if kind == "cpu" else ["float32"]


def speed_up(model: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> float:
    """Time forward and backward of `model` on any tokens, in float32 and in `dtype`.

    The model, its gradients and the random state are left as they were.

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
        # In turn, so that a busy moment of the machine does not fall on one of them alone.
        rounds = [(seconds(False), seconds(True)) for _ in range(10 if first < 0.5 else 3)]
    full, lower = zip(*rounds, strict=True)
    return min(full) / min(lower)
