"""Blocks: packed pieces lose nothing and see nothing of each other; words are hidden whole."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
)

import nlpbook_data
from nlpbook_data.features.pretrain import (
    NO_LOSS,
    PADDING,
    SPECIAL,
    block_mask,
    encode,
    mask_words,
    pack,
)

MODELS = Path(nlpbook_data.__file__).parent / "models"
TEXTS = [
    "정말 재미있는 영화",
    "별로",
    "배우들의 연기가 좋았습니다. 다시 보고 싶어요!",
    "",
    "ㅋㅋㅋ 최고",
]


@pytest.fixture(scope="module", params=["tiny_encoder", "tiny_decoder"])
def tokenizer(request):
    return AutoTokenizer.from_pretrained(MODELS / request.param)


def test_pieces_are_the_tokens_of_the_text(tokenizer):
    pieces = encode({"text": TEXTS}, tokenizer, 128)
    plain = tokenizer([t for t in TEXTS if t], add_special_tokens=False)["input_ids"]
    assert [ids[1:-1] for ids in pieces["input_ids"]] == plain
    assert pieces["characters"] == [len(t) for t in TEXTS if t]


def test_a_long_text_is_divided_and_loses_nothing(tokenizer):
    text = " ".join(TEXTS * 20)
    pieces = encode({"text": [text]}, tokenizer, 32)
    joined = [token for ids in pieces["input_ids"] for token in ids[1:-1]]
    assert joined == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert max(map(len, pieces["input_ids"])) <= 32
    assert sum(pieces["characters"]) == len(text)


def test_blocks_hold_every_piece_once_and_whole(tokenizer):
    pieces = encode({"text": TEXTS * 7}, tokenizer, 64)
    blocks = pack(pieces, 64, tokenizer.pad_token_id)
    found = []
    for ids, words, positions in zip(
        blocks["input_ids"], blocks["words"], blocks["position_ids"], strict=True
    ):
        assert len(ids) == len(words) == len(positions) == 64
        edges = [n for n, position in enumerate(positions) if position == 0] + [64]
        for begin, end in zip(edges, edges[1:], strict=False):
            if words[begin] != PADDING:
                found.append(ids[begin:end])
    assert sorted(found) == sorted(pieces["input_ids"])
    assert sum(blocks["characters"]) == sum(pieces["characters"])


def small_models():
    size = {"vocab_size": 2000, "hidden_size": 32, "num_hidden_layers": 2}
    size |= {"num_attention_heads": 2, "intermediate_size": 64}
    special = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}
    special |= {"bos_token_id": 2, "eos_token_id": 3}
    yield BertForMaskedLM(BertConfig(**size)), False
    yield ModernBertForMaskedLM(ModernBertConfig(**size, **special, sparse_prediction=True)), False
    yield GPT2LMHeadModel(GPT2Config(vocab_size=2000, n_embd=32, n_layer=2, n_head=2)), True


@pytest.mark.parametrize("number", range(3), ids=["bert", "modernbert", "gpt2"])
def test_a_packed_piece_has_the_loss_that_it_has_alone(number):
    torch.manual_seed(0)
    model, causal = list(small_models())[number]
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(
        MODELS / ("tiny_decoder" if causal else "tiny_encoder")
    )
    pieces = encode({"text": TEXTS}, tokenizer, 64)
    alone = [loss_of(model, torch.tensor([ids]), causal) for ids in pieces["input_ids"]]
    blocks = pack(pieces, 64, tokenizer.pad_token_id)
    positions = torch.tensor(blocks["position_ids"])
    words = torch.tensor(blocks["words"])
    labels = torch.tensor(blocks["input_ids"])
    labels[(words == PADDING) | (positions == 0)] = NO_LOSS
    assert len(labels) < len(TEXTS)
    options = {"use_cache": False} if causal else {}
    outputs = model(
        input_ids=torch.tensor(blocks["input_ids"]),
        position_ids=positions,
        attention_mask=block_mask(positions, causal),
        labels=labels,
        **options,
    )
    packed = float(outputs.loss) * int((labels != NO_LOSS).sum())
    assert packed == pytest.approx(sum(alone), rel=1e-5)


def loss_of(model, ids, causal):
    labels = ids.clone()
    labels[:, 0] = NO_LOSS
    return float(model(input_ids=ids, labels=labels).loss) * (ids.shape[1] - 1)


def test_words_are_hidden_whole_and_at_the_rate_asked():
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "tiny_encoder")
    blocks = pack(encode({"text": TEXTS * 500}, tokenizer, 64), 64, tokenizer.pad_token_id)
    ids, words = np.array(blocks["input_ids"]), np.array(blocks["words"])
    random = np.random.default_rng(0)
    shown, labels = mask_words(ids, words, 0.3, tokenizer.mask_token_id, len(tokenizer), random)
    hidden = labels != NO_LOSS
    assert (labels[hidden] == ids[hidden]).all()
    assert not hidden[words >= SPECIAL].any()
    assert (shown[~hidden] == ids[~hidden]).all()
    number = np.cumsum(words.reshape(-1) != 0).reshape(words.shape)
    real = words < SPECIAL
    shares = [hidden[real & (number == n)] for n in np.unique(number[real])[:500]]
    assert all(share.all() or not share.any() for share in shares)
    starts = words == 1
    assert hidden[starts].mean() == pytest.approx(0.3, abs=0.02)
    masked = shown == tokenizer.mask_token_id
    assert masked[hidden].mean() == pytest.approx(0.8, abs=0.03)
    assert (shown == ids)[hidden].mean() == pytest.approx(0.1, abs=0.03)
