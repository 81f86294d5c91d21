"""Take held-out rows from train, and find rows of train that also occur in a held-out split.

Two rows are the same if their texts are equal after NFC and stripping.
"""

import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset

CARVE_SEED = 42
SCAN_ROWS = 10_000
# The first bytes in UTF-8 of conjoining jamo (and some others) and of combining accents.
DECOMPOSED = (b"\xe1", b"\xcc", b"\xcd")


def carve(
    dataset: Dataset,
    shares: Mapping[str, float],
    rest: str,
    groups: Sequence[str] = ("text",),
    each_class: bool = False,
) -> dict[str, np.ndarray]:
    """Choose rows for each of `shares`, and `rest` for those left over.

    The choice has a fixed seed. Rows that share a text in one of the columns `groups`, directly or
    through other rows, stay in one split. A ``ClassLabel`` column keeps its balance. With
    `each_class`, every split gets at least one group of each class that has as many groups as there
    are splits.

    Returns:
        Sorted row numbers, ``{rest: …, **shares}``; no row is in two of them.
    """
    labels = np.zeros(len(dataset))
    if isinstance(dataset.features.get("label"), ClassLabel):
        labels = np.array(dataset["label"][:])
    group = _number_groups(dataset, groups)
    _, first = np.unique(group, return_index=True)
    group_rows = np.bincount(group)
    group_label = labels[first]
    owner = np.full(len(first), -1)
    order = np.random.default_rng(CARVE_SEED).permutation(len(first))
    for number, share in enumerate(shares.values()):
        for value in np.unique(labels):
            free = order[(owner[order] == -1) & (group_label[order] == value)]
            wanted = share * np.sum(labels == value)
            # take a group if the rows so far are short of the share by at least half its size
            before = np.cumsum(group_rows[free]) - group_rows[free]
            taken = free[before + group_rows[free] / 2 <= wanted]
            if each_class and not len(taken) and len(free) > 1 and share:  # the rest keeps one
                taken = free[:1]
            owner[taken] = number
    rows_of = {rest: np.flatnonzero(owner[group] == -1)}
    for number, split in enumerate(shares):
        rows_of[split] = np.flatnonzero(owner[group] == number)
    return rows_of


def _number_groups(dataset: Dataset, columns: Sequence[str]) -> np.ndarray:
    """Return each row's group number, from 0; without `columns` each row is its own group."""
    if not columns:
        return np.arange(len(dataset))
    # not a numpy array of texts: each would take the memory of the longest
    texts = [[plain(text) for text in dataset[column][:]] for column in columns]
    number_of = {text: n for n, text in enumerate(sorted({t for c in texts for t in c}))}
    numbers = np.fromiter((number_of[text] for column in texts for text in column), int)
    if len(columns) == 1:
        return numbers
    size = len(dataset) + len(number_of)
    del texts, number_of  # a gigabyte for three million pairs, beside which the graph has no room
    from scipy.sparse import coo_array  # takes 0.2 s, needed for few corpora
    from scipy.sparse.csgraph import connected_components

    # rows and texts are the nodes of a graph; equal texts of different columns are one node
    rows = np.tile(np.arange(len(dataset)), len(columns))
    edges = (np.ones(numbers.size), (rows, len(dataset) + numbers))
    _, component = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    return np.unique(component[: len(dataset)], return_inverse=True)[1]


def assign(texts: pa.ChunkedArray, shares: Mapping[str, float]) -> np.ndarray:
    """Return for each text the position of its split in `shares`, or -1 for the rest.

    For corpora that do not fit into memory. The result is a pure function of the text (decomposed
    Hangul and accents composed, outer ASCII blanks stripped). So equal texts are in one split, and
    a share is met on average.
    """
    values = texts.cast(pa.binary()).to_pylist()
    joined = b"".join(values)
    if any(lead in joined for lead in DECOMPOSED):  # search bytes: decoding all texts is slow
        values = [
            unicodedata.normalize("NFC", value.decode()).encode()
            if any(lead in value for lead in DECOMPOSED)
            else value
            for value in values
        ]
    sums = np.fromiter(map(zlib.crc32, map(bytes.strip, values)), np.uint32, len(values))
    bounds = np.cumsum(list(shares.values()))
    position = np.searchsorted(bounds, sums / 2**32, side="right")
    return np.where(position == len(bounds), -1, position)


def find_leaks(
    dataset: Dataset, held_out: Iterable[Dataset], columns: Sequence[str]
) -> Iterator[np.ndarray]:
    """Yield a mask for each block of `SCAN_ROWS`: the rows of `dataset` that are in `held_out`.

    Rows are the same if their texts are equal in all of `columns`. Only the held-out texts are kept
    in memory.
    """
    known = {texts for split in held_out for block in _blocks(split, columns) for texts in block}
    for block in _blocks(dataset, columns):
        yield np.fromiter((texts in known for texts in block), bool)


def _blocks(dataset: Dataset, columns: Sequence[str]) -> Iterator[list[tuple[str, ...]]]:
    for start in range(0, len(dataset), SCAN_ROWS):
        block = dataset[start : start + SCAN_ROWS]
        yield [
            tuple(map(plain, texts))
            for texts in zip(*(block[column] for column in columns), strict=True)
        ]


def plain(text: str | None) -> str:
    """Return a text as it is compared: NFC-normalised and stripped."""
    return unicodedata.normalize("NFC", text or "").strip()
