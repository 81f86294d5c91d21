"""The page of entities shows every text and every entity, whatever they hold."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data.reports.highlight import write_highlights

TEXT = "홍길동은 서울에서 산다"


def span(start, end, label="인물", **more):
    return {"start": start, "end": end, "label": label, **more}


def make_row(gold, predicted, text=TEXT):
    return {
        "text": text,
        "entities": gold and [span(*one) for one in gold],
        "prediction": [span(*one, score=0.5) for one in predicted],
    }


class Page(HTMLParser):
    """What a page says: the lines of its articles, their marks, and the cells of its legends.

    Attributes:
        articles: of each a list of lines (side, text, marks), a mark (start, end, note, class).
        cells: {first cell of a row of a table: the numbers in the others}.
    """

    VOID = {"meta"}

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.articles, self.rows, self.notes = [], set(), [], [], []
        self.feed(source)
        self.close()
        assert not self.open
        self.cells = {row[0]: tuple(map(int, row[1:])) for row in self.rows if row[1:] != HEADS}

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append((tag, names.get("class")))
        if tag == "article":
            self.articles.append([])
        elif tag == "div" and names.get("class") == "line":
            self.articles[-1].append(["", "", []])
        elif tag == "mark" and self.articles:
            line = self.articles[-1][-1]
            line[2].append([len(line[1]), None, "", names["class"]])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag
        if tag == "mark" and self.articles:
            line = self.articles[-1][-1]
            line[2][-1][1] = len(line[1])

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        if ("p", "note") in self.open:
            self.notes.append(data)
        elif "small" in tags:
            self.articles[-1][-1][2][-1][2] += data
        elif ("div", "text") in self.open:
            self.articles[-1][-1][1] += data
        elif "b" in tags:
            self.articles[-1][-1][0] = data
        elif "td" in tags or "th" in tags:
            self.rows[-1][-1] += data


HEADS = ["정답", "예측"]


def write(tmp_path, *rows, title="오류"):
    write_highlights(rows, tmp_path / "쪽.html", title)
    source = (tmp_path / "쪽.html").read_bytes().decode("utf-8")
    return source, Page(source)


@pytest.mark.parametrize(
    ("gold", "predicted", "gold_note", "predicted_note"),
    [
        ([(0, 3, "인물")], [(0, 3, "인물")], "인물", "인물 · 0.50"),
        ([(0, 3, "인물")], [(0, 4, "인물")], "인물 · 경계 틀림", "인물 · 0.50 · 경계 틀림"),
        ([(0, 3, "인물")], [(0, 3, "장소")], "인물 · 유형 틀림", "장소 · 0.50 · 유형 틀림"),
        ([(0, 3, "인물")], [(2, 7, "장소")], "인물 · 유형 틀림", "장소 · 0.50 · 유형 틀림"),
        ([(0, 3, "인물")], [], "인물 · 놓침", None),
        ([], [(5, 7, "장소")], None, "장소 · 0.50 · 잘못 찾음"),
        ([(0, 3, "인물")], [(3, 4, "인물")], "인물 · 놓침", "인물 · 0.50 · 잘못 찾음"),
    ],
)
def test_each_mistake_is_named_beside_its_entity(
    tmp_path, gold, predicted, gold_note, predicted_note
):
    (lines,) = write(tmp_path, make_row(gold, predicted))[1].articles
    for (_, text, marks), spans, note in zip(
        lines, (gold, predicted), (gold_note, predicted_note), strict=True
    ):
        assert text == TEXT
        assert [(a, b, said) for a, b, said, _ in marks] == [(a, b, note) for a, b, _ in spans]


def test_mistakes_of_each_kind_have_a_border_of_their_own(tmp_path):
    row = make_row(
        [(0, 3, "인물"), (5, 7, "장소"), (10, 11, "인물")],
        [(0, 2, "인물"), (5, 7, "인물"), (8, 9, "장소")],
    )
    source, page = write(tmp_path, row)
    classes = {mark[3] for _, _, marks in page.articles[0] for mark in marks}
    borders = [re.search(rf"\.{name} {{ border: (.+?); }}", source)[1] for name in classes]
    assert len(set(borders)) == 4


def test_the_legend_counts_judgements_and_types_of_both_sides(tmp_path):
    rows = [
        make_row([(0, 3, "인물"), (5, 7, "장소")], [(0, 3, "인물"), (5, 9, "장소")]),
        make_row([(0, 3, "인물")], [(0, 3, "장소"), (5, 7, "장소"), (8, 9, "날짜")]),
        make_row([(5, 7, "장소")], []),
    ]
    cells = write(tmp_path, *rows)[1].cells
    assert {name.split()[0]: n for name, n in cells.items() if name.split()[1:]} == {
        "맞음": (1, 1),
        "경계": (1, 1),
        "유형": (1, 1),
        "놓침": (1, 0),
        "잘못": (0, 2),
    }
    assert {name: cells[name] for name in ("인물", "장소", "날짜")} == {
        "인물": (2, 1),
        "장소": (2, 3),
        "날짜": (0, 1),
    }


def test_without_gold_entities_nothing_is_judged(tmp_path):
    page = write(tmp_path, make_row(None, [(0, 3, "인물")]))[1]
    assert page.articles == [[["예측", TEXT, [[0, 3, "인물 · 0.50", "right"]]]]]
    assert page.cells["맞음 자리와 유형이 모두 같음"] == (0, 0)


def test_the_page_loads_nothing_runs_nothing_and_is_korean(tmp_path):
    nasty = "<script>alert(1)</script><img src=x>&amp;\"'"
    row = make_row([(0, 8, nasty)], [(3, 12, nasty), (99, 100, nasty)], text=nasty)
    source, page = write(tmp_path, row, title=nasty)
    assert not page.tags & {"script", "img", "link", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import", source)
    assert source.startswith('<!doctype html>\n<html lang="ko">') and 'charset="utf-8"' in source
    assert page.articles[0][0][1] == nasty


def test_half_a_surrogate_pair_can_be_written(tmp_path):
    (lines,) = write(tmp_path, make_row([], [(0, 1, "인물")], text="\ud83d 다"))[1].articles
    assert lines[1][1] == "? 다"


def test_a_page_of_no_rows_is_written(tmp_path):
    assert write(tmp_path)[1].articles == []


SPANS = st.lists(
    st.tuples(st.integers(-2, 12), st.integers(-2, 12), st.sampled_from(["인물", "장소", "<b>"])),
    max_size=5,
)


@settings(max_examples=200)
@given(text=st.text("가나 \n<&😀", max_size=10), gold=SPANS, predicted=SPANS)
def test_every_entity_is_shown_once_or_named_below(tmp_path_factory, text, gold, predicted):
    folder = tmp_path_factory.mktemp("page")
    page = write(folder, make_row(gold, predicted, text=text))[1]
    for side, spans in (("정답", gold), ("예측", predicted)):
        lines = [line for line in page.articles[0] if line[0] == side]
        assert lines and all(line[1] == text for line in lines)
        marks = [(a, b, note.split(" · ")[0]) for _, _, ms in lines for a, b, note, _ in ms]
        inside = [one for one in spans if 0 <= one[0] < one[1] <= len(text)]
        assert sorted(marks) == sorted(inside)
        notes = " ".join(note for note in page.notes if note.startswith(side))
        assert notes.count("–") == len(spans) - len(inside)
