"""The search engine: exact against brute force, and what its folder survives."""

import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from filelock import FileLock
from saved import save_run
from writing import written

from nlpbook_data.data.cache import file_sha256
from nlpbook_data.errors import InputError
from nlpbook_data.search import index as search_index
from nlpbook_data.search.bm25 import extract_morphemes, index_morphemes, rank_passages
from nlpbook_data.search.fusion import fuse
from nlpbook_data.search.index import SearchIndex, model_sha256, search_exact

DIMENSION = 16


class FakeEncoder:
    """A vector a text, drawn from its hash; another for a query."""

    def __init__(self, dimension: int = DIMENSION, fail_at: str | None = None) -> None:
        self.dimension, self.fail_at = dimension, fail_at

    def encode_document(self, texts: list[str]) -> np.ndarray:
        if self.fail_at in texts:
            raise KeyboardInterrupt
        seeds = [zlib.crc32(text.encode()) for text in texts]
        draws = [np.random.default_rng(seed).standard_normal(self.dimension) for seed in seeds]
        return np.array(draws, dtype=np.float32)

    def encode_query(self, texts: list[str]) -> np.ndarray:
        return self.encode_document([f"query: {text}" for text in texts])


class GivenVectors:
    """Vectors in the order in which they are asked for."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors, self.given = vectors, 0

    def encode_document(self, texts: list[str]) -> np.ndarray:
        self.given += len(texts)
        return self.vectors[self.given - len(texts) : self.given]


TEXTS = [f"{number}번째 글" for number in range(50)]
QUERIES = ["가", "나", "다라"]


def normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def brute_force(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Every product in double precision, sorted by score and then by id."""
    scores = (queries.astype(float) @ vectors.astype(float).T).astype(np.float32)
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(scores, ids, axis=1)


def state(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# Exact search


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("k", [1, 100])
def test_exact_search_is_brute_force_over_blocks_and_parts(monkeypatch, dtype, k):
    monkeypatch.setattr(search_index, "ROWS", 128)
    random = np.random.default_rng(1)
    vectors = random.standard_normal((1500, 24)).astype(dtype)
    queries = random.standard_normal((117, 24), dtype=np.float32)
    found = search_exact(queries, np.split(vectors, [1, 700, 700, 1000]), k)
    _, expected = brute_force(queries, vectors, k)
    products = queries.astype(float) @ vectors.astype(float).T
    for row, best, all_scores in zip(found, expected, products, strict=True):
        ids, scores = list(row), list(row.values())
        assert len(ids) == k and list(scores) == pytest.approx(best, rel=1e-5)
        assert all_scores[ids] == pytest.approx(scores, rel=1e-5)


def test_equal_scores_are_in_the_order_of_their_ids():
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    parts = [vectors, vectors[:0], vectors]
    (found,) = search_exact(np.array([[1, 0]]), parts, 8)
    assert list(found) == [0, 2, 3, 4, 6, 7, 1, 5]
    assert search_exact(vectors[:0], parts, 8) == []


# The index


def test_what_several_added_in_parts_is_found_as_brute_force_does(tmp_path, monkeypatch):
    monkeypatch.setattr(search_index, "TEXTS", 7)
    encoder = FakeEncoder()
    index = SearchIndex.build(tmp_path / "index", iter(TEXTS[:20]), encoder)
    SearchIndex.load(tmp_path / "index", encoder).add(TEXTS[20:21])
    assert len(index.search(["가"], 60)[0]) == 20  # opened before
    index.add(TEXTS[21:])
    vectors = normalized(encoder.encode_document(TEXTS))
    ids, scores = brute_force(normalized(encoder.encode_query(QUERIES)), vectors, 5)
    for opened in (index, SearchIndex.load(tmp_path / "index", encoder)):
        hits = opened.search(QUERIES, k=5)
        assert [[(hit.id, hit.text) for hit in row] for row in hits] == [
            [(i, TEXTS[i]) for i in row] for row in ids.tolist()
        ]
        found = np.array([[hit.score for hit in row] for row in hits])
        assert found == pytest.approx(scores, abs=1e-6)
        assert len(opened) == 50


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_scores_are_cosines_or_inner_products_as_the_model_was_trained(tmp_path, similarity):
    vectors = np.array([[3.0, 4.0], [1.0, 0.0]], dtype=np.float32)
    encoder = GivenVectors(vectors)
    encoder.encode_query = lambda texts: vectors[:1]
    encoder.similarity_fn_name = similarity
    index = SearchIndex.build(tmp_path / "index", ["가", "나"], encoder)
    scores = [hit.score for hit in index.search(["?"])[0]]
    assert scores == pytest.approx([1, 0.6] if similarity == "cosine" else [25, 3])


def test_float16_takes_half_and_keeps_the_texts(tmp_path):
    texts = [" 앞뒤 ", "두\n줄", "😀\t漢", *TEXTS]
    SearchIndex.build(tmp_path / "index", texts, FakeEncoder(), dtype="float16")
    index = SearchIndex.load(tmp_path / "index", FakeEncoder())
    assert list(index.texts()) == texts
    vectors = np.load(tmp_path / "index" / "part-00000" / "vectors.npy", allow_pickle=False)
    exact = normalized(FakeEncoder().encode_document(texts))
    assert vectors.nbytes == exact.nbytes / 2 and vectors == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("kind", [list, Dataset.from_list])
def test_all_columns_of_a_row_come_back(tmp_path, kind):
    rows = [{"text": text, "title": f"제목 {n}", "page": n} for n, text in enumerate(TEXTS)]
    index = SearchIndex.build(tmp_path / "index", kind(rows[:30]), FakeEncoder())
    index.add(kind(rows[30:]))
    for hits in SearchIndex.load(tmp_path / "index", FakeEncoder()).search(QUERIES, 50):
        assert [hit.row for hit in hits] == [rows[hit.id] for hit in hits]
    before = state(tmp_path / "index")
    for pages, message in [(["하나"], "other columns"), ([1, "하나"], "not all of one type")]:
        with pytest.raises(InputError, match=message):
            index.add([{"text": "가", "page": page} for page in pages])
    assert state(tmp_path / "index") == before
    index.add([{"text": "가", "page": 50}, {"text": "나", "page": 51, "title": "제목"}])
    assert [index.rows[n]["title"] for n in (50, 51)] == [None, "제목"]


def test_hybrid_hits_are_both_rankings_fused(tmp_path):
    texts = [
        "한강은 서울을 지난다",
        "낙동강은 부산을 지난다",
        "제주에는 한라산이 있다",
        "서울 시장",
    ]
    encoder = FakeEncoder()
    opened = SearchIndex.build(tmp_path / "index", texts[:2], encoder, hybrid=True)
    SearchIndex.load(tmp_path / "index", encoder).add(texts[2:])
    assert len(opened.search(["서울의 강"], 3, hybrid=True)[0]) == 2
    index = SearchIndex.load(tmp_path / "index", encoder)
    vectors = normalized(encoder.encode_document(texts))
    ids, scores = brute_force(normalized(encoder.encode_query(["서울의 강"])), vectors, 4)
    dense = dict(zip(ids[0].tolist(), scores[0].tolist(), strict=True))
    index_of_words = index_morphemes(extract_morphemes(texts))
    (words,) = rank_passages(index_of_words, extract_morphemes(["서울의 강"]))
    for weight in (None, 0.2):
        hits = index.search(["서울의 강"], 3, hybrid=True, weight=weight)[0]
        expected = list(fuse(dense, words, weight or 0.5).items())[:3]
        assert [hit.id for hit in hits] == [i for i, _ in expected]
        assert [hit.score for hit in hits] == pytest.approx([s for _, s in expected], abs=1e-5)


def test_words_alone_are_searched_without_a_model(tmp_path):
    rows = [
        {"번호": 7, "text": "배송은 얼마나 걸리나요?", "답변": "사흘입니다."},
        {"번호": 8, "text": "환불은 어떻게 하나요?", "답변": "고객 센터에 알립니다."},
        {"번호": 9, "text": "회원 탈퇴", "답변": "설정에 있습니다."},
    ]
    SearchIndex.build(tmp_path / "index", rows, k1=1.2, b=0.5)
    index = SearchIndex.load(tmp_path / "index")
    (hits,) = index.search(["환불 받고 싶어요"])
    assert [hit.row for hit in hits] == [rows[1]]
    passages = extract_morphemes([row["text"] for row in rows])
    expected = rank_passages(index_morphemes(passages, 1.2, 0.5), extract_morphemes(["환불"]))
    assert [(h.id, h.score) for h in index.search(["환불"])[0]] == [(1, expected[0][1])]
    assert index.search(["한강"]) == [[]]
    with pytest.raises(InputError, match="there are no vectors"):
        index.add_faiss()
    with pytest.raises(InputError, match="has no vectors, BM25 alone. Leave --model out"):
        SearchIndex.load(tmp_path / "index", "a/model")


@pytest.mark.parametrize("encoder", [FakeEncoder(), None])
def test_what_is_deleted_or_replaced_is_as_if_it_had_never_been(tmp_path, encoder):
    def rows(*ids: int, word: str = "글") -> list[dict]:
        return [{"번호": str(i), "text": f"{i}번째 {word}", "쪽": i} for i in ids]

    index = SearchIndex.build(
        tmp_path / "index", rows(*range(12)), encoder, hybrid=True, id_column="번호"
    )
    index.delete(["3", "11"])
    assert index.add(rows(0, 4, 12) + rows(5, word="그림")) == (1, 1)  # 0 and 4 are there as is
    index = SearchIndex.load(tmp_path / "index", encoder)
    left = [*rows(0, 1, 2, 4, 6, 7, 8, 9, 10, 12), *rows(5, word="그림")]
    fresh = SearchIndex.build(tmp_path / "fresh", left, encoder, hybrid=True)
    queries = ["글", "그림", "5번째", "11번째 글"]
    assert len(index) == 11 and set(index.texts()) == {row["text"] for row in left}
    found, expected = (one.search(queries, 20, hybrid=True) for one in (index, fresh))
    for hits, others in zip(found, expected, strict=True):
        scores = {hit.text: hit.score for hit in others}
        assert {hit.text: hit.score for hit in hits} == pytest.approx(scores, abs=1e-5)
    before = state(tmp_path / "index")
    for ids, message in [
        (["3"], "no row has the id '3'"),
        (map(str, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12]), "no row would be left"),
    ]:
        with pytest.raises(InputError, match=message):
            index.delete(ids)
    with pytest.raises(InputError, match="stands in two rows"):
        index.add(rows(20, 20))
    assert state(tmp_path / "index") == before


def test_the_index_keeps_its_dictionary(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_text("한강다리밟기\tNNP\n", encoding="utf-8")
    SearchIndex.build(tmp_path / "index", ["한강다리밟기", "한강 다리"], dictionary=path)
    path.unlink()
    index = SearchIndex.load(tmp_path / "index")
    assert [hit.id for hit in index.search(["한강다리밟기"])[0]] == [0]
    with pytest.raises(InputError, match="none.tsv: No such file"):
        SearchIndex.build(tmp_path / "other", ["글"], dictionary=tmp_path / "none.tsv")
    assert not (tmp_path / "other").exists()


# What goes wrong


def test_an_interrupted_build_leaves_nothing_and_an_add_what_was(tmp_path, monkeypatch):
    monkeypatch.setattr(search_index, "TEXTS", 10)
    failing = FakeEncoder(fail_at=TEXTS[45])
    with pytest.raises(KeyboardInterrupt):
        SearchIndex.build(tmp_path / "index", TEXTS, failing)
    assert not list(tmp_path.iterdir())
    SearchIndex.build(tmp_path / "index", TEXTS[:5], FakeEncoder())
    before = state(tmp_path / "index")
    index = SearchIndex.load(tmp_path / "index", failing)
    with pytest.raises(KeyboardInterrupt):
        index.add(TEXTS[5:])
    assert state(tmp_path / "index") == before
    assert len(index.search(["가"])[0]) == 5


def test_an_interrupt_right_after_the_manifest_was_written_keeps_the_rows(tmp_path, monkeypatch):
    index = SearchIndex.build(tmp_path / "index", TEXTS[:5], FakeEncoder())
    write_text = search_index.write_text

    def write_and_interrupt(path: Path, text: str) -> None:
        write_text(path, text)
        raise KeyboardInterrupt

    monkeypatch.setattr(search_index, "write_text", write_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        index.add(TEXTS[5:])
    for opened in (index, SearchIndex.load(tmp_path / "index", FakeEncoder())):
        assert len(opened) == len(opened.search(["가"], 60)[0]) == 50


KILLED = """
import os, sys, numpy as np
from nlpbook_data.search import index as search_index
from nlpbook_data.search.index import SearchIndex
class Encoder:
    def encode_document(self, texts):
        if "죽음" in texts:
            os.kill(os.getpid(), 9)
        return np.ones((len(texts), 16))
search_index.TEXTS = 2
if sys.argv[2] == "build":
    SearchIndex.build(sys.argv[1], ["가", "나", "다", "죽음"], Encoder())
if sys.argv[2] == "add":
    SearchIndex.load(sys.argv[1], Encoder()).add(["가", "나", "다", "죽음"])
search_index.write_text = lambda *arguments: os.kill(os.getpid(), 9)  # all but the manifest
SearchIndex.load(sys.argv[1], Encoder()).add(["가", "나", "다"])
"""


def kill(folder: Path, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), when], timeout=60)
    assert done.returncode == -9


@pytest.mark.parametrize("when", ["add", "manifest"])
def test_a_killed_add_loses_nothing_and_the_next_one_works(tmp_path, when):
    index = SearchIndex.build(tmp_path / "index", TEXTS, FakeEncoder())
    hits = index.search(QUERIES)
    kill(tmp_path / "index", when)
    index = SearchIndex.load(tmp_path / "index", FakeEncoder())
    assert index.search(QUERIES) == hits
    index.add(["더"])
    assert SearchIndex.load(tmp_path / "index", FakeEncoder()).search(["가"], 60)
    assert len(index) == 51


def test_a_killed_build_is_no_index_and_can_be_built_again(tmp_path):
    kill(tmp_path / "index", "build")
    with pytest.raises(InputError, match="there is no index"):
        SearchIndex.load(tmp_path / "index")
    assert len(SearchIndex.build(tmp_path / "index", TEXTS, FakeEncoder())) == 50


def test_only_one_process_adds_at_a_time(tmp_path):
    index = SearchIndex.build(tmp_path / "index", TEXTS, FakeEncoder())
    with FileLock(tmp_path / "index" / ".lock"):
        with pytest.raises(InputError, match="another process is changing it"):
            index.add(["더"])
    index.add(["더"])


def test_a_folder_with_anything_in_it_is_not_built_into_and_an_empty_one_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        SearchIndex.build(tmp_path, TEXTS, FakeEncoder())
    assert state(tmp_path) == {"notes.txt": b"mine"}
    (tmp_path / "notes.txt").unlink()
    assert len(SearchIndex.build(tmp_path, TEXTS, FakeEncoder())) == 50


@pytest.mark.parametrize(
    "texts, message",
    [
        (["가", " \n"], "Text 2: the text is empty"),
        (["가", None], "Text 2, text: found 'None'"),
        (["가", "\ud83d"], "half of a character"),
        ([], "no text to index"),
    ],
)
def test_texts_that_are_none_are_refused_before_any_is_encoded(tmp_path, texts, message):
    encoder = FakeEncoder(fail_at="가")
    with pytest.raises(InputError, match=message):
        SearchIndex.build(tmp_path / "index", texts, encoder)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value, dtype", [(np.nan, "float32"), (np.inf, "float32"), (0, "float32"), (1e5, "float16")]
)
def test_vectors_that_are_none_are_refused(tmp_path, value, dtype):
    vectors = np.ones((2, 4), dtype=np.float32)
    vectors[1] = value
    encoder = GivenVectors(vectors)
    encoder.similarity_fn_name = "cosine" if value == 0 else "dot"
    with pytest.raises(InputError, match=f"The vector of the text '나' is .* in {dtype}"):
        SearchIndex.build(tmp_path / "index", ["가", "나"], encoder, dtype=dtype)


def test_questions_that_cannot_be_answered_and_other_dimensions_are_refused(tmp_path):
    index = SearchIndex.build(tmp_path / "index", TEXTS, FakeEncoder())
    before = state(tmp_path / "index")
    other = SearchIndex.load(tmp_path / "index", FakeEncoder(8))
    for ask, message in (
        (lambda: index.search([" "]), "Query 1: the query"),
        (lambda: index.search(["가"], 0), "k is 0"),
        (lambda: index.search(["가"], hybrid=True), "without morphemes"),
        (lambda: other.search(["가"]), "have 8 dimensions, those of the index 16"),
        (lambda: other.add(["가"]), "have 8 dimensions, those of the index 16"),
    ):
        with pytest.raises(InputError, match=message):
            ask()
    assert state(tmp_path / "index") == before


def test_damaged_files_are_refused(tmp_path):
    """Every damage of every file: attacks.index."""
    SearchIndex.build(tmp_path / "index", TEXTS, FakeEncoder(), hybrid=True)
    for file in ("part-00000/vectors.npy", "part-00000/rows/data-00000-of-00001.arrow"):
        path = tmp_path / "index" / file
        content = path.read_bytes()
        flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        for damage in (flipped, content[:-10], None):
            path.unlink()
            if damage is not None:
                path.write_bytes(damage)
            with pytest.raises(InputError, match=f"{file}: missing, truncated or changed"):
                SearchIndex.load(tmp_path / "index")
            path.write_bytes(content)
    assert SearchIndex.load(tmp_path / "index", FakeEncoder()).search(["가"], hybrid=True)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"version": 3}', "damaged"),
        ('{"model": null, "model_sha256": null, "normalized": true, "version": 1}', "version 1"),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=message):
        SearchIndex.load(tmp_path)


class Malicious:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    """Even where the manifest of a stranger's index names the file's hash."""
    monkeypatch.chdir(tmp_path)
    SearchIndex.build(tmp_path / "index", ["가"], FakeEncoder())
    path = tmp_path / "index" / "part-00000" / "vectors.npy"
    np.save(path, np.array([Malicious()], dtype=object), allow_pickle=True)
    manifest = json.loads((tmp_path / "index" / "manifest.json").read_text())
    manifest["files"]["part-00000/vectors.npy"] = file_sha256(path)
    (tmp_path / "index" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="damaged"):
        SearchIndex.load(tmp_path / "index")
    assert not (tmp_path / "executed").exists()


# Models


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A SentenceTransformer of the shipped encoder's shape, with random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    folder = tmp_path_factory.mktemp("model")
    shipped = Path(search_index.__file__).parents[1] / "models" / "tiny_encoder"
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(
        shipped, hidden_size=32, num_hidden_layers=1, intermediate_size=64
    )
    AutoModel.from_config(config).save_pretrained(folder / "encoder")
    AutoTokenizer.from_pretrained(shipped).save_pretrained(folder / "encoder")
    transformer = Transformer(str(folder / "encoder"))
    SentenceTransformer(modules=[transformer, Pooling(32)]).save(str(folder / "model"))
    return folder / "model"


def test_the_model_is_loaded_from_anywhere_and_found_where_it_was_moved(
    tmp_path, monkeypatch, model
):
    from sentence_transformers import SentenceTransformer

    shutil.copytree(model, tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    SearchIndex.build(tmp_path / "index", TEXTS, "here")
    monkeypatch.chdir(tmp_path.parent)
    hits = SearchIndex.load(tmp_path / "index").search(QUERIES, 50)
    loaded = SentenceTransformer(str(model))
    expected = loaded.similarity(loaded.encode_query(QUERIES), loaded.encode_document(TEXTS))
    for row, ranking in zip(expected.numpy(), hits, strict=True):
        assert [hit.score for hit in ranking] == pytest.approx(
            row[[h.id for h in ranking]], abs=1e-5
        )
    shutil.move(tmp_path / "here", tmp_path / "there")
    with pytest.raises(InputError, match="its model is no longer at .*here"):
        SearchIndex.load(tmp_path / "index").search(QUERIES)
    assert SearchIndex.load(tmp_path / "index", tmp_path / "there").search(QUERIES, 50) == hits


def test_other_weights_under_the_same_name_are_refused_and_another_card_is_not(tmp_path, model):
    from safetensors.numpy import load_file, save_file

    shutil.copytree(model, tmp_path / "model")
    SearchIndex.build(tmp_path / "index", TEXTS, tmp_path / "model")
    for file in ("README.md", "checkpoint-5/model.safetensors"):
        (tmp_path / "model" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / file).write_text("another")
    assert SearchIndex.load(tmp_path / "index").search(["가"])
    weights = tmp_path / "model" / "model.safetensors"
    changed = {name: array + 1 for name, array in load_file(weights).items()}
    save_file(changed, weights, metadata={"format": "pt"})
    with pytest.raises(InputError, match="built with another model"):
        SearchIndex.load(tmp_path / "index").search(["가"])
    with pytest.raises(InputError, match="built with another model"):
        SearchIndex.load(tmp_path / "index", tmp_path / "model")


def test_no_model_is_an_error(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="no model could be loaded"):
        SearchIndex.build(tmp_path / "index", TEXTS, tmp_path / "model")
    run = save_run(tmp_path / "run", "doccls")
    with pytest.raises(InputError, match="run: a model with Bert.*which has no vectors of texts"):
        SearchIndex.build(tmp_path / "index", TEXTS, run)
    assert not (tmp_path / "index").exists()
    SearchIndex.build(tmp_path / "index", TEXTS, FakeEncoder())
    with pytest.raises(InputError, match="names no model"):
        SearchIndex.load(tmp_path / "index").search(["가"])


# FAISS


def clustered(count: int, dimension: int = 32) -> np.ndarray:
    random = np.random.default_rng(4)
    centres = random.standard_normal((count // 50, dimension))
    noise = random.standard_normal((count, dimension))
    vectors = centres[random.integers(0, len(centres), count)] + 0.5 * noise
    return vectors.astype(np.float32)


def test_faiss_finds_nearly_what_exact_search_finds(tmp_path):
    """Among 4,000 vectors in clusters, and 200 that were added after the FAISS index."""
    pytest.importorskip("faiss")
    folder, vectors = tmp_path / "index", clustered(4200)
    index = SearchIndex.build(folder, map(str, range(4000)), GivenVectors(vectors))
    index.add_faiss(probes=2)
    index.add(map(str, range(200)))
    index = SearchIndex.load(folder)
    queries = normalized(vectors[::20] + 0.1).astype(np.float32)
    exact = index.search_vectors(queries, 10, exact=True)
    found = index.search_vectors(queries, 10)
    shared = [row.keys() & other.keys() for row, other in zip(exact, found, strict=True)]
    assert 0.9 < np.mean([len(ids) for ids in shared]) / 10 < 1  # of 1 it is not FAISS that answers
    for row, other, ids in zip(exact, found, shared, strict=True):
        assert [row[i] for i in ids] == pytest.approx([other[i] for i in ids], abs=1e-6)
        assert {i for i in row if i >= 4000} <= other.keys()  # what was added later
    assert any(i >= 4000 for row in exact for i in row)
    (before,) = folder.glob("*faiss*")
    index.add_faiss()
    (after,) = folder.glob("*faiss*")  # takes the place of the old one
    assert before != after and SearchIndex.load(folder).manifest.faiss.parts == 2


def test_without_faiss_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    index = SearchIndex.build(tmp_path / "index", TEXTS, FakeEncoder())
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"pip install 'nlpbook-recipes\[faiss\]'"):
        index.add_faiss()


def test_a_new_version_of_datasets_makes_no_other_model(tmp_path, monkeypatch):
    written(tmp_path / "model.safetensors", "weights")
    before = model_sha256(str(tmp_path))
    monkeypatch.setattr("datasets.__version__", "99.0")
    assert model_sha256(str(tmp_path)) == before


def test_a_model_of_the_package_is_known_by_its_files():
    assert model_sha256("package:models/tiny_encoder") != model_sha256("package:models/encoder")
    assert model_sha256("package:models/encoder") is not None
