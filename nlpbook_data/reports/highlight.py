"""Named entities in their text as one HTML page: no script, nothing loaded, all text escaped."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from nlpbook_data.data.cache import write_text

RIGHT, BOUNDARY, TYPE, MISSED, SPURIOUS = "맞음", "경계 틀림", "유형 틀림", "놓침", "잘못 찾음"
KINDS = {
    RIGHT: ("right", "자리와 유형이 모두 같음"),
    BOUNDARY: ("boundary", "유형은 같고 자리는 겹치기만 함"),
    TYPE: ("type", "자리가 같거나 겹치고 유형이 다름"),
    MISSED: ("missed", "정답에만 있음"),
    SPURIOUS: ("spurious", "예측에만 있음"),
}
STYLE = """
:root { color-scheme: light dark; }
body {
  font: 16px/1.6 "Noto Sans KR", "Apple SD Gothic Neo", "Malgun Gothic", NanumGothic, sans-serif;
  max-width: 52rem; margin: 1rem auto; padding: 0 1rem;
  color: #1b2430; background: #fff;
}
h1 { font-size: 1.4rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.legends { display: flex; flex-wrap: wrap; gap: 0 3rem; }
article { border-top: 1px solid #8884; padding: .6rem 0; }
.line { display: grid; grid-template-columns: 2.6rem 1fr; gap: .5rem; margin: .3rem 0; }
.line > b, .note { color: #5d6875; font-size: .85rem; font-weight: normal; }
.line > b { padding-top: .4rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 2.2; min-width: 0; }
mark {
  color: inherit; background: hsl(var(--hue) 75% 88%); border: 2px solid transparent;
  border-radius: .3rem; padding: .15rem .25rem;
  -webkit-box-decoration-break: clone; box-decoration-break: clone;
}
mark small { margin-left: .3rem; font-size: .72rem; opacity: .85; }
.boundary { border: 2px dashed; }
.type { border: 4px double; }
.missed { border: 2px solid; }
.spurious { border: 2px dotted; }
@media (prefers-color-scheme: dark) {
  body { color: #e4e8ee; background: #14181d; }
  mark { background: hsl(var(--hue) 45% 26%); }
  .line > b, .note { color: #9aa5b1; }
}
"""


def write_highlights(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Write a page of texts with their gold and predicted entities, in the order of `rows`.

    Every entity bears its label in words, and what is wrong with it in words and by its border.
    Those that overlap others of their side stand in a further line; those that are not in the
    text are named below it.

    Args:
        rows: ``{"text", "entities", "prediction"}``; both hold ``{"start", "end", "label": word}``
            with exclusive ends, the predicted ones a ``score`` too. Entities are None where they
            are not known: nothing is judged then.
        path: of the page.
        title: its title, plain text.
    """
    gold = [row["entities"] for row in rows]
    predicted = [row["prediction"] for row in rows]
    labels = Counter(span["label"] for spans in gold for span in spans or ())
    found = Counter(span["label"] for spans in predicted for span in spans)
    # by the golden angle: hues that follow each other are far apart
    names = sorted(labels | found, key=lambda name: (-labels[name], -found[name], name))
    hues = {name: round(137.508 * number % 360) for number, name in enumerate(names)}
    kinds = [Counter[str](), Counter[str]()]
    articles = []
    for number, row in enumerate(rows, start=1):
        lines = [f"<article>\n<div class='note'>{number}</div>"]
        sides = [("정답", row["entities"], row["prediction"], MISSED)]
        sides += [("예측", row["prediction"], row["entities"], SPURIOUS)]
        for (side, spans, others, alone), counts in zip(sides, kinds, strict=True):
            if spans is None:
                continue
            judged = [(span, _judge(span, others, alone)) for span in spans]
            counts.update(kind for _, kind in judged if kind)
            lines += _lines(row["text"], side, judged, hues)
        articles.append("\n".join([*lines, "</article>"]))
    page = [
        '<!doctype html>\n<html lang="ko">\n<head>\n<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(title)}</h1>\n<p>글 {len(rows):,}개</p>\n<div class='legends'>",
        _table("판정", [[_sample(kind), *(c[kind] for c in kinds)] for kind in KINDS]),
        _table("유형", [[_mark(name, hues[name]), labels[name], found[name]] for name in names]),
        "</div>",
        *articles,
        "</body>\n</html>\n",
    ]
    # a lone half of a surrogate pair is in no UTF-8
    write_text(path, "\n".join(page).encode("utf-8", "replace").decode())


def _judge(span: Mapping[str, Any], others: Sequence[Mapping[str, Any]] | None, alone: str) -> str:
    """Return which of `KINDS` an entity is beside the other side's; nothing where it has none."""
    if others is None:
        return ""
    touching = [o for o in others if o["start"] < span["end"] and span["start"] < o["end"]]
    same = [o for o in touching if o["label"] == span["label"]]
    if any((o["start"], o["end"]) == (span["start"], span["end"]) for o in same):
        return RIGHT
    return BOUNDARY if same else TYPE if touching else alone


def _lines(
    text: str, side: str, judged: list[tuple[Mapping[str, Any], str]], hues: Mapping[str, int]
) -> Iterator[str]:
    """Yield the text with its entities, once for each layer of those that overlap."""
    layers: list[list[tuple[Mapping[str, Any], str]]] = [[]]
    outside = []
    for span, kind in sorted(judged, key=lambda pair: (pair[0]["start"], -pair[0]["end"])):
        if not 0 <= span["start"] < span["end"] <= len(text):
            outside.append(f"{span['label']} {span['start']}–{span['end']}")
            continue
        free = [lay for lay in layers if not lay or lay[-1][0]["end"] <= span["start"]]
        if not free:
            layers.append([])
        (free or layers[-1:])[0].append((span, kind))
    for layer in layers:
        pieces, done = [], 0
        for span, kind in layer:
            pieces.append(escape(text[done : span["start"]]))
            done = span["end"]
            note = [span["label"], f"{span['score']:.2f}" if "score" in span else "", kind]
            note = [part for part in note if part and part != RIGHT]
            pieces.append(_mark(text[span["start"] : done], hues[span["label"]], note, kind))
        pieces.append(escape(text[done:]))
        yield f'<div class="line"><b>{side}</b><div class="text">{"".join(pieces)}</div></div>'
    if outside:
        yield f"<p class='note'>{side}, 글 밖의 개체: {escape(', '.join(outside))}</p>"


def _mark(text: str, hue: int, note: Sequence[str] = (), kind: str = RIGHT) -> str:
    beside = f"<small>{escape(' · '.join(note))}</small>" if note else ""
    name = KINDS[kind or RIGHT][0]
    return f'<mark class="{name}" style="--hue:{hue}">{escape(text)}{beside}</mark>'


def _sample(kind: str) -> str:
    name, meaning = KINDS[kind]
    return f'<mark class="{name}" style="background:none">{kind}</mark> {meaning}'


def _table(head: str, rows: Sequence[Sequence[Any]]) -> str:
    """Return a legend: HTML, and the counts of gold and predicted entities."""
    lines = [f"<tr><th>{head}</th><th class='n'>정답</th><th class='n'>예측</th></tr>"]
    lines += [
        f"<tr><td>{shown}</td><td class='n'>{gold:,}</td><td class='n'>{predicted:,}</td></tr>"
        for shown, gold, predicted in rows
    ]
    return "<table>\n" + "\n".join(lines) + "\n</table>"
