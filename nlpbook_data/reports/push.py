"""Push a finished run: an allow-list of files, after all of them are on disk."""

from pathlib import Path
from typing import Any

from huggingface_hub import create_repo, upload_folder

# Not predictions (they hold the corpus' texts), run.json (it holds paths) or training_args.bin.
ALLOWED = [
    *("config.json", "*.safetensors", "model.safetensors.index.json", "generation_config.json"),
    "adapter_config.json",
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "*.model"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
    *("[0-9]*_*/config.json", "README.md", "metrics.json", "*.png"),
]
IGNORED = ["[!0-9]*/*"]  # sub-folders, but for the modules of a SentenceTransformer


def push_folder(folder: Path, args: Any) -> str:
    """Create the repository of `args` (hub_model_id, …) where needed; upload `folder` to it.

    Returns:
        The address of the commit.
    """
    repo = create_repo(
        args.hub_model_id or folder.resolve().name,
        token=args.hub_token,
        private=args.hub_private_repo,
        exist_ok=True,
    )
    commit = upload_folder(
        repo_id=repo.repo_id,
        folder_path=folder,
        commit_message="Upload model, tokenizer, card and metrics",
        token=args.hub_token,
        revision=args.hub_revision,
        allow_patterns=ALLOWED,
        ignore_patterns=IGNORED,
    )
    return commit.commit_url
