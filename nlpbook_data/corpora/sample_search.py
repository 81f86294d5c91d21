"""Help pages of nine services and how people ask for them, written for this project (CC0)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Features, Value

from nlpbook_data.corpora.declaration import Corpus, packaged
from nlpbook_data.reading.json_values import read_json_lines
from nlpbook_data.reading.values import member

COLUMNS = ("query", "passage", "service")

CORPUS = Corpus(
    name="sample_search",
    task="search",
    title="생활 서비스 도움말과 사람들이 묻는 말 (직접 쓴 예제 말뭉치)",
    features=Features({name: Value("string") for name in COLUMNS}),
    texts=("query",),
    **packaged("sample_search"),
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield a row for each line of JSON: a query, the passage that answers it, its service."""
    for path in files:
        for place, row in read_json_lines(path):
            yield {name: member(place, row, name, str) for name in COLUMNS}
