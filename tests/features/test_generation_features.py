"""Prompts, completions and texts to labelled rows; the decoder that ships; rows without padding."""

import functools
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithFlattening,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

import nlpbook_data.models
from nlpbook_data.errors import InputError
from nlpbook_data.features.generation import (
    encode,
    encode_prompts,
    scored_places,
    sum_texts,
    to_prompts,
    to_texts,
)

SHIPPED = Path(nlpbook_data.models.__file__).parent / "tiny_decoder"
LABELS = ["부정", "긍정"]
REVIEW = "배우들 연기가 정말 좋아서 재미있게 봤습니다"
KINDS = ["shipped", "gpt2", "adds both", "metaspace", "sentencepiece"]


def load(kind: str) -> PreTrainedTokenizerFast:
    """The tokenizers that there are: what they put around a text, and how they treat blanks."""
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    backend = tokenizer.backend_tokenizer
    if kind == "gpt2":
        backend.post_processor = processors.ByteLevel(trim_offsets=True)
        tokenizer.bos_token = "</s>"
    elif kind == "adds both":
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    elif kind in ("metaspace", "sentencepiece"):
        backend = Backend(models.BPE(unk_token="<unk>"))
        if kind == "metaspace":
            backend.pre_tokenizer = pre_tokenizers.Metaspace()
        else:  # as Llama's
            backend.normalizer = normalizers.Sequence(
                [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
            )
        backend.decoder = decoders.Metaspace()
        special = ["<pad>", "<s>", "</s>", "<unk>"]
        trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
        backend.train_from_iterator(f"{REVIEW} 긍정 부정 재미있다 \n 가나다".split(" "), trainer)
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
        )
    return tokenizer


load_once = functools.cache(load)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return load("shipped")


def pairs(*rows):
    return {"prompt": [row[0] for row in rows], "completion": [row[1] for row in rows]}


def learnt(labels):
    return [label for label in labels if label != -100]


# Rows


@pytest.mark.parametrize(
    ("kind", "only", "prompt", "start", "learns", "characters"),
    [
        ("shipped", True, "긍정", "<s>", " 재미</s>", 3),
        ("shipped", False, "긍정", "<s>", "긍정 재미</s>", 5),
        ("gpt2", False, "가 나", "", " 나 재미</s>", 5),  # nothing precedes the first token
    ],
)
def test_a_row_is_start_prompt_completion_and_end_and_what_is_learnt_is_its_end(
    kind, only, prompt, start, learns, characters
):
    tokenizer = load(kind)
    rows = encode(pairs((prompt, " 재미")), tokenizer, 64, completion_only=only)
    (ids,), (labels,) = rows["input_ids"], rows["labels"]
    assert tokenizer.decode(ids) == f"{start}{prompt} 재미</s>"
    assert tokenizer.decode(learnt(labels)) == learns
    assert rows["characters"] == [characters]
    assert ids[-len(learnt(labels)) :] == learnt(labels)


@pytest.mark.parametrize("completion_only", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_tokenizer_adds_the_end_is_there_once_and_learnt(kind, completion_only):
    tokenizer = load(kind)
    batch = pairs(("긍정", " 재미"), ("긍정", " 재미</s>"), ("", "재미"), ("긍정", ""), ("", ""))
    rows = encode(batch, tokenizer, 64, completion_only)
    for ids, labels in zip(rows["input_ids"], rows["labels"], strict=True):
        assert len(ids) == len(labels)
        assert labels[-1] == ids[-1] == tokenizer.eos_token_id
        assert ids[1:-1].count(tokenizer.eos_token_id) == 0  # [0]: GPT-2 begins texts with it
        assert labels[0] == -100  # the shifted loss never sees it


def test_without_a_start_of_its_own_only_a_row_without_prompt_gets_one():
    tokenizer = load("gpt2")
    prompted, plain = encode(pairs(("긍정", " 재미"), ("", "재미")), tokenizer, 64)["input_ids"]
    assert tokenizer.decode(prompted) == "긍정 재미</s>"
    assert tokenizer.decode(plain) == "</s>재미</s>"


@pytest.mark.parametrize("kind", KINDS)
@given(prompt=st.text("가재긍정 \n😀a", max_size=6), completion=st.text("가미정 \n😀a", max_size=6))
@settings(max_examples=30)
@example(prompt="재", completion="미있다")
@example(prompt="긍정", completion=" 재미있다")
@example(prompt="긍정 ", completion="재미있다")
@example(prompt=" ", completion="재미있다")
def test_a_row_begins_with_the_tokens_that_generation_is_given(kind, prompt, completion):
    tokenizer = load_once(kind)
    rows = encode(pairs((prompt, completion)), tokenizer, 64)
    (given_,) = encode_prompts([prompt], tokenizer, 64)
    (ids,), (labels,) = rows["input_ids"], rows["labels"]
    assert ids[: len(given_)] == given_ and labels[: len(given_)] == [-100] * len(given_)
    assert labels[len(given_) :] == ids[len(given_) :]
    assert rows["characters"] == [len(completion)]
    if kind not in ("metaspace", "sentencepiece"):  # which put blanks before texts
        assert tokenizer.decode(ids[:-1], skip_special_tokens=True) == prompt + completion


@pytest.mark.parametrize("kind", ["metaspace", "sentencepiece"])
def test_a_blank_before_the_completion_is_no_token_of_its_own(kind):
    tokenizer = load(kind)
    rows = encode(pairs(("긍정", " 재미있게 봤습니다")), tokenizer, 64)
    assert rows["input_ids"][0][-len(learnt(rows["labels"][0])) :] == learnt(rows["labels"][0])
    whole = tokenizer("긍정 재미있게 봤습니다")["input_ids"]
    assert rows["input_ids"][0][:-1] == whole
    assert tokenizer.decode(learnt(rows["labels"][0])[:-1]) == "재미있게 봤습니다"


def test_decomposed_hangul_gives_the_rows_of_composed_hangul(tokenizer):
    tokenizer = load("metaspace")  # which does not compose by itself
    rows = [
        encode(
            pairs(*((normal("긍정"), normal(f" {REVIEW}")), ("", normal(REVIEW)))), tokenizer, 64
        )
        for normal in (str, lambda text: unicodedata.normalize("NFD", text))
    ]
    assert rows[0] == rows[1]
    assert tokenizer.unk_token_id not in rows[0]["input_ids"][0]


# What is too long

LONG = st.text("가나재미있다 \n😀a❤️", max_size=40)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(texts=st.lists(LONG, min_size=1, max_size=3), size=st.integers(4, 12), data=st.data())
def test_the_rows_of_a_text_learn_each_of_its_tokens_once(kind, texts, size, data):
    tokenizer = load_once(kind)
    stride = data.draw(st.integers(1, size - 1))
    rows = encode({"text": texts}, tokenizer, size, stride=stride)
    firsts = [i for i, number in enumerate(rows["window"]) if number == 0]
    assert len(firsts) == len(texts) and not any(rows["dropped"])
    for text, first, last in zip(texts, firsts, [*firsts[1:], len(rows["window"])], strict=True):
        ids, labels = (rows[name][first:last] for name in ("input_ids", "labels"))
        expected = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert [i for row in labels for i in learnt(row)] == [*expected, tokenizer.eos_token_id]
        assert sum(rows["characters"][first:last]) == len(unicodedata.normalize("NFC", text))
        assert all(len(row) <= size for row in ids)
        assert all(
            row[-stride:] == after[:stride] for row, after in zip(ids, ids[1:], strict=False)
        )


@settings(max_examples=50)
@given(text=st.text("가재미있다 😀a❤️", max_size=40), size=st.integers(4, 9))
def test_a_character_counts_in_the_row_that_learns_its_first_byte(tokenizer, text, size):
    rows = encode({"text": [text]}, tokenizer, size)
    letters = {letter: byte for byte, letter in bytes_to_letters().items()}
    for labels, characters in zip(rows["labels"], rows["characters"], strict=True):
        tokens = tokenizer.convert_ids_to_tokens(learnt(labels))
        row = bytes(letters[letter] for token in tokens if token != "</s>" for letter in token)
        assert characters == sum(byte & 0b1100_0000 != 0b1000_0000 for byte in row)


def bytes_to_letters() -> dict[int, str]:
    """The letters that stand for bytes in byte-level vocabularies, as GPT-2's code has them."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + n) for n, b in enumerate(hidden)}


@pytest.mark.parametrize("kind", ["shipped", "gpt2"])
def test_a_prompt_is_kept_and_its_completion_cut_or_not_learnt(kind):
    batch = pairs(("긍정 abcd", "정말 재미있는 영화"))
    whole = encode(batch, load(kind), 99)
    ids, learns = whole["input_ids"][0], len(learnt(whole["labels"][0]))
    prompt = len(ids) - learns  # tokens, with the start
    for size in range(3, len(ids) + 2):
        rows = encode(batch, load(kind), size)
        assert rows["input_ids"] == [ids[:size]]
        assert learnt(rows["labels"][0]) == ids[prompt:size]
        room = size - prompt
        assert rows["dropped"] == [-1 if room < 1 else max(0, learns - room)]


@pytest.mark.parametrize("kind", ["shipped", "gpt2"])
@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(LONG, LONG), min_size=1, max_size=3),
    size=st.integers(4, 12),
    only=st.booleans(),
)
def test_what_an_n_gram_is_scored_on_is_what_has_labels(kind, rows, size, only):
    batch = pairs(*rows)
    texts = to_texts(batch, None, only)
    encoded = encode(batch, load_once(kind), size, completion_only=only)
    places = np.split(
        scored_places(texts, encoded),
        np.cumsum([len(unicodedata.normalize("NFC", text)) + 1 for text in texts])[:-1],
    )
    begins = [n for n, number in enumerate(encoded["window"]) if number == 0]
    for scored, first, last in zip(places, begins, [*begins[1:], None], strict=True):
        assert scored[:-1].sum() == sum(encoded["characters"][first:last])
        assert scored[-1] == (encoded["dropped"][first] == 0)


def test_a_long_prompt_without_completion_keeps_its_start_and_its_last_tokens(tokenizer):
    batch = {"prompt": ["abcdef", "f"], "completion": [None, None]}
    rows = encode(batch, tokenizer, 4)
    assert list(rows) == ["input_ids"]
    assert [tokenizer.decode(ids) for ids in rows["input_ids"]] == ["<s>def", "<s>f"]


# What becomes a prompt


def test_labels_and_questions_become_prompts():
    reviews = {"text": ["재미있다", "지루하다"], "label": [1, 0]}
    expected = {"prompt": ["긍정", "부정"], "completion": [" 재미있다", " 지루하다"]}
    assert to_prompts(reviews, LABELS) == expected
    questions = {"question": ["배고파"], "answer": ["밥 드세요."], "label": [0]}
    expected = {"prompt": ["배고파\n"], "completion": ["밥 드세요."]}
    assert to_prompts(questions, LABELS) == expected


def test_texts_have_no_prompt_and_prompts_are_taken_as_they_are():
    assert to_prompts({"text": ["가"], "label": [1]}) == {"prompt": [""], "completion": ["가"]}
    assert to_prompts({"prompt": ["가"]}) == {"prompt": ["가"], "completion": [None]}
    assert to_prompts(pairs(("가", "나")), LABELS) == pairs(("가", "나"))


@pytest.mark.parametrize("label", [None, -1])
def test_a_text_without_label_has_no_prompt_by_label(label):
    with pytest.raises(InputError, match="no label"):
        to_prompts({"text": ["가"], "label": [label]}, LABELS)


def test_a_tokenizer_without_an_end_of_text_is_refused():
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED.parent / "encoder")
    with pytest.raises(InputError, match="eos_token"):
        encode({"text": ["가"]}, tokenizer, 8)


@pytest.mark.parametrize("stride", [0, 8])
def test_a_stride_that_leaves_no_room_is_refused(tokenizer, stride):
    with pytest.raises(InputError, match=f"{stride} .* 8 tokens"):
        encode({"text": ["가"]}, tokenizer, 8, stride=stride)


# Padding, and none


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    sizes = {"n_layer": 2, "n_embd": 32, "n_head": 2, "n_positions": 32, "vocab_size": 2000}
    config = GPT2Config(**sizes, initializer_range=0.5, attn_implementation=request.param)
    return GPT2LMHeadModel(config).eval().double()


def test_a_text_has_the_same_loss_alone_padded_and_without_padding(tokenizer, model):
    texts = [("긍정", f" {REVIEW}"), ("부정", " 별로"), ("", REVIEW), ("", ""), ("재미", "없다 ")]
    columns = encode(pairs(*texts), tokenizer, 32)
    names = ("input_ids", "labels")
    rows = [
        dict(zip(names, row, strict=True)) for row in zip(*map(columns.get, names), strict=True)
    ]
    assert sum(len(row["input_ids"]) for row in rows) > 32  # more than the model has positions
    counts = [len(learnt(row["labels"])) for row in rows]

    def loss(batch) -> float:  # as in training: the mean over what the labels say is learnt
        with torch.no_grad():
            return model(**batch, use_cache=False).loss.item()

    alone = [loss({k: torch.tensor([v]) for k, v in row.items()}) for row in rows]
    expected = np.average(alone, weights=counts)
    padded = DataCollatorForTokenClassification(tokenizer)(rows)
    assert padded["labels"][padded["attention_mask"] == 0].eq(-100).all()
    assert loss(padded) == pytest.approx(expected, abs=1e-5)
    assert loss(DataCollatorWithFlattening()(rows)) == pytest.approx(expected, abs=1e-5)


# The decoder that ships


@given(st.text())
def test_no_text_is_unknown_to_the_shipped_tokenizer(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)


def test_the_rows_of_a_text_are_summed():
    encoded = {"window": [0, 1, 0, 0, 1, 2], "characters": [5, 4, 3, 2, 1, 0]}
    values = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50], [6, 60]], dtype=np.float32)
    sums = sum_texts(values, encoded)
    assert sums.tolist() == [[3, 30, 9], [3, 30, 3], [15, 150, 3]]
