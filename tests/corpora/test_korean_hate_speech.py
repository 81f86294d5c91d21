"""Hate speech: comments and their titles, without the quotes of a csv writer, labels or -1."""

import csv
import io
import unicodedata

import pytest
from fixture_rows import parse, parse_changed
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data import InputError
from nlpbook_data.corpora.korean_hate_speech import CORPUS, _unquote

TRAIN = "labeled/train.tsv"


def test_rows_have_the_title_that_stands_beside_them():
    rows = parse("korean_hate_speech", "train")
    assert [(row["text"], row["title"]) for row in rows] == [
        ("오늘 방송 재밌었어요, 다음 주도 기대!", "[단독] 새 예능 첫 회 시청률 공개"),
        ('그 노래 제목이 "봄밤"이던가', '가수 아무개, 봄 음반 낸다…"오래 준비"'),
        ('가운데 "따옴표"만 있는 댓글', "'주말극' 주연 교체설"),
        (unicodedata.normalize("NFD", "자막이 작아요") + " 😑", "자막 논란, 방송사 '사과'"),
    ]


def test_the_label_is_the_hate_and_bias_stands_beside_it():
    words = [
        tuple(
            CORPUS.features[column].int2str(row[column])
            for column in ("label", "bias", "gender_bias")
        )
        for row in parse("korean_hate_speech", "train")
    ]
    assert words == [
        ("없음", "없음", "없음"),
        ("공격적", "기타", "없음"),
        ("혐오", "성별", "있음"),
        ("없음", "성별", "있음"),
    ]


def test_the_official_test_has_texts_and_titles_but_no_labels():
    assert parse("korean_hate_speech", "unlabeled_test") == [
        {
            "text": text,
            "title": title,
            **dict.fromkeys(("label", "bias", "gender_bias"), -1),
        }
        for text, title in [
            ('"진짜" 웃겼다', "코미디 영화 흥행 1위"),
            ("음악이 참 좋네요", "주제가, 음원 차트 진입"),
        ]
    ]


def test_the_five_comment_files_go_with_the_five_title_files():
    rows = parse("korean_hate_speech", "unlabeled_comments")
    assert [(row["text"], row["title"]) for row in rows] == [
        ("첫 파일의 댓글", "첫 파일의 제목"),
        ('쉼표, 그리고 "따옴표"', "제목에도, 쉼표"),
        ("", "둘째 파일의 제목"),
        ("둘째 파일의 댓글 ", "둘째 파일의 제목"),
        ("3번 파일의 댓글", "3번 파일의 제목"),
        ("4번 파일의 댓글", "4번 파일의 제목"),
        ("5번 파일의 댓글", "5번 파일의 제목"),
    ]


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
