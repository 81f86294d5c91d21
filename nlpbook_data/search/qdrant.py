"""The same search in a Qdrant collection, on a server or in a local folder of the client.

Vectors are called ``dense``. BM25 is the sparse vector ``words``: this module computes the weight
of each morpheme in its text, and Qdrant its rarity (IDF). A point's payload is its row. The index
folder has ``qdrant.json`` with the place and the settings of the collection, but never a key: the
key is read from the environment variable QDRANT_API_KEY.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError, first_line, needing
from nlpbook_data.search.bm25 import K1, B, extract_morphemes
from nlpbook_data.search.index import (
    DAMAGE,
    DICTIONARY,
    GivenEncoder,
    Index,
    Manifest,
    Rankings,
    copy_dictionary,
    describe_encoder,
    require_new,
    to_dataset,
)

FILE = "qdrant.json"
BATCH = 256  # points sent at a time


class QdrantIndex(Index):
    """The index in a collection, made by `build` or `load`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], encoder: GivenEncoder) -> None:
        super().__init__(folder, Manifest(**settings["index"]), encoder)
        self.settings = settings

    @classmethod
    def build(
        cls,
        folder: str | os.PathLike,
        rows: Iterable[Any],
        encoder: GivenEncoder = None,
        *,
        collection: str,
        url: str | None = None,
        path: str | None = None,
        k1: float = K1,
        b: float = B,
        dictionary: str | os.PathLike | None = None,
    ) -> "QdrantIndex":
        """Encode `rows` into a new collection, and write its place into `folder`.

        Args:
            folder, rows, encoder, k1, b, dictionary: see `SearchIndex.build`.
            collection: its name; it must not exist yet.
            url, path: the address of a server, or a folder in its place.

        Raises:
            InputError: see `SearchIndex.build`; the server does not answer, or has such a
                collection already. Then nothing is kept.
        """
        from qdrant_client import models

        folder = require_new(folder)
        found = to_dataset(rows)
        manifest, encoder = describe_encoder(encoder, hybrid=True, k1=k1, b=b)
        texts = found["text"][:]
        words = Path(dictionary) if dictionary else None
        morphemes = extract_morphemes(texts, "morphemes", words)
        mean = sum(map(len, morphemes)) / len(morphemes)
        if not mean:
            raise InputError("There is no word in any passage. Look at the file.")
        place = {"url": url, "path": path and str(Path(path).expanduser().resolve())}
        place["collection"] = collection
        vectors = {}
        if encoder is not None:
            width = np.asarray(encoder.encode_document(texts[:1])).shape[1]
            distance = models.Distance.COSINE if manifest.normalized else models.Distance.DOT
            vectors["dense"] = models.VectorParams(size=width, distance=distance)
        client = connect(place)
        with _said(place):
            if client.collection_exists(collection):
                raise InputError(
                    f"{url or path}: there is a collection {collection} already. Name another by "
                    "--collection, or delete it there."
                )
            idf = models.SparseVectorParams(modifier=models.Modifier.IDF)
            client.create_collection(
                collection, vectors_config=vectors, sparse_vectors_config={"words": idf}
            )
            try:
                for begin in tqdm(range(0, len(texts), BATCH), "points", disable=None):
                    part = slice(begin, begin + BATCH)
                    dense: Any = encoder.encode_document(texts[part]) if encoder is not None else []
                    points = [
                        models.PointStruct(
                            id=begin + n,
                            payload=found[begin + n],
                            vector={"words": _weigh(row, mean, k1, b)}
                            | ({"dense": np.asarray(dense[n]).tolist()} if len(dense) else {}),
                        )
                        for n, row in enumerate(morphemes[part])
                    ]
                    client.upsert(collection, points)
                folder.mkdir(parents=True, exist_ok=True)
                if words:
                    copy_dictionary(words, folder / DICTIONARY)
            except BaseException:
                client.delete_collection(collection)
                raise
            finally:
                client.close()
        settings = {"place": place, "dictionary": bool(words), "index": asdict(manifest)}
        text = json.dumps(settings, ensure_ascii=False, indent=1)
        write_text(folder / FILE, text + "\n")
        return cls(folder, settings, encoder)

    @classmethod
    def load(cls, folder: str | os.PathLike, encoder: GivenEncoder = None) -> "QdrantIndex":
        """Open the index of `folder`; for `encoder` see `SearchIndex.load`.

        Raises:
            InputError: qdrant.json is damaged, or `encoder` is another model.
        """
        path = Path(folder) / FILE
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            return cls(Path(folder), settings, encoder)
        except DAMAGE as error:
            raise InputError(f"{path}: damaged. Build the index again.") from error

    def __len__(self) -> int:
        with _said(self.settings["place"]):
            return self._client.count(self.settings["place"]["collection"]).count

    def _search_dense(self, queries: Sequence[str], k: int, exact: bool) -> Rankings:
        vectors = np.asarray(self.encoder.encode_query([*queries])).tolist()
        return [self._ask("dense", vector, k, exact) for vector in vectors]

    def _search_words(self, queries: Sequence[str], k: int) -> Rankings:
        dictionary = self.folder / DICTIONARY if self.settings["dictionary"] else None
        morphemes = extract_morphemes(queries, dictionary=dictionary)
        return [self._ask("words", _sparse(Counter(m)), k, True) if m else {} for m in morphemes]

    def _ask(self, name: str, query: Any, k: int, exact: bool) -> dict[int, float]:
        from qdrant_client import models

        place = self.settings["place"]
        # a folder is always searched exactly, and its client warns where that is asked for
        how = None if place["path"] else models.SearchParams(exact=exact)
        with _said(place):
            points = self._client.query_points(
                place["collection"],
                query=query,
                using=name,
                limit=k,
                search_params=how,
                with_payload=False,
            ).points
        return {int(point.id): point.score for point in points}

    def _rows_of(self, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        place = self.settings["place"]
        with _said(place):
            points = self._client.retrieve(place["collection"], list(ids))
        return {int(point.id): point.payload or {} for point in points}

    @cached_property
    def _client(self) -> Any:
        return connect(self.settings["place"])


def connect(place: Mapping[str, Any]) -> Any:
    """Return the client of a server or a folder.

    Raises:
        InputError: qdrant-client is not installed, or the folder is in use.
    """
    with needing("qdrant"):
        from qdrant_client import QdrantClient
    with _said(place):
        if place["path"]:
            return QdrantClient(path=place["path"])
        key = os.environ.get("QDRANT_API_KEY")
        return QdrantClient(url=place["url"], api_key=key, check_compatibility=False)


@contextlib.contextmanager
def _said(place: Mapping[str, Any]) -> Iterator[None]:
    """Turn the client's errors into an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # many types, of HTTP, gRPC and the folder
        raise InputError(
            f"Qdrant at {place['url'] or place['path']}: {first_line(error)}. Check the address, "
            "QDRANT_API_KEY, and that no other process uses the folder."
        ) from error


def _sparse(values: Mapping[str, float]) -> Any:
    """Return morphemes as a sparse vector; their dimensions are the same on every machine."""
    from qdrant_client import models

    places: Counter[int] = Counter()
    for word, value in values.items():
        digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
        places[int.from_bytes(digest, "big")] += value  # type: ignore[assignment]  # two may collide
    return models.SparseVector(indices=list(places), values=list(map(float, places.values())))


def _weigh(morphemes: Sequence[str], mean: float, k1: float, b: float) -> Any:
    """Return the weight of each morpheme in a text: BM25 (`index_morphemes`) without its IDF."""
    norm = k1 * (1 - b + b * len(morphemes) / mean)
    return _sparse({word: tf / (tf + norm) for word, tf in Counter(morphemes).items()})
