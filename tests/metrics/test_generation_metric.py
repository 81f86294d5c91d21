"""Scores of language models and of what they write: by hand, and counted in another way."""

import math
import unicodedata

import pytest

from nlpbook_data.errors import InputError
from nlpbook_data.metrics.generation import (
    LanguageModelling,
    TextGeneration,
    distinct,
    repetition,
)


def score_likelihood(losses, tokens, characters):
    metric = LanguageModelling(keep_in_memory=True)
    return metric.compute(losses=losses, tokens=tokens, characters=characters)


def score_texts(texts, **labels):
    return TextGeneration(keep_in_memory=True).compute(predictions=texts, **labels)


# Language modelling


def test_rows_count_by_their_tokens_and_characters_and_not_each_the_same():
    # 2 tokens of 1/2 each, and 6 of 1/8: 2 + 18 bits, over 8 tokens and 4 characters
    scores = score_likelihood([2 * math.log(2), 6 * math.log(8)], [2, 6], [0, 4])
    assert scores["loss"] == pytest.approx(20 * math.log(2) / 8)
    assert scores["perplexity"] == pytest.approx(2 ** (20 / 8))
    assert scores["bits_per_character"] == pytest.approx(20 / 4)


def test_a_loss_beyond_all_bounds_is_infinitely_perplexed():
    assert score_likelihood([1e6], [1], [1])["perplexity"] == math.inf


@pytest.mark.parametrize("tokens, characters", [([0], [0]), ([1], [0])])
def test_texts_without_characters_are_refused(tokens, characters):
    with pytest.raises(InputError, match="no characters"):
        score_likelihood([0.5], tokens, characters)


# What is written


@pytest.mark.parametrize(
    "texts, n, share",
    [
        (["가나가"], 1, 2 / 3),
        (["가나가", "나"], 1, 2 / 4),  # over all texts
        (["가 나", "가나"], 2, 1 / 2),  # blanks are none,
        (["가", "나"], 2, 0),  # and no n-gram reaches from text to text
        (["ㅋㅋㅋㅋ"], 3, 1 / 2),
        ([""], 1, 0),
    ],
)
def test_distinct(texts, n, share):
    assert distinct(texts, n) == pytest.approx(share)


@pytest.mark.parametrize(
    "text, share",
    [
        ("ㅋㅋㅋㅋㅋㅋㅋ", 3 / 4),  # four, of one kind
        ("정말 정말 정말", 1 / 3),  # 정말정말 말정말정 정말정말
        ("가나다라마", 0),
        ("가가가", 0),
        ("가나다라" * 2, 1 / 5),
        ("", 0),
    ],
)
def test_repetition(text, share):
    assert repetition(text) == pytest.approx(share)


def test_scores_are_over_all_texts_composed_and_means_of_each():
    texts = ["정말 정말 정말", "각각"]
    scores = score_texts([unicodedata.normalize("NFD", text) for text in texts])
    expected = {"distinct_1": 3 / 8, "distinct_2": 3 / 6, "distinct_3": 2 / 4}
    expected |= {"repetition": (1 / 3 + 0) / 2, "mean_length": (8 + 2) / 2}
    assert scores == pytest.approx(expected)


def test_agreement_is_the_share_of_texts_judged_to_be_what_was_asked_for():
    asked = ["긍정", "긍정", "긍정", "부정"]
    scores = score_texts(["가"] * 4, asked=asked, judged=["긍정", "부정", "긍정", "긍정"])
    assert scores["agreement"] == 2 / 4
    assert scores["per_label"] == {
        "긍정": {"agreement": 2 / 3, "support": 3},
        "부정": {"agreement": 0, "support": 1},
    }


def test_without_labels_there_is_no_agreement():
    assert "agreement" not in score_texts(["가"])
