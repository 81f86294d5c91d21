"""The frame around a recipe's `main`: arguments, seeds, signals, errors as one sentence."""

import contextlib
import copy
import errno
import inspect
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import torch
import transformers
from accelerate import PartialState
from huggingface_hub import get_token
from transformers import set_seed

from nlpbook_data.errors import InputError, first_line
from nlpbook_data.outward import closable_stdout, complain, secrets, set_up_outputs
from nlpbook_data.reports.card import write_card
from nlpbook_data.reports.outcome import Outcome
from nlpbook_data.reports.push import card_hash, full_name, push_folder
from nlpbook_data.reports.summary import print_summary
from nlpbook_data.training.arguments import RecipeArguments, parse
from nlpbook_data.training.launcher import (
    end_with_launcher,
    find_launcher,
    silence_launcher,
    use_cores,
)
from nlpbook_data.training.machines import watch_machines
from nlpbook_data.training.record import Interrupted, start_record
from nlpbook_data.training.run import Run, Unchanged
from nlpbook_data.training.seeds import combine
from nlpbook_data.training.tuning import Searched, check_search, conclude_search

logger = logging.getLogger(__name__)

CONTINUES = "Interrupted. The same command continues from the last checkpoint."
# Error texts of collective libraries when the other end of a connection is gone.
CUT = ("gloo/transport", "Connection closed by peer", "NCCL", "Broken pipe", "recvValue failed")


def launch(main: Callable[..., None], *types: type) -> None:
    """Run a recipe's `main` once for each seed; turn errors into a message and an exit status.

    `main` is called with an instance of each of `types` and the `Run`. The status is 1 for bad
    input or a full disk, and 130, 138 or 143 for an interruption, with the next command. Any other
    error is a defect and keeps its traceback.

    Args:
        types: dataclasses; the last is `RecipeArguments` or a subclass.
    """
    speaks = int(os.environ.get("LOCAL_RANK", 0)) == 0  # one process a machine
    set_up_logging(speaks and int(os.environ.get("RANK", 0)) == 0)
    runs: list[Run] = []  # runs that have begun, the current one last

    status, word = 1, "failed"
    received: list[int] = []
    leaving = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        if leaving.is_set():
            return  # the launcher that is ended with this process sends it back
        if number in received and number not in (signal.SIGTERM, signal.SIGINT):
            return  # a scheduler and its launcher both send it
        received.append(number)
        if not runs:
            raise Interrupted(number)
        runs[-1].interrupt(number)

    def leave(message: str) -> None:
        leaving.set()
        _record_failure(runs, word, message)
        if speaks:
            complain(message)
        sys.stderr.flush()
        silence_launcher(secrets())
        # Not sys.exit: process groups and loader threads of an unfinished run may wait for others.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)

    try:  # a signal may come right after its handler is there
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):  # the last: from schedulers; not on Windows
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), on_signal)
        if launcher := find_launcher():
            end_with_launcher(launcher, received)
            use_cores(launcher)
        machines = watch_machines(leave, lambda: any(run.callback.signal for run in runs))
        run_seeds(main, types, runs)
        # At the end of the interpreter, its threads could abort the process.
        if machines:
            machines.close()
        PartialState().destroy_process_group()
        return
    except InputError as error:
        message = str(error)
    except Interrupted as error:
        status, word = 128 + error.args[0], "interrupted"
        message = CONTINUES
        if not any(run.folder.is_open or run.callback.began for run in runs):
            message = "Interrupted before training began; nothing was written."
    except BaseException as error:
        what = explain(error, runs[-1].folder.path if runs else None)
        if is_out_of_memory(error) and runs:
            what = runs[-1].advise_memory()
        several = int(os.environ.get("WORLD_SIZE", 1)) > 1
        if received and several:  # another process ended first, during a step
            status, word, what = 128 + received[0], "interrupted", CONTINUES
        if what is None:
            _record_failure(runs, "failed", f"{type(error).__name__}: {error}")
            silence_launcher(secrets())
            raise
        message = what
    leave(message)


def run_program(main: Callable[[], None], interrupted: str = "") -> None:
    """Run a program other than training; turn errors into a message and an exit status.

    The status is 1 for bad input, an unusable file, a full disk or memory, and 130 or 143 after
    Ctrl-C or SIGTERM. Any other error is a defect and keeps its traceback.

    Args:
        interrupted: the message when it is stopped; a server prints none and stops by itself.
    """
    set_up_logging(is_first=True)
    if interrupted:
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)
    try:
        with closable_stdout():
            main()
    except Interrupted as stopped:
        complain(interrupted)
        sys.exit(128 + stopped.args[0])
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message = explain(error, None)
        if message is None and isinstance(error, OSError) and error.strerror:
            message = f"{error.filename or 'a file'}: {error.strerror}."
        if message is None:
            raise
        complain(message)
        sys.exit(1)
    finally:
        if interrupted:  # what is left is to clean up and to exit
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop(number: int, frame: Any) -> None:
    raise Interrupted(number)


def set_up_logging(is_first: bool) -> None:
    """Show our log lines, only from the first process, and hide useless ones of libraries."""
    set_up_outputs()
    logging.getLogger("nlpbook_data").setLevel(logging.INFO if is_first else logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    # They warn of checkpoints of the same second, which are sorted by number, of the padding that
    # generation adds after finished texts, and that no layer is spread over devices: all intended.
    for name in ("trainer_utils", "modeling_utils", "distributed"):
        transformers.logging.get_logger(f"transformers.{name}").setLevel(logging.ERROR)
    # It warns of weights missing in a checkpoint because they are tied to others.
    transformers.logging.get_logger("transformers.trainer").addFilter(
        lambda line: "missing keys in the checkpoint" not in line.getMessage()
    )
    # peft reads what transformers has renamed.
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing", FutureWarning)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()


def run_seeds(main: Callable[..., None], types: tuple[type, ...], runs: list[Run]) -> None:
    """Parse the arguments, run `main` for each seed, write the card, and push at the end.

    Args:
        runs: each run is appended when it begins.

    Raises:
        InputError: for any bad input.
    """
    recipe = Path(inspect.getfile(main))
    *others, args = parse(str(recipe), *types)
    settle_start(args, others)
    record = start_record(recipe, args, *others)
    whole = Run(args, record)
    whole.folder.refuse_other_run(record)
    if whole.folder.is_asked_for:
        if found := whole.folder.previous.get("search"):
            if whole.folder.is_main:
                conclude_search(found, args, record["command"][0])
            return
        with contextlib.suppress(Unchanged):
            main(*map(copy.copy, others), copy.copy(args), whole)
        logger.info(
            "This run is finished; nothing is trained. To train again: --resume never, or another "
            "--output_dir."
        )
        whole.load()
        if whole.folder.is_main:
            if not (args.keep_checkpoints or whole.record["arguments"].get("keep_checkpoints")):
                delete_checkpoints(whole)  # a kill may have left some
            conclude(whole)
        return
    seeds = args.seeds or [args.seed]
    if len(seeds) == 1:
        args.seed, parts = seeds[0], [whole]
    else:
        parts = [whole.with_seed(seed) for seed in seeds]
    for part in parts:
        if part is not whole and whole.folder.continues and part.folder.is_finished:
            logger.info("seed %d is finished: %s", part.args.seed, part.folder.path)
            part.load()
            whole.record["data"] = part.record["data"]
            continue
        part.wants_baselines &= not any("baselines" in other.scores for other in parts)
        runs.append(part)
        set_seed(part.args.seed)
        try:
            main(*map(copy.copy, others), part.args, part)
        except Searched as ended:
            if part.folder.is_main:
                part.record["search"] = ended.args[0]
                conclude_search(ended.args[0], part.args, part.record["command"][0])
                part.close("finished")
            return
        whole.record["precision"] = part.record["precision"]
    if whole.folder.is_main:
        if len(parts) > 1:
            whole.open()  # if all seeds were already finished
            combine(whole, parts)
        if args.do_train:
            write_card(outcome(whole), **whole.record["card"])
            whole.record["card_sha256"] = card_hash(whole.folder.path)
        whole.close("finished")
        if not args.keep_checkpoints:
            delete_checkpoints(whole)
        conclude(whole)


def delete_checkpoints(whole: Run) -> None:
    """Delete the checkpoints of a finished run and of its seeds."""
    for part in [*map(whole.with_seed, whole.args.seeds or ()), whole]:
        part.folder.delete_checkpoints()


def settle_start(args: RecipeArguments, others: list[Any]) -> None:
    """Settle the arguments, as far as they depend only on each other and on the device.

    Raises:
        InputError: a missing or wrong token for pushing; a duplicate seed; one process to spread
            a model over.
    """
    # If this is set, Trainer pushes at each checkpoint; we push once, at the end.
    args.push_at_end, args.push_to_hub = args.push_to_hub, False
    if args.push_at_end:
        if not (args.hub_token or get_token()):
            raise InputError(
                "--push_to_hub needs a token, and none is there. Run `hf auth login` first."
            )
        name = args.hub_model_id or Path(args.output_dir).expanduser().resolve().name
        try:
            args.hub_model_id = full_name(name, args.hub_token)
        except Exception as error:  # the client raises many unrelated types
            raise InputError(
                "--push_to_hub: the Hub does not say whose token this is "
                f"({first_line(error)}). Run `hf auth login` again, or see to the network."
            ) from error
    check_search(args)
    args.resume = args.resume or args.resume_from_checkpoint
    args.dataloader_pin_memory &= args.device.type == "cuda"
    for other in others:
        if args.process_index and hasattr(other, "overwrite_cache"):
            other.overwrite_cache = False  # the first process has already prepared the data
    if args.fsdp and args.world_size == 1:
        raise InputError(
            "--fsdp spreads a model over several processes, and this is one alone. Start more by "
            "nlpbook-data launch --devices N, or leave it out."
        )
    if args.seeds and len(set(args.seeds)) != len(args.seeds):
        raise InputError(f"--seeds {' '.join(map(str, args.seeds))} names a seed twice.")


def outcome(run: Run) -> Outcome:
    """Return the data of a finished run for card and summary."""
    return Outcome(
        folder=run.folder.path,
        record=run.record,
        scores=run.scores,
        metric=run.record.get("chosen_by") if run.args.load_best_model_at_end else None,
        name=run.args.hub_model_id or _from_here(run.folder.path),
    )


def _from_here(folder: Path) -> str:
    """Return a path to `folder` for a snippet, without the names of parent folders."""
    whole, here = folder.resolve(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.name


def conclude(run: Run) -> None:
    """Print the summary and, if asked, push; a failed push keeps all files and says so.

    Raises:
        InputError: the push failed.
    """
    print_summary(outcome(run))
    if not run.args.push_at_end:
        return
    try:
        address = push_folder(
            run.folder.path,
            repo_id=run.args.hub_model_id,
            token=run.args.hub_token,
            private=run.args.hub_private_repo,
            revision=run.args.hub_revision,
        )
    except Exception as error:  # the client raises many unrelated types
        raise InputError(
            f"The push failed ({first_line(error)}), and everything is kept in "
            f"{run.folder.path}. Push again by the same command with --resume auto "
            "--push_to_hub true."
        ) from error
    logger.info("Pushed to %s", address)


def _record_failure(runs: list[Run], status: str, message: str) -> None:
    for run in runs:
        try:
            run.fail(status, message)
        except OSError:  # a full disk: the message on the terminal must be enough
            pass


def explain(error: BaseException, folder: Path | None) -> str | None:
    """Return the message for bad input, a full disk or a lack of memory; None for other errors.

    What libraries say of a missing library is a message too.
    """
    cause: BaseException | None = error
    while cause and not isinstance(cause, InputError):  # datasets wraps a generator's error
        cause = cause.__cause__
    if cause:
        return str(cause)
    if isinstance(error, ImportError) and error.name is None:  # an option needs another library
        return first_line(error)
    text = str(error)
    where = getattr(error, "filename", None) or folder or "the output"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    # safetensors and torch wrap the operating system's error
    words = ("No space left", "File too large", "PytorchStreamWriter failed", "inline_container.cc")
    if full or any(word in text for word in words):
        what = getattr(error, "strerror", None) or text.splitlines()[0][:200]
        return (
            f"{where}: no space is left on the disk ({what}). Free some, then give the same "
            "command again; what is whole is kept."
        )
    closed = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
    closed += (errno.ENAMETOOLONG, errno.EEXIST, errno.ELOOP)
    if isinstance(error, OSError) and error.errno in closed and error.filename:
        return (
            f"{error.filename}: {error.strerror}. Name another place (--output_dir, --cache_dir, "
            "--corpus_dir), or change its permissions."
        )
    arrow = isinstance(error, OSError) and error.errno is None and "message body" in text
    if arrow or isinstance(error, pa.ArrowInvalid):  # a cached file of `map`
        return (
            f"Prepared rows in the cache are damaged ({text.splitlines()[0]}). Pass "
            "--overwrite_cache true to prepare them again."
        )
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several and isinstance(error, RuntimeError) and any(word in text for word in CUT):
        return (
            f"Another process of this run has ended ({text.splitlines()[0][:200]}). See what it "
            "says; the same command continues from the last checkpoint."
        )
    if is_out_of_memory(error):
        return "The memory does not suffice. Take a smaller --batch_size or model."
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the memory of the device or of the machine was too small."""
    words = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "std::bad_alloc")
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and any(word in str(error) for word in words))
    )
