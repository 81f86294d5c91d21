"""AI Hub's workbooks under the names of AI Hub and of Korpora, and damage."""

import logging
import random
import shutil
import unicodedata
import zipfile
from pathlib import Path

import pytest
from fixture_rows import FIXTURES, parse
from openpyxl import Workbook

from nlpbook_data import InputError
from nlpbook_data.data.corpus import find_corpus

PARTS = ["spoken", "conversation", "news", "korean_culture", "decree", "government_website"]
NAMES = ["aihub_translation", *(f"aihub_{part}_translation" for part in PARTS)]
FOLDER = FIXTURES / "AIHub_Translation"
# From the table in Korpora's description.
ENGLISH = {
    "1_구어체(1)": "1_spoken(1)",
    "1_구어체(2)": "1_spoken(2)",
    "2_대화체": "2_conversation",
    "3_문어체_뉴스(1)": "3_news(1)",
    "4_문어체_한국문화": "4_korean_culture",
    "5_문어체_조례": "5_decree",
    "6_문어체_지자체웹사이트": "6_government_website",
}
SPOKEN = "1_구어체(1)_200226.xlsx"
HEADER = ["SID", "원문", "번역문"]


@pytest.fixture
def english(tmp_path) -> Path:
    """Return a root with the fixtures under the names that Korpora gives them."""
    folder = tmp_path / "English" / "AIHub_Translation"
    folder.mkdir(parents=True)
    for own, other in ENGLISH.items():
        shutil.copy(FOLDER / f"{own}_200226.xlsx", folder / f"{other}_200226.xlsx")
    return folder.parent


@pytest.fixture
def spoken(tmp_path) -> Path:
    """Return where a workbook of spoken sentences goes, below `tmp_path`."""
    (tmp_path / "AIHub_Translation").mkdir()
    return tmp_path / "AIHub_Translation" / SPOKEN


def pairs(root: Path = FIXTURES, name: str = "aihub_spoken_translation") -> list[tuple[str, str]]:
    return [(row["korean"], row["english"]) for row in parse(name, "train", root)]


def write(path: Path, *sheets: list[list]) -> Path:
    book = Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet() if number else book.active
        for y, row in enumerate(rows, start=1):
            for x, value in enumerate(row, start=1):
                if value is not None:
                    sheet.cell(y, x, value)
    book.save(path)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_same_under_both_names(name, english):
    rows = parse(name, "train", english)
    assert parse(name, "train") == rows
    assert len(rows) == {"aihub_translation": 15, "aihub_spoken_translation": 5}.get(name, 2)


def test_names_that_macos_decomposed_are_found(spoken, tmp_path):
    shutil.copy(FOLDER / SPOKEN, spoken.with_name(unicodedata.normalize("NFD", SPOKEN)))
    assert len(pairs(tmp_path)) == 3


def test_missing_workbooks_are_named_in_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        parse("aihub_spoken_translation", "train")
        assert not caplog.text
        parse("aihub_news_translation", "train")
    assert "1 of the 4 workbooks of 뉴스" in caplog.text
    assert "3_문어체_뉴스(4)_200226.xlsx" in caplog.text


def test_the_same_workbook_under_two_names_is_refused_and_a_lock_file_is_none(english):
    folder = english / "AIHub_Translation"
    (folder / f"~${SPOKEN}").write_bytes(b"lock")
    assert len(parse("aihub_translation", "train", english)) == 15
    shutil.copy(FOLDER / SPOKEN, folder / SPOKEN)
    with pytest.raises(InputError, match=r"1_spoken\(1\)_200226\.xlsx: the same file as 1_구어체"):
        pairs(english)


def test_blanks_are_text_and_empty_rows_and_cells_move_nothing(spoken, tmp_path):
    """Korpora strips the blanks and makes a pair of an empty row."""
    rows = [[*HEADER, ""], [1, " 가 ", "\tA\n"], [], [None, "나", "B"], [2, None, "C"]]
    write(spoken, rows)
    assert pairs(tmp_path) == [(" 가 ", "\tA\n"), ("나", "B"), ("", "C")]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], r"row 1: .*원문 \| 번역문"),
        ([["SID", "번역문", "원문"], [1, "A", "가"]], r"row 1: found '번역문 \| 원문'"),
        ([["원문"], ["가"]], "row 1: found '원문'"),
        ([[], HEADER, [1, "가", "A"]], "row 2: found .*in row 1"),
        ([[1, 2, 3]], r"row 1: found '2 \| 3'"),
        ([HEADER, [1, "가", "A"], [2, 3, "B"]], "row 3, 원문: found '3'"),
        ([HEADER, [1, "가", True]], "row 2, 번역문: found 'True'"),
        ([HEADER, [1, "가", "#N/A"]], "row 2, column 3: found '#N/A'"),
        ([HEADER, [1, "가", "A", "B"]], r"row 2: .*'B'.*nothing right of 번역문"),
    ],
)
def test_what_is_no_pair_of_texts_is_refused_with_its_row(rows, said, spoken, tmp_path):
    write(spoken, rows, [HEADER, [1, "다른 쪽", "another sheet"]])
    with pytest.raises(InputError, match=rf"1_구어체\(1\)_200226\.xlsx, (sheet 'Sheet', )?{said}"):
        pairs(tmp_path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        *(((FOLDER / SPOKEN).read_bytes()[:size], "not a workbook") for size in (0, 2, 300, -30)),
        (b"<!DOCTYPE html><html><body>login</body></html>", "not a workbook"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000), "encrypted.* without a password"),
    ],
)
def test_what_is_no_workbook_is_refused(data, said, spoken, tmp_path):
    spoken.write_bytes(data)
    with pytest.raises(InputError, match=rf"1_구어체\(1\)_200226\.xlsx: {said}"):
        pairs(tmp_path)


def replace_inside(path: Path, old: str, new: str) -> None:
    """Replace `old` by `new` in the files that the workbook at `path` is made up of."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert any(old.encode() in part for part in parts.values())
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part.replace(old.encode(), new.encode()))


@pytest.mark.parametrize("entity", ['"AAAA"', 'SYSTEM "file:///etc/passwd"'])
def test_no_entity_of_a_workbook_reads_a_file(entity, spoken, tmp_path):
    shutil.copy(FOLDER / SPOKEN, spoken)
    replace_inside(spoken, "<sst ", f"<!DOCTYPE s [<!ENTITY a {entity}>]><sst ")
    replace_inside(spoken, "어느 쪽", "&a;")
    try:
        assert all("root:" not in text for pair in pairs(tmp_path) for text in pair)
    except InputError as error:
        assert "not a workbook" in str(error)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('r="B3" t="s"><v>5<', 'r="B3" t="s"><v>99<'),
        ("</row></sheetData>", "</sheetData>"),
        ('Target="worksheets/sheet1.xml"', 'Target="worksheets/x.xml"'),
    ],
)
def test_texts_and_parts_that_are_not_there_are_refused(old, new, spoken, tmp_path):
    shutil.copy(FOLDER / SPOKEN, spoken)
    replace_inside(spoken, old, new)
    with pytest.raises(InputError, match="not a workbook"):
        pairs(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("'사과'와 \"배\", 어느 쪽이 좋아요?", "안_x000D_녕", "안\r녕"),
        ("<sheetData>", '<dimension ref="A1:A1"/><sheetData>', None),
    ],
)
def test_what_excel_may_write_is_read_as_it_means_it(old, new, text, spoken, tmp_path):
    shutil.copy(FOLDER / SPOKEN, spoken)
    replace_inside(spoken, old, new)
    expected = pairs()[:3]
    assert pairs(tmp_path) == [(text if text and k == old else k, e) for k, e in expected]
    assert not text or old in [korean for korean, _ in expected]


def test_damaged_bytes_give_rows_or_an_error_that_names_the_file(spoken, tmp_path):
    with zipfile.ZipFile(FOLDER / SPOKEN) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    random.seed(7)
    for _ in range(300):
        name = random.choice(sorted(parts))
        data = bytearray(parts[name])
        at = random.randrange(len(data))
        data[at : at + random.randrange(4)] = random.randbytes(random.randrange(3))
        with zipfile.ZipFile(spoken, "w") as archive:
            for other, part in parts.items():
                archive.writestr(other, bytes(data) if other == name else part)
        try:
            pairs(tmp_path)
        except InputError as error:
            assert str(spoken) in str(error) and "\n" not in str(error)


def test_where_to_apply_and_what_to_put_where_is_said():
    corpus = find_corpus("aihub_translation")
    names = [f"{own}_200226.xlsx" for own in ENGLISH]
    names += [f"3_문어체_뉴스({n})_200226.xlsx" for n in (2, 3, 4)]
    assert all(name in corpus.by_hand for name in names)
    assert "dataSetSn=126" in corpus.by_hand and "AIHub_Translation" in corpus.by_hand
