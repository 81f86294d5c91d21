"""Code that the corpora which ship with this package share; the manifest has their checksums."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow.json import read_json

from nlpbook_data.corpora.declaration import Split
from nlpbook_data.reading.values import Files


def declare(name: str) -> dict[str, Any]:
    """Return the common fields of the declarations."""
    files = {split: f"{split}.jsonl" for split in ("train", "validation", "test")}
    return {
        "name": name,
        "splits": {s: Split(f"{f}, written for this project", (f,)) for s, f in files.items()},
        "license": "CC0-1.0",
        "homepage": f"nlpbook_data/samples/{name}",
        "packaged": True,
    }


def parse(files: Files) -> Iterator[pa.Table]:
    """Yield the rows of JSON-lines files as tables; labels are words or numbers."""
    yield from map(read_json, files)
