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


def korpora(name: str, root: Path = FIXTURES, **options):
    """Return the `train` that Korpora's own class reads below `root`."""
    from Korpora.loader import KORPUS

    return KORPUS[name](root_dir=str(find_corpus(name).folder(root)), **options).train


def write(root: Path, name: str, file: str, *documents: dict) -> None:
    """Write a file of `documents` below `root`."""
    folder = find_corpus(name).folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps({"id": "X", "document": documents}), encoding="utf-8")


def tag_of(name: str, label: int) -> str:
    module = importlib.import_module(f"nlpbook_data.corpora.{name}")
    return {number: tag for tag, number in module.LABELS.items()}[label]


# --- rows are Korpora's ---------------------------------------------------------------------


def test_named_entities_are_those_that_korpora_reads():
    rows = parse("modu_ne", "train")
    assert [
        (
            row["id"],
            row["text"],
            [tag_of("modu_ne", entity["label"]) for entity in row["entities"]],
            [(entity["start"], entity["end"]) for entity in row["entities"]],
        )
        for row in rows
    ] == [(x.sentence_id, x.sentence, x.tags, x.positions) for x in korpora("modu_ne")]
    assert len(rows) == 7


def test_morphemes_are_those_that_korpora_reads():
    parsed = parse("modu_mp", "train")
    # Korpora drops sentences that were not analysed
    assert [row["text"] for row in parsed if not row["morphemes"]] == ["분석하지 않은 문장", ""]
    rows = [row for row in parsed if row["morphemes"]]
    assert [
        (
            row["id"],
            row["text"],
            tuple(m["form"] for m in row["morphemes"]),
            tuple(tag_of("modu_mp", m["tag"]) for m in row["morphemes"]),
            tuple(m["word"] for m in row["morphemes"]),
        )
        for row in rows
    ] == [
        (x.sentence_id, x.sentence, x.morphemes, x.tags, x.eojeol_ids) for x in korpora("modu_mp")
    ]
    assert len(rows) == 4


def test_articles_are_those_that_korpora_reads():
    rows = parse("modu_news", "train")
    assert [
        [row[key] for key in ("id", "title", "author", "publisher", "date")]
        + [row["topic"], row["original_topic"], row["text"].split("\n")]
        for row in rows
    ] == [list(vars(news).values()) for news in korpora("modu_news", load_light=False)]
    assert len(rows) == 4


@pytest.mark.parametrize(("name", "count"), [("modu_web", 3), ("modu_written", 6)])
def test_texts_are_those_that_korpora_reads(name, count):
    texts = [row["text"] for row in parse(name, "train")]
    assert texts == korpora(name).texts
    assert len(texts) == count


def test_turns_are_those_that_korpora_reads():
    rows = parse("modu_spoken", "train")
    assert [row["text"] for row in rows] == korpora("modu_spoken").texts
    assert [row["speaker"] for row in rows] == [
        *("P1", "P2", "P1"),
        *("P1", "P2"),
        *("SD2000001", "SD2000002"),
    ]


def test_conversations_are_those_that_korpora_reads():
    rows = parse("modu_messenger", "train")
    keys = ("form", "original_form", "speaker", "time")
    assert [
        (row["id"], *(tuple(said[key] for said in row["utterances"]) for key in keys))
        for row in rows
    ] == [
        (x.document_id, x.form, x.original_form, x.speaker_id, x.time)
        for x in korpora("modu_messenger")
    ]
    assert [len(row["utterances"]) for row in rows] == [4, 2]


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


# --- what a row holds -----------------------------------------------------------------------


def test_the_tags_are_those_of_korporas_tagmaps():
    assert (
        modu_ne.NAMES.keys() == type_of("modu_ne")(root_dir=str(FIXTURES / "NIKL_NE")).tagmap.keys()
    )
    assert (
        modu_mp.NAMES.keys() == type_of("modu_mp")(root_dir=str(FIXTURES / "NIKL_MP")).tagmap.keys()
    )


# --- odd documents ---------------------------------------------------------------------


@pytest.mark.parametrize("utterances", [[], None])
@pytest.mark.parametrize(
    ("name", "file"),
    [("modu_spoken", "SARW1900000001.json"), ("modu_messenger", "MDRW1900000001.json")],
)
def test_a_document_without_utterances_is_no_row(name, file, utterances, tmp_path):
    document = {"id": "X.1", "metadata": {"title": "", "topic": ""}, "utterance": utterances}
    write(tmp_path, name, file, document)
    assert parse(name, "train", tmp_path) == []


def test_a_turn_ends_with_its_document(tmp_path):
    said = {"speaker_id": "P1", "original_form": "네."}
    metadata = {"title": "", "topic": ""}
    documents = [{"id": f"X.{n}", "metadata": metadata, "utterance": [said]} for n in range(2)]
    write(tmp_path, "modu_spoken", "SARW1900000001.json", *documents)
    assert [row["text"] for row in parse("modu_spoken", "train", tmp_path)] == ["네.", "네."]


def test_speakers_may_be_numbers(tmp_path):
    said = [{"speaker_id": n, "original_form": str(n)} for n in (-1, 1)]
    document = {"id": "X.1", "metadata": {"title": None}, "utterance": said}
    write(tmp_path, "modu_spoken", "SARW1900000001.json", document)
    rows = parse("modu_spoken", "train", tmp_path)
    assert [(row["speaker"], row["text"]) for row in rows] == [("-1", "-1"), ("1", "1")]
    assert [(row["title"], row["topic"]) for row in rows] == [("", ""), ("", "")]


# --- damage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_where_to_apply_and_what_to_put_where_is_said(name):
    corpus = find_corpus(name)
    assert corpus.homepage in corpus.by_hand and corpus.folder_name in corpus.by_hand
    assert not corpus.commercial and not corpus.redistributable
