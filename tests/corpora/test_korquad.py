"""KorQuAD 1.0 and 2.1: no passage on two sides, zips unpacked, misplaced answers kept."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from nlpbook_data.corpora import korquad_v1, korquad_v2
from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.fetch.corpus_files import fetch_corpus

FIXTURES = Path(__file__).parent / "fixtures"
V1 = FIXTURES / "korquad-v1"
V2 = FIXTURES / "korquad-v2"


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


def test_v2_an_answer_that_stands_elsewhere_is_kept_and_counted(tmp_path, caplog):
    text = (V2 / korquad_v2.DEV[0]).read_text(encoding="utf-8")
    path = tmp_path / "moved.json"
    path.write_text(text.replace('"answer_start": 102', '"answer_start": 101'), encoding="utf-8")
    (row,) = korquad_v2.parse([path])
    assert row["answers"] == [{"text": "바다", "answer_start": 101}]
    assert f"{path}: 1 answers do not stand at their position" in caplog.text


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
