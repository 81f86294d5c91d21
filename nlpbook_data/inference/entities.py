"""Find entities in texts of any length by a model fine-tuned by recipes/ner.py.

    find = load_tagger("outputs/ner")
    find("세종대왕은 한양에서 훈민정음을 만들었다.")
    # [{"start": 0, "end": 4, "label": "인물", "score": 0.97, "text": "세종대왕"}, …]

The pipeline of transformers ends entities where tokens end (미국과), and reads only the beginning
of a long text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForTokenClassification, PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.features.ner import decode, encode, type_names
from nlpbook_data.features.particles import strip_particle
from nlpbook_data.inference.batches import load_trained, read_tokens
from nlpbook_data.training.arguments import ModelArguments
from nlpbook_data.training.models import label_names, limit_length, saved_settings


def load_tagger(
    model_name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    batch_size: int = 32,
    revision: str = "main",
) -> "Tagger":
    """Return a function of one text or of many that finds entities, see `Tagger`.

    For the arguments see `load_answerer`.

    Raises:
        InputError: no such model, labels other than O, B-… and I-…, or a slow tokenizer.
    """
    args = ModelArguments(model_name_or_path=str(model_name_or_path), model_revision=revision)
    types = type_names(label_names(args) or [])
    model, tokenizer = load_trained(AutoModelForTokenClassification, args, device)
    return Tagger(model, tokenizer, types, batch_size)


class Tagger:
    """Finds entities as recipes/ner.py does, with the window length and stride of training."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        types: Sequence[str],
        batch_size: int = 32,
    ):
        self.model, self.tokenizer, self.types = model, tokenizer, types
        self.batch_size = batch_size
        tokenizer.padding_side = "right"
        known = saved_settings(model.config)
        self.max_length = limit_length(known.get("max_length", 512), model.config, tokenizer)
        self.stride = known.get("stride", min(32, self.max_length // 4))
        self.strip = strip_particle if getattr(model.config, "strip_particles", False) else None
        self("가")  # refuses a model that predicts NaN at once

    def __call__(self, text: str | Sequence[str]) -> Any:
        """Return a text's entities in order: ``[{"start", "end", "label", "score", "text"}]``.

        For a list of texts, a list of such lists.
        """
        texts = [text] if isinstance(text, str) else list(text)
        batch: dict[str, list[Any]] = {"text": texts, "entities": [None] * len(texts)}
        windows = encode(batch, self.tokenizer, self.max_length, self.stride)
        ids = {"input_ids": windows["input_ids"]}
        (logits,) = read_tokens(self.model, self.tokenizer, ids, self.batch_size, "logits")
        probabilities = torch.from_numpy(np.concatenate(logits)).softmax(dim=1).numpy()
        found = decode(Dataset.from_dict(windows), probabilities, texts, self.strip)
        for whole, entities in zip(texts, found, strict=True):
            for entity in entities:
                entity["label"] = self.types[entity["label"]]
                entity["text"] = whole[entity["start"] : entity["end"]]
        return found[0] if isinstance(text, str) else found
