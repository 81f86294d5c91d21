"""Push a finished run: an explicit list of files, after all of them are on disk."""

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, get_token

from nlpbook_data.data.cache import write_text
from nlpbook_data.data.publish import create_repository
from nlpbook_data.errors import InputError, first_line
from nlpbook_data.reports.card import write_card
from nlpbook_data.reports.outcome import Outcome

logger = logging.getLogger(__name__)

# The files of an unsharded model; tokenizers have several forms.
MODEL_FILES = (
    *("config.json", "model.safetensors", "generation_config.json"),
    *("adapter_config.json", "adapter_model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "chat_template.jinja"),
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
)
SHARDS = "model.safetensors.index.json"
# Safe names in a foreign index: no other files, no other folders.
SHARD = re.compile(r"model-[0-9]{5}-of-[0-9]{5}\.safetensors")
PLOTS = ("learning_curve.png", "confusion_matrix.png", "per_type.png", "scores.png")
PLOTS += ("recall.png", "breakdown.png")
MODULE = re.compile(r"[0-9]+_[A-Za-z0-9]+")


def model_files(folder: Path) -> list[str]:
    """Return the files of the model in `folder`, as relative paths; none without weights.

    They are `MODEL_FILES`, the shards in a weight index and the modules of a SentenceTransformer in
    modules.json. Files of checkpoints and of other runs in the folder are not included.
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
    """Return the files of a finished run that are pushed: model, card, metrics and plots.

    Not predictions (they hold the corpus' texts) and not run.json (it holds paths).
    """
    plots = [name for name in _read(folder / "run.json").get("plots", {}) if name in PLOTS]
    names = [*model_files(folder), "README.md", "metrics.json", *plots]
    return [name for name in names if (folder / name).is_file()]


def full_name(name: str, token: str | None) -> str:
    """Return ``user/name`` of a repository; without a user it belongs to the token's user.

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
    """Commit `pushed_files` of a finished run; return the commit's address.

    Args:
        repo_id: by default the folder's name under the token's user; created where needed.
        token: None for the token of `hf auth login`.
        private: None for the account's default.
        revision: the branch, by default main.
    """
    hub = HfApi(token=token)
    commit = hub.create_commit(
        create_repository(hub, repo_id or folder.resolve().name, private),
        [CommitOperationAdd(file, folder / file) for file in pushed_files(folder)],
        commit_message="Upload model, tokenizer, card and metrics",
        revision=revision,
    )
    return commit.commit_url


def push_finished(
    folder: Path,
    *,
    repo_id: str | None = None,
    token: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
) -> str:
    """Push the run in `folder` as ``--push_to_hub`` would; return the commit's address.

    The card gets the repository's name, unless a user has edited it.

    Raises:
        InputError: there is no finished run with a model, no token, or the Hub refuses.
    """
    try:
        record, scores = (_read(folder / name) for name in ("run.json", "metrics.json"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: holds no finished run ({first_line(error)}). Name its --output_dir."
        ) from error
    if (status := record.get("status")) != "finished":
        raise InputError(f"{folder}: this run is {status}. Finish it by its own command first.")
    if not model_files(folder):
        raise InputError(f"{folder}: holds no model (*.safetensors). Name a run that trained one.")
    if not (token or get_token()):
        raise InputError("Pushing needs a token, and none is there. Run `hf auth login` first.")
    try:
        name = full_name(repo_id or folder.resolve().name, token)
        card = folder / "README.md"
        if not card.exists() or card_hash(folder) == record.get("card_sha256"):
            chosen = record["arguments"]["load_best_model_at_end"] and record.get("chosen_by")
            write_card(Outcome(folder, record, scores, chosen or None, name), **record["card"])
            record["card_sha256"] = card_hash(folder)
            write_text(folder / "run.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")
        else:
            logger.info("%s: pushed as it is; the run wrote another.", card)
        return push_folder(folder, repo_id=name, token=token, private=private, revision=revision)
    except Exception as error:  # the client raises many unrelated types
        raise InputError(
            f"{folder}: the push failed ({first_line(error)}). Check the name, the token's rights "
            "and the network, and give the command again."
        ) from error


def card_hash(folder: Path) -> str:
    """Return the sha256 of the card, to detect edits."""
    return hashlib.sha256((folder / "README.md").read_bytes()).hexdigest()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
