"""Question pairs: 0 is the same question; train and test have headers of their own."""

import unicodedata
from pathlib import Path

import pytest
from conftest import CORPORA
from fixture_rows import FIXTURES, parse, parse_changed

from nlpbook_data import InputError
from nlpbook_data.data.corpus import find_corpus


def words(split: str, root: Path = FIXTURES) -> list[tuple[str, str, str]]:
    label = find_corpus("question_pair").features["label"]
    return [
        (row["sentence1"], row["sentence2"], label.int2str(row["label"]))
        for row in parse("question_pair", split, root)
    ]


def test_0_is_the_same_question_whatever_the_column_is_called():
    assert words("train")[0] == ("비가 올까?", "오늘 비 와?", "같은 질문")
    assert words("train")[3] == ("버스가 끊겼어😭", "막차 몇 시야?", "다른 질문")


def test_commas_quotes_and_blanks_of_a_cell_are_text():
    assert words("train")[1][:2] == ("어디야, 지금?", '"곧 가" 했잖아, 어디까지 왔어?')
    lunch = unicodedata.normalize("NFD", "점심 뭐 먹지")
    assert words("train")[2] == (lunch, " 점심은 무엇을 먹을까 ", "같은 질문")


def test_the_nameless_last_column_of_test_is_no_label():
    assert words("test") == [
        ("시험이 내일이야", "시험 언제 봐?", "다른 질문"),
        ('잠이 "안" 와', "도무지 잠이 오지 않아", "같은 질문"),
        ("배고파", "배고프다\t", "같은 질문"),
    ]


@pytest.mark.parametrize(
    ("split", "file", "old", "new", "place"),
    [
        ("train", "kor_pair_train.csv", "오늘 비 와?,0", "오늘 비 와?,2", "line 2"),
        ("train", "kor_pair_train.csv", "버스가 끊겼어", "버스가, 끊겼어", "line 5"),
        ("train", "kor_pair_train.csv", "qid1,qid2", "qid2,qid1", "line 1"),
        ("test", "kor_pair_test.csv", "시험 언제 봐?,1,", "시험, 언제 봐?,1", "line 2"),
        ("test", "kor_pair_test.csv", "않아,0,1", "않아,0,기타", "line 3"),
    ],
)
def test_a_damaged_row_is_refused_with_its_line(split, file, old, new, place, tmp_path):
    with pytest.raises(InputError, match=f"{file}, {place}"):
        parse_changed(tmp_path, "question_pair", split, file, old, new)


@pytest.mark.corpora
@pytest.mark.parametrize("split", ["train", "test"])
def test_real_pairs_called_the_same_share_more_of_their_syllables(split):
    shares = {"같은 질문": [], "다른 질문": []}
    for question1, question2, label in words(split, CORPORA):
        one, two = set(question1), set(question2)
        shares[label].append(len(one & two) / len(one | two))
    same, other = (sum(values) / len(values) for values in shares.values())
    assert same > 1.5 * other
