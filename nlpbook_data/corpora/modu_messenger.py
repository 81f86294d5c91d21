"""모두의 말뭉치, messenger chats: a conversation a row (NIKL)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Features, List, Value

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

UTTERANCE = ("speaker", "form", "original_form", "time")

CORPUS = Corpus(
    name="modu_messenger",
    task="pretrain",
    title="모두의 말뭉치: 메신저 말뭉치",
    features=Features(
        id=Value("string"),
        text=Value("string"),
        topic=Value("string"),
        utterances=List({name: Value("string") for name in UTTERANCE}),
    ),
    splits={
        "train": Split("M[DM]RW*.json", files=("M[DM]RW*.json",)),
        "validation": carved(0.05),
    },
    license=LICENSE,
    homepage=HOMEPAGE,
    citation="국립국어원 (2020). 국립국어원 메신저 말뭉치 (버전 1.0).",
    by_hand=by_hand(
        "메신저 말뭉치",
        "NIKL_MESSENGER",
        "files MDRW….json and MMRW….json",
    ),
    folder_name="NIKL_MESSENGER",
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    r"""Yield a conversation a row.

    ``utterances`` has ``speaker``, ``form``, ``original_form`` and ``time`` of each message;
    ``text`` is their forms joined by ``\n``. A conversation without messages is no row.
    """
    for place, document in read_documents(files):
        utterances = []
        for number, utterance in enumerate(read_list(place, document, "utterance"), start=1):
            where = f"{place}, utterance {number}"
            texts = {key: member(where, utterance, key, str) for key in UTTERANCE[1:]}
            utterances.append({"speaker": read_speaker(where, utterance), **texts})
        if utterances:
            yield {
                "id": member(place, document, "id", str),
                "text": "\n".join(utterance["form"] for utterance in utterances),
                **read_metadata(place, document, "topic"),
                "utterances": utterances,
            }
