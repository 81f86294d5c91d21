"""What we add to sentence-transformers: batches of all processes, rankings, scores, the encoder."""

import json
from contextlib import nullcontext
from itertools import chain, zip_longest
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.util import mine_hard_negatives
from transformers import TrainerCallback
from writing import write_rows

from nlpbook_data.data.source import load_source
from nlpbook_data.search import index as search_index
from nlpbook_data.search import training
from nlpbook_data.search.collections import Collection, collect_splits, to_queries, training_rows
from nlpbook_data.search.training import (
    GlobalBatches,
    Ranking,
    RecipeSentenceTransformerTrainer,
    RetrievalEvaluator,
    SearchTrainingArguments,
    collating,
    load_encoder,
    rank,
    score,
    with_ids,
)
from nlpbook_data.training.arguments import DataArguments, ModelArguments, RecipeArguments
from nlpbook_data.training.models import load_config, load_tokenizer


@pytest.fixture(scope="module")
def model() -> SentenceTransformer:
    """The shipped encoder's shape, smaller, with random weights."""
    return encoder(ModelArguments("package:models/tiny_encoder", from_scratch=True))


def encoder(args: ModelArguments, **prompts: str | None) -> SentenceTransformer:
    tokenizer = load_tokenizer(args)
    if args.from_scratch:
        args.config_overrides = "hidden_size=32,num_hidden_layers=1,intermediate_size=64"
    tokenizer.model_max_length = 24
    torch.manual_seed(0)
    config = load_config(args, pad_token_id=tokenizer.pad_token_id)
    names = {"query": None, "document": None} | prompts
    return load_encoder(args, config, tokenizer, names).eval()


# Batches


def rows() -> Dataset:
    numbers = np.random.default_rng(2).integers(0, 25, 70)
    columns = {"query": [f"물음 {n}" for n in range(70)], "passage": [f"글 {n}" for n in numbers]}
    return Dataset.from_dict(columns)


def batches(monkeypatch, processes: int, size: int, epoch: int = 0) -> list[list[int]]:
    state = SimpleNamespace(num_processes=processes)
    monkeypatch.setattr(training, "PartialState", lambda: state)
    options = {"drop_last": False, "generator": torch.Generator(), "seed": 3}
    sampler = GlobalBatches(rows(), batch_size=size, **options)
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_batches_of_all_processes_are_those_of_one(monkeypatch, processes):
    whole = batches(monkeypatch, 1, 12)
    parts = batches(monkeypatch, processes, 12 // processes)
    steps = [list(chain(*parts[n : n + processes])) for n in range(0, len(parts), processes)]
    assert len(whole[0]) == 12
    for one, several in zip_longest(whole, steps, fillvalue=[]):
        assert one[: len(one) // processes * processes] == several  # at most 2 rows are left out
        assert len({*rows()[several]["passage"]}) == len(several)  # no text twice in a step
    sizes = [len(part) for part in parts]
    assert all(len(set(sizes[n : n + processes])) == 1 for n in range(0, len(parts), processes))


def test_an_epoch_is_the_same_in_another_process_and_another_one_is_not(monkeypatch):
    assert batches(monkeypatch, 2, 6, epoch=1) == batches(monkeypatch, 2, 6, epoch=1)
    assert batches(monkeypatch, 2, 6, epoch=1) != batches(monkeypatch, 2, 6, epoch=2)


# Rankings and scores


class Fixed:
    """Vectors by text."""

    similarity_fn_name = "cosine"

    def __init__(self, **vectors: list[float]):
        self.vectors = {text: torch.tensor(vector) for text, vector in vectors.items()}

    def encode_query(self, texts: list[str], **options) -> torch.Tensor:
        return torch.stack([self.vectors[text] for text in texts])

    encode_document = encode_query


def test_rankings_are_by_cosine_and_by_the_first_numbers_too():
    fixed = Fixed(q=[0.6, 0.8], p0=[-0.1, 1.0], p1=[2.0, 0.0])
    part = Collection(["p0", "p1"], ["q"], [[0]], [[]])
    found = rank(fixed, part, 8, [2, 1])
    assert (found.ids, found.truncated) == ([[0, 1]], {1: [[1, 0]]})
    assert found.scored[0] == pytest.approx({0: 0.74 / np.sqrt(1.01), 1: 0.6})
    scores = score(part, found)
    assert (scores["mrr_at_10"], scores["first_1_mrr_at_10"]) == (1.0, 0.5)
    assert scores["passages"] == 2 and not any(name.startswith("hybrid") for name in scores)


def test_the_hybrid_is_scored_beside_the_model():
    part = Collection(["p0", "p1", "p2"], ["q"], [[1]], [[]])
    found, words = Ranking([{0: 0.9, 1: 0.8, 2: 0.1}]), Ranking([{1: 4.0, 2: 2.0}])
    scores = score(part, found, words, 0.5)
    assert (scores["mrr_at_10"], scores["hybrid_mrr_at_10"]) == (0.5, 1.0)
    assert score(part, found, words, 1.0)["hybrid_mrr_at_10"] == 0.5
    assert scores["recall_curves"]["BM25"][1] == 1.0


def test_the_evaluator_of_training_scores_as_the_end_of_a_run_does(model):
    rng = np.random.default_rng(5)
    passages = [f"글 {n} {'가' * (n % 7)}" for n in range(40)]
    queries = [f"물음 {n} {'나' * (n % 5)}" for n in range(30)]
    true = [sorted(rng.choice(40, n % 4, replace=False).tolist()) for n in range(30)]
    part = Collection(passages, queries, true, [[]] * 30)
    during = RetrievalEvaluator(**with_ids(part), batch_size=8)(model)
    end = score(part, rank(model, part, 8))
    assert set(during) == set(RetrievalEvaluator.names)
    assert during == pytest.approx({name: end[name] for name in during}, abs=1e-6)


def test_hard_negatives_of_a_model_are_those_that_sentence_transformers_mines(model):
    passages = [f"{n}번째 글 {'다' * (n % 6)}" for n in range(30)]
    queries = [f"{n}번째 물음" for n in range(12)]
    true = [sorted({n, 2 * n}) for n in range(12)]
    part = Collection(passages, queries, true, [[]] * 12)
    ours = training_rows(part, rank(model, part, 8).ids, 3)
    pairs = training_rows(part)
    options = {"query_prompt_name": "query", "corpus_prompt_name": "document", "verbose": False}
    theirs = mine_hard_negatives(
        pairs, model, corpus=passages, num_negatives=3, output_format="n-tuple", **options
    )
    assert [list(row.values()) for row in ours] == [list(row.values()) for row in theirs]


# The encoder


def save_with(model: SentenceTransformer, folder: Path, prompts: dict[str, str]) -> None:
    model.save(str(folder))
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prompts": prompts}))


def test_texts_begin_with_the_given_prompt_or_else_with_the_models_own(model, tmp_path):
    save_with(model, tmp_path, {"query": "물음: ", "document": "글: "})
    args = ModelArguments(model_name_or_path=str(tmp_path))
    assert encoder(args).prompts == {"query": "물음: ", "document": "글: "}
    given = encoder(args, query="", document="문서: ")
    assert given.prompts == {"query": "", "document": "문서: "}
    table = Dataset.from_dict({"query": ["한강"], "passage": ["서울"], "negative_1": ["부산"]})
    options = collating(given, table, RecipeArguments(output_dir=str(tmp_path)))
    assert options["prompts"] == {"passage": "문서: ", "negative_1": "문서: "}
    tokens = options["preprocess_fn"](["한강"], prompt="문서: ")["input_ids"]
    assert tokens.tolist() == given.tokenizer(["문서: 한강"])["input_ids"]


def test_a_passage_prompt_of_the_models_own_is_not_lost(model, tmp_path):
    """sentence-transformers knows it, and still puts an empty ``document`` before it."""
    prompts = {"query": "query: ", "passage": "passage: "}
    save_with(model, tmp_path, prompts)
    expected = SentenceTransformer(str(tmp_path), device="cpu").encode(["passage: 한강"])
    for own in (
        encoder(ModelArguments(model_name_or_path=str(tmp_path))),
        search_index.load_encoder(str(tmp_path)),
    ):
        assert own.encode_document(["한강"]) == pytest.approx(expected, abs=1e-5)
    table = Dataset.from_dict({"query": ["한강"], "passage": ["서울"]})
    options = collating(own, table, RecipeArguments(output_dir=str(tmp_path)))
    assert options["prompts"] == prompts


def test_a_decoder_is_read_off_its_last_token():
    args = ModelArguments(model_name_or_path="package:models/tiny_decoder", from_scratch=True)
    prompts = {"query": None, "document": None}
    decoder = load_encoder(args, load_config(args), load_tokenizer(args), prompts).eval()
    alone, *_, padded = decoder.encode_document(["서울의 강", "서울의 강이 길고 깊다", "서울의 강"])
    assert padded == pytest.approx(alone, abs=1e-5)
    tokens = decoder.tokenizer(["서울의 강"], return_tensors="pt")
    states = decoder.transformers_model(**tokens).last_hidden_state[0, -1]
    expected = torch.nn.functional.normalize(states, dim=0).detach().numpy()
    assert alone == pytest.approx(expected, abs=1e-5)


def test_all_texts_are_as_long_where_that_is_asked_for(model, tmp_path):
    args = RecipeArguments(output_dir=str(tmp_path), pad_to_max_length=True)
    preprocess = collating(model, None, args)["preprocess_fn"]
    assert preprocess(["한강", "서울 " * 99])["input_ids"].shape == (2, 24)


class SpoilBest(TrainerCallback):
    """Take the weights of the best checkpoint away once training is over."""

    def on_save(self, args, state, control, **kwargs):
        if state.global_step == state.max_steps:
            Path(state.best_model_checkpoint, "model.safetensors").unlink()


@pytest.mark.parametrize("spoil", [False, True])
def test_best_weights_that_cannot_be_loaded_end_the_run(tmp_path, spoil):
    model = encoder(ModelArguments("package:models/tiny_encoder", from_scratch=True))
    table = Dataset.from_dict({"query": list("가나다라"), "passage": list("마바사아")})
    part = Collection(list("마바사아"), list("가나다라"), [[n] for n in range(4)], [[]] * 4)
    args = SearchTrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=2, metric_for_best_model="mrr_at_10"
    )
    args.default_metric = "mrr_at_10"
    trainer = RecipeSentenceTransformerTrainer(
        model=model,
        args=args,
        train_dataset=table,
        loss=losses.MultipleNegativesRankingLoss(model),
        evaluator=RetrievalEvaluator(**with_ids(part)),
        callbacks=[SpoilBest()] if spoil else [],
    )
    with pytest.raises(Exception, match="safetensors") if spoil else nullcontext():
        trainer.train()


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
    columns = source.splits["test"].column_names
    labels = {"label_names": source.label_names}
    queries = source.splits.map(to_queries, batched=True, remove_columns=columns, fn_kwargs=labels)
    found = collect_splits(queries)["test"]
    assert (found.queries, found.passages[0], found.relevant) == (["물음"], "글", [[0]])


def test_each_split_of_a_beir_folder_is_searched_in_all_of_its_corpus(tmp_path: Path):
    for name in ("corpus", "queries"):
        rows = [{"_id": f"{name[0]}{n}", "text": f"{name} {n}"} for n in range(5)]
        write_rows(tmp_path / f"{name}.jsonl", rows)
    for name, n in (("train", 0), ("dev", 1), ("test", 2)):
        row = {"query-id": f"q{n}", "corpus-id": f"c{n}", "score": 1}
        write_rows(tmp_path / f"qrels/{name}.tsv", [row])
    files = DataArguments(train_file=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    phases = RecipeArguments(output_dir=str(tmp_path))

    def collections():
        source = load_source(files, phases, task="search", keep_train=True)
        rows = source.splits.map(to_queries, batched=True, fn_kwargs={"label_names": []})
        return collect_splits(rows, source.passages)

    for n, found in enumerate(collections().values()):
        assert found.passages == [f"corpus {n}" for n in range(5)]
        assert (found.queries, found.relevant) == ([f"queries {n}"], [[n]])
    write_rows(tmp_path / "queries.jsonl", [{"_id": f"q{n}", "text": "neu"} for n in range(5)])
    assert collections()["test"].queries == ["neu"]
