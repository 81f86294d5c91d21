"""The particle step by hand."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data.features.particles import strip_particle


def strip(answer, rest="", last=0, before=""):
    context = before + answer + rest
    start = len(before)
    return context[start : strip_particle(context, start, start + len(answer), start + last)]


@pytest.mark.parametrize(
    "answer, rest, stripped",
    [
        ("서울에서", " 왔다", "서울"),
        ("서울은", "", "서울"),
        ("부산는", "", "부산는"),  # 는 follows a vowel: no particle
        ("학교는", ".", "학교"),
        ("학교은", "", "학교은"),
        ("서울로", "", "서울"),
        ("집으로", "", "집"),
        ("집로", "", "집로"),
        ("강물이라는", " 말", "강물"),
        ("서울에", "서는", "서울"),  # 에서는 goes on beyond the answer
        ("외교학과", "를", "외교학과"),  # 과를 is no particle
        ("1998년에", "는 비가", "1998년"),
        ("3도", " 올랐다", "3도"),
        ("3만", "", "3만"),
        ("3은", "", "3"),
        ("BTS가", "", "BTS"),
        ("서울", " 에서", "서울"),
        ("은", "", "은"),  # nothing would be left
        ("집에서부터는", "", "집"),
    ],
)
def test_the_particle_step(answer, rest, stripped):
    assert strip(answer, rest) == stripped


def test_only_the_last_token_is_cut():
    assert strip("서울에서", last=2) == "서울에서"
    assert strip("서울에서", last=1) == "서울"
    assert strip("그 서울에서", last=2) == "그 서울"


def test_a_decomposed_particle_is_one_too():
    apart = unicodedata.normalize("NFD", "서울에서")
    assert strip(apart) == unicodedata.normalize("NFD", "서울")


@settings(max_examples=300, deadline=None)
@given(
    st.text([*"가나다라마바사서울에는은의로이1.A", " ", "😀", "\u11ab"], min_size=1, max_size=12),
    st.lists(st.integers(0, 12), min_size=3, max_size=3),
)
def test_the_particle_step_leaves_a_character_of_the_last_token(context, places):
    start, last, end = sorted(min(place, len(context) - 1) for place in places)
    assert last < strip_particle(context, start, end + 1, last) <= end + 1
