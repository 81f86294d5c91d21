"""Carved splits and leaks between splits, against brute force."""

import tracemalloc
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data.data.splits import assign, carve, find_leaks

LABELS = ClassLabel(names=["가", "나", "다"])


def texts_dataset(texts: list[str], labels: list[int]) -> Dataset:
    features = Features(text=Value("string"), label=LABELS)
    return Dataset.from_dict({"text": texts, "label": labels}, features)


def normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


VARIANTS = st.sampled_from(
    [str, lambda text: unicodedata.normalize("NFD", text), lambda text: f" {text}\n"]
)
TEXTS = st.lists(st.tuples(st.integers(0, 20), VARIANTS), min_size=1, max_size=80)
SHARES = st.sampled_from([{"validation": 0.05}, {"validation": 0.1, "test": 0.1}, {"test": 0.4}])


@settings(max_examples=50, deadline=None)
@given(TEXTS, SHARES)
def test_carve_uses_each_row_once_and_keeps_equal_texts_on_one_side(drawn, shares):
    texts = [variant(f"각글{number}") for number, variant in drawn]
    # labels that differ among equal texts
    dataset = texts_dataset(texts, [position % 3 for position in range(len(texts))])
    rows = carve(dataset, shares, rest="train")
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(len(texts)))
    assert set(rows) == {"train", *shares}
    sides = {}
    for split, numbers in rows.items():
        assert numbers.tolist() == sorted(numbers)
        for number in numbers:
            assert sides.setdefault(normal(texts[number]), split) == split


@settings(max_examples=50, deadline=None)
@given(TEXTS, SHARES)
def test_carve_takes_of_each_label_its_share_to_within_half_a_group(drawn, shares):
    texts = [variant(f"각글{number}") for number, variant in drawn]
    labels = np.array([number % 3 for number, _ in drawn])
    largest = max(Counter(map(normal, texts)).values())
    rows = carve(texts_dataset(texts, labels.tolist()), shares, rest="train")
    for label in range(3):
        for split, share in shares.items():
            taken, wanted = (labels[rows[split]] == label).sum(), share * (labels == label).sum()
            assert abs(taken - wanted) <= largest / 2


def test_carve_is_the_same_for_ever():
    """Recorded scores hold only for these splits; to change them, raise the corpora's versions."""
    dataset = texts_dataset([f"글 {n}" for n in range(60)], [n % 3 for n in range(60)])
    rows = carve(dataset, {"validation": 0.1}, rest="train")["validation"]
    assert rows.tolist() == [15, 25, 30, 34, 44, 59]


def test_carve_of_several_labels_a_row_takes_its_share_of_rows():
    features = Features(text=Value("string"), label=List(LABELS))
    columns = {"text": [f"글 {n}" for n in range(40)], "label": [[0, 1], [], [2], [1]] * 10}
    rows = carve(Dataset.from_dict(columns, features), {"test": 0.25}, rest="train")
    assert [len(rows["train"]), len(rows["test"])] == [30, 10]


def test_carve_does_not_give_each_text_the_room_of_the_longest():
    texts = ["긴 글 " * 10_000, *(f"글 {n}" for n in range(2000))]
    dataset = texts_dataset(texts, [0] * len(texts))
    tracemalloc.start()
    try:
        rows = carve(dataset, {"test": 0.1}, rest="train")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rows["test"]) == 200
    assert peak < 20e6  # an array of numpy would take 320 MB


# Rows that share a text in any of several columns


def sides_of(pairs: list[tuple[int, int]]) -> list[int]:
    """Label the connected rows by brute force: join until nothing changes."""
    side = list(range(len(pairs)))
    changed = True
    while changed:
        changed = False
        for a, first in enumerate(pairs):
            for b, second in enumerate(pairs):
                if set(first) & set(second) and side[a] != side[b]:
                    side[a] = side[b] = min(side[a], side[b])
                    changed = True
    return side


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=30))
def test_rows_that_share_a_text_in_any_column_stay_on_one_side(pairs):
    columns = {name: [f"글{pair[n]}" for pair in pairs] for n, name in enumerate(["a", "b"])}
    dataset = Dataset.from_dict(columns)
    rows = carve(dataset, {"validation": 0.3}, rest="train", groups=("a", "b"))
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(len(pairs)))
    held_out = set(rows["validation"].tolist())
    sides = sides_of(pairs)
    for a in range(len(pairs)):
        for b in range(a):
            if sides[a] == sides[b]:
                assert (a in held_out) == (b in held_out)


# Splits by a hash of the text


@given(st.lists(st.text(alphabet="가나다 \n", max_size=4), max_size=40))
def test_equal_texts_are_assigned_to_one_side(texts):
    forms = [*texts, *(unicodedata.normalize("NFD", text) for text in texts)]
    forms += [f" {text}\n" for text in texts]
    owners = assign(pa.chunked_array([pa.array(forms, pa.string())]), {"validation": 0.5})
    assert np.array_equal(owners.reshape(3, -1)[1:], np.tile(owners[: len(texts)], (2, 1)))


def test_shares_are_met_on_average():
    texts = pa.chunked_array([pa.array([f"{n}번째 글" for n in range(20_000)])])
    owners = assign(texts, {"validation": 0.01, "test": 0.1})
    counts = np.bincount(owners + 1)  # rest, validation, test
    # three standard deviations of a binomial
    assert abs(counts[1] - 200) < 3 * np.sqrt(200)
    assert abs(counts[2] - 2000) < 3 * np.sqrt(1800)


def test_an_assignment_is_the_same_for_ever():
    texts = pa.chunked_array([pa.array([f"글 {n}" for n in range(30)])])
    assert np.flatnonzero(assign(texts, {"test": 0.2}) == 0).tolist() == [0, 4, 8, 10, 14, 18]


# Leaks


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("가나다"), st.sampled_from("가나다")), max_size=20),
    st.lists(st.tuples(st.sampled_from("가나다"), st.sampled_from("가나다")), max_size=5),
)
def test_leaks_are_the_rows_with_all_texts_equal(train, held_out):
    def dataset(rows):
        features = Features(a=Value("string"), b=Value("string"))
        return Dataset.from_dict({"a": [r[0] for r in rows], "b": [r[1] for r in rows]}, features)

    decomposed = [tuple(unicodedata.normalize("NFD", f" {t}") for t in row) for row in held_out]
    found = list(find_leaks(dataset(train), [dataset(decomposed)], ("a", "b")))
    assert np.concatenate([*found, np.zeros(0, bool)]).tolist() == [
        row in held_out for row in train
    ]
