"""Plots of a run, with Hangul in NanumGothic (from the package koreanize-matplotlib)."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nlpbook_data.metrics.names import KOREAN, goodness

GREY, PALE, BLUE, ORANGE, GREEN = "#999999", "#8da0cb", "#4c72b0", "#dd8452", "#55a868"


@contextmanager
def _drawing(path: Path, *panels: int, **options: Any) -> Iterator[tuple[Any, Any]]:
    """Yield a figure and its axes; write it to `path`. Importing matplotlib takes 0.5 s."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import font_manager, pyplot

    # The package is not imported: it needs distutils, which Python 3.12 has removed.
    package = importlib.util.find_spec("koreanize_matplotlib")
    assert package and package.submodule_search_locations
    fonts = Path(package.submodule_search_locations[0]) / "fonts"
    font_manager.fontManager.addfont(str(fonts / "NanumGothic.ttf"))
    style: Any = {"font.family": ["NanumGothic", "DejaVu Sans"], "axes.unicode_minus": False}
    style["text.parse_math"] = False  # a label may hold a $
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(*panels, layout="constrained", **options)
        yield figure, axes
        figure.savefig(path, dpi=130)
        pyplot.close(figure)


@contextmanager
def _bar_panels(path: Path, width: float, rest: float, heights: list[float]) -> Iterator[Any]:
    """Yield a figure and its axes, one below the other, for horizontal bars; in inches."""
    size = {"figsize": (width, rest + sum(heights)), "height_ratios": heights}
    with _drawing(path, len(heights), squeeze=False, **size) as (figure, axes):
        yield figure, axes[:, 0]
        for axis in axes[:, 0]:
            axis.invert_yaxis()
            axis.grid(axis="x", alpha=0.3)
            axis.set_axisbelow(True)


def plot_learning_curve(history: list[dict[str, Any]], metric: str, path: Path) -> None:
    """Draw the losses and the validation `metric` over epochs, of Trainer's ``log_history``."""
    score = f"eval_{metric}"
    curves = {
        "loss": ("학습 손실", BLUE, "-"),
        "eval_loss": ("검증 손실", ORANGE, "o-"),
        score: (f"검증 {KOREAN.get(metric, metric)}", GREEN, "s--"),
    }
    with _drawing(path, figsize=(7, 4.2)) as (figure, left):
        left.set(xlabel="에폭", ylabel="손실", title="학습 곡선")
        left.grid(alpha=0.3)
        for key, (name, color, style) in curves.items():
            points = [(row["epoch"], row[key]) for row in history if key in row]
            if not points:
                continue
            axes = left.twinx() if key == score else left
            axes.plot(*zip(*points, strict=True), style, color=color, ms=4, label=name)
            if key == score:
                axes.set_ylabel(name)
                axes.margins(y=0.15)
                best = max(points, key=lambda point: goodness(metric, point[1]))
                above = {"textcoords": "offset points", "xytext": (0, 7), "ha": "center"}
                axes.annotate(f"{best[1]:.3f}", best, **above)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)


def plot_confusion_matrix(scores: dict[str, Any], path: Path) -> None:
    """Draw counts and row shares of ``scores["confusion_matrix"]``; gold labels are rows.

    With more than 30 classes, cells have no numbers.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    counts = np.array(scores["confusion_matrix"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = list(scores["per_class"])
    short = [_short(name) for name in names]
    crowded = len(names) > 4 or max(map(len, short)) > 6
    size = min(max(4.2, 1.0 + 0.62 * len(names)), 16)
    with _drawing(path, figsize=(size + 0.8, size)) as (_, axes):
        display = ConfusionMatrixDisplay(shares, display_labels=short)
        options: dict[str, Any] = {"cmap": "Blues", "im_kw": {"vmin": 0, "vmax": 1}}
        options["text_kw"] = {"fontsize": 9 if len(names) <= 8 else 6}
        options["xticks_rotation"] = 45 if crowded else 0
        display.plot(ax=axes, include_values=len(names) <= 30, **options)
        if crowded:  # a slanted name ends below its tick
            axes.set_xticks(range(len(short)), short, ha="right", rotation_mode="anchor")
        axes.set(xlabel="예측", ylabel="정답", title="혼동 행렬")
        display.im_.colorbar.set_label("정답별 비율")
        if display.text_ is not None:
            for cell in np.ndindex(counts.shape):
                display.text_[cell].set_text(f"{counts[cell]:,}\n{shares[cell]:.1%}")


def plot_scores(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the prediction of each row against its label, and the diagonal."""
    gold, predicted = (np.array([row[name] for row in rows]) for name in ("label", "prediction"))
    with _drawing(path, figsize=(4.8, 4.8)) as (_, axes):
        axes.scatter(gold, predicted, s=8, alpha=0.35, color=BLUE, linewidths=0)
        ends = [min(gold.min(), predicted.min()), max(gold.max(), predicted.max())]
        axes.plot(ends, ends, "--", color=GREY, lw=1)
        axes.set(xlabel="정답 점수", ylabel="예측 점수", title="예측과 정답")
        axes.grid(alpha=0.3)


def plot_per_class(scores: dict[str, dict[str, float]], path: Path) -> None:
    """Draw each type of ``{name: {"precision", "recall", "f1", "support"}}`` as bars."""
    bars = {"precision": "정밀도", "recall": "재현율", "f1": "F1"}
    _draw_bars({"유형별 점수": scores}, bars, path)


def plot_breakdown(scores: dict[str, Any], path: Path) -> None:
    """Draw exact match and F1 of each group of questions as bars; empty groups are left out.

    The groups are ``per_question_type`` and ``per_answer_position``: ``{name: {"exact_match", "f1",
    "support"}}``.
    """
    titles = {"per_question_type": "질문 유형", "per_answer_position": "정답 위치"}
    thirds = {"first third": "앞 1/3", "middle third": "가운데 1/3", "last third": "뒤 1/3"}
    named = {
        title: {thirds.get(n, n): row for n, row in scores.get(name, {}).items() if row["support"]}
        for name, title in titles.items()
    }
    _draw_bars(named, {"exact_match": "완전 일치", "f1": "F1"}, path)


def _draw_bars(
    panels: dict[str, dict[str, dict[str, float]]], bars: dict[str, str], path: Path
) -> None:
    """Draw a panel of horizontal bars for each non-empty one of `panels`, below each other."""
    panels = {title: scores for title, scores in panels.items() if scores} or {"": {}}
    thick = 0.2 + 0.16 * len(bars)  # inches of a row
    heights = [0.8 + thick * max(len(scores), 1) for scores in panels.values()]
    height = 0.8 / len(bars)
    with _bar_panels(path, 7, 0.9, heights) as (figure, axes):
        for axis, (title, scores) in zip(axes, panels.items(), strict=True):
            places = np.arange(len(scores))
            for number, (key, name) in enumerate(bars.items()):
                values = [row[key] for row in scores.values()]
                color = (PALE, BLUE, ORANGE)[number - len(bars)]
                offset = (number + 0.5) * height - 0.4
                drawn = axis.barh(places + offset, values, height, label=name, color=color)
                axis.bar_label(drawn, fmt="%.3f", padding=2, fontsize=7)
            names = [f"{_short(name)} ({row['support']:,})" for name, row in scores.items()]
            axis.set_yticks(places, names)
            axis.set(title=title, xlim=(0, 1.08), xticks=np.linspace(0, 1, 6))
        axes[-1].set_xlabel("점수 (이름 옆: 개수)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)


def plot_recall(curves: dict[str, dict[int, float]], path: Path) -> None:
    """Draw the recall of rankings, ``{name: {k: recall at k}}``, over the number of passages."""
    with _drawing(path, figsize=(6, 4.2)) as (_, axes):
        for (name, curve), style in zip(curves.items(), ("o-", "s--", "^:"), strict=False):
            axes.plot(list(map(int, curve)), list(curve.values()), style, ms=4, label=name)
        ticks = list(map(int, next(iter(curves.values()))))
        axes.set_xscale("log")
        axes.set_xticks(ticks, map(str, ticks))
        axes.minorticks_off()
        axes.set(xlabel="살펴본 지문 수 k", ylabel="재현율", title="재현율@k", ylim=(0, 1.03))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)


def plot_results(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each task of `results.cells`: scores, spread, the best baseline's line."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        title = f"{row['data']} ({row['recipe']}), {KOREAN.get(row['metric'], row['metric'])}"
        panels.setdefault(f"{title}, {row['rows']:,}행", []).append(row)
    heights = [0.7 + 0.34 * len(panel) for panel in panels.values()]
    with _bar_panels(path, 8, 0.4, heights) as (_, axes):
        for axis, (title, panel) in zip(axes, panels.items(), strict=True):
            means = [row["mean"] for row in panel]
            spread = [row["std"] or 0.0 for row in panel]
            bars = axis.barh(range(len(panel)), means, 0.6, xerr=spread, color=BLUE, capsize=3)
            axis.bar_label(bars, fmt="%.3f", label_type="center", color="white", fontsize=8)
            axis.set_yticks(range(len(panel)), [row["model"] for row in panel], fontsize=8)
            if line := next((row for row in panel if row["baseline"]), None):
                axis.axvline(line["baseline_score"], color=ORANGE, ls="--", label=line["baseline"])
                axis.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
            axis.set_title(title, fontsize=9)


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"
