"""모두의 말뭉치, messenger chats: one row a conversation (NIKL)."""

from datasets import Features, List

from nlpbook_data.corpora._modu import (
    declare,
    read_documents,
    read_list,
    read_metadata,
    read_speaker,
)
from nlpbook_data.corpora.declaration import texts
from nlpbook_data.reading.values import Files, Rows, member, read_texts

UTTERANCE = ("speaker", "form", "original_form", "time")

CORPUS = declare(
    "modu_messenger",
    "메신저 말뭉치",
    Features(**texts("id", "text", "topic"), utterances=List(dict(texts(*UTTERANCE)))),
    folder="NIKL_MESSENGER",
    pattern="M[DM]RW*.json",
    files="files MDRW….json and MMRW….json",
    share=0.05,
)


def parse(files: Files) -> Rows:
    r"""Yield a row for each conversation.

    ``utterances`` has ``speaker``, ``form``, ``original_form`` and ``time`` of each message;
    ``text`` is their forms joined by ``\n``. Conversations without messages are skipped.
    """
    for place, document in read_documents(files):
        utterances = []
        for number, utterance in enumerate(read_list(place, document, "utterance"), start=1):
            where = f"{place}, utterance {number}"
            said = read_texts(where, utterance, *UTTERANCE[1:])
            utterances.append({"speaker": read_speaker(where, utterance), **said})
        if utterances:
            yield {
                "id": member(place, document, "id", str),
                "text": "\n".join(utterance["form"] for utterance in utterances),
                **read_metadata(place, document, "topic"),
                "utterances": utterances,
            }
