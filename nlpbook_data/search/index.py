"""A search engine over texts: their vectors and the texts themselves, in a folder.

    index = SearchIndex.build("index", texts, "outputs/search")   # a SentenceTransformer's folder
    index.add(more)
    SearchIndex.load("index").search(["한강의 길이는?"], k=10)

What the folder holds::

    manifest.json        model, dimension, count, normalisation, and the sha256 of every other file
    vectors-00000.npy    (texts, dimension), float32 or float16, a file each `build` or `add`
    texts-00000.arrow    the texts, and their morphemes where the index is a hybrid one
    faiss-….index        where `add_faiss` made one

Vectors and texts are memory-mapped; nothing is pickled. Files that are there are never changed, and
the manifest, which alone says which of them count, is replaced in one step as the last one: an
interrupted `build` or `add` leaves the index as it was.
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout
from tqdm import tqdm

from nlpbook_data.data.cache import file_sha256, make_key, write_text
from nlpbook_data.errors import InputError
from nlpbook_data.own_files.schemas import read_text
from nlpbook_data.search.bm25 import (
    extract_morphemes,
    index_morphemes,
    rank_passages,
    reciprocal_rank_fusion,
)

logger = logging.getLogger(__name__)

VERSION = 1
TEXTS = 2048  # are encoded at a time; the encoder sorts them by length
ROWS, QUERIES = 4096, 256  # a block of scores takes 4 MB
SPARE = 32  # candidates beyond k are scored once more in double precision
FUSED = 100  # a hybrid ranking is fused from as many of each
# What decides about a model's vectors: its own files and those of its modules (1_Pooling).
MODEL_FILES = ("*.safetensors", "*.bin", "*config*.json", "modules.json", "tokenizer*", "vocab*")


class Encoder(Protocol):
    """What makes vectors of texts, (texts, dimension); a SentenceTransformer is one."""

    def encode_document(self, texts: list[str]) -> np.ndarray: ...

    def encode_query(self, texts: list[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Hit:
    """A text that was found: its number, in the order of adding, from 0.

    The score is the inner product of the vectors, a cosine where they are normalised; of a hybrid
    search the sum of reciprocal ranks.
    """

    id: int
    score: float
    text: str


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says.

    Attributes:
        model: the folder or Hub name of the model; None where the encoder was given as an object.
        model_sha256: of the folder's files; None for a Hub name.
        dimension: numbers a vector; 0 before the first text.
        normalized: whether vectors are scaled to length 1, those of queries too.
        dtype: float32 or float16, in which vectors are kept; they are computed with in float32.
        hybrid: whether morphemes are kept, for BM25.
        shards: ``{"count", "vectors_sha256", "texts_sha256"}`` of each build or add.
        faiss: ``{"shards", "sha256", "probes"}``, of how many of the first shards.
    """

    model: str | None
    model_sha256: str | None
    normalized: bool
    dtype: str = "float32"
    hybrid: bool = False
    dimension: int = 0
    count: int = 0
    shards: list[dict[str, Any]] = field(default_factory=list)
    faiss: dict[str, Any] | None = None
    version: int = VERSION


class SearchIndex:
    """The index in a folder, made by `build` or `load`."""

    def __init__(self, folder: Path, manifest: Manifest, encoder: Encoder | None) -> None:
        self.folder, self.manifest, self._given = folder, manifest, encoder
        self._open()

    @classmethod
    def build(
        cls,
        folder: str | os.PathLike,
        texts: Iterable[str],
        encoder: Encoder | str | os.PathLike,
        *,
        normalize: bool | None = None,
        dtype: str = "float32",
        hybrid: bool = False,
    ) -> "SearchIndex":
        """Encode `texts` into a new index in `folder`.

        Args:
            folder: absent or empty.
            texts: an iterable, read once; what is in memory at a time does not grow with it.
            encoder: a SentenceTransformer's folder or Hub name, or an object.
            normalize: compare by cosine instead of inner product; by default unless the model says
                that it is trained for inner products.
            dtype: float16 takes half the disk and file cache, and more time a search.
            hybrid: keep morphemes too (see `baselines.search`). BM25's own index is computed from
                them in memory when a process first asks for it, in a second for 10,000 passages.

        Raises:
            InputError: the folder is not empty, the model cannot be loaded, there is no text, or a
                text is empty or has a vector that is not finite. Nothing is kept then.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or _foreign_files(folder)):
            raise InputError(f"{folder} is there already. Name another folder, or add to it.")
        model = None
        if isinstance(encoder, str | os.PathLike):
            model = str(encoder)
            encoder = load_encoder(model)
            if _is_folder(model):  # searches start from other folders
                model = str(Path(model).expanduser().resolve())
        if normalize is None:
            normalize = getattr(encoder, "similarity_fn_name", "cosine") != "dot"
        manifest = Manifest(
            model, model and model_sha256(model), normalize, dtype=dtype, hybrid=hybrid
        )
        index = cls(folder, manifest, encoder)
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            index.add(texts)
        except BaseException:
            if is_new:
                (folder / ".lock").unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise
        return index

    @classmethod
    def load(
        cls, folder: str | os.PathLike, encoder: Encoder | str | os.PathLike | None = None
    ) -> "SearchIndex":
        """Open the index in `folder`; its vectors and texts stay on disk.

        Args:
            encoder: where the model is now, or an object; by default the one of `build` is loaded
                from where it was, when it is needed.

        Raises:
            InputError: there is no index, a file of it is missing or changed, or `encoder` names
                another model.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        if isinstance(encoder, str | os.PathLike):
            encoder = _load_same(folder, manifest, str(encoder))
        return cls(folder, manifest, encoder)

    def __len__(self) -> int:
        return self.manifest.count

    def add(self, texts: Iterable[str]) -> None:
        """Encode `texts` and append them; the time it takes does not grow with the index.

        Raises:
            InputError: as of `build`, or another process is adding. The index is as it was then.
        """
        with self._locked():
            self._add(texts)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Change the index alone, from what is on disk: others may have added since."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(FileLock(self.folder / ".lock", timeout=0))
            except Timeout as error:
                raise InputError(
                    f"{self.folder}: another process is changing it. Wait for its end."
                ) from error
            if (self.folder / "manifest.json").exists():
                self.manifest = _read_manifest(self.folder)
            try:
                yield
            finally:
                self._open()

    def _add(self, texts: Iterable[str]) -> None:
        before = self.manifest
        number = len(before.shards)
        paths = [self.folder / name for name in _shard_names(number)]
        try:
            count = _write_texts(paths[1], texts, self.manifest.hybrid)
            dimension = self._write_vectors(*paths, count)
            vectors_sha256, texts_sha256 = map(file_sha256, paths)
            shard = {
                "count": count,
                "vectors_sha256": vectors_sha256,
                "texts_sha256": texts_sha256,
            }
            self._replace_manifest(
                dimension=dimension,
                count=self.manifest.count + count,
                shards=[*self.manifest.shards, shard],
            )
        except BaseException:
            # what is on disk counts: a signal may come right after the manifest was replaced
            if (self.folder / "manifest.json").exists():
                self.manifest = _read_manifest(self.folder)
            if self.manifest == before:
                for path in paths:
                    path.unlink(missing_ok=True)
            raise

    def _write_vectors(self, path: Path, texts_path: Path, count: int) -> int:
        """Encode the texts of a shard into `path` and return the vectors' dimension."""
        dimension = self.manifest.dimension
        texts = _open_texts(texts_path)
        with path.open("wb") as file, tqdm(None, "vectors", count, disable=None) as bar:
            for begin in range(0, count, TEXTS):
                part = texts["text"].slice(begin, TEXTS).to_pylist()
                vectors = self._checked(self.encoder.encode_document(part), part)
                if not file.tell():
                    dimension = vectors.shape[1]
                    header = {"descr": np.dtype(self.manifest.dtype).str, "fortran_order": False}
                    header["shape"] = (count, dimension)
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(vectors.astype(self.manifest.dtype).tobytes())
                bar.update(len(part))
            file.flush()
            os.fsync(file.fileno())
        return dimension

    def _checked(self, vectors: Any, texts: Sequence[str]) -> np.ndarray:
        """Return `vectors` as float32, scaled where the index is, if they fit the index."""
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ValueError(f"The encoder made {vectors.shape} of {len(texts)} texts.")
        if self.manifest.dimension not in (0, vectors.shape[1]):
            raise InputError(
                f"{self.folder}: the model's vectors have {vectors.shape[1]} dimensions, those of "
                f"the index {self.manifest.dimension}. Use the model that it was built with, or "
                "build it again."
            )
        if self.manifest.normalized:
            with np.errstate(invalid="ignore", divide="ignore"):
                vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(vectors.astype(self.manifest.dtype)).all(axis=1)
        if bad.any():
            raise InputError(
                f"The vector of the text {texts[int(bad.argmax())][:40]!r} is zero or not finite "
                f"in {self.manifest.dtype}. Look at the model."
            )
        return vectors

    @cached_property
    def encoder(self) -> Encoder:
        """The given encoder, else the manifest's model, loaded."""
        if self._given is not None:
            return self._given
        if self.manifest.model is None:
            raise InputError(f"{self.folder}: the index names no model. Pass the encoder.")
        return _load_same(self.folder, self.manifest, self.manifest.model)

    def search(
        self, queries: Sequence[str], k: int = 10, *, hybrid: bool = False, exact: bool = False
    ) -> list[list[Hit]]:
        """Return the `k` texts nearest to each query, the best first; fewer where there are fewer.

        Args:
            queries: texts.
            k: hits a query.
            hybrid: fuse the ranking with BM25's by reciprocal ranks, the first 100 of each.
            exact: compare with every vector also where there is a FAISS index.

        Raises:
            InputError: a query is empty, `k` is below 1, the index is no hybrid one, or the model
                is not the one that it was built with.
        """
        queries = [read_text(f"Query {n}", query, "query") for n, query in enumerate(queries, 1)]
        if k < 1:
            raise InputError(f"k is {k}. Ask for one hit or more.")
        if hybrid and not self.manifest.hybrid:
            raise InputError(f"{self.folder}: built without morphemes. Build it again as hybrid.")
        if not queries:
            return []
        vectors = self.encoder.encode_query(queries)
        ids, scores = self.search_vectors(
            self._checked(vectors, queries), max(k, FUSED) if hybrid else k, exact=exact
        )
        found = [
            {int(i): float(s) for i, s in zip(*row, strict=True) if i >= 0}
            for row in zip(ids, scores, strict=True)
        ]
        if hybrid:
            by_words, _ = rank_passages(self._bm25, extract_morphemes(queries), max(k, FUSED))
            found = [
                reciprocal_rank_fusion([list(dense), words])
                for dense, words in zip(found, by_words, strict=True)
            ]
        return [
            [Hit(i, score, self._text(i)) for i, score in list(hits.items())[:k]] for hits in found
        ]

    def search_vectors(
        self, queries: np.ndarray, k: int, *, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and scores, (queries, k), of the vectors nearest to `queries`.

        As `search_exact`, for `queries` that are scaled as the index' vectors are. Where there is a
        FAISS index, its candidates and all vectors that were added after it are compared, and -1
        with -inf stands where it found too few.
        """
        k = min(k, len(self))
        faiss = None if exact else self._faiss
        if faiss is None:
            return search_exact(queries, self.vectors, k)
        shards = self.manifest.faiss["shards"]
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        _, candidates = faiss.search(queries, min(4 * k + SPARE, faiss.ntotal))
        if shards < len(self.vectors):
            rest, _ = search_exact(queries, self.vectors[shards:], k)
            candidates = np.concatenate([candidates, rest + faiss.ntotal], axis=1)
        return _score_again(queries, self.vectors, candidates, k)

    def add_faiss(self, lists: int | None = None, probes: int = 128) -> None:
        """Make a FAISS index of all vectors, which `search` then asks for candidates.

        It is an inverted file of `lists` cells (by default 4 √count), its vectors in 8 bits; the
        candidates' scores are computed exactly. Of 1,000,000 vectors of 256 dimensions it finds
        95% of the ten nearest, 23 times as fast as exact search for one query and twice as fast for
        256 at a time (benchmarks/search.json). HNSW of that recall took several times as long to
        build and twice the memory, and was no faster. Below some 100,000 texts exact search will
        do.
        What is added later is searched exactly until this is called again.

        Args:
            lists: cells.
            probes: cells that a query is compared with; more find more and take longer.

        Raises:
            InputError: faiss is not installed.
        """
        faiss = import_faiss()
        lists = lists or max(1, min(int(4 * len(self) ** 0.5), len(self) // 39))
        index = faiss.index_factory(
            self.manifest.dimension, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT
        )
        random = np.random.default_rng(0)
        sample = random.choice(len(self), min(len(self), 50 * lists), replace=False)
        index.train(_gather(self.vectors, np.sort(sample)).astype(np.float32))
        for _, block in _blocks(self.vectors):
            index.add(block.astype(np.float32))
        with self._locked():
            partial = self.folder / f".faiss.{os.getpid()}.partial"
            try:
                faiss.write_index(index, str(partial))
                sha256 = file_sha256(partial)
                os.replace(partial, self.folder / _faiss_name(sha256))
            finally:
                partial.unlink(missing_ok=True)
            before = self.manifest.faiss
            self._replace_manifest(
                faiss={"shards": len(self.vectors), "sha256": sha256, "probes": probes}
            )
            if before and before["sha256"] != sha256:
                (self.folder / _faiss_name(before["sha256"])).unlink(missing_ok=True)

    def _replace_manifest(self, **changes: Any) -> None:
        manifest = replace(self.manifest, **changes)
        text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
        write_text(self.folder / "manifest.json", text + "\n")
        self.manifest = manifest

    def _open(self) -> None:
        """Map the files that the manifest names, after a check of their contents."""
        self.vectors: list[np.ndarray] = []
        self._texts: list[pa.Table] = []
        for number, shard in enumerate(self.manifest.shards):
            vectors, texts = (self.folder / name for name in _shard_names(number))
            _check_file(vectors, shard["vectors_sha256"])
            _check_file(texts, shard["texts_sha256"])
            try:
                # "c": torch wants memory that could be written; nothing is, nor would the file be
                self.vectors.append(np.load(vectors, mmap_mode="c", allow_pickle=False))
                self._texts.append(_open_texts(texts))
            except ValueError as error:  # objects in the .npy file, no Arrow file
                raise InputError(f"{vectors}: no vectors ({error}). Build it again.") from error
            shape = (shard["count"], self.manifest.dimension)
            if self.vectors[-1].shape != shape or len(self._texts[-1]) != shape[0]:
                raise InputError(f"{vectors}: not as manifest.json says. Build the index again.")
        for computed in ("_bm25", "_faiss"):
            self.__dict__.pop(computed, None)

    @cached_property
    def _bm25(self) -> Any:
        return index_morphemes([m for part in self._texts for m in part["morphemes"].to_pylist()])

    @cached_property
    def _faiss(self) -> Any:
        if self.manifest.faiss is None:
            return None
        path = self.folder / _faiss_name(self.manifest.faiss["sha256"])
        _check_file(path, self.manifest.faiss["sha256"])
        index = import_faiss().read_index(str(path))
        index.nprobe = self.manifest.faiss["probes"]
        return index

    def texts(self) -> Iterator[str]:
        """Yield the texts in the order of their ids."""
        for part in self._texts:
            for batch in part["text"].chunks:
                yield from batch.to_pylist()

    def _text(self, number: int) -> str:
        for part in self._texts:
            if number < len(part):
                return part["text"][number].as_py()
            number -= len(part)
        raise IndexError(number)


def search_exact(
    queries: np.ndarray, vectors: Sequence[np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids and inner products of the `k` vectors nearest to each query, the best first.

    Every vector is compared, in blocks: beside its result this takes some 100 MB, however many
    vectors there are. The scores of the best are sums in double precision, so that neither blocks
    nor the number of queries changes them; equal ones are in the order of their ids (of more than
    32 that are equal at the k-th place, any may be left out).

    Args:
        queries: (queries, dimension).
        vectors: parts of one collection, (rows, dimension) each, float32 or float16, which may be
            memory-mapped; the ids count through all of them.
        k: at most the number of vectors.

    Returns:
        int64 and float32, (queries, k).
    """
    queries = np.asarray(queries, dtype=np.float32)
    width = min(k + SPARE, sum(map(len, vectors)))
    found = [
        _score_again(part, vectors, _find_candidates(part, vectors, width), k)
        for part in (queries[i : i + QUERIES] for i in range(0, len(queries), QUERIES))
    ]
    if not found:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
    ids, scores = zip(*found, strict=True)
    return np.concatenate(ids), np.concatenate(scores)


def _blocks(vectors: Sequence[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    first = 0
    for part in vectors:
        for begin in range(0, len(part), ROWS):
            yield first + begin, part[begin : begin + ROWS]
        first += len(part)


def _find_candidates(queries: np.ndarray, vectors: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Return the ids of the `width` best of each query, in no order."""
    # Its products wait without spinning (OMP_WAIT_POLICY), and it reads float16 five times as fast
    # as NumPy.
    import torch

    asked = torch.from_numpy(queries)
    rows = np.arange(len(queries))[:, None]
    best = np.full((len(queries), width), -np.inf, dtype=np.float32)
    ids = np.full((len(queries), width), -1, dtype=np.int64)
    for first, block in _blocks(vectors):
        scores = (asked @ torch.from_numpy(block).float().T).numpy()
        # after some blocks only few are better than the worst that is kept
        better = np.flatnonzero(scores > best.min(axis=1, keepdims=True))
        row, column = np.divmod(better, scores.shape[1])
        if not len(row):
            continue
        place = width + np.arange(len(row)) - np.searchsorted(row, row)
        size = (len(queries), int(place.max()) + 1)
        merged, merged_ids = np.full(size, -np.inf, np.float32), np.full(size, -1, np.int64)
        merged[:, :width], merged_ids[:, :width] = best, ids
        merged[row, place], merged_ids[row, place] = scores[row, column], first + column
        kept = np.argpartition(-merged, width - 1, axis=1)[:, :width]
        best, ids = merged[rows, kept], merged_ids[rows, kept]
    return ids


def _score_again(
    queries: np.ndarray, vectors: Sequence[np.ndarray], candidates: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and scores, (queries, k), of the best of each query's candidates (-1: none)."""
    ids = np.full((len(queries), k), -1, dtype=np.int64)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    for row, (query, found) in enumerate(zip(queries, candidates, strict=True)):
        found = np.sort(found[found >= 0])
        score = (_gather(vectors, found) @ query.astype(np.float64)).astype(np.float32)
        order = np.argsort(-score, kind="stable")[:k]
        ids[row, : len(order)], scores[row, : len(order)] = found[order], score[order]
    return ids, scores


def _gather(vectors: Sequence[np.ndarray], ids: np.ndarray) -> np.ndarray:
    """Return the vectors of `ids`, ascending, in double precision."""
    ends = np.cumsum([len(part) for part in vectors])
    cuts = np.searchsorted(ids, ends)
    parts = zip(np.split(ids, cuts[:-1]), vectors, ends, strict=True)
    return np.concatenate([part[i - (end - len(part))] for i, part, end in parts], dtype=np.float64)


def load_encoder(model: str) -> Encoder:
    """Load the SentenceTransformer in the folder, or of the Hub name, `model`.

    Raises:
        InputError: it cannot be loaded, or is trained for distances instead of products.
    """
    from sentence_transformers import SentenceTransformer

    try:
        encoder = SentenceTransformer(str(Path(model).expanduser()) if _is_folder(model) else model)
    except Exception as error:  # the loader raises a dozen unrelated types
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{model}: no model could be loaded ({first}). Check the name.") from error
    if encoder.similarity_fn_name not in (None, "cosine", "dot"):
        raise InputError(
            f"{model}: compares by {encoder.similarity_fn_name}; an index compares by cosine or "
            "inner product. Choose another model."
        )
    return encoder


def model_sha256(model: str) -> str | None:
    """Return the hash of the files of a model's folder; None for a Hub name."""
    if not _is_folder(model):
        return None
    folder = Path(model).expanduser()
    paths = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for place in (folder, *folder.glob("[0-9]*_*"))
        for pattern in MODEL_FILES
        for path in place.glob(pattern)
    }
    return make_key(model=paths)


def _is_folder(model: str) -> bool:
    return Path(model).expanduser().is_dir()


def _load_same(folder: Path, manifest: Manifest, model: str) -> Encoder:
    """Load `model` if it is the one that the index was built with."""
    found = model_sha256(model)
    if found is None and manifest.model_sha256:
        raise InputError(
            f"{folder}: its model is no longer at {model}. Say where it is now (--model), or build "
            "the index again."
        )
    same = found == manifest.model_sha256 if found else model == manifest.model
    if not same:
        raise InputError(
            f"{folder}: built with another model than {model} is now ({manifest.model}). Name the "
            "one that it was built with, or build it again."
        )
    return load_encoder(model)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    if not path.is_file():
        raise InputError(f"{folder}: there is no index (no manifest.json). Check the folder.")
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
        if manifest.version != VERSION:
            raise InputError(
                f"{path}: an index of version {manifest.version}, where this is version {VERSION}. "
                "Build it again."
            )
        if sum(shard["count"] for shard in manifest.shards) != manifest.count:
            raise ValueError
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: damaged. Build the index again.") from error
    return manifest


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise InputError(f"{path}: missing, though manifest.json names it. Build the index again.")
    if file_sha256(path) != sha256:
        raise InputError(
            f"{path}: truncated or changed since it was written. Copy the index again, or build it."
        )


def _shard_names(number: int) -> tuple[str, str]:
    return f"vectors-{number:05}.npy", f"texts-{number:05}.arrow"


def _faiss_name(sha256: str) -> str:
    return f"faiss-{sha256[:16]}.index"


def _foreign_files(folder: Path) -> set[str]:
    """Return the files that are not what an interrupted `build` leaves, which the next writes."""
    return {path.name for path in folder.iterdir()} - {".lock", *_shard_names(0)}


def _write_texts(path: Path, texts: Iterable[str], hybrid: bool) -> int:
    """Write `texts`, each checked, as an Arrow file, and return how many they are."""
    schema = pa.schema([("text", pa.string())])
    if hybrid:
        schema = schema.append(pa.field("morphemes", pa.list_(pa.string())))
    count = 0
    with path.open("wb") as file:
        with pa.ipc.new_file(file, schema) as writer:
            checked = (read_text(f"Text {number}", text) for number, text in enumerate(texts, 1))
            for part in _batches(tqdm(checked, "texts", disable=None)):
                columns = {"text": part}
                if hybrid:
                    columns["morphemes"] = extract_morphemes(part)
                writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=schema))
                count += len(part)
        file.flush()
        os.fsync(file.fileno())
    if not count:
        raise InputError("There is no text to index. Look at the file.")
    return count


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for text in texts:
        part.append(text)
        if len(part) == TEXTS:
            yield part
            part = []
    if part:
        yield part


def _open_texts(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def import_faiss() -> Any:
    """Return the module faiss, or raise InputError that says how to install it."""
    try:
        import faiss
    except ImportError as error:
        raise InputError(
            "faiss is not installed: pip install nlpbook-recipes[faiss]. Or search exactly."
        ) from error
    return faiss
