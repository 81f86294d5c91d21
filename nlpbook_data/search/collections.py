"""Document search: rows to a collection of passages and what is true of each query."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from nlpbook_data.errors import InputError

# Whether the second text of a pair answers the first, by its label.
ANSWERS = {
    **{"entailment": True, "neutral": None, "contradiction": False, "paraphrase": True},
    **{"함의": True, "중립": None, "모순": False},
    **{"같은 질문": True, "다른 질문": False, "같은 뜻": True, "다른 뜻": False},
}


@dataclass(frozen=True)
class Collection:
    """Different passages, different queries, and which passages answer which query.

    Attributes:
        passages: each text once; its place is its id.
        queries: each text once.
        relevant: the ids of each query's true passages, ascending; [] where none answers it.
        negatives: the ids of passages that the rows say do not answer it, ascending, none of them
            in `relevant`.
    """

    passages: list[str]
    queries: list[str]
    relevant: list[list[int]]
    negatives: list[list[int]]


def collect(batch: Mapping[str, Sequence[Any]], passages: Iterable[str] = ()) -> Collection:
    """Gather the rows of a search or question answering corpus.

    Texts are equal that are so after outer blanks are stripped, letter for letter. Equal queries
    share all their true passages, also where one row's negative is another row's true passage.

    A question is about its context, and an unanswerable one (``answers`` is ``[]``) is one that
    its context does not answer, however close the topic: as who searches wants the answer, such a
    context is a negative, written by people, and the question may be left without a true passage.

    Args:
        batch: ``{"query": [str, …], "passage": [str, …]}``, with or without ``"negative": [str or
            None, …]``; or ``{"question": …, "context": …}``, with or without ``"answers"``.
        passages: texts that are in the collection already, in the order of their ids: those of a
            train split, so that they are there to be mistaken for a test query's.

    Raises:
        InputError: a query or passage is blank.
    """
    if "question" in batch:
        asked, found = batch["question"], batch["context"]
        answers = batch.get("answers", [None] * len(asked))
        true = [one is None or len(one) > 0 for one in answers]
    else:
        asked, found, true = batch["query"], batch["passage"], [True] * len(batch["query"])
    negative = batch.get("negative", [None] * len(asked))

    texts: dict[str, int] = {}
    queries: dict[str, int] = {}
    relevant: list[set[int]] = []
    negatives: list[set[int]] = []
    for text in passages:
        texts.setdefault(text.strip(), len(texts))
    for row, (query, passage, is_true, other) in enumerate(
        zip(asked, found, true, negative, strict=True)
    ):
        number = _number(queries, query, "query", row)
        if number == len(relevant):
            relevant.append(set())
            negatives.append(set())
        place = _number(texts, passage, "passage", row)
        (relevant if is_true else negatives)[number].add(place)
        if other is not None:
            negatives[number].add(_number(texts, other, "negative", row))
    return Collection(
        passages=list(texts),
        queries=list(queries),
        relevant=[sorted(ids) for ids in relevant],
        negatives=[
            sorted(ids - true_ids) for ids, true_ids in zip(negatives, relevant, strict=True)
        ],
    )


def _number(known: dict[str, int], text: str, column: str, row: int) -> int:
    text = text.strip()
    if not text:
        raise InputError(f"Row {row + 1}: the {column} is empty. Mend or drop the row.")
    return known.setdefault(text, len(known))


def pairs_to_questions(
    batch: Mapping[str, Sequence[Any]], label_names: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the pairs of a paircls corpus as questions and contexts for `collect`.

    What is entailed, a paraphrase, or 4 or more of 5 alike is a true passage of the first text;
    what contradicts it, is no paraphrase, or is 2 or less of 5 alike is a negative. All between
    (neutral) says neither, and is left out; an unlabelled pair (-1, NaN) is taken for a true one.

    Args:
        batch: ``premise`` and ``hypothesis`` or ``sentence1`` and ``sentence2``, and ``label``.
        label_names: the words of the labels; [] for scores from 0 to 5.

    Raises:
        InputError: a label that is none of `ANSWERS`.
    """
    firsts, seconds = (
        ("premise", "hypothesis") if "premise" in batch else ("sentence1", "sentence2")
    )
    if unknown := [name for name in label_names if name.lower() not in ANSWERS]:
        raise InputError(
            f"The label {unknown[0]!r} does not say whether one text of a pair answers the other. "
            f"Write {', '.join(ANSWERS)}, or scores from 0 to 5."
        )
    if label_names:
        words = dict(enumerate(label_names))
        says = [ANSWERS[words[i].lower()] if i in words else True for i in batch["label"]]
    else:
        says = [None if 2 < score < 4 else not score <= 2 for score in batch["label"]]
    kept = [
        (first, second, None if true else [])
        for first, second, true in zip(batch[firsts], batch[seconds], says, strict=True)
        if true is not None
    ]
    return {
        name: [row[column] for row in kept]
        for column, name in enumerate(("question", "context", "answers"))
    }


def choose_negatives(
    collection: Collection, rankings: Sequence[Sequence[int]], count: int
) -> list[list[int]]:
    """Return passages that do not answer each query: those that the rows name, and hard ones.

    Args:
        rankings: passage ids a query, the best first; [] for none.
        count: so many of a ranking, the highest that are not true, come after the named ones.
    """
    chosen = []
    for number, (true, named) in enumerate(
        zip(collection.relevant, collection.negatives, strict=True)
    ):
        known = {*true, *named}
        hard = [i for i in (rankings[number] if rankings else ()) if i not in known]
        chosen.append([*named, *hard[:count]])
    return chosen


def encode(
    batch: dict[str, list[Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, list[Any]]:
    """Tokenize queries and passages, each after its prompt.

    Texts are NFC-normalised, and cut to `max_length` tokens, special ones included.

    Args:
        batch: ``{"prompt": [str, …], "text": [str, …]}``.

    Returns:
        ``{"input_ids": [[int, …], …]}``.
    """
    encoded = tokenizer(
        [
            unicodedata.normalize("NFC", prompt + text)
            for prompt, text in zip(batch["prompt"], batch["text"], strict=True)
        ],
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return {"input_ids": encoded["input_ids"]}
