"""Classify texts and pairs of texts by a model fine-tuned by recipes/doccls.py or paircls.py."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.features import doccls, paircls
from nlpbook_data.inference.batches import read_by_length
from nlpbook_data.training.models import limit_length, match_token_types, saved_settings

MAX_LENGTH = 128  # the recipes' default, for a model without a stated one


class Classifier:
    """Computes probabilities as the recipes do; texts are truncated as in training.

    Attributes:
        labels: the labels in the order of the probabilities; empty if the model gives a score.
        multi_label: whether a text has any number of labels, so a row does not sum to 1.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        labels: Sequence[str],
        batch_size: int = 32,
    ):
        self.model, self.tokenizer, self.labels = model, tokenizer, list(labels)
        self.batch_size = batch_size
        self.multi_label = model.config.problem_type == "multi_label_classification"
        self.token_types = match_token_types(tokenizer, model.config)
        length = saved_settings(model.config).get("max_length", MAX_LENGTH)
        self.max_length = limit_length(length, model.config, tokenizer)
        self(["가"])  # refuses a model that predicts NaN at once

    def __call__(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
        """Return a row of probabilities for each text, or each text and its partner in `pairs`.

        Returns:
            (rows, labels); for a model of scores (rows, 1), the scores.
        """
        batch: dict[str, list[Any]] = {"text": list(texts), "label": [None] * len(texts)}
        if pairs is None:
            columns = doccls.encode(batch, self.tokenizer, self.max_length)
        else:
            names, types = ("text", "pair"), self.token_types
            batch["pair"] = list(pairs)
            columns = paircls.encode(batch, self.tokenizer, self.max_length, names, types)
        found = np.zeros((len(texts), max(1, len(self.labels))))
        for rows, output in read_by_length(self.model, self.tokenizer, columns, self.batch_size):
            logits = output.logits.double().cpu()
            if self.labels:
                logits = logits.sigmoid() if self.multi_label else logits.softmax(dim=1)
            found[rows] = logits.numpy()
        return found
