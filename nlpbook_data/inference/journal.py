"""Predictions of a file's rows, written to disk at once, so a stopped command can continue."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from nlpbook_data.errors import InputError
from nlpbook_data.inference.predictor import CHUNKS, Predictor, Row
from nlpbook_data.inference.tables import Table

logger = logging.getLogger(__name__)

SHOWN = 5  # row errors that are logged; the output has all of them


def predict_table(
    table: Table, predictor: Predictor, columns: Sequence[str], options: Row, skip: int = 0
) -> Iterator[list[Row]]:
    """Yield the predictions of the rows after the first `skip`, in chunks.

    A blank row has no prediction. A row that cannot be read or predicted has an ``error``. The
    table's `columns` are in the order of the predictor's, and `options` those of `predict`.
    """
    records, told = islice(table.records(columns), skip, None), 0
    keys = dict(zip(predictor.columns, columns, strict=True))
    with tqdm(total=table.estimate(), initial=skip, unit=" rows", disable=None) as bar:
        while chunk := list(islice(records, CHUNKS[predictor.task])):
            rows = [
                {key: record.row.get(name) for key, name in keys.items()}
                for record in chunk
                if record.row is not None
            ]
            found, outputs = iter(predictor.predict(rows, **options)), list[Row]()
            for record in chunk:
                output = next(found) if record.row is not None else {}
                if error := record.error or output.get("error"):
                    output, told = {"error": error}, told + 1
                    if told <= SHOWN:
                        logger.warning("%s: %s", record.place, error)
                outputs.append(output)
            yield outputs
            bar.update(len(chunk))


class Journal:
    """The file of one command's predictions, one line a row; only one process can open it.

    After a kill, the last line may be incomplete. It is dropped.

    Attributes:
        done: the number of rows in it.
    """

    def __init__(self, path: Path, command: dict[str, Any]):
        """Begin a file, or continue it.

        Args:
            command: everything that determines the predictions, as JSON; a file of another command
                is refused.

        Raises:
            InputError: the file belongs to another command, or another process is writing it.
        """
        self.path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise InputError(f"{path}: another process is writing it. Wait for its end.") from error
        except OSError as error:
            raise InputError(
                f"{path.parent}: cannot be written ({error.strerror}). Name another --output."
            ) from error
        self._file = path.open("a+b")
        self._file.seek(0)
        first, self.done, end = self._file.readline(), 0, 0
        if first:
            try:
                before = dict(json.loads(first))
            except (ValueError, TypeError) as error:
                self.close()
                raise InputError(
                    f"{path}: no predictions of this program. Move it, or name another --output."
                ) from error
            for name, value in json.loads(json.dumps(command)).items():
                if before.get(name) != value:
                    self.close()
                    raise InputError(
                        f"{path}: predictions of another command, which had the {name} "
                        f"{before.get(name)!r} and not {value!r}. Delete it to start anew, or name "
                        "another --output."
                    )
            end = len(first)
            for line in self._file:
                if line.endswith(b"\n"):
                    self.done, end = self.done + 1, end + len(line)
        self._file.truncate(end)
        if not end:
            self._append([command])

    def append(self, outputs: Sequence[dict[str, Any]]) -> None:
        """Add rows. They are on disk when this returns."""
        self._append(outputs)
        self.done += len(outputs)

    def _append(self, values: Sequence[Any]) -> None:
        text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        self._file.write(text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self.path.open(encoding="utf-8") as file:
            next(file)
            yield from map(json.loads, file)

    def close(self, delete: bool = False) -> None:
        """Unlock the file; with `delete` remove it, after all else: it says what is not done."""
        self._file.close()
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)  # Windows: not while it is held
        if delete:
            self.path.unlink(missing_ok=True)  # the same command may end beside this one
