"""Korean for the terminal: a line that leaves the program is matched against a catalogue.

The code, its errors and the files that it writes stay English. Where Korean is wanted, `spoken`
finds the template in ``ko.po`` that a line was made from and fills its Korean with the same values.
A line without a template stays as it is. In the catalogue the context "part" marks what stands
inside other messages: it is tried last.
"""

import functools
import locale
import os
import re
import unicodedata
from pathlib import Path

CATALOGUE = Path(__file__).with_name("ko.po")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
# In Korean: {name}; {name:ko} is itself translated; {name:list} has commas for `and` and `or`;
# and a particle in both its forms, of which the value's last syllable chooses one.
FILLED = re.compile(r"\{(\w+)(?::(ko|list))?\}(이\(가\)|을\(를\)|은\(는\)|과\(와\)|\(으\)로)?")
PARTICLES = {"이(가)": "이가", "을(를)": "을를", "은(는)": "은는", "과(와)": "과와"}
NUMBER = re.compile(r"(count|number|line|step|points)\d*")  # placeholders that stand for digits
SUGGESTION = r"(?: Did you mean .*\?)?"


def is_korean() -> bool:
    """Whether ``NLPBOOK_LANG``, or else the locale, asks for Korean."""
    names = ("NLPBOOK_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    name = next(filter(None, map(os.environ.get, names)), None) or locale.getlocale()[0] or ""
    return re.match(r"ko(rean)?(?![a-z])", name, re.IGNORECASE) is not None


def spoken(text: str) -> str:
    """Return `text`, a message in English, in the language of the terminal."""
    return _translate(text) if is_korean() else text


def _translate(text: str) -> str:
    bare = text.strip()
    for words, english, korean in _templates():
        if _has(bare, words) and (match := english.fullmatch(bare)):
            before, after = text.split(bare, 1)
            return before + _fill(korean, match.groupdict()) + after
    return "\n".join(map(_translate, text.split("\n"))) if "\n" in text else text


def _has(text: str, words: list[str]) -> bool:
    """Whether `words` stand in `text` in their order; where they do not, no expression is tried."""
    at, end = len(words[0]), len(text) - len(words[-1])
    if not text.startswith(words[0]) or not text.endswith(words[-1]):
        return False
    for word in words[1:-1]:
        at = text.find(word, at) + len(word)
        if at < len(word):
            return False
    return at <= end or len(words) == 1


@functools.cache
def _templates() -> list[tuple[list[str], re.Pattern[str], str]]:
    """Return the catalogue: what stands between placeholders, the English, and the Korean.

    Parts come last, and first what has the most words of its own.
    """
    import polib  # 20 ms, in Korean runs alone

    found = []
    for entry in polib.pofile(str(CATALOGUE)):
        words = PLACEHOLDER.split(entry.msgid.strip())  # every second is a placeholder's name
        pattern = "".join(map(_pattern, words, range(len(words))))
        order = (bool(entry.msgctxt), -sum(map(len, words[::2])))
        found.append((order, (words[::2], re.compile(pattern), entry.msgstr)))
    return [template for _, template in sorted(found, key=lambda pair: pair[0])]


def _pattern(word: str, at: int) -> str:
    if at % 2 == 0:
        return re.escape(word)
    if word == "near":
        return f"(?P<near>{SUGGESTION})"
    kind = "[0-9,.]+" if NUMBER.fullmatch(word) else "[^()]*?" if word == "bare" else ".*?"
    return f"(?P<{word}>{kind})"


def _fill(korean: str, values: dict[str, str]) -> str:
    def fill(found: re.Match[str]) -> str:
        name, how, particle = found.groups(default="")
        value = values[name]
        if how == "ko":
            whole = _translate(value)
            value = whole if whole != value else "; ".join(map(_translate, value.split("; ")))
        elif how == "list":
            value = re.sub(" (and|or) ", ", ", value)
        return value + choose_particle(value, particle)

    return FILLED.sub(fill, korean)


def choose_particle(word: str, both: str) -> str:
    """Return the form of the particle `both`, such as 이(가), that `word` takes.

    Both forms stay behind a word whose reading is not known: text이(가).
    """
    word = re.sub(r" ?\([^()]*\)$", "", word)  # 그램(0.1초)과
    last = unicodedata.normalize("NFC", word).rstrip("'\"`)]}")[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
    elif last and last in "0123456789":
        final = (21, 8, 0, 16, 0, 0, 1, 8, 8, 0)[int(last)]  # 영 일 이 삼 사 오 육 칠 팔 구
    else:
        return both
    if both == "(으)로":
        return "로" if final in (0, 8) else "으로"  # ㄹ
    return PARTICLES[both][final == 0] if both else ""
