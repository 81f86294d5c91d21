"""recipes/tokenizer.py: the library's own vocabulary, counts by hand, words that are added."""

import json
import subprocess
import sys
import unicodedata

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
)
from writing import read_json

from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.errors import InputError
from nlpbook_data.features.vocabulary import (
    KINDS,
    add_words,
    choose_alphabet,
    count_characters,
    count_tokens,
    find_new_words,
    grow_embeddings,
    train_tokenizer,
)


@pytest.fixture(scope="module")
def reviews():
    return load_corpus("sample_reviews")["train"]["text"]


@pytest.fixture(scope="module")
def alphabet(reviews):
    return choose_alphabet(count_characters(reviews), 500)


def test_wordpiece_is_what_the_library_trains(reviews, alphabet):
    plain = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    plain.normalizer = normalizers.NFC()
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits(individual_digits=True)]
    )
    # Pieces inside of words in the order that the library would give them at random
    letters = [f"##{c}" for c in alphabet if c.isalpha()]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=1500,
        special_tokens=special + letters,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        min_frequency=2,
        show_progress=False,
    )
    plain.train_from_iterator(reviews, trainer)
    ours = train_tokenizer(reviews, "wordpiece", 1500, alphabet)
    assert ours.get_vocab() == plain.get_vocab()
    for text in reviews[:50]:
        assert ours.encode(text, add_special_tokens=False) == plain.encode(text).ids


def test_byte_bpe_is_what_the_library_trains(reviews):
    plain = Tokenizer(models.BPE())
    plain.normalizer = normalizers.NFC()
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        show_progress=False,
    )
    plain.train_from_iterator(reviews, trainer)
    ours = train_tokenizer(reviews, "byte-bpe", 800)
    assert (
        json.loads(ours.backend_tokenizer.to_str())["model"] == json.loads(plain.to_str())["model"]
    )


TRAINED_AGAIN = """import sys
from nlpbook_data.features.vocabulary import choose_alphabet, count_characters, train_tokenizer
texts, kind, size = sys.argv[1].splitlines(), sys.argv[2], int(sys.argv[3])
made = train_tokenizer(texts, kind, size, choose_alphabet(count_characters(texts), 500))
sys.stdout.write(made.backend_tokenizer.to_str())
"""


@pytest.mark.parametrize(
    "kind",
    ["wordpiece", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("bpe", "byte-bpe"))],
)
def test_two_processes_train_the_same(kind):
    # many ties, and symbols inside of words
    texts = [f"가♥나{a}{b}다 {b}라☆{a}" for a in "마바사아" for b in "자차카" for _ in range(3)]
    size = 320 if kind == "byte-bpe" else 90
    words = [sys.executable, "-c", TRAINED_AGAIN, "\n".join(texts), kind, str(size)]
    again = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    here = train_tokenizer(texts, kind, size, choose_alphabet(count_characters(texts), 500))
    assert json.loads(again) == json.loads(here.backend_tokenizer.to_str())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded_and_reads_back(kind, reviews, alphabet, tmp_path):
    train_tokenizer(reviews, kind, 1500, alphabet).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "정말 재미있는 영화 2019"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == text.replace(" ", "")
    decomposed = unicodedata.normalize("NFD", text)
    assert tokenizer(decomposed)["input_ids"] == ids
    assert len(tokenizer.tokenize("2019")) >= 4  # each digit stands alone


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_byte_fallback_leaves_nothing_unknown(kind, reviews, alphabet):
    plain = train_tokenizer(reviews, kind, 1500, alphabet)
    with_bytes = train_tokenizer(reviews, kind, 1500, alphabet, byte_fallback=True)
    assert plain.unk_token_id in plain("뷁")["input_ids"]
    ids = with_bytes("뷁", add_special_tokens=False)["input_ids"]
    assert with_bytes.unk_token_id not in ids
    assert with_bytes.decode(ids).strip() == "뷁"


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_blanks_are_known(kind, reviews, alphabet):
    tokenizer = train_tokenizer(reviews, kind, 1200, alphabet)
    assert "[UNK]" not in tokenizer.tokenize("이 영화 정말 좋아요")


def test_marks_of_special_tokens_are_not_read_into_text(reviews, alphabet):
    tokenizer = train_tokenizer(reviews, "wordpiece", 1500, alphabet)
    assert set(tokenizer.all_special_tokens) == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    assert tokenizer.tokenize("##가") == ["#", "#", "가"] or "[UNK]" in tokenizer.tokenize("##가")


def test_counts_are_those_by_hand():
    texts = ["가나 다", "가나", "뷁 가"]
    tokenizer = train_tokenizer(["가나 다", "가나", "가"] * 3, "wordpiece", 20, ["가", "나", "다"])
    counts = count_tokens(tokenizer, texts)
    # 가나 | 다, 가나, [UNK] | 가
    assert (counts.texts, counts.words, counts.characters) == (3, 5, 9)
    assert (counts.tokens, counts.unknown) == (5, 1)
    assert counts.rates()["tokens_per_word"] == 1.0
    assert counts.rates()["unknown_rate"] == 0.2


def test_a_vocabulary_without_room_is_refused():
    with pytest.raises(InputError, match="vocab_size"):
        train_tokenizer(["가나다"], "wordpiece", 6, ["가", "나", "다"])
    with pytest.raises(InputError, match="byte_fallback"):
        train_tokenizer(["가나다"], "byte-bpe", 300, byte_fallback=True)


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe"])
def test_new_words_leave_other_texts_as_they_were(kind, reviews, alphabet):
    tokenizer = train_tokenizer(reviews, kind, 1500, alphabet)
    torch.manual_seed(0)
    shape = {"vocab_size": len(tokenizer)}
    if kind == "wordpiece":
        small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = BertForMaskedLM(BertConfig(**shape, **small, intermediate_size=64))
    else:
        model = GPT2LMHeadModel(GPT2Config(**shape, n_embd=32, n_layer=1, n_head=2))
    model.eval()
    domain = ["방사선치료 부작용", "방사선치료 후 식단"] * 5
    words = find_new_words(tokenizer, domain, 1)
    (word,) = words
    assert word == "방사선치료" and len(words[word]) > 1
    untouched = [text for text in reviews[:30] if word not in text]
    before = [model(**tokenizer(t, return_tensors="pt")).logits for t in untouched]
    rows = model.get_input_embeddings().weight[words[word]].clone()

    grown = add_words(tokenizer, list(words))
    grow_embeddings(model, list(words.values()))
    assert [grown(t)["input_ids"] for t in untouched] == [
        tokenizer(t)["input_ids"] for t in untouched
    ]
    for text, logits in zip(untouched, before, strict=True):
        now = model(**grown(text, return_tensors="pt")).logits
        assert torch.equal(now[..., : logits.shape[-1]], logits)
    (new,) = grown(word, add_special_tokens=False)["input_ids"]
    assert new == len(tokenizer)
    assert torch.allclose(model.get_input_embeddings().weight[new], rows.mean(dim=0))


def test_wordpiece_finds_a_new_word_before_a_particle(reviews, alphabet):
    tokenizer = train_tokenizer(reviews, "wordpiece", 1500, alphabet)
    grown = add_words(tokenizer, ["방사선치료"])
    assert grown.tokenize("방사선치료는") == ["방사선치료", "##는"]


def test_extend_saves_a_model_that_loads(fork_recipe, tmp_path, reviews, alphabet):
    base = tmp_path / "base"
    tokenizer = train_tokenizer(reviews, "wordpiece", 1500, alphabet)
    tokenizer.save_pretrained(base)
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForMaskedLM(BertConfig(vocab_size=1500, **small, intermediate_size=64)).save_pretrained(
        base
    )
    (tmp_path / "t.txt").write_text("방사선치료 부작용\n" * 6, encoding="utf-8")
    options = ["--extend", base, "--text_files", "t.txt", "--output_dir", "grown"]
    fork_recipe("tokenizer", *options, "--compare", base).expect()
    grown = AutoTokenizer.from_pretrained(tmp_path / "grown")
    assert AutoModel.from_pretrained(tmp_path / "grown").config.vocab_size == len(grown) > 1500
    report = read_json(tmp_path / "grown" / "report.json")
    rates = [report[name]["tokens_per_word"] for name in ("grown", str(base))]
    assert rates[0] < rates[1]
