"""Korean-English news: the n-th lines of two files, out of three archives."""

import pytest
from fixture_rows import parse_changed

from nlpbook_data import InputError

NAME = "korean_parallel_koen_news"


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
