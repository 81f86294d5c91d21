"""The user's own files: what is written is read, what cannot be read is named."""

import csv
import gzip
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
from nlpbook_data.own_files.options import Options
from nlpbook_data.own_files.schemas import describe_format, read_examples
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


def test_parquet_keeps_types_and_reads_only_the_columns_that_are_asked_for(tmp_path):
    table = {"text": ["가", "나"], "label": [1.0, None], "tags": [["a"], []], "other": [b"", b""]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet", row_group_size=1)
    rows = [row for _, row in read_rows(tmp_path / "a.parquet", ["text"], ["tags", "label", "no"])]
    assert rows == [
        {"text": "가", "label": 1.0, "tags": ["a"]},
        {"text": "나", "label": None, "tags": []},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("tsv", "\t")])
def test_a_mark_blank_lines_and_a_missing_last_line_break_are_no_rows(
    tmp_path, suffix, separator, end
):
    lines = ["\ufefftext,label", "", "가,1", "", "나,0"]
    content = end.join(lines).replace(",", separator)
    assert read(written(tmp_path / f"a.{suffix}", content)) == [("가", "1"), ("나", "0")]


# Encodings


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


def test_a_csv_of_semicolons_or_tabs_and_columns_without_a_name(tmp_path):
    for mark, name in (
        (",", "csv, comma"),
        (";", "csv, semicolon"),
        ("\t", "csv, tab"),
        ("|", "csv, pipe"),
    ):
        text = 'text,label,,\n"가,\n나",1,,\n'.replace(",", mark)
        path = written(tmp_path / "a.csv", text.encode("cp949"))
        row = {"text": f"가{mark}\n나", "label": "1"}
        assert [row for _, row in read_rows(path, COLUMNS)] == [row]
        assert describe_format(path, "doccls", {}, True) == f"{name}, cp949"


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "layout",
    [
        lambda rows: {"version": "1.0", "rows": rows},
        lambda rows: {key: {str(n): row[key] for n, row in enumerate(rows)} for key in COLUMNS},
        lambda rows: {key: [row[key] for row in rows] for key in COLUMNS},
        lambda rows: {str(n): row for n, row in enumerate(rows)},
    ],
)
def test_rows_of_one_object(tmp_path, layout, indent):
    rows = [{"text": "가", "label": "1"}, {"text": "나\n다", "label": "0"}]
    path = written(tmp_path / "a.json", json.dumps(layout(rows), indent=indent))
    assert [row for _, row in read_rows(path, COLUMNS)] == rows


def test_quotes_of_csv_in_tsv_are_said(tmp_path):
    path = written(tmp_path / "a.tsv", 'text\tlabel\n"그는 ""좋다"" 했다"\t1\n"좋다"\t0\n')
    options = Options()
    assert len(list(read_examples(path, "doccls", options=options))) == 2
    assert options.lines()[0].startswith("1 rows have the quotes of csv")


# What is refused


def as_parquet(columns: dict[str, list] | list[list], names: list[str] | None = None) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns, names=names), file)
    return file.getvalue()


PARQUET = as_parquet({"text": ["가"], "label": [1]})
GOOD = '{"text": "가", "label": 1}\n'
# What is no table, or has a row that is wrong: the file's name, its content, and what is said.
WRONG = [
    *((f"a.{suffix}", None, ["no such file"]) for suffix in ("csv", "tsv", "jsonl", "xlsx")),
    *((f"a.{suffix}", "", ["empty"]) for suffix in ("csv", "tsv", "jsonl", "xlsx", "parquet")),
    *(("a.csv", text, []) for text in ("\ufeff", "\n", "\r\n\r\n", "text,label", "text,label\n\n")),
    *(("a.tsv", text, []) for text in ("\ufeff", "\n", "text\tlabel", "text\tlabel\n\n")),
    *(("a.jsonl", text, []) for text in ("\ufeff", "\n", "  \n\n")),
    ("a.xlsx", [COLUMNS], ["no row"]),
    ("a.xlsx", [], ["empty"]),
    ("a.xlsx", [COLUMNS, ["가", 1, "나"]], ["row 2: 3 cells where the header has 2"]),
    ("a.xlsx", [COLUMNS, ["가", "#N/A"]], ["sheet 'Sheet', row 2, column 2: found '#N/A'"]),
    ("a.xlsx", [["text", "label", "text"], ["가", "1", "나"]], ["'text'"]),
    ("a.parquet", as_parquet({"text": [], "label": []}), ["no row"]),
    *(
        ("a.parquet", data, ["parquet"])
        for data in (PARQUET[:-5], PARQUET[:40], b"text,label\n1,2")
    ),
    ("a.parquet", as_parquet([["가"], ["1"], ["나"]], ["text", "label", "text"]), ["'text'"]),
    ("a.csv", "text,label,text\n가,1,나", ["'text'"]),
    ("a.tsv", "text,label\n가,1\n", ["',', where .tsv has a tab"]),
    ("a.tsv", "text|label\n가|1\n", ["'|', where .tsv has a tab"]),
    ("a.csv", "가,1\n나,0\n", ["no column 'text'", "If the file has no header"]),
    *(
        ("a.csv", f"text,label\n가,1\n{bom}text,label\n", ["line 3: the header"])
        for bom in ("", "\ufeff")
    ),
    ("a.json", "[]", ["no row"]),
    ("a.tsv", "text\tlabel\ttext\n가\t1\t나", ["'text'"]),
    ("a.xlsx", [["후기 2026"], COLUMNS, ["가", "1"]], ["row 2: the header seems to stand here"]),
    ("a.xlsx", [["후기"], ["가"]], ["row 1: there is no column", "--sheet_name"]),
    ("a.json", '[["가", "1"]]', ["item 1: found"]),
    ("a.json", '{"train": [{"text": "가"}], "test": [{"text": "나"}]}', ["those of train, test"]),
    ("a.json", '{\n"rows": [{"text": "가"},]}', ["not JSON", "line 2, character"]),
    ("a.json", '{\n"info": {"name": "나"}, "id": 3\n}', ["are info", "write it beside others"]),
    ("a.jsonl", '{"text": "가", "label": "1", "text": "나"}', ["'text'"]),
    # less, more, two lines, a comma: after the header, three lines and a blank one
    *(
        ("a.csv", f'text,label\n"여러\n\n줄",1\n\n{row}\n다,1\n', ["line 6:"])
        for row in ("가", "가,1,2", '"가\n나"', "가,1,")
    ),
    ("a.TSV", "text\tlabel\n가\t1\n\n나\t나\t0\n", ["line 4:"]),
    *(
        ("a.csv", f"text,label\n가,1\n{rows}", ["quote", "line 3"])
        for rows in ('"나,0\n다,1\n', '"나"다,0\n')
    ),
    ("a.csv", "text,label\n" + "가" * 1_000_001 + ",1\n", ["line 2"]),
    *(
        ("a.jsonl", f"{GOOD}{line}\n", ["line 2:"])
        for line in ("{", "[1]", "3", "null", '"글"', "[]", '{"text": "가"} {}', '{"text": "가", }')
    ),
]


@pytest.mark.parametrize(("name", "content", "parts"), WRONG)
def test_what_is_wrong_is_named_with_its_row(tmp_path, name, content, parts):
    path = tmp_path / name
    if isinstance(content, list):
        write_xlsx(path, content)
    elif content is not None:
        written(path, content)
    with pytest.raises(InputError) as raised:
        list(read_examples(path, "doccls"))
    message = str(raised.value)
    assert str(path) in message and "\n" not in message
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize("name", ["a.txt", "a.xls", "a", "csv", "a.csv.zip"])
def test_another_ending_is_refused_with_those_that_there_are(tmp_path, name):
    path = written(tmp_path / name, "text,label\n가,1")
    with pytest.raises(InputError, match=r"\.csv, \.tsv, \.jsonl, \.json, \.xlsx, \.parquet"):
        list(read_rows(path, COLUMNS))


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


def test_reading_leaves_the_csv_modules_limit_as_it_was(tmp_path):
    before = csv.field_size_limit(12_345)
    path = written(tmp_path / "a.csv", "text,label\n가,1\n나,0\n")
    assert next(read_rows(path, COLUMNS))  # left after a row
    list(read_rows(path, COLUMNS))
    assert csv.field_size_limit(before) == 12_345


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8", "UTF-8"), ("utf-16", "UTF-16"), ("cp949", "cp949")]
)
def test_how_a_file_is_read_is_described(tmp_path, encoding, said, pack):
    path = written(tmp_path / "a.tsv", pack("text\tlabel\n좋다\t긍정\n".encode(encoding)))
    assert describe_format(path, "doccls", {}, gold=True) == f"tsv, tab, {said}"
