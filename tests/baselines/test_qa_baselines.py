"""The sentence nearest to the question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data.baselines.qa import nearest_sentence, split_sentences

CONTEXT = "김철수는 1990년 부산에서 태어났다. 대학은 서울에서 다녔다. 지금은 대구에서 빵집을 한다."


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("가다. 나다! 다? 라", ["가다.", "나다!", "다?", "라"]),
        ("약 3.5도이다.그렇다. 끝", ["약 3.5도이다.그렇다.", "끝"]),
        ('"가다." 나는 (다.) 라', ['"가다."', "나는 (다.)", "라"]),
        ("가다... 나다…", ["가다...", "나다…"]),
        ("한 줄\n두 줄  \n\n 세 줄. ", ["한 줄", "두 줄", "세 줄."]),
        ("", []),
        (" \n ", []),
        (".", ["."]),
    ],
)
def test_sentences(text, sentences):
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


@given(st.text("가나.!?…\"') \n\u3000😀"))
def test_every_character_but_blanks_is_in_one_sentence_in_order(text):
    spans = split_sentences(text)
    inside = {place for a, b in spans for place in range(a, b)}
    assert {place for place, c in enumerate(text) if not c.isspace()} <= inside
    assert all(a < b and text[a:b] == text[a:b].strip() for a, b in spans)
    assert all(b <= c for (_, b), (c, _) in zip(spans, spans[1:], strict=False))


@pytest.mark.parametrize(
    "question, word",
    [
        ("김철수는 언제 태어났나?", "1990년"),
        ("대학은 어디에서 다녔는가?", "서울"),
        ("지금은 무슨 가게를 하나?", "빵집"),
        ("xyz", "1990년"),  # no n-gram in common: the first
    ],
)
def test_the_nearest_sentence_holds_the_answer(question, word):
    ((start, end, cosine),) = nearest_sentence([question], [CONTEXT])
    assert word in CONTEXT[start:end]
    assert (0 < cosine <= 1) == (question != "xyz")


def test_a_sentence_is_nearest_to_itself_and_only_its_own_context_counts():
    contexts = [CONTEXT, "다른 글이다. 고양이가 잔다."]
    found = nearest_sentence(["대학은 서울에서 다녔다.", "고양이가 대학은 서울에서"], contexts)
    assert CONTEXT[slice(*found[0][:2])] == "대학은 서울에서 다녔다."
    assert found[0][2] == pytest.approx(1)
    assert contexts[1][slice(*found[1][:2])] == "고양이가 잔다."


@pytest.mark.parametrize("contexts", [[" "], [" ", CONTEXT]])
def test_a_blank_context_gives_an_empty_answer(contexts):
    assert nearest_sentence(["누구?"] * len(contexts), contexts)[0] == (0, 0, 0.0)
