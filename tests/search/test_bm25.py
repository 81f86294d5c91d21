"""BM25 over morphemes against its formula in plain Python."""

import math
import unicodedata
from collections import Counter

import pytest
from conftest import CORPORA
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data import load_corpus
from nlpbook_data.errors import InputError
from nlpbook_data.metrics.search import DocumentSearch
from nlpbook_data.search.bm25 import (
    K1,
    B,
    cached_morphemes,
    extract_morphemes,
    index_morphemes,
    rank_passages,
)
from nlpbook_data.search.collections import collect, to_queries


@pytest.mark.parametrize(
    "text, expected",
    [
        ("서울에서는 아름다운 한강이 흐릅니다.", ["서울", "아름답", "한강", "흐르"]),
        ("2018년 iPhone을 샀다!", ["2018", "년", "iphone", "사"]),
        ("漢字", ["漢字"]),
        ("에서는 ...", []),
        ("", []),
    ],
)
def test_what_says_something_counts(text, expected):
    morphemes = extract_morphemes([text])[0]
    assert [word for word in expected if word not in morphemes] == []
    assert not {"에서", "는", "은", "이", "을", "ㅂ니다", "었", "다", ".", "!"} & set(morphemes)
    assert bool(morphemes) == bool(expected)


def test_letters_apart_are_read_as_whole_ones():
    text = "한국은 아름답다"
    apart = unicodedata.normalize("NFD", text)
    assert extract_morphemes([apart]) == extract_morphemes([text]) == [["한국", "아름답"]]


def test_a_text_has_the_same_morphemes_alone_and_among_others():
    texts = [f"{name}은 {place}에서 태어났다." for name in "갑을병정" for place in ("서울", "부산")]
    assert extract_morphemes(texts) == [extract_morphemes([text])[0] for text in texts]


def bm25(query: list[str], passages: list[list[str]], k1: float = K1, b: float = B):
    """The formula of index_morphemes' docstring, a passage and a word at a time."""
    counts = [Counter(passage) for passage in passages]
    mean_length = sum(map(len, passages)) / len(passages)
    scores = []
    for passage, count in zip(passages, counts, strict=True):
        score = 0.0
        for word in query:
            df = sum(word in other for other in counts)
            idf = math.log(1 + (len(passages) - df + 0.5) / (df + 0.5))
            norm = k1 * (1 - b + b * len(passage) / mean_length)
            score += idf * count[word] / (count[word] + norm)
        scores.append(score)
    return scores


WORDS = st.lists(st.sampled_from("가나다라마바사"), max_size=8)


CONSTANTS = st.sampled_from([(K1, B), (1.5, 0.75), (0.9, 0.0)])


@given(st.lists(WORDS, min_size=1, max_size=8).filter(any), WORDS, st.integers(1, 10), CONSTANTS)
def test_scores_are_the_formulas(passages, query, k, constants):
    (found,) = rank_passages(index_morphemes(passages, *constants), [query], k)
    ids, scores = list(found), list(found.values())
    expected = bm25(query, passages, *constants)
    assert scores == pytest.approx([expected[passage] for passage in ids], rel=1e-5)
    assert scores == pytest.approx(sorted(expected, reverse=True)[: len(ids)], rel=1e-5)
    assert len(ids) == min(k, sum(score > 0 for score in expected))


def test_equal_scores_are_in_the_order_of_their_ids():
    passages = [["나"], ["가"], ["가"], ["가", "가"], ["가"], ["다"]]
    index = index_morphemes(passages)
    for k in (1, 2, 3, 9):
        assert list(rank_passages(index, [["가"]], k)[0]) == [3, 1, 2, 4][:k]


def test_a_query_without_a_known_word_finds_nothing_and_passages_without_one_are_an_error():
    assert rank_passages(index_morphemes([["가"], []]), [["나"], []]) == [{}, {}]
    with pytest.raises(InputError, match="no word in any passage"):
        index_morphemes([[], []])


def test_morphemes_are_analysed_once_and_again_for_other_texts(tmp_path, monkeypatch):
    texts, analysed = ["배송이 늦었어요", "", "환불은 어디서 하나요"], []
    found = cached_morphemes(texts, tmp_path)
    assert found == extract_morphemes(texts)

    def analyse(texts):
        analysed.extend(texts)
        return extract_morphemes(texts)

    monkeypatch.setattr("nlpbook_data.search.bm25.extract_morphemes", analyse)
    assert cached_morphemes(texts, tmp_path) == found and not analysed
    assert cached_morphemes(texts[::-1], tmp_path) == found[::-1]
    assert analysed == texts[::-1]


def test_a_users_dictionary_gives_words_that_kiwi_would_take_apart(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_text("한강다리밟기\tNNP\n", encoding="utf-8")
    assert extract_morphemes(["한강다리밟기"]) != [["한강다리밟기"]]
    assert extract_morphemes(["한강다리밟기"], dictionary=path) == [["한강다리밟기"]]
    path = tmp_path / "bad.tsv"
    path.write_text("한강다리밟기\t없음\n", encoding="utf-8")
    with pytest.raises(InputError, match="bad.tsv: no dictionary of Kiwi"):
        extract_morphemes(["한강"], dictionary=path)


@pytest.mark.corpora
def test_bm25_finds_most_contexts_of_korquad(record_property):
    test = collect(to_queries(load_corpus("korquad-v1", CORPORA)["test"][:], []))
    index = index_morphemes(extract_morphemes(test.passages))
    ids = [list(found) for found in rank_passages(index, extract_morphemes(test.queries))]
    metric = DocumentSearch(keep_in_memory=True)
    found = metric.compute(predictions=ids, references=test.relevant)
    record_property("summary", f"BM25 on KorQuAD's test split alone: {found}")
    assert found["mrr_at_10"] > 0.9
