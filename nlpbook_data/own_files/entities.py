"""Named entities annotated in text files: a tag for each token, or tags inside the text."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from os.path import commonprefix
from pathlib import Path
from typing import Any

from nlpbook_data.errors import InputError
from nlpbook_data.own_files.tables import read_text_lines
from nlpbook_data.reading import webanno
from nlpbook_data.reading.entities import (
    BARE,
    HANGUL,
    LATIN,
    OUTSIDE,
    PREFIX,
    SUFFIX,
    Entities,
    join_tokens,
    mark_of,
    split_tag,
    untag,
    untag_text,
)
from nlpbook_data.reading.values import OnError, PlacedRows, convert_each, malformed

Lines = Iterable[tuple[str, str]]  # each with its place
# The layout of a file, in words and as what reads its sentences.
Layout = tuple[str, Callable[[OnError], PlacedRows]]
SEPARATOR = "␞"
DOCUMENT = "-DOCSTART-"
INDEX = re.compile("[0-9]+([-.][0-9]+)?")
# For a file of labels only (IO): the most labels, and the smallest share of outside tokens.
BARE_LABELS, BARE_OUTSIDE = 100, 0.2
# The share of lines with a tag in Hangul, above which it is one and not text.
HANGUL_TAGGED = 0.3
# The layout is decided by so many lines; a corpus of gigabytes is not read completely.
SAMPLE_LINES = 100_000
ORDERS = {PREFIX: "B-TAG", SUFFIX: "TAG_B", BARE: "TAG alone"}


@dataclass(frozen=True)
class _Tokens:
    """How a line has a token and its tag.

    Attributes:
        separator: the separator of columns, a tab or a blank.
        columns: the number of columns.
        token: the column of the token, 1 if the first is an index.
        at: the column of the tag: the last, or after index and token, as in UNER's .iob2.
        scheme: splits a tag into its mark and its label.
        characters: as KLUE's: each token is a character, blanks too.
    """

    separator: str
    columns: int
    token: int
    at: int
    scheme: re.Pattern
    characters: bool

    def __str__(self) -> str:
        order = ORDERS[self.scheme]
        if self.characters:
            return f"a character and its tag a line (KLUE), {order}"
        first = "index, token" if self.token else "token"
        others = self.columns - 2 - self.token
        names = f"{first}, {others} other columns and tag" if others else f"{first} and tag"
        if self.at > 0:
            names = f"{first}, tag, {others} other columns"
        return (
            f"{names} a line, parted by {'tabs' if self.separator == chr(9) else 'blanks'}, {order}"
        )


def find_layout(path: Path) -> Layout | None:
    """Return the annotation layout of the text file `path`, None without annotations.

    Its sentences are ``(place, {"text", "entities"})``; tokens are joined by one blank, characters
    directly. The error of a sentence with a bad line goes to `on_error`.
    """
    lines = [line for _, line in islice(read_text_lines(path), SAMPLE_LINES)]
    if lines and lines[0].startswith(webanno.FORMAT):
        return "WebAnno TSV 3", _reader(path, webanno.read_sentence, webanno.sentences)
    if lines and lines[0].startswith(";") and any(line.startswith("$") for line in lines[:5]):
        return "2016klp's ; and $ lines", _reader(path, _read_klp, _klp_sentences)
    lines = [line for line in lines if line.strip("\r") and not line.startswith(DOCUMENT)]
    for scheme in (PREFIX, SUFFIX):
        found = (_tags_of(line, scheme) for line in lines)
        if sum(one is not None and len(one[0]) > 1 for one in found) * 2 > len(lines):
            words = f"a sentence and its words' tags a line, {ORDERS[scheme]}"
            return words, _reader(path, partial(_read_words, scheme=scheme))
    separator = "\t" if sum("\t" in line for line in lines) * 2 > len(lines) else " "
    characters = separator == "\t" and any(
        line.startswith(" \t") or (line.startswith("## ") and "\t" in line) for line in lines
    )
    rows = [_split(line, separator) for line in lines if not _is_comment(line, separator)]
    columns = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    full = [row for row in rows if len(row) == columns > 2]
    numbered = bool(full) and all(INDEX.fullmatch(row[0]) for row in full)
    counted = {at: _count_tags(rows, at) for at in ((-1, 2) if numbered else (-1,))}
    at = next((at for at, (_, fit) in counted.items() if any(fit.values())), -1)
    tags, schemes = counted[at]
    scheme = max(schemes, key=lambda scheme: schemes[scheme])
    outside = sum(tags[tag] for tag in OUTSIDE)
    is_bare = not schemes[scheme] and not {*tags} <= {*OUTSIDE}
    if rows and (schemes[scheme] + outside) * 2 > len(rows) and not is_bare:
        return _tokens(path, _Tokens(separator, columns, int(numbered), at, scheme, characters))
    hangul = [mark_of(HANGUL).search(line.split(SEPARATOR)[-1]) for line in lines]
    is_hangul = len([*filter(None, hangul)]) > HANGUL_TAGGED * len(lines)
    is_latin = any(mark_of(LATIN).search(line) for line in lines)
    if is_latin or is_hangul or any(SEPARATOR in line for line in lines):
        tag = HANGUL if is_hangul and not is_latin else LATIN
        return "<entity:TAG> in the text", _reader(path, partial(_read_tagged, tag=tag))
    named = all(BARE.fullmatch(tag) or tag in OUTSIDE for tag in tags)
    if columns > 1 and named and 1 < len(tags) <= BARE_LABELS:
        if outside > BARE_OUTSIDE * len(rows):
            return _tokens(path, _Tokens(separator, columns, int(numbered), at, BARE, False))
    return None


def _count_tags(rows: list[list[str]], at: int) -> tuple[Counter[str], dict[re.Pattern, int]]:
    """Return the cells of the column `at` with their counts, and how many fit each scheme."""
    tags = Counter(row[at] for row in rows if len(row) > max(at, 1))
    fit = {s: sum(n for tag, n in tags.items() if s.fullmatch(tag)) for s in (PREFIX, SUFFIX)}
    return tags, fit


def _filled(lines: Lines) -> Lines:
    return ((place, line) for place, line in lines if line.strip())


def _reader(
    path: Path,
    read: Callable[[str, Any], Entities],
    parted: Callable[[Lines], Iterable[tuple[str, Any]]] = _filled,
) -> Callable[[OnError], PlacedRows]:
    def rows(on_error: OnError) -> PlacedRows:
        for place, found in convert_each(parted(read_text_lines(path)), read, on_error):
            yield place, {"text": found[0], "entities": found[1]}

    return rows


def _tokens(path: Path, layout: _Tokens) -> Layout:
    read, parted = partial(_read_sentence, layout=layout), partial(_sentences, layout=layout)
    return str(layout), _reader(path, read, parted)


def _split(line: str, separator: str) -> list[str]:
    return line.split("\t") if separator == "\t" else re.split(" +", line.strip(" "))


def _is_comment(line: str, separator: str) -> bool:
    """``# …`` and ``## …`` are comments; ``#⇥O``, ``##조각⇥O`` and ``# O`` are tokens."""
    if separator == " " and len(cells := _split(line, " ")) == 2:
        if any(_is_tag(cells[1], scheme) for scheme in (PREFIX, SUFFIX)):
            return False
    return line.startswith(("# ", "## "))


def _is_tag(cell: str, scheme: re.Pattern) -> bool:
    return cell in OUTSIDE or scheme.fullmatch(cell) is not None


def _sentences(lines: Lines, layout: _Tokens) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the first place and the lines of each sentence; KLUE's header line comes first."""
    sentence: list[tuple[str, str]] = []
    header: list[tuple[str, str]] = []
    for place, line in chain(lines, [("", "")]):
        is_comment = _is_comment(line, layout.separator)
        is_header = layout.characters and is_comment and "\t" in line
        is_blank = not line or (not layout.characters and not line.strip(" \t"))
        # the blank line before a new sentence of KLUE may be missing
        if sentence and (is_blank or is_header):
            yield (header + sentence)[0][0], header + sentence
        if is_blank or is_header:
            sentence, header = [], [(place, line)] if is_header else []
        elif not line.startswith(DOCUMENT) and not is_comment:
            sentence.append((place, line))


def _read_sentence(place: str, sentence: list[tuple[str, str]], layout: _Tokens) -> Entities:
    tagged = None
    if layout.characters and _is_comment(sentence[0][1], layout.separator):
        tagged, sentence = sentence[0], sentence[1:]
    tokens, tags, index = [], [], None
    for place, line in sentence:
        cells = _split(line, layout.separator)
        shown = line.replace("\t", "⇥")[:60]
        if len(cells) != layout.columns:
            raise InputError(
                f"{place}: {len(cells)} columns in {shown!r} where the file has {layout.columns}. "
                "Mend the line; sentences are parted by blank lines."
            )
        if layout.token and not cells[0].isdecimal() and INDEX.fullmatch(cells[0]):
            continue  # CoNLL-U's line of words that are written together, or of one left out
        if layout.token:
            if not cells[0].isdecimal() or index not in (None, int(cells[0]) - 1):
                expected = 1 if index is None else index + 1
                raise InputError(
                    f"{place}: found the index {cells[0][:20]!r} where {expected} belongs. "
                    "A line or the blank line before a sentence is missing."
                )
            index = int(cells[0])
        token, tag = cells[layout.token], cells[layout.at].strip(" ")
        if not token or (not layout.characters and not token.strip()):
            raise InputError(f"{place}: there is no token before the tag {tag[:20]!r}. Mend it.")
        if layout.characters and len(token) != 1:
            raise malformed(place, token, "one character", "Mend the line.")
        tokens.append(token)
        tags.append(split_tag(place, tag, layout.scheme))
    text, entities = join_tokens(tokens, tags, "" if layout.characters else " ")
    if tagged:
        plain, _ = untag(tagged[1].partition("\t")[2])
        # Unclosed marks prove nothing; KLUE's own file has some.
        if plain != text and not {"<", ">"} & {*plain, *text}:
            raise InputError(
                f"{tagged[0]}: the sentence here is not that of the characters below it "
                f"({text[:40]!r}). Mend one of them."
            )
    return text, entities


def _klp_sentences(lines: Lines) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield ``(place, (text, tagged text))`` of 2016klp's lines of ``;`` and ``$``."""
    text = ""
    for place, line in lines:
        if line.startswith(";"):
            text = line[1:].strip()
        elif line.startswith("$"):
            yield place, (text, line[1:].strip())


def _read_klp(place: str, pair: tuple[str, str]) -> Entities:
    text, tagged = pair
    entities = untag_text(tagged, text)
    if entities is None:
        raise InputError(
            f"{place}: without its tags the line of $ is not the one of ; before it "
            f"({text[:40]!r}). Mend one of them."
        )
    return text, entities


def _read_words(place: str, line: str, scheme: re.Pattern) -> Entities:
    found = _tags_of(line, scheme)
    if found is None:
        words, _, tags = line.partition("\t")
        raise InputError(
            f"{place}: {len(words.split())} words and {len(tags.split())} tags, or a tag that is "
            "none. Mend the line."
        )
    return join_tokens(found[0], [split_tag(place, tag, scheme) for tag in found[1]])


def _tags_of(line: str, scheme: re.Pattern) -> tuple[list[str], list[str]] | None:
    """Return the words and tags of a line ``sentence⇥tags``, None for another line."""
    sentence, tab, rest = line.partition("\t")
    words, tags = sentence.split(), rest.split()
    fits = all(_is_tag(tag, scheme) for tag in tags)
    return (words, tags) if tab and words and fits and len(words) == len(tags) else None


def _read_tagged(place: str, line: str, tag: str) -> Entities:
    *before, tagged = line.split(SEPARATOR)
    if len(before) > 1:
        raise InputError(f"{place}: {len(before)} {SEPARATOR} in a line. Leave one, or none.")
    if before:
        entities = untag_text(tagged, before[0], tag=tag)
        if entities is None:
            plain = untag(tagged, tag=tag)[0]
            at = len(commonprefix([before[0], plain]))
            raise InputError(
                f"{place}: without its tags, the text after {SEPARATOR} is not the one before it: "
                f"{plain[at : at + 20]!r} where {before[0][at : at + 20]!r} belongs, at character "
                f"{at}. Mend the line."
            )
        return before[0], entities
    # Without the text, only leftovers that look like half a tag can be found.
    rest = mark_of(tag).sub("", tagged)
    half = re.search(r"<[^<>]*:[A-Z][A-Z0-9_]+(?![A-Za-z0-9_>])|:[A-Z][A-Z0-9_]*>|<:", rest)
    if half:
        raise InputError(
            f"{place}: found {half[0][:40]!r}, which is half of an <entity:TAG>. Mend it, or put "
            f"the text and {SEPARATOR} before the tagged text."
        )
    return untag(tagged, tag=tag)
