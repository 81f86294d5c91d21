"""float32, bf16 or fp16 as the device allows."""

from types import SimpleNamespace

import pytest
import torch

import nlpbook_data.training.precision as precision
from nlpbook_data.errors import InputError

CPU = torch.device("cpu")


def arguments(**given) -> SimpleNamespace:
    given = {"precision": "auto", "bf16": False, "fp16": False, "world_size": 1} | given
    return SimpleNamespace(device=CPU, mixed_precision="no", **given)


@pytest.mark.parametrize(("gain", "chosen"), [(2.0, "bf16"), (1.1, "float32"), (0.5, "float32")])
def test_auto_takes_bf16_only_for_a_clear_gain(monkeypatch, gain, chosen):
    monkeypatch.setattr(precision, "speed_up", lambda *_: gain)
    args = arguments()
    assert precision.choose_precision(args, torch.nn.Linear(4000, 4000)) == chosen
    assert args.bf16 == (chosen == "bf16") and not args.fp16
    assert args.mixed_precision == ("bf16" if chosen == "bf16" else "no")


@pytest.mark.parametrize(
    ("model", "before", "chosen"),
    [(torch.nn.Linear(9, 9), None, "float32"), (torch.nn.Linear(4000, 4000), "bf16", "bf16")],
)
def test_a_small_model_and_a_run_that_goes_on_are_not_measured(monkeypatch, model, before, chosen):
    monkeypatch.setattr(precision, "speed_up", lambda *_: pytest.fail("measured"))
    assert precision.choose_precision(arguments(), model, before) == chosen


def test_what_the_device_lacks_is_refused():
    with pytest.raises(InputError, match="fp16.*float32, bf16"):
        precision.choose_precision(arguments(precision="fp16"), torch.nn.Module())


@pytest.mark.parametrize(
    ("native", "names"), [(True, ["float32", "bf16", "fp16"]), (False, ["float32", "fp16"])]
)
def test_a_gpu_without_native_bf16_has_fp16(monkeypatch, native, names):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert precision.supported_precisions("cuda") == names


def test_measuring_leaves_weights_gradients_and_random_state():
    from transformers import BertConfig, BertForSequenceClassification

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertForSequenceClassification(BertConfig(vocab_size=50, intermediate_size=32, **size))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    assert precision.speed_up(model, CPU, torch.bfloat16) > 0
    assert torch.get_rng_state().equal(state)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
