"""The decoding methods, with a tiny model of random weights."""

import copy
import random
import warnings

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, GenerationConfig, GPT2Config, GPT2LMHeadModel

from nlpbook_data.errors import InputError
from nlpbook_data.features.generation import encode_prompts
from nlpbook_data.inference.decoding import DECODING, sample
from nlpbook_data.training.arguments import resolve_package

PROMPTS = ["긍정", "부정", "정말 재미있는 영화", ""]
NEW = 8


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resolve_package("package:models/tiny_decoder"))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    sizes = {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 32, "vocab_size": 2000}
    model = GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.3)).eval().double()
    model.generation_config.repetition_penalty = 9.0  # its own settings are not what is asked for
    return model


@pytest.fixture(scope="module")
def texts(model, tokenizer):
    return sample(model, tokenizer, PROMPTS, seed=3, max_new_tokens=NEW)


def follow(model, tokenizer, prompt, choose):
    """The text after `prompt` of which `choose` takes each next token, one forward pass each."""
    (ids,) = encode_prompts([prompt], tokenizer, 24)
    start = len(ids)
    for _ in range(NEW):
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        ids = [*ids, choose(logits, ids)]
        if ids[-1] == tokenizer.eos_token_id:
            break
    assert tokenizer.decode(ids[:start], skip_special_tokens=True) == prompt
    return tokenizer.decode(ids, skip_special_tokens=True)[len(prompt) :]


def test_every_method_of_the_book_writes_after_every_prompt(texts):
    assert list(texts) == [
        *("greedy", "beam", "top-k", "top-p", "temperature"),
        *("repetition penalty", "no-repeat n-gram"),
    ]
    assert len({tuple(written) for written in texts.values()}) == len(texts)
    for written in texts.values():
        assert len(written) == len(PROMPTS) and any(written)


def likeliest(logits, ids):
    return logits.argmax().item()


def penalised(logits, ids):
    seen = list(set(ids))
    logits[seen] = torch.where(logits[seen] > 0, logits[seen] / 1.5, logits[seen] * 1.5)
    return logits.argmax().item()


def no_trigram_twice(logits, ids):
    for place in range(len(ids) - 2):
        if ids[place : place + 2] == ids[-2:]:
            logits[ids[place + 2]] = -torch.inf
    return logits.argmax().item()


@pytest.mark.parametrize(
    "name, choose",
    [
        ("greedy", likeliest),
        ("repetition penalty", penalised),
        ("no-repeat n-gram", no_trigram_twice),
    ],
)
def test_a_text_is_as_chosen_token_by_token_whatever_stands_beside_the_prompt(
    model, tokenizer, texts, name, choose
):
    assert texts[name] == [follow(model, tokenizer, prompt, choose) for prompt in PROMPTS]


@pytest.mark.parametrize("name, most", [("top-k", 50), ("top-p", 0.92)])
def test_the_sampled_token_is_one_of_the_likeliest(model, tokenizer, name, most):
    (ids,) = encode_prompts(["긍정"], tokenizer, 24)
    with torch.no_grad():
        probabilities = model(torch.tensor([ids])).logits[0, -1].softmax(0)
    order = probabilities.argsort(descending=True)
    if name == "top-p":
        most = int((probabilities[order].cumsum(0) < most).sum()) + 1
    allowed = {tokenizer.decode(token, skip_special_tokens=True) for token in order[:most]}
    found = sample(model, tokenizer, ["긍정"] * 200, 0, 1, {name: DECODING[name]}, 200)[name]
    assert set(found) <= allowed
    assert len(set(found)) > 5


def test_the_same_seed_writes_the_same_and_another_one_something_else(model, tokenizer, texts):
    torch.manual_seed(99)  # nothing depends on what was drawn before
    again = sample(model, tokenizer, PROMPTS, seed=3, max_new_tokens=NEW)
    other = sample(model, tokenizer, PROMPTS, seed=4, max_new_tokens=NEW)
    assert again == texts
    for name, method in DECODING.items():
        assert (other[name] != texts[name]) == method["do_sample"], name


def test_a_method_writes_the_same_alone_as_beside_the_others(model, tokenizer, texts):
    alone = {"temperature": DECODING["temperature"]}
    assert sample(model, tokenizer, PROMPTS, 3, NEW, alone)["temperature"] == texts["temperature"]


def test_batches_change_nothing_where_nothing_is_drawn(model, tokenizer, texts):
    methods = {name: method for name, method in DECODING.items() if not method["do_sample"]}
    found = sample(model, tokenizer, PROMPTS, 3, NEW, methods, batch_size=3)
    assert found == {name: texts[name] for name in methods}


def test_sampling_leaves_generators_and_model_as_they_were(model, tokenizer, texts):
    def states():
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())

    greedy = {"greedy": DECODING["greedy"]}
    for training in (True, False):
        model.train(training)
        before = states(), model.generation_config.to_dict()
        found = sample(model, tokenizer, PROMPTS, 3, NEW, greedy)
        assert found["greedy"] == texts["greedy"]  # dropout is off
        assert (states(), model.generation_config.to_dict()) == before
        assert model.training == training


def test_adapters_write_and_lose_no_settings(model, tokenizer, texts):
    lora = LoraConfig(target_modules=["c_fc"], fan_in_fan_out=True, init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), lora).double().eval()
    greedy = {"greedy": DECODING["greedy"]}
    found = sample(adapted, tokenizer, PROMPTS, 3, NEW, greedy)
    merged = adapted.merge_and_unload()
    assert merged.generation_config.repetition_penalty == 9.0
    assert found == sample(merged, tokenizer, PROMPTS, 3, NEW, greedy)
    assert found["greedy"] != texts["greedy"]


def test_a_text_stops_at_its_end(tokenizer):
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=64, n_head=1, vocab_size=2000))
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(model.lm_head.weight[tokenizer.eos_token_id] * 1e4)
    assert sample(model, tokenizer, PROMPTS, 0, NEW)["greedy"] == [""] * len(PROMPTS)


def test_a_long_prompt_is_cut_to_its_end(model, tokenizer):
    prompt = "abcdefgh" * 8  # a token a letter
    greedy = {"greedy": DECODING["greedy"]}
    whole = sample(model, tokenizer, [prompt], 0, NEW, greedy)
    assert whole == sample(model, tokenizer, [prompt[-(32 - NEW - 1) :]], 0, NEW, greedy)


def test_more_new_tokens_than_positions_are_refused(model, tokenizer):
    with pytest.raises(InputError, match="32 positions"):
        sample(model, tokenizer, PROMPTS, 0, 31)


def test_the_settings_are_those_of_generation_config():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in DECODING.values():
            GenerationConfig(**method, max_new_tokens=NEW).validate(strict=True)
