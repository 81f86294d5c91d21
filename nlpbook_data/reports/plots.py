"""Plots of a run, with Hangul in NanumGothic (from the package koreanize-matplotlib)."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from nlpbook_data.reports.summary import goodness


def _pyplot() -> Any:
    """Return pyplot with a Korean font; imported late, since it costs half a second."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import font_manager, pyplot

    # Not imported: the package's own code needs distutils, which Python 3.12 has no more.
    package = importlib.util.find_spec("koreanize_matplotlib")
    fonts = Path(package.submodule_search_locations[0]) / "fonts"
    for weight in ("", "Bold"):
        font_manager.fontManager.addfont(str(fonts / f"NanumGothic{weight}.ttf"))
    pyplot.rcParams["font.family"] = ["NanumGothic", "DejaVu Sans"]
    pyplot.rcParams["axes.unicode_minus"] = False
    return pyplot


def plot_learning_curve(history: list[dict[str, Any]], metric: str, path: Path) -> None:
    """Draw training loss, validation loss and the validation `metric` over epochs.

    Args:
        history: Trainer's ``state.log_history``.
    """
    pyplot = _pyplot()
    figure, left = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    train = [(row["epoch"], row["loss"]) for row in history if "loss" in row]
    evals = [row for row in history if "eval_loss" in row]
    if train:
        left.plot(*zip(*train, strict=True), color="#4c72b0", alpha=0.8, label="학습 손실")
    epochs = [row["epoch"] for row in evals]
    if evals:
        losses = [row["eval_loss"] for row in evals]
        left.plot(epochs, losses, "o-", color="#dd8452", ms=4, label="검증 손실")
    left.set(xlabel="에폭", ylabel="손실", title="학습 곡선")
    left.grid(alpha=0.3)
    handles, labels = left.get_legend_handles_labels()
    if evals and f"eval_{metric}" in evals[0]:
        right = left.twinx()
        values = [row[f"eval_{metric}"] for row in evals]
        name = {
            "macro_f1": "검증 매크로 F1",
            "micro_f1": "검증 마이크로 F1",
            "f1": "검증 F1",
            "exact_match": "검증 완전 일치",
            "accuracy": "검증 정확도",
            "pearson": "검증 피어슨 상관",
            "spearman": "검증 스피어먼 상관",
            "bits_per_character": "검증 글자당 비트",
            "perplexity": "검증 퍼플렉시티",
            "mrr_at_10": "검증 MRR@10",
            "ndcg_at_10": "검증 nDCG@10",
        }.get(metric, metric)
        right.plot(epochs, values, "s--", color="#55a868", ms=4, label=name)
        right.set_ylabel(name)
        best = int(np.argmax([goodness(metric, value) for value in values]))
        right.annotate(
            f"{values[best]:.3f}",
            (epochs[best], values[best]),
            textcoords="offset points",
            xytext=(0, 7),
            ha="center",
        )
        right.margins(y=0.15)
        more = right.get_legend_handles_labels()
        handles, labels = handles + more[0], labels + more[1]
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def plot_confusion_matrix(scores: dict[str, Any], names: list[str], path: Path) -> None:
    """Draw counts and row shares of ``scores["confusion_matrix"]``; gold labels are rows.

    Over 30 classes the cells stay bare.
    """
    pyplot = _pyplot()
    counts = np.array(scores["confusion_matrix"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(max(4.2, 1.0 + 0.62 * len(names)), 16)
    figure, axes = pyplot.subplots(figsize=(size + 0.8, size), layout="constrained")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    short = [name if len(name) <= 12 else f"{name[:11]}…" for name in names]
    axes.set_xticks(range(len(names)), short, rotation=45 if len(names) > 4 else 0)
    axes.set_yticks(range(len(names)), short)
    axes.set(xlabel="예측", ylabel="정답", title="혼동 행렬")
    if len(names) <= 30:
        for row in range(len(names)):
            for column in range(len(names)):
                axes.text(
                    column,
                    row,
                    f"{counts[row, column]:,}\n{shares[row, column]:.1%}",
                    ha="center",
                    va="center",
                    fontsize=9 if len(names) <= 8 else 6,
                    color="white" if shares[row, column] > 0.5 else "black",
                )
    figure.colorbar(image, label="정답별 비율", shrink=0.8)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def plot_scores(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the prediction of each row against its label, and the line where they are equal."""
    pyplot = _pyplot()
    gold, predicted = (np.array([row[name] for row in rows]) for name in ("label", "prediction"))
    figure, axes = pyplot.subplots(figsize=(4.8, 4.8), layout="constrained")
    axes.scatter(gold, predicted, s=8, alpha=0.35, color="#4c72b0", linewidths=0)
    ends = [min(gold.min(), predicted.min()), max(gold.max(), predicted.max())]
    axes.plot(ends, ends, "--", color="#999999", lw=1)
    axes.set(xlabel="정답 점수", ylabel="예측 점수", title="예측과 정답")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def plot_per_class(
    scores: dict[str, dict[str, float]], path: Path, title: str = "유형별 점수"
) -> None:
    """Draw precision, recall and F1 of each type as bars.

    Args:
        scores: ``{name: {"precision", "recall", "f1", "support"}}``, fractions and a count.
    """
    bars = {"precision": "정밀도", "recall": "재현율", "f1": "F1"}
    _draw_bars({title: scores}, bars, path)


def plot_breakdown(scores: dict[str, Any], path: Path) -> None:
    """Draw exact match and F1 of the questions of each group as bars; empty groups are left out.

    Args:
        scores: of question answering; of them ``per_question_type`` and ``per_answer_position``,
            ``{name: {"exact_match", "f1", "support"}}``.
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
    """Draw a panel of horizontal bars for each of `panels` that has rows, one above the other."""
    pyplot = _pyplot()
    panels = {title: scores for title, scores in panels.items() if scores} or {"": {}}
    rows = [max(len(scores), 1) for scores in panels.values()]
    thick = 0.2 + 0.16 * len(bars)  # inches of a row
    figure, axes = pyplot.subplots(
        len(panels),
        figsize=(7, 0.9 + sum(0.8 + thick * n for n in rows)),
        height_ratios=[0.8 + thick * n for n in rows],
        layout="constrained",
        squeeze=False,
    )
    height = 0.8 / len(bars)
    for axis, (title, scores) in zip(axes[:, 0], panels.items(), strict=True):
        places = np.arange(len(scores))
        for number, (key, name) in enumerate(bars.items()):
            values = [row[key] for row in scores.values()]
            color = ("#8da0cb", "#4c72b0", "#dd8452")[number - len(bars)]
            drawn = axis.barh(
                places + (number + 0.5) * height - 0.4, values, height, label=name, color=color
            )
            axis.bar_label(drawn, fmt="%.3f", padding=2, fontsize=7)
        names = [
            f"{name if len(name) <= 12 else f'{name[:11]}…'} ({row['support']:,})"
            for name, row in scores.items()
        ]
        axis.set_yticks(places, names)
        axis.set(title=title, xlim=(0, 1.08), xticks=np.linspace(0, 1, 6))
        axis.invert_yaxis()
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
    axes[-1, 0].set_xlabel("점수 (이름 옆: 개수)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def plot_recall(curves: dict[str, dict[int, float]], path: Path) -> None:
    """Draw the recall of several rankings over how many passages are looked at.

    Args:
        curves: ``{name: {k: recall at k}}``.
    """
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(6, 4.2), layout="constrained")
    for (name, curve), style in zip(curves.items(), ("o-", "s--", "^:"), strict=False):
        axes.plot(list(map(int, curve)), list(curve.values()), style, ms=4, label=name)
    ticks = list(map(int, next(iter(curves.values()))))
    axes.set_xscale("log")
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set(xlabel="살펴본 지문 수 k", ylabel="재현율", title="재현율@k", ylim=(0, 1.03))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
