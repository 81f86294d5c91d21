"""Baselines of document classification: the majority class and a character n-gram model."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from datasets import Dataset

# With more weights, features times classes, one model of all classes takes longer than training.
MAX_WEIGHTS = 3_000_000


def predict_documents(
    train: Dataset, held_out: Mapping[str, Dataset], num_labels: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the name of each baseline and its probabilities, ``{split: (rows, num_labels)}``.

    Args:
        train: the columns ``text``, and ``label``: a class id, or a list of them.
        held_out: by split, the same columns.
    """
    labels = train["label"][:]
    if isinstance(labels[0], list):
        labels = [np.isin(range(num_labels), row) for row in labels]
    labels = np.array(labels, dtype=int)
    yield "majority", {s: majority(labels, num_labels, len(rows)) for s, rows in held_out.items()}
    texts = [rows["text"][:] for rows in held_out.values()]
    predicted = character_ngrams(train["text"][:], labels, num_labels, texts)
    yield "character n-grams", dict(zip(held_out, predicted, strict=True))


def majority(labels: np.ndarray, num_labels: int, rows: int) -> np.ndarray:
    """Return the share of each class in the training `labels` as probabilities for each row.

    Args:
        labels: class ids, (n,), or 0/1 vectors, (n, num_labels).

    Returns:
        (rows, num_labels); the largest is the majority class.
    """
    if labels.ndim == 2:
        shares = labels.mean(axis=0)
    else:
        shares = np.bincount(labels, minlength=num_labels) / len(labels)
    return np.tile(shares, (rows, 1))


def character_ngrams(
    train_texts: list[str], labels: np.ndarray, num_labels: int, test_texts: list[list[str]]
) -> list[np.ndarray]:
    """Train TF-IDF of character n-grams with logistic regression; one core, no tuning.

    Args:
        train_texts: n texts.
        labels: class ids, (n,), or 0/1 vectors, (n, num_labels).
        test_texts: the texts of each split to predict.

    Returns:
        Probabilities (rows, num_labels) for each split.
    """
    vectorizer = ngram_vectorizer(len(train_texts))
    features = vectorizer.fit_transform(train_texts)
    tests = [vectorizer.transform(texts) for texts in test_texts]
    return fit_logistic(features, labels, num_labels, tests)


def ngram_vectorizer(texts: int) -> Any:
    """Return scikit-learn's TF-IDF of character n-grams, with settings for this many `texts`."""
    # Importing scikit-learn takes 1.5 s, so it is imported only here.
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(1, 4),
        min_df=2 if texts >= 5000 else 1,
        max_features=300_000,
        sublinear_tf=True,
        dtype=np.float32,
    )


def fit_logistic(
    features: Any, labels: np.ndarray, num_labels: int, tests: list[Any], strength: float = 4.0
) -> list[np.ndarray]:
    """Train logistic regression and return probabilities (rows, num_labels) of each of `tests`.

    Above `MAX_WEIGHTS` there is one model for each class, trained in the dual form: as accurate,
    and for 40 classes eight times as fast.

    Args:
        features: (n, features), sparse or not, as are `tests`.
        labels: class ids, (n,), or 0/1 vectors, (n, num_labels).
        strength: scikit-learn's C: larger values fit the rows more closely.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    model: Any = LogisticRegression(C=strength, max_iter=200)
    if features.shape[1] * num_labels > MAX_WEIGHTS:
        model.set_params(solver="liblinear", dual=True, max_iter=1000, random_state=0)
        model = OneVsRestClassifier(model)
    if labels.ndim == 1:
        return _fit(model, features, labels, num_labels, tests)
    by_label = [has.astype(int) for has in labels.T]  # one binary model for each label
    columns = [_fit(model, features, has, 2, tests) for has in by_label]
    return [np.column_stack([p[:, 1] for p in split]) for split in zip(*columns, strict=True)]


def _fit(
    model: Any, features: Any, labels: np.ndarray, num_labels: int, tests: list[Any]
) -> list[np.ndarray]:
    present = np.unique(labels)  # a class may have no training row
    if len(present) > 1:
        model.fit(features, labels)
    outputs = []
    for test in tests:
        probabilities = np.zeros((test.shape[0], num_labels))
        # the only class gets probability 1
        probabilities[:, present] = model.predict_proba(test) if len(present) > 1 else 1
        outputs.append(probabilities)
    return outputs


def balanced_weights(labels: np.ndarray, num_labels: int) -> np.ndarray:
    """Return class weights that make rare classes count as much as frequent ones, float32.

    Args:
        labels: class ids, (n,): the weight is n / (classes × count), scikit-learn's "balanced"; a
            class without rows has weight 1. Or 0/1 vectors, (n, num_labels): the weight is
            negatives / positives.
    """
    if labels.ndim == 2:
        positives = labels.sum(axis=0)
        weights = (len(labels) - positives) / np.maximum(positives, 1)
    else:
        counts = np.bincount(labels, minlength=num_labels)
        weights = np.where(counts > 0, len(labels) / (num_labels * np.maximum(counts, 1)), 1.0)
    return weights.astype(np.float32)
