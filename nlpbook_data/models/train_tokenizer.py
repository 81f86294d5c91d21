"""Train the tokenizers of ``package:models/…`` on the first 640 training rows of sample_reviews.

python -m nlpbook_data.models.train_tokenizer FOLDER

writes ``FOLDER/tiny_encoder`` and ``FOLDER/tiny_decoder``. They use BPE, because the trainers of
WordPiece and Unigram give a different vocabulary in every process.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.features.vocabulary import DECODER_SPECIAL, ENCODER_SPECIAL, wrap

VOCABULARY = 2000


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a cased BPE tokenizer of `VOCABULARY` entries that NFC-normalises."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(ENCODER_SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return wrap(tokenizer, "bpe", max_length=128)


def train_decoder_tokenizer(
    texts: Iterable[str], vocabulary: int = VOCABULARY
) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer of `vocabulary` entries, without unknown texts.

    It NFC-normalises and puts ``<s>`` before a text, so a model predicts the first token too. The
    caller adds ``</s>`` where a text ends.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(DECODER_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return wrap(tokenizer, "byte-bpe", max_length=256)


if __name__ == "__main__":
    reviews = load_corpus("sample_reviews")["train"]["text"][:640]
    train_tokenizer(reviews).save_pretrained(Path(sys.argv[1]) / "tiny_encoder")
    train_decoder_tokenizer(reviews).save_pretrained(Path(sys.argv[1]) / "tiny_decoder")
