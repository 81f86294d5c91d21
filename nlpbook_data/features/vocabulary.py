"""Train tokenizers from plain text, measure them, and add words to them.

The `tokenizers` library trains them on NFC text, with all accents and cases kept. Punctuation marks
and digits are single tokens, so no number is a word. The library's WordPiece trainer numbers the
characters inside words in the order of a hash table, which differs from process to process, so ties
between merges would be decided at random. Here the characters are numbered beforehand, and two
trainings agree. Its Unigram trainer sums in such an order too: the last digits of its scores remain
random.
"""

import json
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from nlpbook_data.errors import InputError

KINDS = ("wordpiece", "bpe", "byte-bpe", "unigram")
ENCODER_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
DECODER_SPECIAL = ("<pad>", "<s>", "</s>")
BLANK = "▁"
BYTES = tuple(f"<0x{number:02X}>" for number in range(256))


def train_tokenizer(
    texts: Sequence[str] | Iterable[str],
    kind: str,
    vocab_size: int,
    characters: Sequence[str] = (),
    byte_fallback: bool = False,
    min_frequency: int = 2,
) -> PreTrainedTokenizerFast:
    """Return a fast tokenizer trained on `texts`.

    Args:
        kind: wordpiece, bpe and unigram are for an encoder, ``[CLS] … [SEP]``; byte-bpe is for a
            decoder, ``<s> …``, and has no unknown text.
        vocab_size: entries, special tokens included.
        characters: the alphabet, see `count_characters`; a word with any other character is
            unknown. WordPiece and BPE keep each character, WordPiece twice (at the start of a word
            and inside). Empty: all characters.
        byte_fallback: an unknown character becomes its bytes, for bpe and unigram.
        min_frequency: the minimum frequency of a merged pair.

    Raises:
        InputError: contradicting options, or no room for the alphabet.
    """
    if byte_fallback and kind not in ("bpe", "unigram"):
        raise InputError(f"--byte_fallback true is for bpe and unigram. {kind} has none.")
    special = DECODER_SPECIAL if kind == "byte-bpe" else ENCODER_SPECIAL
    if kind == "bpe" and characters:  # its alphabet lacks the blank's symbol
        characters = [*characters, BLANK]
    inside = inner_characters(characters) if kind == "wordpiece" else []
    fixed = [*special, *(BYTES if byte_fallback else ()), *inside]
    if vocab_size <= len(fixed) + len(characters):
        raise InputError(
            f"--vocab_size {vocab_size}: {len(fixed) + len(characters)} entries are special "
            "tokens and single characters. Raise it, or lower --alphabet_size."
        )
    tokenizer = untrained(kind, byte_fallback)
    tokenizer.train_from_iterator(
        texts, make_trainer(kind, vocab_size, fixed, characters, min_frequency)
    )
    # Special tokens of the trainer are matched in raw text; the characters must not be.
    model = json.loads(tokenizer.to_str())["model"]
    if kind == "unigram":  # the trainer drops it
        model["byte_fallback"] = byte_fallback
    whole = json.loads(untrained(kind, byte_fallback).to_str()) | {"model": model}
    finished = Tokenizer.from_str(json.dumps(whole))
    finished.add_special_tokens(list(special))
    return wrap(finished, kind)


def untrained(kind: str, byte_fallback: bool = False) -> Tokenizer:
    """Return an empty tokenizer of a kind: its model, pre-tokenizer and decoder."""
    digits = pre_tokenizers.Digits(individual_digits=True)
    if kind == "byte-bpe":
        tokenizer = Tokenizer(models.BPE())
        # after byte-level pieces, digits are no longer digits
        cut: list[Any] = [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        tokenizer.decoder = decoders.ByteLevel()
    elif kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        cut = [pre_tokenizers.BertPreTokenizer(), digits]
        tokenizer.decoder = decoders.WordPiece()
    else:
        model = models.BPE(unk_token="[UNK]", byte_fallback=byte_fallback)
        if kind == "unigram":
            model = models.Unigram([("[PAD]", 0.0), ("[UNK]", 0.0)], 1, byte_fallback)
        tokenizer = Tokenizer(model)
        words = [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        cut = [pre_tokenizers.Sequence(words), digits]
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cut)
    return tokenizer


def make_trainer(
    kind: str,
    vocab_size: int,
    special: Sequence[str],
    characters: Sequence[str] = (),
    min_frequency: int = 2,
) -> Any:
    """Return the library's trainer of a kind."""
    options: dict[str, Any] = {
        "vocab_size": vocab_size,
        "special_tokens": list(special),
        "show_progress": False,
    }
    if kind == "unigram":
        return trainers.UnigramTrainer(
            unk_token="[UNK]", initial_alphabet=list(characters), **options
        )
    if kind == "byte-bpe":
        characters = sorted(pre_tokenizers.ByteLevel.alphabet())
    options |= {"min_frequency": min_frequency, "initial_alphabet": list(characters)}
    if characters:
        options["limit_alphabet"] = len(characters)
    if kind == "wordpiece":
        return trainers.WordPieceTrainer(**options)
    return trainers.BpeTrainer(**options)


def inner_characters(characters: Sequence[str]) -> list[str]:
    """Return ``##c`` for each character that can be inside a word: no marks, no digits."""
    return [
        f"##{c}"
        for c in characters
        if unicodedata.category(c)[0] not in "PN" and (c.isalpha() or not c.isascii())
    ]


def count_characters(texts: Iterable[str]) -> Counter[str]:
    """Count the characters of the NFC texts, without spaces."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(unicodedata.normalize("NFC", text))
    return Counter({c: n for c, n in counts.items() if not c.isspace()})


def choose_alphabet(counts: Counter[str], size: int | None) -> list[str]:
    """Return the ten digits and the `size` most frequent characters, sorted.

    Of equally frequent characters the first in sort order are taken.
    """
    chosen = sorted(counts, key=lambda c: (-counts[c], c))[:size]
    return sorted({*chosen, *string.digits})


def wrap(tokenizer: Tokenizer, kind: str, max_length: int = 512) -> PreTrainedTokenizerFast:
    """Return a tokenizer that `AutoTokenizer` can load, with the special tokens that models need.

    Args:
        max_length: the most tokens of a text.
    """
    if kind == "byte-bpe":
        names, around = zip(("pad", "bos", "eos"), DECODER_SPECIAL, strict=True), ["<s>"]
        template = {"single": "<s> $A"}
    else:
        kinds = ("pad", "unk", "cls", "sep", "mask")
        names, around = zip(kinds, ENCODER_SPECIAL, strict=True), ["[CLS]", "[SEP]"]
        template = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    tokenizer.post_processor = processors.TemplateProcessing(
        **template, special_tokens=[(name, tokenizer.token_to_id(name)) for name in around]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        **{f"{name}_token": token for name, token in names},
    )


@dataclass
class Counts:
    """Counts over tokenized texts; words are separated by spaces."""

    texts: int = 0
    characters: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0

    def rates(self) -> dict[str, float]:
        """Return tokens per word (fertility) and per character, and the share of unknown tokens."""
        return {
            "tokens_per_word": self.tokens / max(self.words, 1),
            "tokens_per_character": self.tokens / max(self.characters, 1),
            "unknown_rate": self.unknown / max(self.tokens, 1),
        }


def count_tokens(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Counts:
    """Count the tokens of texts, without special ones, and their words and NFC characters."""
    counts = Counts()
    for batch in batches(texts):
        ids = tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]
        counts.texts += len(batch)
        counts.characters += sum(len(unicodedata.normalize("NFC", text)) for text in batch)
        counts.words += sum(len(text.split()) for text in batch)
        counts.tokens += sum(map(len, ids))
        counts.unknown += sum(row.count(tokenizer.unk_token_id) for row in ids)
    return counts


def batches(texts: Iterable[str], size: int = 1000) -> Iterator[list[str]]:
    """Yield the texts in lists of `size`."""
    texts = iter(texts)
    while batch := list(islice(texts, size)):
        yield batch


def find_new_words(
    tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], size: int, min_frequency: int = 5
) -> dict[str, list[int]]:
    """Return the words that would save the most tokens, with the old tokens of each.

    The tokenizer's own normalizer and pre-tokenizer separate the words. At each occurrence a word
    saves all its tokens but one. Of equal words the first in sort order is taken.
    """
    backend = tokenizer.backend_tokenizer
    counts: Counter[str] = Counter()
    for text in texts:
        if backend.normalizer:
            text = backend.normalizer.normalize_str(text)
        cut = backend.pre_tokenizer.pre_tokenize_str(text)
        counts.update(text[begin:end].strip() for _, (begin, end) in cut)
    words = sorted(w for w, n in counts.items() if n >= min_frequency and len(w) > 1)
    if not words:
        return {}
    pieces = tokenizer(words, add_special_tokens=False)["input_ids"]
    old = {word: ids for word, ids in zip(words, pieces, strict=True) if len(ids) > 1}
    chosen = sorted(old, key=lambda word: (-counts[word] * (len(old[word]) - 1), word))
    return {word: old[word] for word in chosen[:size]}


def add_words(tokenizer: PreTrainedTokenizerFast, words: Sequence[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer that also knows `words`; texts without them keep their tokens.

    For WordPiece they are added to the vocabulary, so 코로나가 becomes 코로나 ##가. Other models
    would never use such entries. For them the words are added tokens: only whole words match,
    before the rest is tokenized.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    inside = state["model"]["type"] == "WordPiece"
    if inside:
        first = len(tokenizer)
        state["model"]["vocab"] |= {word: first + n for n, word in enumerate(words)}
    grown = Tokenizer.from_str(json.dumps(state))
    extended = type(tokenizer)(**{**tokenizer.init_kwargs, "tokenizer_object": grown})
    if not inside:
        extended.add_tokens([AddedToken(word, single_word=True) for word in words])
    return extended


def grow_embeddings(model: PreTrainedModel, pieces: Sequence[Sequence[int]]) -> None:
    """Give a model an embedding row for each new word, in place: the mean of its old tokens' rows.

    Input embeddings, output embeddings and their bias all grow; old rows do not change.

    Raises:
        InputError: the model has more rows than its tokenizer has tokens, so the new ids are taken.
    """
    old: Any = model.get_input_embeddings().num_embeddings
    model.resize_token_embeddings(old + len(pieces), mean_resizing=False)
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for layer in (layer for layer in layers if layer is not None):
            for values in (layer.weight, getattr(layer, "bias", None)):
                if values is not None:
                    for n, ids in enumerate(pieces):
                        values[old + n] = values[list(ids)].mean(dim=0)
