"""KorSTS: scores are numbers from 0 to 5, quotes are text."""

import unicodedata

import pytest
from fixture_rows import parse, parse_changed

from nlpbook_data import InputError


def test_a_row_has_both_sentences_the_score_and_where_they_are_from():
    assert parse("korsts", "train")[0] == {
        "sentence1": "고양이가 창가에서 잔다.",
        "sentence2": "고양이가 창가에서 자고 있다.",
        "label": 5.0,
        "genre": "main-captions",
        "source": "MSRvid",
        "year": "2012test",
        "id": "0001",
    }


def test_quotes_commas_emoji_decomposed_letters_and_outer_blanks_are_text():
    pairs = [(row["sentence1"], row["sentence2"]) for row in parse("korsts", "train")[1:]]
    assert pairs == [
        ('"비 온다" 하더니, 해가 떴다.', "버스 요금이 또 오른다😮"),
        (unicodedata.normalize("NFD", "가을이 왔다"), " 앞뒤 빈칸 "),
    ]
    assert [parse("korsts", "test")[1][column] for column in ("sentence1", "sentence2")] == [
        "'",
        '"',
    ]


def test_scores_are_floats():
    labels = [
        row["label"] for split in ("train", "validation", "test") for row in parse("korsts", split)
    ]
    assert labels == [5.0, 0.0, 3.3333333333333335, 1.0, 4.4, 2.5, 0.0]


def test_the_last_line_needs_no_line_break():
    assert [row["sentence2"] for row in parse("korsts", "validation")] == [
        "표는 누가 파나요?",
        "시장이 사흘간 문을 닫는다.",
    ]


@pytest.mark.parametrize(
    "score", ["-0.1", "5.1", "50", "nan", "inf", "", " 5.000", "4,9", "1e0", "1_0", "٣", "3."]
)
def test_what_is_no_score_from_0_to_5_is_refused_with_its_line(score, tmp_path):
    with pytest.raises(InputError, match=r"sts-train\.tsv, line 2: .*a score from 0 to 5"):
        parse_changed(tmp_path, "korsts", "train", "sts-train.tsv", "5.000", score)


def test_a_line_of_six_cells_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"sts-train\.tsv, line 3"):
        parse_changed(tmp_path, "korsts", "train", "sts-train.tsv", "\t0017\t", "\t")
