"""AI Hub's workbooks: what Korpora reads of the same files, names of both, and damage.

Korpora reads them by xlrd, which since version 2 refuses .xlsx; it gets a stand-in with the same
cells, which are held against the readable tables that the fixtures were written from.
"""

import json
import logging
import shutil
import unicodedata
import zipfile
from pathlib import Path
from types import SimpleNamespace

import Korpora.korpus_aihub_translation as korpus
import pytest
from fixture_rows import FIXTURES, parse
from Korpora.loader import KORPUS
from python_calamine import load_workbook
from xlsx_writer import HEAD, write_xlsx

from nlpbook_data import InputError, load_corpus
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


def cells_of(path: Path) -> list[list]:
    return load_workbook(path).get_sheet_by_index(0).to_python(skip_empty_area=False)


def open_workbook(path: str) -> SimpleNamespace:
    """Stand in for xlrd.open_workbook, as far as Korpora uses it."""
    rows = [[SimpleNamespace(value=cell) for cell in row] for row in cells_of(Path(path))]
    sheet = SimpleNamespace(nrows=len(rows), row=rows.__getitem__)
    return SimpleNamespace(sheet_by_index=[sheet].__getitem__)


@pytest.fixture
def korpora(monkeypatch):
    """Return a function of a corpus' name and root that gives Korpora's pairs."""
    monkeypatch.setattr(korpus, "xlrd", SimpleNamespace(open_workbook=open_workbook))

    def read(name: str, root: Path) -> list[tuple[str, str]]:
        train = KORPUS[name](root_dir=str(root / "AIHub_Translation")).train
        return list(zip(train.texts, train.pairs, strict=True))

    return read


@pytest.fixture
def english(tmp_path) -> Path:
    """Return a root with the fixtures under the names that Korpora gives them."""
    folder = tmp_path / "English" / "AIHub_Translation"
    folder.mkdir(parents=True)
    for own, other in ENGLISH.items():
        shutil.copy(FOLDER / f"{own}_200226.xlsx", folder / f"{other}_200226.xlsx")
    return folder.parent


def pairs(rows: list[dict]) -> list[tuple[str, str]]:
    return [(row["korean"], row["english"]) for row in rows]


def spoken(tmp_path: Path, *sheets, **options) -> list[dict]:
    """Return the rows of a workbook of `sheets`."""
    (tmp_path / "AIHub_Translation").mkdir()
    write_xlsx(tmp_path / "AIHub_Translation" / SPOKEN, *sheets, **options)
    return parse("aihub_spoken_translation", "train", tmp_path)


def damaged(tmp_path: Path, data: bytes) -> list[dict]:
    """Return the rows of a workbook of `data`."""
    (tmp_path / "AIHub_Translation").mkdir()
    (tmp_path / "AIHub_Translation" / SPOKEN).write_bytes(data)
    return parse("aihub_spoken_translation", "train", tmp_path)


@pytest.mark.parametrize("table", sorted(FOLDER.glob("*.jsonl")), ids=lambda table: table.stem)
def test_the_fixtures_hold_the_cells_of_their_tables(table):
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    assert cells_of(table.with_suffix(".xlsx")) == [
        ["" if cell is None else cell for cell in row] for row in rows
    ]


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_korporas_under_both_names(name, korpora, english):
    rows = parse(name, "train", english)
    assert pairs(rows) == korpora(name, english)
    assert parse(name, "train") == rows
    assert len(rows) == {"aihub_translation": 15, "aihub_spoken_translation": 5}.get(name, 2)


def test_a_row_is_two_texts_and_the_part():
    assert parse("aihub_conversation_translation", "train") == [
        {
            "korean": "새 제품은 언제 나오나요?",
            "english": "When does the new product come out?",
            "source": 1,
        },
        {"korean": "다음 달, 3일입니다.", "english": "Next month, on the 3rd.", "source": 1},
    ]
    names = find_corpus("aihub_translation").features["source"].names
    assert names == ["구어체", "대화체", "뉴스", "한국문화", "조례", "지자체웹사이트"]


def test_line_breaks_markup_emoji_and_decomposed_letters_are_text():
    rows = pairs(parse("aihub_spoken_translation", "train"))
    assert rows[2:] == [
        ("첫째 줄\n둘째 줄", "First line\nSecond line"),
        (
            unicodedata.normalize("NFD", "한국어") + " 공부가 재미있어요😊",
            "Studying Korean is fun😊",
        ),
        ("A & B < C > D", "A & B < C > D"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_loading_loses_no_row(name, tmp_path):
    loaded = load_corpus(name, FIXTURES, tmp_path)
    rows = [row for split in loaded.values() for row in split]
    assert sorted(map(repr, rows)) == sorted(map(repr, parse(name, "train")))


def test_names_that_macos_decomposed_are_found(tmp_path):
    folder = tmp_path / "AIHub_Translation"
    folder.mkdir()
    shutil.copy(FOLDER / SPOKEN, folder / unicodedata.normalize("NFD", SPOKEN))
    assert len(parse("aihub_spoken_translation", "train", tmp_path)) == 3


def test_missing_workbooks_are_named_in_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        parse("aihub_news_translation", "train")
    assert "1 of the 4 workbooks of 뉴스" in caplog.text
    assert "3_문어체_뉴스(4)_200226.xlsx" in caplog.text


def test_whole_parts_are_no_warning(caplog):
    with caplog.at_level(logging.WARNING):
        parse("aihub_spoken_translation", "train")
    assert not caplog.text


def test_the_same_workbook_under_two_names_is_refused(english):
    folder = english / "AIHub_Translation"
    shutil.copy(FOLDER / SPOKEN, folder / SPOKEN)
    with pytest.raises(InputError, match=r"1_spoken\(1\)_200226\.xlsx: the same file as 1_구어체"):
        parse("aihub_spoken_translation", "train", english)


def test_excels_lock_files_are_not_workbooks(english):
    (english / "AIHub_Translation" / f"~${SPOKEN}").write_bytes(b"lock")
    assert len(parse("aihub_translation", "train", english)) == 15


# --- where Korpora is not to be followed ----------------------------------------------------

HEADER = ["SID", "원문", "번역문"]


def test_outer_blanks_are_text_and_korpora_strips_them(tmp_path, korpora):
    rows = spoken(tmp_path, [HEADER, [1, " 가 ", "\tA\n"]])
    assert pairs(rows) == [(" 가 ", "\tA\n")]
    assert korpora("aihub_translation", tmp_path) == [("가", "A")]


def test_rows_without_any_cell_are_none_and_korpora_makes_them_pairs(tmp_path, korpora):
    rows = spoken(tmp_path, [HEADER, [1, "가", "A"], [None, None, None], [2, "나", "B"]])
    assert pairs(rows) == [("가", "A"), ("나", "B")]
    assert korpora("aihub_translation", tmp_path) == [("가", "A"), ("", ""), ("나", "B")]


def test_a_formatted_column_right_of_the_table_is_no_reason_to_refuse_it(tmp_path, korpora):
    rows = spoken(tmp_path, [[*HEADER, ""], [1, "가", "A"]])
    assert pairs(rows) == [("가", "A")]
    with pytest.raises(ValueError, match="header"):
        korpora("aihub_translation", tmp_path)


# --- damage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], r"row 1: .*원문 \| 번역문"),
        ([["SID", "번역문", "원문"], [1, "A", "가"]], r"row 1: found '번역문 \| 원문'"),
        ([["원문"], ["가"]], "row 1: found '원문'"),
        ([[None, None], HEADER, [1, "가", "A"]], "row 1: "),
        ([[1, 2, 3]], r"row 1: found '2\.0 \| 3\.0'"),
        ([HEADER, [1, "가", "A"], [2, 3, "B"]], r"row 3, 원문: found '3\.0'"),
        ([HEADER, [1, "가", True]], "row 2, 번역문: found 'True'"),
        ([HEADER, [1, "가", "A", "B"]], r"row 2: .*'B'.*nothing right of 번역문"),
    ],
)
def test_what_is_no_pair_of_texts_is_refused_with_its_row(rows, said, tmp_path):
    with pytest.raises(InputError, match=rf"1_구어체\(1\)_200226\.xlsx, {said}"):
        spoken(tmp_path, rows)


def test_the_first_sheet_counts(tmp_path):
    with pytest.raises(InputError, match="row 1: found '메모'"):
        spoken(tmp_path, [["메모"]], [HEADER, [1, "가", "A"]])


def test_a_text_is_not_shifted_where_the_cell_before_it_is_missing(tmp_path):
    assert pairs(spoken(tmp_path, [HEADER, [None, "가", "A"], [2, None, "B"]])) == [
        ("가", "A"),
        ("", "B"),
    ]


@pytest.mark.parametrize("size", [0, 2, 300, -30])
def test_a_truncated_workbook_is_refused(size, tmp_path):
    with pytest.raises(InputError, match=r"1_구어체\(1\)_200226\.xlsx: not a workbook"):
        damaged(tmp_path, (FOLDER / SPOKEN).read_bytes()[:size])


def test_a_workbook_with_bad_bytes_inside_is_refused(tmp_path):
    data = bytearray((FOLDER / SPOKEN).read_bytes())
    at = data.index(b"sheet1.xml") + 40
    data[at : at + 4] = b"\xff" * 4
    with pytest.raises(InputError, match="not a workbook"):
        damaged(tmp_path, bytes(data))


def test_an_html_page_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a workbook"):
        damaged(tmp_path, b"<!DOCTYPE html><html><body>login</body></html>")


def test_an_encrypted_workbook_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"encrypted.* without a password"):
        damaged(tmp_path, bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000))


def test_entities_are_not_expanded(tmp_path):
    """Of files elsewhere or of themselves, a billion times."""
    head = f'{HEAD}<!DOCTYPE s [<!ENTITY a "AAAA"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
    (tmp_path / "AIHub_Translation").mkdir()
    path = write_xlsx(tmp_path / "AIHub_Translation" / SPOKEN, [HEADER, [1, "§", "A"]], head=head)
    data = path.read_bytes()
    for entity in ("&a;", "&b;"):
        path.write_bytes(data)
        replace_inside(path, "§", entity)
        with pytest.raises(InputError, match="not a workbook"):
            parse("aihub_spoken_translation", "train", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('r="A4"', 'r="XFD1048576"', "row 4: found 'XFD1048576'"),  # a table of 17 billion cells
        ('r="B3"', 'r="C3"', "row 3: found 'C3'"),
        ('<row r="3">', '<row r="2">', "row 2: found '2'"),
        ('r="B3" t="s"><v>5<', 'r="B3" t="s"><v>99<', "row 3, column 2: found '99'"),
        ('r="B3" t="s"><v>5<', 'r="B3" t="s"><v>-1<', "row 3, column 2: found '-1'"),
        ('r="B3" t="s"><v>5<', 'r="B3" t="e"><v>#N/A<', "row 3, column 2: found '#N/A'"),
        ("</row></sheetData>", "</sheetData>", "not a workbook.*mismatched tag"),
        ('Target="worksheets/sheet1.xml"', 'Target="worksheets/x.xml"', "not a workbook"),
    ],
)
def test_what_other_readers_mend_in_silence_is_refused(old, new, said, tmp_path):
    """calamine gives the first text for the index -1, nothing for #N/A, and dies of far cells."""
    (tmp_path / "AIHub_Translation").mkdir()
    path = Path(shutil.copy(FOLDER / SPOKEN, tmp_path / "AIHub_Translation"))
    replace_inside(path, old, new)
    with pytest.raises(InputError, match=said):
        parse("aihub_spoken_translation", "train", tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('r="B3" t="s"><v>5</v>', 'r="B3" t="inlineStr"><is><t>안</t><t>녕</t></is>'),
        ('r="B3" t="s"><v>5</v>', 't="str"><f>"안녕"</f><v>안녕</v>'),
        ("'사과'와 \"배\", 어느 쪽이 좋아요?</t>", "안</t><rPh><t>an</t></rPh><r><t>녕</t></r>"),
        ("'사과'와 \"배\", 어느 쪽이 좋아요?", "안_x000D_녕"),
        ('<row r="3"><c r="A3">', "<row><c>"),
        ('Target="worksheets/', 'Target="/xl/worksheets/'),
        ("<sheetData>", '<dimension ref="A1:C9"/><sheetData>'),
        ("<sst xmlns=", '<sst count="9" xmlns='),
    ],
)
def test_what_excel_and_others_may_write_is_read_as_calamine_reads_it(old, new, tmp_path):
    (tmp_path / "AIHub_Translation").mkdir()
    path = Path(shutil.copy(FOLDER / SPOKEN, tmp_path / "AIHub_Translation"))
    replace_inside(path, old, new)
    rows = pairs(parse("aihub_spoken_translation", "train", tmp_path))
    assert rows == [tuple(row[-2:]) for row in cells_of(path)[1:]]
    assert len(rows) == 3


def test_names_with_a_prefix_are_read_as_without(tmp_path):
    (tmp_path / "AIHub_Translation").mkdir()
    path = Path(shutil.copy(FOLDER / SPOKEN, tmp_path / "AIHub_Translation"))
    for tag in ("worksheet", "sheetData", "row", "c", "v", "sst", "si", "t"):
        for before, after in (("<", "<x:"), ("</", "</x:")):
            for end in (">", " "):
                replace_inside(path, f"{before}{tag}{end}", f"{after}{tag}{end}", needed=False)
    replace_inside(path, "xmlns=", "xmlns:x=", needed=False)
    assert len(parse("aihub_spoken_translation", "train", tmp_path)) == 3


def replace_inside(path: Path, old: str, new: str, needed: bool = True) -> None:
    """Replace `old` by `new` in the files that the workbook at `path` is made up of."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert not needed or any(old.encode() in part for part in parts.values())
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part.replace(old.encode(), new.encode()))


def test_where_to_apply_and_what_to_put_where_is_said():
    corpus = find_corpus("aihub_translation")
    names = [f"{own}_200226.xlsx" for own in ENGLISH] + [
        f"3_문어체_뉴스({n})_200226.xlsx" for n in (2, 3, 4)
    ]
    assert all(name in corpus.by_hand for name in names)
    assert "dataSetSn=126" in corpus.by_hand and "AIHub_Translation" in corpus.by_hand
