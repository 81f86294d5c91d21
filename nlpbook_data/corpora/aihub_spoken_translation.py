"""AI Hub's Korean-English parallel corpus: spoken sentences."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlpbook_data.corpora._aihub import declare, read_pairs

CORPUS = declare("aihub_spoken_translation", "한국어-영어 번역 말뭉치: 구어체", ["구어체"])


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield ``{"korean": str, "english": str, "source": id}`` a row."""
    yield from read_pairs(files)
