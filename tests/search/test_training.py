"""The in-batch loss against its definition and against sentence-transformers' own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers.sentence_transformer import losses
from transformers import BatchEncoding

from nlpbook_data.data.source import load_source
from nlpbook_data.errors import InputError
from nlpbook_data.search.collections import Collection, collect
from nlpbook_data.search.training import (
    InBatchLoss,
    Scorer,
    _PairCollator,
    collect_splits,
    rank_by_vectors,
    ranking_loss,
)
from nlpbook_data.training.arguments import DataArguments, RecipeArguments

WIDTH, WORDS = 6, 50


class Encoder(torch.nn.Module):
    """The mean of word vectors, with the interface of a SentenceTransformer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = torch.nn.Embedding(WORDS, WIDTH)
        self.device = torch.device("cpu")

    def forward(self, features):
        mask = features["attention_mask"].unsqueeze(2)
        vectors = (self.words(features["input_ids"]) * mask).sum(dim=1) / mask.sum(dim=1)
        return {**features, "sentence_embedding": vectors}

    def get_embedding_dimension(self):
        return WIDTH


def pad(rows):
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    mask = [torch.ones_like(row) for row in ids]
    padded = torch.nn.utils.rnn.pad_sequence
    return BatchEncoding({"input_ids": padded(ids, True), "attention_mask": padded(mask, True)})


def tokens(collection: Collection) -> Dataset:
    """A few words for each query, then for each passage."""
    rng = np.random.default_rng(1)
    texts = len(collection.queries) + len(collection.passages)
    return Dataset.from_dict(
        {"input_ids": [rng.integers(WORDS, size=rng.integers(1, 6)).tolist() for _ in range(texts)]}
    )


def batch_of(loss: InBatchLoss, texts: Dataset, rows: list[int]):
    batch = _PairCollator(pad, texts, loss)(rows)
    features = [
        {key.removeprefix(f"{name}_"): v for key, v in batch.items() if key.startswith(f"{name}_")}
        for name in ("query", "passage")
    ]
    return features, batch["label"]


def distinct(count: int) -> Collection:
    return collect(
        {"query": [f"q{n}" for n in range(count)], "passage": [f"p{n}" for n in range(count)]}
    )


def gradients(loss: InBatchLoss, *batch):
    loss.model.zero_grad()
    value = loss(*batch)
    value.backward()
    return value.item(), loss.model.words.weight.grad.clone()


@pytest.mark.parametrize("dims", [None, [WIDTH, 3, 2]])
@pytest.mark.parametrize("hard", [False, True])
def test_without_conflicts_it_is_the_loss_of_sentence_transformers(dims, hard):
    collection = distinct(12)
    # passages 8 to 11 are nobody's in the batch of the first four rows
    negatives = [[8 + q] if hard else [] for q in range(4)] + [[]] * 8
    model = Encoder()
    loss = InBatchLoss(model, collection, negatives, cached=False, dims=dims)
    texts = tokens(collection)
    value, gradient = gradients(loss, *batch_of(loss, texts, [0, 1, 2, 3]))

    own = losses.MultipleNegativesRankingLoss(model)
    if dims:
        own = losses.MatryoshkaLoss(model, own, dims)
    columns = [range(4), range(12, 16), *([range(20, 24)] if hard else [])]
    features = [dict(pad([{"input_ids": texts[i]["input_ids"]} for i in c])) for c in columns]
    model.zero_grad()
    expected = own(features, None) / len(dims or [1])  # theirs is the sum over the dimensions
    expected.backward()
    assert value == pytest.approx(expected.item())
    torch.testing.assert_close(gradient, model.words.weight.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_cached_is_the_same_loss_and_gradient(size):
    collection = collect(
        {"query": [f"q{n % 7}" for n in range(16)], "passage": [f"p{n % 5}" for n in range(16)]}
    )
    texts, found = tokens(collection), []
    for cached in (False, True):
        loss = InBatchLoss(Encoder(), collection, cached=cached, mini_batch_size=size, dims=[6, 2])
        found.append(gradients(loss, *batch_of(loss, texts, list(range(len(loss.pairs))))))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-6, rtol=0)


def test_other_true_passages_are_no_negatives_and_a_passage_counts_once():
    # q0 has two true passages, p0 is true of two queries, and q1 brings a true one of q0 along
    collection = collect({"query": ["q0", "q0", "q1", "q2"], "passage": ["p0", "p1", "p0", "p2"]})
    model = Encoder()
    loss = InBatchLoss(model, collection, [[], [1], []], scale=7.0)
    texts = tokens(collection)
    value = loss(*batch_of(loss, texts, [0, 1, 2, 3])).item()

    vectors = model(pad([{"input_ids": row} for row in texts["input_ids"]]))["sentence_embedding"]
    vectors = torch.nn.functional.normalize(vectors.detach(), dim=1).numpy()
    queries, passages = vectors[:3], vectors[3:]
    against = {(0, 0): [2], (0, 1): [2], (1, 0): [1, 2], (2, 2): [0, 1]}  # by hand
    terms = []
    for (query, true), others in against.items():
        scores = 7.0 * queries[query] @ passages.T
        total = np.exp(scores[true]) + sum(np.exp(scores[i]) for i in others)
        terms.append(np.log(total) - scores[true])
    assert value == pytest.approx(np.mean(terms), abs=1e-6)


def test_rows_that_a_process_has_to_spare_count_nothing():
    loss = InBatchLoss(Encoder(), distinct(5))
    features, labels = batch_of(loss, tokens(distinct(5)), [])
    assert labels["query"].tolist() == labels["passage"].tolist() == [-1]
    assert len(features[0]["input_ids"]) == 1


def test_a_batch_holds_each_passage_once_and_the_longest_text_first():
    collection = collect({"query": [f"q{n}" for n in range(9)], "passage": ["a", "b", "c"] * 3})
    loss = InBatchLoss(Encoder(), collection, [[0, 2]] * 9)
    features, labels = batch_of(loss, tokens(collection), list(range(9)))
    assert sorted(labels["passage"].tolist()) == [0, 1, 2]
    for part in features:
        lengths = part["attention_mask"].sum(dim=1).tolist()
        assert lengths == sorted(lengths, reverse=True)
    pairs = sorted(zip(labels["query"].tolist(), labels["positive"].tolist(), strict=True))
    assert pairs == [(n, n % 3) for n in range(9)]


def test_the_validation_loss_is_that_of_one_batch_of_everything():
    collection = collect({"query": ["q0", "q0", "q1", "q2"], "passage": ["p0", "p1", "p0", "p2"]})
    loss = InBatchLoss(Encoder(), collection, scale=5.0)
    texts = tokens(collection)
    expected = loss(*batch_of(loss, texts, [0, 1, 2, 3])).item()
    vectors = loss.model(pad([{"input_ids": row} for row in texts["input_ids"]]))
    vectors = torch.nn.functional.normalize(vectors["sentence_embedding"].detach(), dim=1).numpy()
    assert ranking_loss(vectors[:3], vectors[3:], collection.relevant, 5.0) == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize("dim", [0, WIDTH + 1])
def test_dimensions_that_the_vectors_do_not_have_are_refused(dim):
    with pytest.raises(InputError, match=f"matryoshka_dims {dim}"):
        InBatchLoss(Encoder(), distinct(2), dims=[dim])


def test_train_without_a_true_passage_is_refused():
    unanswered = collect({"question": ["q"], "context": ["p"], "answers": [[]]})
    with pytest.raises(InputError, match="true passage"):
        InBatchLoss(Encoder(), unanswered)


def test_the_first_numbers_of_vectors_are_scored_too():
    vectors = np.array([[0.6, 0.8], [-0.1, 1.0], [1.0, 0.0]])  # of a query and two passages
    collection = Collection(["p0", "p1"], ["q"], [[0]], [[]])
    found = rank_by_vectors(collection, vectors, [2, 1])
    assert (found.ids, found.truncated) == ([[0, 1]], {1: [[1, 0]]})
    assert found.scores[0] == pytest.approx([0.74 / np.sqrt(1.01), 0.6])
    scores = Scorer({})("test", found)
    assert (scores["mrr_at_10"], scores["first_1_mrr_at_10"]) == (1.0, 0.5)


QUESTION = {"context": "글", "question": "물음", "answers": [{"text": "글", "answer_start": 0}]}
INFERENCE = {"premise": "물음", "hypothesis": "글", "label": "entailment"}


@pytest.mark.parametrize(
    ("rows", "task"),
    [
        ([{"query": "물음", "passage": "글"}], "search"),
        ([QUESTION], "qa"),
        ([INFERENCE, INFERENCE | {"hypothesis": "딴 글", "label": "contradiction"}], "paircls"),
        ([{"sentence1": "물음", "sentence2": "글", "label": 4.5}], "paircls"),
    ],
)
def test_a_file_of_another_task_is_known_by_its_columns(tmp_path: Path, rows, task):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = DataArguments(test_file=str(path), cache_dir=str(tmp_path))
    phases = RecipeArguments(output_dir=str(tmp_path), do_train=False)
    source = load_source(files, phases, task="search", keep_train=True)
    assert source.task == task
    found = collect_splits(source)["test"]
    assert (found.queries, found.passages[0], found.relevant) == (["물음"], "글", [[0]])
