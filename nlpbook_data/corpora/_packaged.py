"""Code that the corpora which ship with this package share; the manifest has their checksums."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features
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


def parser(features: Features) -> Callable[[Files], Iterator[pa.Table]]:
    """Return a parser of JSON-lines files into tables with `features`; labels may be words."""

    def parse(files: Files) -> Iterator[pa.Table]:
        for file in files:
            rows = Dataset(read_json(file).select(list(features)))
            yield rows.cast(features).data.table

    return parse
