"""KLUE-NER: named entities, a tag a character.

The file begins with five comment lines. Each sentence is a line ``## id⇥tagged text``, in which an
entity is ``<text:TAG>``; then a line ``character⇥tag`` for each character, blanks included; then an
empty line.
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from datasets import Features

from nlpbook_data.corpora._klue import ENTITIES, declare
from nlpbook_data.corpora.declaration import Corpus, entity_spans, texts
from nlpbook_data.errors import shown
from nlpbook_data.reading.entities import join_tokens, number_labels
from nlpbook_data.reading.text import read_lines
from nlpbook_data.reading.values import Files, Rows, malformed

LABELS = {tag: id_ for id_, tag in enumerate(ENTITIES)}

CORPUS = Corpus(
    name="klue-ner",
    task="ner",
    title="KLUE 개체명 인식",
    features=Features(**texts("id", "text"), entities=entity_spans(ENTITIES.values())),
    **declare("klue-ner-v1.1", train=21_008, dev=5_000, suffix="tsv"),
)

COLUMNS = "## 컬럼명 : CHAR\tNE_TAG"
MARKED = re.compile(rf"<([^<>]*):({'|'.join(ENTITIES)})>")
MARKS = re.compile(rf":?({'|'.join(ENTITIES)})?>|<")


def parse(files: Files) -> Rows:
    """Yield a row for each sentence: the text of its characters, and the spans of their tags.

    Spans come from the character tags, because published scores use them. They differ from the
    marks in three of 4,500 dev sentences, such as ``<<레이:PS>>``. An I- tag without an open entity
    begins one, as in conlleval. The tagged text must agree with the characters. Literal angle
    brackets and unclosed marks are not compared (the official train file has some: KLUE's pull
    request 39).
    """
    for path in files:
        for place, id_, tagged, characters in _sentences(path):
            text, entities = join_tokens(
                [character for character, _ in characters], [tag for _, tag in characters], ""
            )
            plain = MARKED.sub(r"\1", tagged)
            marks = "<" in plain or ">" in plain
            if text != plain and not (marks and MARKS.sub("", text) == MARKS.sub("", plain)):
                raise malformed(
                    f"{place}, the characters below", text, f"the sentence {plain[:60]!r}"
                )
            yield {"id": id_, "text": text, "entities": number_labels(entities, LABELS)}


def _sentences(path: Path) -> Iterator[tuple[str, str, str, list[tuple[str, tuple[str, str]]]]]:
    """Yield ``(place, id, tagged text, [(character, (mark, tag)), …])``; both are "" for O."""
    lines = read_lines(path)
    for place, line in lines:
        if line == COLUMNS:
            break
        if not line.startswith("## "):
            raise malformed(place, line, f"a comment, the last of which is {COLUMNS!r},")
    else:
        raise malformed(f"{path}, line 1", "the end", f"the comment {COLUMNS!r}")
    sentence: tuple[str, str, str, list] | None = None
    for place, line in chain(lines, [("", "")]):  # a blank line ends the last
        is_blank, begins = not line.strip("\t"), line.startswith("## ")
        if sentence and (is_blank or begins):
            yield sentence
            sentence = None
        if begins:
            id_, tab, tagged = line.removeprefix("## ").partition("\t")
            if not tab or not id_:
                raise malformed(place, line, "## id⇥tagged text")
            sentence = (f"{place}, {shown([id_])}", id_, tagged, [])
        elif not is_blank:
            character, _, tag = line.partition("\t")
            mark, _, name = tag.partition("-")
            if not character or (tag != "O" and (mark not in ("B", "I") or name not in ENTITIES)):
                raise malformed(place, line.replace("\t", "⇥"), "character⇥tag (B-DT, I-DT, …, O)")
            if sentence is None:
                raise malformed(place, line.replace("\t", "⇥"), "## id⇥tagged text")
            sentence[3].append((character, (mark, name) if name else ("", "")))
