"""Code that the modu_* modules share: 모두의 말뭉치, JSON files that a user downloads by hand."""

from collections.abc import Iterator
from typing import Any

from datasets import Features

from nlpbook_data.corpora.declaration import Corpus, Split, carved
from nlpbook_data.errors import shown
from nlpbook_data.reading.json_values import read_json_items
from nlpbook_data.reading.values import Files, PlacedRows, Rows, member, read_notes

HOMEPAGE = "https://kli.korean.go.kr/corpus"


def declare(
    name: str,
    korean: str,
    features: Features,
    *,
    folder: str,
    pattern: str,
    files: str,
    share: float,
    task: str = "pretrain",
    source: str = "",
    note: str = "",
) -> Corpus:
    """Return the declaration of a corpus whose Korean title is `korean`.

    Args:
        name, task, features: see `Corpus`.
        folder, pattern: Korpora's folder, and the pattern of its files.
        files: these files in words, for the user who downloads them.
        share: the share of train for validation, and for test if the task is scored. A corpus with
            shares of hundredths is a large one.
        source: the source of train in words; the pattern by default.
        note: the required edition.
    """
    held_out = ("validation",) if task == "pretrain" else ("validation", "test")
    return Corpus(
        name=name,
        task=task,
        title=f"모두의 말뭉치: {korean}",
        features=features,
        splits={
            "train": Split(source or pattern, files=(pattern,)),
            **{split: carved(share) for split in held_out},
        },
        license="NIKL terms",
        homepage=HOMEPAGE,
        citation=f"국립국어원 (2020). 국립국어원 {korean} (버전 1.0).",
        by_hand=(
            f"Sign in at {HOMEPAGE} (once corpus.korean.go.kr), apply for {korean}{note} and "
            "download it once approved (the downloads are limited in number and time; keep the "
            f"archive). Put its {files} into the folder {folder} itself, not into one below."
        ),
        folder_name=folder,
        large=share == 0.01,
    )


def read_documents(files: Files) -> PlacedRows:
    """Yield ``(place, document)`` of the files' ``document`` arrays, one document in memory."""
    for path in files:
        for place, document in read_json_items(path, "document"):
            name = member(place, document, "id", str)
            yield f"{path}, document {shown([name])}", document


def read_list(place: str, value: Any, key: str) -> list[Any]:
    """Return the array ``value[key]``; the files write null for an empty array."""
    return member(place, value, key, (list, type(None))) or []


def read_metadata(place: str, document: dict[str, Any], *keys: str) -> dict[str, str]:
    """Return the texts under `keys` of the document's metadata; missing ones are empty."""
    metadata = member(place, document, "metadata", dict)
    notes = read_notes(f"{place}, metadata", metadata, *keys)
    return {key: text or "" for key, text in notes.items()}


def read_forms(place: str, document: dict[str, Any]) -> Iterator[str]:
    """Yield the texts of the document's paragraphs."""
    for number, paragraph in enumerate(member(place, document, "paragraph", list), start=1):
        yield member(f"{place}, paragraph {number}", paragraph, "form", str)


def read_articles(files: Files, *keys: str) -> Rows:
    r"""Yield a row for each document: id, text (paragraphs joined by ``\n``), metadata `keys`."""
    for place, document in read_documents(files):
        text = "\n".join(read_forms(place, document))
        name = member(place, document, "id", str)
        yield {"id": name, "text": text, **read_metadata(place, document, *keys)}


def read_speaker(place: str, utterance: Any) -> str:
    """Return the speaker, a number or a name, as a string."""
    return str(member(place, utterance, "speaker_id", (str, int)))


def read_sentences(files: Files) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Yield ``(place, sentence, id, form)`` for each sentence of the files' documents."""
    for place, document in read_documents(files):
        for number, sentence in enumerate(member(place, document, "sentence", list), start=1):
            name = member(f"{place}, sentence {number}", sentence, "id", str)
            where = f"{place.partition(', document ')[0]}, sentence {shown([name])}"
            yield where, sentence, name, member(where, sentence, "form", str)
