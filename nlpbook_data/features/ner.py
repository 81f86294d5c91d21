"""Named entities: character spans to windows of labelled tokens, and back.

Labels of tokens are 0 for O, 1 + 2k for B- and 2 + 2k for I- of entity type k (`tag_names`).
Everything goes by a fast tokenizer's offsets, so that its kind does not matter:

- Each character belongs to the first token that covers it. A token that covers none of its own
  (a blank alone, the later bytes of one character) has no say in decoding. Blanks at a token's
  edges belong to nobody, so that no span begins or ends with one.
- An entity's label goes to every token that has a character of it: where 서울에서 is one token,
  all of it is labelled, and decodes to an entity that is too long, unless `decode` strips it.
  `alignment_ceiling` counts what that costs. Of two entities in one token the first has it.
- Texts are NFC-normalised for the tokenizer (macOS writes NFD, of which a Korean vocabulary knows
  nothing); offsets are those of the text as it came.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from nlpbook_data.errors import InputError, shown
from nlpbook_data.features.compose import compose

NO_LOSS = -100
BLANK_MARKS = {"▁", "Ġ"}  # SentencePiece's and byte-level tokenizers'


def tag_names(label_names: Sequence[str]) -> list[str]:
    """Return ``["O", "B-인물", "I-인물", …]``: the names of the token labels, by id."""
    return ["O", *(f"{mark}-{name}" for name in label_names for mark in "BI")]


def type_names(tags: Sequence[str], training: bool = False) -> list[str]:
    """Return the entity types of which `tags` are the `tag_names`; to train, none of others.

    Raises:
        InputError: they are others.
    """
    names = [tag.removeprefix("B-") for tag in tags if tag.startswith("B-")]
    if list(tags) == tag_names(names):
        return names
    if training:
        return []
    raise InputError(
        f"The model's labels are {shown(tags)}, where O, B-… and I-… of each type belong, in "
        "this order. Train one with recipes/ner.py."
    )


def encode(
    batch: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    stride: int,
) -> dict[str, list[Any]]:
    """Tokenize ``text`` into windows and label their tokens by ``entities``.

    A text of more than `max_length` tokens, special ones included, becomes several windows, each
    beginning at least `stride` tokens before the last one's end; the last ends with the text and
    is as long as the others. What an entity's first token is does not depend on the window.

    Args:
        batch: ``{"text": [str, …], "entities": [[{"start", "end", "label": int}, …] or None, …]}``;
            a row's entities in order and without overlap, their ends exclusive.
        tokenizer: any fast tokenizer.
        max_length: at most this many tokens a window.
        stride: tokens that two neighbouring windows share, at least.

    Returns:
        One row a window, those of a text one after the other:
        ``input_ids``; ``labels``, a token label each, -100 for special tokens and others that
        stand for no character; ``starts`` and ``ends``, the characters of the text that are each
        token's own, both 0 if none; ``first_token``, the window's place in its text, in tokens (0
        begins a text). ``labels`` is left out where a row has no entities, None.

    Raises:
        InputError: the tokenizer has no offsets, or `stride` leaves no way forward.
    """
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} is not a fast tokenizer, and only they tell which "
            "characters a token stands for. Choose a model with a tokenizer.json."
        )
    before, after = _special_tokens(tokenizer)
    room = max_length - len(before) - len(after)
    if not 0 <= stride < room:
        raise InputError(
            f"A window of {max_length} tokens has room for {room} of the text, of which {stride} "
            "cannot be shared with the next one. Give a smaller stride or a larger max_length."
        )
    names = ["input_ids", "labels", "starts", "ends", "first_token"]
    if any(entities is None for entities in batch["entities"]):
        names.remove("labels")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for row, (ids, covered, owned) in enumerate(_tokenize(batch["text"], tokenizer)):
        entities = batch["entities"][row] or []
        values = {
            "labels": _label_tokens(batch["text"][row], covered, owned, entities),
            "starts": [start for start, _ in owned],
            "ends": [end for _, end in owned],
        }
        for first in _window_starts(len(ids), room, stride):
            window = slice(first, first + room)
            columns["input_ids"].append(before + ids[window] + after)
            columns["first_token"].append(first)
            for name in columns.keys() & values:
                filler = NO_LOSS if name == "labels" else 0
                padded = [filler] * len(before) + values[name][window] + [filler] * len(after)
                columns[name].append(padded)
    return columns


def _tokenize(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]]]:
    """Yield a text's ids, the characters that each token covers and those that are its own."""
    composed = [compose(text) for text in texts]
    encoded = tokenizer(
        [text for text, _, _ in composed],
        add_special_tokens=False,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,  # texts longer than the model takes are what windows are for
    )
    rows = zip(texts, composed, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    for text, (_, starts, ends), ids, offsets in rows:
        covered = [
            (starts[start], ends[end - 1]) if end > start else (0, 0) for start, end in offsets
        ]
        # a marker of a blank that the text does not have covers the first character, and is not it
        pieces = tokenizer.convert_ids_to_tokens(ids)
        solid = [
            (0, 0) if BLANK_MARKS.issuperset(piece) and piece != text[slice(*span)] else span
            for piece, span in zip(pieces, covered, strict=True)
        ]
        yield ids, covered, _own_characters(text, solid)


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the ids that `tokenizer` puts before and after a text."""
    encoded = tokenizer("가", return_special_tokens_mask=True)
    ids, mask = encoded["input_ids"], encoded["special_tokens_mask"]
    first, end = mask.index(0), len(mask) - mask[::-1].index(0)
    return ids[:first], ids[end:]


def _own_characters(text: str, covered: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the span of `text` that is each token's own, without blanks at its edges, or 0, 0."""
    owned, reached = [], 0
    for start, end in covered:
        start = max(start, reached)
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        owned.append((start, end) if start < end else (0, 0))
        reached = end if start < end else reached
    return owned


def _label_tokens(
    text: str,
    covered: Sequence[tuple[int, int]],
    owned: Sequence[tuple[int, int]],
    entities: Sequence[dict[str, Any]],
) -> list[int]:
    """Return the label of each token; one without characters of its own never begins an entity."""
    spans = [(*_own_characters(text, [(e["start"], e["end"])])[0], e["label"]) for e in entities]
    spans = [span for span in spans if span[1]]
    labels, current, begun = [], 0, -1
    for cover, own in zip(covered, owned, strict=True):
        start, end = own if own[1] else cover
        while current < len(spans) and spans[current][1] <= own[0] < own[1]:
            current += 1
        hit = current < len(spans) and spans[current][0] < end and start < spans[current][1]
        if start == end:
            labels.append(NO_LOSS)
        elif hit and begun == current:
            labels.append(2 * spans[current][2] + 2)
        elif hit and own[1]:
            labels.append(2 * spans[current][2] + 1)
            begun = current
        else:
            labels.append(0)
    return labels


def _window_starts(tokens: int, room: int, stride: int) -> list[int]:
    """Return the first token of each window of `room` tokens."""
    return [*range(0, tokens - room, room - stride), tokens - room] if tokens > room else [0]


def decode(
    windows: Dataset,
    probabilities: np.ndarray,
    texts: Sequence[str] | None = None,
    strip: Callable[[str, int, int, int], int] | None = None,
) -> list[list[dict[str, Any]]]:
    """Return the entities of each text by the most probable label of each of its tokens.

    Of a token in several windows, the one counts in which it is farthest from the nearer edge
    (then the earlier window). An I- that continues no entity of its type begins one, as in
    conlleval and as the corpora are read; tokens without characters of their own neither carry
    nor interrupt an entity.

    `strip` can cost more than it gains: choose by `alignment_ceiling` on train. Perfect labels of
    kcbert's tokens score a micro-F1 of 86.1% on ner's test split and 97.7% with
    `particles.strip_particle`, 82.1% and 96.7% on klue-ner's, but 100% and 80.8% on
    naver_changwon_ner's, whose entities are whole words with their particles.

    Args:
        windows: the columns ``starts``, ``ends`` and ``first_token`` of `encode`, in its order.
        probabilities: of every token of every window, one window after the other, without
            padding, (tokens, labels).
        texts: as `encode` had them; only `strip` needs them.
        strip: returns the new end of an entity, from text, start, end and the start of the entity's
            last token: `particles.strip_particle`.

    Returns:
        For each text ``[{"start", "end", "label", "score"}, …]`` by start, without overlap;
        ``label`` is the entity type's id, ``score`` the mean probability of its tokens' labels.
    """
    tags, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return _join_tokens(windows, tags, scores, texts, strip)


def _join_tokens(
    windows: Dataset,
    tags: np.ndarray,
    scores: np.ndarray,
    texts: Sequence[str] | None,
    strip: Callable[[str, int, int, int], int] | None,
) -> list[list[dict[str, Any]]]:
    """Do what `decode` says with the label and the score of each token, (tokens,)."""
    table = windows.with_format("arrow")[:]
    starts, ends = (  # an empty list has no type, hence astype
        table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(int)
        for name in ("starts", "ends")
    )
    lengths = table["starts"].combine_chunks().value_lengths().to_numpy()
    first = table["first_token"].to_numpy()
    if len(tags) != len(starts):
        raise ValueError(f"There are {len(tags)} predictions for {len(starts)} tokens.")
    text_of_window = np.cumsum(first == 0) - 1
    found: list[list[dict[str, Any]]] = [[] for _ in range((first == 0).sum())]
    if strip and len(texts or ()) != len(found):
        raise ValueError(f"There are {len(texts or ())} texts for windows of {len(found)}.")

    index = np.arange(len(starts)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    text = np.repeat(text_of_window, lengths)
    token = np.repeat(first, lengths) + index  # its place in the text, but for a constant
    order = np.flatnonzero(ends > starts)
    if len(found) < len(lengths):
        margin = np.minimum(index, np.repeat(lengths, lengths) - 1 - index)
        order = order[np.lexsort((-margin[order], token[order], text[order]))]
        known = (np.diff(text[order], prepend=-1) == 0) & (np.diff(token[order], prepend=-1) == 0)
        order = order[~known]

    tag, text = tags[order], text[order]
    kind = (tag - 1) // 2  # -1 for O
    goes_on = (kind == np.roll(kind, 1)) & (text == np.roll(text, 1)) & (tag % 2 == 0)
    goes_on[:1] = False
    inside = np.flatnonzero(tag > 0)
    heads = np.flatnonzero(~goes_on[inside])
    if len(heads):
        counts = np.diff(heads, append=len(inside))
        means = np.add.reduceat(scores[order[inside]].astype(float), heads) / counts
        firsts, lasts = inside[heads], inside[heads + counts - 1]
        spans = (starts[order[firsts]], ends[order[lasts]], starts[order[lasts]])
        columns = (text[firsts], *spans, kind[firsts], means)
        for row, start, end, last, label, score in zip(*(c.tolist() for c in columns), strict=True):
            if strip and texts:
                end = strip(texts[row], start, end, last)
            found[row].append({"start": start, "end": end, "label": label, "score": score})
    return found


def alignment_ceiling(
    batches: Iterable[dict[str, list[Any]]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    stride: int,
    strip: Callable[[str, int, int, int], int] | None = None,
) -> dict[str, Any]:
    """Return what perfect predictions would score: gold entities through `encode` and `decode`.

    Args:
        batches: as `encode` takes them, ``dataset.iter(1000)`` for one.
        strip: as `decode` takes it.

    Returns:
        ``entities`` and ``survived``, counts; ``share``, their quotient; ``f1``, of exact spans,
        micro-averaged (both 1.0 without entities); ``reasons``, how many were lost for which
        reason; ``lost``, a list of ``{"text", "start", "end", "label", "reason", "tokens"}``, of
        which ``tokens`` are the characters of those that did it. The reasons, the first that
        holds: "blank" (at the entity's edge), "no token" (for a character at the edge, which the
        tokenizer drops), "unknown" (a token that is [UNK] reaches over the edge), "shared" (one
        that reaches into the neighbouring entity does), "glued" (another does, as one with a
        particle), "cut" (none does: `strip` took a part of the last one off).
    """
    gold_count = predicted_count = 0
    lost: list[dict[str, Any]] = []
    for batch in batches:
        windows = Dataset.from_dict(encode(batch, tokenizer, max_length, stride))
        tags = np.array([label for labels in windows["labels"] for label in labels], dtype=int)
        scores = np.ones(len(tags))
        found = _join_tokens(windows, np.maximum(tags, 0), scores, batch["text"], strip)
        predicted_count += sum(map(len, found))
        for row, entities in enumerate(batch["entities"]):
            gold_count += len(entities)
            spans = {(span["start"], span["end"], span["label"]) for span in found[row]}
            wrong = [e for e in entities if (e["start"], e["end"], e["label"]) not in spans]
            if wrong:
                text = batch["text"][row]
                ids, _, owned = next(_tokenize([text], tokenizer))
                tokens = [
                    (*span, id_ == tokenizer.unk_token_id)
                    for id_, span in zip(ids, owned, strict=True)
                    if span[1]
                ]
                lost += [
                    {"text": text, **entity, **_explain_loss(text, entity, entities, tokens)}
                    for entity in wrong
                ]
    survived = gold_count - len(lost)
    return {
        "entities": gold_count,
        "survived": survived,
        "share": survived / gold_count if gold_count else 1.0,
        "f1": 2 * survived / (gold_count + predicted_count) if gold_count else 1.0,
        "reasons": dict(Counter(loss["reason"] for loss in lost).most_common()),
        "lost": lost,
    }


def _explain_loss(
    text: str,
    entity: dict[str, Any],
    entities: Sequence[dict[str, Any]],
    tokens: Sequence[tuple[int, int, bool]],
) -> dict[str, Any]:
    """Return why `entity` is lost, and the tokens ``(start, end, is [UNK])`` that did it."""
    start, end = entity["start"], entity["end"]
    inside = [token for token in tokens if token[0] < end and start < token[1]]
    over = [token for token in inside if token[0] < start or end < token[1]]
    if text[start].isspace() or text[end - 1].isspace():
        reason, over = "blank", []
    elif not inside or start < inside[0][0] or inside[-1][1] < end:
        reason, over = "no token", []
    elif any(unknown for _, _, unknown in over):
        reason = "unknown"
    elif not over:
        reason, over = "cut", inside[-1:]
    else:
        others = [other for other in entities if other is not entity]
        shared = any(t[0] < e["end"] and e["start"] < t[1] for t in over for e in others)
        reason = "shared" if shared else "glued"
    return {"reason": reason, "tokens": [text[first:last] for first, last, _ in over]}
