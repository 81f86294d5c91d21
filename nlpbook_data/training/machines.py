"""A run on several machines: each sends a heartbeat, and stops if another machine is silent."""

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from torch.distributed import DistError, PrefixStore, Store, TCPStore

BEAT, SILENCE = 5.0, 40.0  # seconds
OPERATION = timedelta(seconds=30)


def watch_machines(end: Callable[[str], Any], is_stopping: Callable[[], bool]) -> "Machines | None":
    """Watch the other machines of this run; None for one machine, or if another process watches.

    Args:
        end: a function that ends this process and gives the reason; called in a thread.
        is_stopping: returns whether the run is already ending after a signal.
    """
    env = os.environ
    count, launcher = int(env.get("GROUP_WORLD_SIZE", 1)), env.get("TORCHELASTIC_USE_AGENT_STORE")
    if count < 2 or int(env["LOCAL_RANK"]) > 0 or launcher != "True":
        return None
    head = env["MASTER_ADDR"], int(env["MASTER_PORT"])
    store = TCPStore(*head, is_master=False, timeout=OPERATION)
    # The launcher's store, with a new prefix after a restart.
    again = env.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Machines(
        PrefixStore(f"nlpbook/{again}", store), int(env["GROUP_RANK"]), count, end, is_stopping
    )


class Machines:
    """This machine among `count`; `end` is called when another has been silent for too long.

    A machine that loses power or network closes no connection. Its peers would wait for it in a
    collective operation for half an hour, and would not notice at all during a long preparation.
    """

    def __init__(
        self,
        store: Store,
        number: int,
        count: int,
        end: Callable[[str], Any],
        is_stopping: Callable[[], bool] = lambda: False,
        beat: float = BEAT,
        silence: float = SILENCE,
    ):
        self.store, self.number, self.end, self.is_stopping = store, number, end, is_stopping
        self.beat, self.silence = beat, silence
        now = time.monotonic()
        self.heard = {other: (b"", now) for other in range(count) if other != number}
        self.done = threading.Event()
        self.beating = threading.Thread(target=self._speak_and_listen, daemon=True)
        # Two threads, because the store may never answer.
        self.watching = threading.Thread(target=self._watch, daemon=True)
        self.beating.start()
        self.watching.start()

    def close(self) -> None:
        """Tell the others that this machine is done, and stop watching."""
        self.done.set()
        for thread in (self.beating, self.watching):
            thread.join(self.silence)

    def _speak_and_listen(self) -> None:
        try:
            while not self.done.wait(self.beat):
                self.store.set(f"{self.number}", f"{time.monotonic()}")
                for other in [*self.heard]:
                    self._listen(other)
            self.store.set(f"{self.number}", "done")
        except DistError:
            pass  # the store is gone with the first machine: every other one will seem silent

    def _listen(self, other: int) -> None:
        said = self.store.get(f"{other}") if self.store.check([f"{other}"]) else b""
        if said == b"done":
            del self.heard[other]
        elif said != self.heard[other][0]:
            self.heard[other] = said, time.monotonic()

    def _watch(self) -> None:
        while not self.done.wait(self.beat):
            heard = {other: when for other, (_, when) in self.heard.copy().items()}
            silent = [n for n, when in heard.items() if time.monotonic() - when > self.silence]
            if silent and not self.is_stopping():
                named = ", ".join(map(str, silent))
                self.end(
                    f"Nothing is heard of machine {named} of this run any more (machines count "
                    "from 0). See whether it runs and can be reached; the same command on all "
                    "machines continues from the last checkpoint."
                )
                return
