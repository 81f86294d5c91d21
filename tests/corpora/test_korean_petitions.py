"""Petitions: a JSON object a line, a file a month, the board's categories as labels."""

import unicodedata
from datetime import date

from fixture_rows import FIXTURES, parse

from nlpbook_data import load_corpus
from nlpbook_data.corpora.korean_petitions import CORPUS


def test_a_row_is_the_petition_its_category_its_days_and_its_supporters():
    row = parse("korean_petitions", "train")[2]
    category = CORPUS.features["label"].int2str(row.pop("label"))
    assert category == "외교/통일/국방"
    assert row == {
        "text": "복무 기간의 휴가를 늘려 주세요.",
        "title": "외교/통일/국방에 관한 청원 2",
        "begin": "2017-09-01",
        "end": "2017-09-28",
        "num_agree": 7,
    }


def test_escapes_quotes_line_breaks_and_decomposed_letters_are_read_as_json_means_them():
    texts = [row["text"] for row in parse("korean_petitions", "train")]
    for text in (
        "마을 일자리를 만들어 주세요.",  # \uXXXX in its file
        '학교 앞 "안전" 지도를 부탁합니다.',
        "골목에 가로등이 없습니다.\n밤이 무섭습니다.",
        "동네 고양이를 돌봐 주세요🐈",
        unicodedata.normalize("NFD", "복무 기간의 휴가를 늘려 주세요."),
        "",
    ):
        assert text in texts


def test_a_file_a_month_from_august_2017_to_march_2019():
    names = CORPUS.splits["train"].files
    months = [date.fromisoformat(f"{name.removeprefix('petitions_')}-01") for name in names]
    assert (months[0], months[-1]) == (date(2017, 8, 1), date(2019, 3, 1))
    assert all(20 < (b - a).days < 32 for a, b in zip(months, months[1:], strict=False))


def test_every_category_of_the_board_is_read():
    labels = {row["label"] for row in parse("korean_petitions", "train")}
    assert labels == set(range(17))


def test_petitions_stream_without_arrow_files_and_land_in_one_split_each(tmp_path):
    splits = load_corpus(
        "korean_petitions", FIXTURES, cache_dir=tmp_path, accept_files=True, streaming=True
    )
    titles = [row["title"] for split in splits.values() for row in split]
    assert sorted(titles) == sorted(row["title"] for row in parse("korean_petitions", "train"))
    assert not list(tmp_path.rglob("*.arrow"))
