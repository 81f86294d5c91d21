"""모두의 말뭉치: what Korpora reads of the same files, and where it is not to be followed."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
from fixture_rows import FIXTURES, parse

from nlpbook_data.corpora import modu_mp, modu_ne
from nlpbook_data.data.corpus import find_corpus

NAMES = [f"modu_{kind}" for kind in ("ne", "mp", "news", "web", "written", "spoken", "messenger")]


def write(root: Path, name: str, file: str, *documents: dict) -> None:
    """Write a file of `documents` below `root`."""
    folder = find_corpus(name).folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps({"id": "X", "document": documents}), encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_files_are_taken_by_the_names_that_korpora_takes(name, tmp_path):
    folder = find_corpus(name).folder(tmp_path)
    shutil.copytree(find_corpus(name).folder(FIXTURES), folder)
    module = importlib.import_module(type_of(name).__module__)
    stems = [f"{a}{b}{c}" for a in "NSEWM" for b in "WLPIZXBSRACDEM" for c in ("RW", "NE", "MP")]
    for stem in stems:
        (folder / f"{stem}9900000001.json").touch()
    taken = {path.name for path in find_corpus(name).splits["train"].paths(folder)}
    assert taken == {Path(path).name for path in module.find_corpus_paths(str(folder))}


def type_of(name: str) -> type:
    from Korpora.loader import KORPUS

    return KORPUS[name]


def test_the_tags_are_those_of_korporas_tagmaps():
    for name, module in (("modu_ne", modu_ne), ("modu_mp", modu_mp)):
        korpus = type_of(name)(root_dir=str(find_corpus(name).folder(FIXTURES)))
        assert module.NAMES.keys() == korpus.tagmap.keys()


def spoken(root: Path, *said: list[tuple[object, str]] | None, **metadata: str | None) -> list:
    """Return the rows of documents in which speakers have `said` something."""
    documents = [
        {
            "id": f"X.{number}",
            "metadata": metadata,
            "utterance": one and [{"speaker_id": who, "original_form": what} for who, what in one],
        }
        for number, one in enumerate(said)
    ]
    write(root, "modu_spoken", "SARW1900000001.json", *documents)
    rows = parse("modu_spoken", "train", root)
    return [(row["speaker"], row["text"], row["title"], row["topic"]) for row in rows]


def test_a_turn_ends_with_its_document_and_one_without_utterances_is_no_row(tmp_path):
    said = [("P1", "네.")]
    assert spoken(tmp_path, said, said, [], None) == [("P1", "네.", "", "")] * 2
    document = {"id": "X.1", "metadata": {"title": "", "topic": ""}, "utterance": None}
    write(tmp_path, "modu_messenger", "MDRW1900000001.json", document)
    assert parse("modu_messenger", "train", tmp_path) == []


def test_speakers_may_be_numbers(tmp_path):
    found = spoken(tmp_path, [(-1, "-1"), (1, "1")], title=None)
    assert found == [("-1", "-1", "", ""), ("1", "1", "", "")]


@pytest.mark.parametrize("name", NAMES)
def test_where_to_apply_and_what_to_put_where_is_said(name):
    corpus = find_corpus(name)
    assert corpus.homepage in corpus.by_hand and corpus.folder_name in corpus.by_hand
    assert not corpus.commercial and not corpus.redistributable
