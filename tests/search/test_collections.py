"""Rows to a collection of passages, queries and what is true of them."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpbook_data.errors import InputError
from nlpbook_data.search.collections import Collection, to_queries, training_rows
from nlpbook_data.search.collections import collect as collect_rows


def collect(batch, passages=(), label_names=()) -> Collection:
    return collect_rows(to_queries(batch, label_names), passages)


def test_an_unanswerable_question_has_its_context_as_a_negative():
    answer = [{"text": "서울", "answer_start": 0}]
    found = collect(
        {
            "question": ["수도는?", "인구는?", "수도는?"],
            "context": ["서울은 수도", "서울은 수도", "부산은 항구"],
            "answers": [answer, [], []],
        }
    )
    assert found.relevant == [[0], []]
    assert found.negatives == [[1], [0]]


@pytest.mark.parametrize("answers", [{}, {"answers": [None]}])
def test_a_question_whose_answers_are_not_known_is_about_its_context(answers):
    assert collect({"question": ["수도는?"], "context": ["서울"], **answers}).relevant == [[0]]


def test_passages_that_are_there_already_keep_their_ids():
    train = collect({"query": ["a", "b"], "passage": ["가", "나"]})
    test = collect({"query": ["c", "d"], "passage": ["다", "가"]}, train.passages)
    assert test.passages == ["가", "나", "다"]
    assert test.relevant == [[2], [0]]


def test_letters_apart_are_the_same_text_as_whole_ones():
    rows = {"query": ["\u1112\u1161\u11ab강", "한강"], "passage": ["가", "\u1100\u1161"]}
    found = collect(rows)
    assert (found.queries, found.passages, found.relevant) == (["한강"], ["가"], [[0]])


TEXT = st.sampled_from(["가", " 가", "나", "다\n", "라"])


@given(st.lists(st.tuples(TEXT, TEXT, st.none() | TEXT), max_size=12))
def test_the_collection_says_what_the_rows_say(rows):
    query, passage, negative = zip(*rows, strict=True) if rows else ((), (), ())
    found = collect({"query": query, "passage": passage, "negative": negative})
    true, false = defaultdict(set), defaultdict(set)
    for q, p, n in rows:
        true[q.strip()].add(p.strip())
        false[q.strip()] |= {n.strip()} if n else set()

    def texts(ids: list[list[int]]) -> dict[str, set[str]]:
        named = zip(found.queries, ids, strict=True)
        return {q: {found.passages[place] for place in places} for q, places in named}

    assert texts(found.relevant) == true
    assert texts(found.negatives) == {q: false[q] - true[q] for q in true}
    seen = {text.strip() for row in rows for text in row[1:] if text}
    assert sorted(found.passages) == sorted(seen)


def texts_of(rows) -> list[str]:
    return ["".join(row.values()) for row in rows]


def test_a_query_has_a_row_for_each_true_passage_and_each_named_negative():
    rows = {"query": list("aab"), "passage": list("012"), "negative": list("340")}
    found = collect(rows)
    assert texts_of(training_rows(found)) == ["a03", "a04", "a13", "a14", "b20"]
    # the ranking's best that is neither true nor named, which is of a 2 and of b 3
    ids = {text: number for number, text in enumerate(found.passages)}
    rankings = [[ids[text] for text in texts] for texts in ("10243", "2031")]
    expected = ["a032", "a042", "a132", "a142", "b203"]
    assert texts_of(training_rows(found, rankings, 1)) == expected


def test_where_some_rows_name_a_negative_the_others_get_one_that_is_not_true():
    rows = {"query": list("abcd"), "passage": list("0123"), "negative": ["4", None, None, None]}
    found = collect(rows)
    first, *others = texts_of(training_rows(found, seed=1))
    assert first == "a04"
    for query, true, negative in others:
        assert negative in set("01234") - {true} and query in "bcd"
    # of a ranking, the next best after the hard ones
    ids = {text: number for number, text in enumerate(found.passages)}
    ranking = [ids[text] for text in "43210"]
    rows = texts_of(training_rows(found, [ranking] * 4, 2))
    assert rows == ["a0432", "b1243", "c2143", "d3142"]


def test_no_passage_stands_twice_in_a_row():
    found = collect({"query": list("abc"), "passage": list("012")})
    for row in training_rows(found, [[0, 1], [1], []], 2, seed=3):
        assert len(set(row.values())) == 4


@pytest.mark.parametrize(
    "batch",
    [
        {"question": ["q"], "context": ["p"], "answers": [[]]},
        {"query": ["q", "q"], "passage": ["p", "r"], "negative": ["p", "r"]},
    ],
)
def test_train_without_anything_to_tell_apart_is_refused(batch):
    found = collect(batch)
    with pytest.raises(InputError, match="true passage"):
        training_rows(found, [[0, 1]], 1)


def test_pairs_answer_by_their_labels():
    names = ["함의", "중립", "모순"]
    pairs = {"premise": list("aaab"), "hypothesis": list("wxyz"), "label": [0, 1, 2, -1]}
    found = collect(pairs, label_names=names)
    assert found.passages == ["w", "y", "z"]
    assert (found.relevant, found.negatives) == ([[0], [2]], [[1], []])

    # 0 is the same question
    pairs = {"sentence1": ["a", "a"], "sentence2": ["x", "y"], "label": [0, 1]}
    found = collect(pairs, label_names=["같은 질문", "다른 질문"])
    assert (found.relevant, found.negatives) == ([[0]], [[1]])

    scores = [4.0, 3.9, 2.1, 2.0, float("nan")]
    pairs = {"sentence1": ["a"] * 5, "sentence2": list("vwxyz"), "label": scores}
    found = collect(pairs)
    assert found.passages == ["v", "y", "z"]
    assert (found.relevant, found.negatives) == ([[0, 2]], [[1]])

    with pytest.raises(InputError, match="'1'"):
        to_queries({"sentence1": [], "sentence2": [], "label": []}, ["1", "함의"])
