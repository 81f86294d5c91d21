"""Chatbot data: question, answer, and one of three topics."""

import unicodedata

import pytest
from fixture_rows import parse, parse_changed

from nlpbook_data import InputError
from nlpbook_data.data.corpus import find_corpus


def test_rows_are_question_answer_and_topic():
    topic = find_corpus("korean_chatbot_data").features["label"]
    rows = [
        (row["question"], row["answer"], topic.int2str(row["label"]))
        for row in parse("korean_chatbot_data", "train")
    ]
    assert rows == [
        ("오늘 하늘 봤어?", "구름이 예쁘더라고요.", "일상"),
        ('그 사람이 "잘 지내" 래', "마음이 복잡하겠어요.", "이별"),
        ("보고 싶다, 정말", "먼저 연락해 보세요💌", "사랑"),  # blanks after its 2
        (unicodedata.normalize("NFD", "눈이 와"), " 우산 챙기세요. ", "일상"),
        ("두 줄로\n적은 말", "줄이 바뀌어도 한 칸이에요.", "사랑"),
    ]


@pytest.mark.parametrize("label", ["", "3", "0.0", "2 2", "사랑"])
def test_another_label_is_refused_with_its_line(label, tmp_path):
    with pytest.raises(InputError, match=r"ChatbotData\.csv, line 4"):
        parse_changed(tmp_path, "korean_chatbot_data", "train", "ChatbotData.csv", "2   ", label)


def test_an_answer_cut_in_two_by_a_comma_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ChatbotData\.csv, line 2"):
        parse_changed(
            tmp_path, "korean_chatbot_data", "train", "ChatbotData.csv", "구름이 ", "구름이,"
        )
