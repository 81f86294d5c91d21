"""Naver NER: words with tags become a text with character spans."""

import pytest
from fixture_rows import parse, parse_changed

from nlpbook_data import InputError


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
