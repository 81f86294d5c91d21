"""Hybrid rankings against the definition, and the choice of their weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data.search.fusion import WEIGHTS, choose_weight, fuse


def test_fusion_worked_by_hand():
    model = {7: 0.9, 3: 0.7, 1: 0.5}  # 1, 0.5 and 0
    words = {3: 8.0, 5: 2.0}  # 1 and 0.25
    assert fuse(model, words, 0.4) == pytest.approx({3: 0.8, 7: 0.4, 5: 0.15, 1: 0.0})
    assert list(fuse(model, words, 0.4)) == [3, 7, 5, 1]
    assert list(fuse(model, words, 0.0)) == [3, 5, 7, 1]  # BM25, then what only the model has
    assert list(fuse(model, words, 1.0)) == [7, 3, 5, 1]
    assert fuse(model, {}, 0.5) == pytest.approx({7: 0.5, 3: 0.25, 1: 0.0})
    assert fuse({}, {}, 0.5) == {}
    assert fuse({4: 2.0}, {}, 1.0) == {4: 1.0}  # one alone is the best


RANKING = st.dictionaries(st.integers(0, 9), st.integers(1, 5), max_size=6).map(
    lambda scores: dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))
)
QUERY = st.tuples(RANKING, RANKING, st.sets(st.integers(0, 9), max_size=2))


def reciprocal_rank(ranking, true):
    return next((1 / rank for rank, i in enumerate(ranking[:10], 1) if i in true), 0.0)


@given(st.lists(QUERY, max_size=4))
def test_neither_half_alone_is_better_than_the_chosen_weight(queries):
    model, words, true = ([query[n] for query in queries] for n in range(3))

    def mrr(weight: float) -> float:
        columns = zip(model, words, true, strict=True)
        return sum(reciprocal_rank(list(fuse(m, w, weight)), t) for m, w, t in columns)

    alone = sum(reciprocal_rank(list(ids), t) for ids, t in zip(words, true, strict=True))
    chosen = choose_weight(model, words, true)
    assert chosen in WEIGHTS.round(3)
    assert mrr(chosen) >= max(alone, mrr(0.0), mrr(1.0)) - 1e-9


@pytest.mark.parametrize("better, is_fused", [(1, False), (20, True)])
def test_a_fusion_that_few_queries_ask_for_is_not_chosen(better, is_fused):
    words = [{1: 1.0, 0: 0.9} if n < better else {0: 1.0, 1: 0.9} for n in range(40)]
    model = [{0: 1.0, 2: 0.5} if n < better else {2: 1.0, 0: 0.5} for n in range(40)]
    chosen = choose_weight(model, words, [{0}] * 40)
    assert (0 < chosen < 1) == is_fused, chosen


def test_where_words_find_all_and_vectors_nothing_words_have_the_say():
    rng = np.random.default_rng(3)
    scores = sorted(rng.random(50), reverse=True)
    noise = [dict(zip(rng.permutation(50).tolist(), scores, strict=True)) for _ in range(40)]
    right = [{n: 9.0} for n in range(40)]
    assert choose_weight(noise, right, [{n} for n in range(40)]) < 0.5
    assert choose_weight(right, noise, [{n} for n in range(40)]) > 0.5
