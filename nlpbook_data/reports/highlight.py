"""Named entities highlighted in their texts, as one HTML page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlpbook_data.data.cache import write_text
from nlpbook_data.reports.pages import render

RIGHT, BOUNDARY, TYPE, MISSED, SPURIOUS = "맞음", "경계 틀림", "유형 틀림", "놓침", "잘못 찾음"
KINDS = {
    RIGHT: ("right", "자리와 유형이 모두 같음"),
    BOUNDARY: ("boundary", "유형은 같고 자리는 겹치기만 함"),
    TYPE: ("type", "자리가 같거나 겹치고 유형이 다름"),
    MISSED: ("missed", "정답에만 있음"),
    SPURIOUS: ("spurious", "예측에만 있음"),
}


def write_highlights(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Write a page of texts with their gold and predicted entities, in the order of `rows`.

    Every entity shows its label; an error is shown by a word and by its border. Entities that
    overlap others of the same side are on a further line. Entities outside of the text are listed
    below it.

    Args:
        rows: ``{"text", "entities", "prediction"}``; the last two are lists of ``{"start", "end",
            "label": word}`` with exclusive ends, and predictions have a ``score`` too. Unknown
            entities are None; then nothing is judged.
    """
    labels, judged = (Counter[str](), Counter[str]()), (Counter[str](), Counter[str]())
    articles: list[list[dict[str, Any]]] = []
    for row in rows:
        gold, found = row["entities"], row["prediction"]
        sides = (("정답", gold, found, MISSED), ("예측", found, gold, SPURIOUS))
        articles.append([])
        for number, (name, spans, others, alone) in enumerate(sides):
            if spans is None:
                continue
            kinds = [_judge(span, others, alone) for span in spans]
            labels[number].update(span["label"] for span in spans)
            judged[number].update(kind for kind in kinds if kind)
            articles[-1].append({"name": name} | _arrange(row["text"], spans, kinds))
    words = sorted(labels[0] | labels[1], key=lambda w: (-labels[0][w], -labels[1][w], w))
    page = render(
        "highlight.html",
        title=title,
        articles=articles,
        kinds=KINDS,
        right=RIGHT,
        # by the golden angle: neighbouring labels get very different hues
        hues={word: round(137.508 * number % 360) for number, word in enumerate(words)},
        labels=labels,
        judged=judged,
    )
    write_text(path, page)


def _judge(span: Mapping[str, Any], others: Sequence[Mapping[str, Any]] | None, alone: str) -> str:
    """Compare an entity with the other side: return one of `KINDS`, or "" if that is unknown."""
    if others is None:
        return ""
    touching = [o for o in others if o["start"] < span["end"] and span["start"] < o["end"]]
    same = [o for o in touching if o["label"] == span["label"]]
    if any((o["start"], o["end"]) == (span["start"], span["end"]) for o in same):
        return RIGHT
    return BOUNDARY if same else TYPE if touching else alone


def _arrange(
    text: str, spans: Sequence[Mapping[str, Any]], kinds: Sequence[str]
) -> dict[str, list[Any]]:
    """Return ``layers`` of the text without overlapping entities, and entities outside of it."""
    layers: list[dict[str, Any]] = [{"marks": [], "done": 0}]
    outside = []
    pairs = sorted(zip(spans, kinds, strict=True), key=lambda p: (p[0]["start"], -p[0]["end"]))
    for span, kind in pairs:
        start, end, label = span["start"], span["end"], span["label"]
        if not 0 <= start < end <= len(text):
            outside.append(f"{label} {start}–{end}")
            continue
        if not any(one["done"] <= start for one in layers):
            layers.append({"marks": [], "done": 0})
        layer = next(one for one in layers if one["done"] <= start)
        score = f"{span['score']:.2f}" if "score" in span else ""
        note = [part for part in (label, score, kind) if part and part != RIGHT]
        before = text[layer["done"] : start]
        layer["marks"].append((before, text[start:end], label, kind or RIGHT, " · ".join(note)))
        layer["done"] = end
    for layer in layers:
        layer["rest"] = text[layer["done"] :]
    return {"layers": layers, "outside": outside}
