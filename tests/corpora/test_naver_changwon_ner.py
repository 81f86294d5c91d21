"""Naver NER: words with tags become a text with character spans."""

import unicodedata

import pytest
from fixture_rows import parse, parse_changed

from nlpbook_data import InputError
from nlpbook_data.corpora.naver_changwon_ner import CORPUS

NAMES = CORPUS.features["entities"].feature["label"]


def spans(row: dict) -> list[tuple[str, str]]:
    return [
        (row["text"][entity["start"] : entity["end"]], NAMES.int2str(entity["label"]))
        for entity in row["entities"]
    ]


def test_the_text_is_the_words_with_one_blank_between_them():
    assert [row["text"] for row in parse("naver_changwon_ner", "train")] == [
        "한강에서 배를 탔다 .",
        "시민 연구소가 사흘 나흘 쉰다",
        "김하늘(바다 연구원)이 왔고 셋은 갔다😀",
        unicodedata.normalize("NFD", "가을") + " “축제는 다섯 번째",
    ]


def test_b_begins_an_entity_and_i_of_its_class_continues_it():
    rows = parse("naver_changwon_ner", "train")
    assert spans(rows[0]) == [("한강에서", "지역")]
    assert spans(rows[1]) == [("시민 연구소가", "기관"), ("사흘", "날짜"), ("나흘", "날짜")]


def test_an_i_that_continues_nothing_begins_an_entity():
    row = parse("naver_changwon_ner", "train")[2]
    assert spans(row) == [("김하늘(바다", "인물"), ("연구원)이", "기관"), ("셋은", "수량")]


def test_the_last_sentence_needs_no_blank_line_and_its_last_word_may_be_an_entity():
    row = parse("naver_changwon_ner", "train")[-1]
    autumn = unicodedata.normalize("NFD", "가을")
    assert spans(row) == [(autumn, "날짜"), ("“축제는", "사건"), ("다섯 번째", "수량")]


def test_windows_line_ends_change_nothing(tmp_path):
    rows = parse_changed(tmp_path, "naver_changwon_ner", "train", "train_data", "\n", "\r\n")
    assert rows == parse("naver_changwon_ner", "train")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("한강에서\tLOC_B", "한강에서\tLCO_B", "line 1: found 'LCO_B'"),
        ("한강에서\tLOC_B", "한강에서\tB-LOC", "line 1: found 'B-LOC'"),
        ("한강에서\tLOC_B", "한강에서 LOC_B", "line 1: .*index⇥word⇥tag"),
        ("1\t한강에서", "한강에서\t1", "line 1: .*index⇥word⇥tag"),
        ("2\t배를", "2\t", "line 2: .*index⇥word⇥tag"),
        (".\t-\n\n1\t시민", ".\t-\n1\t시민", "line 5: .*a blank line before a sentence"),
        (".\t-\n\n1\t시민", ".\t-\n \n1\t시민", "line 5: .*or a blank line"),
    ],
)
def test_a_damaged_line_is_refused_with_its_number(old, new, expected, tmp_path):
    with pytest.raises(InputError, match=f"train_data, {expected}"):
        parse_changed(tmp_path, "naver_changwon_ner", "train", "train_data", old, new)
