"""모두의 말뭉치, messenger chats: one row a conversation (NIKL)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Features, List

from nlpbook_data.corpora._modu import (
    declare,
    read_documents,
    read_list,
    read_metadata,
    read_speaker,
    text_columns,
)
from nlpbook_data.reading.values import member

UTTERANCE = ("speaker", "form", "original_form", "time")

CORPUS = declare(
    "modu_messenger",
    "메신저 말뭉치",
    Features(
        **text_columns("id", "text", "topic"), utterances=List(dict(text_columns(*UTTERANCE)))
    ),
    folder="NIKL_MESSENGER",
    pattern="M[DM]RW*.json",
    files="files MDRW….json and MMRW….json",
    share=0.05,
)


def parse(files: list[Path]) -> Iterator[dict[str, Any]]:
    r"""Yield a row for each conversation.

    ``utterances`` has ``speaker``, ``form``, ``original_form`` and ``time`` of each message;
    ``text`` is their forms joined by ``\n``. Conversations without messages are skipped.
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
