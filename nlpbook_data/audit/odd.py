"""Odd characters and passages in texts: a table over all of Unicode, and a few patterns."""

import functools
import re
from collections.abc import Iterator

import numpy as np

# Each kind and its ranges of code points, both ends included.
KINDS = {
    "NUL": [(0x00, 0x00)],
    # all of Cc but tab, line feed and carriage return, and the separators U+2028 and U+2029
    "control": [
        *((0x01, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F)),
        (0x2028, 0x2029),
    ],
    "replacement": [(0xFFFC, 0xFFFD)],
    # a joiner inside an emoji is not counted, see `find_characters`
    "zero_width": [(0xAD, 0xAD), (0x180E, 0x180E), (0x200B, 0x200D), (0x2060, 0x2064)],
    "byte_order_mark": [(0xFEFF, 0xFEFF)],
    "bidi_mark": [(0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069)],
    "hangul_filler": [(0x115F, 0x1160), (0x3164, 0x3164), (0xFFA0, 0xFFA0)],
    "private_use": [(0xE000, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)],
    "noncharacter": [
        (0xFDD0, 0xFDEF),
        *((plane << 16 | 0xFFFE, plane << 16 | 0xFFFF) for plane in range(17)),
    ],
    "compatibility_ideograph": [(0xF900, 0xFAFF), (0x2F800, 0x2FA1F)],
    "odd_blank": [
        *((0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x202F, 0x202F)),
        *((0x205F, 0x205F), (0x3000, 0x3000)),
    ],
    "tab_or_line_break": [(0x09, 0x0A), (0x0D, 0x0D)],
    # Hangul as NFD has it
    "conjoining_jamo": [(0x1100, 0x115E), (0x1161, 0x11FF), (0xA960, 0xA97C), (0xD7B0, 0xD7FB)],
    # ㅋㅋ, ㅠㅠ: common in reviews and no fault
    "lone_jamo": [(0x3131, 0x3163), (0x3165, 0x318E)],
}
# Found by patterns instead of single characters.
PATTERNS = ("HTML_entity", "HTML_tag", "mojibake")

ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,6}|#[xX][0-9a-fA-F]{2,5});")
# Named, since reviews put titles into angle brackets.
TAG = re.compile(
    r"</?(?:a|b|blockquote|br|center|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|iframe|img|input|li|math|"
    r"nowiki|ol|p|pre|ref|script|small|span|strike|strong|style|sub|sup|table|tbody|td|th|tr|u|ul)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
# What cp1252 makes of the bytes 0x80 to 0x9F; latin-1 keeps them as control characters.
CP1252 = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
BYTES = re.compile(f"[\x80-\xff{CP1252}]{{3,}}")
# What cp949 makes of U+FFFD in UTF-8, the usual scar of a text that was decoded wrongly twice; what
# Mac Roman makes of a quotation mark (``‚Äô``, or ``äô`` where it was cleaned since), and what
# cp1252 does (``â€™``).
SCAR = re.compile("(?:占쏙옙|占쏙|쏙옙)+|‚Ä.|[äÄ]ô|â€.")
HANGUL = re.compile("[가-힣]")
# What cp949 makes of Hangul in UTF-8 begins with a Chinese character whose two bytes could begin
# a syllable; where three characters from there turn back into two syllables, it is no accident.
BEGIN_IN_CP949 = "".join(
    bytes([lead, low]).decode("cp949") for lead in range(0xEA, 0xEE) for low in range(0xA1, 0xC0)
)
BEGIN = re.compile(f"[{BEGIN_IN_CP949}]")
SYLLABLES = re.compile("[가-힣]{2}")

_LONE_JAMO = list(KINDS).index("lone_jamo") + 1
_FIRST_PATTERN = len(KINDS) + 1  # codes of the characters that a pattern can begin with


@functools.cache
def _table() -> np.ndarray:
    """Return the number of the kind of each code point, from 1; 0 is an ordinary character."""
    table = np.zeros(0x110000, np.uint8)
    for number, ranges in enumerate(KINDS.values(), start=1):
        for first, last in ranges:
            table[first : last + 1] = number
    for number, first in enumerate(("&", "<"), start=_FIRST_PATTERN):
        table[ord(first)] = number
    for character in [*map(chr, range(0xA1, 0x100)), *CP1252, *BEGIN_IN_CP949, "占", "쏙"]:
        if not table[ord(character)]:
            table[ord(character)] = _FIRST_PATTERN + 2
    return table


def find_characters(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in `text` that are not ordinary, and their codes for `of_kind`.

    `text` may be millions of characters, many rows joined: a look-up costs a few nanoseconds a
    character. U+200D after an emoji or a variation selector joins emoji and counts as ordinary.
    """
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    codes = _table()[points]
    positions = np.flatnonzero(codes)
    before = points[np.maximum(positions - 1, 0)]
    joiner = (
        (points[positions] == 0x200D)
        & (before >= 0x2190)
        & ((before < 0x2E00) | (before == 0xFE0F) | (before >= 0x1F000))
    )
    positions = positions[~joiner]
    return positions, codes[positions]


def of_kind(codes: np.ndarray, kind: str) -> np.ndarray:
    """Return which of `codes` are of `kind`, or may begin what the pattern `kind` matches."""
    if kind in KINDS:
        return codes == list(KINDS).index(kind) + 1
    mine = codes == _FIRST_PATTERN + PATTERNS.index(kind)
    if kind == "mojibake":  # latin-1 makes control characters and NBSP of bytes, too
        mine |= of_kind(codes, "control") | of_kind(codes, "odd_blank")
    return mine


def find_passages(kind: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each passage of `text` that the pattern `kind` matches."""
    if kind == "HTML_entity":
        yield from (match.span() for match in ENTITY.finditer(text))
    elif kind == "HTML_tag":
        yield from (match.span() for match in TAG.finditer(text))
    else:
        yield from (match.span() for match in SCAR.finditer(text))
        for match in BYTES.finditer(text):
            if is_mojibake(match[0]):
                yield match.span()
        for match in BEGIN.finditer(text):
            raw = text[match.start() : match.start() + 3].encode("cp949", "ignore")
            if SYLLABLES.match(raw.decode("utf-8", "ignore")):
                yield match.start(), match.start() + 3


def is_mojibake(passage: str) -> bool:
    """Whether `passage`, turned back into its bytes, is Hangul in UTF-8 or EUC-KR.

    Two bytes of EUC-KR are easily met by chance (``····``), so those must be at least four bytes,
    three of them different, and all of them Hangul.
    """
    for encoding in ("cp1252", "latin-1"):
        raw = passage.encode(encoding, "ignore")
        if HANGUL.search(raw.decode("utf-8", "ignore")):
            return True
    if len(raw) != len(passage) or len(raw) < 4 or len(set(raw)) < 3:
        return False
    return all(map(HANGUL.match, raw.decode("euc-kr", "replace")))


def show(text: str, start: int = 0, end: int | None = None, around: int = 20) -> str:
    """Return ``text[start:end]`` with its neighbourhood, what cannot be seen as ``⟨U+200B⟩``."""
    end = start + 60 if end is None else min(end, start + 60)
    first, last = max(start - around, 0), min(end + around, len(text))
    shown = "".join(map(_show, text[first:last]))
    return f"{'…' if first else ''}{shown}{'…' if last < len(text) else ''}"


def _show(character: str) -> str:
    kind = _table()[ord(character)]
    hidden = 0 < kind < _LONE_JAMO - 1 or not character.isprintable()
    return f"⟨U+{ord(character):04X}⟩" if hidden else character
