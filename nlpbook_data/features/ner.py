"""Named entities: from character spans to windows of labelled tokens, and back.

Labels of tokens are 0 for O, 1 + 2k for B- and 2 + 2k for I- of entity type k (`tag_names`). Only
the offsets of a fast tokenizer are used, so any kind of tokenizer works:

- Each character belongs to the first token that covers it. A token without characters of its own (a
  single blank, the later bytes of a character) is ignored in decoding. Blanks at a token's edges
  belong to no token, so no span begins or ends with a blank.
- Every token that has a character of an entity gets the entity's label. If 서울에서 is one token,
  all of it is labelled, and decodes to an entity that is too long, unless `decode` strips it.
  `alignment_ceiling` measures this loss. If two entities share a token, the first one gets it.
- Texts are NFC-normalised for the tokenizer (macOS writes NFD, which is unknown to a Korean
  vocabulary); offsets refer to the original text.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from nlpbook_data.errors import InputError, shown
from nlpbook_data.features.compose import compose
from nlpbook_data.features.tokens import check_fast, ids_around, tokenize

NO_LOSS = -100
BLANK_MARKS = {"▁", "Ġ"}  # of SentencePiece and byte-level tokenizers


def tag_names(label_names: Sequence[str]) -> list[str]:
    """Return the names of the token labels by id: ``["O", "B-인물", "I-인물", …]``."""
    return ["O", *(f"{mark}-{name}" for name in label_names for mark in "BI")]


def type_names(tags: Sequence[str], training: bool = False) -> list[str]:
    """Return the entity types whose `tag_names` are `tags`; in training [] for other tags.

    Raises:
        InputError: other tags, without `training`.
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

    A text of more than `max_length` tokens, special ones included, becomes several windows. Each
    begins at least `stride` tokens before the end of the window before it. The last window ends
    with the text and is as long as the others. B- and I- labels do not depend on the window.

    Args:
        batch: ``{"text": [str, …], "entities": [[{"start", "end", "label": int}, …] or None, …]}``;
            the entities of a row are sorted and do not overlap; ends are exclusive.
        tokenizer: any fast tokenizer.
        max_length: at most this many tokens a window.
        stride: the minimum number of tokens that neighbouring windows share.

    Returns:
        One row for each window, the windows of a text in order: ``input_ids``; ``labels`` of the
        tokens, -100 for those without characters, left out if the entities of a row are None;
        ``starts`` and ``ends``, the span of each token's own characters, both 0 if it has none;
        ``first_token``, the number of the window's first token in its text, from 0.

    Raises:
        InputError: the tokenizer has no offsets, or `stride` is as long as a window.
    """
    check_fast(tokenizer)
    before, after = ids_around(tokenizer, "가") or ([], [])
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
    rows = zip(batch["text"], batch["entities"], _tokenize(batch["text"], tokenizer), strict=True)
    for text, entities, (ids, covered, owned) in rows:
        values = {
            "labels": _label_tokens(text, covered, owned, entities or []),
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
    """Yield the ids of each text, the span of each token, and that of its own characters."""
    composed = [compose(text) for text in texts]
    encoded = tokenize([text for text, _, _ in composed], tokenizer)
    rows = zip(texts, composed, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    for text, (_, starts, ends), ids, offsets in rows:
        covered = [
            (starts[start], ends[end - 1]) if end > start else (0, 0) for start, end in offsets
        ]
        # A marker of a blank that is not in the text covers the first character, but is not it.
        pieces = tokenizer.convert_ids_to_tokens(ids)
        solid = [
            (0, 0) if BLANK_MARKS.issuperset(piece) and piece != text[slice(*span)] else span
            for piece, span in zip(pieces, covered, strict=True)
        ]
        yield ids, covered, _own_characters(text, solid)


def _own_characters(text: str, covered: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the span of each token's own characters, without blanks at its edges, or 0, 0."""
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
    """Return each token's label; a token without characters of its own never begins an entity."""
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
    """Return the number of the first token of each window of `room` tokens."""
    return [*range(0, tokens - room, room - stride), tokens - room] if tokens > room else [0]


def decode(
    windows: Dataset,
    probabilities: np.ndarray,
    texts: Sequence[str] | None = None,
    strip: Callable[[str, int, int, int], int] | None = None,
) -> list[list[dict[str, Any]]]:
    """Return the entities of each text by the most probable label of each of its tokens.

    If a token is in several windows, the window counts in which it is farthest from the nearer
    edge; of equal ones, the earlier window. An I- tag without an open entity of its type begins
    one, as in conlleval and in the corpus parsers. Tokens without characters of their own are
    skipped: they neither belong to an entity nor end it.

    `strip` can lower the scores, so choose it by `alignment_ceiling` on train: perfect labels of
    kcbert's tokenizer reach a micro-F1 of 86.1% without and 97.7% with `particles.strip_particle`
    on ner's test split, but 100% and 80.8% on naver_changwon_ner's, of words with their particles.

    Args:
        windows: the columns ``starts``, ``ends`` and ``first_token`` of `encode`, in its order.
        probabilities: (tokens, labels), for every token of every window, without padding.
        texts: the texts given to `encode`; only `strip` needs them.
        strip: a function of text, start, end and the start of the entity's last token that returns
            the entity's new end, such as `particles.strip_particle`.

    Returns:
        For each text ``[{"start", "end", "label", "score"}, …]``, sorted by start, without overlap.
        ``label`` is the id of the entity type, ``score`` the mean probability of its tokens'
        labels.
    """
    tags, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    table = windows.with_format("arrow")[:]
    starts, ends = (  # astype: an empty list has no type
        table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(int)
        for name in ("starts", "ends")
    )
    lengths = table["starts"].combine_chunks().value_lengths().to_numpy()
    first = table["first_token"].to_numpy()
    if len(tags) != len(starts):
        raise ValueError(f"There are {len(tags)} predictions for {len(starts)} tokens.")
    found: list[list[dict[str, Any]]] = [[] for _ in range((first == 0).sum())]
    if strip and len(texts or ()) != len(found):
        raise ValueError(f"There are {len(texts or ())} texts for windows of {len(found)}.")

    index = np.arange(len(starts)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    text = np.repeat(np.cumsum(first == 0) - 1, lengths)
    token = np.repeat(first, lengths) + index  # its place in the text, plus a constant
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
        batches: batches for `encode`, such as ``dataset.iter(1000)``.
        strip: see `decode`.

    Returns:
        ``entities`` and ``survived``, counts; ``f1``, micro-averaged, of exact spans (1.0 without
        entities); ``reasons``, the number of lost entities by reason; ``lost``, a list of
        ``{"text", "start", "end", "label", "reason", "tokens"}``, where ``tokens`` are the texts of
        the tokens that caused the loss.
        The reason is the first that holds of: "blank" (the entity has a blank at an edge), "no
        token" (the tokenizer drops a character at an edge), "unknown" (an [UNK] token crosses an
        edge), "shared" (a token reaches into the neighbouring entity), "glued" (another token
        crosses an edge, for example with a particle), "cut" (no token crosses an edge: `strip`
        removed a part of the entity).
    """
    gold_count = predicted_count = 0
    lost: list[dict[str, Any]] = []
    for batch in batches:
        windows = Dataset.from_dict(encode(batch, tokenizer, max_length, stride))
        tags = np.array([label for labels in windows["labels"] for label in labels], dtype=int)
        perfect = np.eye(tags.max(initial=0) + 1)[np.maximum(tags, 0)]
        found = decode(windows, perfect, batch["text"], strip)
        predicted_count += sum(map(len, found))
        for text, entities, mine in zip(batch["text"], batch["entities"], found, strict=True):
            gold_count += len(entities)
            spans = {(span["start"], span["end"], span["label"]) for span in mine}
            wrong = [e for e in entities if (e["start"], e["end"], e["label"]) not in spans]
            if wrong:
                ids, _, owned = next(_tokenize([text], tokenizer))
                unknown = [number == tokenizer.unk_token_id for number in ids]
                tokens = [(*o, u) for o, u in zip(owned, unknown, strict=True) if o[1]]
                for entity in wrong:
                    why = _explain_loss(text, entity, entities, tokens)
                    lost.append({"text": text, **entity, **why})
    survived = gold_count - len(lost)
    return {
        "entities": gold_count,
        "survived": survived,
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
    """Return why `entity` is lost, and the tokens ``(start, end, is [UNK])`` that caused it."""
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
