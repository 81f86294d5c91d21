"""The command ``nlpbook-data``: list | show | prefetch."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nlpbook_data.corpus import find_corpus, list_corpora, load_corpus
from nlpbook_data.errors import InputError

# Weights as safetensors, configuration, tokenizer, card: no pickle, no other framework's weights.
MODEL_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "README.md"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one message and exit status 1."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("nlpbook_data").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(prog="nlpbook-data", description="Korean corpora by name.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name, task, rows, licence, on disk or not").add_argument(
        "--corpus_dir", help="folder of raw corpora, ~/Korpora"
    )
    show = commands.add_parser("show", help="what a corpus is, and its first rows")
    show.add_argument("name")
    show.add_argument("--corpus_dir", help="folder of raw corpora, ~/Korpora")
    show.add_argument("--rows", type=int, default=3)
    prefetch = commands.add_parser(
        "prefetch",
        help="fetch model and data of a recipe's YAML, for machines without a network",
        description="Any option of the recipe may follow, such as --corpus_dir.",
    )
    prefetch.add_argument("--config", required=True, help="a YAML of recipes/configs")
    options, rest = parser.parse_known_args(argv)
    if rest and options.command != "prefetch":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if options.command == "list":
            _list(options.corpus_dir)
        elif options.command == "show":
            _show(options.name, options.corpus_dir, options.rows)
        else:
            _prefetch(options.config, rest)
    except InputError as error:
        sys.exit(f"error: {error}")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def _list(corpus_dir: str | None) -> None:
    _write(f"{'name':<24}{'task':<10}{'rows':>10}  {'licence':<14}{'on disk':<9}title")
    for name in list_corpora():
        corpus = find_corpus(name)
        rows = sum(file.rows for file in corpus.files.values())
        if corpus.packaged:
            rows = sum(len(split) for split in load_corpus(name).values())
        there = all((corpus.folder(corpus_dir) / file).is_file() for file in corpus.file_names)
        _write(
            f"{name:<24}{corpus.task:<10}{rows or '?':>10,}  {corpus.license:<14}"
            f"{'yes' if there else 'no':<9}{corpus.title}"
        )


def _show(name: str, corpus_dir: str | None, rows: int) -> None:
    corpus = find_corpus(name)
    commercial = "" if corpus.commercial else " (no commercial use)"
    _write(f"{corpus.name}: {corpus.title}\nlicence {corpus.license}{commercial}")
    _write(f"{corpus.homepage}\n{corpus.citation}".rstrip())
    for split, dataset in load_corpus(name, corpus_dir).items():
        _write(f"\n{split}: {len(dataset):,} rows, {corpus.splits[split].source}")
        for row in dataset.select(range(min(rows, len(dataset)))):
            label = dataset.features["label"].int2str(row["label"]) if "label" in row else ""
            _write(f"  {label}\t{row['text']}")


def _prefetch(config: str, rest: list[str]) -> None:
    """Fetch what the recipe run with the same arguments will read, into the same caches."""
    from datasets import load_dataset
    from huggingface_hub import snapshot_download

    from nlpbook_data.training.arguments import PACKAGE_PREFIX, DataArguments, ModelArguments, parse

    data_args, model_args = parse(
        config, DataArguments, ModelArguments, argv=["--config", config, *rest], partial=True
    )
    for name in dict.fromkeys([model_args.model_name_or_path, model_args.tokenizer_name]):
        if name and not name.startswith(PACKAGE_PREFIX) and not Path(name).expanduser().exists():
            try:
                folder = snapshot_download(
                    name, revision=model_args.model_revision, allow_patterns=MODEL_FILES
                )
            except Exception as error:  # the client raises a dozen unrelated types
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise InputError(
                    f"{name}: could not be fetched ({first}). Check the name and the network."
                ) from error
            weights = [file for file in os.listdir(folder) if file.endswith(".safetensors")]
            _write(f"{name}: {folder}{'' if weights else ' (no safetensors weights)'}")
    if data_args.corpus:
        splits = load_corpus(data_args.corpus, data_args.corpus_dir, data_args.cache_dir)
    elif data_args.dataset_name:
        splits = load_dataset(
            data_args.dataset_name, data_args.dataset_config_name, cache_dir=data_args.cache_dir
        )
    else:
        return
    rows = ", ".join(f"{split} {len(rows):,}" for split, rows in splits.items())
    _write(f"{data_args.corpus or data_args.dataset_name}: {rows} rows")


if __name__ == "__main__":
    main()
