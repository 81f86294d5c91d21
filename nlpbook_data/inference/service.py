"""The common interface of demo and server to the model of a run or to a search index."""

import json
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.inference.predictor import load_predictor
from nlpbook_data.search.index import Hit, SearchIndex

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Search = Callable[..., list[list[Hit]]]  # `Index.search`, or that with a reranker
TASKS = {
    "doccls": "문서 분류",
    "paircls": "문장 쌍 분류",
    "ner": "개체명 인식",
    "qa": "질의응답",
    "generation": "문장 생성",
    "search": "문서 검색",
}
EXAMPLES = 5
EXPORTED = "examples.jsonl"  # of recipes/export.py
CHARACTERS = 10_000  # the default limit of a text
MAX_BYTES = 4 * 2**20  # the limit of a request
WAITING = 100  # the most requests that wait for the model
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Service:
    """A model or a search index that answers rows.

    Attributes:
        name: of its folder.
        task: one of `TASKS`.
        columns: those that a row needs, by the task's names.
        options: of `predict`.
        labels: of classes or entity types.
        examples: some rows of the run's test split.
        predict: ``predict(rows, **options)`` returns a dict for each row, ``{"error": …}`` if it
            failed.
    """

    name: str
    task: str
    columns: tuple[str, ...]
    options: frozenset[str]
    labels: list[str]
    multi_label: bool
    examples: list[Row]
    predict: Callable[..., list[Row]]

    @property
    def title(self) -> str:
        """The task, in Korean."""
        is_score = self.task == "paircls" and not self.labels
        return "문장 유사도" if is_score else TASKS[self.task]


def load_service(folder: str | Path, rerank: str | None = None) -> Service:
    """Load `folder`: a finished run, or an index of ``nlpbook-data index``.

    Args:
        rerank: a reranker, folder or Hub name, for the hits of an index.

    Raises:
        InputError: it is none of them, or `rerank` is no reranker or is given with a run.
    """
    path = Path(folder).expanduser()
    if (path / "manifest.json").is_file():
        return _open_index(path, rerank)
    if rerank:
        raise InputError(
            f"--rerank {rerank}: is for the hits of a search index, and {path} is none. Leave it "
            "out, or name an index."
        )
    predictor = load_predictor(folder)
    inputs, columns = predictor.inputs, tuple(predictor.inputs)

    def predict(rows: list[Row], **given: Any) -> list[Row]:
        named = [{name: row.get(column) for column, name in inputs.items()} for row in rows]
        return predictor.predict(named, **given)

    return Service(
        path.resolve().name if path.exists() else str(folder),
        predictor.task,
        columns,
        frozenset(predictor.options),
        predictor.labels,
        predictor.multi_label,
        find_examples(path, columns),
        predict,
    )


def _open_index(path: Path, rerank: str | None) -> Service:
    index = SearchIndex.load(path)
    options = {"k", "hybrid"} if index.manifest.hybrid else {"k"}
    examples = find_examples(Path(index.manifest.model or path), ("query",))
    search: Search = index.search
    if rerank:
        from nlpbook_data.search.reranking import open_reranker, search_reranked

        search = partial(search_reranked, open_reranker(rerank), index)
    search(["가"], hybrid=index.manifest.hybrid)  # loads everything, so errors come now
    name, find = path.resolve().name, partial(_search, search)
    return Service(name, "search", ("query",), frozenset(options), [], False, examples, find)


def _search(search: Search, rows: list[Row], k: int = 10, hybrid: bool = False) -> list[Row]:
    answers = list[Row]()
    for row in rows:
        try:
            (hits,) = search([row["query"]], k, hybrid=hybrid)
        except InputError as error:
            answers.append({"error": str(error)})
        else:
            found = [{"id": h.id, "score": round(h.score, 6), "row": h.row} for h in hits]
            answers.append({"prediction": found})
    return answers


def find_examples(folder: Path, columns: tuple[str, ...]) -> list[Row]:
    """Return the first different rows that a run predicted, or that its export was given.

    They have only the task's `columns`; incomplete ones are skipped.
    """
    path, rows = folder / EXPORTED, dict[tuple[str, ...], Row]()
    if not path.is_file():
        path = folder / "predictions.jsonl"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as lines:
        for line in islice(lines, 1000):
            try:
                row = json.loads(line)
            except ValueError:
                break
            if columns == ("question",) and "prompt" in row:  # generation
                row["question"] = row["prompt"].rstrip("\n")
            texts = tuple(row.get(column) for column in columns)
            if all(isinstance(text, str) and 0 < len(text) <= CHARACTERS for text in texts):
                rows.setdefault(texts, dict(zip(columns, texts, strict=True)))
            if len(rows) == EXAMPLES:
                break
    return list(rows.values())


def open_port(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to `port`.

    Raises:
        InputError: the port is in use, or the host is not an address of this machine.
    """
    if not 0 <= port < 2**16:
        raise InputError(f"--port {port}: it must be from 0 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family)
    except OSError as error:
        said = error.strerror or error
        raise InputError(f"{host}:{port}: {said}. Name another --port or --host.") from error
    if host not in LOOPBACK:
        logger.warning("%s: whoever reaches this machine can use it; there is no password.", host)
    return bound
