"""Queries a second, recall and memory of the search index: 1,000,000 vectors of 256 dimensions.

    nice python benchmarks/search.py

The vectors are synthetic and clustered as those of texts are: 20,000 topics of very different
size (Zipf), a shared mean direction, and a spectrum that falls off, the same within and between
topics; queries are new draws from the topics. Each case searches in a process of its own that maps
the index from disk, warm, on as many threads as there are cores. Recall is against exact search in
float32. Memory is the process's own (anonymous) beyond its imports, and the files that it has
mapped, which the system takes back where it needs the room. Last come FAISS' own figures of the
inverted file beside HNSW, without the exact scores of the candidates: building HNSW takes five of
the eight minutes. Prints a table and writes benchmarks/search.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from checkout import commit

DIMENSION, TOPICS, QUERIES, SINGLE, BATCH = 256, 20_000, 512, 20, 256
# case: the index' dtype, and the cells of FAISS that a query is compared with
CASES = {
    "exact float32": ("float32", None),
    "exact float16": ("float16", None),
    **{f"FAISS IVF, SQ8, {probes} probes": ("float32", probes) for probes in (8, 32, 128)},
}


class SyntheticVectors:
    """Draws a vector a text, whatever the text."""

    similarity_fn_name = "cosine"

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(0)
        self.spectrum = (np.arange(1, DIMENSION + 1) ** -0.5).astype(np.float32)
        self.centres = random.standard_normal((TOPICS, DIMENSION), dtype=np.float32)
        self.centres = (self.centres + 0.3) * self.spectrum
        share = 1 / (np.arange(TOPICS) + 50)
        self.cumulated = np.cumsum(share / share.sum())
        self.random = np.random.default_rng(seed)

    def encode_document(self, texts: list[str]) -> np.ndarray:
        topics = np.searchsorted(self.cumulated, self.random.random(len(texts)))
        noise = self.random.standard_normal((len(texts), DIMENSION), dtype=np.float32)
        return self.centres[np.minimum(topics, TOPICS - 1)] + 0.7 * noise * self.spectrum

    encode_query = encode_document


def draw_queries() -> np.ndarray:
    vectors = SyntheticVectors(seed=2).encode_query([""] * QUERIES)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def build(folder: Path, count: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield seconds and bytes on disk of each index."""
    from datasets import Dataset

    from nlpbook_data.search.index import SearchIndex

    for dtype in ("float32", "float16"):
        start = time.perf_counter()
        index = SearchIndex.build(
            folder / dtype,
            Dataset.from_dict({"text": list(map(str, range(count)))}),
            SyntheticVectors(1),
            dtype=dtype,
        )
        yield f"build {dtype}, drawing included", took(start, folder / dtype, "vectors")
        if dtype == "float32":
            start = time.perf_counter()
            index.add_faiss()
            yield "build FAISS IVF, SQ8", took(start, folder / dtype, "faiss")


def took(start: float, folder: Path, name: str) -> dict[str, float]:
    size = sum(path.stat().st_size for path in folder.rglob(f"{name}*"))
    return {"seconds": round(time.perf_counter() - start, 1), "MiB on disk": round(size / 2**20)}


def own_and_mapped() -> tuple[float, float]:
    """Return the MiB of this process alone and those of the files that it has mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return tuple(int(status[key].split()[0]) / 1024 for key in ("RssAnon", "RssFile"))


def measure(folder: Path, case: str) -> dict[str, float]:
    """Search in one way; recall against what the first case wrote into `folder`."""
    import torch
    from sentence_transformers.util import semantic_search  # noqa: F401  # memory is beyond imports

    from nlpbook_data.search.index import SearchIndex

    dtype, probes = CASES[case]
    queries = draw_queries()
    torch.ones(2, 2) @ torch.ones(2, 2)
    before, _ = own_and_mapped()
    index = SearchIndex.load(folder / dtype)
    if probes:
        index.manifest.faiss.probes = probes
    exact = probes is None
    index.search_vectors(queries[:1], 10, exact=exact)  # maps the files
    start = time.perf_counter()
    for row in range(SINGLE):
        index.search_vectors(queries[row : row + 1], 10, exact=exact)
    single = (time.perf_counter() - start) / SINGLE
    start = time.perf_counter()
    index.search_vectors(queries[:BATCH], 10, exact=exact)
    batch = (time.perf_counter() - start) / BATCH
    found = index.search_vectors(queries, 100, exact=exact)
    ids = np.array([[*row] + [-1] * (100 - len(row)) for row in found])
    truth = folder / "truth.npy"
    if not truth.exists():
        np.save(truth, ids)
    true = np.load(truth)
    own, mapped = own_and_mapped()
    return {
        "ms, one query": round(single * 1e3, 1),
        "queries/s, one": round(1 / single, 1),
        f"queries/s, {BATCH}": round(1 / batch, 1),
        "recall@10": recall(ids, true, 10),
        "recall@100": recall(ids, true, 100),
        "own MiB": round(own - before),
        "mapped MiB": round(mapped),
    }


def recall(ids: np.ndarray, true: np.ndarray, k: int) -> float:
    shares = [np.isin(t[:k], i[:k]).mean() for i, t in zip(ids, true, strict=True)]
    return round(float(np.mean(shares)), 4)


def compare_kinds(folder: Path, count: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield FAISS' own figures of two kinds of index, as they are, on the first vectors."""
    import faiss

    from nlpbook_data.search.index import SearchIndex, search_exact

    vectors = np.array(SearchIndex.load(folder / "float32").vectors[0][:count])
    queries = draw_queries()
    true = np.array([[*row] for row in search_exact(queries, [vectors], 10)])
    lists = min(int(4 * count**0.5), count // 39)
    for kind, effort in ((f"IVF{lists},SQ8", (8, 32)), ("HNSW32,SQ8", (32, 128))):
        start = time.perf_counter()
        index = faiss.index_factory(DIMENSION, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[: 50 * lists])
        index.add(vectors)
        seconds = time.perf_counter() - start
        size = len(faiss.serialize_index(index)) / 2**20
        for value in effort:
            if kind.startswith("IVF"):
                index.nprobe = value
            else:
                index.hnsw.efSearch = value
            start = time.perf_counter()
            _, ids = index.search(queries, 42)
            rate = QUERIES / (time.perf_counter() - start)
            _, short = index.search(queries, 10)
            yield (
                f"{kind}, effort {value}, {count:,} vectors",
                {
                    "build seconds": round(seconds, 1),
                    "MiB": round(size),
                    f"queries/s, {QUERIES}": round(rate),
                    "recall@10": recall(short, true, 10),
                    "recall of 10 in 42": round(
                        float(np.mean([np.isin(t, i) for i, t in zip(ids, true, strict=True)])), 4
                    ),
                },
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--kinds", type=int, default=1_000_000, help="vectors for HNSW beside IVF")
    parser.add_argument("--folder", help="for the index, by default temporary")
    parser.add_argument("--case", choices=list(CASES))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if options.case:
        result = measure(Path(options.folder), options.case)
        sys.stdout.write(json.dumps(result) + "\n")
        return
    results: dict[str, dict[str, float]] = {}

    def show(name: str, figures: dict[str, float]) -> None:
        results[name] = figures
        values = "".join(f"{value:>11,} {key}" for key, value in figures.items())
        sys.stdout.write(f"{name:<42}{values}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for step in build(folder, options.vectors):
            show(*step)
        for case in CASES:
            command = [sys.executable, __file__, "--case", case, "--folder", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            show(case, json.loads(done.stdout))
        for step in compare_kinds(folder, min(options.kinds, options.vectors)):
            show(*step)
    record = {
        "commit": commit(),
        "vectors": options.vectors,
        "dimension": DIMENSION,
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"Python {platform.python_version()}",
        "results": results,
    }
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
