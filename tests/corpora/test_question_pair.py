"""Question pairs: 0 is the same question; train and test have headers of their own."""

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
