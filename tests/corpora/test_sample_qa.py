"""The questions that ship: what their README promises, and what the parser refuses."""

import json
import unicodedata
from collections import Counter

import pytest
from datasets import DatasetDict

from nlpbook_data.corpora import sample_qa
from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.errors import InputError

ROW = {
    "id": "1-1",
    "title": "등대",
    "context": "1931년에 등대가 섰다.",
    "question": "등대는 언제 세워졌나?",
    "answers": [{"text": "1931년", "answer_start": 0}],
    "question_type": "언제",
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> DatasetDict:
    return load_corpus("sample_qa", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def rows(loaded) -> list[dict]:
    return [row for split in loaded.values() for row in split]


@pytest.fixture(scope="module")
def answered(rows) -> list[dict]:
    return [row for row in rows if row["answers"]]


def after(row: dict) -> str:
    """Return what follows the answer in the passage."""
    (answer,) = row["answers"]
    return row["context"][answer["answer_start"] + len(answer["text"]) :]


def test_three_splits_have_at_least_60_passages_and_240_answered_questions(loaded, answered):
    sizes = {split: (len(set(rows["context"])), len(rows)) for split, rows in loaded.items()}
    assert sizes == {"train": (49, 267), "validation": (8, 45), "test": (12, 72)}
    assert sum(passages for passages, _ in sizes.values()) >= 60
    assert len(answered) == 344


def test_every_passage_has_four_answered_questions_or_more(rows, answered):
    counts = Counter(row["context"] for row in answered)
    assert set(counts) == {row["context"] for row in rows}
    assert min(counts.values()) >= 4


def test_no_passage_or_title_stands_in_two_splits(loaded):
    for column in ("context", "title"):
        seen = [text for rows in loaded.values() for text in set(rows[column])]
        assert len(seen) == len(set(seen)) == 69


def test_every_answer_stands_at_its_position(answered):
    for row in answered:
        (answer,) = row["answers"]
        start, text = answer["answer_start"], answer["text"]
        assert row["context"][start : start + len(text)] == text == text.strip() != ""
        assert len(text) <= 30


def test_an_answer_begins_where_a_word_does(answered):
    for row in answered:
        before = row["context"][: row["answers"][0]["answer_start"]]
        assert before == "" or before[-1] in " '《\n", (row["id"], before[-5:])


def test_answers_stand_at_character_0_and_in_the_last_word_in_every_part_of_a_passage(answered):
    last = [row for row in answered if " " not in after(row)]
    assert sum(row["answers"][0]["answer_start"] == 0 for row in answered) == 14
    assert len(last) == 24
    assert sum(after(row) == "" for row in last) == 10
    tenths = Counter(
        10 * row["answers"][0]["answer_start"] // len(row["context"]) for row in answered
    )
    assert sorted(tenths) == list(range(10))
    assert min(tenths.values()) >= 20


def test_test_has_answers_at_character_0_and_at_the_end(loaded):
    rows = [row for row in loaded["test"] if row["answers"]]
    assert any(row["answers"][0]["answer_start"] == 0 for row in rows)
    assert any(after(row) == "" for row in rows)


def test_a_tenth_of_the_questions_of_every_split_has_no_answer(loaded):
    unanswerable = {
        split: sum(not answers for answers in rows["answers"]) for split, rows in loaded.items()
    }
    assert unanswerable == {"train": 27, "validation": 5, "test": 8}
    for split, count in unanswerable.items():
        assert 0.09 < count / len(loaded[split]) < 0.13


def test_question_types_are_korean_words_and_all_are_in_every_split(loaded):
    for rows in loaded.values():
        label = rows.features["question_type"]
        assert label.names == ["누가", "언제", "어디", "무엇", "얼마", "왜", "어떻게"]
        assert set(rows["question_type"]) == set(range(7))


def test_texts_are_composed_hangul_without_outer_or_double_blanks(rows):
    for row in rows:
        for column in ("title", "context", "question"):
            text = row[column]
            assert unicodedata.is_normalized("NFC", text) and "  " not in text
            assert text == text.strip() and any("가" <= letter <= "힣" for letter in text)
        assert 300 <= len(row["context"]) <= 700
        assert row["question"].endswith("?")


def test_no_question_or_id_stands_twice(rows):
    for column in ("id", "question"):
        assert len({row[column] for row in rows}) == len(rows)


def test_a_question_holds_neither_its_answer_nor_thirteen_letters_in_a_row_of_its_passage(answered):
    for row in answered:
        question = row["question"]
        assert row["answers"][0]["text"] not in question
        pieces = {question[i : i + 13] for i in range(len(question) - 12)}
        assert not [piece for piece in pieces if piece in row["context"]], row["id"]


def test_a_row_is_read_with_its_type_as_a_number(tmp_path):
    path = tmp_path / "a.jsonl"
    open_question = {**ROW, "answers": [], "question_type": "어떻게"}
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps(open_question)}\n", encoding="utf-8")
    assert list(sample_qa.parse([path])) == [
        {**ROW, "question_type": 1},
        {**ROW, "answers": [], "question_type": 6},
    ]


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("answers", [{"text": "1932년", "answer_start": 0}], "1931년"),
        ("answers", [{"text": "1931년", "answer_start": 1}], "position 1 of context"),
        ("answers", [{"text": "", "answer_start": 0}], "position 0 of context"),
        ("answers", [{"text": "1931년", "answer_start": -14}], "-14"),
        ("answers", None, "answers"),
        ("question_type", "무슨", "무슨"),
        ("question_type", 1, "question_type"),
        ("question", None, "question"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(tmp_path, column, value, named):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps({**ROW, column: value})}\n", encoding="utf-8")
    with pytest.raises(InputError) as raised:
        list(sample_qa.parse([path]))
    assert str(raised.value).startswith(f"{path}, line 2")
    assert named in str(raised.value)
