"""The model of answers that ships: what it points at before it has seen any real question."""

from pathlib import Path

import pytest

import nlpbook_data
from nlpbook_data.answering import load_answerer

FOLDER = Path(nlpbook_data.__file__).parent / "models" / "answers"
TEMPLE = "불국사는 경주에 있는 절이다. 신라의 김대성이 751년에 짓기 시작하였다."
LETTERS = "훈민정음은 세종대왕이 만든 글자이다."


@pytest.fixture(scope="module")
def answer():
    return load_answerer(str(FOLDER), device="cpu")


@pytest.mark.parametrize(
    ("question", "context", "part"),
    [
        ("훈민정음은 누가 만들었나?", LETTERS, "세종대왕"),
        ("불국사는 어디에 있나?", TEMPLE, "경주"),
        ("김대성이 불국사를 짓기 시작한 것은 언제인가?", TEMPLE, "751년"),
    ],
)
def test_what_is_asked_in_the_words_of_the_text_is_found(answer, question, context, part):
    assert answer(question=question, context=context)["answer"].startswith(part)


def test_it_is_small():
    assert (FOLDER / "model.safetensors").stat().st_size < 16e6
