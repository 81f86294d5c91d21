"""Import the recipes' libraries once, then run each request in a fork; see `conftest`."""

import json
import os
import runpy
import sys
import traceback

import evaluate  # noqa: F401
import peft  # noqa: F401
import transformers
from transformers import AutoModelForSequenceClassification  # noqa: F401

import nlpbook_data.sources
import nlpbook_data.training
import nlpbook_data.training.trainer  # noqa: F401


def child(request: dict) -> None:
    for number, log in zip((1, 2), request["logs"], strict=True):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    sys.argv = [request["recipe"], *request["arguments"]]
    status = 0
    try:
        runpy.run_path(request["recipe"], run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            child(json.loads(line))
        _, code = os.waitpid(process, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(code)}\n")
        sys.stdout.flush()
