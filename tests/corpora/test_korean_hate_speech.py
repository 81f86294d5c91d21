"""Hate speech: comments and their titles, without the quotes of a csv writer, labels or -1."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data.corpora.korean_hate_speech import _unquote


@given(st.text(alphabet=st.sampled_from("가,\"\t 'a")))
def test_what_a_csv_writer_quoted_is_what_was_written(text):
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    assert _unquote(line.getvalue()) == text


@pytest.mark.parametrize("text", ['"', '"""', '"a"b"', 'a"', '"a', '"a""', "'a'"])
def test_a_text_that_no_csv_writer_quoted_stays_as_it_is(text):
    assert _unquote(text) == text
