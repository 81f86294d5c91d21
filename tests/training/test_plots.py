"""Plots are PNGs in which every Hangul letter has a glyph."""

import struct
import warnings

import pytest

from nlpbook_data.training.plots import plot_confusion_matrix, plot_learning_curve

HISTORY = [
    {"epoch": 0.5, "loss": 0.7},
    {"epoch": 1.0, "loss": 0.5},
    {"epoch": 1.0, "eval_loss": 0.6, "eval_macro_f1": 0.61, "eval_accuracy": 0.62},
]


@pytest.mark.parametrize("history", [HISTORY, HISTORY[:1], HISTORY[2:]])
def test_learning_curve_has_every_glyph(tmp_path, history):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each letter that it draws as a box
        plot_learning_curve(history, "macro_f1", tmp_path / "곡선.png")
    assert_png(tmp_path / "곡선.png")


@pytest.mark.parametrize("classes", [2, 7, 40])
def test_confusion_matrix_has_every_glyph_and_takes_many_classes(tmp_path, classes):
    names = [f"생활문화와 아주 긴 이름 뷁 {i}" for i in range(classes)]
    matrix = [[3 * (i == j) for j in range(classes)] for i in range(classes)]
    matrix[0] = [0] * classes  # a class without a row
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_confusion_matrix({"confusion_matrix": matrix}, names, tmp_path / "행렬.png")
    assert_png(tmp_path / "행렬.png")


def assert_png(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    assert width > 400 and height > 300
