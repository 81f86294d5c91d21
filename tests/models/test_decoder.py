"""The decoder that ships: small, at home in Korean, and good to fine-tune."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import nlpbook_data

FOLDER = Path(nlpbook_data.__file__).parent / "models" / "decoder"


@pytest.fixture(scope="module")
def decoder():
    return AutoTokenizer.from_pretrained(FOLDER), AutoModelForCausalLM.from_pretrained(FOLDER)


def test_it_is_small_and_loads_in_float32(decoder):
    assert (FOLDER / "model.safetensors").stat().st_size < 16e6
    assert decoder[1].dtype == torch.float32


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
