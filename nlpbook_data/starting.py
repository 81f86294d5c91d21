"""``nlpbook-data launch``: start a recipe here; every machine of a run gets the same command."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import psutil
import torch
from accelerate.commands.launch import launch_command, launch_command_parser
from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from nlpbook_data.errors import InputError

WAIT = 40  # seconds for all machines to start


def start(
    words: Sequence[str],
    machines: int,
    rank: int,
    head: str,
    port: int,
    devices: int | None = None,
    config_file: str | None = None,
) -> int:
    """Launch a recipe with accelerate on this machine; return its exit status.

    accelerate alone would wait 15 minutes for a missing machine, end with a traceback, and return 1
    when the recipe reports an interruption.

    Args:
        words: the recipe and its arguments.
        rank: this machine's number, from 0.
        head: the address of machine 0, and `port` on it.
        devices: processes on each machine; by default its GPUs, or one.
        config_file: accelerate's configuration, for FSDP or DeepSpeed.

    Raises:
        InputError: the rank is too large, or a machine is missing.
    """
    if not 0 <= rank < machines:
        raise InputError(f"--rank {rank}: {machines} machines have the ranks 0 to {machines - 1}.")
    devices = devices or torch.cuda.device_count() or 1
    given = ["--num_processes", f"{devices * machines}", "--num_machines", f"{machines}"]
    given += ["--machine_rank", f"{rank}", "--mixed_precision", "no", "--dynamo_backend", "no"]
    given += ["--main_process_port", f"{port if machines > 1 else 0}"]
    if machines > 1:
        given += ["--main_process_ip", head, "--rdzv_conf", f"timeout={WAIT}"]
    if config_file:
        given += ["--config_file", config_file]
    elif devices * machines > 1:
        given += ["--multi_gpu"]  # on a CPU too: otherwise accelerate starts one process there
    on_cpu = not torch.cuda.is_available() and "--use_cpu" not in words
    words = [*words, "--use_cpu", "true"] if on_cpu else [*words]
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, _pass_on)
    if machines > 1 and (interface := _interface(head, port)):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    if rank:
        _wait_for(head, port)
    try:
        launch_command(launch_command_parser().parse_args([*given, *words]))
    except DistError as error:
        raise InputError(
            f"Not all of the {machines} machines came within {WAIT} s ({error}). Start the same "
            "command on each of them, with its own --rank."
        ) from error
    except ChildFailedError as error:
        status = error.get_first_failure()[1].exitcode
    except subprocess.CalledProcessError as error:  # with one process
        status = error.returncode
    except SignalException as stopped:
        status = -stopped.sigval
    else:
        status = 0
    return 128 - status if status < 0 else status


def _pass_on(number: int, frame: Any) -> None:
    """Pass a scheduler's signal on to the recipe's processes; exit if there are none yet."""
    if not (processes := psutil.Process().children()):
        sys.exit(128 + number)
    for process in processes:
        process.send_signal(number)


def _interface(head: str, port: int) -> str | None:
    """Return the network interface that reaches `head`.

    By default gloo uses the address of the machine's host name, which is often 127.0.1.1 in
    /etc/hosts.
    """
    try:
        family, kind, *_, address = socket.getaddrinfo(head, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # sends nothing
            own = probe.getsockname()[0]
    except OSError as error:
        raise InputError(f"--head {head}: cannot be reached ({error}). Check the name.") from error
    interfaces = psutil.net_if_addrs().items()
    return next((name for name, found in interfaces if own in {a.address for a in found}), None)


def _wait_for(head: str, port: int) -> None:
    """Wait until machine 0 listens."""
    end = time.monotonic() + WAIT
    while True:
        try:
            socket.create_connection((head, port), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise InputError(
                    f"Machine 0 does not answer at {head}, port {port} ({error}). Start the same "
                    "command there with --rank 0, and look whether --head names it."
                ) from error
            time.sleep(1)
