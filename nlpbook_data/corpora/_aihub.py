"""What the modules of AI Hub's Korean-English corpus share: workbooks, two texts a row."""

import logging
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Features, Value
from python_calamine import CalamineError, load_workbook

from nlpbook_data.corpora._read import AGAIN, malformed
from nlpbook_data.corpus import Corpus, Split
from nlpbook_data.errors import InputError

logger = logging.getLogger(__name__)

PAGE = "https://aihub.or.kr/aihubdata/data/view.do?dataSetSn=126"
HEADER = ["원문", "번역문"]
SUFFIX = "_200226.xlsx"
# Each part under its own name and under Korpora's, and how many workbooks it is.
PARTS = {
    "구어체": ("1_구어체", "1_spoken", 2),
    "대화체": ("2_대화체", "2_conversation", 1),
    "뉴스": ("3_문어체_뉴스", "3_news", 4),
    "한국문화": ("4_문어체_한국문화", "4_korean_culture", 1),
    "조례": ("5_문어체_조례", "5_decree", 1),
    "지자체웹사이트": ("6_문어체_지자체웹사이트", "6_government_website", 1),
}

# The reader makes a table up to the last cell, however far it is from the others, and where that
# is too large for the memory the process dies. The official workbooks have 2 million cells.
MAX_CELLS = 20_000_000
REFERENCE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,9})(\d{1,19})["']""")
BLOCK_BYTES = 1 << 20
# OSError: of a seek to where a damaged zip file points
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError)


def declare(name: str, title: str, parts: Sequence[str]) -> Corpus:
    """Return the declaration of the corpus that is made up of `parts`, keys of `PARTS`."""
    names = [stem for part in parts for stem in PARTS[part][:2]]
    workbooks = ", ".join(names for part in parts for names in _workbooks(part))
    return Corpus(
        name=name,
        task="translation",
        title=title,
        features=Features(
            korean=Value("string"), english=Value("string"), source=ClassLabel(names=list(PARTS))
        ),
        splits={
            "train": Split(" + ".join(parts), files=tuple(f"{stem}*{SUFFIX}" for stem in names)),
            "validation": Split("5% carved from train", carved_from="train", share=0.05),
            "test": Split("5% carved from train", carved_from="train", share=0.05),
        },
        texts=("korean", "english"),
        groups=("korean", "english"),
        license="AI Hub terms of use (by application)",
        commercial=False,
        homepage=PAGE,
        citation="한국어-영어 번역(병렬) 말뭉치, AI Hub, 한국지능정보사회진흥원 (2019).",
        by_hand=(
            f"Apply at {PAGE} (approved at once), unpack what you download and put these files "
            f"into AIHub_Translation: {workbooks}. Korpora's names ("
            f"{', '.join(f'{PARTS[part][1]}…{SUFFIX}' for part in parts)}) do as well."
        ),
        folder_name="AIHub_Translation",
    )


def read_pairs(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield ``{"korean": str, "english": str, "source": id}`` a row of the first sheets.

    The last two columns count, under 원문 and 번역문; a row without any cell is none.
    """
    ids = {stem: n for n, stems in enumerate(PARTS.values()) for stem in stems[:2]}
    seen: dict[tuple[int, str], Path] = {}
    for path in files:
        name = unicodedata.normalize("NFC", path.name).removesuffix(SUFFIX)
        stem, _, volume = name.partition("(")
        if stem not in ids:
            raise InputError(f"{path}: none of AI Hub's names. Call it as AI Hub or Korpora does.")
        twin = seen.setdefault((ids[stem], volume), path)
        if twin != path:
            raise InputError(f"{path}: the same file as {twin.name} by its name. Keep one of them.")
    for number in {number for number, _ in seen}:
        part = list(PARTS)[number]
        found = sum(owner == number for owner, _ in seen)
        if found < PARTS[part][2]:
            logger.warning(
                "%s: %d of the %d workbooks of %s are there (%s).",
                *(files[0].parent, found, PARTS[part][2], part, ", ".join(_workbooks(part))),
            )
    for (source, _), path in seen.items():
        for korean, english in _read_workbook(path):
            yield {"korean": korean, "english": english, "source": source}


def _workbooks(part: str) -> list[str]:
    stem, _, count = PARTS[part]
    volumes = [f"({n})" for n in range(1, count + 1)] if count > 1 else [""]
    return [f"{stem}{volume}{SUFFIX}" for volume in volumes]


def _read_workbook(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        if file.read(4) == b"\xd0\xcf\x11\xe0":
            raise InputError(
                f"{path}: encrypted, or of Excel before 2007. Save it as .xlsx without a password."
            )
    try:
        _check_extent(path)
        with load_workbook(path) as workbook:
            yield from _read_sheet(path, workbook.get_sheet_by_index(0).iter_rows())
    except (CalamineError, *DAMAGE) as error:
        said = (str(error) or type(error).__name__).splitlines()[0][:100]
        raise InputError(f"{path}: not a workbook ({said}). {AGAIN}") from error


def _read_sheet(path: Path, rows: Iterator[list[Any]]) -> Iterator[tuple[str, str]]:
    header = [cell.strip() if isinstance(cell, str) else cell for cell in next(rows, [])]
    while header and header[-1] == "":
        header.pop()
    if header[-2:] != HEADER:
        found = " | ".join(map(str, header[-2:]))
        raise malformed(f"{path}, row 1", found, "a header that ends in 원문 | 번역문")
    width = len(header)
    for number, cells in enumerate(rows, start=2):
        if all(cell == "" for cell in cells):
            continue
        place = f"{path}, row {number}"
        if any(cell != "" for cell in cells[width:]):
            raise malformed(place, cells[width:], "nothing right of 번역문")
        korean, english = cells[width - 2 : width]
        for name, cell in zip(HEADER, (korean, english), strict=True):
            if not isinstance(cell, str):
                raise malformed(f"{place}, {name}", cell, "a text")
        yield korean, english


def _check_extent(path: Path) -> None:
    """Refuse a workbook with a cell that is too far out to be read."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.filename.endswith("sharedStrings.xml"):
                continue
            columns, rows, rest = set(), {0}, b""
            with archive.open(part) as file:
                while block := file.read(BLOCK_BYTES):
                    for column, row in set(REFERENCE.findall(rest + block)):
                        columns.add(column)
                        rows.add(row)
                    rest = block[-64:]
            width = max(map(_column_number, columns), default=0)
            height = max(map(int, rows))
            if width * height > MAX_CELLS:
                raise InputError(
                    f"{path}: not a table in {part.filename}, with {height:,} rows and {width:,} "
                    f"columns. {AGAIN}"
                )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number
