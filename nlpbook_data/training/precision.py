"""float32, bf16 or fp16: what the device supports and, where it does, runs faster."""

import logging
import time
from typing import Any

import torch
from accelerate.utils import broadcast_object_list

from nlpbook_data.errors import InputError

logger = logging.getLogger(__name__)

# A clear gain only: a lower precision also costs accuracy, and timings of a busy machine vary.
WORTHWHILE = 1.2


def choose_precision(args: Any, before: str | None = None) -> str:
    """Set ``bf16``/``fp16`` of `args` by ``--precision`` and return the choice.

    Args:
        args: `RecipeArguments`; ``bf16: true`` and ``fp16: true`` are taken as said.
        before: what the run chose when it began; a continued run keeps it.

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
        chosen = "float32"
        if lower and speed_up(args.device, getattr(torch, DTYPES[lower[0]])) > WORTHWHILE:
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


DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


def supported_precisions(kind: str) -> list[str]:
    """Return what the device `kind` runs natively; a T4 emulates bf16, and so has fp16 alone."""
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return ["float32", "bf16", "fp16"] if native else ["float32", "fp16"]
    # fp16 training needs gradient scaling, which torch has for CUDA alone.
    return ["float32", "bf16"] if kind == "cpu" else ["float32"]


def speed_up(device: torch.device, dtype: torch.dtype) -> float:
    """Time a feed-forward layer of BERT-base, forward and backward, in float32 and in `dtype`.

    Returns:
        How many times faster `dtype` is, by the best of five; about 0.1 s on two cores.
    """
    layer = torch.nn.Sequential(
        torch.nn.Linear(768, 3072), torch.nn.GELU(), torch.nn.Linear(3072, 768)
    ).to(device)
    rows = torch.randn(256 if device.type == "cpu" else 4096, 768, device=device)

    def seconds(enabled: bool) -> float:
        times = []
        for _ in range(6):
            start = time.perf_counter()
            with torch.autocast(device.type, dtype=dtype, enabled=enabled):
                output = layer(rows)
            output.float().sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        return min(times[1:])  # the first one warms up

    with torch.random.fork_rng(devices=[]):
        return seconds(False) / seconds(True)
