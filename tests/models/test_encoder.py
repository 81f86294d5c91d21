"""The encoder that ships: what it is to be good for, and that every head takes its weights."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    pipeline,
)

import nlpbook_data

FOLDER = Path(nlpbook_data.__file__).parent / "models" / "encoder"


def test_it_is_small_and_loads_in_float32():
    assert (FOLDER / "model.safetensors").stat().st_size < 16e6
    assert AutoModelForMaskedLM.from_pretrained(FOLDER).dtype == torch.float32


@pytest.mark.parametrize(
    "head",
    [
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoModelForQuestionAnswering,
    ],
)
def test_every_head_takes_its_weights(head):
    masked = AutoModelForMaskedLM.from_pretrained(FOLDER)
    model, info = head.from_pretrained(FOLDER, output_loading_info=True)
    assert all("classifier" in name or "qa_outputs" in name for name in info["missing_keys"])
    for (name, ours), theirs in zip(
        model.base_model.named_parameters(), masked.base_model.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs), name


def test_it_knows_what_is_good_about_actors():
    fill = pipeline("fill-mask", model=str(FOLDER))
    (best, *_) = fill("배우들의 [MASK] 좋았다")
    assert best["token_str"].startswith("연기")


def test_sentence_transformers_takes_it():
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(FOLDER), device="cpu")
    film, same, other = torch.tensor(
        model.encode(["이 영화 정말 재밌다", "진짜 재미있는 영화", "국회에 법안이 올라왔다"])
    )
    near, far = (torch.cosine_similarity(film, text, dim=0) for text in (same, other))
    assert near > far
