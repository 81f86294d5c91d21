"""Questions made by rule: what holds for each of them, whatever the text."""

from itertools import chain

from conftest import COMMAND
from writing import read_rows

from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.data.questions import make_questions


def contexts() -> list[str]:
    rows = chain.from_iterable(load_corpus("sample_qa")[split] for split in ("train", "test"))
    return list(dict.fromkeys(row["context"] for row in rows))


def test_an_answer_stands_once_in_its_context_and_not_in_its_question():
    texts = contexts()[:25]
    rows = list(make_questions(texts, longest=300, seed=1))
    assert len(rows) > 150 and len({row["id"] for row in rows}) == len(rows)
    told = " ".join(texts)
    for row in rows:
        context, answer, start = row["context"], row["answer_text"], row["answer_start"]
        assert len(context) <= 300 + 20  # with the blanks between sentences
        assert row["question"].endswith("?")
        if row["is_impossible"]:
            assert answer is None and start is None
            continue
        assert context.count(answer) == 1 and context[start : start + len(answer)] == answer
        assert answer not in row["question"] and answer in told
    share = sum(row["is_impossible"] for row in rows) / len(rows)
    assert 0.03 < share < 0.15

    few = list(make_questions(texts[:3], longest=300, seed=1))
    assert few == list(make_questions(texts[:3], longest=300, seed=1))
    assert few != list(make_questions(texts[:3], longest=300, seed=2))


def test_the_question_word_fits_what_is_asked_for():
    text = (
        "이순신은 1598년 11월에 노량 앞바다에서 적의 배 이백 척을 크게 무찔렀다. "
        "그는 이 싸움에서 총탄에 맞아 숨을 거두었다."
    )
    asked: dict[str, set[str]] = {}
    for row in make_questions([text], per_sentence=100):
        words = ("누구", "언제", "어디", "얼마", "몇", "무엇")
        word = next(word for word in words if word in row["question"])
        asked.setdefault(row["answer_text"], set()).add(word)
    assert asked["1598년"] == asked["11월"] == {"언제"}
    assert asked["이순신"] == {"누구"}
    assert asked["총탄"] == {"어디"}  # "총탄에": a particle of place, and a clumsy question


def test_the_command_writes_what_check_accepts(fork_recipe, tmp_path):
    (tmp_path / "book.txt").write_text("\n".join(contexts()[:20]), encoding="utf-8")
    command = [COMMAND, "questions", "book.txt", "--output"]
    first = fork_recipe(*command, "q.jsonl").expect()
    rows = read_rows(tmp_path / "q.jsonl")
    without = sum(row["is_impossible"] for row in rows)
    assert f"{len(rows)} questions, {without} of them without an answer" in first.stdout
    assert "Nothing is wrong" in fork_recipe(COMMAND, "check", "q.jsonl", "--task", "qa").stdout

    fork_recipe(*command, "q.jsonl").expect(1, "it is there already")
    assert read_rows(tmp_path / "q.jsonl") == rows

    (tmp_path / "book.txt").write_text("한 줄뿐인 글이다.\n", encoding="utf-8")
    fork_recipe(*command, "none.jsonl").expect(1, "sentences need neighbours")
    assert not list(tmp_path.glob("none*"))
