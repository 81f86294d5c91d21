r"""Tokenizers: WordPiece, BPE, byte-level BPE or Unigram from Korean text, and what they do to it.

On what ships, without arguments:
    python recipes/tokenizer.py
Your own text, a line each, beside the tokenizer of a model that you know:
    python recipes/tokenizer.py --text_files news.txt talk.txt --vocab_size 16000 \
        --compare beomi/kcbert-base klue/bert-base
The frequent words of your domain for a model that has them in pieces; pretrain it further, or
fine-tune it, as outputs/tokenizer:
    python recipes/tokenizer.py --extend beomi/kcbert-base --text_files clinic.txt --new_words 500
"""

import itertools
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from nlpbook_data.data.texts import TextArguments, stream_texts
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
from nlpbook_data.training import ModelArguments, load_config, load_model, load_tokenizer
from nlpbook_data.training.arguments import option, parse
from nlpbook_data.training.launch import run_program

logger = logging.getLogger("nlpbook_data.recipes.tokenizer")

SAMPLES = [
    "아버지가방에들어가신다",
    "띵작이네요ㅋㅋㅋ 10점 드립니다!!",
    "2019년 국회에 청원이 올라왔다.",
]


@dataclass
class TokenizerArguments:
    """What only this recipe has."""

    output_dir: str = option("outputs/tokenizer", "folder of the result")
    kind: str = option("wordpiece", "the model of words", choices=list(KINDS))
    vocab_size: int = option(8000, "entries, special tokens included")
    alphabet_size: int | None = option(1500, "the most frequent characters are known, null: all")
    min_frequency: int = option(2, "of a pair that is merged")
    byte_fallback: bool = option(False, "unknown characters become bytes (bpe, unigram)")
    compare: list[str] | None = option(None, "tokenizers to count beside this one")
    samples: list[str] = option(list(SAMPLES), "sentences whose split is shown")
    report_texts: int = option(20_000, "the first texts are counted")
    extend: str | None = option(None, "a model that gets new words, instead of a new tokenizer")
    new_words: int = option(500, "at most, with --extend")


def main(text_args: TextArguments, task_args: TokenizerArguments) -> None:
    folder = Path(task_args.output_dir).expanduser()
    compared = {name: load_tokenizer(ModelArguments(name)) for name in task_args.compare or []}

    if task_args.extend:
        # 1. The words that cost most tokens; the row of each is the mean of its old tokens' rows
        tokenizer = load_tokenizer(ModelArguments(task_args.extend))
        words = find_new_words(tokenizer, stream_texts(text_args, tell=True), task_args.new_words)
        if not words:
            raise InputError(
                f"{task_args.extend}: the text has no frequent word that is in pieces."
            )
        compared[task_args.extend] = tokenizer
        tokenizer = add_words(tokenizer, list(words))
        model_args = ModelArguments(task_args.extend)
        config = load_config(model_args)
        writes = any("CausalLM" in n or "LMHead" in n for n in config.architectures or [])
        auto_class = AutoModelForCausalLM if writes else AutoModelForMaskedLM
        model = load_model(auto_class, model_args, config)
        grow_embeddings(model, list(words.values()))
        model.save_pretrained(folder)
        logger.info("%d new words: %s …", len(words), ", ".join(itertools.islice(words, 10)))
    else:
        # 1. The alphabet, then the library's own trainer; both stream
        counts = count_characters(stream_texts(text_args, tell=True))
        tokenizer = train_tokenizer(
            stream_texts(text_args),
            task_args.kind,
            task_args.vocab_size,
            choose_alphabet(counts, task_args.alphabet_size),
            task_args.byte_fallback,
            task_args.min_frequency,
        )
    tokenizer.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    # 2. Its statistics on the text, compared with the other tokenizers
    report = {}
    for name, other in {str(folder): tokenizer, **compared}.items():
        texts = itertools.islice(stream_texts(text_args), task_args.report_texts)
        report[name] = describe(other, list(texts), task_args.samples)
        rates = report[name]
        logger.info(
            "%s: %d entries, %.3f tokens a word, %.3f a character, %.3f%% unknown",
            name,
            len(other),
            rates["tokens_per_word"],
            rates["tokens_per_character"],
            100 * rates["unknown_rate"],
        )
        for pieces in rates["samples"]:
            logger.info("    %s", " ".join(pieces))
    text = json.dumps(report, ensure_ascii=False, indent=2)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")


def describe(tokenizer: PreTrainedTokenizerFast, texts: list[str], samples: list[str]) -> dict:
    """Return fertility and unknown rate on `texts`, and the pieces of the samples."""
    pieces = [
        [sample[begin:end] for begin, end in encoding.offsets]
        for sample in samples
        for encoding in [tokenizer.backend_tokenizer.encode(sample, add_special_tokens=False)]
    ]
    return {
        "entries": len(tokenizer),
        **count_tokens(tokenizer, texts).rates(),
        "samples": pieces,
    }


if __name__ == "__main__":
    run_program(
        lambda: main(*parse(__file__, TextArguments, TokenizerArguments)),
        interrupted="Interrupted. The same command begins anew.",
    )
