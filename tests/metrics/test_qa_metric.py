"""KorQuAD's and KLUE-MRC's scores against cases by hand and a second way to work them out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpbook_data.metrics.qa import (
    QuestionAnswering,
    exact_match,
    f1,
    klue_exact_match,
    normalize_klue,
    normalize_korquad,
    rouge_w,
)

TEXTS = st.text([*"서울 에", "?"], max_size=6)


def compute(predictions, references, **columns):
    metric = QuestionAnswering(keep_in_memory=True)
    return metric.compute(predictions=predictions, references=references, **columns)


def gold(*texts, start=0):
    return [{"text": text, "answer_start": start} for text in texts]


# KorQuAD by hand


@pytest.mark.parametrize(
    "text, normal",
    [
        ("《서울》", "서울"),
        ("서울(Seoul)", "서울 seoul"),  # parentheses become blanks,
        ("1,200.5", "12005"),  # other punctuation nothing
        ("'서울'의 〈봄〉", "서울 의 봄"),
        ("  서울\t 특별시\n", "서울 특별시"),
        ("「서울」", "「서울」"),  # no rule speaks of these,
        ("“서울”", "“서울”"),  # nor of double quotes that are curved
        ("?!", ""),
    ],
)
def test_korquads_normalisation(text, normal):
    assert normalize_korquad(text) == normal


@pytest.mark.parametrize(
    "prediction, answers, exact, score",
    [
        ("서울", ["서울"], 1, 1),
        ("서울에", ["서울"], 0, 2 * 2 / (3 + 2)),
        ("서울 시", ["서울시"], 0, 1),  # blanks count for the match, not for F1
        ("울서", ["서울"], 0, 1),  # nor does the order
        ("가가나", ["가나나"], 0, 2 * 2 / 6),  # repeated syllables count as often as both have them
        ("부산", ["서울"], 0, 0),
        ("", ["서울"], 0, 0),
        ("서울에", ["서울", "서울에", "부산"], 1, 1),  # the best of several
        ("Seoul", ["SEOUL"], 1, 1),
        ("Ｓｅｏｕｌ！", ["Seoul"], 0, 0),  # full width is not made narrow,
        ("\u1109\u1165", ["서"], 0, 0),  # nor are letters composed
        ("😀", ["😀 ?"], 1, 1),
        ("?", ["!"], 1, 0),  # nothing is left of both: as in the script
    ],
)
def test_korquads_scores(prediction, answers, exact, score):
    assert exact_match(prediction, answers) == exact
    assert f1(prediction, answers) == pytest.approx(score)


# KLUE-MRC by hand


@pytest.mark.parametrize(
    "text, normal",
    [
        ("《서울》", "《서울》"),
        ("서울(Seoul)", "서울seoul"),
        ("〈()‘’서울", "서울"),  # the one sequence that KLUE-baseline's pattern matches
        ("서〈()‘’울", "서 울"),
        ("서울, 'A'", "서울 a"),
    ],
)
def test_klues_normalisation(text, normal):
    assert normalize_klue(text) == normal


@pytest.mark.parametrize(
    "prediction, answers, exact, score",
    [
        ("서울에서", ["서울"], 0, 2 * 2 / (4 + 2)),
        ("울서", ["서울"], 0, 2 * 1 / 4),  # a run, not a subsequence, and in order
        ("가나 다라", ["가나 마 다라"], 0, 2 * 3 / (5 + 7)),  # blanks are characters
        ("부산", ["서울"], 0, 0),
        ("서울", ["부산", "서울"], 1, 1),
        ("", ["서울"], 0, 0),
        ("?", ["!"], 1, 1),
    ],
)
def test_klues_scores(prediction, answers, exact, score):
    assert klue_exact_match(prediction, answers) == exact
    assert rouge_w(prediction, answers) == pytest.approx(score)


# unanswerable questions


@pytest.mark.parametrize("score", [exact_match, f1, klue_exact_match, rouge_w])
@pytest.mark.parametrize("prediction, right", [("", 1), (" ", 1), ("?", 1), ("서울", 0)])
def test_without_an_answer_only_an_empty_prediction_is_right(score, prediction, right):
    assert score(prediction, []) == right


def test_answerable_and_unanswerable_questions_are_scored_apart_too():
    scores = compute(["서울에", "", "부산", ""], [gold("서울"), gold("대구"), [], []])
    assert scores["exact_match"] == scores["klue_exact_match"] == 1 / 4
    assert scores["f1"] == pytest.approx((0.8 + 0 + 0 + 1) / 4)
    assert scores["has_answer_exact_match"] == 0
    assert scores["has_answer_f1"] == pytest.approx(0.4)
    assert scores["no_answer_accuracy"] == 0.5


def test_where_all_questions_have_an_answer_or_none_has_the_other_scores_are_left_out():
    assert "no_answer_accuracy" not in compute(["서울"], [gold("서울")])
    scores = compute(["", "서울"], [[], []])
    assert "has_answer_f1" not in scores
    assert scores["no_answer_accuracy"] == scores["exact_match"] == 0.5


# break-downs


def test_scores_by_question_type():
    types = ["추론", "바꿔 쓰기", "추론"]
    scores = compute(
        ["서울", "부산", "대구"], [gold("서울"), gold("부산"), []], question_types=types
    )
    assert scores["per_question_type"] == {
        "바꿔 쓰기": dict.fromkeys(
            ["exact_match", "f1", "klue_exact_match", "rouge_w", "support"], 1
        ),
        "추론": {
            **dict.fromkeys(["exact_match", "f1", "klue_exact_match", "rouge_w"], 0.5),
            "support": 2,
        },
    }


@pytest.mark.parametrize(
    "start, length, third",
    [
        *((0, 90, "first third"), (29, 90, "first third"), (30, 90, "middle third")),
        *((59, 90, "middle third"), (60, 90, "last third"), (89, 90, "last third")),
        *((0, 1, "first third"), (90, 90, "last third")),
    ],
)
def test_scores_by_where_the_first_answer_starts(start, length, third):
    answers = [*gold("가", start=start), *gold("가", start=0)]
    scores = compute(["가", ""], [answers, []], context_lengths=[length, length])
    assert {name: s["support"] for name, s in scores["per_answer_position"].items()} == {third: 1}
    assert scores["per_answer_position"][third]["exact_match"] == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=2)), min_size=1, max_size=20))
def test_the_module_gives_the_means_of_the_questions_scores(rows):
    scores = compute([p for p, _ in rows], [gold(*answers) for _, answers in rows])
    for name, score in (("exact_match", exact_match), ("f1", f1), ("rouge_w", rouge_w)):
        assert scores[name] == pytest.approx(sum(score(*row) for row in rows) / len(rows))
