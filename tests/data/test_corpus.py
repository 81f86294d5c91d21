"""Corpora by name: the samples' own promises, NSMC's format, manifests, carved splits."""

import dataclasses
import hashlib
import json
import re
import socket
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import CORPORA
from datasets import Dataset, DatasetDict

import nlpbook_data.corpora
from nlpbook_data import InputError, list_corpora, load_corpus
from nlpbook_data.corpora import nsmc
from nlpbook_data.corpora.declaration import RawFile
from nlpbook_data.data.corpus import find_corpus
from nlpbook_data.data.publish import TASK_CATEGORIES

HEADER = "id\tdocument\tlabel"
ROWS = [
    ("아 더빙.. 진짜 짜증나네요", 0),
    ('"재밌다" 라고 하길래 봤는데 "글쎄', 0),  # quotes, one of them not closed
    ("", 1),
    ("  앞뒤 빈칸도 글자다 ", 1),
    ("줄 구분 문자\u2028와 \x0b, \x1c 그리고 \x85", 0),  # str.splitlines would cut here
    ("'", 1),
    ("최고👍", 1),
]


def write_nsmc(root: Path, train: bytes | None = None, manifest: bool = True) -> Path:
    """Write both files in the official format, the train file as given; return their folder."""
    folder = root / "nsmc"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEADER, *(f"{number}\t{text}\t{label}" for number, (text, label) in enumerate(ROWS))]
    plain = "".join(f"{line}\n" for line in lines).encode()
    contents = {"ratings_train.txt": plain if train is None else train, "ratings_test.txt": plain}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    if manifest:
        files = {name: {"sha256": hashlib.sha256(c).hexdigest()} for name, c in contents.items()}
        (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


def pairs(dataset: Dataset) -> list[tuple[str, int]]:
    return list(zip(dataset["text"][:], dataset["label"][:], strict=True))


@pytest.fixture
def load(tmp_path: Path):
    """Load NSMC from `tmp_path`, with a cache of this test."""

    def load(**options: object) -> DatasetDict:
        return load_corpus("nsmc", tmp_path, cache_dir=tmp_path / "cache", **options)

    return load


# The registry


def test_import_does_not_import_torch():
    code = "import sys, nlpbook_data; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "near"),
    [("", ""), ("../nsmc", ""), ("__init__", ""), ("nsmc.py", ""), ("nscm", "Did you mean nsmc")],
)
def test_a_name_that_is_not_a_corpus_is_refused_with_the_nearest_one(name, near):
    with pytest.raises(InputError, match=f"There is no corpus '{name}'.*{near}"):
        load_corpus(name)


@pytest.mark.parametrize("name", list_corpora())
def test_a_declaration_is_complete(name):
    corpus = find_corpus(name)
    assert corpus.name == name and corpus.task in TASK_CATEGORIES
    assert re.search("[가-힣]", corpus.title) and corpus.license and corpus.homepage
    assert set(corpus.texts) | set(corpus.groups) <= set(corpus.features)
    assert not [split for split in corpus.splits.values() if not split.source]
    for split in corpus.splits.values():
        assert bool(split.files) != bool(split.carved_from)
        assert split.carved_from is None or corpus.splits[split.carved_from].files
        assert 0 < split.share < 1 if split.carved_from else split.share == 0
    urls = corpus.urls() if corpus.urls else {}
    unpacked = {member for archive in corpus.archives for member in archive.members}
    assert set(corpus.files) <= {*corpus.file_names, *urls}
    if not corpus.packaged and not corpus.by_hand:
        assert set(corpus.file_names) <= {*urls, *unpacked}
    assert {file for archive in corpus.archives for file in archive.files} <= set(urls)
    assert all(url.startswith("https://") for url in urls.values()), urls


# A corpus that ships with the package


def test_a_sample_needs_neither_corpus_dir_nor_network(tmp_path, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", None)
    loaded = load_corpus("sample_reviews", tmp_path / "nowhere", tmp_path / "cache")
    assert {split: len(rows) for split, rows in loaded.items()} == {
        "train": 1380,
        "validation": 200,
        "test": 400,
    }
    assert not (tmp_path / "nowhere").exists()


# NSMC


def test_nsmc_rows_are_the_cells_of_the_lines_quotes_and_empty_documents_included(tmp_path, load):
    write_nsmc(tmp_path)
    assert pairs(load()["test"]) == ROWS


@pytest.mark.parametrize("line", ["2\t두 칸", "2\t네\t칸\t1", "2\t낱말\t긍정", "2\t빈\t", ""])
def test_a_malformed_line_is_named_with_what_was_found_and_nothing_is_cached(tmp_path, load, line):
    lines = [HEADER, "0\t좋다\t1", "1\t나쁘다\t0", line, "3\t좋다\t1"]
    folder = write_nsmc(tmp_path, "\n".join(lines).encode())
    with pytest.raises(InputError) as raised:
        load()
    assert f"{folder / 'ratings_train.txt'}, line 4: " in str(raised.value)
    cells = line.split("\t")
    assert repr(cells[2] if len(cells) == 3 else "⇥".join(cells)) in str(raised.value)
    assert not list((tmp_path / "cache").rglob("*.arrow"))


GOOD = f"{HEADER}\n" + "".join(f"{n}\t좋다\t1\n" for n in range(5000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *(
            (f"{header}\n0\t좋다\t1\n".encode(), "line 1: .*id⇥document⇥label")
            for header in ("id\tdocument", "id\ttext\tlabel", "0\t좋다\t1")
        ),
        (GOOD.encode() + "5000\t나쁘다\t0\n".encode("cp949"), "line 5002: not UTF-8"),
    ],
)
def test_another_header_or_encoding_is_refused(tmp_path, load, content, message):
    write_nsmc(tmp_path, content)
    with pytest.raises(InputError, match=f"ratings_train.txt, {message}"):
        load()


# Checks of the files


def test_a_file_other_than_its_manifest_says_is_refused_with_both_sums(tmp_path, load):
    folder = write_nsmc(tmp_path)
    vouched = json.loads((folder / "manifest.json").read_text())["files"]["ratings_test.txt"]
    path = folder / "ratings_test.txt"
    path.write_bytes(path.read_bytes() + "9\t덧붙인 줄\t1\n".encode())
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(InputError) as raised:
        load()
    for part in (str(path), found, vouched["sha256"], "manifest", "--accept_files"):
        assert part in str(raised.value)
    assert pairs(load(accept_files=True)["test"]) == [*ROWS, ("덧붙인 줄", 1)]


def test_without_a_manifest_the_official_sum_decides(tmp_path, load):
    write_nsmc(tmp_path, manifest=False)
    with pytest.raises(InputError) as raised:
        load()
    assert nsmc.CORPUS.files["ratings_train.txt"].sha256 in str(raised.value)
    assert "official" in str(raised.value)
    assert pairs(load(accept_files=True)["test"]) == ROWS


def test_a_manifest_that_is_broken_is_named(tmp_path, load):
    folder = write_nsmc(tmp_path)
    (folder / "manifest.json").write_text('{"files": ')
    with pytest.raises(InputError, match="manifest.json: not a manifest"):
        load()


def test_fewer_rows_than_the_manifest_counts_are_refused(tmp_path, load):
    folder = write_nsmc(tmp_path)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["ratings_test.txt"]["rows"] = len(ROWS) + 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=rf"ratings_test.txt: {len(ROWS)} rows .* {len(ROWS) + 1}"):
        load()
    assert len(load(accept_files=True)["test"]) == len(ROWS)


def test_the_official_file_must_have_the_official_rows(tmp_path, load, monkeypatch):
    """Where the checksum is the official one, the official count outdoes the manifest's."""
    folder = write_nsmc(tmp_path)
    content = (folder / "ratings_test.txt").read_bytes()
    raw = RawFile(len(content), hashlib.sha256(content).hexdigest(), rows=50_000)
    known = {**nsmc.CORPUS.files, "ratings_test.txt": raw}
    monkeypatch.setattr(nsmc, "CORPUS", dataclasses.replace(nsmc.CORPUS, files=known))
    with pytest.raises(InputError, match=f"{len(ROWS)} rows .* 50,000"):
        load()


# The cache of corpora


def test_rows_come_from_the_cache_until_a_file_changes(tmp_path, load, monkeypatch):
    folder = write_nsmc(tmp_path)
    first = pairs(load()["test"])
    with monkeypatch.context() as patch:
        patch.setattr(nsmc, "parse", lambda files: pytest.fail("parsed again"))
        assert pairs(load()["test"]) == first
        folder.rename(tmp_path / "elsewhere")  # the key holds no path
        (tmp_path / "moved").mkdir()
        (tmp_path / "elsewhere").rename(tmp_path / "moved" / "nsmc")
        moved = load_corpus("nsmc", tmp_path / "moved", tmp_path / "cache")
        assert pairs(moved["test"]) == first
    write_nsmc(tmp_path, manifest=False)
    parsed, parse = [], nsmc.parse
    monkeypatch.setattr(nsmc, "parse", lambda files: parsed.append(files) or parse(files))
    load(accept_files=True)
    load(accept_files=True, rebuild=True)
    assert len(parsed) == 2
    path = tmp_path / "nsmc" / "ratings_test.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("최고", "최악"), encoding="utf-8")
    assert pairs(load(accept_files=True)["test"])[-1] == ("최악👍", 1)


# The real NSMC


def independent_split(path: Path) -> list[tuple[str, int]]:
    lines = path.read_bytes().decode("utf-8").split("\n")
    cells = [line.split("\t") for line in lines[1:] if line]
    return [(document, int(label)) for _, document, label in cells]


@pytest.mark.corpora
def test_every_row_of_nsmc_is_read_and_validation_is_apart_and_balanced(tmp_path):
    found = load_corpus("nsmc", CORPORA, tmp_path)
    expected = independent_split(CORPORA / "nsmc" / "ratings_test.txt")
    assert pairs(found["test"]) == expected
    assert len(expected) == 50_000
    expected = independent_split(CORPORA / "nsmc" / "ratings_train.txt")
    assert len(expected) == 150_000 and sum('"' in text for text, _ in expected) > 500
    assert Counter(pairs(found["train"]) + pairs(found["validation"])) == Counter(expected)
    train, validation = ({t.strip() for t in found[s]["text"]} for s in ("train", "validation"))
    assert not train & validation
    assert len(found["validation"]) == pytest.approx(7500, abs=50)
    assert np.mean(found["validation"]["label"][:]) == pytest.approx(0.5, abs=0.01)


# Splits that are absent, optional, patterns or streamed

MODULE = """
from datasets import ClassLabel, Features, Value
from nlpbook_data.corpora.declaration import Corpus, Split
from nlpbook_data.reading.text import read_lines, tables_of_lines

CORPUS = Corpus(
    name="made-up", task="pretrain", title="", license="", homepage="",
    features=Features(text=Value("string")),
    splits={
        "train": Split("parts", files=("part*.txt",)),
        "validation": Split("a fifth", carved_from="train", share=0.2),
        "test": Split("test", files=("test.txt",)),
        "extra": Split("extra", files=("extra.txt",), optional=True),
    },
    by_hand="Ask the institute.", folder_name="MADE", large=LARGE,
)

def parse(files):
    for path in files:
        if LARGE:
            yield from tables_of_lines(path)
        else:
            yield from ({"text": text} for _, text in read_lines(path))
"""
TEXTS = [f"{number}번째 줄" for number in range(500)]


@pytest.fixture(params=[False, True], ids=["small", "large"])
def made_up(request, tmp_path: Path, monkeypatch):
    """Load a made-up corpus of three files, the train texts in two of them."""
    (tmp_path / "package").mkdir()
    code = MODULE.replace("LARGE", str(request.param))
    (tmp_path / "package" / "made_up.py").write_text(code)
    paths = [*nlpbook_data.corpora.__path__, str(tmp_path / "package")]
    monkeypatch.setattr(nlpbook_data.corpora, "__path__", paths)
    monkeypatch.delitem(sys.modules, "nlpbook_data.corpora.made_up", raising=False)
    monkeypatch.setattr("nlpbook_data.data.cache.TABLE_ROWS", 50)  # several tables
    monkeypatch.setattr("nlpbook_data.data.corpus.CARVE_ROWS", 50)
    monkeypatch.setattr("nlpbook_data.reading.text.BLOCK_BYTES", 1000)
    folder = tmp_path / "corpora" / "MADE"
    folder.mkdir(parents=True)
    for name, texts in {"part1": TEXTS[:300], "part2": TEXTS[300:], "test": TEXTS[:2]}.items():
        (folder / f"{name}.txt").write_text("".join(f"{t}\n" for t in texts), encoding="utf-8")

    def load(**options: object) -> DatasetDict:
        return load_corpus("made-up", tmp_path / "corpora", tmp_path / "cache", **options)

    load.folder = folder
    yield load
    sys.modules.pop("nlpbook_data.corpora.made_up", None)


def test_a_pattern_takes_all_files_that_match_and_carving_loses_nothing(made_up):
    splits = made_up()
    assert {"made-up", "nsmc", "sample_reviews"} <= set(list_corpora())
    assert list(splits) == ["train", "validation", "test"]
    both = splits["train"]["text"][:] + splits["validation"]["text"][:]
    assert sorted(both) == sorted(TEXTS)
    assert 60 < len(splits["validation"]) < 140


def test_a_decomposed_file_name_matches_its_pattern(made_up):
    name = unicodedata.normalize("NFD", "part한글.txt")
    (made_up.folder / name).write_text("더\n", encoding="utf-8")
    splits = made_up()
    assert len(splits["train"]) + len(splits["validation"]) == 501


def test_a_corpus_by_hand_that_is_not_there_says_what_to_do(made_up):
    for path in made_up.folder.glob("part*"):
        path.unlink()
    with pytest.raises(InputError, match="Ask the institute") as raised:
        made_up()
    assert str(made_up.folder) in str(raised.value)


def test_an_optional_split_is_loaded_where_it_is_there_or_asked_for(made_up):
    with pytest.raises(InputError, match="extra.txt"):
        made_up(splits=["extra"])
    (made_up.folder / "extra.txt").write_text("덤\n", encoding="utf-8")
    assert made_up(splits=["extra"])["extra"]["text"][:] == ["덤"]
    assert len(made_up()["extra"]) == 1


def test_a_split_can_be_loaded_alone_and_is_the_same(made_up):
    alone, all_of_them = made_up(splits=["validation"]), made_up()
    assert list(alone) == ["validation"]
    assert alone["validation"]["text"][:] == all_of_them["validation"]["text"][:]


def test_splits_that_a_manifest_by_hand_leaves_out_are_absent_with_a_warning(made_up, caplog):
    for path in made_up.folder.glob("part*"):
        path.unlink()
    (made_up.folder / "manifest.json").write_text(json.dumps({"files": {"test.txt": {"rows": 2}}}))
    splits = made_up()
    assert list(splits) == ["test"]
    assert "made-up: no train split: part*.txt is not there" in caplog.text
    with pytest.raises(InputError, match="Ask the institute"):
        made_up(splits=["train"])


def test_streamed_rows_are_those_of_the_arrow_files(made_up, tmp_path):
    streams = made_up(streaming=True)
    loaded = made_up()
    assert list(streams) == list(loaded)
    for split, stream in streams.items():
        assert [row["text"] for row in stream] == loaded[split]["text"][:]


def test_deduplicate_drops_the_rows_of_train_that_are_held_out(made_up, caplog):
    caplog.set_level("INFO")
    clean, loaded = made_up(deduplicate=True), made_up()
    dropped = 0
    for split in ("train", "validation"):
        kept = [text for text in loaded[split]["text"] if text not in TEXTS[:2]]
        assert clean[split]["text"][:] == kept
        gone = len(loaded[split]) - len(kept)
        assert f"made-up: {gone} of {len(loaded[split])} rows of {split} dropped" in caplog.text
        dropped += gone
    assert dropped == 2 and clean["test"]["text"][:] == TEXTS[:2]


def test_a_split_loaded_alone_is_deduplicated_against_the_others(made_up):
    alone = made_up(splits=["train"], deduplicate=True)
    assert list(alone) == ["train"]
    assert alone["train"]["text"][:] == made_up(deduplicate=True)["train"]["text"][:]
