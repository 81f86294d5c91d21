"""NFC text with the source positions of its characters."""

import unicodedata
from collections.abc import Sequence


def nfc(texts: Sequence[str]) -> list[str]:
    """Return the texts in NFC; macOS writes NFD, which is unknown to a Korean vocabulary."""
    return [unicodedata.normalize("NFC", text) for text in texts]


def compose(text: str) -> tuple[str, Sequence[int], Sequence[int]]:
    """Return `text` in NFC, and for each new character its start and end in the old text.

    Ends are exclusive. If nothing changed, both are ranges.
    """
    if unicodedata.is_normalized("NFC", text):
        return text, range(len(text)), range(1, len(text) + 1)
    # characters that may compose with the one before them, unless that is a blank: marks, and the
    # vowels and finals of Hangul
    joins = [
        "\u1161" <= c <= "\u1175" or "\u11a8" <= c <= "\u11c2" or unicodedata.category(c)[0] == "M"
        for c in text
    ]
    bounds = [i for i, join in enumerate(joins) if not (join and i and text[i - 1].strip())]
    pieces, starts, ends = [], [], []
    for start, end in zip(bounds, [*bounds[1:], len(text)], strict=True):
        piece = unicodedata.normalize("NFC", text[start:end])
        pieces.append(piece)
        starts += [start] * len(piece)
        ends += [end] * len(piece)
    return "".join(pieces), starts, ends
