"""Seconds and memory from logits to answers: 20,000 windows of 384 tokens on one core.

    python benchmarks/qa_decoding.py

Random logits over a context of 1,100 characters in four windows a question, n-best 20, answers of
at most 30 tokens; with and without the particle step, padded to 384 and to 1,536. Each case runs in
a process of its own, bound to one core. Prints a table and writes benchmarks/qa_decoding.json;
memory is what decoding adds to the peak of its process, its result included.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

from checkout import commit

WINDOWS, TOKENS, QUESTION, STRIDE, PER_QUESTION = 20_000, 384, 20, 128, 4
CASES = {
    "padded to 384": (384, False),
    "padded to 384, particle step": (384, True),
    "padded to 1,536": (1536, False),
    "ragged": (0, False),
}


def measure(padded_to: int, strip: bool, windows: int) -> dict[str, float]:
    """Return the seconds and the MiB that decoding takes, of `windows` windows."""
    import numpy as np

    from nlpbook_data.features.particles import strip_particle
    from nlpbook_data.features.qa import decode

    rng = np.random.default_rng(0)
    room = TOKENS - QUESTION
    step = room - STRIDE
    tokens = room + step * (PER_QUESTION - 1)
    syllables = list("서울에서는부산으로가은의를을이다나라사람학교물산바다")
    context = "".join(rng.choice(syllables, tokens).tolist())
    context = "".join(c if i % 4 else " " for i, c in enumerate(context))
    begins = [step * (k % PER_QUESTION) for k in range(windows)]
    columns = {
        "context_position": [QUESTION] * windows,
        "char_starts": [list(range(b, b + room)) for b in begins],
        "char_ends": [[i + (i % 4 > 0) for i in range(b, b + room)] for b in begins],
    }
    questions = np.arange(windows) // PER_QUESTION
    shape = (windows, padded_to or TOKENS)
    logits = []
    for _ in range(2):
        values = np.full(shape, -100, dtype=np.float32)
        for k in range(windows):
            values[k, :TOKENS] = rng.standard_normal(TOKENS, dtype=np.float32) * 4
        logits.append(values if padded_to else list(values))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    decoded = decode(
        *(*logits, columns, questions, [context] * (windows // PER_QUESTION)),
        unanswerable=True,
        strip=strip_particle if strip else None,
    )
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(decoded) == windows // PER_QUESTION
    return {
        "seconds": round(seconds, 2),
        "CPU seconds": round(cpu, 2),
        "MiB": round((after - before) / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=list(CASES))
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if options.case:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        result = measure(*CASES[options.case], options.windows)
        sys.stdout.write(json.dumps(result) + "\n")
        return
    results = {}
    for case in CASES:
        command = [sys.executable, __file__, "--case", case, "--windows", str(options.windows)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[case] = json.loads(done.stdout)
        values = "".join(f"{value:>8} {name}" for name, value in results[case].items())
        sys.stdout.write(f"{case:<32}{values}\n")
    record = {
        "commit": commit(),
        "windows": options.windows,
        "tokens": TOKENS,
        "machine": f"{platform.machine()}, one core, Python {platform.python_version()}",
        "results": results,
    }
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
