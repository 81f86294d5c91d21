"""The state of the code that a benchmark measured, and the processor that it ran on."""

import platform
import subprocess
from pathlib import Path


def commit(folder: Path = Path(__file__).parent) -> str | None:
    """Return the commit, with ``-dirty`` if there are changes; None outside a checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # git is not installed
        return None
    return done.stdout.strip() or None


def device_name() -> str:
    """Return the processor's name."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
