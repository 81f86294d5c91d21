"""Embeddings from neighbours: counts and PMI by hand, near words near."""

import math

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM

from nlpbook_data.features.cooccurrence import (
    count_neighbours,
    positive_pmi,
    start_from_neighbours,
)
from nlpbook_data.features.vocabulary import train_tokenizer


def test_neighbours_count_by_their_distance_within_a_row():
    counts = count_neighbours([[0, 1, 2], [2, 0]], 3, window=2).toarray()
    expected = [[0, 1, 1 / 2 + 1], [1, 0, 1], [1 / 2 + 1, 1, 0]]
    np.testing.assert_allclose(counts, expected)


def test_pmi_is_that_by_hand():
    counts = count_neighbours([[0, 1]] * 3 + [[2, 3]], 4, window=1)
    found = positive_pmi(counts, smoothing=1).toarray()
    # P(0, 1) = 3/8, P(0) = P(1) = 3/8; P(2, 3) = P(2) = P(3) = 1/8
    np.testing.assert_allclose(found[0, 1], math.log(8 / 3))
    np.testing.assert_allclose(found[2, 3], math.log(8))
    assert found[0, 2] == 0


def test_words_of_like_company_lie_near():
    texts = [f"{a} {b}" for a in ("영화", "작품") for b in ("재미", "감동", "지루")] * 5
    texts += [f"{a} {b}" for a in ("국회", "정부") for b in ("법안", "예산", "청원")] * 5
    tokenizer = train_tokenizer(texts, "wordpiece", 70)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertForMaskedLM(BertConfig(vocab_size=70, **shape, intermediate_size=8))
    special = model.get_input_embeddings().weight[tokenizer.all_special_ids].clone()
    start_from_neighbours(model, tokenizer, [texts[:20], texts[20:]])
    rows = model.get_input_embeddings().weight
    film, work, house = rows[tokenizer.convert_tokens_to_ids(["영화", "작품", "국회"])]
    assert torch.cosine_similarity(film, work, dim=0) > 0.9
    assert torch.cosine_similarity(film, house, dim=0) < 0.5
    assert torch.equal(rows[tokenizer.all_special_ids], special)
