"""A question-answering model is called as the pipeline was that transformers removed."""

import itertools
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    ByT5Tokenizer,
    PreTrainedTokenizerFast,
)

from nlpbook_data import InputError
from nlpbook_data.inference import answers as answering
from nlpbook_data.inference.answers import Answerer, load_answerer
from nlpbook_data.training.arguments import resolve_package

STRONG, WEAK, START, END = "부산에서", "제주", "대한", "민국"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", STRONG, WEAK, START, END, "가", "나"]
SIZE = {"num_attention_heads": 1, "intermediate_size": 8}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A word a token."""
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")},
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def make_model(positions: int = 64, types: int = 2, **chosen: object) -> BertForQuestionAnswering:
    """A model without layers: the logits of a token follow from its word alone.

    To start an answer `STRONG` and `START` have 12.5, `WEAK` 0, other words -12.5; to end it
    `STRONG` and `END` 12.5, `WEAK` 0, others -12.5.
    """
    sizes = {"hidden_size": 5, "num_hidden_layers": 0, "layer_norm_eps": 1e-9} | SIZE
    sizes |= {"max_position_embeddings": positions, "type_vocab_size": types}
    config = BertConfig(vocab_size=len(WORDS), **sizes)
    config.update(chosen)
    model = BertForQuestionAnswering(config)
    weights = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    kinds = [{STRONG: 0, START: 1, END: 2, WEAK: 3}.get(word, 4) for word in WORDS]
    # LayerNorm makes 2 of the 1 and -0.5 of each 0
    weights["bert.embeddings.word_embeddings.weight"] = torch.eye(5)[kinds]
    weights["bert.embeddings.LayerNorm.weight"] += 1
    weights["qa_outputs.weight"] = torch.tensor([[10.0, 10, 0, 5, 0], [10.0, 0, 10, 5, 0]])
    model.load_state_dict(weights)
    return model.eval()


def make_answerer(**chosen: object) -> Answerer:
    return Answerer(make_model(**chosen), make_tokenizer(), batch_size=2)


def save(folder: Path, model: torch.nn.Module, tokenizer: object = None) -> Path:
    model.save_pretrained(folder)
    (tokenizer or make_tokenizer()).save_pretrained(folder)
    return folder


def test_a_folder_answers_with_what_its_config_chose(tmp_path):
    folder = save(tmp_path, make_model(qa_threshold=-30.0, qa_strip_particles=True))
    answer = load_answerer(folder, device="cpu")
    found = answer(question="어디?", context="그는  부산에서 왔다")
    assert found == {"answer": "부산", "score": pytest.approx(1), "start": 4, "end": 6}
    nothing = answer(question="어디?", context="그는 제주 사람이다")  # -25 - 0 is over -30
    assert (nothing["answer"], nothing["start"], nothing["end"]) == ("", 0, 0)


def test_a_model_that_chose_nothing_always_answers_in_whole_tokens():
    answer = make_answerer(types=1)  # so the tokenizer's token_type_ids are not for it
    assert answer("어디?", "그는 부산에서 왔다")["answer"] == "부산에서"
    assert answer("어디?", "그는 왔다")["answer"] != ""


def test_positions_count_the_characters_of_the_context_as_given():
    context = unicodedata.normalize("NFD", "그는 부산에서 왔다")
    found = make_answerer()("어디?", context)
    assert context[found["start"] : found["end"]] == found["answer"]
    assert unicodedata.normalize("NFC", found["answer"]) == STRONG


def test_lists_give_lists_in_their_order():
    answer = make_answerer()
    contexts = ["가 나 다 라 부산에서", "제주", "나 대한 가 민국"]
    found = answer(question=["어디?"] * 3, context=contexts)
    assert [one["answer"] for one in found] == ["부산에서", "제주", "대한 가 민국"]
    assert answer(question=["어디?"], context=["제주"]) == [answer("어디?", "제주")]
    assert answer(question=[], context=[]) == []
    found = answer(question=["어디?", "누구?"], context="가 제주")  # one for all
    assert [one["answer"] for one in found] == ["제주", "제주"]


def test_top_k_gives_the_best_spans_with_their_shares():
    found = make_answerer()("어디?", "부산에서 제주", top_k=3)
    sums = np.array([25, 12.5, 0])  # 부산에서, both, 제주: there is no other span
    assert [one["answer"] for one in found] == ["부산에서", "부산에서 제주", "제주"]
    shares = np.exp(sums) / np.exp(sums).sum()
    assert [one["score"] for one in found] == pytest.approx(shares.tolist(), rel=1e-3)
    assert len(make_answerer()("어디?", "부산에서 제주", top_k=9)) == 3


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(-20.0, ["제주", ""]), (-30.0, ["", "제주"]), (None, ["제주"])],
)
def test_no_answer_is_ranked_by_the_threshold_first(threshold, expected):
    answer = make_answerer(qa_threshold=threshold)  # no answer -25, 제주 0
    assert [one["answer"] for one in answer("어디?", "제주", top_k=3)] == expected


def test_answers_have_no_more_tokens_than_allowed():
    context = " ".join([START, *"가" * 33, END])
    assert END not in make_answerer()("어디?", context)["answer"]
    assert make_answerer(qa_max_answer_length=35)("어디?", context)["answer"] == context


def test_the_whole_of_a_long_context_is_read():
    found = make_answerer(positions=16)("어디?", "가 " * 100 + STRONG)
    assert (found["answer"], found["start"]) == (STRONG, 200)


@pytest.mark.parametrize(("stride", "whole"), [(4, True), (0, False)])
def test_windows_overlap_by_the_stride_of_the_run(stride, whole):
    # 12 tokens of the context fit beside [CLS] 어디? [SEP] [SEP]: the edge parts the answer
    context = " ".join(["가"] * 11 + [START, END])
    found = make_answerer(positions=16, qa_stride=stride)("어디?", context)
    assert (found["answer"] == f"{START} {END}") is whole


def test_answers_are_those_of_each_pair_alone(monkeypatch):
    tokenizer = AutoTokenizer.from_pretrained(resolve_package("package:models/tiny_encoder"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "initializer_range": 1.0} | SIZE
    config = BertConfig(vocab_size=len(tokenizer), **sizes)
    model = BertForQuestionAnswering(config).eval()
    sentences = ["서울은 대한민국의 수도이다.", "그는 1998년 부산에서 배를 탔다.", "😀 뷁  끝"]
    contexts = [" ".join(some) for n in (1, 2, 3) for some in itertools.permutations(sentences, n)]
    questions = ["어디?" * (1 + i % 3) for i in range(len(contexts))]
    monkeypatch.setattr(answering, "CHUNK", 4)
    found = Answerer(model, tokenizer, batch_size=3)(questions, contexts)
    assert len(found) == 15
    for question, context, one in zip(questions, contexts, found, strict=True):
        best, shares = best_span(model, tokenizer, question, context)
        assert (one["start"], one["end"]) == best
        assert context[one["start"] : one["end"]] == one["answer"]
        assert one["score"] == pytest.approx(shares[0], abs=1e-4)


def best_span(model, tokenizer, question, context):
    """Try every span; return the best, and the shares of the best 20."""
    pair = tokenizer(question, context, return_tensors="pt")
    with torch.no_grad():
        output = model(**pair)
    start, end = output.start_logits[0].tolist(), output.end_logits[0].tolist()
    offsets, sums = pair.encodings[0].offsets, {}
    sides = pair.sequence_ids()
    places = [i for i, (a, b) in enumerate(offsets) if sides[i] == 1 and context[a:b].strip()]
    for i, j in itertools.combinations_with_replacement(places, 2):
        if j < i + 30:
            a, b = offsets[i][0], offsets[j][1]  # ▁서울 covers the blank before it, too
            span = a + (context[a] == " "), b  # the bytes of an emoji are tokens: one span
            sums[span] = max(sums.get(span, -np.inf), start[i] + end[j])
    best = sorted(sums, key=sums.get, reverse=True)[:20]
    shares = np.exp([sums[span] for span in best])
    return best[0], shares / shares.sum()


def test_contexts_of_like_length_share_a_batch():
    answer, padding = make_answerer(), []
    answer.model.register_forward_pre_hook(
        lambda model, args, options: padding.append((options["attention_mask"] == 0).sum().item()),
        with_kwargs=True,
    )
    answer(["어디?"] * 4, ["가", "가 " * 20, "나", "나 " * 20])
    assert padding == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"question": " ", "context": "가"}, "Question 1 is empty"),
        ({"question": ["가", "나"], "context": ["다", "\n"]}, "Context 2 is empty"),
        ({"question": ["가", None], "context": "다"}, "Question 2 is empty"),
        ({"question": ["가", "나"], "context": ["다"]}, "2 questions and 1 contexts"),
        ({"question": "가", "context": ["다", "라"]}, "1 questions and 2 contexts"),
        ({"question": "가", "context": "다", "top_k": 0}, "top_k is 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        make_answerer()(**arguments)


def test_a_model_without_a_trained_head_is_refused(tmp_path):
    config = BertConfig(vocab_size=len(WORDS), hidden_size=4, num_hidden_layers=0, **SIZE)
    with pytest.raises(InputError, match="not fine-tuned"):
        load_answerer(save(tmp_path, BertForSequenceClassification(config)))


def test_a_slow_tokenizer_is_refused_before_the_first_question(tmp_path):
    config = BertConfig(vocab_size=384, hidden_size=4, num_hidden_layers=0, **SIZE)
    save(tmp_path, BertForQuestionAnswering(config), ByT5Tokenizer())
    with pytest.raises(InputError, match="fast tokenizer"):
        load_answerer(tmp_path)
