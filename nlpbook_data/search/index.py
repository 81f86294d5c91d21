"""A search engine over passages: a folder with their rows, vectors and words.

    index = SearchIndex.build("index", texts, "outputs/search")   # a SentenceTransformer's folder
    index.add(more)
    index.delete([3, 5])
    SearchIndex.load("index").search(["한강의 길이는?"], k=10)

Each `build` or `add` writes a part, ``part-00000/`` and so on: ``rows`` (and ``morphemes`` if words
are searched) by `datasets.save_to_disk`, and ``vectors.npy`` (rows, dimension). Beside them stand
``bm25-…`` of bm25s, over all rows that are not deleted; ``dictionary.txt`` if one was given;
``faiss-….index`` after `add_faiss`; and ``manifest.json`` with the sha256 of every file in use,
which a change replaces last, in one step. Files are memory-mapped, and nothing is pickled.
"""

import contextlib
import importlib
import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from datasets import Dataset, concatenate_datasets, load_from_disk
from filelock import FileLock, Timeout
from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from tqdm import tqdm

from nlpbook_data.data.cache import file_sha256, hash_of, write_text
from nlpbook_data.errors import InputError, first_line, needing
from nlpbook_data.own_files.schemas import read_text
from nlpbook_data.reports.push import model_files
from nlpbook_data.search.bm25 import (
    K1,
    B,
    extract_morphemes,
    index_morphemes,
    load_bm25,
    rank_passages,
)
from nlpbook_data.search.fusion import WEIGHT, fuse
from nlpbook_data.search.prompts import own_prompts

VERSION = 3
DICTIONARY = "dictionary.txt"
TEXTS = 2048  # encoded at a time; the encoder sorts them by length
ROWS = 16_384  # vectors compared at a time: 6 MB of scores for 100 queries
FUSED = 100  # passages of each ranking in a hybrid one
Rows: TypeAlias = Iterable[str | Mapping[str, Any]] | Dataset
Rankings = list[dict[int, float]]  # for each query ids and scores, best first
DAMAGE = (ValueError, TypeError, KeyError, StrictDataclassError)  # of a manifest


class Encoder(Protocol):
    """Encodes texts as vectors, (texts, dimension); a SentenceTransformer is one."""

    def encode_document(self, texts: list[str]) -> np.ndarray: ...

    def encode_query(self, texts: list[str]) -> np.ndarray: ...


GivenEncoder: TypeAlias = Encoder | str | os.PathLike | None  # an object, or a model's name


@dataclass(frozen=True)
class Hit:
    """A row that was found: its number from 0, in the order of adding, its score, all its columns.

    The score is the inner product of the vectors, which is the cosine if they are normalised;
    without vectors BM25's, and in hybrid search that of `fusion.fuse`.
    """

    id: int
    score: float
    row: dict[str, Any]

    @property
    def text(self) -> str:
        return self.row["text"]


@strict
@dataclass
class Faiss:
    """The FAISS index: its file, the number of first parts that it covers, cells a query."""

    file: str
    parts: int
    probes: int


@strict
@dataclass
class Manifest:
    """The contents of manifest.json; a value of another type is refused.

    Attributes:
        model: the folder or Hub name of the model; None if the encoder was given as an object.
        model_sha256: the hash of the model folder's files; None for a Hub name.
        normalized: whether vectors, including those of queries, are scaled to length 1.
        dtype: of stored vectors.
        dense: whether there are vectors; else only BM25 is searched.
        hybrid: whether morphemes are stored, for BM25.
        weight: of the vectors in a hybrid search.
        deleted: the numbers of deleted rows, ascending.
        parts, changes: the number of builds and adds, and of all changes.
    """

    model: str | None
    model_sha256: str | None
    normalized: bool
    dtype: Literal["float32", "float16"] = "float32"
    dense: bool = True
    hybrid: bool = False
    k1: float | int = K1
    b: float | int = B
    weight: float | int = WEIGHT
    id_column: str | None = None
    deleted: list[int] = field(default_factory=list)
    parts: int = 0
    changes: int = 0
    files: dict[str, str] = field(default_factory=dict)
    faiss: Faiss | None = None
    version: int = VERSION


class Index(ABC):
    """What is searched, in a folder (`SearchIndex`) or by Qdrant (`qdrant.QdrantIndex`)."""

    def __init__(self, folder: Path, manifest: Manifest, encoder: GivenEncoder) -> None:
        self.folder, self.manifest = folder, manifest
        if isinstance(encoder, str | os.PathLike):
            encoder = find_encoder(folder, manifest, encoder)
        self._given = encoder

    @cached_property
    def encoder(self) -> Encoder:
        """The given encoder, else the manifest's model, loaded."""
        given = self._given
        return find_encoder(self.folder, self.manifest) if given is None else given

    def search(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        hybrid: bool = False,
        exact: bool = False,
        weight: float | None = None,
    ) -> list[list[Hit]]:
        """Return the `k` rows nearest to each query, best first, by BM25 if there are no vectors.

        Args:
            hybrid: fuse the first 100 hits with the first 100 of BM25 (see `search.fusion`).
            exact: compare with every vector, even if there is an approximate index.
            weight: of the vectors in the fusion, from 0 to 1; by default the weight that the
                model's training chose on validation, or 0.5.

        Raises:
            InputError: a query is empty, an option does not fit, the model is not the one of
                `build`, or a server does not answer.
        """
        queries = [read_text(f"Query {n}", query, "query") for n, query in enumerate(queries, 1)]
        if k < 1:
            raise InputError(f"k is {k}. Ask for one hit or more.")
        if weight is not None and not 0 <= weight <= 1:
            raise InputError(f"The weight is {weight}. Give one from 0 to 1.")
        if hybrid and not self.manifest.hybrid:
            raise InputError(f"{self.folder}: built without morphemes. Build it again as hybrid.")
        if not queries:
            return []
        if not self.manifest.dense:
            found = self._search_words(queries, k)
        elif not hybrid:
            found = self._search_dense(queries, k, exact)
        else:
            depth = max(k, FUSED)
            share = self.manifest.weight if weight is None else weight
            dense = self._search_dense(queries, depth, exact)
            words = self._search_words(queries, depth)
            found = [fuse(*both, share) for both in zip(dense, words, strict=True)]
        best = [[*islice(ranking.items(), k)] for ranking in found]
        rows = self._rows_of({i for ranking in best for i, _ in ranking})
        # a point of a server may have been deleted meanwhile
        return [[Hit(i, s, rows[i]) for i, s in ranking if i in rows] for ranking in best]

    @abstractmethod
    def _search_dense(self, queries: Sequence[str], k: int, exact: bool) -> Rankings:
        """Return the `k` rows whose vectors are nearest to each query."""

    @abstractmethod
    def _search_words(self, queries: Sequence[str], k: int) -> Rankings:
        """Return the `k` rows that BM25 ranks first."""

    @abstractmethod
    def _rows_of(self, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return the columns of rows by their numbers."""


class SearchIndex(Index):
    """The index in a folder, made by `build` or `load`."""

    def __init__(self, folder: Path, manifest: Manifest, encoder: GivenEncoder) -> None:
        super().__init__(folder, manifest, encoder)
        self._open()

    @classmethod
    def build(
        cls,
        folder: str | os.PathLike,
        rows: Rows,
        encoder: GivenEncoder = None,
        *,
        dtype: str = "float32",
        hybrid: bool = False,
        k1: float = K1,
        b: float = B,
        dictionary: str | os.PathLike | None = None,
        id_column: str | None = None,
    ) -> "SearchIndex":
        """Encode `rows` into a new index in `folder`.

        Args:
            folder: absent or empty; it appears when the whole index is on disk.
            rows: texts, or rows: ``text`` is encoded, and hits return the other columns too. A
                Dataset stays on disk; anything else is read into memory.
            encoder: a SentenceTransformer's folder or Hub name, or an object; None: BM25 alone.
            dtype: float16 needs half the disk and file cache, but more time for a search.
            hybrid: also keep a BM25 index of morphemes (see `search.bm25`).
            dictionary: a file of words that Kiwi does not know, in Kiwi's format; it is copied.
            id_column: the column of your own ids; `add` and `delete` find rows by it.

        Raises:
            InputError: the folder is not empty, the model cannot be loaded, or a text is empty or
                has a vector that is not finite. Then nothing is kept.
        """
        folder = require_new(folder)
        manifest, encoder = describe_encoder(
            encoder, dtype=dtype, hybrid=hybrid, k1=k1, b=b, id_column=id_column
        )
        partial = folder.parent / f".{folder.name}.partial"
        partial.mkdir(parents=True, exist_ok=True)
        with _locked(partial):
            try:
                (partial / "manifest.json").unlink(missing_ok=True)  # left by a killed build
                if dictionary:
                    copy_dictionary(Path(dictionary), partial / DICTIONARY)
                    sha256 = file_sha256(partial / DICTIONARY)
                    manifest = replace(manifest, files={DICTIONARY: sha256})
                index = cls(partial, manifest, encoder)
                index._change(index._new_rows(rows)[0])
                if folder.exists():
                    folder.rmdir()
                os.replace(partial, folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return cls.load(folder, encoder)

    @classmethod
    def load(cls, folder: str | os.PathLike, encoder: GivenEncoder = None) -> "SearchIndex":
        """Open the index in `folder`; its rows and vectors stay on disk.

        Args:
            encoder: the model's new folder, or an object; by default the model of `build`, loaded
                from its old place when it is needed.

        Raises:
            InputError: no index, a missing or changed file, or `encoder` is another model.
        """
        return cls(Path(folder), _read_manifest(Path(folder)), encoder)

    def __len__(self) -> int:
        return len(self.rows) - len(self.manifest.deleted)

    def add(self, rows: Rows) -> tuple[int, int]:
        """Encode `rows` and append them; return the numbers of new and of replaced rows.

        A row with a known id (`id_column`) replaces the old row, unless it is the same.

        Raises:
            InputError: see `build`, or another process is changing the index. Then the index is
                unchanged.
        """
        with self._changing():
            fresh, replaced = self._new_rows(rows)
            if len(fresh):
                self._change(fresh, replaced)
            return len(fresh) - len(replaced), len(replaced)

    def delete(self, ids: Iterable[Any]) -> None:
        """Delete rows by the ids in the index's id column or, without one, by their numbers.

        The files still contain deleted rows until the index is built again.

        Raises:
            InputError: there is no such row, or no row would be left. Then the index is unchanged.
        """
        with self._changing():
            known, asked = self._numbers(), [*dict.fromkeys(map(str, ids))]
            if unknown := [i for i in asked if i not in known]:
                raise InputError(
                    f"{self.folder}: no row has the id {unknown[0]!r}. The ids are those of the "
                    f"column {self.manifest.id_column}."
                    if self.manifest.id_column
                    else f"{self.folder}: there is no row of the number {unknown[0]!r}. A search "
                    "shows the numbers."
                )
            if len(asked) == len(self):
                raise InputError(f"{self.folder}: no row would be left. Remove the folder instead.")
            self._change(None, [known[i] for i in asked])

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Lock the folder, and load the changes that other processes have made."""
        with _locked(self.folder):
            if (manifest := _read_manifest(self.folder)) != self.manifest:
                self.manifest = manifest
                self._open()
            yield

    def _numbers(self) -> dict[str, int]:
        """Return the number of each row that is not deleted, by its id."""
        column, deleted = self.manifest.id_column, set(self.manifest.deleted)
        ids = self.rows[column] if column and len(self.rows) else range(len(self.rows))
        return {str(i): number for number, i in enumerate(ids) if number not in deleted}

    def _new_rows(self, rows: Rows) -> tuple[Dataset, list[int]]:
        """Return the new and changed rows, and the numbers of the rows that they replace."""
        found, column = to_dataset(rows), self.manifest.id_column
        if not column:
            return found, []
        if column not in found.column_names:
            raise InputError(
                f"There is no column {column!r} of ids; the columns are "
                f"{', '.join(found.column_names)}. Check --id_column_name."
            )
        ids = [str(i) for i in found[column]]
        for row, i in enumerate(ids, 1):
            if i in ("", "None"):
                raise InputError(f"Row {row} has no {column}. Give each row an id of its own.")
        if len(set(ids)) < len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise InputError(f"The {column} {twice!r} stands in two rows. Each needs its own.")
        known = self._numbers()
        fresh = [
            place
            for place, i in enumerate(ids)
            if i not in known or self.rows[known[i]] != found[place]
        ]
        return found.select(fresh), [known[ids[place]] for place in fresh if ids[place] in known]

    def _change(self, rows: Dataset | None, deleted: Sequence[int] = ()) -> None:
        """Append `rows` and delete others, in one step."""
        before = self.manifest
        made = part, bm25 = self._part(before.parts), self._bm25_folder(before.changes + 1)
        for rest in made:  # of a killed change
            shutil.rmtree(rest, ignore_errors=True)
        try:
            if rows is not None:
                self._write_part(part, rows)
            gone, files = sorted({*before.deleted, *deleted}), dict(before.files)
            parts = before.parts + (rows is not None)
            if before.hybrid:
                dropped = set(gone)
                morphemes = (
                    row for one in self._load("morphemes", parts) for row in one["morphemes"]
                )
                kept = [row for number, row in enumerate(morphemes) if number not in dropped]
                index_morphemes(kept, before.k1, before.b).save(bm25, show_progress=False)
                files = {path: sha for path, sha in files.items() if not path.startswith("bm25-")}
            written = (path for folder in made for path in folder.rglob("*") if path.is_file())
            files |= {p.relative_to(self.folder).as_posix(): file_sha256(p) for p in written}
            changes = before.changes + 1
            self._replace_manifest(parts=parts, files=files, deleted=gone, changes=changes)
            shutil.rmtree(self._bm25_folder(before.changes), ignore_errors=True)
        finally:
            # The files on disk decide: a signal may come right after the manifest was replaced.
            if (self.folder / "manifest.json").exists():
                self.manifest = _read_manifest(self.folder)
            if self.manifest.changes == before.changes:
                for rest in made:
                    shutil.rmtree(rest, ignore_errors=True)
            self._open()

    def _write_part(self, part: Path, rows: Dataset) -> None:
        try:
            concatenate_datasets([self.rows, rows] if self.manifest.parts else [rows])
        except ValueError as error:
            what = f"{self.folder}: its rows have other columns ({error}). Mend the new ones."
            raise InputError(what) from error
        rows.save_to_disk(part / "rows")
        if self.manifest.dense:
            self._write_vectors(part / "vectors.npy", rows)
        if self.manifest.hybrid:
            morphemes = extract_morphemes(_texts(rows), "morphemes", self._dictionary)
            Dataset.from_dict({"morphemes": morphemes}).save_to_disk(part / "morphemes")

    def _write_vectors(self, path: Path, rows: Dataset) -> None:
        file: Any = None
        for begin in tqdm(range(0, len(rows), TEXTS), "vectors", disable=None):
            texts = rows[begin : begin + TEXTS]["text"]
            vectors = self._checked(self.encoder.encode_document(texts), texts)
            if file is None:
                shape = (len(rows), vectors.shape[1])
                file = np.lib.format.open_memmap(path, "w+", self.manifest.dtype, shape)
            file[begin : begin + len(texts)] = vectors
        file.flush()

    def _checked(self, vectors: Any, texts: Sequence[str]) -> np.ndarray:
        """Return `vectors` as float32, scaled if needed; refuse vectors that do not fit."""
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ValueError(f"The encoder made {vectors.shape} of {len(texts)} texts.")
        if self.vectors and vectors.shape[1] != self.vectors[0].shape[1]:
            raise InputError(
                f"{self.folder}: the model's vectors have {vectors.shape[1]} dimensions, those of "
                f"the index {self.vectors[0].shape[1]}. Use the model that it was built with, or "
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

    def _search_dense(self, queries: Sequence[str], k: int, exact: bool) -> Rankings:
        vectors = self._checked(self.encoder.encode_query([*queries]), queries)
        return self.search_vectors(vectors, k, exact=exact)

    def _search_words(self, queries: Sequence[str], k: int) -> Rankings:
        morphemes = extract_morphemes(queries, dictionary=self._dictionary)
        left = np.setdiff1d(np.arange(len(self.rows)), self.manifest.deleted)
        found = rank_passages(self._bm25, morphemes, k)
        return [{int(left[i]): score for i, score in ranking.items()} for ranking in found]

    def search_vectors(self, queries: np.ndarray, k: int, *, exact: bool = False) -> Rankings:
        """Return ``{id: score}`` of the `k` vectors nearest to each query, best first.

        Args:
            queries: (queries, dimension), scaled like the index's vectors.
            exact: without FAISS, which may miss some.
        """
        deleted = set(self.manifest.deleted)
        most = k + len(deleted)
        if exact or self.manifest.faiss is None:
            found = search_exact(queries, self.vectors, most)
            return [_best(ranking, k, deleted) for ranking in found]
        # 8 bits order the candidates only roughly, so more than k are taken, and the exact vectors
        # decide.
        _, candidates = self._faiss.search(queries.astype(np.float32), 4 * most + 32)
        found = search_exact(queries, self.vectors[self.manifest.faiss.parts :], most)
        ranked = []
        for query, ids, later in zip(queries, candidates, found, strict=True):
            scores = {i + self._faiss.ntotal: score for i, score in later.items()}
            ids = np.sort(ids[ids >= 0])
            exact_scores = (_gather(self.vectors, ids) @ query).tolist()
            scores |= zip(ids.tolist(), exact_scores, strict=True)
            ranked.append(_best(scores, k, deleted))
        return ranked

    def add_faiss(self, probes: int = 128) -> None:
        """Make a FAISS index of all vectors; `search` then takes its candidates from it.

        It is an inverted file of 4 √count cells with vectors of 8 bits; the candidates' scores are
        computed exactly. Among 1,000,000 vectors of 256 dimensions it finds 95% of the ten nearest
        (times in benchmarks/search.json); HNSW needs more time and memory for that. Below about
        100,000 rows exact search is fast enough. Rows added later are searched exactly.

        Args:
            probes: the number of cells searched for a query; more cells find more and take longer.

        Raises:
            InputError: faiss is not installed.
        """
        faiss = import_faiss()
        if not self.manifest.dense:
            raise InputError(f"{self.folder}: there are no vectors, but words alone. Leave it out.")
        with self._changing():
            count, width = len(self.rows), self.vectors[0].shape[1]
            cells = max(1, min(int(4 * count**0.5), count // 39))
            index = faiss.index_factory(width, f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
            chosen = np.random.default_rng(0).choice(count, min(count, 50 * cells), False)
            index.train(_gather(self.vectors, np.sort(chosen)))
            for part in self.vectors:
                for begin in range(0, len(part), ROWS):
                    index.add(part[begin : begin + ROWS].astype(np.float32))
            partial = self.folder / ".faiss.partial"
            faiss.write_index(index, str(partial))
            sha256 = file_sha256(partial)
            made = Faiss(f"faiss-{sha256[:16]}.index", len(self.vectors), probes)
            os.replace(partial, self.folder / made.file)
            files = {name: sha for name, sha in self.manifest.files.items() if "faiss" not in name}
            self._replace_manifest(files=files | {made.file: sha256}, faiss=made)
            for path in {*self.folder.glob("faiss-*.index")} - {self.folder / made.file}:
                path.unlink()
            self._open()

    def _replace_manifest(self, **changes: Any) -> None:
        manifest = replace(self.manifest, **changes)
        text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
        write_text(self.folder / "manifest.json", text + "\n")
        self.manifest = manifest

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:05}"

    def _bm25_folder(self, change: int) -> Path:
        return self.folder / f"bm25-{change:05}"

    @property
    def _dictionary(self) -> Path | None:
        return self.folder / DICTIONARY if DICTIONARY in self.manifest.files else None

    def _load(self, name: str, parts: int) -> list[Dataset]:
        folders = (str(self._part(number) / name) for number in range(parts))
        return [load_from_disk(folder, keep_in_memory=False) for folder in folders]

    def _open(self) -> None:
        """Check the contents of the files in the manifest, then memory-map them."""
        manifest = self.manifest
        for name, sha256 in manifest.files.items():
            path = self.folder / name
            if not path.is_file() or file_sha256(path) != sha256:
                raise InputError(
                    f"{path}: missing, truncated or changed. Copy the index again, or build it."
                )
        parts = range(manifest.parts if manifest.dense else 0)
        paths = [self._part(number) / "vectors.npy" for number in parts]
        try:
            self.rows = concatenate_datasets(
                self._load("rows", manifest.parts) or [Dataset.from_dict({})]
            )
            # "c": torch needs writable memory; nothing is written, and the file could not change
            self.vectors = [np.load(path, mmap_mode="c", allow_pickle=False) for path in paths]
        except (ValueError, OSError) as error:  # objects in the .npy file, or not an Arrow file
            raise InputError(f"{self.folder}: damaged ({error}). Build the index again.") from error
        if manifest.hybrid and manifest.parts:
            self._bm25 = load_bm25(self._bm25_folder(manifest.changes))
        self.__dict__.pop("_faiss", None)

    @cached_property
    def _faiss(self) -> Any:
        made = self.manifest.faiss
        index = import_faiss().read_index(str(self.folder / made.file))
        index.nprobe = made.probes
        return index

    def _rows_of(self, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        return {i: self.rows[i] for i in ids}

    def texts(self) -> Iterator[str]:
        """Return the texts of rows that are not deleted, in the order of their ids."""
        deleted = set(self.manifest.deleted)
        return (text for n, text in enumerate(_texts(self.rows)) if n not in deleted)


def search_exact(queries: np.ndarray, vectors: Sequence[np.ndarray], k: int) -> Rankings:
    """Return ``{id: inner product}`` of the `k` vectors nearest to each query, best first.

    Equal scores are sorted by id; of several vectors that tie for the k-th place, any may be there.

    Args:
        queries: (queries, dimension).
        vectors: the parts of one collection, (rows, dimension) each, float32 or float16, possibly
            memory-mapped; ids count over all parts.
    """
    import torch
    from sentence_transformers.util import semantic_search

    asked = torch.from_numpy(np.asarray(queries, dtype=np.float32))
    found: Rankings = [{} for _ in queries]
    first = 0
    for part in vectors:
        hits = semantic_search(
            asked,
            torch.from_numpy(part),
            corpus_chunk_size=ROWS,
            top_k=k,
            score_function=lambda some, block: some @ block.float().T,
        )
        for ranking, best in zip(found, hits, strict=True):
            ranking |= {first + int(hit["corpus_id"]): hit["score"] for hit in best}
        first += len(part)
    return [_best(ranking, k) for ranking in found]


def _best(scores: dict[int, float], k: int, without: Container[int] = ()) -> dict[int, float]:
    """Return the `k` best, the lower id first of equal scores."""
    left = (hit for hit in scores.items() if hit[0] not in without)
    return dict(sorted(left, key=lambda hit: (-hit[1], hit[0]))[:k])


def _gather(vectors: Sequence[np.ndarray], ids: np.ndarray) -> np.ndarray:
    """Return the vectors of the ascending `ids` as float32."""
    ends = np.cumsum([len(part) for part in vectors])
    parts = zip(np.split(ids, np.searchsorted(ids, ends)[:-1]), vectors, ends, strict=True)
    return np.concatenate([part[i - (end - len(part))] for i, part, end in parts], dtype=np.float32)


def to_dataset(rows: Rows) -> Dataset:
    """Return `rows` as a Dataset with checked texts."""
    found: Any
    texts: Iterable[Any]
    if isinstance(rows, Dataset):
        found, texts = rows, _texts(rows)
    else:
        found = [row if isinstance(row, Mapping) else {"text": row} for row in rows]
        texts = (row.get("text") for row in found)
    for number, text in enumerate(texts, 1):
        read_text(f"Text {number}", text)
    if not len(found):
        raise InputError("There is no text to index. Look at the file.")
    if isinstance(found, Dataset):
        return found
    names = dict.fromkeys(name for row in found for name in row)  # rows may lack some
    try:
        return Dataset.from_dict({name: [row.get(name) for row in found] for name in names})
    except pa.ArrowException as error:
        raise InputError(
            f"The values of a column are not all of one type ({first_line(error)}). Mend the rows."
        ) from error


def _texts(rows: Dataset) -> Iterator[str]:
    for part in rows.select_columns("text").iter(TEXTS):
        yield from part["text"]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"{folder}: another process is changing it. Wait for its end.") from error


def load_encoder(model: str) -> Any:
    """Load the SentenceTransformer in the folder, or of the Hub name, `model`.

    Raises:
        InputError: it cannot be loaded, or is trained for distances instead of inner products.
    """
    from sentence_transformers import SentenceTransformer

    try:
        encoder = SentenceTransformer(_whole_path(model), trust_remote_code=False)
    except Exception as error:  # the loader raises many unrelated types
        raise InputError(
            f"{model}: no model could be loaded ({first_line(error)}). Check the name."
        ) from error
    body = getattr(encoder, "transformers_model", None)
    head, *_ = getattr(body and body.config, "architectures", None) or [""]
    if head.endswith(("Classification", "ForQuestionAnswering")):
        raise InputError(
            f"{model}: a model with {head}, which has no vectors of texts. Name the folder of a "
            "run of recipes/search.py, or a SentenceTransformer on the Hub."
        )
    if encoder.similarity_fn_name not in (None, "cosine", "dot"):
        raise InputError(
            f"{model}: compares by {encoder.similarity_fn_name}; an index compares by cosine or "
            "inner product. Choose another model."
        )
    encoder.prompts |= own_prompts(encoder.prompts)
    return encoder


def describe_encoder(
    encoder: GivenEncoder, hybrid: bool, **others: Any
) -> tuple[Manifest, Encoder | None]:
    """Return the manifest of a new index, with the fields `others`, and the encoder, loaded.

    Raises:
        InputError: see `load_encoder`.
    """
    model = None
    if isinstance(encoder, str | os.PathLike):
        model = _whole_path(encoder)  # a search may start in another folder
        encoder = load_encoder(model)
    weight, body = WEIGHT, getattr(encoder, "transformers_model", None)
    if body is not None:
        from nlpbook_data.search.training import saved_weight

        weight = saved_weight(body.config)  # as the model's training chose it on validation
    manifest = Manifest(
        model,
        model and model_sha256(model),
        normalized=getattr(encoder, "similarity_fn_name", "cosine") != "dot",
        dense=encoder is not None,
        hybrid=hybrid or encoder is None,
        weight=weight,
        **others,
    )
    return manifest, encoder


def require_new(folder: str | os.PathLike) -> Path:
    """Return the path of a folder for an index; it must be absent or empty."""
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is there already. Name another folder, or add to it.")
    return path


def copy_dictionary(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}. Check --dictionary.") from error
    try:
        extract_morphemes([], dictionary=target)  # raises its errors before hours of encoding
    except InputError as error:
        raise InputError(str(error).replace(str(target), str(source))) from error


def model_sha256(model: str) -> str | None:
    """Return the hash of the files of a model's folder; None for a Hub name."""
    folder = _place_of(model)
    if not folder.is_dir():
        return None
    # that list is of safetensors; without them, hash all files
    everything = (path for path in folder.rglob("*") if path.is_file())
    files = model_files(folder) or [path.relative_to(folder).as_posix() for path in everything]
    return hash_of({file: file_sha256(folder / file) for file in files})


def _place_of(model: str | os.PathLike) -> Path:
    from nlpbook_data.training.arguments import resolve_package  # imports torch

    return Path(resolve_package(str(model)))


def _whole_path(model: str | os.PathLike) -> str:
    """Return the whole path of a model's folder; a Hub name as it is."""
    path = _place_of(model)
    if str(model).startswith(("/", ".", "~")) and not path.is_dir():
        raise InputError(f"{model}: no such folder. Check the path.")
    return str(path.resolve() if path.is_dir() else model)


def find_encoder(
    folder: Path, manifest: Manifest, given: str | os.PathLike | None = None
) -> Encoder:
    """Load the model `given`, or else the manifest's.

    Raises:
        InputError: the index names no model, or the model is not the one that it was built with.
    """
    if given and not manifest.dense:
        raise InputError(f"{folder}: has no vectors, BM25 alone. Leave --model out.")
    model = str(given or manifest.model or "")
    if not model:
        raise InputError(f"{folder}: the index names no model. Pass the encoder.")
    found = model_sha256(model)
    if found is None and manifest.model_sha256:
        raise InputError(
            f"{folder}: its model is no longer at {model}. Say where it is now (--model), or build "
            "the index again."
        )
    if found != manifest.model_sha256 or (found is None and model != manifest.model):
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
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise InputError(
                f"{path}: an index of version {content['version']}, where this is version "
                f"{VERSION}. Build it again."
            )
        if content.get("faiss") is not None:
            content["faiss"] = Faiss(**content["faiss"])
        return Manifest(**content)
    except DAMAGE as error:
        raise InputError(f"{path}: damaged. Build the index again.") from error


def import_faiss() -> Any:
    """Return the module faiss, or raise InputError that says how to install it."""
    with needing("faiss"):
        return importlib.import_module("faiss")
