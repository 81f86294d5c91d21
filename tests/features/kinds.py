"""A tiny tokenizer of every kind."""

from functools import cache

from tokenizers import (
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
CORPUS = [
    "서울에서 부산까지 홍길동이 갔다.",
    "김철수 씨는 2024년 5월 3일 서울시청에서 이영희를 만났다",
    "삼성전자와 LG전자는 3.5% 올랐다 café naïve",
    "한국은행 총재 이주열은 오후 3시에 발표했다 ㅋㅋㅋ 👍",
] * 5


def wrap(
    tokenizer: Tokenizer, specials: bool = True, roberta: bool = False
) -> PreTrainedTokenizerFast:
    """Return it as transformers has it; pairs are BERT's, or RoBERTa's without token types."""
    if specials:
        between, second = ("[SEP] [SEP]", "") if roberta else ("[SEP]", ":1")
        ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair=f"[CLS] $A {between} $B{second} [SEP]{second}",
            special_tokens=ids,
        )
    names = ["input_ids", *(() if roberta else ["token_type_ids"]), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", model_input_names=names
    )


@cache
def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Return one of `KINDS`, trained on `CORPUS`; "byte-level" adds no special tokens."""
    shared = {"vocab_size": 150, "special_tokens": SPECIAL, "show_progress": False}
    if kind.startswith("wordpiece"):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        strip = kind == "wordpiece-uncased"  # its normalizer takes letters apart and drops some
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=strip, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(**shared)
    elif kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.BpeTrainer(**shared)
    elif kind.startswith("unigram"):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        scheme = "never" if kind == "unigram-bare" else "always"
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
        trainer = trainers.UnigramTrainer(unk_token="[UNK]", **shared)
    else:
        tokenizer = Tokenizer(models.BPE())
        prefix = kind == "byte-level-prefix"
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(initial_alphabet=alphabet, **shared | {"vocab_size": 320})
    tokenizer.train_from_iterator(CORPUS, trainer)
    return wrap(tokenizer, specials=kind != "byte-level", roberta=kind == "byte-level-prefix")


KINDS = [
    *("wordpiece", "wordpiece-uncased", "bpe", "unigram", "unigram-bare"),
    *("byte-level", "byte-level-prefix"),
]
