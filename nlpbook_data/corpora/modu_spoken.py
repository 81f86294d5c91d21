"""모두의 말뭉치, speech written down: what one speaker says in one go a row (NIKL)."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from datasets import Features, Value

from nlpbook_data.corpora._modu import (
    HOMEPAGE,
    LICENSE,
    by_hand,
    read_documents,
    read_list,
    read_metadata,
    read_speaker,
)
from nlpbook_data.corpora.declaration import Corpus, Split, carved
from nlpbook_data.reading.values import member

CORPUS = Corpus(
    name="modu_spoken",
    task="pretrain",
    title="모두의 말뭉치: 구어 말뭉치",
    features=Features(
        {name: Value("string") for name in ("id", "text", "speaker", "title", "topic")}
    ),
    splits={
        "train": Split("S[ABDE]RW*.json", files=("S[ABDE]RW*.json",)),
        "validation": carved(0.01),
    },
    license=LICENSE,
    homepage=HOMEPAGE,
    citation="국립국어원 (2020). 국립국어원 구어 말뭉치 (버전 1.0).",
    by_hand=by_hand(
        "구어 말뭉치", "NIKL_SPOKEN", "files SARW….json, SBRW….json, SDRW….json and SERW….json"
    ),
    folder_name="NIKL_SPOKEN",
    large=True,
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield a turn a row: one speaker's consecutive utterances (``original_form``), a blank
    between two, as ``text``, with ``speaker`` and the document's id, title and topic.

    A document without utterances has no rows.
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
