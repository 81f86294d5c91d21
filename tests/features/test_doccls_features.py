"""Rows to model inputs, with the tokenizer that ships."""

import json
import unicodedata
from pathlib import Path

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

import nlpbook_data.models
from nlpbook_data import load_corpus
from nlpbook_data.features.doccls import encode
from nlpbook_data.models.train_tokenizer import KINDS, train_shipped
from nlpbook_data.training.arguments import resolve_package
from nlpbook_data.training.features import text_lengths

TEXTS = ["재미있어요", "배송이 빠르고 마음에 들어요", "", "별로 " * 300]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(resolve_package("package:models/tiny_encoder"))


def test_a_row_is_its_text_between_cls_and_sep_and_its_label(tokenizer):
    encoded = encode({"text": TEXTS[:3], "label": [0, 1, 1]}, tokenizer, 128)
    assert list(encoded) == ["input_ids", "labels"] and encoded["labels"] == [0, 1, 1]
    for text, ids in zip(TEXTS, encoded["input_ids"], strict=False):
        assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert tokenizer.decode(ids[1:-1]) == text


@pytest.mark.parametrize("max_length", [8, 20, 128])
def test_no_row_is_longer_than_max_length_and_a_cut_one_is_exactly_as_long(tokenizer, max_length):
    encoded = encode({"text": TEXTS, "label": [0] * 4}, tokenizer, max_length)["input_ids"]
    whole = encode({"text": TEXTS, "label": [0] * 4}, tokenizer, 10_000)["input_ids"]
    for cut, full in zip(encoded, whole, strict=True):
        assert len(cut) == min(len(full), max_length)
        assert cut[:-1] == full[: len(cut) - 1]
        assert cut[-1] == tokenizer.sep_token_id


def test_decomposed_hangul_gives_the_tokens_of_composed_hangul():
    # the shipped tokenizer composes by itself; one that does not tells whether `encode` does
    plain = train_shipped("tiny_encoder", TEXTS)
    plain.backend_tokenizer.normalizer = None
    encoded = [
        encode(
            {"text": [unicodedata.normalize(form, t) for t in TEXTS], "label": [0] * 4}, plain, 64
        )
        for form in ("NFC", "NFD")
    ]
    assert encoded[0] == encoded[1]
    assert plain.unk_token_id not in encoded[0]["input_ids"][0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.integers(0, 4)).map(sorted), min_size=1, max_size=5))
def test_several_labels_become_vectors_of_zeros_and_ones(tokenizer, labels):
    encoded = encode({"text": ["글"] * len(labels), "label": labels}, tokenizer, 8, num_labels=5)
    for vector, label in zip(encoded["labels"], labels, strict=True):
        assert len(vector) == 5
        assert [number for number, value in enumerate(vector) if value == 1.0] == label
        assert all(isinstance(value, float) and value in (0.0, 1.0) for value in vector)


@pytest.mark.parametrize("unlabelled", [-1, None])
def test_rows_without_labels_have_no_labels_column(tokenizer, unlabelled):
    for num_labels in (None, 3):
        batch = {"text": ["글"] * 2, "label": [unlabelled] * 2}
        assert list(encode(batch, tokenizer, 8, num_labels)) == ["input_ids"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), max_size=7), min_size=1, max_size=20), st.data())
def test_text_lengths_are_those_of_the_selected_rows_in_their_order(rows, data):
    dataset = Dataset.from_dict({"input_ids": rows, "labels": [0] * len(rows)})
    numbers = st.integers(0, len(rows) - 1)
    chosen = data.draw(st.lists(numbers, min_size=1, max_size=30))
    start = data.draw(numbers)
    for selected in (chosen, range(start, len(rows))):  # indices, and a slice
        found = text_lengths(dataset.select(selected))
        assert found.tolist() == [len(rows[i]) for i in selected]


@pytest.mark.parametrize("model", KINDS)
def test_a_shipped_tokenizer_is_what_its_script_trains_and_fits_its_model(tmp_path, model):
    texts = load_corpus("sample_reviews", cache_dir=tmp_path / "cache")["train"]["text"][:640]
    train_shipped(model, texts).save_pretrained(tmp_path / "trained")
    shipped = Path(nlpbook_data.models.__file__).parent / model
    for file in ("tokenizer.json", "tokenizer_config.json"):
        trained = json.loads((tmp_path / "trained" / file).read_text(encoding="utf-8"))
        assert trained == json.loads((shipped / file).read_text(encoding="utf-8")), file
    tokenizer, config = AutoTokenizer.from_pretrained(shipped), AutoConfig.from_pretrained(shipped)
    assert len(tokenizer) == config.vocab_size
    assert tokenizer.model_max_length <= config.max_position_embeddings
    assert tokenizer.pad_token_id == config.pad_token_id
    if model == "tiny_decoder":
        generation = GenerationConfig.from_pretrained(shipped)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
            assert getattr(tokenizer, name) == getattr(config, name) == getattr(generation, name)
        assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3
