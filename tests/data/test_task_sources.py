"""Typed, cached splits of every task from the user's files, a Hub dataset or a corpus."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Features, List, Value

from nlpbook_data import InputError
from nlpbook_data.data.source import load_source
from nlpbook_data.training.arguments import DataArguments

ALL = SimpleNamespace(do_train=True, do_eval=True, do_predict=True)
PREDICT = SimpleNamespace(do_train=False, do_eval=False, do_predict=True)
SPLITS = {"train", "validation", "test"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def load_examples(
    files: dict[str, Path], task: str, cache_dir: Path, rebuild: bool = False, **options: Any
) -> datasets.DatasetDict:
    paths = {f"{split}_file": str(path) for split, path in files.items()}
    args = DataArguments(cache_dir=str(cache_dir), overwrite_cache=rebuild, **paths)
    return load_source(args, ALL, task=task, **options).splits


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


def generation(n: int) -> dict[str, Any]:
    return {"prompt": f"질문 {n}", "completion": f"대답 {n}"}


SPAN = {"start": Value("int32"), "end": Value("int32")}
STRING = Value("string")
TASKS = {
    "ner": (ner, {"text": STRING, "entities": List({**SPAN, "label": ClassLabel(names=["LOC"])})}),
    "nli": (
        nli,
        {"premise": STRING, "hypothesis": STRING, "label": ClassLabel(names=["모순", "함의"])},
    ),
    "sts": (sts, {"sentence1": STRING, "sentence2": STRING, "label": Value("float32")}),
    "qa": (
        qa,
        {
            **{column: STRING for column in ("id", "title", "context", "question")},
            "answers": List({"text": STRING, "answer_start": Value("int32")}),
        },
    ),
    "search": (search, {"query": STRING, "passage": STRING, "negative": STRING}),
    "generation": (generation, {"prompt": STRING, "completion": STRING}),
    "chat": (
        lambda n: {"question": f"질문 {n}", "answer": f"대답 {n}"},
        {"question": STRING, "answer": STRING},
    ),
    "labelled text": (
        lambda n: {"text": f"글 {n}", "label": 0},
        {"text": STRING, "label": ClassLabel(names=["0"])},
    ),
    "pretrain": (lambda n: {"text": f"글 {n}"}, {"text": STRING}),
}


def task_of(name: str) -> str:
    others = {"chat": "generation", "labelled text": "generation"}
    return {"nli": "paircls", "sts": "paircls", **others}.get(name, name)


@pytest.mark.parametrize("name", TASKS)
def test_each_task_has_its_types_and_its_rows(tmp_path, name):
    row, features = TASKS[name]
    rows = [row(n) for n in range(40)]
    path = write(tmp_path / "train.jsonl", rows)
    splits = load_examples({"train": path}, task_of(name), cache_dir=tmp_path / "cache")
    assert set(splits) == SPLITS
    found = []
    for dataset in splits.values():
        assert dataset.features == Features(features)
        for one in dataset:
            if name == "nli":
                one["label"] = dataset.features["label"].int2str(one["label"])
            for span in one.get("entities", []):
                span["label"] = "LOC" if span["label"] == 0 else span["label"]
            found.append({key: value for key, value in one.items() if key in rows[0]})
    as_text = [json.dumps(one, ensure_ascii=False, sort_keys=True) for one in (*found, *rows)]
    assert sorted(as_text[:40]) == sorted(as_text[40:])


@pytest.mark.parametrize(("name", "column"), [("nli", "premise"), ("qa", "context")])
def test_rows_that_share_a_premise_or_a_context_are_carved_to_one_side(tmp_path, name, column):
    rows = [TASKS[name][0](n) for n in range(80)]
    path = write(tmp_path / "train.jsonl", rows)
    splits = load_examples({"train": path}, task_of(name), cache_dir=tmp_path / "cache")
    sides = [set(dataset[column]) for dataset in splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len({row[column] for row in rows})


def test_a_folder_of_labels_is_train_and_its_changes_are_seen(tmp_path):
    folder = tmp_path / "data"
    for n in range(40):
        path = folder / ("긍정", "부정")[n % 2] / f"{n}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"글 {n}", encoding="utf-8")
    common = {"task": "doccls", "cache_dir": tmp_path / "cache"}
    first = load_examples({"train": folder}, **common)
    assert first["train"].features["label"] == ClassLabel(names=["긍정", "부정"])
    assert sum(map(len, first.values())) == 40
    path.rename(folder / "긍정" / "39.txt")
    second = load_examples({"train": folder}, **common)
    counts = [sum(label == 0 for d in s.values() for label in d["label"]) for s in (first, second)]
    assert counts == [20, 21]


def test_unlabelled_test_files_stand_beside_labelled_ones(tmp_path):
    for name, empty in [("ner", None), ("nli", -1), ("sts", "nan"), ("qa", None)]:
        row, _ = TASKS[name]
        gold = {"ner": "entities", "qa": "answers"}.get(name, "label")
        files = {
            "train_file": write(tmp_path / f"{name}.jsonl", [row(n) for n in range(40)]),
            "test_file": write(
                tmp_path / f"{name}_test.jsonl",
                [{key: value for key, value in row(n).items() if key != gold} for n in range(2)],
            ),
        }
        args = DataArguments(
            cache_dir=str(tmp_path / "cache"), **{key: str(path) for key, path in files.items()}
        )
        source = load_source(args, ALL, task=task_of(name))
        assert source.is_labelled("train") and not source.is_labelled("test")
        found = source.splits["test"][gold][:]
        assert all(map(math.isnan, found)) if empty == "nan" else found == [empty] * 2


def test_scores_may_be_whole_numbers_where_it_is_said(tmp_path):
    rows = [{**sts(n), "label": n % 6} for n in range(40)]
    files = {"train": write(tmp_path / "train.jsonl", rows)}
    common = {"task": "paircls", "cache_dir": tmp_path / "cache"}
    found = [
        load_examples(files, **common, scores=scores)["train"].features for scores in (None, True)
    ]
    assert [one["label"] for one in found] == [ClassLabel(names=[*"012345"]), Value("float32")]


def test_a_score_that_is_no_number_is_named(tmp_path):
    rows = [{**sts(n), "label": "많이" if n == 3 else n / 2} for n in range(8)]
    files = {
        "train": write(tmp_path / "t.jsonl", rows[:3]),
        "test": write(tmp_path / "s.jsonl", rows),
    }
    with pytest.raises(InputError, match="s.jsonl, line 4: the label '많이' is no number"):
        load_examples(files, "paircls", cache_dir=tmp_path / "cache")


def test_an_entity_that_train_does_not_have_is_named(tmp_path):
    other = {"text": "홍길동", "entities": [entity(0, 3, "LOK")]}
    files = {
        "train": write(tmp_path / "train.jsonl", [ner(n) for n in range(20)]),
        "test": write(tmp_path / "test.jsonl", [ner(0), other]),
    }
    with pytest.raises(InputError, match="test.jsonl, line 2: the label 'LOK' .*Did you mean LOC"):
        load_examples(files, "ner", cache_dir=tmp_path / "cache")


def test_a_file_with_other_columns_is_named(tmp_path):
    files = {
        "train": write(tmp_path / "train.jsonl", [search(n) for n in range(20)]),
        "test": write(tmp_path / "test.jsonl", [{"query": "가", "passage": "나"}]),
    }
    with pytest.raises(InputError, match="test.jsonl, line 1: negative is not here"):
        load_examples(files, "search", cache_dir=tmp_path / "cache")


def test_entities_are_numbered_as_the_model_numbers_them(tmp_path):
    path = write(tmp_path / "test.jsonl", [ner(0)])
    args = DataArguments(cache_dir=str(tmp_path / "cache"), test_file=str(path))
    source = load_source(args, PREDICT, ["PER", "LOC"], task="ner")
    assert source.label_names == ["PER", "LOC"]
    assert source.splits["test"][0]["entities"] == [entity(3, 5, 1)]
    with pytest.raises(InputError, match="'LOC' is not among those of the model"):
        load_source(args, PREDICT, ["PER", "ORG"], task="ner")


def test_the_arguments_name_the_columns_of_the_task(tmp_path):
    rows = [
        {"물음": row["question"], "context": row["context"], "answers": []}
        for row in map(qa, range(40))
    ]
    path = write(tmp_path / "train.jsonl", rows)
    args = DataArguments(cache_dir=str(tmp_path / "cache"), train_file=str(path))
    args.question_column_name = "물음"
    source = load_source(args, ALL, task="qa")
    assert set(source.splits["train"]["question"]) < {row["물음"] for row in rows}
    assert source.origins["test"] == "10% carved from train (train.jsonl)"


def test_the_cache_is_used_again_and_built_again_where_it_is_asked_for(tmp_path):
    files = {"train": write(tmp_path / "train.jsonl", [ner(n) for n in range(40)])}
    load_examples(files, "ner", cache_dir=tmp_path / "cache")
    (entry,) = (tmp_path / "cache" / "nlpbook" / "files").glob("*/entry.json")
    before = entry.stat().st_mtime_ns
    load_examples(files, "ner", cache_dir=tmp_path / "cache")
    assert entry.stat().st_mtime_ns == before
    load_examples(files, "ner", cache_dir=tmp_path / "cache", rebuild=True)
    assert entry.stat().st_mtime_ns > before
    with pytest.raises(InputError, match="no column 'label'"):
        load_examples(files, "doccls", cache_dir=tmp_path / "cache")


def test_a_corpus_of_another_task_is_refused(tmp_path):
    args = DataArguments(corpus="sample_reviews", cache_dir=str(tmp_path))
    with pytest.raises(InputError, match="sample_reviews is for doccls"):
        load_source(args, ALL, task="ner")


def test_the_labels_of_a_corpus_are_prompts_unless_they_are_not_wanted(tmp_path):
    common = {"corpus": "sample_reviews", "cache_dir": str(tmp_path)}
    source = load_source(DataArguments(**common), ALL, task="generation")
    assert source.label_names == ["부정", "긍정"]
    assert source.splits["train"].column_names == ["text", "label"]
    args = DataArguments(**common, label_column_name="none")
    source = load_source(args, ALL, task="generation")
    assert source.label_names == [] and source.splits["train"].column_names == ["text"]


@pytest.mark.parametrize(
    ("corpus", "file", "lines", "columns"),
    [
        (
            "korean_chatbot_data",
            "ChatbotData.csv",
            "Q,A,label\n{0} 뭐해,{0} 놀아,0",
            "question answer",
        ),
        ("nsmc_raw", "reviews.txt", "{0} 번째 글", "text"),
    ],
)
def test_corpora_of_questions_and_of_plain_texts_are_for_generation_too(
    tmp_path, corpus, file, lines, columns
):
    head, _, line = lines.rpartition("\n")
    (tmp_path / corpus).mkdir()
    rows = [line.format(n) for n in range(300)]
    text = "\n".join([head, *rows] if head else rows)
    (tmp_path / corpus / file).write_text(text, encoding="utf-8")
    args = DataArguments(
        corpus=corpus, corpus_dir=str(tmp_path), accept_files=True, cache_dir=str(tmp_path / "c")
    )
    source = load_source(args, ALL, task="generation")
    assert source.splits["train"].column_names == columns.split()
    assert sum(map(len, source.splits.values())) == 300


def hub(folder: Path, features: Features, rows: list[dict[str, Any]]) -> DataArguments:
    """Write `rows` as the two splits of a dataset in the Hub's layout."""
    (folder / "hub").mkdir()
    for split in ("train", "validation"):
        rows_of_split = datasets.Dataset.from_list(rows, features=features)
        rows_of_split.to_parquet(folder / "hub" / f"{split}.parquet")
    return DataArguments(dataset_name=str(folder / "hub"), cache_dir=str(folder / "cache"))


def test_entities_of_a_hub_dataset_keep_their_words(tmp_path):
    label = ClassLabel(names=["ORG", "LOC"])
    rows = [{**ner(n), "entities": [{**ner(n)["entities"][0], "label": 1}]} for n in range(20)]
    args = hub(tmp_path, Features(text=STRING, entities=List({**SPAN, "label": label})), rows)
    source = load_source(args, ALL, task="ner")
    assert source.label_names == ["LOC"]
    assert source.splits["validation"][0] == {"text": "0시 서울", "entities": [entity(3, 5, 0)]}


def test_answers_of_a_hub_dataset_are_read_as_squad_has_them(tmp_path):
    answers = {"text": List(STRING), "answer_start": List(Value("int32"))}
    rows = [
        {
            "id": f"q{n}",
            "context": f"서울은 {n}",
            "question": "?",
            "answers": {"text": ["은"], "answer_start": [2]},
        }
        for n in range(20)
    ]
    args = hub(
        tmp_path, Features(id=STRING, context=STRING, question=STRING, answers=answers), rows
    )
    found = load_source(args, ALL, task="qa").splits["validation"][3]
    assert found["id"] == "q3" and found["answers"] == [{"text": "은", "answer_start": 2}]


def test_a_hub_dataset_without_the_columns_is_refused_with_the_options(tmp_path):
    args = hub(tmp_path, Features(text=STRING, tags=STRING), [{"text": "가", "tags": "나"}])
    with pytest.raises(InputError, match="no column 'entities'.*--entities_column_name"):
        load_source(args, ALL, task="ner")
