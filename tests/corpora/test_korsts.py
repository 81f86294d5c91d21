"""KorSTS: scores are numbers from 0 to 5, quotes are text."""

import pytest
from fixture_rows import parse_changed

from nlpbook_data import InputError


@pytest.mark.parametrize(
    "score", ["-0.1", "5.1", "50", "nan", "inf", "", " 5.000", "4,9", "1e0", "1_0", "٣", "3."]
)
def test_what_is_no_score_from_0_to_5_is_refused_with_its_line(score, tmp_path):
    with pytest.raises(InputError, match=r"sts-train\.tsv, line 2: .*a score from 0 to 5"):
        parse_changed(tmp_path, "korsts", "train", "sts-train.tsv", "5.000", score)


def test_a_line_of_six_cells_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"sts-train\.tsv, line 3"):
        parse_changed(tmp_path, "korsts", "train", "sts-train.tsv", "\t0017\t", "\t")
