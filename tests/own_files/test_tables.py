"""The user's own files: what is written is read, what cannot be read is named."""

import csv
import io
import json
import logging
import string
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from writing import write_xlsx, written

from nlpbook_data import InputError
from nlpbook_data.own_files.schemas import read_examples
from nlpbook_data.own_files.tables import find_encoding, read_rows

HANGUL = st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣"))
LETTERS = st.one_of(
    HANGUL,
    st.sampled_from("\"',|\t\r\n \\{}[]:.!?ㅋㅠ“”·…\u2028\u3000\x1c\x85"),
    st.sampled_from(string.ascii_letters + string.digits),
    # no surrogate is a character, and a NUL is refused
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
)
CELLS = st.text(LETTERS, max_size=12)
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6)
COLUMNS = ["text", "label"]
bounded = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path: Path, *columns: str, optional: tuple[str, ...] = ()) -> list[tuple]:
    rows = [row for _, row in read_rows(path, columns or COLUMNS, optional)]
    return [tuple(row.values()) for row in rows]


def lines_of(path: Path) -> list[int]:
    return [int(place.rsplit(" ", 1)[1]) for place, _ in read_rows(path, COLUMNS)]


# csv.writer leaves a lone \r unquoted where its lines end in \n
DIALECTS = [(csv.QUOTE_ALL, "\n"), (csv.QUOTE_MINIMAL, "\r\n")]


@bounded
@given(rows=ROWS, dialect=st.sampled_from(DIALECTS))
@example(rows=[('그가 "좋아"라고, 했다', "1"), ("두\n줄", "0")], dialect=DIALECTS[1])
@example(rows=[("끝\r", "두\r\n줄"), ("\n\r", "\r")], dialect=DIALECTS[0])
def test_csv_rows_are_read_as_the_csv_module_wrote_them(tmp_path, rows, dialect):
    quoting, end = dialect
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=quoting, lineterminator=end).writerows([COLUMNS, *rows])
    assert read(tmp_path / "a.csv") == rows


@bounded
@given(rows=ROWS)
def test_tsv_cells_are_what_lies_between_tabs_quotes_included(tmp_path, rows):
    rows = [tuple(cell.translate({9: " ", 10: " ", 13: " "}) for cell in row) for row in rows]
    path = written(tmp_path / "a.tsv", "".join("\t".join(row) + "\n" for row in [COLUMNS, *rows]))
    assert read(path) == rows


@bounded
@given(rows=ROWS, ascii_only=st.booleans())
def test_jsonl_rows_are_read_as_the_json_module_wrote_them(tmp_path, rows, ascii_only):
    lines = [
        json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=ascii_only) for row in rows
    ]
    assert read(written(tmp_path / "a.jsonl", "\n".join(lines))) == rows


@bounded
@given(rows=ROWS)
def test_parquet_and_xlsx_rows_are_read_as_their_libraries_wrote_them(tmp_path, rows):
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == rows
    # XML's line breaks are \n, it has no control characters, and a cell without text is empty
    rows = [
        tuple(ILLEGAL_CHARACTERS_RE.sub("", cell).replace("\r", "") for cell in r) for r in rows
    ]
    assume(all(map(any, rows)) and not any(c.startswith("=") for row in rows for c in row))
    assert read(write_xlsx(tmp_path / "a.xlsx", [COLUMNS, *rows])) == [
        tuple(cell or None for cell in row) for row in rows
    ]


def test_numbers_and_places_of_a_workbook(tmp_path):
    sheet = [COLUMNS, ["가", 1], [], ["나", 0.5], ["다"], [None, True]]
    path = write_xlsx(tmp_path / "a.xlsx", sheet, [["다른 쪽"]])
    assert [*read_rows(path, COLUMNS)] == [
        (f"{path}, sheet 'Sheet', row {number}", {"text": text, "label": label})
        for number, text, label in [(2, "가", 1), (4, "나", 0.5), (5, "다", None), (6, None, True)]
    ]


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (["가", 1, "나"], "row 2: 3 cells where the header has 2"),
        (["가", "#N/A"], "row 2, column 2: found '#N/A'"),
    ],
)
def test_a_row_of_a_workbook_that_is_wrong_is_named(tmp_path, row, part):
    with pytest.raises(InputError, match=f"a.xlsx, sheet 'Sheet', {part}"):
        list(read_rows(write_xlsx(tmp_path / "a.xlsx", [COLUMNS, row]), COLUMNS))


def test_parquet_keeps_types_and_reads_only_the_columns_that_are_asked_for(tmp_path):
    table = {"text": ["가", "나"], "label": [1.0, None], "tags": [["a"], []], "other": [b"", b""]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet", row_group_size=1)
    rows = [row for _, row in read_rows(tmp_path / "a.parquet", ["text"], ["tags", "label", "no"])]
    assert rows == [
        {"text": "가", "label": 1.0, "tags": ["a"]},
        {"text": "나", "label": None, "tags": []},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_and_a_missing_last_line_break_are_no_rows(tmp_path, end):
    assert read(written(tmp_path / "a.csv", end.join(["text,label", "", "가,1", "", "나,0"]))) == [
        ("가", "1"),
        ("나", "0"),
    ]
    assert read(written(tmp_path / "a.tsv", end.join(["text\tlabel", "", "가\t1"]))) == [
        ("가", "1")
    ]


# Encodings


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path, suffix):
    content = {"csv": "text,label\n가,1\n", "tsv": "text\tlabel\n가\t1\n"}
    text = content.get(suffix, '{"text": "가", "label": "1"}\n')
    assert read(written(tmp_path / f"a.{suffix}", b"\xef\xbb\xbf" + text.encode())) == [("가", "1")]


@bounded
@given(text=st.text(HANGUL, min_size=1, max_size=30))
@example(text="화면이 너무 작아요")  # its first bytes are letters in UTF-8 as well: ȭ
@example(text="카메라")
def test_cp949_is_found_and_said(tmp_path, caplog, text):
    content = f"text,label\n{text},1\n".encode("cp949")
    try:
        content.decode()
        assume(False)  # a few short words are valid in both
    except UnicodeDecodeError:
        pass
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert read(written(tmp_path / "a.csv", content)) == [(text, "1")]
    assert "a.csv" in caplog.text and "cp949" in caplog.text


def test_utf8_is_read_in_silence(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        read(written(tmp_path / "a.csv", "text,label\n가,1\n"))
    assert caplog.text == ""


@bounded
@given(text=st.text(HANGUL, min_size=2, max_size=30), data=st.data())
def test_broken_utf8_is_not_read_as_cp949(tmp_path, text, data):
    content = text.encode()
    lost = data.draw(st.integers(3, len(content) - 1))  # a byte after the first syllable
    path = written(tmp_path / "a.csv", b"text,label\n" + content[:lost] + content[lost + 1 :])
    with pytest.raises(InputError, match="a.csv, line 2:"):
        find_encoding(path)


@pytest.mark.parametrize("syllables", [10, 400_000])  # the second spans blocks of a mebibyte
def test_a_file_cut_inside_a_syllable_is_named_by_line(tmp_path, syllables):
    content = "text,label\n" + "가\n" * syllables
    path = written(tmp_path / "a.csv", content.encode()[:-2])
    with pytest.raises(InputError, match=f"a.csv, line {syllables + 1}:"):
        find_encoding(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings_are_refused(tmp_path, encoding):
    text = "café" if encoding == "latin-1" else "가나다"
    path = written(tmp_path / "a.csv", f"text,label\n{text},1\n".encode(encoding))
    with pytest.raises(InputError, match="UTF-8"):
        list(read_rows(path, COLUMNS))


# What is refused


def refused(path: Path, *columns: str) -> str:
    with pytest.raises(InputError) as raised:
        list(read_rows(path, columns or COLUMNS))
    message = str(raised.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "xlsx", "parquet"])
def test_a_missing_or_empty_file_is_refused(tmp_path, suffix):
    assert "no such file" in refused(tmp_path / f"a.{suffix}")
    assert "empty" in refused(written(tmp_path / f"a.{suffix}", b""))


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        *(("csv", text) for text in ("\ufeff", "\n", "\r\n\r\n", "text,label", "text,label\n\n")),
        *(("tsv", text) for text in ("\ufeff", "\n", "text\tlabel", "text\tlabel\n\n")),
        *(("jsonl", text) for text in ("\ufeff", "\n", "  \n\n")),
    ],
)
def test_a_file_without_rows_is_refused(tmp_path, suffix, content):
    path = written(tmp_path / f"a.{suffix}", content)
    with pytest.raises(InputError, match=str(path)):
        list(read_examples(path, "doccls"))


def test_a_table_without_rows_is_refused(tmp_path):
    columns = {"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    write_xlsx(tmp_path / "a.xlsx", [COLUMNS])
    for name in ("a.parquet", "a.xlsx"):
        with pytest.raises(InputError, match="no row"):
            list(read_examples(tmp_path / name, "doccls"))
    assert "empty" in refused(write_xlsx(tmp_path / "b.xlsx", []))


@pytest.mark.parametrize("name", ["a.txt", "a.xls", "a", "csv", "a.csv.zip"])
def test_another_ending_is_refused_with_those_that_there_are(tmp_path, name):
    message = refused(written(tmp_path / name, "text,label\n가,1"))
    assert all(suffix in message for suffix in (".csv", ".tsv", ".jsonl", ".xlsx", ".parquet"))


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    contents = {
        "csv": "text,label,text\n가,1,나",
        "tsv": "text\tlabel\ttext\n가\t1\t나",
        "jsonl": '{"text": "가", "label": "1", "text": "나"}',
    }
    for suffix, content in contents.items():
        assert "'text'" in refused(written(tmp_path / f"a.{suffix}", content))
    names = ["text", "label", "text"]
    columns = [pa.array(["가"]), pa.array(["1"]), pa.array(["나"])]
    pq.write_table(pa.Table.from_arrays(columns, names=names), tmp_path / "a.parquet")
    assert "'text'" in refused(tmp_path / "a.parquet")
    assert "'text'" in refused(write_xlsx(tmp_path / "a.xlsx", [names, ["가", "1", "나"]]))


@pytest.mark.parametrize(
    "row", ["가", "가,1,2", '"가\n나"', "가,1,"], ids=["less", "more", "two lines", "comma"]
)
def test_a_row_with_more_or_fewer_cells_is_named(tmp_path, row):
    path = written(tmp_path / "a.csv", f'text,label\n"여러\n\n줄",1\n\n{row}\n다,1\n')
    assert f"{path}, line 6:" in refused(path)  # the header, three lines, a blank one
    path = written(tmp_path / "a.TSV", "text\tlabel\n가\t1\n\n나\t나\t0\n")
    assert f"{path}, line 4:" in refused(path)


@bounded
@given(cells=st.lists(st.text(st.sampled_from('가"\n\r,'), max_size=6), min_size=1, max_size=6))
def test_csv_rows_are_numbered_by_the_line_on_which_they_begin(tmp_path, cells):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    begins = []
    for cell in cells:
        before = stream.getvalue().replace("\r\n", "\n").replace("\r", "\n")
        begins.append(before.count("\n") + 1)
        writer.writerow((cell, "1"))
    assert lines_of(written(tmp_path / "a.csv", stream.getvalue())) == begins


def test_jsonl_and_tsv_rows_are_numbered_by_line_and_parquet_rows_by_row(tmp_path):
    line = '{"text": "가\\n나", "label": 1}'
    assert lines_of(written(tmp_path / "a.jsonl", f"{line}\n\n{line}\n")) == [1, 3]
    assert lines_of(written(tmp_path / "a.tsv", "text\tlabel\n\n가\t1\n나\t0\n")) == [3, 4]
    pq.write_table(
        pa.table({"text": ["가"] * 3, "label": [1] * 3}), tmp_path / "a.parquet", row_group_size=2
    )
    assert lines_of(tmp_path / "a.parquet") == [1, 2, 3]


@pytest.mark.parametrize("content", ['가,1\n"나,0\n다,1\n', '가,1\n"나"다,0\n'])
def test_a_quote_that_is_not_closed_is_refused(tmp_path, content):
    path = written(tmp_path / "a.csv", f"text,label\n{content}")
    message = refused(path)
    assert "quote" in message and "line 3" in message


@pytest.mark.parametrize(
    "line",
    ["{", "[1]", "3", "null", '"글"', "[]", '{"text": "가"} {}', '{"text": "가", }', "{'a': 1}"],
)
def test_a_line_that_is_not_an_object_is_named(tmp_path, line):
    path = written(tmp_path / "a.jsonl", f'{{"text": "가", "label": 1}}\n{line}\n')
    assert f"{path}, line 2:" in refused(path)


def test_a_parquet_file_that_is_cut_off_is_refused(tmp_path):
    pq.write_table(pa.table({"text": ["가"], "label": [1]}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    for broken in (content[:-5], content[:40], b"text,label\n1,2\n"):
        assert "parquet" in refused(written(tmp_path / "a.parquet", broken))


def test_a_text_of_over_a_million_characters_is_refused_in_csv(tmp_path):
    path = written(tmp_path / "a.csv", "text,label\n" + "가" * 1_000_001 + ",1\n")
    assert "line 2" in refused(path)


def test_reading_leaves_the_csv_modules_limit_as_it_was(tmp_path):
    before = csv.field_size_limit(12_345)
    path = written(tmp_path / "a.csv", "text,label\n가,1\n나,0\n")
    assert next(read_rows(path, COLUMNS))  # left after a row
    list(read_rows(path, COLUMNS))
    assert csv.field_size_limit(before) == 12_345
