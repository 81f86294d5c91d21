"""The names and directions of all scores, in one place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlpbook_data.language import is_korean


@dataclass(frozen=True)
class Score:
    """The name of a score in tables and in Korean plots, and whether higher is better."""

    shown: str
    korean: str = ""
    higher_is_better: bool = True


# Scores that get a column, in this order, if a task has them; the first is the headline.
TABLE = {
    "accuracy": Score("accuracy", "정확도"),
    "micro_f1": Score("micro-F1", "마이크로 F1"),
    "macro_f1": Score("macro-F1", "매크로 F1"),
    "auprc": Score("AUPRC"),
    "klue_char_macro_f1": Score("KLUE char F1", "KLUE 글자 F1"),
    "f1": Score("F1"),
    "exact_match": Score("exact match", "완전 일치"),
    "klue_exact_match": Score("KLUE EM"),
    "rouge_w": Score("ROUGE-W"),
    "pearson": Score("Pearson", "피어슨 상관"),
    "spearman": Score("Spearman", "스피어먼 상관"),
    "bits_per_character": Score("bits/character", "글자당 비트", higher_is_better=False),
    "perplexity": Score("perplexity", "퍼플렉시티", higher_is_better=False),
    "masked_accuracy": Score("masked accuracy", "가린 토큰 정확도"),
    "mrr_at_10": Score("MRR@10"),
    "ndcg_at_10": Score("nDCG@10"),
    **{f"recall_at_{k}": Score(f"recall@{k}", f"재현율@{k}") for k in (1, 5, 10, 100)},
}
OTHERS = {
    "loss": Score("loss", "손실", higher_is_better=False),
    "mean_squared_error": Score("MSE", "평균 제곱 오차", higher_is_better=False),
    "expected_calibration_error": Score("ECE", "보정 오차", higher_is_better=False),
}
# Of generated texts.
SAMPLES = {
    "agreement": Score("label agreement", "레이블 일치"),
    **{f"distinct_{n}": Score(f"distinct-{n}") for n in (1, 2, 3)},
    "repetition": Score("repetition", "반복", higher_is_better=False),
    "mean_length": Score("mean length", "평균 길이"),
}
SHOWN = {name: score.shown for name, score in TABLE.items()}
SCORES = TABLE | OTHERS | SAMPLES
KOREAN = {name: score.korean or score.shown for name, score in SCORES.items()}
# For all other scores higher is better.
LOWER_IS_BETTER = {name for name, score in SCORES.items() if not score.higher_is_better}


def heading(name: str) -> str:
    """Return the name of a score on the terminal."""
    return (KOREAN if is_korean() else SHOWN).get(name, name)


def goodness(metric: str, value: float | None) -> float:
    """Return a number to compare scores by: larger is better, and None is the smallest."""
    if value is None:
        return -math.inf
    return -value if metric in LOWER_IS_BETTER else value


def format_score(scores: Mapping[str, Any], name: str) -> str:
    """Return a score as text, with its spread over seeds; empty if there is none."""
    value = scores.get(name)
    if isinstance(value, dict):
        return f"{value['mean']:.4f} ± {value['std']:.4f}"
    return "" if value is None else f"{value:.4f}"
