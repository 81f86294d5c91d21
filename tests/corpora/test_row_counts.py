"""Every corpus on this disk loads by name with the rows that its manifest counts."""

import json

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
    # which refuses other numbers of rows than the manifest's
    loaded = load_corpus(corpus.name, CORPORA, cache_dir=tmp_path)
    splits = [corpus.splits[split] for split in loaded]
    read = {file for split in splits for file in (*split.files, *split.aligned)}
    assert read == manifest["files"].keys(), "files that no split reads"
    assert all(dataset.features == corpus.features and dataset for dataset in loaded.values())


@pytest.mark.corpora
def test_there_are_corpora_to_load():
    assert FOLDERS
