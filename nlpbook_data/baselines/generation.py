"""The baseline of language models: n-grams of characters."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

from nlpbook_data.features.compose import nfc

# The possible next symbols: Unicode's characters (without surrogates) and the end of the text.
OUTCOMES = 0x110000 - 0x800 + 1
END = 0x110000
START = END + 1
MOST_CHARACTERS = 20_000_000


def ngram_bits_per_character(
    train_texts: Sequence[str],
    test_texts: Sequence[str],
    order: int = 5,
    places: np.ndarray | None = None,
) -> dict[int, float]:
    """Return the bits that the models of 1, 2, … `order` characters need for the test texts.

    The bits of all characters and of each text's end are divided by the number of characters, as in
    `metrics.generation.LanguageModelling`. Texts are NFC-normalised.

    Args:
        places: (characters + texts,), a mask of the characters and ends that count; by default all.

    Returns:
        ``{1: bits per character, …, order: bits per character}``.
    """
    bits = -np.log2(ngram_probabilities(train_texts, test_texts, order))
    ends = np.cumsum([len(text) + 1 for text in nfc(test_texts)]) - 1
    counted = np.ones(bits.shape[1], dtype=bool) if places is None else places
    characters = counted.sum() - counted[ends].sum()
    return dict(enumerate(((bits * counted).sum(axis=1) / characters).tolist(), start=1))


def score_ngrams(
    train_texts: Sequence[str],
    held_out: Mapping[str, Sequence[str]],
    order: int = 5,
    places: Mapping[str, np.ndarray] | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the bits per character of n-grams on each split of `held_out`.

    Only the first `MOST_CHARACTERS` characters of the training texts are counted, to save memory.

    Args:
        places: which characters of each split count, see `ngram_bits_per_character`.

    Returns:
        ``{"1-grams of characters": {split: {"bits_per_character": …}}, …}``.
    """
    reached = accumulate(map(len, train_texts))
    train_texts = train_texts[: sum(length <= MOST_CHARACTERS for length in reached)]
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for split, texts in held_out.items():
        counted = (places or {}).get(split)
        for n, bits in ngram_bits_per_character(train_texts, texts, order, counted).items():
            row = scores.setdefault(f"{n}-grams of characters", {})
            row[split] = {"bits_per_character": bits}
    return scores


def ngram_probabilities(
    train_texts: Sequence[str], test_texts: Sequence[str], order: int = 5
) -> np.ndarray:
    """Return the probability of each character of the test texts, and of each text's end.

    The models are Kneser and Ney's, interpolated (Chen and Goodman, 1999, section 2.7): after a
    history h of n - 1 characters,

        P_n(c | h) = (max(count(h c) - D, 0) + D T P_{n-1}(c | h')) / N,

    where N is the sum of count(h c) over all c, T the number of those c with a count, h' is h
    without its first character, and D = n1 / (n1 + 2 n2), from the number of n-grams that are
    counted once and twice. In the highest order an n-gram counts as often as it occurs in the
    training texts. In the lower orders it counts as often as different characters precede it. An
    n-gram at the start of a text has no preceding character, so it counts by its occurrences. P_n
    is P_{n-1} if h was never seen, or would reach beyond the start. P_0 is uniform over Unicode's
    1,112,064 characters and the end, so that each model sums to 1, unseen characters included.

    Returns:
        (order, characters + texts): one row for each of the models of 1, 2, … characters. The end
        of a text follows its characters.
    """
    train, test = nfc(train_texts), nfc(test_texts)
    symbols, places = _symbols([*train, *test])
    trained = np.arange(len(symbols)) < sum(map(len, train)) + 2 * len(train)
    predicted = ~trained & (places > 0)
    alphabet, symbols = np.unique(symbols, return_inverse=True)
    size = len(alphabet)
    # For each place the number of the n-gram that ends there, and of the history before it; for
    # each n-gram the number of its history.
    grams, history, history_of = symbols, np.zeros_like(symbols), np.zeros(size, dtype=np.int64)
    lower = np.full(len(symbols), 1 / OUTCOMES)
    models = []
    for n in range(1, order + 1):
        inside = places >= max(n - 1, 1)
        known, asked = np.flatnonzero(inside & trained), np.flatnonzero(inside & predicted)
        steps = grams[asked], history[asked], history_of
        counts = np.bincount(grams[known], minlength=len(history_of))
        probability = lower.copy()
        probability[asked] = _interpolate(counts, *steps, lower[asked])
        models.append(probability[predicted])
        if n == order:
            break
        longer, longer_history = np.zeros_like(grams), np.roll(grams, 1)
        follows = places >= n
        keys, longer[follows] = np.unique(
            (longer_history * size + symbols)[follows], return_inverse=True
        )
        example = np.full(len(keys), -1)  # one place of each longer n-gram seen
        inner = known[places[known] >= n]
        example[longer[inner]] = inner
        counts = np.bincount(grams[example[example >= 0]], minlength=len(history_of))
        counts += np.bincount(grams[known[places[known] < n]], minlength=len(history_of))
        lower[asked] = _interpolate(counts, *steps, lower[asked])
        grams, history, history_of = longer, longer_history, keys // size
    return np.array(models)


def _interpolate(
    counts: np.ndarray,
    grams: np.ndarray,
    history: np.ndarray,
    history_of: np.ndarray,
    lower: np.ndarray,
) -> np.ndarray:
    """Return P_n at each place, from the counts of all n-grams."""
    once, twice = (int((counts == number).sum()) for number in (1, 2))
    discount = once / (once + 2 * twice) if once else 0.5
    total = np.bincount(history_of, weights=counts)[history]
    types = np.bincount(history_of, weights=counts > 0)[history]
    kept = np.maximum(counts[grams] - discount, 0)
    return np.where(total > 0, (kept + discount * types * lower) / np.maximum(total, 1), lower)


def _symbols(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the start, characters and end of each text as numbers, and their positions in it."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    begins = np.cumsum(lengths + 2) - lengths - 2
    places = np.arange(int(lengths.sum()) + 2 * len(texts)) - np.repeat(begins, lengths + 2)
    symbols = np.full(len(places), END)
    symbols[begins] = START
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    symbols[(places > 0) & (places <= np.repeat(lengths, lengths + 2))] = codes
    return symbols, places
