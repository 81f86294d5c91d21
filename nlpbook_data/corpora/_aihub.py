"""What the modules of AI Hub's Korean-English corpus share: workbooks, two texts a row."""

import logging
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from datasets import ClassLabel, Features

from nlpbook_data.corpora.declaration import Corpus, Split, carved, texts
from nlpbook_data.errors import InputError
from nlpbook_data.reading.values import Files, Rows, malformed
from nlpbook_data.reading.workbook import read_sheet

logger = logging.getLogger(__name__)

PAGE = "https://aihub.or.kr/aihubdata/data/view.do?dataSetSn=126"
HEADER = ["원문", "번역문"]
SUFFIX = "_200226.xlsx"
# The name of each part, Korpora's name for it, and its number of workbooks.
PARTS = {
    "구어체": ("1_구어체", "1_spoken", 2),
    "대화체": ("2_대화체", "2_conversation", 1),
    "뉴스": ("3_문어체_뉴스", "3_news", 4),
    "한국문화": ("4_문어체_한국문화", "4_korean_culture", 1),
    "조례": ("5_문어체_조례", "5_decree", 1),
    "지자체웹사이트": ("6_문어체_지자체웹사이트", "6_government_website", 1),
}


def declare(name: str, title: str, parts: Sequence[str]) -> Corpus:
    """Return the declaration of the corpus that consists of `parts`, keys of `PARTS`."""
    names = [stem for part in parts for stem in PARTS[part][:2]]
    workbooks = ", ".join(names for part in parts for names in _workbooks(part))
    return Corpus(
        name=name,
        task="translation",
        title=title,
        features=Features(**texts("korean", "english"), source=ClassLabel(names=list(PARTS))),
        splits={
            "train": Split(" + ".join(parts), files=tuple(f"{stem}*{SUFFIX}" for stem in names)),
            "validation": carved(0.05),
            "test": carved(0.05),
        },
        texts=("korean", "english"),
        groups=("korean", "english"),
        license="AI Hub terms",
        homepage=PAGE,
        citation="한국어-영어 번역(병렬) 말뭉치, AI Hub, 한국지능정보사회진흥원 (2019).",
        by_hand=(
            f"Apply at {PAGE} (approved at once), unpack what you download and put these files "
            f"into AIHub_Translation: {workbooks}. Korpora's names ("
            f"{', '.join(f'{PARTS[part][1]}…{SUFFIX}' for part in parts)}) do as well."
        ),
        folder_name="AIHub_Translation",
    )


def read_pairs(files: Files) -> Rows:
    """Yield ``{"korean": str, "english": str, "source": id}`` for each row of the first sheets.

    Only the last two columns are read, with the headers 원문 and 번역문. Empty rows are skipped.
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
    rows = read_sheet(path)
    place, header = next(rows, (f"{path}, row 1", []))
    if [str(name).strip() for name in header[-2:]] != HEADER or not place.endswith("row 1"):
        found = " | ".join(map(str, header[-2:]))
        raise malformed(place, found, "in row 1 a header that ends in 원문 | 번역문")
    width = len(header)
    for place, cells in rows:
        if len(cells) > width:
            raise malformed(place, cells[-1], "nothing right of 번역문")
        cells += [None] * (width - len(cells))
        for name, cell in zip(HEADER, cells[-2:], strict=True):
            if not isinstance(cell, str | None):
                raise malformed(f"{place}, {name}", cell, "a text")
        yield str(cells[-2] or ""), str(cells[-1] or "")
