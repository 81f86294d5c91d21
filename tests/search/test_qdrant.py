"""A Qdrant collection, in the client's local mode, against the index in a folder."""

import json

import pytest
from test_index import FakeEncoder

from nlpbook_data.errors import InputError
from nlpbook_data.search.index import SearchIndex
from nlpbook_data.search.qdrant import QdrantIndex

pytest.importorskip("qdrant_client")

TEXTS = ["한강은 서울을 지난다", "낙동강은 부산을 지난다", "서울 시장과 시민", "한라산", "강과 산"]
ROWS = [{"text": text, "쪽": number} for number, text in enumerate(TEXTS)]


@pytest.mark.parametrize("encoder", [FakeEncoder(), None])
def test_a_collection_answers_as_a_folder_does(tmp_path, encoder):
    place = {"path": tmp_path / "qdrant", "collection": "글"}
    QdrantIndex.build(tmp_path / "to", ROWS, encoder, **place)
    index = QdrantIndex.load(tmp_path / "to", encoder)
    expected = SearchIndex.build(tmp_path / "index", ROWS, encoder, hybrid=True)
    assert len(index) == 5 and index.search([]) == []
    if encoder is None:  # and no word of the query is in any text
        assert index.search(["비행기"]) == [[]]
    for hybrid in (False, True):
        found, others = (
            one.search(["서울의 강", "한라산"], 4, hybrid=hybrid) for one in (index, expected)
        )
        for hits, same in zip(found, others, strict=True):
            assert [hit.row for hit in hits] == [hit.row for hit in same]
            assert [h.score for h in hits] == pytest.approx([h.score for h in same], abs=1e-4)


def test_a_collection_that_is_there_and_a_server_that_is_not_are_one_message(tmp_path):
    QdrantIndex.build(tmp_path / "one", ROWS, path=tmp_path / "qdrant", collection="글")
    with pytest.raises(InputError, match="there is a collection 글 already"):
        QdrantIndex.build(tmp_path / "two", ROWS, path=tmp_path / "qdrant", collection="글")
    with pytest.raises(InputError, match="Qdrant at http://127.0.0.1:1"):
        QdrantIndex.build(tmp_path / "two", ROWS, url="http://127.0.0.1:1", collection="글")
    assert not (tmp_path / "two").exists()


class Failing(FakeEncoder):
    def encode_document(self, texts):
        if len(texts) > 1:
            raise KeyboardInterrupt
        return super().encode_document(texts)


def test_an_interrupted_build_leaves_no_collection(tmp_path):
    place = {"path": tmp_path / "qdrant", "collection": "글"}
    with pytest.raises(KeyboardInterrupt):
        QdrantIndex.build(tmp_path / "to", ROWS, Failing(), **place)
    assert not (tmp_path / "to").exists()
    assert len(QdrantIndex.build(tmp_path / "to", ROWS, FakeEncoder(), **place)) == 5


def test_no_key_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "geheim")
    QdrantIndex.build(tmp_path / "to", ROWS, path=tmp_path / "qdrant", collection="글")
    settings = json.loads((tmp_path / "to" / "qdrant.json").read_text())
    assert settings["place"]["path"] and "geheim" not in json.dumps(settings)
