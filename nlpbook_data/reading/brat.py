"""brat's standoff format: a .txt file with the text, and an .ann file with its annotations."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.reading.text import find_encoding, read_lines, read_whole
from nlpbook_data.reading.values import OnError, PlacedRows, convert_each

SPAN = re.compile(r"T\d+\t(?P<label>\S+) (?P<offsets>\d+ \d+(?:;\d+ \d+)*)(?:\t(?P<text>.*))?")


def is_brat(folder: Path) -> bool:
    """Whether `folder` or one of its sub-folders has .ann files."""
    return folder.is_dir() and any(folder.rglob("*.ann"))


def read_brat(folder: Path, gold: bool, notes: Counter[str], on_error: OnError) -> PlacedRows:
    """Yield ``(place, {"text", "entities"})`` for each text file in `folder` and its sub-folders.

    Discontinuous entities are left out and counted in `notes`. Without `gold` the .ann file of a
    text may be missing; then the row lacks entities.
    """

    def read(place: str, path: Path) -> dict[str, Any]:
        annotations = path.with_suffix(".ann")
        if not path.is_file():
            raise InputError(f"{annotations}: there is no {path.name} beside it. Add it.")
        text = read_whole(path)
        if annotations.is_file():
            return {"text": text, "entities": _spans(annotations, text, notes)}
        if gold:
            raise InputError(f"{path}: there is no {annotations.name} beside it. Add it.")
        return {"text": text}

    texts = {
        p.with_suffix(".txt") for ending in ("txt", "ann") for p in folder.rglob(f"*.{ending}")
    }
    return convert_each(((str(path), path) for path in sorted(texts)), read, on_error)


def _spans(path: Path, text: str, notes: Counter[str]) -> list[dict[str, Any]]:
    entities = []
    for place, line in read_lines(path, find_encoding(path)):
        if not line.startswith("T"):  # relations, events, attributes, notes
            continue
        found = SPAN.fullmatch(line)
        if not found:
            raise InputError(f"{place}: found {line[:60]!r}, no entity of brat. Mend the line.")
        pieces = [tuple(map(int, piece.split())) for piece in found["offsets"].split(";")]
        if any(text[a[1] : b[0]].strip() for a, b in pairwise(pieces)):
            notes["entities in several pieces were left out"] += 1
            continue
        start, end, said = pieces[0][0], pieces[-1][1], found["text"]
        if said is not None and " ".join(text[start:end].split()) == " ".join(said.split()):
            said = text[start:end]  # line breaks are blanks in .ann
        entities.append({"start": start, "end": end, "label": found["label"], "text": said})
    return entities
