"""KorNLI: two files make up train, labels are 함의, 중립, 모순."""

import pytest
from fixture_rows import parse_changed

from nlpbook_data import InputError
from nlpbook_data.data.corpus import find_corpus


@pytest.mark.parametrize("label", ["", "Neutral", "-", "neutral ", "2"])
def test_another_label_is_refused_with_file_and_line(label, tmp_path):
    with pytest.raises(InputError, match=r"snli_1\.0_train\.ko\.tsv, line 3: .*entailment"):
        parse_changed(tmp_path, "kornli", "train", "snli_1.0_train.ko.tsv", "neutral", label)


def test_the_official_rows_are_those_of_the_paper():
    rows = {"train": 392_702 + 550_152, "validation": 2_490, "test": 5_010}
    assert find_corpus("kornli").rows == rows
