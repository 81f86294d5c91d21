"""N-grams of characters against the formula written out with dictionaries."""

import math
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nlpbook_data.baselines.generation import (
    OUTCOMES,
    ngram_bits_per_character,
    ngram_probabilities,
    score_ngrams,
)

TEXTS = st.lists(st.text("가나다😀", max_size=7), min_size=1, max_size=6)


class BruteForce:
    """Interpolated Kneser-Ney as kenlm and Chen & Goodman count it, one n-gram at a time."""

    def __init__(self, texts: list[str], order: int):
        raw = Counter()
        for text in texts:
            symbols = ("start", *text, "end")
            for end in range(1, len(symbols)):
                for begin in range(end + 1):
                    raw[symbols[begin : end + 1]] += 1
        self.counts = []
        for n in range(1, order + 1):
            grams = [gram for gram in raw if len(gram) == n]
            if n == order:
                self.counts.append({gram: raw[gram] for gram in grams})
                continue
            before = Counter(gram[1:] for gram in raw if len(gram) == n + 1)
            self.counts.append(
                {gram: raw[gram] if gram[0] == "start" else before[gram] for gram in grams}
            )

    def probability(self, history: tuple[str, ...], symbol: str, n: int) -> float:
        if n == 0:
            return 1 / 1_112_065
        lower = self.probability(history, symbol, n - 1)
        if len(history) < n - 1:
            return lower
        history = history[len(history) - n + 1 :]
        counts = self.counts[n - 1]
        followers = {g[-1]: count for g, count in counts.items() if g[:-1] == history}
        if not followers:
            return lower
        once, twice = (list(counts.values()).count(number) for number in (1, 2))
        discount = once / (once + 2 * twice) if once else 0.5
        kept = max(followers.get(symbol, 0) - discount, 0)
        return (kept + discount * len(followers) * lower) / sum(followers.values())


@settings(max_examples=40)
@given(train=TEXTS, test=TEXTS, order=st.integers(1, 5))
@example(train=["가나", "가나", "가나"], test=["가나", "나"], order=3)  # nothing is counted once
@example(train=[""], test=["", "가"], order=2)
def test_probabilities_are_those_of_the_formula(train, test, order):
    found = ngram_probabilities(train, test, order)
    for n in range(1, order + 1):
        model = BruteForce(train, n)
        expected = []
        for text in test:
            symbols = ("start", *text, "end")
            for place in range(1, len(symbols)):
                expected.append(model.probability(symbols[:place], symbols[place], n))
        assert found[n - 1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("history", ["", "가", "나", "가나", "다가나", "😀가"])
@pytest.mark.parametrize("train", [["가나다", "가나", "나가", ""], ["가가가"]])
def test_what_may_follow_a_history_sums_to_one_unseen_characters_included(train, history):
    seen = sorted(set("".join(train)))
    unseen = "힣"
    texts = [history + character for character in [*seen, unseen]]
    found = ngram_probabilities(train, [*texts, history], order=4)
    ends = np.cumsum([len(text) + 1 for text in [*texts, history]]) - 1
    places = [end - 1 for end in ends[:-1]]  # of the texts' last characters
    total = found[:, places[: len(seen)]].sum(axis=1) + found[:, ends[-1]]
    total += found[:, places[len(seen)]] * (OUTCOMES - len(seen) - 1)
    assert total == pytest.approx([1] * 4)


def test_bits_are_those_of_texts_and_ends_over_characters_in_nfc():
    train, test = ["가나", "나다라"], ["나가", "", "라"]
    bits = ngram_bits_per_character(train, test, 3)
    probabilities = ngram_probabilities(train, test, 3)
    assert probabilities.shape == (3, 6)
    for n in (1, 2, 3):
        assert bits[n] == pytest.approx(-sum(map(math.log2, probabilities[n - 1])) / 3)
    decomposed = [[unicodedata.normalize("NFD", text) for text in texts] for texts in (train, test)]
    assert ngram_bits_per_character(*decomposed, 3) == bits


def test_the_scores_of_each_order_stand_by_split_and_train_may_be_too_large(monkeypatch):
    train, held_out = ["가나", "가다", "나나"], {"validation": ["가"], "test": ["나가"]}
    scores = score_ngrams(train, held_out, order=2)
    assert list(scores) == ["1-grams of characters", "2-grams of characters"]
    expected = ngram_bits_per_character(train, held_out["test"], 2)
    assert scores["2-grams of characters"]["test"] == {"bits_per_character": expected[2]}
    monkeypatch.setattr("nlpbook_data.baselines.generation.MOST_CHARACTERS", 5)
    assert score_ngrams(train, held_out) == score_ngrams(train[:2], held_out)
