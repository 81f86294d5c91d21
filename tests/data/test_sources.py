"""Rows of a corpus, of the user's files and of Hub datasets, with the labels that they have."""

import json
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pandas as pd
import pytest
from datasets import ClassLabel, List

from nlpbook_data import InputError, load_corpus
from nlpbook_data.data.source import Source, load_source
from nlpbook_data.training.arguments import DataArguments

ALL = {"do_train": True, "do_eval": True, "do_predict": True}
PREDICT = {"do_train": False, "do_eval": False, "do_predict": True}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Source]:
    """``load(label_names=None, multi_label=False, phases=ALL, **data_arguments)``."""

    def load(
        label_names: list[str] | None = None,
        multi_label: bool = False,
        phases: dict[str, bool] = ALL,
        **arguments: Any,
    ) -> Source:
        args = DataArguments(cache_dir=str(tmp_path / "cache"), **arguments)
        return load_source(args, SimpleNamespace(**phases), label_names, multi_label)

    return load


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write rows as csv, tsv, jsonl or parquet, by the name's ending; return the path."""

    def write(name: str, rows: list[dict[str, Any]]) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        frame = pd.DataFrame(rows)
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        elif path.suffix == ".jsonl":
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
            path.write_text("\n".join(lines), encoding="utf-8")
        else:
            frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
        return str(path)

    return write


def rows_of(labels: list[Any], repeat: int = 1) -> list[dict[str, Any]]:
    """Rows of different texts, with the labels in turn."""
    labels = labels * repeat
    return [{"text": f"{n}번째 글", "label": label} for n, label in enumerate(labels)]


def in_words(source: Source, split: str) -> list[tuple[str, Any]]:
    """``(text, label in words)`` of each row."""
    names, found = source.label_names, []
    for row in source.splits[split]:
        label = row["label"]
        words = [names[i] for i in label] if isinstance(label, list) else names[label]
        found.append((row["text"], words))
    return found


def as_words(rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(row["text"], row["label"]) for row in rows]


# Labels


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["긍정", "부정", "중립"], ["긍정", "부정", "중립"]),
        ([10, 9, 1], ["1", "9", "10"]),
        ([0, -1, 2, -10], ["-10", "-1", "0", "2"]),
        (["10.5", "9.0", "0.5"], ["0.5", "9.0", "10.5"]),
        (["1", "01", "2"], ["01", "1", "2"]),
        (["²", "1", "b"], ["1", "b", "²"]),
        (["²", "10", "9"], ["10", "9", "²"]),  # a digit, and no number
        (["--1", "10", "9"], ["--1", "10", "9"]),
        ([" 긍정", "부정 "], ["긍정", "부정"]),
        (["가|나", "다"], ["가|나", "다"]),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_labels_are_those_of_train_numbers_in_their_own_order(load, write, labels, names, suffix):
    source = load(train_file=write(f"train.{suffix}", rows_of(labels, 10)))
    assert source.label_names == names
    assert source.splits["train"].features["label"] == ClassLabel(names=names)
    # each row has the label that was written
    written = {row["text"]: str(row["label"]).strip() for row in rows_of(labels, 10)}
    for split in ("train", "validation", "test"):
        assert all(written[text] == label for text, label in in_words(source, split))


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  "])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_missing_label_is_refused_by_row(load, write, missing, multi_label):
    rows = rows_of(["1", "0"], 10)
    rows[4]["label"] = missing
    arguments = {"train_file": write("train.jsonl", rows), "multi_label": multi_label}
    if multi_label and isinstance(missing, str):  # an empty cell is a row without labels
        words = dict(in_words(load(**arguments), "train")).values()
        assert all(label in (["0"], ["1"], []) for label in words)
        return
    with pytest.raises(InputError, match="train.jsonl, line 5: .*label is missing"):
        load(**arguments)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_label_that_train_does_not_have_is_refused_by_row(load, write, split):
    files = {"train_file": write("train.csv", rows_of(["긍정", "부정"], 10))}
    files[f"{split}_file"] = write("other.csv", rows_of(["부정", "긍정함"]))
    with pytest.raises(InputError) as raised:
        load(**files)
    for part in ("other.csv, line 3", "'긍정함'", "Did you mean 긍정?"):
        assert part in str(raised.value)


@pytest.mark.parametrize("labels", [["하나"], [str(n) for n in range(1001)]])
def test_one_label_or_over_a_thousand_are_refused(load, write, labels):
    with pytest.raises(InputError, match="--label_column_name"):
        load(train_file=write("train.csv", rows_of(labels, 3)))


def test_the_columns_may_have_other_names(load, write):
    rows = [{"본문": row["text"], "분류": row["label"]} for row in rows_of(["가", "나"], 10)]
    columns = {"text_column_name": "본문", "label_column_name": "분류"}
    source = load(train_file=write("train.csv", rows), **columns)
    assert source.label_names == ["가", "나"]
    assert source.splits["train"].column_names == ["text", "label"]


def test_pandas_floats_are_whole_numbers_and_its_nan_is_a_missing_label(load, write):
    rows = rows_of([1.0, 0.0, 10.0], 10)
    assert load(train_file=write("train.parquet", rows)).label_names == ["0", "1", "10"]
    rows[4]["label"] = float("nan")
    with pytest.raises(InputError, match="train.parquet, row 5: the label is missing"):
        load(train_file=write("train.parquet", rows))


# Several labels a row


@pytest.mark.parametrize(
    ("suffix", "separator", "cell"),
    [
        ("jsonl", "|", lambda labels: labels),
        ("parquet", "|", lambda labels: labels),
        ("csv", "|", "|".join),
        ("tsv", ";", " ; ".join),
        ("csv", "::", lambda labels: "::".join(labels) + "::"),
    ],
)
def test_several_labels_are_lists_or_words_between_separators(load, write, suffix, separator, cell):
    labels = [["역사", "액션"], [], ["코미디"], ["액션", "액션"]] * 10
    rows = rows_of([cell(each) for each in labels])
    path = write(f"train.{suffix}", rows)
    source = load(train_file=path, multi_label=True, label_separator=separator)
    assert source.label_names == ["액션", "역사", "코미디"]
    feature = List(ClassLabel(names=source.label_names))
    assert source.splits["train"].features["label"] == feature
    expected = {row["text"]: sorted(set(each)) for row, each in zip(rows, labels, strict=True)}
    for split in ("train", "validation", "test"):
        for text, words in in_words(source, split):
            assert sorted(words) == expected[text]


def test_a_single_number_is_one_of_several_labels(load, write):
    path = write("train.jsonl", rows_of([1, 0, [0, 1], 1.0, []], 10))
    assert load(train_file=path, multi_label=True).label_names == ["0", "1"]


def test_an_empty_separator_is_refused(load, write):
    path = write("train.csv", rows_of(["가", "나"], 10))
    with pytest.raises(InputError, match="--label_separator is empty"):
        load(train_file=path, multi_label=True, label_separator="")


def test_a_list_of_labels_needs_multi_label(load, write):
    with pytest.raises(InputError, match="train.jsonl, line 1: .*--multi_label true"):
        load(train_file=write("train.jsonl", rows_of([["가"], ["나"]], 10)))


# Texts


def test_texts_stay_as_they_are_to_the_letter(load, write):
    texts = [" 앞뒤 빈칸 ", unicodedata.normalize("NFD", "자모"), '"따옴표"', "두\n줄", "👍🏽"]
    rows = [{"text": text, "label": n % 2} for n, text in enumerate(texts)]
    source = load(train_file=write("a.csv", rows_of([0, 1], 20)), test_file=write("b.csv", rows))
    assert source.splits["test"]["text"][:] == texts


# Splits


def test_each_file_is_a_split_in_the_order_of_its_rows(load, write):
    rows = {
        split: rows_of(["가", "나"], n)
        for split, n in [("train", 9), ("validation", 3), ("test", 4)]
    }
    source = load(**{f"{split}_file": write(f"{split}.csv", r) for split, r in rows.items()})
    for split in rows:
        assert in_words(source, split) == as_words(rows[split])
    assert source.origins == {split: f"{split}.csv" for split in rows}
    assert source.name == "train.csv, validation.csv, test.csv"


@pytest.mark.parametrize("given", [(), ("validation",), ("test",)])
def test_missing_splits_are_a_tenth_of_train_each_and_said_so(load, write, given):
    rows = rows_of(["가", "나"], 50)
    files = {f"{split}_file": write(f"{split}.csv", rows_of(["가", "나"], 4)) for split in given}
    source = load(train_file=write("train.csv", rows), **files)
    carved = {"validation", "test"} - set(given)
    together = Counter(in_words(source, "train"))
    for split in carved:
        assert source.origins[split] == "10% carved from train (train.csv)"
        assert Counter(label for _, label in in_words(source, split)) == {"가": 5, "나": 5}
        together += Counter(in_words(source, split))
    assert together == Counter(as_words(rows))
    for split in given:
        assert source.origins[split] == f"{split}.csv"
        assert len(source.splits[split]) == 8


def test_too_few_rows_to_carve_from_are_refused(load, write):
    with pytest.raises(InputError, match="carved from train.*no row is left for validation"):
        load(train_file=write("train.csv", rows_of(["가", "나"])))


def test_the_first_rows_are_used_where_a_number_is_given(load, write):
    rows = rows_of(["가", "나"], 20)
    files = {
        f"{split}_file": write(f"{split}.csv", rows) for split in ("train", "validation", "test")
    }
    numbers = {"max_train_samples": 7, "max_eval_samples": 3, "max_predict_samples": 1000}
    source = load(**files, **numbers)
    assert in_words(source, "train") == as_words(rows[:7])
    assert in_words(source, "validation") == as_words(rows[:3])
    assert in_words(source, "test") == as_words(rows)


@pytest.mark.parametrize(
    ("phases", "splits"),
    [
        (ALL, {"train", "validation", "test"}),
        ({**ALL, "do_predict": False}, {"train", "validation"}),
        ({**ALL, "do_eval": False, "do_predict": False}, {"train", "validation"}),
        ({**ALL, "do_train": False}, {"validation", "test"}),
        (PREDICT, {"test"}),
    ],
)
def test_only_the_splits_that_are_needed_are_there(load, phases, splits):
    assert set(load(corpus="sample_reviews", phases=phases).splits) == splits


def test_training_without_a_train_split_is_refused(load, write):
    with pytest.raises(InputError, match="there is no train split"):
        load(test_file=write("test.csv", rows_of(["가", "나"])))


def test_nothing_needed_is_refused(load, write):
    path = write("validation.csv", rows_of(["가", "나"]))
    with pytest.raises(InputError, match="nothing is needed"):
        load(validation_file=path, phases=PREDICT)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"corpus": "nsmc", "train_file": "a.csv"}, {"corpus": "nsmc", "dataset_name": "a/b"}],
)
def test_exactly_one_source_is_taken(load, arguments):
    with pytest.raises(InputError, match="exactly one of"):
        load(**arguments)


# A trained model's labels


def test_labels_are_numbered_as_the_model_numbers_them(load, write):
    rows = rows_of(["긍정", "부정"], 3)
    names = ["중립", "부정", "긍정"]
    source = load(names, phases=PREDICT, test_file=write("test.csv", rows))
    assert source.label_names == names
    assert source.splits["test"]["label"][:] == [2, 1] * 3


def test_a_label_that_the_model_does_not_know_is_refused(load, write):
    path = write("test.csv", rows_of(["긍정", "부정"]))
    with pytest.raises(InputError, match="line 2: the label '긍정'.*the model"):
        load(["좋음", "나쁨"], phases=PREDICT, test_file=path)


def test_a_corpus_is_aligned_to_the_model(load, tmp_path):
    plain = load_corpus("sample_reviews", cache_dir=tmp_path)["test"]
    names = ["긍정", "Neutral", "부정"]
    source = load(names, phases=PREDICT, corpus="sample_reviews")
    assert source.label_names == names
    words = plain.features["label"].int2str(plain["label"][:])
    assert in_words(source, "test") == list(zip(plain["text"], words, strict=True))
    with pytest.raises(InputError, match="'부정', which the model does not know"):
        load(["긍정", "중립"], phases=PREDICT, corpus="sample_reviews")


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_test_file_without_labels_is_loaded_unlabelled(load, write, multi_label):
    path = write("test.csv", [{"text": text} for text in ("하나", "둘")])
    source = load(["가", "나"], multi_label, PREDICT, test_file=path)
    assert source.splits["test"]["text"][:] == ["하나", "둘"]
    assert not source.is_labelled("test")
    assert source.splits["test"]["label"][:] == [None if multi_label else -1] * 2


# The cache and the record


def test_a_changed_file_gives_the_new_rows_and_another_hash(load, write):
    first = load(train_file=write("train.csv", rows_of(["가", "나"], 10)))
    second = load(train_file=write("train.csv", rows_of(["나", "가"], 10)))
    assert first.hashes.keys() == second.hashes.keys() == {"train.csv"}
    assert first.hashes != second.hashes
    assert dict(in_words(second, "train"))["0번째 글"] == "나"


def test_an_option_that_changes_the_rows_is_not_served_from_the_cache(load, write):
    rows = [{**row, "other": row["label"][0]} for row in rows_of(["가|나", "나|다"], 10)]
    path = write("train.jsonl", rows)
    expected = [
        ({}, ["가|나", "나|다"]),
        ({"multi_label": True}, ["가", "나", "다"]),
        ({"multi_label": True, "label_separator": "나"}, ["|다", "가|"]),
        ({"label_column_name": "other"}, ["가", "나"]),
    ]
    for options, names in expected:
        assert load(train_file=path, **options).label_names == names


def test_the_same_bytes_as_csv_and_as_tsv_are_other_rows(load, tmp_path):
    for suffix in ("csv", "tsv"):
        (tmp_path / f"a.{suffix}").write_text('text\n"따옴표"\n', encoding="utf-8")
    texts = [
        load(["가", "나"], phases=PREDICT, test_file=str(tmp_path / f"a.{suffix}")).splits["test"][
            "text"
        ][0]
        for suffix in ("csv", "tsv")
    ]
    assert texts == ["따옴표", '"따옴표"']


def test_files_of_one_name_in_two_folders_keep_a_hash_each(load, write):
    files = {
        s: write(f"{s}/data.csv", rows_of(["가", "나"], n)) for s, n in [("train", 10), ("test", 2)]
    }
    source = load(train_file=files["train"], test_file=files["test"])
    assert len(set(source.hashes.values())) == 2


def test_a_corpus_brings_its_licence_origins_and_hashes(load):
    source = load(corpus="sample_reviews")
    manifest = (
        Path(load_corpus.__code__.co_filename).parents[1] / "samples/sample_reviews/manifest.json"
    )
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    assert source.hashes == {name: entry["sha256"] for name, entry in files.items()}
    assert source.license == "CC0-1.0"
    assert source.origins["test"] == "test.jsonl, written for this project"


def test_a_corpus_of_one_label_a_row_is_refused_for_several(load):
    with pytest.raises(InputError, match="one label a row"):
        load(corpus="sample_reviews", multi_label=True)


# Hub datasets, from a folder in the Hub's layout


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_hub_dataset_gives_its_splits_and_labels(load, write, tmp_path, suffix):
    rows = {
        split: rows_of([10, 9], n) for split, n in [("train", 20), ("validation", 4), ("test", 3)]
    }
    for split in rows:
        write(f"hub/{split}.{suffix}", rows[split])
    source = load(dataset_name=str(tmp_path / "hub"))
    assert source.label_names == ["9", "10"]
    for split in rows:
        assert in_words(source, split) == [
            (text, str(label)) for text, label in as_words(rows[split])
        ]
        assert source.origins[split] == f"{split} of {tmp_path / 'hub'}"


@pytest.mark.parametrize("several", [False, True])
def test_class_labels_of_a_hub_dataset_keep_their_words(load, tmp_path, several):
    label = ClassLabel(names=["World", "Sports"])
    numbers = [[0, 1], []] if several else [1, 0]
    columns = {"text": [f"글 {n}" for n in range(40)], "label": numbers * 20}
    features = datasets.Features(
        text=datasets.Value("string"), label=List(label) if several else label
    )
    (tmp_path / "hub").mkdir()
    for split in ("train", "valid", "test"):
        rows = datasets.Dataset.from_dict(columns, features)
        rows.to_parquet(tmp_path / "hub" / f"{split}.parquet")
    source = load(dataset_name=str(tmp_path / "hub"), multi_label=several)
    assert source.label_names == ["Sports", "World"]
    expected = [["World", "Sports"], []] if several else ["Sports", "World"]
    found = [words for _, words in in_words(source, "validation")]
    assert [*map(set, found)] == [*map(set, expected * 20)] if several else found == expected * 20


def test_a_hub_datasets_missing_column_is_refused(load, write, tmp_path):
    rows = [{"document": row["text"], "label": row["label"]} for row in rows_of(["가", "나"])]
    write("hub/train.csv", rows)
    with pytest.raises(InputError, match="no column 'text'; the columns are document, label"):
        load(dataset_name=str(tmp_path / "hub"))


def test_a_changed_hub_folder_gives_the_new_rows(load, write, tmp_path):
    for labels in (["가", "나"], ["다", "라"]):
        write("hub/train.parquet", rows_of(labels, 20))
        assert load(dataset_name=str(tmp_path / "hub")).label_names == labels


def test_a_hub_dataset_that_is_not_there_is_refused(load, tmp_path):
    for name in (str(tmp_path / "nowhere"), "nobody/nothing"):
        with pytest.raises(InputError, match="could not be loaded") as raised:
            load(dataset_name=name)
        assert name in str(raised.value)
