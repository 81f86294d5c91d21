"""The scores against seqeval, scikit-learn and KLUE's own formula, and worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score

from nlpbook_data.metrics.ner import NamedEntities

METRIC = NamedEntities(keep_in_memory=True)
NAMES = ["인물", "장소", "기관", "날짜"]
bounded = settings(max_examples=40, deadline=None)


def make_entities(*spans: tuple[int, int, int]) -> list[dict]:
    return [dict(zip(("start", "end", "label"), span, strict=True)) for span in spans]


def score(texts: list[str], gold: list[list], predicted: list[list], names=NAMES) -> dict:
    return METRIC.compute(
        predictions=[make_entities(*spans) for spans in predicted],
        references=[
            {"text": text, "entities": make_entities(*spans)}
            for text, spans in zip(texts, gold, strict=True)
        ],
        label_names=names,
    )


def draw_spans(rng: np.random.Generator, length: int) -> list[tuple[int, int, int]]:
    """Spans without overlap, many of them neighbours."""
    places = sorted(rng.choice(length + 1, size=rng.integers(0, length + 2), replace=False))
    pairs = zip(places, places[1:], strict=False)
    share = rng.choice([0.2, 0.9])
    return [(int(a), int(b), int(rng.integers(4))) for a, b in pairs if rng.random() < share]


def disturb(rng: np.random.Generator, spans: list, length: int) -> list[tuple[int, int, int]]:
    """Most of `spans`, some with another label; sometimes others altogether."""
    if rng.random() < 0.2:
        return draw_spans(rng, length)
    kept = [span for span in spans if rng.random() < 0.8]
    return [(a, b, int(rng.integers(4)) if rng.random() < 0.2 else k) for a, b, k in kept]


def draw_rows(seed: int, rows: int) -> tuple[list[str], list[list], list[list]]:
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("가나 다"), size=rng.integers(0, 15))) for _ in range(rows)]
    gold = [draw_spans(rng, len(text)) for text in texts]
    pairs = zip(gold, texts, strict=True)
    return texts, gold, [disturb(rng, spans, len(text)) for spans, text in pairs]


def tag(text: str, spans: list[tuple[int, int, int]], blanks: bool = True) -> list[str]:
    """A tag a character, as KLUE's files have them."""
    tags = ["O"] * len(text)
    for start, end, label in spans:
        for i in range(start, end):
            tags[i] = f"{'B' if i == start else 'I'}-{NAMES[label]}"
    return [tag for tag, character in zip(tags, text, strict=True) if blanks or character != " "]


@bounded
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_entity_scores_are_seqevals_strict_ones(seed, rows):
    texts, gold, predicted = draw_rows(seed, rows)
    found = score(texts, gold, predicted)
    tags = [
        [tag(text, spans) for text, spans in zip(texts, side, strict=True)]
        for side in (gold, predicted)
    ]
    if not any(spans for side in (gold, predicted) for spans in side):
        assert found["micro_f1"] == found["macro_f1"] == found["seqeval_f1"] == 0
        return
    report = classification_report(
        *tags, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    micro, macro = report.pop("micro avg"), report.pop("macro avg")
    report.pop("weighted avg")
    assert found["micro_f1"] == pytest.approx(micro["f1-score"])
    assert found["micro_precision"] == pytest.approx(micro["precision"])
    assert found["micro_recall"] == pytest.approx(micro["recall"])
    assert found["macro_f1"] == pytest.approx(macro["f1-score"])
    assert found["seqeval_f1"] == pytest.approx(micro["f1-score"])
    for name, expected in report.items():
        for key in ("precision", "recall", "support"):
            assert found["per_type"][name][key] == pytest.approx(expected[key]), (name, key)
        assert found["per_type"][name]["f1"] == pytest.approx(expected["f1-score"])
    for name in set(NAMES) - set(report):
        assert set(found["per_type"][name].values()) == {0}


@bounded
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_the_character_score_is_klues_call_of_scikit_learn_without_o(seed, rows):
    texts, gold, predicted = draw_rows(seed, rows)
    labels = [f"{mark}-{name}" for name in NAMES for mark in "BI"]
    gold_tags, predicted_tags = (
        ["O", *(t for text, s in zip(texts, side, strict=True) for t in tag(text, s, False)), "O"]
        for side in (gold, predicted)  # its [CLS] and [SEP] are tagged as well
    )
    expected = f1_score(
        gold_tags, predicted_tags, labels=labels, average="macro", zero_division=True
    )
    assert score(texts, gold, predicted)["klue_char_macro_f1"] == pytest.approx(expected)


@pytest.mark.parametrize(("gold", "predicted"), [([(0, 2, 0)], []), ([], [(0, 2, 0)]), ([], [])])
def test_without_an_entity_on_one_side_entity_scores_are_zero(gold, predicted):
    found = score(["가나다", ""], [gold, []], [predicted, []])
    assert found["micro_f1"] == found["macro_f1"] == found["seqeval_f1"] == 0
    assert found["micro_precision"] == found["micro_recall"] == 0


def test_of_overlapping_predictions_the_first_and_longer_has_the_characters():
    # 0-3 before 0-2 and 2-5, which is left with 3-5
    found = score(["가나다라마"], [[(0, 3, 0), (3, 5, 1)]], [[(2, 5, 1), (0, 2, 1), (0, 3, 0)]])
    assert found["seqeval_f1"] == found["klue_char_macro_f1"] == 1
    assert found["micro_f1"] == pytest.approx(2 * 1 / (3 + 2))


def test_scores_of_entities_and_other_columns_of_rows_are_no_hindrance():
    found = METRIC.compute(
        predictions=[[{"start": 0, "end": 2, "label": 0, "score": 0.9}]],
        references=[{"id": "1", "text": "가나", "entities": make_entities((0, 2, 0))}],
        label_names=["기관-단체"],
    )
    assert found["micro_f1"] == found["seqeval_f1"] == 1
    assert list(found["per_type"]) == ["기관-단체"]
