"""Chatbot data: question, answer, and one of three topics."""

import pytest
from fixture_rows import parse_changed

from nlpbook_data import InputError


@pytest.mark.parametrize("label", ["", "3", "0.0", "2 2", "사랑"])
def test_another_label_is_refused_with_its_line(label, tmp_path):
    with pytest.raises(InputError, match=r"ChatbotData\.csv, line 4"):
        parse_changed(tmp_path, "korean_chatbot_data", "train", "ChatbotData.csv", "2   ", label)


def test_an_answer_cut_in_two_by_a_comma_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ChatbotData\.csv, line 2"):
        parse_changed(
            tmp_path, "korean_chatbot_data", "train", "ChatbotData.csv", "구름이 ", "구름이,"
        )
