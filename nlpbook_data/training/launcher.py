"""The parent process of a recipe, `accelerate launch` or torchrun, and what it decides."""

import os
import signal
import threading
import time
from collections.abc import Set
from pathlib import Path

import psutil
import torch

LAUNCHERS = {
    *("accelerate", "accelerate-launch", "accelerate_cli", "accelerate.commands.accelerate_cli"),
    *("accelerate.commands.launch", "torchrun", "torch.distributed.run"),
}
OURS = {"nlpbook-data", "nlpbook_data"}


def find_launcher(names: Set[str] = LAUNCHERS | OURS) -> psutil.Process | None:
    """Return the launcher that started this process; None for a shell or any other parent."""
    try:
        parent = psutil.Process().parent()
        words = parent.cmdline()[:4] if parent else []
    except psutil.Error:
        return None
    return parent if names & {Path(word).stem for word in words} | names & {*words} else None


def cores() -> int:
    """Return the number of physical cores that this process may use."""
    # Only Linux tells which cores a process may use.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(psutil.cpu_count(logical=False) or allowed or 1, allowed or 1)


def use_cores(launcher: psutil.Process) -> None:
    """Share the cores of a machine without accelerator among the processes that train on it.

    Launchers give each process a single thread unless ``OMP_NUM_THREADS`` or
    ``--num_cpu_threads_per_process`` says otherwise: the other cores would be idle.
    """
    if torch.get_num_threads() > 1 or torch.accelerator.is_available():
        return
    try:
        given = "OMP_NUM_THREADS" in launcher.environ()
        given |= any("num_cpu_threads" in word for word in launcher.cmdline())
    except psutil.Error:
        return
    if not given:
        torch.set_num_threads(max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def end_with_launcher(launcher: psutil.Process, received: list[int]) -> None:
    """Send this process SIGTERM when its launcher is gone; otherwise it would train on unseen.

    On SIGTERM, `accelerate launch` ends at once and does not pass the signal on.

    Args:
        received: the received signals; Ctrl-C reaches both processes, so none follows it.
    """

    def watch() -> None:
        while os.getppid() == launcher.pid:
            time.sleep(0.5)
        if not received:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def silence_launcher(secrets: set[str]) -> None:
    """End the launcher if it would print the failed command with a secret in it."""
    launcher = find_launcher(LAUNCHERS)
    try:
        if launcher and any(secret in word for secret in secrets for word in launcher.cmdline()):
            launcher.terminate()
    except psutil.Error:
        pass
