"""The process above a recipe's own: `accelerate launch` or torchrun."""

import os
import signal
import threading
import time
from collections.abc import Set
from pathlib import Path

import psutil

LAUNCHERS = {"accelerate", "accelerate-launch", "accelerate_cli", "torchrun"}
LAUNCHERS |= {"accelerate.commands.accelerate_cli", "accelerate.commands.launch"}
LAUNCHERS |= {"torch.distributed.run"}
OURS = {"nlpbook-data", "nlpbook_data"}


def find_launcher(names: Set[str] = LAUNCHERS) -> psutil.Process | None:
    """Return the launcher that started this process; None for a shell and all others."""
    try:
        parent = psutil.Process().parent()
        words = parent.cmdline()[:4] if parent else []
    except psutil.Error:
        return None
    return parent if names & {Path(word).stem for word in words} | names & {*words} else None


def end_with_launcher(received: list[int]) -> None:
    """Send this process SIGTERM once its launcher is gone: it would train on, seen by nobody.

    `accelerate launch` that gets SIGTERM ends at once and passes nothing on.

    Args:
        received: the signals that came; after Ctrl-C, which reaches both, none is to follow.
    """
    launcher = find_launcher(LAUNCHERS | OURS)
    if launcher is None:
        return

    def watch() -> None:
        while os.getppid() == launcher.pid:
            time.sleep(0.5)
        if not received:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def silence_launcher(secrets: set[str]) -> None:
    """End a launcher that would print the command, and a secret in it, as ours has failed."""
    launcher = find_launcher()
    try:
        if launcher and any(secret in word for secret in secrets for word in launcher.cmdline()):
            launcher.terminate()
    except psutil.Error:
        pass
