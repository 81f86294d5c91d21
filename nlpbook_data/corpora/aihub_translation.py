"""AI Hub's Korean-English parallel corpus: all six parts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlpbook_data.corpora._aihub import PARTS, declare, read_pairs

CORPUS = declare("aihub_translation", "한국어-영어 번역(병렬) 말뭉치", list(PARTS))


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield ``{"korean": str, "english": str, "source": id}`` a row."""
    yield from read_pairs(files)
