"""Every corpus on this disk loads by name with the rows that its manifest counts."""

import json
from collections import defaultdict

import pytest
from conftest import CORPORA

from nlpbook_data import list_corpora, load_corpus
from nlpbook_data.data.corpus import find_corpus

FOLDERS = sorted(path.name for path in CORPORA.iterdir()) if CORPORA.is_dir() else []
NAMES = {find_corpus(name).folder_name or name: name for name in list_corpora()}


@pytest.mark.corpora
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_loads_by_name_with_the_rows_of_its_manifest(folder, tmp_path):
    assert folder in NAMES, f"no corpus reads {folder}"
    corpus = find_corpus(NAMES[folder])
    manifest = json.loads((CORPORA / folder / "manifest.json").read_text(encoding="utf-8"))
    rows = {file: entry["rows"] for file, entry in manifest["files"].items()}
    loaded = load_corpus(corpus.name, CORPORA, cache_dir=tmp_path)
    counts = defaultdict(int)  # a carved split counts where it was carved from
    for split, dataset in loaded.items():
        counts[corpus.splits[split].carved_from or split] += len(dataset)
        assert dataset.features == corpus.features
    unread = set(rows)
    for split, count in counts.items():
        declared = corpus.splits[split]
        assert count == sum(rows[file] for file in declared.files), split
        assert all(rows[file] == count for file in declared.aligned), split
        unread -= {*declared.files, *declared.aligned}
    assert not unread, "files that no split reads"


@pytest.mark.corpora
def test_there_are_corpora_to_load():
    assert FOLDERS
