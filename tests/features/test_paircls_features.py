"""Pairs of texts into token ids: which are cut, and what is carried over."""

import copy
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import make_tokenizer
from tokenizers import processors
from transformers import AutoTokenizer

from nlpbook_data.features.paircls import encode, separate_pairs
from nlpbook_data.training.arguments import resolve_package


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resolve_package("package:models/tiny_encoder"))


def batch(*pairs: tuple[str, str, float]) -> dict[str, list]:
    return {
        name: list(values)
        for name, values in zip(("a", "b", "label"), zip(*pairs, strict=True), strict=True)
    }


def encoded(tokenizer, *pairs, max_length=64, token_types=True):
    columns = {"columns": ("a", "b"), "token_types": token_types}
    return encode(batch(*pairs), tokenizer, max_length, **columns)


@settings(max_examples=60, deadline=None)
@given(first=st.integers(1, 40), second=st.integers(1, 40), max_length=st.integers(8, 60))
def test_the_longer_text_loses_its_tokens_first(tokenizer, first, second, max_length):
    texts = ("가 " * first).strip(), ("나 " * second).strip()
    lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    rows = encoded(tokenizer, (*texts, 0), max_length=max_length)
    types = rows["token_type_ids"][0]
    special = tokenizer.num_special_tokens_to_add(pair=True)
    kept = [len(types) - sum(types) - (special - 1), sum(types) - 1]
    room = max_length - special
    assert sum(kept) == min(room, sum(lengths))
    longer, shorter = (0, 1) if lengths[0] >= lengths[1] else (1, 0)
    if sum(lengths) > room:  # the shorter one is whole, or both are as long
        assert kept[shorter] == min(lengths[shorter], kept[shorter])
        assert kept[shorter] == lengths[shorter] or abs(kept[0] - kept[1]) <= 1
    assert kept[longer] <= lengths[longer]


def test_texts_are_composed_and_in_order(tokenizer):
    plain = encoded(tokenizer, ("한국", "서울", 1))
    decomposed = encoded(
        tokenizer, (*(unicodedata.normalize("NFD", t) for t in ("한국", "서울")), 1)
    )
    assert plain == decomposed
    assert plain["input_ids"] != encoded(tokenizer, ("서울", "한국", 1))["input_ids"]


def test_a_decoder_knows_where_the_second_text_begins():
    decoder = AutoTokenizer.from_pretrained(resolve_package("package:models/decoder"))
    pairs = [("가", "나 다", 0), ("가 나", "다", 0), ("가" * 40, "나 다", 0)]
    rows = encoded(decoder, *pairs, max_length=16, token_types=False)["input_ids"]
    for ids, (first, second, _) in zip(rows, pairs, strict=True):
        assert ids.count(decoder.eos_token_id) == 1 and len(ids) <= 16
        before, after = decoder.decode(ids).removeprefix("<s>").split("</s>")
        assert first.startswith(before) and after == second


def test_a_separator_is_put_between_two_texts_and_saved(tmp_path):
    decoder = AutoTokenizer.from_pretrained(resolve_package("package:models/decoder"))
    alone, bare = decoder("가 나")["input_ids"], decoder("가", "나")["input_ids"]
    as_before = encoded(decoder, ("가", "나", 0), token_types=False)["input_ids"]
    assert separate_pairs(decoder) == decoder.eos_token
    assert separate_pairs(decoder) is None  # it is there already
    decoder.save_pretrained(tmp_path)
    for tokenizer in (decoder, AutoTokenizer.from_pretrained(tmp_path)):
        ids = tokenizer("가", "나")["input_ids"]
        assert [number for number in ids if number != decoder.eos_token_id] == bare
        assert encoded(tokenizer, ("가", "나", 0), token_types=False)["input_ids"] == [ids]
        assert [ids] == as_before
        assert tokenizer("가 나")["input_ids"] == alone  # a single text has nothing new


def test_characters_of_tokens_stay_as_they_were():
    tokenizer = copy.deepcopy(make_tokenizer("byte-level"))
    tokenizer.eos_token = "[SEP]"
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    texts = ("서울 부산", "강 산")
    before = tokenizer(*texts, return_offsets_mapping=True)["offset_mapping"]
    assert separate_pairs(tokenizer) == "[SEP]"
    after = tokenizer(*texts, return_offsets_mapping=True)
    pairs = zip(after["offset_mapping"], after.sequence_ids(), strict=True)
    assert [place for place, side in pairs if side is not None] == before
    assert after.sequence_ids().count(None) == 1


def test_a_tokenizer_that_separates_texts_is_left_alone(tokenizer):
    before = tokenizer("가", "나")["input_ids"]
    assert separate_pairs(tokenizer) is None
    assert tokenizer("가", "나")["input_ids"] == before


@pytest.mark.parametrize("missing", [-1, float("nan"), None])
def test_labels_are_left_out_where_a_row_has_none(tokenizer, missing):
    assert encoded(tokenizer, ("가", "나", 0), ("가", "다", 2))["labels"] == [0, 2]
    assert encoded(tokenizer, ("가", "나", 0.5), ("가", "다", 4.2))["labels"] == [0.5, 4.2]
    unlabelled = encoded(tokenizer, ("가", "나", missing), token_types=False)
    assert set(unlabelled) == {"input_ids"}
