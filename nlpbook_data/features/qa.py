"""Extractive question answering: from rows to windows of tokens, and from logits to answers.

Contexts are longer than a model's input, so they are cut into overlapping windows. All positions
that this module returns count characters of the original context.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from nlpbook_data.data.labels import in_words
from nlpbook_data.errors import InputError
from nlpbook_data.features.compose import compose, nfc
from nlpbook_data.features.tokens import check_fast


def encode(
    batch: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    stride: int,
    training: bool,
) -> dict[str, list[Any]]:
    """Tokenize each question with its context, in as many windows as the context needs.

    Every token of a context is in a window. A question is truncated to half of `max_length`, or to
    the length that leaves room for `stride` and an eighth of `max_length`, whichever is shorter.
    Both texts are NFC-normalised.

    The labels are the positions of the shortest run of tokens that covers the first answer. They
    are 0 ([CLS]) if the window does not hold the whole answer, or if there is no answer. If the
    answer is not at ``answer_start``, the nearest occurrence counts.

    Args:
        batch: ``{"question": [str, …], "context": [str, …], "answers": [[{"text",
            "answer_start"}, …], …]}``; without ``answers`` there are no ``labels``.
        tokenizer: any fast tokenizer; padding must be on the right.
        max_length: at most this many tokens a window, special ones included.
        stride: the number of context tokens that two windows share.
        training: leave out the columns that only `decode` needs.

    Returns:
        One row for each window, the windows of a question in order: ``input_ids``,
        ``token_type_ids`` (if the tokenizer has them) and ``labels``, the positions ``[first,
        last]``. Without `training` also ``window`` (0, 1, … within its question),
        ``context_position`` (of the first token of the context) and ``char_starts``, ``char_ends``
        (exclusive) of the context's tokens.

    Raises:
        InputError: the tokenizer is slow, or `stride` leaves no room for the question.
    """
    check_fast(tokenizer)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    question_room = min(max_length // 2, max_length - special - stride - max_length // 8)
    if stride < 0 or question_room < 1:
        raise InputError(
            f"A stride of {stride} leaves windows of {max_length} tokens no room for a question. "
            "Make it smaller, at most half of max_length."
        )
    questions = nfc(batch["question"])
    # A context has several questions: it is tokenized once, and 가 is its placeholder with each.
    options = {"padding": False, "truncation": False, "verbose": False}
    pairs = tokenizer(questions, ["가"] * len(questions), **options).encodings
    tokenized = _tokenize_contexts(list(dict.fromkeys(batch["context"])), tokenizer, options)
    with_types = "token_type_ids" in tokenizer.model_input_names
    columns: dict[str, list[Any]] = {"input_ids": []}
    if with_types:
        columns["token_type_ids"] = []
    answers = batch.get("answers")
    if answers is not None:
        columns["labels"] = []
    if not training:
        columns |= {"window": [], "context_position": [], "char_starts": [], "char_ends": []}

    for row, (context, pair) in enumerate(zip(batch["context"], pairs, strict=True)):
        ids, starts, ends = tokenized[context]
        sides = pair.sequence_ids
        if 1 not in sides:
            raise InputError("The tokenizer drops 가. Choose one that knows Korean.")
        place = sides.index(1)
        after = len(sides) - sides[::-1].index(1)
        first = sides.index(0) if 0 in sides else place
        cut = slice(first + question_room, first + max(question_room, sides.count(0)))
        before_ids, before_types = pair.ids[:place], pair.type_ids[:place]
        del before_ids[cut], before_types[cut]
        room = max_length - len(before_ids) - (len(sides) - after)
        run = None
        if answers is not None and answers[row]:
            run = _find_run(context, answers[row][0], starts, ends)
        for number, begin in enumerate(range(0, max(len(ids) - stride, 1), room - stride)):
            end = min(begin + room, len(ids))
            columns["input_ids"].append([*before_ids, *ids[begin:end], *pair.ids[after:]])
            if with_types:
                types = [pair.type_ids[place]] * (end - begin)
                columns["token_type_ids"].append([*before_types, *types, *pair.type_ids[after:]])
            if answers is not None:
                shift, labels = len(before_ids) - begin, [0, 0]
                if run and begin <= run[0] and run[1] < end:
                    labels = [place + shift for place in run]
                columns["labels"].append(labels)
            if not training:
                columns["window"].append(number)
                columns["context_position"].append(len(before_ids))
                columns["char_starts"].append(starts[begin:end].tolist())
                columns["char_ends"].append(ends[begin:end].tolist())
    return columns


def _tokenize_contexts(
    contexts: list[str], tokenizer: PreTrainedTokenizerBase, options: dict[str, Any]
) -> dict[str, tuple[list[int], np.ndarray, np.ndarray]]:
    """Return the ids, starts and ends of each context's tokens, without outer blanks."""
    composed = [compose(context) for context in contexts]
    texts = [text for text, _, _ in composed]
    encodings = tokenizer(texts, add_special_tokens=False, **options).encodings if texts else []
    tokenized = {}
    for context, (text, first, last), encoding in zip(contexts, composed, encodings, strict=True):
        spans = []
        for start, end in encoding.offsets:
            piece = text[start:end]
            start += len(piece) - len(piece.lstrip())  # byte-level BPE, SentencePiece
            spans.append((start, start + len(piece.strip())))
        starts, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        if not isinstance(first, range):  # else every character keeps its position
            filled = ends > starts
            starts[filled] = np.array(first)[starts[filled]]
            ends[filled] = np.array(last)[ends[filled] - 1]
            starts[~filled] = ends[~filled] = 0
        tokenized[context] = encoding.ids, starts, ends
    return tokenized


def _find_run(
    context: str, answer: Mapping[str, Any], starts: np.ndarray, ends: np.ndarray
) -> tuple[int, int] | None:
    """Return the first and last token that share a character with `answer`, None if none does."""
    text, start = answer["text"], answer["answer_start"]
    if not context.startswith(text, start):
        after, before = context.find(text, start), context.rfind(text, 0, start + len(text))
        found = [place for place in (before, after) if place >= 0]
        if not found:
            return None
        start = min(found, key=lambda place: abs(place - start))
    touched = np.flatnonzero((ends > start) & (starts < start + len(text)) & (ends > starts))
    return (int(touched[0]), int(touched[-1])) if len(touched) else None


def number_questions(window: Sequence[int]) -> np.ndarray:
    """Return the question number of each window, from the column ``window``."""
    return np.cumsum(np.asarray(window) == 0) - 1


INTERROGATIVES = {
    "누구": ("누구", "누가"),
    "언제": ("언제", "몇 년", "몇년", "몇 월", "며칠", "몇 시", "몇 세기"),
    "어디": ("어디", "어느 나라", "어느 도시", "어느 지역"),
    "얼마": ("얼마", "몇"),
    "왜·어떻게": ("왜", "어떻게", "이유", "어째서"),
    "무엇": ("무엇", "무슨", "뭐", "어떤", "어느"),
}


def name_types(rows: Dataset) -> list[str]:
    """Return the type of each question as a word: the corpus' type, or its interrogative (의문사).

    Interrogatives are searched in the order of `INTERROGATIVES`; 기타 means that there is none.
    """
    types = rows.features.get("question_type")
    if types is not None:
        return [in_words(types, value) for value in rows["question_type"]]
    return [
        next((n for n, words in INTERROGATIVES.items() if any(w in q for w in words)), "기타")
        for q in rows["question"]
    ]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: ``context[start:end] == text``; `score` is its probability among the n best."""

    text: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A model's output for one question.

    Attributes:
        answers: best first; empty if the context has no token.
        null_score: the probability that there is no answer; 0 if `decode` ran without
            `unanswerable`.
        null_difference: the logits of no answer minus those of the best answer.
    """

    answers: list[Answer]
    null_score: float
    null_difference: float

    def best(self, threshold: float | None = None) -> Answer:
        """Return the best answer, or an empty one if `null_difference` is over `threshold`."""
        if self.answers and (threshold is None or self.null_difference <= threshold):
            return self.answers[0]
        return Answer("", self.null_score, 0, 0)


def decode(
    start_logits: Sequence[np.ndarray] | np.ndarray,
    end_logits: Sequence[np.ndarray] | np.ndarray,
    windows: Mapping[str, Sequence[Any]],
    questions: Sequence[int] | np.ndarray,
    contexts: Sequence[str],
    *,
    n_best: int = 20,
    max_answer_length: int | None = 30,
    unanswerable: bool = False,
    strip: Callable[[str, int, int, int], int] | None = None,
) -> list[Decoded]:
    """Return the best answers to each question, over all its windows.

    Candidates are all spans of context tokens up to the allowed length; their score is the sum of
    the start and end logits. A span in two windows counts once, with its larger sum. Of equal
    scores the span that starts first wins, then the shorter one. The score of no answer is the sum
    of the logits of token 0, the smallest of a question's windows (as in SQuAD 2's reference code).

    Args:
        start_logits: one row for each window; padding on the right is never read.
        end_logits: the same.
        windows: the columns ``context_position``, ``char_starts`` and ``char_ends`` of `encode`.
        questions: the question number of each window, from 0, in any order.
        contexts: the context of each question.
        max_answer_length: the most tokens of an answer.
        unanswerable: no answer is a candidate too, and gets a share of the probabilities.
        strip: a function of context, start, end and the start of the answer's last token that
            returns the answer's new end, such as `particles.strip_particle`. The scores of answers
            that become equal are added.

    Returns:
        One `Decoded` for each context.
    """
    nulls = [math.inf] * len(contexts)
    # for each question, by start and end: the score, and minus the start of the last token
    found: list[dict[tuple[int, int], tuple[float, int]]] = [{} for _ in contexts]
    places, *spans = (windows[n] for n in ("context_position", "char_starts", "char_ends"))
    rows = zip(questions, places, *spans, start_logits, end_logits, strict=True)
    for number, place, starts, ends, start, end in rows:
        nulls[number] = min(nulls[number], float(start[0]) + float(end[0]))
        inside = slice(place, place + len(starts))
        logits = np.array([start[inside], end[inside]], dtype=np.float32)
        chars = np.array([starts, ends], dtype=np.int64)
        known = found[number]
        for first, past, last, score in _best_spans(logits, chars, n_best, max_answer_length):
            known[first, past] = max(known.get((first, past), (-math.inf, 0)), (score, -last))
    decoded = []
    for context, null, known in zip(contexts, nulls, found, strict=True):
        ranked = sorted((-score, *span, -last) for span, (score, last) in known.items())[:n_best]
        if not ranked:
            decoded.append(Decoded([], float(unanswerable), math.inf))
            continue
        sums = np.array([*(-row[0] for row in ranked), null if unanswerable else -math.inf])
        shares = np.exp(sums - sums.max())
        shares /= shares.sum()
        shares_of: dict[tuple[int, int], float] = {}
        for (_, a, b, c), share in zip(ranked, shares.tolist(), strict=False):
            span = (a, strip(context, a, b, c) if strip else b)
            shares_of[span] = shares_of.get(span, 0.0) + share
        answers = [Answer(context[a:b], share, a, b) for (a, b), share in shares_of.items()]
        decoded.append(Decoded(answers, float(shares[-1]), null + ranked[0][0]))
    return decoded


def decode_tokens(
    logits: np.ndarray,
    windows: Mapping[str, Sequence[Any]],
    contexts: Sequence[str],
    **options: Any,
) -> list[Decoded]:
    """Call `decode` with logits that are concatenated.

    Args:
        logits: (tokens, 2), of start and end, for all tokens of all windows, without padding.
        windows: the columns of `encode`.
        contexts: the context of each question.
        options: of `decode`.
    """
    rows = np.split(logits, np.cumsum([len(ids) for ids in windows["input_ids"]])[:-1])
    starts, ends = ([row[:, side] for row in rows] for side in (0, 1))
    return decode(starts, ends, windows, number_questions(windows["window"]), contexts, **options)


def read_perfectly(
    rows: Mapping[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    stride: int,
    **options: Any,
) -> list[str]:
    """Return the answers of perfect token positions: the upper limit of any model.

    Args:
        rows: the columns of `encode`'s batch.
        tokenizer, max_length, stride: see `encode`.
        options: of `decode`.
    """
    windows = encode(dict(rows), tokenizer, max_length, stride, training=False)
    lengths = np.array([len(ids) for ids in windows["input_ids"]])
    places = np.array(windows["labels"]) + (np.cumsum(lengths) - lengths)[:, None]
    logits = np.zeros((lengths.sum(), 2), dtype=np.float32)
    logits[places, [0, 1]] = 1
    found = decode_tokens(logits, windows, rows["context"], **options)
    pairs = zip(found, rows["answers"], strict=True)
    return [one.best().text if answers else "" for one, answers in pairs]


def _best_spans(
    logits: np.ndarray, chars: np.ndarray, n_best: int, max_tokens: int | None
) -> Iterator[tuple[int, int, int, float]]:
    """Yield the `n_best` spans of a window: start, end, start of the last token, and score.

    `logits` and `chars` are (2, tokens): the start and end logits, and the start and end of each
    token.
    """
    starts, ends = chars
    longest = min(max_tokens or len(starts), len(starts))
    if not longest:
        return
    # a token without characters neither begins nor ends an answer
    start, end = np.where((ends > starts) & np.isfinite(logits), logits, -np.inf)
    # a row for each first token; its columns are the last tokens, 0, 1, … later
    padded = np.append(end, np.full(longest - 1, -np.inf, dtype=end.dtype))
    later_ends = np.lib.stride_tricks.sliding_window_view(padded, longest)
    score = (start[:, None] + later_ends).ravel()
    least = np.partition(score, -n_best)[-n_best] if len(score) > n_best else -np.inf
    best = np.flatnonzero((score >= least) & (score > -np.inf))  # and all that tie with the last
    best = best[np.argsort(-score[best], kind="stable")[:n_best]]
    first, later = np.divmod(best, longest)
    last = first + later
    columns = (starts[first], ends[last], starts[last], score[best])
    yield from zip(*(column.tolist() for column in columns), strict=True)


def tune_threshold(
    differences: Sequence[float], scores: Sequence[float], has_answer: Sequence[bool]
) -> tuple[float, float]:
    """Return the threshold of `Decoded.best` with the best mean score, and that score.

    As SQuAD 2's evaluation script finds its ``best_f1_thresh``: a question is answered if its
    difference is at most the threshold. It then scores its value in `scores`, or 0 if it has no
    answer; a question left open scores 1 if it has none, else 0. Of equally good thresholds the
    smallest is returned, below all differences if no question should be answered.

    Args:
        differences: `Decoded.null_difference` of validation's questions.
        scores: the F1 of each question's best answer, 0 to 1.
        has_answer: whether each question has an answer.
    """
    differences, has_answer = np.asarray(differences, dtype=float), np.asarray(has_answer, bool)
    gains = np.where(has_answer, scores, -1.0)
    possible = np.isfinite(differences)  # a context without tokens gets no answer
    values, group = np.unique(differences[possible], return_inverse=True)
    if not len(values):
        return 0.0, float((~has_answer).mean()) if len(has_answer) else 0.0
    totals = np.cumsum(np.bincount(group, weights=gains[possible]))
    totals = np.concatenate([[0.0], totals]) + (~has_answer).sum()
    values = np.concatenate([[values[0] - 1], values])
    place = int(totals.argmax())
    return float(values[place]), float(totals[place] / len(differences))
