"""KorNLI: two files make up train, labels are 함의, 중립, 모순."""

import pytest
from fixture_rows import parse, parse_changed

from nlpbook_data import InputError
from nlpbook_data.data.corpus import find_corpus


def test_train_is_multinli_and_then_snli():
    premises = [row["premise"] for row in parse("kornli", "train")]
    assert premises[0] == '음, "글쎄"라고만 했어요.'
    assert premises[4] == "한 여자가 악기를 켠다."
    assert len(premises) == 5


def test_labels_are_korean_words_in_the_order_of_the_field():
    label = find_corpus("kornli").features["label"]
    words = [(row["hypothesis"], label.int2str(row["label"])) for row in parse("kornli", "train")]
    assert words[:3] == [
        ("그는 말을 아꼈다.", "함의"),
        ("도서관은 늘 붐빈다.", "중립"),
        ("그 가게는 쉬는 날이 없다.", "모순"),
    ]
    assert label.names == ["함의", "중립", "모순"]


def test_an_empty_hypothesis_is_a_text():
    assert parse("kornli", "test")[-1]["hypothesis"] == ""


@pytest.mark.parametrize("label", ["", "Neutral", "-", "neutral ", "2"])
def test_another_label_is_refused_with_file_and_line(label, tmp_path):
    with pytest.raises(InputError, match=r"snli_1\.0_train\.ko\.tsv, line 3: .*entailment"):
        parse_changed(tmp_path, "kornli", "train", "snli_1.0_train.ko.tsv", "neutral", label)


def test_the_official_rows_are_those_of_the_paper():
    rows = {"train": 392_702 + 550_152, "validation": 2_490, "test": 5_010}
    assert find_corpus("kornli").rows == rows
