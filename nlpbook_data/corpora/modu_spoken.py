"""모두의 말뭉치, transcribed speech: one row a speaker's turn (NIKL)."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from nlpbook_data.corpora._modu import (
    declare,
    read_documents,
    read_list,
    read_metadata,
    read_speaker,
)
from nlpbook_data.corpora.declaration import texts
from nlpbook_data.reading.values import Files, Rows, member

CORPUS = declare(
    "modu_spoken",
    "구어 말뭉치",
    texts("id", "text", "speaker", "title", "topic"),
    folder="NIKL_SPOKEN",
    pattern="S[ABDE]RW*.json",
    files="files SARW….json, SBRW….json, SDRW….json and SERW….json",
    share=0.01,
)


def parse(files: Files) -> Rows:
    """Yield a row for each turn, with ``speaker`` and the document's id, title and topic.

    ``text`` is one speaker's consecutive utterances (``original_form``), joined by a blank. A
    document without utterances has no rows.
    """
    for place, document in read_documents(files):
        name = member(place, document, "id", str)
        metadata = read_metadata(place, document, "title", "topic")
        for speaker, said in groupby(_utterances(place, document), key=lambda pair: pair[0]):
            text = " ".join(form for _, form in said)
            yield {"id": name, "text": text, "speaker": speaker, **metadata}


def _utterances(place: str, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for number, utterance in enumerate(read_list(place, document, "utterance"), start=1):
        where = f"{place}, utterance {number}"
        yield read_speaker(where, utterance), member(where, utterance, "original_form", str)
