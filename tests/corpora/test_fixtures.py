"""Every corpus has a fixture in its official layout, and loads from it as from a user's disk.

What the rows of a fixture are, in the words of their labels, stands in `expected`, a line a row:
look at both, side by side, when either changes (quotes, blanks at the edge, decomposed letters).
"""

import importlib
import json
from pathlib import Path

import pytest
from fixture_rows import FIXTURES, in_words

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
    module = importlib.import_module(f"nlpbook_data.corpora.{name.replace('-', '_')}")
    rows = 0
    for split in loaded:
        assert loaded[split].features == corpus.features
        if not corpus.splits[split].carved_from:
            parsed = module.parse(corpus.splits[split].paths(corpus.folder(FIXTURES)))
            rows += sum(part.num_rows if hasattr(part, "num_rows") else 1 for part in parsed)
    assert sum(len(split) for split in loaded.values()) == rows
    assert rows


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.stem)
def test_the_rows_of_a_fixture_are_those_that_were_written_down(path):
    corpus = find_corpus(path.stem)
    module = importlib.import_module(f"nlpbook_data.corpora.{path.stem.replace('-', '_')}")
    expected = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = []
    for split, declared in corpus.splits.items():
        there = [file for file in declared.paths(corpus.folder(FIXTURES)) if file.is_file()]
        parsed = [] if declared.carved_from else module.parse(there)
        for part in parsed:
            found = part.to_pylist() if hasattr(part, "to_pylist") else [part]
            rows += [{"split": split, **in_words(row, corpus.features)} for row in found]
    assert rows == expected


def test_kornlis_official_rows_are_those_of_its_paper():
    rows = {"train": 392_702 + 550_152, "validation": 2_490, "test": 5_010}
    assert find_corpus("kornli").rows == rows
