"""Classify texts and pairs of texts by a model fine-tuned by recipes/doccls.py or paircls.py."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.features import doccls, paircls
from nlpbook_data.inference.batches import read_by_length
from nlpbook_data.training.models import limit_length, match_token_types, saved_settings

DETAILS = "probabilities"
MAX_LENGTH = 128  # the recipes' default, for a model without a stated one


class Classifier:
    """Predicts classes or scores as the recipes do; texts are truncated as in training.

    Attributes:
        labels: the labels in the order of the model's logits; empty if it gives a score.
        multi_label: whether a text has any number of labels, so its probabilities do not sum to 1.
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

    def __call__(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        details: bool = False,
        threshold: float = 0.5,
    ) -> list[dict[str, Any]]:
        """Return the row of `Predictor.predict` for each text, or text and partner in `pairs`."""
        batch: dict[str, list[Any]] = {"text": list(texts), "label": [None] * len(texts)}
        if pairs is None:
            columns = doccls.encode(batch, self.tokenizer, self.max_length)
        else:
            names, types = ("text", "pair"), self.token_types
            batch["pair"] = list(pairs)
            columns = paircls.encode(batch, self.tokenizer, self.max_length, names, types)
        found: list[dict[str, Any]] = [{} for _ in texts]
        for rows, output in read_by_length(self.model, self.tokenizer, columns, self.batch_size):
            logits = output.logits.double().cpu()
            if self.labels:
                logits = logits.sigmoid() if self.multi_label else logits.softmax(dim=1)
            for row, values in zip(rows, logits.numpy().round(6).tolist(), strict=True):
                found[row] = self._row(values, details, threshold)
        return found

    def _row(self, values: list[float], details: bool, threshold: float) -> dict[str, Any]:
        if not self.labels:
            return {"prediction": values[0]}
        prediction: Any
        score: Any
        if self.multi_label:
            given = [number for number, value in enumerate(values) if value > threshold]
            prediction, score = [self.labels[n] for n in given], [values[n] for n in given]
        else:
            best = max(range(len(values)), key=values.__getitem__)
            prediction, score = self.labels[best], values[best]
        more = {DETAILS: dict(zip(self.labels, values, strict=True))} if details else {}
        return {"prediction": prediction, "score": score} | more
