"""Typed, cached splits of every task from a corpus, the user's files or a Hub dataset."""

import json
import logging
import math
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Features, List, Value
from writing import write_rows, written

from nlpbook_data import InputError, load_corpus
from nlpbook_data.data import source
from nlpbook_data.data.publish import readable_rows
from nlpbook_data.data.source import Source, load_source, telling
from nlpbook_data.training.arguments import DataArguments

ALL = {"do_train": True, "do_eval": True, "do_predict": True}
PREDICT = {"do_train": False, "do_eval": False, "do_predict": True}
SPLITS = ("train", "validation", "test")
STRING = Value("string")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Source]:
    """``load(label_names=None, multi_label=False, phases=ALL, task="doccls", **data_arguments)``.

    Further arguments: `scores`, and `columns`, the names of a task's own columns.
    """

    def load(
        label_names: list[str] | None = None,
        multi_label: bool = False,
        phases: dict[str, bool] = ALL,
        task: str = "doccls",
        scores: bool | None = None,
        columns: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Source:
        args = DataArguments(cache_dir=str(tmp_path / "cache"), **arguments)
        vars(args).update(
            {f"{column}_column_name": name for column, name in (columns or {}).items()}
        )
        return load_source(args, SimpleNamespace(**phases), label_names, multi_label, task, scores)

    return load


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """``write(name, rows)``: rows as csv, tsv, jsonl or parquet, by the name's ending; the path."""
    return lambda name, rows: str(write_rows(tmp_path / name, rows))


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


# Every task's rows


def entity(start: int, end: int, label: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


def ner(n: int) -> dict[str, Any]:
    return {"text": f"{n}시 서울", "entities": [entity(len(f"{n}시 "), len(f"{n}시 서울"), "LOC")]}


def nli(n: int) -> dict[str, Any]:
    label = ("함의", "모순")[n % 2]
    return {"premise": f"전제 {n // 2}", "hypothesis": f"가설 {n}", "label": label}


def sts(n: int) -> dict[str, Any]:
    return {"sentence1": f"가 {n}", "sentence2": f"나 {n}", "label": n / 4}


def qa(n: int) -> dict[str, Any]:
    answers = [{"text": "서울", "answer_start": 0}] if n % 3 else []
    return {"context": f"서울 {n // 4}", "question": f"질문 {n}?", "answers": answers}


def search(n: int) -> dict[str, Any]:
    return {"query": f"질의 {n}", "passage": f"글 {n}", "negative": f"아닌 글 {n}"}


SPAN = {"start": Value("int32"), "end": Value("int32")}
PAIR = {"premise": STRING, "hypothesis": STRING, "label": ClassLabel(names=["모순", "함의"])}
QUESTION = {
    **{column: STRING for column in ("id", "title", "context", "question")},
    "answers": List({"text": STRING, "answer_start": Value("int32")}),
}
# a row's number to the row, and its types
TASKS: dict[str, tuple[Callable[[int], dict[str, Any]], dict[str, Any]]] = {
    "ner": (ner, {"text": STRING, "entities": List({**SPAN, "label": ClassLabel(names=["LOC"])})}),
    "paircls nli": (nli, PAIR),
    "paircls sts": (sts, {"sentence1": STRING, "sentence2": STRING, "label": Value("float32")}),
    "qa": (qa, QUESTION),
    "search": (search, {"query": STRING, "passage": STRING, "negative": STRING}),
    "generation": (
        lambda n: {"prompt": f"질문 {n}", "completion": f"대답 {n}"},
        {"prompt": STRING, "completion": STRING},
    ),
    "generation chat": (
        lambda n: {"question": f"질문 {n}", "answer": f"대답 {n}"},
        {"question": STRING, "answer": STRING},
    ),
    "generation label": (
        lambda n: {"text": f"글 {n}", "label": 0},
        {"text": STRING, "label": ClassLabel(names=["0"])},
    ),
    "pretrain": (lambda n: {"text": f"글 {n}"}, {"text": STRING}),
}


@pytest.mark.parametrize("name", TASKS)
def test_each_task_has_its_types_and_its_rows(load, write, name):
    row, features = TASKS[name]
    rows = [row(n) for n in range(40)]
    splits = load(task=name.split()[0], train_file=write("train.jsonl", rows)).splits
    assert set(splits) == set(SPLITS)
    found = []
    for dataset in splits.values():
        assert dataset.features == Features(features)
        for one in dataset:
            if name == "paircls nli":
                one["label"] = dataset.features["label"].int2str(one["label"])
            for span in one.get("entities", []):
                span["label"] = "LOC" if span["label"] == 0 else span["label"]
            found.append({key: value for key, value in one.items() if key in rows[0]})
    as_text = [json.dumps(one, ensure_ascii=False, sort_keys=True) for one in (*found, *rows)]
    assert sorted(as_text[:40]) == sorted(as_text[40:])


@pytest.mark.parametrize(("name", "column"), [("paircls nli", "premise"), ("qa", "context")])
def test_rows_that_share_a_premise_or_a_context_are_carved_to_one_side(load, write, name, column):
    rows = [TASKS[name][0](n) for n in range(80)]
    splits = load(task=name.split()[0], train_file=write("train.jsonl", rows)).splits
    sides = [set(dataset[column]) for dataset in splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len({row[column] for row in rows})


@pytest.mark.parametrize(
    ("name", "gold", "empty"),
    [("ner", "entities", None), ("paircls nli", "label", -1), ("paircls sts", "label", math.nan)]
    + [("qa", "answers", None)],
)
def test_unlabelled_test_files_stand_beside_labelled_ones(load, write, name, gold, empty):
    row, _ = TASKS[name]
    unlabelled = [{key: value for key, value in row(n).items() if key != gold} for n in range(2)]
    files = {"train_file": write("a.jsonl", [row(n) for n in range(40)])}
    source = load(task=name.split()[0], **files, test_file=write("b.jsonl", unlabelled))
    assert source.is_labelled("train") and not source.is_labelled("test")
    found = source.splits["test"][gold][:]
    assert all(map(math.isnan, found)) if empty != empty else found == [empty] * 2


def test_a_folder_of_labels_is_train_and_its_changes_are_seen(load, tmp_path):
    folder = tmp_path / "data"
    for n in range(40):
        path = written(folder / ("긍정", "부정")[n % 2] / f"{n}.txt", f"글 {n}")
    first = load(train_file=str(folder))
    assert first.label_names == ["긍정", "부정"]
    assert sum(map(len, first.splits.values())) == 40
    path.rename(folder / "긍정" / "39.txt")
    sources = (first, load(train_file=str(folder)))
    counts = [sum(label == 0 for d in s.splits.values() for label in d["label"]) for s in sources]
    assert counts == [20, 21]


LOK = {"text": "가", "entities": [entity(0, 1, "LOK")]}
MISFITS = {
    "doccls": (rows_of(["긍정", "부정"], 9), rows_of(["부정", "긍정함"]), "line 2: .*긍정[?]"),
    "ner": ([ner(n) for n in range(20)], [ner(0), LOK], "line 2: the label 'LOK' .*you mean LOC"),
    "paircls": (
        [sts(1), sts(2)],
        [sts(0), {**sts(1), "label": "많이"}],
        "line 2: .*'많이' is no num",
    ),
    "search": (
        [search(n) for n in range(20)],
        [{"query": "가", "passage": "나"}],
        "negative is not",
    ),
}


@pytest.mark.parametrize("task", MISFITS)
def test_a_test_file_that_does_not_fit_train_is_refused_by_row(load, write, task):
    train, test, message = MISFITS[task]
    files = {"train_file": write("a.jsonl", train), "test_file": write("b.jsonl", test)}
    with pytest.raises(InputError, match=f"b.jsonl, .*{message}"):
        load(task=task, **files)


# Labels


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["긍정", "부정", "중립"], ["긍정", "부정", "중립"]),
        ([10, 9, 1], ["1", "9", "10"]),
        ([0, -1, 2, -10], ["-10", "-1", "0", "2"]),
        (["10.5", "9.0", "0.5"], ["0.5", "9", "10.5"]),
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
    spelled = {"9.0": "9"}  # one label in every format
    rows = {row["text"]: str(row["label"]).strip() for row in rows_of(labels, 10)}
    rows = {text: spelled.get(label, label) for text, label in rows.items()}
    for split in SPLITS:
        assert all(rows[text] == label for text, label in in_words(source, split))


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
    for split in SPLITS:
        for text, words in in_words(source, split):
            assert sorted(words) == expected[text]


def test_scores_may_be_whole_numbers_where_it_is_said(load, write):
    path = write("train.jsonl", [{**sts(n), "label": n % 6} for n in range(40)])
    sources = [load(task="paircls", train_file=path, scores=scores) for scores in (None, True)]
    types = [source.splits["train"].features["label"] for source in sources]
    assert types == [ClassLabel(names=[*"012345"]), Value("float32")]


def test_the_arguments_name_the_columns_of_the_task(load, write):
    rows = [{"물음": f"{n}?", "context": f"글 {n}", "answers": []} for n in range(40)]
    source = load(task="qa", train_file=write("a.jsonl", rows), columns={"question": "물음"})
    assert set(source.splits["train"]["question"]) < {row["물음"] for row in rows}


# Splits


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


def test_carved_splits_keep_rare_classes_where_they_can_and_say_where_not(load, write, caplog):
    labels = ["흔함"] * 60 + ["드묾"] * 3 + ["둘"] * 2
    source = load(train_file=write("train.csv", rows_of(labels)))
    for split in SPLITS:
        assert source.count_labels(split)["드묾"] == 1
    assert [source.count_labels(split)["둘"] for split in SPLITS] == [1, 1, 0]
    (said,) = [each.message for each in caplog.records if "no row has" in each.message]
    assert said.startswith("test: no row has the label 둘 (1 in all of train; here: 드묾, 흔함).")


def test_a_rare_entity_that_a_carved_split_lacks_is_told_of(load, write, caplog):
    rows = [ner(n) for n in range(60)]
    rows[3]["entities"][0]["label"] = "드묾"
    source = load(task="ner", train_file=write("train.jsonl", rows))
    lacking = [split for split in SPLITS if not source.count_labels(split)["드묾"]]
    told = [each.message[: each.message.index(" (")] for each in caplog.records]
    assert len(lacking) == 2
    assert told == [f"{split}: no row has the label 드묾" for split in lacking]


def test_labels_that_are_joined_by_a_comma_are_asked_about(load, write, caplog):
    path = write("train.csv", rows_of(["기쁨", "슬픔", "기쁨,슬픔", "분노"], 10))
    source = load(train_file=path)
    assert "기쁨,슬픔" in source.label_names  # as it is written, and said to be one class
    assert "looks like several" in caplog.text and "--multi_label true" in caplog.text
    with pytest.raises(InputError, match="'기쁨,슬픔' looks like several.*--label_separator ,"):
        load(train_file=path, multi_label=True)
    source = load(train_file=path, multi_label=True, label_separator=",")
    assert source.label_names == ["기쁨", "분노", "슬픔"]


def test_rows_of_too_few_texts_are_carved_all_the_same_and_that_is_said(load, write, caplog):
    row = {"text": "홍길동", "entities": [entity(0, 3, "PER")]}
    source = load(task="ner", train_file=write("train.jsonl", [row] * 40))
    assert [len(source.splits[split]) for split in SPLITS] == [32, 4, 4]
    assert "train: too few different texts for validation and test beside it" in caplog.text
    assert "Name other files: --validation_file, --test_file." in caplog.text
    with pytest.raises(InputError, match="no row is left for validation"):
        load(task="ner", train_file=write("two.jsonl", [row] * 2))


@pytest.mark.parametrize(("most", "told"), [(7, False), (30, True), (40, False)])
def test_each_file_is_a_split_of_its_first_rows_and_one_sorted_by_label_is_told_of(
    load, write, caplog, most, told
):
    rows = sorted(rows_of(["가", "나"], 20), key=lambda row: row["label"])
    files = {f"{split}_file": write(f"{split}.csv", rows) for split in SPLITS}
    numbers = {"max_train_samples": most, "max_eval_samples": 3, "max_predict_samples": 1000}
    source = load(**files, **numbers)
    assert in_words(source, "train") == as_words(rows[:most])
    assert in_words(source, "validation") == as_words(rows[:3])
    assert in_words(source, "test") == as_words(rows)
    assert source.origins == {split: f"{split}.csv" for split in SPLITS}
    assert source.name == "train.csv, validation.csv, test.csv"
    assert ("train: sorted by label, of which the first 30 rows" in caplog.text) == told


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


@pytest.mark.parametrize(
    ("split", "phases", "message"),
    [
        ("train", ALL, "carved from train.*no row is left for validation"),
        ("test", ALL, "there is no train split"),
        ("validation", PREDICT, "nothing is needed"),
    ],
)
def test_files_that_lack_a_split_that_is_needed_are_refused(load, write, split, phases, message):
    with pytest.raises(InputError, match=message):
        load(phases=phases, **{f"{split}_file": write("a.csv", rows_of(["가", "나"]))})


REVIEWS = {"corpus": "sample_reviews"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of"),
        ({"corpus": "nsmc", "train_file": "a.csv"}, "exactly one of"),
        ({"corpus": "nsmc", "dataset_name": "a/b"}, "exactly one of"),
        ({**REVIEWS, "multi_label": True}, "one label a row"),
        ({**REVIEWS, "task": "ner"}, "sample_reviews is for doccls"),
        ({"train_file": "LISTS"}, "lists.jsonl, line 1: .*--multi_label true"),
        (
            {"train_file": "LISTS", "multi_label": True, "label_separator": ""},
            "--label_separator is empty",
        ),
    ],
)
def test_data_that_are_not_what_is_asked_for_are_refused(load, write, arguments, message):
    if arguments.get("train_file") == "LISTS":
        arguments = arguments | {"train_file": write("lists.jsonl", rows_of([["가"], ["나"]], 10))}
    with pytest.raises(InputError, match=message):
        load(**arguments)


# A trained model's labels


def test_labels_are_numbered_as_the_model_numbers_them(load, write):
    options = {"phases": PREDICT, "test_file": write("test.csv", rows_of(["긍정", "부정"], 3))}
    names = ["중립", "부정", "긍정"]
    source = load(names, **options)
    assert source.label_names == names
    assert source.splits["test"]["label"][:] == [2, 1] * 3
    with pytest.raises(InputError, match="line 2: the label '긍정'.*the model"):
        load(["좋음", "나쁨"], **options)


def test_entities_are_numbered_as_the_model_numbers_them(load, write):
    options = {"task": "ner", "phases": PREDICT, "test_file": write("test.jsonl", [ner(0)])}
    source = load(["PER", "LOC"], **options)
    assert source.label_names == ["PER", "LOC"]
    assert source.splits["test"][0]["entities"] == [entity(3, 5, 1)]
    with pytest.raises(InputError, match="'LOC' is not among those of the model"):
        load(["PER", "ORG"], **options)


@pytest.mark.parametrize(("corpus", "task"), [("sample_reviews", "doccls"), ("sample_ner", "ner")])
def test_a_corpus_is_aligned_to_the_model(load, corpus, task):
    options = {"phases": PREDICT, "corpus": corpus, "task": task}
    plain = load(**options)
    names = ["더", *reversed(plain.label_names)]  # in another order, with one more
    source = load(names, **options)
    assert source.label_names == names
    rows = [readable_rows(found.splits["test"]) for found in (source, plain)]
    assert [*rows[0]] == [*rows[1]]
    with pytest.raises(InputError, match=f"'{names[-1]}', which the model does not know"):
        load(names[:-1], **options)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_test_file_without_labels_is_loaded_unlabelled(load, write, multi_label):
    path = write("test.csv", [{"text": text} for text in ("하나", "둘")])
    source = load(["가", "나"], multi_label, PREDICT, test_file=path)
    assert source.splits["test"]["text"][:] == ["하나", "둘"]
    assert not source.is_labelled("test")
    assert source.splits["test"]["label"][:] == [None if multi_label else -1] * 2


# The cache and the record


def test_the_cache_is_used_again_and_built_again_where_it_is_asked_for(load, write, tmp_path):
    path = write("train.jsonl", [ner(n) for n in range(40)])
    first = load(task="ner", train_file=path)
    (entry,) = (tmp_path / "cache" / "nlpbook" / "files").glob("*/entry.json")
    before = entry.stat().st_mtime_ns
    load(task="ner", train_file=path)
    assert entry.stat().st_mtime_ns == before
    load(task="ner", train_file=path, overwrite_cache=True)
    assert entry.stat().st_mtime_ns > before
    with pytest.raises(InputError, match="no column 'label'"):
        load(train_file=path)
    write("train.jsonl", [ner(n) for n in range(40, 80)])
    changed = load(task="ner", train_file=path)
    assert changed.hashes.keys() == first.hashes.keys() == {"train.jsonl"}
    assert changed.hashes != first.hashes
    assert not {*changed.splits["train"]["text"]} & {*first.splits["train"]["text"]}


def test_a_file_replaced_while_it_is_read_leaves_nothing(load, write, monkeypatch):
    path, other = (
        write(name, rows_of(labels, 3000))
        for name, labels in (("train.csv", ["가", "나"]), ("other.csv", ["다", "라"]))
    )
    read, passes = source.schemas.read_examples, []

    def reading(*arguments, **options):
        rows = read(*arguments, **options)
        yield next(rows)
        passes.append(1)
        if len(passes) == 2:  # the first looks for the labels
            os.replace(other, path)
        yield from rows

    monkeypatch.setattr(source.schemas, "read_examples", reading)
    with pytest.raises(InputError, match=f"{path} changed while it was read, and nothing was"):
        load(train_file=path)
    found = load(train_file=path)  # the new file's rows, under the new file's hash
    assert found.label_names == ["다", "라"]


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
    texts = []
    for suffix in ("csv", "tsv"):
        path = written(tmp_path / f"a.{suffix}", 'text\n"따옴표"\n')
        source = load(["가", "나"], phases=PREDICT, test_file=str(path))
        texts += source.splits["test"]["text"][:]
    assert texts == ["따옴표", '"따옴표"']


def test_files_of_one_name_in_two_folders_keep_a_hash_each(load, write):
    numbers = {"train": 10, "test": 2}
    files = {f"{s}_file": write(f"{s}/a.csv", rows_of(["가", "나"], n)) for s, n in numbers.items()}
    assert len(set(load(**files).hashes.values())) == 2


# Corpora


def test_a_corpus_brings_its_licence_origins_and_hashes(load):
    source = load(corpus="sample_reviews")
    package = Path(load_corpus.__code__.co_filename).parents[1]
    manifest = (package / "samples/sample_reviews/manifest.json").read_text(encoding="utf-8")
    files = json.loads(manifest)["files"]
    assert source.hashes == {name: entry["sha256"] for name, entry in files.items()}
    assert source.license == "CC0-1.0"
    assert source.origins["test"] == "test.jsonl, written for this project"


def test_the_labels_of_a_corpus_are_prompts_unless_they_are_not_wanted(load):
    common = {"corpus": "sample_reviews", "task": "generation"}
    source = load(**common)
    assert source.label_names == ["부정", "긍정"]
    assert source.splits["train"].column_names == ["text", "label"]
    source = load(**common, label_column_name="none")
    assert source.label_names == [] and source.splits["train"].column_names == ["text"]


@pytest.mark.parametrize(
    ("corpus", "file", "head", "line", "columns"),
    [
        (
            *("korean_chatbot_data", "ChatbotData.csv", "Q,A,label\n", "{0} 뭐해,{0} 놀아,0\n"),
            ["question", "answer"],
        ),
        ("nsmc_raw", "reviews.txt", "", "{0} 번째 글\n", ["text"]),
    ],
)
def test_corpora_of_questions_and_of_plain_texts_are_for_generation_too(
    load, tmp_path, corpus, file, head, line, columns
):
    written(tmp_path / corpus / file, head + "".join(line.format(n) for n in range(300)))
    source = load(task="generation", corpus=corpus, corpus_dir=str(tmp_path), accept_files=True)
    assert source.splits["train"].column_names == columns
    assert sum(map(len, source.splits.values())) == 300


# Hub datasets, from a folder in the Hub's layout


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_hub_dataset_gives_its_splits_and_labels_also_after_a_change(
    load, write, tmp_path, suffix
):
    for labels in ([10, 9], [12, 11]):
        rows = {split: rows_of(labels, n) for split, n in zip(SPLITS, (20, 4, 3), strict=True)}
        for split in rows:
            write(f"hub/{split}.{suffix}", rows[split])
        source = load(dataset_name=str(tmp_path / "hub"))
        assert source.label_names == [str(label) for label in reversed(labels)]
        for split in rows:
            expected = [(text, str(label)) for text, label in as_words(rows[split])]
            assert in_words(source, split) == expected
            assert source.origins[split] == f"{split} of {tmp_path / 'hub'}"


@pytest.fixture
def hub(tmp_path: Path) -> Callable[..., str]:
    """``hub(features, rows)``: a dataset of which `rows` are each split; its name."""

    def write(features: dict[str, Any], rows: list[dict[str, Any]]) -> str:
        (tmp_path / "hub").mkdir()
        for split in ("train", "valid", "test"):
            dataset = datasets.Dataset.from_list(rows, features=Features(features))
            dataset.to_parquet(tmp_path / "hub" / f"{split}.parquet")
        return str(tmp_path / "hub")

    return write


@pytest.mark.parametrize("several", [False, True])
def test_class_labels_of_a_hub_dataset_keep_their_words(load, hub, several):
    label = ClassLabel(names=["World", "Sports"])
    rows = rows_of([[0, 1], []] if several else [1, 0], 20)
    name = hub({"text": STRING, "label": List(label) if several else label}, rows)
    source = load(dataset_name=name, multi_label=several)
    assert source.label_names == ["Sports", "World"]
    expected = [["World", "Sports"], []] if several else ["Sports", "World"]
    found = [words for _, words in in_words(source, "validation")]
    assert [*map(set, found)] == [*map(set, expected * 20)] if several else found == expected * 20


def test_pairs_of_a_hub_dataset_without_a_gold_label_are_left_out(load, hub, caplog):
    label = ClassLabel(names=["entailment", "neutral"])
    rows = [{"premise": f"{n}", "hypothesis": "가", "label": n % 3 - 1} for n in range(60)]
    source = load(
        task="paircls", dataset_name=hub(dict.fromkeys(rows[0], STRING) | {"label": label}, rows)
    )
    assert [source.count_labels(split) for split in SPLITS] == [
        {"entailment": 20, "neutral": 20}
    ] * 3
    assert "train: 20 rows of inference have no gold label" in caplog.text


def test_a_file_that_stands_for_two_splits_is_told_of(load, write, caplog):
    train, test = (write(name, rows_of(["가", "나"], 20)) for name in ("a.csv", "b.csv"))
    load(train_file=train, test_file=test)
    assert "train and test: one file by its content. Name another for each." in caplog.text


def test_entities_of_a_hub_dataset_keep_their_words(load, hub):
    label = ClassLabel(names=["ORG", "LOC"])
    rows = [{**ner(n), "entities": [{**ner(n)["entities"][0], "label": 1}]} for n in range(20)]
    name = hub({"text": STRING, "entities": List({**SPAN, "label": label})}, rows)
    source = load(task="ner", dataset_name=name)
    assert source.label_names == ["LOC"]
    assert source.splits["validation"][0] == {"text": "0시 서울", "entities": [entity(3, 5, 0)]}


def test_answers_of_a_hub_dataset_are_read_as_squad_has_them(load, hub):
    answers = {"text": List(STRING), "answer_start": List(Value("int32"))}
    row = {"question": "?", "answers": {"text": ["은"], "answer_start": [2]}}
    rows = [{"id": f"q{n}", "context": f"서울은 {n}", **row} for n in range(20)]
    name = hub({"id": STRING, "context": STRING, "question": STRING, "answers": answers}, rows)
    found = load(task="qa", dataset_name=name).splits["validation"][3]
    assert found["id"] == "q3" and found["answers"] == [{"text": "은", "answer_start": 2}]


def test_a_hub_dataset_without_the_columns_is_refused_with_the_options(load, hub):
    name = hub({"text": STRING, "tags": STRING}, [{"text": "가", "tags": "나"}])
    message = "no column 'entities'; the columns are text, tags.*--entities_column_name"
    with pytest.raises(InputError, match=message):
        load(task="ner", dataset_name=name)


def test_a_hub_dataset_that_is_not_there_is_refused(load, tmp_path):
    for name in (str(tmp_path / "nowhere"), "nobody/nothing"):
        with pytest.raises(InputError, match="could not be loaded") as raised:
            load(dataset_name=name)
        assert name in str(raised.value)


# Labels and their counts


@pytest.mark.parametrize("multi_label", [False, True])
def test_labels_are_counted_as_they_stand_in_the_rows(load, write, multi_label):
    labels = ["다", ["가", "다"], [], ["나"], ["가"]] if multi_label else ["다", "가", "다", "나"]
    labels[0] = ["다"] if multi_label else "다"
    file = write("rows.jsonl", rows_of(labels, 3))
    files = {f"{split}_file": file for split in SPLITS}
    source = load(multi_label=multi_label, **files)
    flat = [one for label in labels * 3 for one in (label if multi_label else [label])]
    assert source.count_labels("test") == Counter(flat)
    limited = load(multi_label=multi_label, max_train_samples=2, **files)
    first = [one for label in labels[:2] for one in (label if multi_label else [label])]
    assert {k: v for k, v in limited.count_labels("train").items() if v} == Counter(first)


def test_types_of_entities_are_counted(load):
    source = load(task="ner", corpus="sample_ner")
    rows = load_corpus("sample_ner")["test"]
    names = source.label_names
    assert source.count_labels("test") == Counter(
        names[entity["label"]] for row in rows for entity in row["entities"]
    )


def test_a_long_file_says_how_far_it_is_read(caplog):
    with caplog.at_level(logging.INFO, "nlpbook_data"):
        assert list(telling(range(2500), "train", every=0)) == list(range(2500))
    found = [record.message.partition(" rows")[0] for record in caplog.records]
    assert found == ["train: 1,000", "train: 2,000"]
