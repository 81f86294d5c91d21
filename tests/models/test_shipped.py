"""The models that ship: small, at home in Korean, and good to fine-tune."""

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

import nlpbook_data
from nlpbook_data.answering import load_answerer

MODELS = Path(nlpbook_data.__file__).parent / "models"
ENCODER = MODELS / "encoder"
TEMPLE = "불국사는 경주에 있는 절이다. 신라의 김대성이 751년에 짓기 시작하였다."
LETTERS = "훈민정음은 세종대왕이 만든 글자이다."


@pytest.mark.parametrize("name", ["encoder", "decoder", "answers"])
def test_it_is_small(name):
    assert (MODELS / name / "model.safetensors").stat().st_size < 16e6


# The encoder


@pytest.fixture(scope="module")
def encoder():
    return AutoModelForMaskedLM.from_pretrained(ENCODER)


@pytest.mark.parametrize(
    "head",
    [
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoModelForQuestionAnswering,
    ],
)
def test_every_head_takes_its_weights(encoder, head):
    assert encoder.dtype == torch.float32
    model, info = head.from_pretrained(ENCODER, output_loading_info=True)
    assert all("classifier" in name or "qa_outputs" in name for name in info["missing_keys"])
    for (name, ours), theirs in zip(
        model.base_model.named_parameters(), encoder.base_model.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs), name


def test_it_knows_what_is_good_about_actors():
    fill = pipeline("fill-mask", model=str(ENCODER))
    (best, *_) = fill("배우들의 [MASK] 좋았다")
    assert best["token_str"].startswith("연기")


def test_sentence_transformers_takes_it():
    model = SentenceTransformer(str(ENCODER), device="cpu")
    film, same, other = torch.tensor(
        model.encode(["이 영화 정말 재밌다", "진짜 재미있는 영화", "국회에 법안이 올라왔다"])
    )
    near, far = (torch.cosine_similarity(film, text, dim=0) for text in (same, other))
    assert near > far


# The decoder


@pytest.fixture(scope="module")
def decoder():
    model = AutoModelForCausalLM.from_pretrained(MODELS / "decoder")
    assert model.dtype == torch.float32
    return AutoTokenizer.from_pretrained(MODELS / "decoder"), model


def test_no_text_is_unknown_to_it(decoder):
    text = "뷁 漢字 🙂 àé ᄒᆞᆫ글"
    tokenizer, _ = decoder
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.parametrize(
    "text",
    [
        "배우들의 연기가 정말 좋았다",
        "국회에 법안이 올라왔다",
        "아이들과 함께 보기 좋은 영화",
        "책을 읽고 많은 생각을 했다",
    ],
)
def test_it_prefers_korean_word_order(decoder, text):
    tokenizer, model = decoder

    def cost(text: str) -> float:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            return float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)

    assert cost(text) < cost(" ".join(reversed(text.split())))


# The model of answers: what it points at before it has seen any real question


@pytest.fixture(scope="module")
def answer():
    return load_answerer(str(MODELS / "answers"), device="cpu")


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
