"""The folder of a run: its owner, its lock, its checkpoints, and atomic writes."""

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError
from nlpbook_data.outward import redact
from nlpbook_data.training.arguments import ASKED_FOR, SAME_RUN, SAME_RUN_PREFIXES, RecipeArguments
from nlpbook_data.training.checkpoints import COMPLETE, find_fault

SHARED_WITHIN = 70  # seconds; NFS may show another machine's file only after 60
logger = logging.getLogger(__name__)


class RunFolder:
    """The folder of one run; nothing is written before `open`.

    Attributes:
        path: ``--output_dir``, or its sub-folder ``seed-N``.
        previous: the run.json from before this process began; {} without one.
    """

    def __init__(self, args: RecipeArguments):
        self.args, self.path = args, Path(args.output_dir).expanduser()
        self.is_main = args.process_index == 0
        self.lock = FileLock(self.path / ".lock", blocking=False)
        self.is_open = False
        self.was_there = self.path.exists()
        try:
            self.previous = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.previous = {}

    @property
    def is_finished(self) -> bool:
        """Whether the previous run here finished."""
        return self.previous.get("status") == "finished"

    @property
    def is_asked_for(self) -> bool:
        """Whether to report the previous, finished run instead of training again."""
        return self.args.resume == "auto" and self.is_finished

    @property
    def continues(self) -> bool:
        """Whether to continue the previous run."""
        if self.args.resume == "never" or not self.args.do_train:
            return False
        return self.args.resume == "auto" or not self.is_finished

    def open(self, record: Mapping[str, Any]) -> None:
        """Make the folder, lock it, write `record`, and delete invalid checkpoints; only once.

        Raises:
            InputError: the folder cannot be made, or another process is writing a run there.
        """
        if self.is_open or not self.is_main:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be made ({error.strerror}). Choose another --output_dir."
            ) from error
        self._acquire()
        for pattern in (".*.partial", ".tmp??????"):  # the latter are safetensors'
            for half_written in self.path.glob(pattern):  # by a run that was killed
                half_written.unlink()
        if not self.continues:
            self.delete_checkpoints()
        self.is_open = True
        self.write("run.json", record)

    def close(self) -> None:
        """Release the lock."""
        self.lock.release()

    def check_shared(self, group: Any) -> None:
        """Check that every process of `group` sees the file that the main process has just written.

        Raises:
            InputError: this process does not see it: its machine has a different folder of this
                name.
        """
        path, end = self.path / "run.json", time.monotonic() + SHARED_WITHIN
        mark = torch.tensor([path.stat().st_mtime_ns if self.is_main else 0])
        torch.distributed.broadcast(mark, 0, group)
        while not (path.is_file() and path.stat().st_mtime_ns == int(mark)):
            if time.monotonic() > end:
                raise InputError(
                    f"{self.path}: this machine does not see what the first one writes there. "
                    "Choose an --output_dir on a disk that all machines share."
                )
            time.sleep(0.5)

    def discard(self) -> None:
        """Delete the empty folder that Trainer has made, if the run wrote nothing."""
        if self.is_main and not self.is_open and not self.was_there and self.path.is_dir():
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file atomically, only on the main process."""
        if self.is_main:
            text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
            write_text(self.path / name, redact(text) + "\n")

    def mark_failed(self) -> None:
        """Write the status into run.json in place: a full disk has no room for another file."""
        running = b'"status": "running"'
        with (self.path / "run.json").open("r+b") as file:
            if (place := file.read().find(running)) >= 0:
                file.seek(place)
                file.write(b'"status": "failed"'.ljust(len(running)))

    def write_rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write a JSON-lines file atomically, only on the main process."""
        if self.is_main:
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_text(self.path / name, "".join(lines))

    def checkpoint(self) -> str | None:
        """Return the checkpoint to continue from: the named one, or the last complete one.

        Raises:
            InputError: all checkpoints are damaged.
        """
        if self.args.resume not in (None, "auto", "never"):
            if fault := find_fault(Path(self.args.resume), self.args.load_best_model_at_end):
                raise InputError(f"--resume {self.args.resume}: {fault}. Name another checkpoint.")
            return self.args.resume
        faults: list[str] = []
        for path in reversed(self.marked_checkpoints() if self.continues else []):
            fault = find_fault(path, self.args.load_best_model_at_end)
            if not fault:
                logger.info("Continuing from %s.", path)
                return str(path)
            faults.append(f"{path.name}: {fault}")
            logger.warning("%s is passed over: %s.", path, fault)
        if faults:
            raise InputError(
                f"{self.path}: no checkpoint is whole ({'; '.join(faults)}). To train from the "
                "beginning pass --resume never."
            )
        return None

    def delete_damaged(self, step: int) -> None:
        """Delete damaged checkpoints after `step`, from which the run continues."""
        for path in self.marked_checkpoints() if self.is_main else []:
            if int(path.name[11:]) > step and find_fault(path, self.args.load_best_model_at_end):
                self._delete(path)

    def delete_unmarked(self) -> None:
        """Delete incompletely written checkpoints: they may fill the disk."""
        for path in self._checkpoints() if self.is_main else []:
            if not (path / COMPLETE).is_file():
                self._delete(path)

    def marked_checkpoints(self) -> list[Path]:
        """Return the folders of marked checkpoints, in the order of steps."""
        return [path for path in self._checkpoints() if (path / COMPLETE).is_file()]

    def delete_checkpoints(self, keep: int = 0, best: str | None = None) -> None:
        """Delete all checkpoints except the last `keep` and the one named `best`."""
        found = self._checkpoints()
        for path in found[: max(len(found) - keep, 0)]:
            if best is None or path.name != Path(best).name:
                self._delete(path)

    def _delete(self, path: Path) -> None:
        (path / COMPLETE).unlink(missing_ok=True)  # first, in case of a kill halfway
        shutil.rmtree(path)

    def _checkpoints(self) -> list[Path]:
        found = [p for p in self.path.glob("checkpoint-*") if p.name[11:].isdigit()]
        return sorted(found, key=lambda path: int(path.name[11:]))

    def _acquire(self) -> None:
        try:
            self.lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{self.path}: another process is writing a run here. Wait for it or end it."
            ) from error

    def refuse_other_run(self, record: Mapping[str, Any]) -> None:
        """Check that the folder is writable and has no other run than that of `record`.

        Raises:
            InputError: it is not writable, has another run, is in use, or ``--resume`` names no
                checkpoint.
        """
        try:
            with tempfile.TemporaryFile(dir=nearest_existing(self.path)):
                pass
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}). Choose another --output_dir."
            ) from error
        if self.is_main and (self.path / ".lock").is_file():
            self._acquire()
            self.close()
        if self.args.resume not in (None, "auto", "never"):
            if not (Path(self.args.resume) / "trainer_state.json").is_file():
                raise InputError(
                    f"--resume {self.args.resume}: not a checkpoint's folder. Name one, or auto or "
                    "never."
                )
        if not self.previous and self.path.is_dir():
            foreign = [p.name for p in self.path.iterdir() if not p.name.startswith(".")]
            if foreign:
                raise InputError(
                    f"{self.path}: holds files that no run of ours wrote, such as "
                    f"{sorted(foreign)[0]}. Choose another --output_dir."
                )
        free = SAME_RUN - ASKED_FOR if self.is_asked_for else SAME_RUN
        if self.previous and (other := _differences(self.previous, record, free)):
            raise InputError(
                f"{self.path}: holds another run ({'; '.join(other[:3])}"
                f"{' …' if len(other) > 3 else ''}). Choose another --output_dir."
            )

    def refuse_other_data(self, data: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """Check that a continued or reported run has the same `data` as `before`.

        Raises:
            InputError: a file has changed, or is a different one.
        """
        there, here = ({**d.get("splits", {}), **d.get("sha256", {})} for d in (before, data))
        changed = [name for name in {**there, **here} if there.get(name) != here.get(name)]
        if before and changed and (self.continues or self.is_asked_for):
            raise InputError(
                f"{self.path}: the data changed since this run began ({', '.join(changed)}). "
                "Choose another --output_dir, or pass --resume never; to predict with the model "
                f"that is here, pass --do_train false --model_name_or_path {self.path}."
            )

    def check_space(self, model: Any, checkpoints: int) -> None:
        """Refuse to train if the disk has no room for checkpoints (weights and two moments each).

        Args:
            model: its parameters are float32.
            checkpoints: the number of checkpoints on the disk at the same time.

        Raises:
            InputError: the disk is too full.
        """
        if not self.is_main:
            return
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        everything = sum(p.numel() for p in model.parameters())
        needed = 4 * everything + 12 * trained * checkpoints
        free = shutil.disk_usage(nearest_existing(self.path)).free
        if free < needed:
            raise InputError(
                f"{self.path}: {free / 1e6:,.0f} MB are free, and model and checkpoints need "
                f"{needed / 1e6:,.0f} MB. Free some space, or choose another --output_dir."
            )


def nearest_existing(folder: Path) -> Path:
    """Return `folder`, or its nearest existing parent."""
    return next(p for p in [folder.absolute(), *folder.absolute().parents] if p.exists())


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], free: set[str]) -> list[str]:
    """Return a description of the differences of two runs' records, except those in `free`."""
    words = [
        (word, before.get(key, now[key]), now[key])
        for key, word in (("recipe", "recipe"), ("global_batch", "global batch"))
    ]
    then = before.get("arguments", {})
    for name, value in json.loads(json.dumps(now["arguments"], default=str)).items():
        if name in then and name not in free and not name.startswith(SAME_RUN_PREFIXES):
            words.append((name, then[name], value))
    said = ((word, str(there)[:60], str(here)[:60]) for word, there, here in words if there != here)
    return [f"{word} {there} there, {here} here" for word, there, here in said]
