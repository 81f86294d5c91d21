"""Plots are PNGs in which every Hangul letter has a glyph."""

import struct
import warnings

import pytest
from matplotlib.figure import Figure

from nlpbook_data.reports.plots import (
    plot_breakdown,
    plot_confusion_matrix,
    plot_learning_curve,
    plot_per_class,
    plot_recall,
)

HISTORY = [
    {"epoch": 0.5, "loss": 0.7},
    {"epoch": 1.0, "loss": 0.5},
    {"epoch": 1.0, "eval_loss": 0.6, "eval_macro_f1": 0.61, "eval_accuracy": 0.62},
]


def make_scores(*names):
    return {
        name: {"precision": 1.0, "recall": 0.5, "f1": 0.6, "exact_match": 0.25, "support": number}
        for number, name in enumerate(names)
    }


def make_matrix(classes):
    matrix = [[3 * (i == j) for j in range(classes)] for i in range(classes)]
    matrix[0] = [0] * classes  # a class without a row
    names = [f"생활문화와 아주 긴 이름 뷁 {i}" for i in range(classes)]
    return {"confusion_matrix": matrix, "per_class": dict.fromkeys(names)}


RECALL = {"모델": {1: 0.2, 10: 0.5}, "BM25": {1: 0.3, 10: 0.6}}


@pytest.mark.parametrize(
    ("plot", "data"),
    [
        *(
            (plot_learning_curve, (rows, "macro_f1"))
            for rows in (HISTORY, HISTORY[:1], HISTORY[2:])
        ),
        (plot_recall, (RECALL,)),
        *((plot_confusion_matrix, (make_matrix(classes),)) for classes in (2, 7, 40)),
        (plot_per_class, (make_scores("뷁"),)),
        (plot_per_class, (make_scores(*(f"아주 긴 이름의 유형 뷁 {i}" for i in range(15))),)),
        (plot_breakdown, ({"per_answer_position": {}},)),
    ],
)
def test_a_plot_has_every_glyph_and_takes_many_classes(tmp_path, plot, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each letter that it draws as a box
        plot(*data, tmp_path / "그림.png")
    head = (tmp_path / "그림.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    assert width > 400 and height > 280


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved, as matplotlib has them."""
    found = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, *_, **__: found.append(self)
    )
    return found


@pytest.mark.parametrize(
    ("metric", "best"), [("accuracy", "0.900"), ("bits_per_character", "0.100")]
)
def test_the_best_of_the_learning_curve_is_marked(figures, tmp_path, metric, best):
    values = [0.5, 0.9, 0.1, 0.4]
    history = [{"epoch": n, "eval_loss": 1, f"eval_{metric}": v} for n, v in enumerate(values)]
    plot_learning_curve(history, metric, tmp_path / "곡선.png")
    assert [text.get_text() for axes in figures[0].axes for text in axes.texts] == [best]


def test_each_class_has_its_scores_as_bars_and_its_count(figures, tmp_path):
    plot_per_class(make_scores("인물", "장소"), tmp_path / "유형.png")
    (axes,) = figures[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["인물 (0)", "장소 (1)"]
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    widths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    assert legend == ["정밀도", "재현율", "F1"]
    assert widths == [[1.0, 1.0], [0.5, 0.5], [0.6, 0.6]]


def test_a_breakdown_leaves_out_groups_without_questions(figures, tmp_path):
    groups = {
        "per_question_type": make_scores("논리 추론", "어휘 변형"),
        "per_answer_position": make_scores("first third"),
    }
    plot_breakdown(groups, tmp_path / "나눔.png")
    (axes,) = figures[0].axes
    assert axes.get_title() == "질문 유형"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["어휘 변형 (1)"]
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[0.25], [0.6]]


@pytest.mark.parametrize("classes", [2, 7])
def test_a_class_stands_at_its_tick(monkeypatch, tmp_path, classes):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: drawn.append(figure))
    plot_confusion_matrix(make_matrix(classes), tmp_path / "a.png")
    figure = drawn[0]
    figure.canvas.draw()
    axes = figure.axes[0]
    for tick in axes.xaxis.get_major_ticks():
        where = axes.transData.transform((tick.get_loc(), 0))[0]
        assert tick.label1.get_window_extent().x1 == pytest.approx(where, abs=15)
