"""KorQuAD 1.0 and 2.1: rows against expectations by hand, the real file read a second time."""

import json
import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CORPORA

from nlpbook_data.corpora import korquad_v1, korquad_v2
from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.errors import InputError
from nlpbook_data.fetch.corpus_files import fetch_corpus

FIXTURES = Path(__file__).parent / "fixtures"
V1 = FIXTURES / "korquad-v1"
V2 = FIXTURES / "korquad-v2"
NFD = unicodedata.normalize("NFD", "둘레길") + '은 모두 열두 곳이며 😀 가장 긴 길은 "솔숲길"이다'
PAGE = (
    "<!DOCTYPE html>\n<html>\n<head>\n<title>나루마을</title>\n</head>\n<body><h1>나루마을</h1>"
    "<table><tr><th>등대</th><td>1931년 😀</td></tr></table>"
    "<p>첫 줄 &amp; 둘째 줄</p></body></html>"
)


@pytest.fixture
def broken(tmp_path: Path) -> Callable[..., str]:
    """Parse a fixture in which `old` is `new`, and return the error's message."""

    def parse(module: Any, fixture: Path, old: str, new: str) -> str:
        text = fixture.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
        path = tmp_path / fixture.name
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError) as error:
            list(module.parse([path]))
        assert str(error.value).startswith(str(path))
        return str(error.value)

    return parse


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder as KorQuAD 2.1 makes it: 39 files of train and 5 of dev, three pages of each."""
    folder = tmp_path / "korquad-v2"
    folder.mkdir()
    for number, name in enumerate((*korquad_v2.TRAIN, *korquad_v2.DEV)):
        data = [
            {
                "title": f"문서 {number}-{n}",
                "url": "https://ko.wikipedia.org/",
                "context": f"<p>문서 {number}-{n}</p>",
                "raw_html": "",
                "qas": [
                    {"id": q, "question": "몇?", "answer": {"text": "문서", "answer_start": 3}}
                    for q in range(2)
                ],
            }
            for n in range(3)
        ]
        (folder / name).write_text(json.dumps({"version": "2.1", "data": data}), encoding="utf-8")
    return folder


def test_v1_rows_are_questions_with_their_passage():
    rows = list(korquad_v1.parse([V1 / korquad_v1.TRAIN]))
    assert rows[:2] == [
        {
            "id": "100-0-0",
            "title": "둘레길",
            "context": NFD,
            "question": "길은 몇 곳인가?",
            "answers": [{"text": "열두 곳", "answer_start": 13}],
        },
        {
            "id": "100-0-1",
            "title": "둘레길",
            "context": NFD,
            "question": "가장 긴 길의 이름은?",
            "answers": [{"text": "솔숲길", "answer_start": 31}],
        },
    ]
    assert [(row["id"], row["title"], row["answers"][0]["text"]) for row in rows[2:]] == [
        ("100-1-0", "둘레길", "안개"),
        ("101-0-0", "나루마을_등대", "바다"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (
            '"answer_start": 31',
            '"answer_start": 30',
            "paragraph 1, question 2 (100-0-1): found",
        ),
        ('"answer_start": 31', '"answer_start": "31"', "question 2 (100-0-1), answer_start: found"),
        ('"answer_start": 31', '"answer_start": true', "(100-0-1), answer_start: found"),
        ('"answer_start": 31', '"answer_start": 9000', "(100-0-1): found '9000'"),
        ('"text": "바다"', '"text": ""', "article 2, paragraph 1, question 1 (101-0-0): found"),
        ('"question": "글의', '"frage": "글의', "(101-0-0): there is no 'question'"),
        ('"title": "나루마을_등대"', '"title": ["나루"]', "article 2, paragraph 1, title: found"),
        ('[{"text": "바다", "answer_start": 65}]', "[]", "(101-0-0), answers: found '[]'"),
        ('"title": "나루마을_등대"}', '"title": "나루마을_등대"', "line 1, column"),
    ],
)
def test_v1_a_malformed_question_is_named(broken, old, new, named):
    assert named in broken(korquad_v1, V1 / korquad_v1.TRAIN, old, new)


def test_v1_validation_shares_no_passage_with_train(tmp_path):
    folder = tmp_path / "korquad-v1"
    shutil.copytree(V1, folder)
    paragraphs = [
        {
            "context": f"글 {n}",
            "qas": [
                {
                    "id": f"{n}-{q}",
                    "question": "무엇?",
                    "answers": [{"text": "글", "answer_start": 0}],
                }
                for q in range(3)
            ],
        }
        for n in range(40)
    ]
    made = {"version": "made up", "data": [{"title": "글", "paragraphs": paragraphs}]}
    (folder / korquad_v1.TRAIN).write_text(json.dumps(made), encoding="utf-8")
    loaded = load_corpus("korquad-v1", tmp_path, cache_dir=tmp_path, accept_files=True)
    assert {split: len(rows) for split, rows in loaded.items()} == {
        "train": 114,
        "validation": 6,
        "test": 1,
    }
    assert not set(loaded["train"]["context"]) & set(loaded["validation"]["context"])


def test_v2_rows_are_questions_with_the_page_and_ids_are_text():
    common = {"title": "나루마을", "url": "https://ko.wikipedia.org/wiki/나루마을", "context": PAGE}
    rows = list(korquad_v2.parse([V2 / korquad_v2.TRAIN[0]]))
    assert rows[:2] == [
        {
            "id": "11",
            **common,
            "question": "등대는 언제 불을 켰나?",
            "answers": [{"text": "1931년", "answer_start": 103}],
        },
        {
            "id": "12",
            **common,
            "question": "표에는 무엇이 있나?",
            "answers": [
                {"text": "<tr><th>등대</th><td>1931년 😀</td></tr>", "answer_start": 84},
            ],
        },
    ]
    assert [(row["id"], row["title"]) for row in rows[2:]] == [("13", "솔숲길")]


def test_v2_an_answer_that_stands_elsewhere_is_kept_and_counted(tmp_path, caplog):
    text = (V2 / korquad_v2.DEV[0]).read_text(encoding="utf-8")
    path = tmp_path / "moved.json"
    path.write_text(text.replace('"answer_start": 102', '"answer_start": 101'), encoding="utf-8")
    (row,) = korquad_v2.parse([path])
    assert row["answers"] == [{"text": "바다", "answer_start": 101}]
    assert f"{path}: 1 answers do not stand at their position" in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"answer_start": 102', '"answer_start": -1', "article 1, question 1 (21): found '-1'"),
        ('"answer_start": 102', '"answer_start": 5000000000', "(21): found '5000000000'"),
        ('"answer": {', '"answers": {', "(21): there is no 'answer'"),
        ('"id": "21"', '"id": null', "question 1, id: found"),
        ('"context": "', '"context": 0, "c": "', "article 1, context: found '0'"),
        ('"url"', "url", "not JSON"),
    ],
)
def test_v2_a_malformed_page_is_named(broken, old, new, named):
    assert named in broken(korquad_v2, V2 / korquad_v2.DEV[0], old, new)


def test_v2_the_files_are_those_of_15_zips():
    urls = korquad_v2.CORPUS.urls()
    site = "https://github.com/korquad/korquad.github.io/raw/master/dataset/KorQuAD_2.1"
    assert len(urls) == 15
    assert urls["KorQuAD_2.1_train_12.zip"] == f"{site}/train/KorQuAD_2.1_train_12.zip"
    assert urls["KorQuAD_2.1_dev_01.zip"] == f"{site}/dev/KorQuAD_2.1_dev_01.zip"
    members = {archive.files[0]: archive.members for archive in korquad_v2.CORPUS.archives}
    assert members["KorQuAD_2.1_train_12.zip"] == tuple(
        f"korquad2.1_train_{n}.json" for n in (36, 37, 38)
    )
    unpacked = [member for held in members.values() for member in held]
    assert sorted(unpacked) == sorted(korquad_v2.CORPUS.file_names)


def test_v2_zips_that_lie_there_are_unpacked_without_the_network(pages, tmp_path):
    wanted = {path.name: path.read_bytes() for path in pages.iterdir()}
    for archive in korquad_v2.CORPUS.archives:
        with zipfile.ZipFile(pages / archive.files[0], "w") as zipped:
            for member in archive.members:
                zipped.write(pages / member, member)
                (pages / member).unlink()
    fetch_corpus(korquad_v2.CORPUS, pages, korquad_v2.CORPUS.file_names)
    assert {name: (pages / name).read_bytes() for name in wanted} == wanted


def test_v2_streamed_rows_are_those_of_the_arrow_files_and_pages_stay_on_one_side(pages, tmp_path):
    loaded = load_corpus("korquad-v2", tmp_path, cache_dir=tmp_path)
    streamed = load_corpus("korquad-v2", tmp_path, cache_dir=tmp_path, streaming=True)
    for split in ("train", "validation", "test"):
        assert list(streamed[split]) == loaded[split].to_list()
    assert len(loaded["train"]) + len(loaded["validation"]) == 39 * 3 * 2
    assert 0 < len(loaded["validation"]) < 39
    assert len(loaded["test"]) == 5 * 3 * 2
    assert not set(loaded["train"]["context"]) & set(loaded["validation"]["context"])


@pytest.mark.corpora
@pytest.mark.parametrize(("file", "count"), [(korquad_v1.TRAIN, 3827), (korquad_v1.DEV, 1085)])
def test_v1_every_real_row_is_that_of_a_second_reading(file, count):
    path = CORPORA / "korquad-v1" / file
    official = json.loads(path.read_text(encoding="utf-8"))
    second = [
        {
            "id": question["id"],
            "title": article["title"],
            "context": paragraph["context"],
            "question": question["question"],
            "answers": question["answers"],
        }
        for article in official["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    assert list(korquad_v1.parse([path])) == second
    assert len(second) == count
