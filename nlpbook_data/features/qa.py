"""Extractive question answering: rows to windows of tokens, and logits back to answers.

A context is longer than a model reads, so it is cut into windows that overlap. All positions that
leave this module count the characters of the context as it is in the corpus.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from nlpbook_data.data.labels import in_words
from nlpbook_data.errors import InputError
from nlpbook_data.features.compose import compose


def encode(
    batch: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    stride: int,
    training: bool,
) -> dict[str, list[Any]]:
    """Tokenize each question with its context, in as many windows as the context needs.

    Every question has a window, and every token of its context is in one. Only contexts are
    windowed: a question is cut to half of `max_length`, or to what leaves the context `stride` and
    an eighth of `max_length`, whichever is shorter. Questions and contexts are NFC-normalised.

    The positions are those of the tightest run of tokens that covers the first answer where the
    window holds all of it; else, and where there is none, 0 ([CLS]). An answer that is not where
    ``answer_start`` says is looked for; the nearest counts.

    Args:
        batch: ``{"question": [str, …], "context": [str, …], "answers": [[{"text",
            "answer_start"}, …], …]}``; without ``answers`` there are no ``labels``.
        tokenizer: any fast tokenizer; padding must be on the right.
        max_length: at most this many tokens a window, special ones included.
        stride: the tokens of the context that two windows share.
        training: leave out what only `decode` needs.

    Returns:
        ``input_ids``, ``token_type_ids`` (where the tokenizer has them) and ``labels``, the
        positions ``[first, last]``, a window, those of a question in a row; without `training`
        also ``window`` (0, 1, … within its question), ``context_position`` (of the first token
        of the context) and ``char_starts``, ``char_ends`` (exclusive) of the context's tokens.

    Raises:
        InputError: the tokenizer is a slow one, or `stride` leaves no room for the question.
    """
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} tells no character positions. Choose a model with a fast "
            "tokenizer."
        )
    special = tokenizer.num_special_tokens_to_add(pair=True)
    question_room = min(max_length // 2, max_length - special - stride - max_length // 8)
    if stride < 0 or question_room < 1:
        raise InputError(
            f"A stride of {stride} leaves windows of {max_length} tokens no room for a question. "
            "Make it smaller, at most half of max_length."
        )
    questions = [unicodedata.normalize("NFC", question) for question in batch["question"]]
    # a context has several questions: it is tokenized once, and 가 stands for it beside each
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
    """Return the ids, first characters and ends of each context's tokens, outer blanks off."""
    composed = [compose(context) for context in contexts]
    texts = [text for text, _, _ in composed]
    encodings = tokenizer(texts, add_special_tokens=False, **options).encodings if texts else []
    tokenized = {}
    for context, (text, first, last), encoding in zip(contexts, composed, encodings, strict=True):
        spans = []
        for start, end in encoding.offsets:
            if text[start:end] != text[start:end].strip():  # byte-level BPE, SentencePiece
                blank = len(text[start:end]) - len(text[start:end].lstrip())
                start, end = start + blank, start + blank + len(text[start:end].strip())
            spans.append((start, end))
        starts, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        if not isinstance(first, range) and not isinstance(
            last, range
        ):  # in which each character stands where it stood
            filled = ends > starts
            starts[filled] = first[starts[filled]]
            ends[filled] = last[ends[filled] - 1]
            starts[~filled] = ends[~filled] = 0
        tokenized[context] = encoding.ids, starts, ends
    return tokenized


def _find_run(
    context: str, answer: Mapping[str, Any], starts: np.ndarray, ends: np.ndarray
) -> tuple[int, int] | None:
    """Return the first and last token that share a character with `answer`, None without one."""
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
    """Return the row of the corpus that each window belongs to, from the column ``window``."""
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
    """Return the type of each question, in words: the corpus' own, or by its interrogative.

    Interrogatives (의문사) are looked for in the order of `INTERROGATIVES`; 기타 has none.
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
    """What a model says about a question.

    Attributes:
        answers: best first; none where the context has no token.
        null_score: the probability that there is no answer; 0 where that was not asked for.
        null_difference: the logits of no answer less those of the best answer.
    """

    answers: list[Answer]
    null_score: float
    null_difference: float

    def best(self, threshold: float | None = None) -> Answer:
        """Return the best answer, or an empty one where `null_difference` is over `threshold`."""
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
    max_answer_characters: int | None = None,
    unanswerable: bool = False,
    strip: Callable[[str, int, int, int], int] | None = None,
) -> list[Decoded]:
    """Return the best answers to each question, over all of its windows.

    The n best spans are exact: of all that start and end at a token of the context, not before
    they start and no longer than allowed, those with the largest sum of two logits; a span that
    two windows hold counts once, with its larger sum. Ties go to the span that starts first, then
    to the shorter. No answer scores the sum of the logits of token 0, and the smallest of a
    question's windows counts (as in SQuAD 2's reference code).

    Args:
        start_logits: a row a window, padded on the right or not; what is beyond the window's
            tokens is never read.
        end_logits: the same.
        windows: the columns ``context_position``, ``char_starts`` and ``char_ends`` of `encode`.
        questions: the number of the question of each window, from 0, in any order.
        contexts: the context of each question.
        max_answer_length: tokens of an answer, at most.
        max_answer_characters: its characters, at most, before `strip`.
        unanswerable: no answer takes its share of the probabilities.
        strip: returns the new end of an answer, from context, start, end and the start of the
            answer's last token: `particles.strip_particle`. Answers that become one add their
            scores up.

    Returns:
        One `Decoded` a context.
    """
    questions = np.asarray(questions, dtype=np.int64)
    nulls = np.full(len(contexts), np.inf)
    found = []
    for begin in range(0, len(questions), CHUNK):
        part = slice(begin, begin + CHUNK)
        places = np.asarray(windows["context_position"][part], dtype=np.int64)
        char_starts, char_ends = windows["char_starts"][part], windows["char_ends"][part]
        lengths = np.array([len(chars) for chars in char_starts])
        logits = []
        for rows in (start_logits[part], end_logits[part]):
            rows = [
                np.asarray(row[: place + length])
                for row, place, length in zip(rows, places, lengths, strict=True)
            ]
            logits.append((rows, np.array([row[0] for row in rows], dtype=np.float64)))
        np.minimum.at(nulls, questions[part], logits[0][1] + logits[1][1])
        starts, ends = (_pad(chars, lengths, np.int64, 0) for chars in (char_starts, char_ends))
        start, end = (
            _pad([r[p:] for r, p in zip(rows, places, strict=True)], lengths, np.float32, -np.inf)
            for rows, _ in logits
        )
        blank = ends <= starts
        start[blank] = end[blank] = -np.inf
        limits = (max_answer_length, max_answer_characters)
        row, first, last, score = _best_spans(start, end, starts, ends, n_best, *limits)
        spans = (starts[row, first], ends[row, last], starts[row, last])
        found.append(np.stack([questions[part][row], *spans, score.astype(np.float64)]))
    question, start, end, last, score = np.concatenate([np.empty((5, 0)), *found], axis=1)
    order = np.lexsort((last, -score, end, start, question))
    same = [np.diff(column[order], prepend=-1) == 0 for column in (question, start, end)]
    order = order[~np.logical_and.reduce(same)]
    order = order[np.lexsort((end[order], start[order], -score[order], question[order]))]
    bounds = np.searchsorted(question[order], np.arange(len(contexts) + 1))
    decoded = []
    for number, context in enumerate(contexts):
        best = order[bounds[number] : bounds[number + 1]][:n_best]
        if not len(best):
            decoded.append(Decoded([], float(unanswerable), np.inf))
            continue
        sums = np.append(score[best], nulls[number] if unanswerable else -np.inf)
        shares = np.exp(sums - sums.max())
        shares /= shares.sum()
        found_spans: dict[tuple[int, int], float] = {}
        for a, b, c, share in zip(
            *(column[best].astype(int).tolist() for column in (start, end, last)),
            shares.tolist(),
            strict=False,
        ):
            span = (a, strip(context, a, b, c) if strip else b)
            found_spans[span] = found_spans.get(span, 0.0) + share
        answers = [Answer(context[a:b], share, a, b) for (a, b), share in found_spans.items()]
        difference = float(nulls[number] - score[best[0]])
        decoded.append(Decoded(answers, float(shares[-1]), difference))
    return decoded


def decode_tokens(
    logits: np.ndarray,
    windows: Mapping[str, Sequence[Any]],
    contexts: Sequence[str],
    **options: Any,
) -> list[Decoded]:
    """Do what `decode` does with logits that stand one after the other.

    Args:
        logits: of start and end, of all tokens of all windows, without padding, (tokens, 2).
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
    """Return the answers that perfect positions of tokens would give: the ceiling of a model.

    Args:
        rows: the columns of `encode`'s batch.
        tokenizer, max_length, stride: as `encode` takes them.
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


CHUNK = 256  # windows: what is padded at a time stays in the processor's cache


def _pad(rows: Sequence[Any], lengths: np.ndarray, dtype: Any, value: Any) -> np.ndarray:
    padded = np.full((len(rows), max(1, int(lengths.max()))), value, dtype=dtype)
    flat = np.concatenate([np.asarray(row, dtype=dtype) for row in rows])
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = flat
    return padded


def _best_spans(
    start: np.ndarray,
    end: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    n_best: int,
    max_tokens: int | None,
    max_characters: int | None,
) -> tuple[np.ndarray, ...]:
    """Return row, first token, last token and score of the `n_best` spans of each row.

    A span of the n best starts at one of the n tokens whose best spans are the best: only those
    need all of their ends.
    """
    rows, width = start.shape
    longest = min(max_tokens or width, width)
    best = np.full_like(start, -np.inf)
    for extra in range(longest):
        size = width - extra
        score = start[:, :size] + end[:, extra:]
        if max_characters is not None:
            score[ends[:, extra:] - starts[:, :size] > max_characters] = -np.inf
        np.maximum(best[:, :size], score, out=best[:, :size])
    first = np.argsort(-best, axis=1, kind="stable")[:, :n_best]
    row = np.arange(rows)[:, None, None]
    last = first[:, :, None] + np.arange(longest)
    inside = last < width
    last = np.minimum(last, width - 1)
    score = np.take_along_axis(start, first, axis=1)[:, :, None] + end[row, last]
    length = ends[row, last] - np.take_along_axis(starts, first, axis=1)[:, :, None]
    score[~inside | (length <= 0)] = -np.inf
    if max_characters is not None:
        score[length > max_characters] = -np.inf
    score = score.reshape(rows, -1)
    top = np.argsort(-score, axis=1, kind="stable")[:, :n_best]
    score = np.take_along_axis(score, top, axis=1)
    row, column = np.nonzero(np.isfinite(score))
    rank, extra = np.divmod(top[row, column], longest)
    return row, first[row, rank], first[row, rank] + extra, score[row, column]


def tune_threshold(
    differences: Sequence[float], scores: Sequence[float], has_answer: Sequence[bool]
) -> tuple[float, float]:
    """Return the threshold of `Decoded.best` with the best mean score, and that score.

    As SQuAD 2's evaluation script finds its ``best_f1_thresh``: a question is answered where its
    difference is at most the threshold; an answered one scores what `scores` says if it has an
    answer, else 0; one left open scores 1 if it has none. Of equally good thresholds the smallest
    is returned, and one below all differences where no question should be answered.

    Args:
        differences: `Decoded.null_difference` of validation's questions.
        scores: the F1 of each question's best answer, were it given; 0 to 1.
        has_answer: whether there is an answer.
    """
    differences, has_answer = np.asarray(differences, dtype=float), np.asarray(has_answer, bool)
    gains = np.where(has_answer, scores, -1.0)
    possible = np.isfinite(differences)  # without a token to answer with, none is given
    values, group = np.unique(differences[possible], return_inverse=True)
    if not len(values):
        return 0.0, float((~has_answer).mean()) if len(has_answer) else 0.0
    totals = np.cumsum(np.bincount(group, weights=gains[possible]))
    totals = np.concatenate([[0.0], totals]) + (~has_answer).sum()
    values = np.concatenate([[values[0] - 1], values])
    place = int(totals.argmax())
    return float(values[place]), float(totals[place] / len(differences))
