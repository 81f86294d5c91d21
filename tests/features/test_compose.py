"""Composed text and the places that its characters came from."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data.features.compose import compose


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8") | st.sampled_from("각\u1100\u1161\u11a8e\u0301\u09be")))
def test_composed_text_is_nfc_and_each_character_tells_its_origin(text):
    composed, starts, ends = compose(text)
    assert composed == unicodedata.normalize("NFC", text)
    pieces = sorted(set(zip(starts, ends, strict=True)))
    assert [0, *(b for _, b in pieces)] == [*(a for a, _ in pieces), len(text)]
    for character, a, b in zip(composed, starts, ends, strict=True):
        assert character in unicodedata.normalize("NFC", text[a:b])
