"""Push a finished run: an exact list of files, after all of them are on disk."""

import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

# What a model of one piece is made of; tokenizers have several forms.
MODEL_FILES = (
    *("config.json", "model.safetensors", "generation_config.json"),
    *("adapter_config.json", "adapter_model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "chat_template.jinja"),
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
)
SHARDS = "model.safetensors.index.json"
# An index that others wrote names no other file, and none elsewhere.
SHARD = re.compile(r"model-[0-9]{5}-of-[0-9]{5}\.safetensors")
PLOTS = ("learning_curve.png", "confusion_matrix.png", "per_type.png", "scores.png")
PLOTS += ("recall.png", "breakdown.png")
MODULE = re.compile(r"[0-9]+_[A-Za-z0-9]+")


def model_files(folder: Path) -> list[str]:
    """Return the files of the model in `folder`, as paths in it; none where no weights are.

    They are `MODEL_FILES`, the shards that an index names and the modules of a SentenceTransformer
    that modules.json names; of checkpoints and of other runs in there they are none.
    """
    names = list(MODEL_FILES)
    if (folder / SHARDS).is_file():
        shards = sorted(set(_read(folder / SHARDS)["weight_map"].values()))
        names += [SHARDS, *filter(SHARD.fullmatch, shards)]
    if (folder / "modules.json").is_file():
        modules = [module["path"] for module in _read(folder / "modules.json")]
        modules = [path for path in modules if MODULE.fullmatch(path)]
        names += [f"{path}/{file}" for path in modules for file in MODEL_FILES]
    found = [name for name in names if (folder / name).is_file()]
    return found if any(name.endswith(".safetensors") for name in found) else []


def pushed_files(folder: Path) -> list[str]:
    """Return what is pushed of a finished run's folder: model, card, metrics and plots.

    Not predictions (they hold the corpus' texts) and not run.json (it holds paths).
    """
    plots = [name for name in _read(folder / "run.json").get("plots", {}) if name in PLOTS]
    names = [*model_files(folder), "README.md", "metrics.json", *plots]
    return [name for name in names if (folder / name).is_file()]


def full_name(name: str, token: str | None) -> str:
    """Return ``user/name`` of a repository, which belongs to the token's user where it says none.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: the Hub does not know the token.
    """
    return name if "/" in name else f"{HfApi(token=token).whoami()['name']}/{name}"


def push_folder(
    folder: Path,
    *,
    repo_id: str | None,
    token: str | None,
    private: bool | None,
    revision: str | None = None,
) -> str:
    """Create the repository where needed and commit `pushed_files` of `folder` to it.

    Args:
        folder: of a finished run.
        repo_id: the folder's name by default, of the token's user.
        token: None for the one that `hf auth login` left.
        private: None for the account's own default.
        revision: the branch, main by default.

    Returns:
        The address of the commit.
    """
    hub = HfApi(token=token)
    name = repo_id or folder.resolve().name
    repo = hub.create_repo(name, private=private, exist_ok=True).repo_id
    commit = hub.create_commit(
        repo,
        [CommitOperationAdd(file, folder / file) for file in pushed_files(folder)],
        commit_message="Upload model, tokenizer, card and metrics",
        revision=revision,
    )
    return commit.commit_url


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
