"""A baseline for fine-tuning: logistic regression on the vectors of the model before it."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers import AutoModel, Trainer

from nlpbook_data.baselines.doccls import fit_logistic
from nlpbook_data.training.arguments import ModelArguments
from nlpbook_data.training.features import text_lengths
from nlpbook_data.training.models import load_model
from nlpbook_data.training.trainer import label_ids

NAME = "frozen model, logistic regression"
TRAIN_ROWS = 2_000


def predict_frozen(
    args: ModelArguments, trainer: Trainer, encoded: DatasetDict, splits: Iterable[str]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the name, and the probabilities for each of `splits`.

    The vector of a text, or of a pair read together, is the mean of its tokens' last hidden states.
    At most `TRAIN_ROWS` rows of train are used, drawn by the seed. For random weights, and for
    scores in place of classes, nothing is yielded.

    Args:
        trainer: its collator, device, batch size and labels are used, but not its model.
        encoded: the trainer's inputs for train and for `splits`.
    """
    model: Any = trainer.model
    if args.from_scratch or model.config.problem_type == "regression":
        return
    from sklearn.preprocessing import StandardScaler  # slow import

    config = copy.deepcopy(model.config)
    encoder: Any = load_model(AutoModel, replace(args, lora=False), config)
    encoder = encoder.to(trainer.args.device).eval()
    train = encoded["train"].shuffle(trainer.args.seed)
    train = train.select(range(min(len(train), TRAIN_ROWS)))
    vectors = [_mean_states(encoder, trainer, rows) for rows in (train, *map(encoded.get, splits))]
    scaler = StandardScaler().fit(vectors[0])
    first, *others = map(scaler.transform, vectors)
    # scikit-learn's default: a baseline must not be tuned on test
    found = fit_logistic(first, label_ids(train), config.num_labels, others, strength=1.0)
    yield NAME, dict(zip(splits, found, strict=True))


def _mean_states(encoder: Any, trainer: Trainer, rows: Dataset) -> np.ndarray:
    """Return the vectors of `rows`, (rows, width); batches have texts of similar length."""
    tokenizer: Any = trainer.processing_class
    known = tokenizer.model_input_names
    rows = rows.select_columns([name for name in rows.column_names if name in known])
    vectors = np.zeros((len(rows), encoder.config.hidden_size), dtype=np.float32)
    order = np.argsort(text_lengths(rows), kind="stable")
    for numbers in np.array_split(order, -(-len(order) // trainer.args.eval_batch_size)):
        batch = trainer.data_collator([rows[int(number)] for number in numbers])
        batch = {name: values.to(encoder.device) for name, values in batch.items()}
        with torch.inference_mode():
            states = encoder(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        vectors[numbers] = ((states * mask).sum(1) / mask.sum(1)).float().cpu().numpy()
    return vectors
