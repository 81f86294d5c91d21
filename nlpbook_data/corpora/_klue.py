"""Code that KLUE's corpora share: their source, their lists of JSON objects, NER tags."""

from typing import Any

from nlpbook_data.corpora.declaration import RawFile, Split, carved, in_file
from nlpbook_data.errors import shown
from nlpbook_data.reading.json_values import read_json_items
from nlpbook_data.reading.values import Files, PlacedRows, member

URL = "https://raw.githubusercontent.com/KLUE-benchmark/KLUE/main/klue_benchmark"
CITATION = (
    "Park, S. et al. (2021). KLUE: Korean Language Understanding Evaluation. arXiv:2105.09680."
)
# KLUE-NER's tags.
ENTITIES = {"DT": "날짜", "LC": "장소", "OG": "기관", "PS": "인물", "QT": "수량", "TI": "시간"}


def declare(stem: str, train: int, dev: int, suffix: str = "json") -> dict[str, Any]:
    """Return the common fields of the declarations, for the files ``<stem>_{train,dev}.<suffix>``.

    `train` and `dev` are the official row counts. KLUE's test set is not public, so its dev file is
    the test split here, and validation is taken from train.
    """
    train_file, dev_file = f"{stem}_train.{suffix}", f"{stem}_dev.{suffix}"
    return {
        "splits": {
            "train": Split(train_file, files=(train_file,)),
            "validation": carved(0.1),
            "test": in_file(dev_file, "dev file; the official test is not public"),
        },
        "files": {train_file: RawFile(rows=train), dev_file: RawFile(rows=dev)},
        "license": "CC-BY-SA-4.0",
        "homepage": "https://github.com/KLUE-benchmark/KLUE",
        "citation": CITATION,
        "urls": lambda: {file: f"{URL}/{stem}/{file}" for file in (train_file, dev_file)},
    }


def read_rows(files: Files) -> PlacedRows:
    """Yield ``(place, object)``, with the object's guid in `place`."""
    for path in files:
        for place, row in read_json_items(path):
            yield f"{place}, {shown([member(place, row, 'guid', str)])}", row
