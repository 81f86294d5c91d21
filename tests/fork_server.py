"""Import the recipes' libraries once, then run each request in forks; see `conftest`."""

import gc
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import threading
import traceback

import evaluate  # noqa: F401
import openpyxl  # noqa: F401
import peft  # noqa: F401
import seqeval.metrics  # noqa: F401
import sklearn.metrics  # noqa: F401
import transformers
from matplotlib import pyplot  # noqa: F401
from tqdm import tqdm

import nlpbook_data.data.source
import nlpbook_data.metrics.ner
import nlpbook_data.metrics.qa
import nlpbook_data.search.training  # noqa: F401
import nlpbook_data.training
import nlpbook_data.training.trainer  # noqa: F401
from nlpbook_data.data.cache import code_hash


def warm() -> None:
    """Do once what each run would do anew: read our code, build transformers' tables of names."""
    code_hash("nlpbook_data.features")
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2
    )
    with tempfile.TemporaryDirectory() as folder:
        transformers.BertModel(config).save_pretrained(folder)
        transformers.BertModel.from_pretrained(folder)
    gc.collect()
    gc.freeze()  # a fork neither looks through these objects nor copies their pages


def child(request: dict, env: dict[str, str]) -> None:
    for number, log in zip((1, 2), request["logs"], strict=True):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    # Its usual lock is one for all forks: one that is killed would keep it from the later ones.
    tqdm.set_lock(threading.RLock())
    os.chdir(request["cwd"])
    os.environ.update(env)
    sys.argv = [request["recipe"], *request["arguments"]]
    status = 0
    try:
        runpy.run_path(request["recipe"], run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):  # as the interpreter does
            sys.stderr.write(f"{error.code}\n")
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def ranks(processes: int) -> list[dict[str, str]]:
    """Return what torchrun puts into the environment of each process; nothing for one."""
    if processes == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    common["WORLD_SIZE"] = common["LOCAL_WORLD_SIZE"] = str(processes)
    return [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def run(request: dict) -> int:
    """Return the exit status; the first process that fails ends the others, as torchrun does."""
    running = set()
    for env in ranks(request["processes"]):
        process = os.fork()
        if process == 0:
            child(request, request["env"] | env)
        running.add(process)
    status = 0
    while running:
        process, code = os.wait()
        running.remove(process)
        if code and not status:
            status = os.waitstatus_to_exitcode(code)
            for other in running:
                os.kill(other, signal.SIGKILL)
    return status


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    warm()
    for line in sys.stdin:
        sys.stdout.write(f"{run(json.loads(line))}\n")
        sys.stdout.flush()
