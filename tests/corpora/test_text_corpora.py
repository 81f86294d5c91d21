"""kcbert, kowikitext, namuwikitext, open_subtitles: Korpora's rows, streamed, and where not."""

import importlib
import tracemalloc
from pathlib import Path

import pytest
from fixture_rows import FIXTURES, parse, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data import InputError, load_corpus
from nlpbook_data.corpora import open_subtitles
from nlpbook_data.data.corpus import find_corpus
from nlpbook_data.reading import text as reading

NAMES = ["kcbert", "kowikitext", "namuwikitext", "open_subtitles"]
WIKIS = ["kowikitext", "namuwikitext"]
SPLITS = ["train", "validation", "test"]


def rows(name: str, path: Path) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in rows_of(name, [path])]


def korpora_wiki(path: Path) -> list[tuple[str, str]]:
    """Return the titles and texts that Korpora's `load` reads."""
    from Korpora import KowikiTextKorpus

    texts, titles = KowikiTextKorpus.load(None, str(path))
    return list(zip(titles, texts, strict=True))


# --- all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_loading_and_streaming_lose_no_row(name, tmp_path):
    loaded = load_corpus(name, FIXTURES, tmp_path)
    streamed = load_corpus(name, FIXTURES, tmp_path, streaming=True)
    known = [row for split in SPLITS if split in loaded for row in loaded[split]]
    parsed = [row for split in SPLITS[: 3 if name in WIKIS else 1] for row in parse(name, split)]
    assert sorted(map(str, known)) == sorted(map(str, parsed))
    assert {split: list(rows) for split, rows in streamed.items()} == {
        split: list(rows) for split, rows in loaded.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_memory_holds_a_block_not_the_file(name, tmp_path, monkeypatch):
    for module in (reading, open_subtitles):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1 << 16)
    unit = {
        "kcbert": "댓글 하나 둘 셋\n",
        "open_subtitles": "<tu><tuv xml:lang='en'><seg>a b c</seg></tuv>\n"
        "<tuv xml:lang='ko'><seg>가 나 다</seg></tuv></tu>\n",
    }.get(name, " = 제목 =\n\n 본문 하나\n\n 본문 둘\n")
    path = tmp_path / "big"
    content = unit * 60_000
    content = f"<tmx>{content}</tmx>" if name == "open_subtitles" else content
    path.write_text(content, encoding="utf-8")
    module = importlib.import_module(f"nlpbook_data.corpora.{name}")
    tracemalloc.start()
    assert sum(map(len, module.parse([path]))) == 60_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_are_refused_with_their_line(name, tmp_path):
    path = tmp_path / "damaged"
    corpus = find_corpus(name)
    (clean,) = corpus.splits["train"].paths(corpus.folder(FIXTURES))
    lines = clean.read_bytes().split(b"\n")
    for damage in (b"\xea\xb0", b"\0"):
        at = next(n for n in range(2, len(lines)) if "".join(lines[n].decode().split()) != "")
        damaged = [*lines]
        damaged[at] = damaged[at][:-1] + damage + damaged[at][-1:]
        path.write_bytes(b"\n".join(damaged))
        with pytest.raises(InputError, match=rf"damaged, line {at + 1}"):
            rows(name, path)


@pytest.mark.parametrize("name", [*WIKIS, "open_subtitles"])
def test_an_html_page_is_refused(name, tmp_path):
    path = tmp_path / "page"
    for page in ("<!DOCTYPE html>\n<html>404</html>\n", "<html><body>404</body></html>"):
        path.write_text(page)
        with pytest.raises(InputError, match="page, line 1"):
            rows(name, path)


# --- wikitext -------------------------------------------------------------------------------


LINES = st.text(alphabet="가= a\t\u3000\u2028\x1c🙂", max_size=6)
SECTIONS = st.lists(
    st.tuples(LINES, st.lists(LINES.filter(lambda line: not line.startswith(" =")), max_size=4)),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(sections=SECTIONS, block=st.integers(1, 40), newline=st.booleans(), crlf=st.booleans())
def test_any_sections_are_korporas_whatever_the_blocks(
    tmp_path_factory, sections, block, newline, crlf
):
    text = "\n".join(f" ={title}\n\n" + "\n".join(lines) for title, lines in sections)
    text += "\n" * newline
    path = tmp_path_factory.getbasetemp() / "wiki"
    path.write_bytes((text.replace("\n", "\r\n") if crlf else text).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", block)
        assert rows("kowikitext", path) == korpora_wiki(path)


def test_what_looks_like_a_heading_is_one_a_mark_is_none_and_an_empty_file_has_no_section(tmp_path):
    """A line of a formula begins a section too; Korpora loses the line after it."""
    path = tmp_path / "wiki"
    path.write_bytes("\ufeff = 합 =\n\n 하나 더하기 둘\n = 1 + 2\n 은 셋이다.\n".encode())
    titles = [" = 합 =", " = 1 + 2"]
    texts = ["하나 더하기 둘", "은 셋이다."]
    assert rows("kowikitext", path) == list(zip(titles, texts, strict=True))
    path.write_bytes(b"")
    assert rows("kowikitext", path) == []


def test_a_section_that_does_not_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 64)
    monkeypatch.setattr(reading, "MAX_LINE_BYTES", 200)
    path = tmp_path / "wiki"
    path.write_text(" = A =\n\n a\n = B =\n\n" + " b\n" * 1000)
    with pytest.raises(InputError, match="wiki, line 4: a section longer than 200 bytes"):
        rows("kowikitext", path)


# --- open_subtitles -------------------------------------------------------------------------


def units(tmp_path: Path, *texts: str, head: str = "<tmx><body>") -> list[tuple[str, str]]:
    """Return the rows of a TMX file with `texts` in its body."""
    path = tmp_path / "en-ko.tmx"
    path.write_text(f"{head}\n{''.join(texts)}</body></tmx>\n", encoding="utf-8")
    return rows("open_subtitles", path)


def unit(english: str, korean: str) -> str:
    """Return a translation unit, as OPUS lays it out."""
    return (
        f'    <tu>\n      <tuv xml:lang="en"><seg>{english}</seg></tuv>\n'
        f'      <tuv xml:lang="ko"><seg>{korean}</seg></tuv>\n    </tu>\n'
    )


# where Korpora is not to be followed
UNITS = [
    # characters are unescaped; Korpora leaves them
    (
        unit("Tom &amp; Jerry &lt;i&gt; isn&apos;t &quot;on&quot;", "톰과 제리&#x1F642; &#44032;"),
        [("톰과 제리🙂 가", 'Tom & Jerry <i> isn\'t "on"')],
    ),
    # pairs with other blanks or an empty text are kept; Korpora drops them
    *(
        (unit("One", text) + unit("Two", "둘"), [(text, "One"), ("둘", "Two")])
        for text in ("탭\t하나", "전각\u3000빈칸", "붙는\u00a0빈칸", "")
    ),
    # the language decides, not the order
    (
        unit("A", "가").replace('"en"', '"x"').replace('"ko"', '"en"').replace('"x"', '"ko"'),
        [("A", "가")],
    ),
    # layout, comments, properties and character data do not matter
    (
        '<tu tuid="1"><prop type="x">y</prop><tuv xml:lang="en"><seg>A</seg></tuv><!-- c -->'
        '<tuv\nxml:lang="ko"><seg><![CDATA[<가>]]>\n나</seg></tuv></tu>',
        [("<가>\n나", "A")],
    ),
]


@pytest.mark.parametrize(("text", "found"), UNITS)
def test_a_pair_is_what_its_markup_means(text, found, tmp_path):
    assert units(tmp_path, text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<tu><tuv xml:lang="en"><seg>A</seg></tuv></tu>', "line 2: found 'en'"),
        ("<tu></tu>", "line 2: found 'no <seg>'"),
        (unit("A", "가").replace('"ko"', '"en"'), "line 4: found .*'en'"),
        (unit("A", "가").replace('"ko"', '"ja"'), "line 4: found .*'ja'"),
        (unit("A", "가").replace(' xml:lang="ko"', ""), "line 4: found .*None"),
        (unit("A", "가<b>나</b>"), "line 4: found '<b>'"),
        ("<seg>A</seg>", "line 2: found '<seg>"),
        (unit("A", "가").replace("</tu>\n", ""), "line 5: not XML"),
        ("<tu><tu></tu></tu>", "line 2: found '<tu>'"),
        (unit("A", "&unknown;"), "line 4: not XML"),
        (unit("A", "&#xD83D;"), "line 4: not XML"),
        (unit("A", "a & b"), "line 4: not XML"),
    ],
)
def test_what_is_no_pair_is_refused_with_its_line(text, said, tmp_path):
    with pytest.raises(InputError, match=rf"en-ko\.tmx, {said}"):
        units(tmp_path, text)


@pytest.mark.parametrize(
    "entity",
    ['<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">', '<!ENTITY b SYSTEM "/etc/passwd">'],
)
def test_a_document_type_is_refused_and_no_entity_expanded(entity, tmp_path):
    head = f"<!DOCTYPE tmx [{entity}]>\n<tmx><body>"
    with pytest.raises(InputError, match="line 1: found '<!DOCTYPE'"):
        units(tmp_path, unit("A", "&b;"), head=head)


@given(texts=st.lists(st.text("가a &<>\"'\u3000🙂\n", max_size=8), min_size=1, max_size=8))
@settings(deadline=None)
def test_any_text_comes_back_whatever_the_blocks(tmp_path_factory, texts):
    from xml.sax.saxutils import escape

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_subtitles, "BLOCK_BYTES", 5)
        found = units(
            tmp_path_factory.getbasetemp(), *(unit(escape(t), escape(t[::-1])) for t in texts)
        )
    assert found == [(text[::-1], text) for text in texts]
