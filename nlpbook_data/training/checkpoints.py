"""Complete checkpoints: all files on disk, and a mark with their hashes."""

import json
import os
from pathlib import Path

from nlpbook_data.data.cache import hash_file, write_text

COMPLETE = "complete"  # the mark: ``{file: sha256}`` of all other files


def mark_whole(folder: Path) -> None:
    """Flush the checkpoint in `folder` to disk, then mark it, so it survives a power cut."""
    flush(folder)
    _flush_folder(folder.parent)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != COMPLETE)
    hashes = {path.relative_to(folder).as_posix(): hash_file(path) for path in files}
    write_text(folder / COMPLETE, json.dumps(hashes, indent=1) + "\n")
    _flush_folder(folder)


def flush(folder: Path) -> None:
    """Flush all files in `folder` to disk, but for those in its checkpoints."""
    for path in folder.rglob("*"):
        if path.is_dir():
            _flush_folder(path)
        elif not path.relative_to(folder).parts[0].startswith("checkpoint-"):
            with path.open("rb+") as file:  # Windows only flushes writable files
                os.fsync(file.fileno())
    _flush_folder(folder)


def find_fault(folder: Path, needs_best: bool) -> str:
    """Return a description of the fault of the checkpoint in `folder`, "" if it is complete.

    Args:
        needs_best: the best checkpoint, whose weights are loaded at the end, must be complete too.
    """
    try:
        hashes = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        for name, sha256 in hashes.items():
            if not (folder / name).is_file():
                return f"{name} is gone"
            if hash_file(folder / name) != sha256:
                return f"{name} is damaged"
        state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
        best = state["best_model_checkpoint"] if needs_best else None
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return f"{COMPLETE} is damaged"
    beside = folder.parent / Path(best or folder).name
    if beside == folder:
        return ""
    fault = find_fault(beside, False)
    return fault and f"{fault} in {beside.name}, the best"


def _flush_folder(path: Path) -> None:
    """Flush a folder's list of names to disk, if the system can."""
    if hasattr(os, "O_DIRECTORY"):
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
