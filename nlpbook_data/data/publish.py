"""Publish a corpus: as parquet or jsonl files, or as a dataset repository with its card."""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict
from huggingface_hub import CommitOperationAdd, DatasetCard, DatasetCardData, HfApi, get_token

from nlpbook_data.corpora.declaration import Corpus
from nlpbook_data.corpora.licenses import find_license
from nlpbook_data.data.labels import in_words
from nlpbook_data.errors import InputError, first_line

TEMPLATE = Path(__file__).parent / "templates" / "dataset_card.md"
SHARD_BYTES = 500_000_000
BATCH_ROWS = 1000
# The Hub's names of the tasks.
TASK_CATEGORIES = {
    "doccls": "text-classification",
    "paircls": "text-classification",
    "ner": "token-classification",
    "qa": "question-answering",
    "search": "text-retrieval",
    "relation": "text-classification",
    "generation": "text-generation",
    "translation": "translation",
    "pretrain": "text-generation",
    "morphology": "token-classification",
}


def convert_corpus(splits: DatasetDict, folder: Path, file_format: str) -> list[Path]:
    """Write each split as ``<split>.parquet`` or ``<split>.jsonl`` into `folder`.

    jsonl has label names, which recipes read again. parquet has label numbers and keeps the names
    in its metadata, as datasets reads and writes it.

    Raises:
        InputError: one of the files exists already, or the folder cannot be written.
    """
    paths = [folder / f"{split}.{file_format}" for split in splits]
    for path in paths:
        if path.exists():
            raise InputError(f"{path} is there already. Name another --output_dir, or move it.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # on the same disk as the target, so that a rename is enough
        with tempfile.TemporaryDirectory(dir=folder, prefix=".convert-") as partial:
            for path, dataset in zip(paths, splits.values(), strict=True):
                if file_format == "parquet":
                    dataset.to_parquet(Path(partial) / path.name)
                else:
                    _write_jsonl(Path(partial) / path.name, dataset)
            for path in paths:
                shutil.move(Path(partial) / path.name, path)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}). Nothing was kept; name "
            "another --output_dir, or free space."
        ) from error
    return paths


def _write_jsonl(path: Path, dataset: Dataset) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in readable_rows(dataset):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def readable_rows(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield the rows with label names in place of numbers; a missing label is None."""
    for batch in dataset.iter(BATCH_ROWS):
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            yield {name: in_words(dataset.features[name], row[name]) for name in row}


def push_corpus(
    corpus: Corpus, load: Callable[[], DatasetDict], repo_id: str, private: bool
) -> str:
    """Upload the splits of `load` as parquet with a card, in one commit; return its address.

    Raises:
        InputError: the repository is not private and the licence does not allow sharing the corpus,
            no token, or the Hub refuses.
    """
    if not corpus.redistributable and not private:
        raise InputError(
            f"The licence of {corpus.name} ({corpus.license}) does not let it be passed on. "
            "Pass --private true to keep a copy that only you see."
        )
    if not get_token():
        raise InputError("Pushing needs a token, and none is there. Run `hf auth login` first.")
    splits = load()
    with tempfile.TemporaryDirectory(prefix="nlpbook-push-") as partial:
        folder = Path(partial)
        (folder / "data").mkdir()
        files = ["README.md"]
        for split, dataset in splits.items():
            shards = max(1, math.ceil(dataset.data.nbytes / SHARD_BYTES))
            for index in range(shards):
                name = f"data/{split}-{index:05}-of-{shards:05}.parquet"
                dataset.shard(shards, index, contiguous=True).to_parquet(folder / name)
                files.append(name)
        dataset_card(corpus, splits).save(folder / "README.md")
        try:
            hub = HfApi()
            commit = hub.create_commit(
                create_repository(hub, repo_id, private, "dataset"),
                [CommitOperationAdd(file, folder / file) for file in files],
                repo_type="dataset",
                commit_message=f"Upload {corpus.name}",
            )
        except Exception as error:  # the client raises many unrelated types
            raise InputError(
                f"{repo_id}: the push failed ({first_line(error)}). Check the name, the token's "
                "rights and the network, and run the command again."
            ) from error
    return commit.commit_url


def create_repository(hub: HfApi, name: str, private: bool | None, kind: str = "model") -> str:
    """Create a repository unless it is there; return its full name.

    Raises:
        InputError: it is to be private, and there is a public one.
    """
    repo = hub.create_repo(name, repo_type=kind, private=private, exist_ok=True).repo_id
    if private and not hub.repo_info(repo, repo_type=kind).private:
        raise InputError(f"{repo} is there and public; make it private on the Hub first")
    return repo


def dataset_card(corpus: Corpus, splits: DatasetDict) -> DatasetCard:
    """Return the card: the corpus, its authors, its licence, and the origin of each split."""
    license = find_license(corpus.license)
    metadata = DatasetCardData(
        language="ko",
        license=license.tag,
        license_name=corpus.license if license.tag == "other" else None,
        license_link=(license.url or None) if license.tag == "other" else None,
        pretty_name=corpus.title,
        task_categories=[TASK_CATEGORIES[corpus.task]],
        tags=["nlpbook-recipes"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in splits],
            }
        ],
    )
    features = next(iter(splits.values())).features
    classes = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    return DatasetCard.from_template(
        metadata,
        template_path=str(TEMPLATE),
        corpus=corpus,
        license=license,
        splits=splits,
        labels={n: c.names for n, c in classes.items() if isinstance(c, ClassLabel)},
    )
