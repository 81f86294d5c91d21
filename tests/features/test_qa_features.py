"""Questions to windows of tokens and logits to answers, with tokenizers of four kinds."""

import itertools
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import CORPORA, TOKENIZERS
from datasets import Dataset
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kinds import make_tokenizer
from transformers import AutoTokenizer

from nlpbook_data import load_corpus
from nlpbook_data.errors import InputError
from nlpbook_data.features.particles import strip_particle
from nlpbook_data.features.qa import (
    decode,
    encode,
    number_questions,
    read_perfectly,
    tune_threshold,
)
from nlpbook_data.metrics.qa import QuestionAnswering
from nlpbook_data.training.arguments import resolve_package

SYLLABLES = "가나다라마바사서울에는은의로이1.A"
CONTEXT = "서울에서 부산까지 걸었다. 1998년에는 배를 탔다."
TEXTS = st.lists(
    st.sampled_from([*SYLLABLES, " ", "  ", "\n", "\u3000", "😀", "ㅋ", "\u1100\u1161\u11a8"])
    | st.sampled_from(["e\u0301", "\u200b", "㎏", "\u1161", "ﬁ", "뷁"]),
    max_size=40,
).map("".join)


KINDS = {
    "WordPiece": make_tokenizer("wordpiece-uncased"),
    "byte-level BPE": make_tokenizer("byte-level-prefix"),
    "Unigram": make_tokenizer("unigram"),
    "shipped": AutoTokenizer.from_pretrained(resolve_package("package:models/tiny_encoder")),
}
every_kind = pytest.mark.parametrize("tokenizer", KINDS.values(), ids=KINDS)


def make_batch(context, question="어디?", *answers):
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"context": [context], "question": [question], "answers": [found]}


LENGTH, STRIDE = 24, 5


def first_tokens(features, stride):
    """Return the number of each window's first token in its context."""
    begins, begin = [], 0
    for k, starts in enumerate(features["char_starts"]):
        begin = 0 if features["window"][k] == 0 else begin
        begins.append(begin)
        begin += len(starts) - stride
    return begins


def check_runs(features, answers, stride):
    """Check each window's positions against a search over all of the context's tokens."""
    begins = first_tokens(features, stride)
    rows = number_questions(features["window"])
    for row, gold in enumerate(answers):
        mine = np.flatnonzero(rows == row)
        assert len(mine)
        tokens = {}
        for k in mine:
            for t, span in enumerate(
                zip(features["char_starts"][k], features["char_ends"][k], strict=True)
            ):
                assert tokens.setdefault(begins[k] + t, span) == span
        assert sorted(tokens) == list(range(len(tokens)))
        wanted = set()
        if gold:
            start = gold[0]["answer_start"]
            wanted = set(range(start, start + len(gold[0]["text"])))
        touching = {t for t, (a, b) in tokens.items() if wanted & set(range(a, b))}
        covered = wanted & {c for a, b in tokens.values() for c in range(a, b)}
        for k in mine:
            here = {begins[k] + t for t in range(len(features["char_starts"][k]))}
            first, last = features["labels"][k]
            if not touching or not touching <= here:
                assert (first, last) == (0, 0)
                continue
            shift = begins[k] - features["context_position"][k]
            run = range(first + shift, last + shift + 1)
            assert set(run) <= here
            assert covered <= {c for t in run for c in range(*tokens[t])}
            for shorter in (run[1:], run[:-1]):  # every token of the answer is needed
                assert not touching <= set(shorter)


@every_kind
@settings(max_examples=150, deadline=None)
@given(context=TEXTS, places=st.tuples(st.integers(0, 60), st.integers(0, 60)))
@example(context="가", places=(0, 1))
@example(context=CONTEXT, places=(len(CONTEXT) - 5, len(CONTEXT)))
def test_positions_are_the_tightest_run_where_a_window_holds_the_answer(tokenizer, context, places):
    start, end = sorted(min(place, len(context)) for place in places)
    gold = [[{"text": context[start:end], "answer_start": start}] if end > start else []]
    batch = {"context": [context], "question": ["어디?"], "answers": gold}
    features = encode(batch, tokenizer, LENGTH, STRIDE, training=False)
    check_runs(features, gold, STRIDE)


@every_kind
@settings(max_examples=60, deadline=None)
@given(context=TEXTS)
def test_every_character_with_a_token_is_in_a_window_and_spans_are_trimmed(tokenizer, context):
    features = encode(make_batch(context), tokenizer, LENGTH, STRIDE, training=False)
    covered = set()
    for starts, ends in zip(features["char_starts"], features["char_ends"], strict=True):
        for a, b in zip(starts, ends, strict=True):
            assert 0 <= a <= b <= len(context)
            assert context[a:b] == context[a:b].strip()
            covered |= set(range(a, b))
    whole = tokenizer(
        unicodedata.normalize("NFC", context), add_special_tokens=False, verbose=False
    )
    assert bool(covered) <= bool(whole["input_ids"])
    if unicodedata.is_normalized("NFC", context):
        spans = whole.encodings[0].offsets
        wanted = {c for a, b in spans for c in range(a, b) if not context[c].isspace()}
        assert wanted <= covered


@every_kind
@pytest.mark.parametrize("length, stride", [(24, 5), (32, 0), (40, 16), (384, 128)])
def test_windows_are_those_of_the_tokenizer_itself(tokenizer, length, stride):
    context = CONTEXT * 6
    ours = encode(make_batch(context), tokenizer, length, stride, training=True)
    theirs = tokenizer(
        "어디?",
        context,
        max_length=length,
        stride=stride,
        truncation="only_second",
        return_overflowing_tokens=True,
    )
    assert ours["input_ids"] == theirs["input_ids"]
    if "token_type_ids" in tokenizer.model_input_names:
        assert ours["token_type_ids"] == theirs["token_type_ids"]


@pytest.mark.parametrize(
    ("context", "answers", "start"),
    [
        ("가 나 다", [("다", 4), ("가", 0)], 4),  # the first is trained on
        # one that is elsewhere counts where it is nearest
        *(("가 나 나 가", [("가", said)], start) for said, start in ((1, 0), (5, 6), (6, 6))),
        ("가 나", [("다", 1)], None),
    ],
)
def test_the_first_answer_counts_where_it_is_nearest_to_what_is_said(context, answers, start):
    batch = make_batch(context, "?", *answers)
    features = encode(batch, KINDS["WordPiece"], 32, 0, training=False)
    [(first, last)] = features["labels"]
    if start is None:
        assert (first, last) == (0, 0)
    else:
        assert features["char_starts"][0][first - features["context_position"][0]] == start


@every_kind
@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_a_decomposed_context_gives_the_tokens_of_the_composed_one_at_its_own_positions(
    tokenizer, form
):
    apart = unicodedata.normalize(form, CONTEXT)
    ours = encode(make_batch(apart), tokenizer, 200, 0, training=False)
    theirs = encode(make_batch(CONTEXT), tokenizer, 200, 0, training=False)
    assert ours["input_ids"] == theirs["input_ids"]
    for k in range(len(ours["char_starts"][0])):
        mine = apart[ours["char_starts"][0][k] : ours["char_ends"][0][k]]
        theirs_too = CONTEXT[theirs["char_starts"][0][k] : theirs["char_ends"][0][k]]
        assert unicodedata.normalize("NFC", mine) == theirs_too


@every_kind
def test_a_long_question_is_cut_and_the_context_keeps_its_windows(tokenizer):
    features = encode(
        make_batch(CONTEXT, "부산 " * 300, ("탔다", CONTEXT.index("탔다"))),
        *(tokenizer, 64, 16),
        training=False,
    )
    assert all(len(ids) <= 64 for ids in features["input_ids"])
    special = tokenizer.num_special_tokens_to_add(pair=True)
    for ids, chars in zip(features["input_ids"], features["char_starts"], strict=True):
        assert len(ids) - len(chars) == special + min(32, 64 - special - 16 - 8)
    assert any(first for first, _ in features["labels"])


@every_kind
@pytest.mark.parametrize("context", ["", " \n "])
def test_a_question_about_an_empty_context_is_kept_and_gets_an_empty_answer(tokenizer, context):
    features = encode(make_batch(context), tokenizer, 32, 8, training=False)
    assert len(features["input_ids"]) == 1
    logits = [np.ones(len(features["input_ids"][0]))]
    (decoded,) = decode(logits, logits, features, [0], [context], unanswerable=True)
    assert (decoded.answers, decoded.best().text, decoded.null_score) == ([], "", 1.0)


def test_rows_without_gold_have_no_positions_and_training_no_offsets():
    batch = make_batch(CONTEXT)
    assert set(encode(batch, KINDS["WordPiece"], 64, 8, training=True)) == {
        "input_ids",
        "token_type_ids",
        "labels",
    }
    del batch["answers"]
    assert set(encode(batch, KINDS["byte-level BPE"], 64, 8, training=False)) == {
        *("input_ids", "window", "context_position", "char_starts", "char_ends")
    }


@pytest.mark.parametrize("stride", [-1, 29, 64])
def test_a_stride_without_room_and_a_slow_tokenizer_are_refused(stride):
    with pytest.raises(InputError, match=f"stride of {stride} "):
        encode(make_batch(CONTEXT), KINDS["WordPiece"], 35, stride, training=True)
    with pytest.raises(InputError, match="fast"):
        encode(make_batch(CONTEXT), SimpleNamespace(is_fast=False), 64, 8, training=True)


# decoding


@st.composite
def windowed(draw):
    """Windows of few questions with logits that often tie, and settings of `decode`."""
    contexts = draw(st.lists(st.text("가나 ", min_size=0, max_size=14), min_size=1, max_size=3))
    columns = {"context_position": [], "char_starts": [], "char_ends": []}
    questions, starts, ends = [], [], []
    value = st.integers(-3, 3)
    for number, context in enumerate(contexts):
        room = draw(st.integers(2, 6))
        for begin in range(0, max(1, len(context) - 1), max(1, room - 1)):
            chars = range(begin, min(begin + room, len(context)))
            place = draw(st.integers(1, 3))
            questions.append(number)
            columns["context_position"].append(place)
            columns["char_starts"].append(list(chars))
            columns["char_ends"].append([c + (context[c] != " ") for c in chars])
            size = place + len(chars) + 1
            starts.append(np.array(draw(st.lists(value, min_size=size, max_size=size)), float))
            ends.append(np.array(draw(st.lists(value, min_size=size, max_size=size)), float))
    limits = {
        "n_best": draw(st.integers(1, 6)),
        "max_answer_length": draw(st.none() | st.integers(1, 5)),
    }
    return contexts, columns, questions, starts, ends, limits


def search(contexts, columns, questions, starts, ends, limits):
    """Try every span of every window: {question: [(score, start, end)]}, best first."""
    found = [{} for _ in contexts]
    for k, number in enumerate(questions):
        place, size = columns["context_position"][k], len(columns["char_starts"][k])
        for i, j in itertools.combinations_with_replacement(range(size), 2):
            a, b = columns["char_starts"][k][i], columns["char_ends"][k][j]
            blank = contexts[number][a] == " " or contexts[number][b - 1] == " "
            too_long = j - i + 1 > (limits["max_answer_length"] or 99)
            if columns["char_ends"][k][j] == columns["char_starts"][k][j] or blank:
                continue
            if not too_long:
                score = starts[k][place + i] + ends[k][place + j]
                found[number][a, b] = max(score, found[number].get((a, b), -np.inf))
    return [
        sorted(((s, a, b) for (a, b), s in spans.items()), key=lambda x: (-x[0], *x[1:]))
        for spans in found
    ]


@settings(max_examples=200, deadline=None)
@given(windowed(), st.randoms(use_true_random=False))
def test_the_n_best_are_those_of_a_search_over_all_spans_in_any_order_of_windows(case, random):
    contexts, columns, questions, starts, ends, limits = case
    order = list(range(len(questions)))
    random.shuffle(order)
    decoded = decode(
        [starts[k] for k in order],
        [ends[k] for k in order],
        {name: [values[k] for k in order] for name, values in columns.items()},
        [questions[k] for k in order],
        contexts,
        **limits,
    )
    wanted = search(contexts, columns, questions, starts, ends, limits)
    for number, (context, one, spans) in enumerate(zip(contexts, decoded, wanted, strict=True)):
        spans = spans[: limits["n_best"]]
        total = sum(np.exp(score) for score, _, _ in spans)
        assert len(one.answers) == len(spans)
        for answer, (score, _, _) in zip(one.answers, spans, strict=True):
            assert answer.score == pytest.approx(np.exp(score) / total)
            assert context[answer.start : answer.end] == answer.text != ""
        if spans:
            assert (one.answers[0].start, one.answers[0].end) == spans[0][1:]
            nulls = [starts[k][0] + ends[k][0] for k in order if questions[k] == number]
            assert one.null_difference == pytest.approx(min(nulls) - spans[0][0])


@settings(max_examples=40, deadline=None)
@given(windowed(), st.sampled_from([np.nan, 1e9, -100.0]))
def test_padded_logits_give_what_ragged_ones_give_whatever_the_padding_is(case, filling):
    contexts, columns, questions, starts, ends, limits = case
    padded = []
    for rows in (starts, ends):
        array = np.full((len(rows), 40), filling)
        for k, row in enumerate(rows):
            array[k, : len(row) - 1] = row[:-1]  # [SEP] is not read either
        padded.append(array)
    ragged = decode(starts, ends, columns, questions, contexts, **limits)
    assert decode(*padded, columns, questions, contexts, **limits) == ragged


def test_rows_of_datasets_decode_as_lists_do():
    contexts = [CONTEXT * 3, CONTEXT]
    batch = {"context": contexts, "question": ["어디?", "언제?"]}
    columns = encode(batch, KINDS["shipped"], 40, 8, training=False)
    rows = Dataset.from_dict(columns)
    rng = np.random.default_rng(0)
    logits = [[rng.normal(size=len(ids)) for ids in columns["input_ids"]] for _ in range(2)]
    numbers = number_questions(rows["window"][:])
    assert numbers.tolist() == sorted(numbers) and set(numbers) == {0, 1}
    decoded = decode(*logits, rows, numbers, contexts)
    assert decoded == decode(*logits, columns, numbers, contexts)
    assert len(decoded[0].answers) == 20


HAND = {"context_position": [2], "char_starts": [[0, 3]], "char_ends": [[2, 7]]}


def decode_by_hand(**options):
    start = np.array([1.0, 99, 2, 0, 99])
    end = np.array([1.0, 99, 0, 3, 99])
    return decode([start], [end], HAND, [0], ["서울 부산에서"], **options)[0]


def test_answers_scores_and_null_difference_by_hand():
    decoded = decode_by_hand()
    assert [(a.text, a.start, a.end) for a in decoded.answers] == [
        *(("서울 부산에서", 0, 7), ("부산에서", 3, 7), ("서울", 0, 2)),
    ]
    weights = np.exp([5, 3, 2])
    assert [a.score for a in decoded.answers] == pytest.approx(weights / weights.sum())
    assert (decoded.null_difference, decoded.null_score) == (2 - 5, 0)
    decoded = decode_by_hand(unanswerable=True)  # no answer takes its share
    weights = np.exp([5, 3, 2, 2])
    scores = [*(a.score for a in decoded.answers), decoded.null_score]
    assert scores == pytest.approx(weights / weights.sum())
    assert decoded.best(-3.0).text == decoded.best().text == "서울 부산에서"
    assert (decoded.best(-3.1).text, decoded.best(-3.1).score) == ("", decoded.null_score)


def test_answers_that_become_one_by_the_particle_step_add_their_scores_up():
    columns = {"context_position": [1], "char_starts": [[0, 2]], "char_ends": [[2, 4]]}
    start, end = np.array([0.0, 3, 0]), np.array([0.0, 1, 1])
    plain, stripped = (
        decode([start], [end], columns, [0], ["서울에서"], strip=strip)[0].answers
        for strip in (None, lambda context, start, end, last: min(end, 2))
    )
    assert (stripped[0].text, stripped[0].start, stripped[0].end) == ("서울", 0, 2)
    together = sum(a.score for a in plain if a.start == 0)
    assert stripped[0].score == pytest.approx(together)


def test_no_windows_give_empty_answers():
    (decoded,) = decode([], [], {n: [] for n in HAND}, [], ["서울"])
    assert decoded.best().text == ""


# the threshold for unanswerable questions


def test_the_threshold_by_hand():
    # answering the first two is right, the third has no answer, the fourth would be wrong
    threshold, score = tune_threshold([-2, -1, 0, 1], [1, 1, 0, 0], [True, True, False, True])
    assert (threshold, score) == (-1.0, 0.75)
    threshold, score = tune_threshold([-2.0, 3.0], [1, 1], [False, False])
    assert threshold < -2 and score == 1.0


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-4, 4).map(float) | st.just(np.inf),
            st.sampled_from([0.0, 0.5, 1.0]),
            st.booleans(),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_no_threshold_is_better_than_the_tuned_one(rows):
    rows = [(d, s if d < np.inf else 0.0, has) for d, s, has in rows]

    def score(threshold):
        points = [
            (s if has else 0.0) if d <= threshold and d < np.inf else float(not has)
            for d, s, has in rows
        ]
        return sum(points) / len(points)

    threshold, best = tune_threshold(*zip(*rows, strict=True))
    assert np.isfinite(threshold)
    assert score(threshold) == pytest.approx(best)
    assert best == pytest.approx(max(score(t) for t in np.arange(-6, 6, 0.5)))


# KorQuAD


@pytest.fixture(scope="module", params=["test", pytest.param("train", marks=pytest.mark.long)])
def korquad(request):
    dataset = load_corpus("korquad-v1", CORPORA)[request.param]
    rows = {column: dataset[column][:] for column in ("context", "question", "answers")}
    return AutoTokenizer.from_pretrained(TOKENIZERS / "kcbert-base"), rows


@pytest.mark.corpora
def test_perfect_positions_on_korquad_before_and_after_the_particle_step(korquad, record_property):
    metric, scores = QuestionAnswering(keep_in_memory=True), []
    tokenizer, rows = korquad
    for step in (None, strip_particle):
        options = {"max_answer_length": None, "strip": step}
        texts = read_perfectly(rows, tokenizer, 384, 128, **options)
        scores.append(metric.compute(predictions=texts, references=rows["answers"]))
    before, after = ([score["exact_match"], score["f1"]] for score in scores)
    record_property("summary", f"KorQuAD by perfect positions, EM and F1: {before}, {after}")
    assert after[0] > before[0] and after[1] > before[1]
    assert after[0] > 0.98 and 0.76 < before[0] < 0.80
