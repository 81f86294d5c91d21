"""Plots of a run, with Hangul in NanumGothic (from the package koreanize-matplotlib)."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np


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
            "accuracy": "검증 정확도",
            "pearson": "검증 피어슨 상관",
            "spearman": "검증 스피어먼 상관",
        }.get(metric, metric)
        right.plot(epochs, values, "s--", color="#55a868", ms=4, label=name)
        right.set_ylabel(name)
        best = int(np.argmax(values))
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
