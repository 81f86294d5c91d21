"""The page of entities shows every text and every entity, whatever they hold."""

import re
from xml.etree import ElementTree

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


def write(tmp_path, *rows, title="오류"):
    """Return the page as text and as a tree, which refuses tags that do not match."""
    write_highlights(rows, tmp_path / "쪽.html", title)
    source = (tmp_path / "쪽.html").read_bytes().decode("utf-8")
    return source, ElementTree.fromstring(re.sub("<!doctype html>|<meta .*>", "", source))


def lines_of(page):
    """Return for each article its lines: side, text, and marks (start, end, note, class)."""
    articles = []
    for article in page.iter("article"):
        articles.append([])
        for line in article.findall("div[@class='line']"):
            box, marks = line.find("div"), []
            text = box.text or ""
            for mark in box:
                end = len(text) + len(mark.text or "")
                marks.append([len(text), end, mark.findtext("small", ""), mark.get("class")])
                text += (mark.text or "") + (mark.tail or "")
            articles[-1].append([line.findtext("b"), text, marks])
    return articles


def cells_of(page):
    """Return ``{first cell: the numbers beside it}`` of the legends."""
    rows = [["".join(cell.itertext()) for cell in row.findall("td")] for row in page.iter("tr")]
    return {row[0]: tuple(map(int, row[1:])) for row in rows if row}


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
    (lines,) = lines_of(write(tmp_path, make_row(gold, predicted))[1])
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
    classes = {mark[3] for _, _, marks in lines_of(page)[0] for mark in marks}
    borders = [re.search(rf"\.{name} {{ border: (.+?); }}", source)[1] for name in classes]
    assert len(set(borders)) == 4


def test_the_legend_counts_judgements_and_types_of_both_sides(tmp_path):
    rows = [
        make_row([(0, 3, "인물"), (5, 7, "장소")], [(0, 3, "인물"), (5, 9, "장소")]),
        make_row([(0, 3, "인물")], [(0, 3, "장소"), (5, 7, "장소"), (8, 9, "날짜")]),
        make_row([(5, 7, "장소")], []),
    ]
    cells = cells_of(write(tmp_path, *rows)[1])
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
    assert lines_of(page) == [[["예측", TEXT, [[0, 3, "인물 · 0.50", "right"]]]]]
    assert cells_of(page)["맞음 자리와 유형이 모두 같음"] == (0, 0)


def test_the_page_loads_nothing_runs_nothing_and_is_korean(tmp_path):
    nasty = "<script>alert(1)</script><img src=x>&amp;\"'"
    row = make_row([(0, 8, nasty)], [(3, 12, nasty), (99, 100, nasty)], text=nasty)
    source, page = write(tmp_path, row, title=nasty)
    assert not {x.tag for x in page.iter()} & {"script", "img", "link", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import", source)
    assert source.startswith('<!doctype html>\n<html lang="ko">') and 'charset="utf-8"' in source
    assert lines_of(page)[0][0][1] == nasty


def test_half_a_surrogate_pair_and_no_row_can_be_written(tmp_path):
    row = make_row([], [(0, 1, "인물")], text="\ud83d 다")
    assert lines_of(write(tmp_path, row)[1])[0][1][1] == "? 다"
    assert lines_of(write(tmp_path)[1]) == []


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
        lines = [line for line in lines_of(page)[0] if line[0] == side]
        assert lines and all(line[1] == text for line in lines)
        marks = [(a, b, note.split(" · ")[0]) for _, _, ms in lines for a, b, note, _ in ms]
        inside = [one for one in spans if 0 <= one[0] < one[1] <= len(text)]
        assert sorted(marks) == sorted(inside)
        notes = " ".join(p.text for p in page.iter("p") if p.text.startswith(side))
        assert notes.count("–") == len(spans) - len(inside)
