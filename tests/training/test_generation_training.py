"""What generation adds to training: what a token sees, tokenizers as they are, the card."""

import json

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from nlpbook_data.errors import InputError
from nlpbook_data.training import ModelArguments, load_tokenizer
from nlpbook_data.training.trainer import check_causal

SIZE = {"vocab_size": 20, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}


def build(name: str, **more) -> torch.nn.Module:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SIZE, **more, initializer_range=0.5)
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["GPT2", "Llama"])
def test_decoders_are_causal_and_keep_packed_rows_apart(name, attention):
    model = build(name, bos_token_id=1, eos_token_id=2, intermediate_size=16)
    model.set_attn_implementation(attention)
    check_causal(model.train(), packing=True)
    assert model.training


def test_an_encoder_is_no_language_model():
    with pytest.raises(InputError, match="bert sees the tokens that it is to predict"):
        check_causal(build("Bert", intermediate_size=16))


@pytest.mark.parametrize("name", ["Bloom", "Mamba"])
def test_a_model_that_lets_packed_rows_see_one_another_is_refused_for_packing_alone(name):
    model = build(name, bos_token_id=1, eos_token_id=2)
    check_causal(model)
    with pytest.raises(InputError, match="a packed text sees the one before it"):
        check_causal(model, packing=True)


def test_a_tokenizer_that_transformers_would_misread_is_read_as_it_is(tmp_path):
    """As KoGPT2's: tokenizer.json of another kind than those of its model's type."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    special = ["<s>", "</s>", "<pad>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=40, special_tokens=special)
    tokenizer.train_from_iterator(["한국어 영화가 정말 재미있다"], trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"model_type": "gpt2", "vocab_size": 40}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    args = ModelArguments(model_name_or_path=str(tmp_path))
    with pytest.raises(InputError, match="makes nothing of Korean.*--special_tokens"):
        load_tokenizer(args)
    args.special_tokens = "bos_token=</s>,eos_token=</s>,pad_token=<pad>,unk_token=<unk>"
    found = load_tokenizer(args)
    assert found.decode(found("영화가 재미있다")["input_ids"]) == "영화가 재미있다"
    assert (found.bos_token_id, found.eos_token_id, found.pad_token_id) == (1, 1, 2)
    found.save_pretrained(tmp_path / "saved")
    again = load_tokenizer(ModelArguments(model_name_or_path=str(tmp_path / "saved")))
    assert again("영화가")["input_ids"] == found("영화가")["input_ids"]
