"""Hate speech: comments and their titles, without the quotes of a csv writer, labels or -1."""

import csv
import io

import pytest
from fixture_rows import parse_changed
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data import InputError
from nlpbook_data.corpora.korean_hate_speech import _unquote

TRAIN = "labeled/train.tsv"


@given(st.text(alphabet=st.sampled_from("가,\"\t 'a")))
def test_what_a_csv_writer_quoted_is_what_was_written(text):
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    assert _unquote(line.getvalue()) == text


@pytest.mark.parametrize("text", ['"', '"""', '"a"b"', 'a"', '"a', '"a""', "'a'"])
def test_a_text_that_no_csv_writer_quoted_stays_as_it_is(text):
    assert _unquote(text) == text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("\tothers\t", "\tother\t", r"line 3: found 'other' .*none, gender, others"),
        ("\tgender\thate", "\tgender\tHate", r"line 4: found 'Hate' .*none, offensive, hate"),
        ("\tFalse\tothers", "\tfalse\tothers", r"line 3: found 'false' .*False, True"),
        ("\tTrue\tgender\thate", "\tgender\thate", "line 4"),
    ],
)
def test_a_damaged_row_is_refused_with_its_line(old, new, expected, tmp_path):
    with pytest.raises(InputError, match=rf"train\.tsv, {expected}"):
        parse_changed(tmp_path, "korean_hate_speech", "train", TRAIN, old, new)


@pytest.mark.parametrize("new", ["", "'주말극' 주연 교체설\n새 제목\n"])
def test_titles_that_do_not_go_with_the_comments_line_by_line_are_refused(new, tmp_path):
    with pytest.raises(InputError, match=r"ends after [34] rows, where .* has another"):
        parse_changed(
            tmp_path,
            *("korean_hate_speech", "train", "news_title/train.news_title.txt"),
            *("'주말극' 주연 교체설\n", new),
        )
