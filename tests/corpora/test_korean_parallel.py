"""Korean-English news: the n-th lines of two files, out of three archives."""

import unicodedata

import pytest
from fixture_rows import parse, parse_changed

from nlpbook_data import InputError

NAME = "korean_parallel_koen_news"


def test_lines_are_paired_and_untouched_even_where_both_are_empty():
    assert parse(NAME, "train") == [
        {
            "korean": '시장은 "내일" 문을 연다고 밝혔다.',
            "english": 'The mayor said it opens "tomorrow".',
        },
        {"korean": unicodedata.normalize("NFD", "눈이 내렸다."), "english": " Snow fell. "},
        {"korean": "", "english": ""},
    ]


def test_the_dev_files_are_the_validation_split():
    assert [row["english"] for row in parse(NAME, "validation")] == [
        "Prices rose 📈",
        "The bus stopped.",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "shorter"),
    [
        ("test.en", "\nThe end.\n", "\n", "test.en ends after 1 rows"),
        ("test.ko", "\n끝.", "", "test.ko ends after 1 rows"),
    ],
)
def test_a_sentence_without_its_translation_is_refused(file, old, new, shorter, tmp_path):
    with pytest.raises(InputError, match=shorter):
        parse_changed(tmp_path, NAME, "test", f"korean-english-park.{file}", old, new)
