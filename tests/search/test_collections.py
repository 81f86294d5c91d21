"""Rows to a collection of passages, queries and what is true of them."""

import time
from collections import defaultdict

import pytest
from conftest import CORPORA
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from nlpbook_data import load_corpus
from nlpbook_data.errors import InputError
from nlpbook_data.search.collections import choose_negatives, collect, encode, pairs_to_questions
from nlpbook_data.training.arguments import resolve_package


def test_equal_passages_are_one_after_outer_blanks():
    found = collect({"query": ["a", "b", "c"], "passage": [" 글\n", "글", "다른  글"]})
    assert found.passages == ["글", "다른  글"]
    assert found.relevant == [[0], [0], [1]]


def test_equal_queries_share_all_their_true_passages():
    found = collect({"query": ["수도", "강", "수도 "], "passage": ["서울", "한강", "도쿄"]})
    assert found.queries == ["수도", "강"]
    assert found.relevant == [[0, 2], [1]]


def test_negatives_are_passages_of_the_collection():
    found = collect(
        {"query": ["수도", "강"], "passage": ["서울", "한강"], "negative": ["부산", "서울"]}
    )
    assert found.passages == ["서울", "부산", "한강"]
    assert found.negatives == [[1], [0]]


def test_a_true_passage_is_no_negative_of_its_query():
    rows = {"query": ["강", "강"], "passage": ["한강", "금강"], "negative": ["금강", None]}
    assert collect(rows).negatives == [[]]


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


@pytest.mark.parametrize(
    "column, place", [("query", "Row 2: the query"), ("passage", "Row 2: the passage")]
)
def test_blank_texts_are_refused(column, place):
    rows = {"query": ["a", "b"], "passage": ["가", "나"]}
    rows[column] = [rows[column][0], " \n"]
    with pytest.raises(InputError, match=place):
        collect(rows)


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


def test_sixty_thousand_rows_take_seconds():
    passages = [f"{number // 6} " + "글" * 500 for number in range(60_000)]
    start = time.process_time()
    found = collect({"question": [f"{n}?" for n in range(60_000)], "context": passages})
    assert time.process_time() - start < 3
    assert len(found.passages) == 10_000 and len(found.queries) == 60_000


@pytest.mark.corpora
def test_korquads_passages_and_questions():
    splits = load_corpus("korquad-v1", CORPORA)
    train = collect(splits["train"][:])
    test = collect(splits["test"][:], train.passages)
    contexts = [{text.strip() for text in splits[split]["context"]} for split in ("train", "test")]
    assert set(train.passages) == contexts[0] and set(test.passages) == contexts[0] | contexts[1]
    assert all(test.relevant) and len(test.queries) == len(set(splits["test"]["question"]))


def test_hard_negatives_are_the_named_ones_then_the_highest_that_are_not_true():
    rows = {"query": ["a", "a", "b"], "passage": ["0", "1", "2"], "negative": ["3", "4", "0"]}
    found = collect(rows)
    ids = {text: number for number, text in enumerate(found.passages)}
    rankings = [[ids[text] for text in texts] for texts in ("10243", "2031")]
    for count, expected in ((0, ["34", "0"]), (1, ["342", "03"]), (9, ["342", "031"])):
        chosen = choose_negatives(found, rankings, count)
        assert ["".join(found.passages[i] for i in row) for row in chosen] == expected
    assert choose_negatives(found, [], 1) == found.negatives


def test_texts_are_composed_cut_and_begin_with_their_prompts():
    tokenizer = AutoTokenizer.from_pretrained(resolve_package("package:models/encoder"))
    batch = {"prompt": ["물음: ", ""], "text": ["\u1112\u1161\u11ab강", "한강 " * 50]}  # NFD, long
    tokens = encode(batch, tokenizer, 16)["input_ids"]
    assert tokens[0] == tokenizer("물음: 한강")["input_ids"]
    assert len(tokens[1]) == 16


def test_pairs_answer_by_their_labels():
    names = ["함의", "중립", "모순"]
    pairs = {"premise": list("aaab"), "hypothesis": list("wxyz"), "label": [0, 1, 2, 0]}
    found = collect(pairs_to_questions(pairs, names))
    assert found.passages == ["w", "y", "z"]
    assert (found.relevant, found.negatives) == ([[0], [2]], [[1], []])

    # 0 is the same question
    pairs = {"sentence1": ["a", "a"], "sentence2": ["x", "y"], "label": [0, 1]}
    found = collect(pairs_to_questions(pairs, ["같은 질문", "다른 질문"]))
    assert (found.relevant, found.negatives) == ([[0]], [[1]])

    scores = [4.0, 3.9, 2.1, 2.0, float("nan")]
    pairs = {"sentence1": ["a"] * 5, "sentence2": list("vwxyz"), "label": scores}
    found = collect(pairs_to_questions(pairs, []))
    assert found.passages == ["v", "y", "z"]
    assert (found.relevant, found.negatives) == ([[0, 2]], [[1]])

    with pytest.raises(InputError, match="'1'"):
        pairs_to_questions({"sentence1": [], "sentence2": [], "label": []}, ["0", "1", "함의"][1:])
