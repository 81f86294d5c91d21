"""Every corpus has a fixture in its official layout, and loads from it as from a user's disk.

What the rows of a fixture are, in the words of their labels, stands in `expected`, a line a row:
look at both, side by side, when either changes (quotes, blanks at the edge, decomposed letters).
"""

import json
from pathlib import Path

import pytest
from fixture_rows import FIXTURES, in_words, parse

from nlpbook_data import list_corpora, load_corpus
from nlpbook_data.data.corpus import find_corpus

NAMES = [name for name in list_corpora() if not find_corpus(name).packaged]
EXPECTED = sorted((Path(__file__).parent / "expected").glob("*.jsonl"))
WHOLE = [name for name in NAMES if find_corpus(name).presence(FIXTURES) == "yes"]


@pytest.mark.parametrize("name", NAMES)
def test_every_split_that_has_files_has_a_fixture(name):
    corpus = find_corpus(name)
    for split, declared in corpus.splits.items():
        paths = declared.paths(corpus.folder(FIXTURES))
        assert declared.carved_from or any(path.is_file() for path in paths), split


def test_few_fixtures_lack_some_of_many_files_alike():
    assert set(NAMES) - set(WHOLE) <= {"korquad-v2"}


@pytest.mark.parametrize("name", WHOLE)
def test_a_corpus_loads_from_its_fixture(name, tmp_path):
    corpus = find_corpus(name)
    loaded = load_corpus(name, FIXTURES, cache_dir=tmp_path, accept_files=True)
    assert all(split.features == corpus.features for split in loaded.values())
    whole = [split for split in loaded if not corpus.splits[split].carved_from]
    rows = sum(len(parse(name, split)) for split in whole)
    assert sum(len(split) for split in loaded.values()) == rows > 0


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.stem)
def test_the_rows_of_a_fixture_are_those_that_were_written_down(path):
    corpus = find_corpus(path.stem)
    expected = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert expected == [
        {"split": split, **in_words(row, corpus.features)}
        for split, declared in corpus.splits.items()
        if not declared.carved_from
        for row in parse(corpus.name, split)
    ]


def test_kornlis_official_rows_are_those_of_its_paper():
    rows = {"train": 392_702 + 550_152, "validation": 2_490, "test": 5_010}
    assert find_corpus("kornli").rows == rows
