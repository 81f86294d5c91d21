"""Train the tokenizers of ``package:models/tiny_…`` on the first 640 rows of sample_reviews.

python -m nlpbook_data.models.train_tokenizer FOLDER

writes ``FOLDER/tiny_encoder`` and ``FOLDER/tiny_decoder``. They use BPE, because the trainers of
WordPiece and Unigram give a different vocabulary in every process.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tokenizers import decoders, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from nlpbook_data.data.corpus import load_corpus
from nlpbook_data.features.vocabulary import (
    DECODER_SPECIAL,
    ENCODER_SPECIAL,
    make_trainer,
    untrained,
    wrap,
)

VOCABULARY = 2000
KINDS = {"tiny_encoder": "bpe", "tiny_decoder": "byte-bpe"}


def train_shipped(name: str, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Return the tokenizer of `VOCABULARY` entries of one of `KINDS`.

    It is simpler than those of recipes/tokenizer.py: digits and punctuation marks join others.
    """
    kind, special, length = KINDS[name], DECODER_SPECIAL, 256
    tokenizer = untrained(kind)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if kind == "bpe":
        special, length = ENCODER_SPECIAL, 128
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    trainer = make_trainer(kind, VOCABULARY, special, min_frequency=0)
    tokenizer.train_from_iterator(texts, trainer)
    return wrap(tokenizer, kind, length)


if __name__ == "__main__":
    reviews = load_corpus("sample_reviews")["train"]["text"][:640]
    for name in KINDS:
        train_shipped(name, reviews).save_pretrained(Path(sys.argv[1]) / name)
