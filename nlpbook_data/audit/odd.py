"""Odd characters and passages in texts: a table over all of Unicode, and a few patterns.

Two engines read the patterns: RE2, inside pyarrow, finds the few texts that match, and `re` finds
the positions in those. So the patterns use only syntax that both support.
"""

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CHARACTERS = {
    "NUL": "\0",
    # all of Cc but tab, line feed and carriage return, and the separators U+2028 and U+2029
    "control": "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]",
    "replacement": "[\ufffc\ufffd]",
    # a joiner inside an emoji is not counted, see `find_passages`
    "zero_width": "[\xad\u180e\u200b-\u200d\u2060-\u2064]",
    "byte_order_mark": "\ufeff",
    "bidi_mark": "[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]",
    "hangul_filler": "[\u115f\u1160\u3164\uffa0]",
    "private_use": "[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]",
    "noncharacter": "[\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]",
    "compatibility_ideograph": "[\uf900-\ufaff\U0002f800-\U0002fa1f]",
    "odd_blank": "[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]",
    "tab_or_line_break": "[\t\n\r]",
    # Hangul as NFD has it
    "conjoining_jamo": "[\u1100-\u115e\u1161-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]",
    # ㅋㅋ, ㅠㅠ: common in reviews and no fault
    "lone_jamo": "[\u3131-\u3163\u3165-\u318e]",
}
VISIBLE = ("conjoining_jamo", "lone_jamo")

# What cp1252 makes of the bytes 0x80 to 0x9F; latin-1 keeps them as control characters.
CP1252 = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
BYTES = f"[\x80-\xff{CP1252}]{{3,}}"
# U+FFFD in UTF-8 read as cp949, the usual trace of a text that was decoded wrongly twice; a
# quotation mark in UTF-8 read as Mac Roman (``‚Äô``, or ``äô`` after some cleaning) or as cp1252
# (``â€™``).
SCAR = "(?:占쏙옙|占쏙|쏙옙)+|‚Ä.|[äÄ]ô|â€."
HANGUL = re.compile("[가-힣]")
# Hangul in UTF-8 read as cp949 begins with a Chinese character whose two bytes could begin a
# syllable. If three characters from there turn back into two syllables, it is not an accident.
BEGIN_IN_CP949 = "".join(
    bytes([lead, low]).decode("cp949") for lead in range(0xEA, 0xEE) for low in range(0xA1, 0xC0)
)
SYLLABLES = re.compile("[가-힣]{2}")
PASSAGES = {
    "HTML_entity": "&(?:[a-zA-Z]{2,8}|#[0-9]{2,6}|#[xX][0-9a-fA-F]{2,5});",
    # Only known tag names: reviews put titles into angle brackets.
    "HTML_tag": (
        "</?(?i:a|b|blockquote|br|center|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|iframe|img|input|li|"
        "math|nowiki|ol|p|pre|ref|script|small|span|strike|strong|style|sub|sup|table|tbody|td|th|"
        "tr|u|ul)(?:[ \t\n\f\r][^<>]*)?/?>"
    ),
    "mojibake": f"{SCAR}|{BYTES}|[{BEGIN_IN_CP949}]",
}
PATTERNS = {**CHARACTERS, **PASSAGES}
ANY = "|".join(PATTERNS.values())
HIDDEN = "|".join(pattern for kind, pattern in CHARACTERS.items() if kind not in VISIBLE)
# U+200D after an emoji or a variation selector.
JOINER = re.compile("(?<=[\u2190-\u2dff\ufe0f\U0001f000-\U0010ffff])\u200d")


def find_odd(texts: pa.Array) -> Iterator[tuple[str, dict[int, list[tuple[int, int]]]]]:
    """Yield each kind found, and the start and end of its places by text number.

    A kind is one of `CHARACTERS` or of `PASSAGES`. A place of a character is one character long.
    """
    rows = np.flatnonzero(pc.match_substring_regex(texts, ANY))
    texts = texts.take(rows)
    for kind, pattern in PATTERNS.items():
        mine = np.flatnonzero(pc.match_substring_regex(texts, pattern))
        places = [list(find_passages(kind, text)) for text in texts.take(mine).to_pylist()]
        found = zip(rows[mine].tolist(), places, strict=True)
        yield kind, {row: spans for row, spans in found if spans}


def find_passages(kind: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each place of `kind` in `text`."""
    if kind != "mojibake":
        if kind == "zero_width":
            text = JOINER.sub("+", text)
        yield from (match.span() for match in re.finditer(PATTERNS[kind], text))
        return
    yield from (match.span() for match in re.finditer(SCAR, text))
    for match in re.finditer(BYTES, text):
        if is_mojibake(match[0]):
            yield match.span()
    for match in re.finditer(f"[{BEGIN_IN_CP949}]", text):
        raw = text[match.start() : match.start() + 3].encode("cp949", "ignore")
        if SYLLABLES.match(raw.decode("utf-8", "ignore")):
            yield match.start(), match.start() + 3


def is_mojibake(passage: str) -> bool:
    """Whether `passage`, turned back into its bytes, is Hangul in UTF-8 or EUC-KR.

    Two bytes of EUC-KR often occur by chance (``····``). So EUC-KR needs at least four bytes, three
    of them different, and all of them Hangul.
    """
    for encoding in ("cp1252", "latin-1"):
        raw = passage.encode(encoding, "ignore")
        if HANGUL.search(raw.decode("utf-8", "ignore")):
            return True
    if len(raw) != len(passage) or len(raw) < 4 or len(set(raw)) < 3:
        return False
    return all(map(HANGUL.match, raw.decode("euc-kr", "replace")))


def show(text: str, start: int = 0, end: int | None = None, around: int = 20) -> str:
    """Return ``text[start:end]`` with its context; invisible characters as ``⟨U+200B⟩``."""
    end = start + 60 if end is None else min(end, start + 60)
    first, last = max(start - around, 0), min(end + around, len(text))
    shown = "".join(
        f"⟨U+{ord(c):04X}⟩" if re.match(HIDDEN, c) or not c.isprintable() else c
        for c in text[first:last]
    )
    return f"{'…' if first else ''}{shown}{'…' if last < len(text) else ''}"
