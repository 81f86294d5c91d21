"""Scores of language models and of what they write: by hand, and counted in another way."""

import math
import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from nlpbook_data.errors import InputError
from nlpbook_data.metrics.generation import (
    LanguageModelling,
    TextGeneration,
    distinct,
    repetition,
)

TEXTS = st.lists(st.text("가나 \nㅋ", max_size=12), min_size=1, max_size=5)


def score_likelihood(losses, tokens, characters):
    metric = LanguageModelling(keep_in_memory=True)
    return metric.compute(losses=losses, tokens=tokens, characters=characters)


def score_texts(texts, **labels):
    return TextGeneration(keep_in_memory=True).compute(predictions=texts, **labels)


# Language modelling


def test_rows_count_by_their_tokens_and_characters_and_not_each_the_same():
    # 2 tokens of 1/2 each, and 6 of 1/8: 2 + 18 bits, over 8 tokens and 4 characters
    scores = score_likelihood([2 * math.log(2), 6 * math.log(8)], [2, 6], [3, 1])
    assert scores["loss"] == pytest.approx(20 * math.log(2) / 8)
    assert scores["perplexity"] == pytest.approx(2 ** (20 / 8))
    assert scores["bits_per_character"] == pytest.approx(20 / 4)


def test_bits_per_character_do_not_depend_on_the_tokens():
    coarse, fine = (score_likelihood([10.0], [count], [7]) for count in (2, 9))
    assert coarse["bits_per_character"] == fine["bits_per_character"]
    assert coarse["perplexity"] > fine["perplexity"]


def test_a_uniform_model_has_as_much_perplexity_as_tokens():
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=50)).eval()
    torch.nn.init.zeros_(model.lm_head.weight)
    ids = torch.arange(9)[None]
    with torch.no_grad():
        loss = model(ids, labels=ids).loss.item() * 8
    scores = score_likelihood([loss], [8], [16])
    assert scores["perplexity"] == pytest.approx(50, rel=1e-4)
    assert scores["bits_per_character"] == pytest.approx(math.log2(50) / 2, rel=1e-4)


def test_a_row_without_characters_adds_its_bits():
    scores = score_likelihood([math.log(4), math.log(2)], [1, 1], [0, 2])
    assert scores["bits_per_character"] == pytest.approx(3 / 2)


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


@given(TEXTS)
def test_the_scores_are_those_of_a_count_one_by_one(texts):
    scores = score_texts(texts)
    bare = ["".join(c for c in text if not c.isspace()) for text in texts]
    for n in (1, 2, 3):
        grams = [text[i : i + n] for text in bare for i in range(len(text) - n + 1)]
        kinds = [gram for i, gram in enumerate(grams) if gram not in grams[:i]]
        assert scores[f"distinct_{n}"] == (len(kinds) / len(grams) if grams else 0)
    shares = []
    for text in bare:
        starts = range(max(len(text) - 3, 0))
        again = [any(text[i : i + 4] == text[j : j + 4] for j in range(i)) for i in starts]
        shares.append(sum(again) / len(again) if again else 0)
    assert scores["repetition"] == pytest.approx(sum(shares) / len(shares))
    assert scores["mean_length"] == pytest.approx(sum(map(len, texts)) / len(texts))


def test_decomposed_hangul_scores_as_composed_hangul():
    texts = ["정말 재미있다", "각각"]
    assert score_texts([unicodedata.normalize("NFD", text) for text in texts]) == score_texts(texts)


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
