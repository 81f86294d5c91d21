"""Document search: from rows to a collection of passages, and the true ones of each query."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from nlpbook_data.errors import InputError

# For each label of a pair, whether the second text answers the first.
ANSWERS = {
    **{"entailment": True, "neutral": None, "contradiction": False, "paraphrase": True},
    **{"함의": True, "중립": None, "모순": False},
    **{"같은 질문": True, "다른 질문": False, "같은 뜻": True, "다른 뜻": False},
}


@dataclass(frozen=True)
class Collection:
    """Different passages, different queries, and which passages answer which query.

    Attributes:
        passages: each text once; its position is its id.
        queries: each text once.
        relevant: the ids of each query's true passages, ascending; [] if none answers it.
        negatives: for each query the ids of passages that do not answer it according to the rows,
            ascending; none of them is in `relevant`.
    """

    passages: list[str]
    queries: list[str]
    relevant: list[list[int]]
    negatives: list[list[int]]


def to_queries(
    batch: Mapping[str, Sequence[Any]], label_names: Sequence[str], positive: str | None = None
) -> dict[str, list[Any]]:
    """Return the rows of a search, question answering or sentence pair corpus as queries.

    The context of a question is its passage, or a negative if the question is unanswerable
    (``answers`` is ``[]``): a user searches for the answer. In a pair, the second text answers the
    first if it is entailed, a paraphrase, or has a similarity of 4 to 5. It is a negative if it
    contradicts, is not a paraphrase, or has a similarity of 2 or less. Pairs in between are left
    out. An unlabelled pair (-1, NaN) counts as true.

    Args:
        batch: ``{"query", "passage"}``, with or without ``"negative"`` (str or None);
            ``{"question", "context"}``, with or without ``"answers"``; or ``premise`` and
            ``hypothesis`` or ``sentence1`` and ``sentence2``, and ``label``.
        label_names: the label names of pairs; [] for scores from 0 to 5.
        positive: the one label of pairs that answer; by default labels are those of `ANSWERS`.

    Returns:
        ``{"query", "passage", "is_true", "negative"}``, with texts stripped and NFC-normalised.

    Raises:
        InputError: a label is not in `ANSWERS`.
    """
    is_true: list[bool | None]
    if "query" in batch:
        asked, found, is_true = batch["query"], batch["passage"], [True] * len(batch["query"])
    elif "question" in batch:
        asked, found = batch["question"], batch["context"]
        answers = batch.get("answers", [None] * len(asked))
        is_true = [one is None or len(one) > 0 for one in answers]
    else:
        first, second = (
            ("premise", "hypothesis") if "premise" in batch else ("sentence1", "sentence2")
        )
        asked, found = batch[first], batch[second]
        words, labels = answering(label_names, positive), batch["label"]
        if words:
            is_true = [words[label] if label >= 0 else True for label in labels]
        else:
            is_true = [None if 2 < score < 4 else not score <= 2 for score in labels]
    negative = batch.get("negative", [None] * len(asked))
    rows = [
        (_clean(query), _clean(passage), true, other and _clean(other))
        for query, passage, true, other in zip(asked, found, is_true, negative, strict=True)
        if true is not None
    ]
    names = ("query", "passage", "is_true", "negative")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def answering(label_names: Sequence[str], positive: str | None = None) -> list[bool | None]:
    """Return for each label of pairs whether one text answers the other; None for in between."""
    if positive is not None:
        if positive not in label_names:
            raise InputError(
                f"--positive_label {positive}: no such label. The labels are "
                f"{', '.join(label_names) or 'scores'}."
            )
        return [name == positive for name in label_names]
    if unknown := [name for name in label_names if name.lower() not in ANSWERS]:
        raise InputError(
            f"The label {unknown[0]!r} does not say whether one text of a pair answers the other. "
            f"Write {', '.join(ANSWERS)}, or scores from 0 to 5, or name the label that says so: "
            "--positive_label 1."
        )
    return [ANSWERS[name.lower()] for name in label_names]


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def collect(batch: Mapping[str, Sequence[Any]], passages: Iterable[str] = ()) -> Collection:
    """Gather rows of `to_queries`; equal texts become one, and one row's true passage is true.

    Args:
        passages: texts that are already in the collection, in the order of their ids. Held-out
            splits get the passages of train, as distractors.
    """
    texts: dict[str, int] = {}
    queries: dict[str, int] = {}
    for text in passages:
        texts.setdefault(text, len(texts))
    relevant: list[set[int]] = []
    negatives: list[set[int]] = []
    names = ("query", "passage", "is_true", "negative")
    for query, passage, is_true, other in zip(*(batch[name] for name in names), strict=True):
        number = queries.setdefault(query, len(queries))
        if number == len(relevant):
            relevant.append(set())
            negatives.append(set())
        (relevant if is_true else negatives)[number].add(texts.setdefault(passage, len(texts)))
        if other:
            negatives[number].add(texts.setdefault(other, len(texts)))
    return Collection(
        passages=list(texts),
        queries=list(queries),
        relevant=[sorted(ids) for ids in relevant],
        negatives=[
            sorted(ids - true_ids) for ids, true_ids in zip(negatives, relevant, strict=True)
        ],
    )


def collect_splits(
    splits: Mapping[str, Dataset], passages: Iterable[str] = ()
) -> dict[str, Collection]:
    """Return the collection of each split; held-out ones begin with the passages of train.

    All begin with `passages`, those of a corpus, also what answers nothing.
    """
    found: dict[str, Collection] = {}
    passages = [*filter(None, map(_clean, passages))]
    for split in (name for name in ("train", "validation", "test") if name in splits):
        before = found["train"].passages if "train" in found else passages
        found[split] = collect(splits[split][:], before)
    return found


def training_rows(
    part: Collection, rankings: Sequence[Sequence[int]] = (), count: int = 0, seed: int = 0
) -> Dataset:
    """Return training rows for sentence-transformers' losses: a query, a true passage, negatives.

    A query has a row for each combination of a true passage and a negative of the corpus. If it has
    too few negatives, random passages that are not true fill up.

    Args:
        rankings: passage ids for each query, best first; [] for none.
        count: of hard negatives added to each row: the highest of the ranking that are neither true
            nor negatives of the corpus.
        seed: of the passages that fill up.

    Returns:
        Columns ``query``, ``passage``, ``negative_1``, …

    Raises:
        InputError: no query has a true passage, or there are too few passages.
    """
    rng = np.random.default_rng(seed)
    count = count if rankings else 0
    is_named = any(n for n, true in zip(part.negatives, part.relevant, strict=True) if true)
    rows: list[list[str]] = []
    for number, true in enumerate(part.relevant):
        named, known = part.negatives[number], {*true, *part.negatives[number]}
        others = [i for i in (rankings[number] if rankings else ()) if i not in known]
        if true and len(others) < count + is_named:
            free = np.setdiff1d(np.arange(len(part.passages)), [*known, *others])
            others += rng.permutation(free)[: count + is_named].tolist()
        for passage in true:
            for negative in (named or others[count : count + 1]) if is_named else (None,):
                ids = [passage, *([] if negative is None else [negative]), *others[:count]]
                rows.append([part.queries[number], *(part.passages[i] for i in ids)])
    width = 2 + is_named + count
    rows = [row for row in rows if len(row) == width]
    if not rows:
        raise InputError(
            "No query of train has a true passage and enough others. Add rows that have one."
        )
    names = ["query", "passage", *(f"negative_{n}" for n in range(1, width - 1))]
    return Dataset.from_dict(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
