"""recipes/rerank.py as users run it, on rows that the test writes."""

import numpy as np
import pytest
import torch
from conftest import TINY
from safetensors.torch import load_file
from saved import pretrained
from sentence_transformers import CrossEncoder
from writing import read_json, read_rows, visible, write_rows

from nlpbook_data.errors import InputError
from nlpbook_data.search.bm25 import extract_morphemes, index_morphemes, rank_passages
from nlpbook_data.search.collections import Collection
from nlpbook_data.search.index import Hit
from nlpbook_data.search.reranking import (
    keep_far,
    load_reranker,
    open_reranker,
    rerank,
    rerank_hits,
    score_pairs,
    to_lists,
)
from nlpbook_data.search.training import Ranking, save_encoder, save_weight
from nlpbook_data.training.arguments import ModelArguments
from nlpbook_data.training.models import load_config, load_tokenizer

MODEL = [*TINY, "--learning_rate", "1e-3", "--max_length", 32]
NO_DROPOUT = [*MODEL]
NO_DROPOUT[1] += ",hidden_dropout_prob=0.0,attention_probs_dropout_prob=0.0"
FILES = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
    *("recall.png", "learning_curve.png"),
    *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl"),
}


def faq(count: int) -> list[dict]:
    words = ["봄", "여름", "가을", "겨울", "바다", "산", "강", "들", "섬", "숲", "길"]
    return [
        {"query": f"{words[n % 11]}에 관한 물음 {n}", "passage": f"{words[n % 11]} 이야기 {n % 17}"}
        for n in range(count)
    ]


def losses(folder) -> list[float]:
    states = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=lambda p: len(str(p)))
    return [row["loss"] for row in read_json(states[-1])["log_history"] if "loss" in row]


def test_a_reranker_is_trained_scored_beside_bm25_and_predicts_alone(fork_recipe, tmp_path):
    path = write_rows(tmp_path / "faq.jsonl", faq(60))
    test = write_rows(tmp_path / "test.jsonl", faq(75)[60:])
    data = ["--train_file", path, "--test_file", test, "--num_train_epochs", 1]
    result = fork_recipe(
        "rerank", *MODEL, *data, "--baselines", "true", "--output_dir", "out"
    ).expect()
    assert "BM25" in result.stdout and "hybrid: model and BM25" in result.stdout
    folder = tmp_path / "out"
    assert visible(folder) == FILES
    scores, rows = read_json(folder / "metrics.json"), read_rows(folder / "predictions.jsonl")
    bm25 = scores["baselines"]["BM25"]["test"]
    assert scores["test"]["recall_at_100"] == bm25["recall_at_100"]  # the same passages
    for row in rows:  # none but BM25's, in the order of the model
        values = [hit["score"] for hit in row["prediction"]]
        assert values == sorted(values, reverse=True)
    model = CrossEncoder(str(folder), device="cpu")
    ranked = model.rank(rows[0]["query"], [hit["text"] for hit in rows[0]["prediction"]])
    assert [hit["corpus_id"] for hit in ranked] == list(range(len(ranked)))
    weight = read_json(folder / "config.json")["recipe_settings"]["hybrid_weight"]
    assert weight == scores["test"]["hybrid_weight"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 'CrossEncoder("out")' in card and "pipeline_tag: text-ranking" in card

    commands = {"predict": ["--input", test], "export": ["--output", "o"], "serve": [], "demo": []}
    for recipe, options in commands.items():
        refused = fork_recipe(recipe, folder, *options)
        assert refused.status == 1 and f"--rerank {folder}" in refused.error

    alone = ["--do_train", "false", "--do_eval", "false", "--model_name_or_path", folder]
    fork_recipe("rerank", *alone, "--test_file", test, "--output_dir", "again").expect()
    again = read_json(tmp_path / "again" / "metrics.json")["test"]
    assert again["hybrid_weight"] == weight  # as validation had chosen it


def test_a_search_model_gives_the_negatives(fork_recipe, tmp_path):
    base, path = pretrained(tmp_path / "base"), write_rows(tmp_path / "faq.jsonl", faq(60))
    command = ["rerank", *NO_DROPOUT, "--train_file", path, "--max_steps", 4]
    command += ["--rerank_depth", 5, "--logging_steps", 1, "--keep_checkpoints", "true"]
    for name, options in {"words": [], "vectors": ["--search_model", base]}.items():
        fork_recipe(*command, *options, "--output_dir", name).expect()
    words, vectors = (losses(tmp_path / name) for name in ("words", "vectors"))
    assert words != vectors  # the same rows, seed and weights, beside other passages


def test_lora_is_trained_and_merged(fork_recipe, tmp_path):
    base, path = pretrained(tmp_path / "base"), write_rows(tmp_path / "faq.jsonl", faq(60))
    options = ["--model_name_or_path", base, "--train_file", path, "--lora", "true"]
    options += ["--learning_rate", "1e-2", "--max_length", 32, "--max_steps", 4]
    options += ["--rerank_depth", 5, "--precision", "float32", "--output_dir", "out"]
    fork_recipe("rerank", *options).expect()
    folder = tmp_path / "out"
    assert visible(folder) == FILES
    before, after = (load_file(f / "model.safetensors") for f in (base, folder))
    query, embedding = "encoder.layer.0.attention.self.query.weight", "word_embeddings.weight"
    assert not before[query].equal(after[f"bert.{query}"])
    assert before[f"embeddings.{embedding}"].equal(after[f"bert.embeddings.{embedding}"])
    model, row = CrossEncoder(str(folder), device="cpu"), read_rows(folder / "predictions.jsonl")[0]
    pairs = [(row["query"], hit["text"]) for hit in row["prediction"]]
    expected = [hit["score"] for hit in row["prediction"]]
    assert score_pairs(model, pairs, 8) == pytest.approx(expected, abs=1e-4)


@pytest.mark.long
def test_the_loss_does_not_depend_on_how_the_global_batch_is_split(fork_recipe, tmp_path):
    path = write_rows(tmp_path / "faq.jsonl", faq(40))
    options = [*NO_DROPOUT, "--train_file", path, "--max_train_samples", 32, "--logging_steps", 1]
    options += ["--num_train_epochs", 1, "--keep_checkpoints", "true", "--do_predict", "false"]
    found = []
    for processes, size, steps in ((1, 8, 1), (1, 4, 2), (2, 4, 1)):
        folder = f"{processes}-{size}"
        batch = ["--per_device_train_batch_size", size, "--gradient_accumulation_steps", steps]
        fork_recipe(
            "rerank", *options, *batch, "--output_dir", folder, processes=processes
        ).expect()
        found.append(losses(tmp_path / folder))
    assert len(found[0]) == 4
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--corpus", "nsmc"], ("nsmc is for doccls",)),
        (["--lora", "true"], ("--lora", "random weights")),
        (["--hp_trials", "2"], ("searches no settings",)),
        (["--search_model", "nowhere"], ("nowhere", "no model could be loaded")),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(refused, tmp_path, options, parts):
    path = write_rows(tmp_path / "faq.jsonl", faq(30))
    data = options if "--corpus" in options else ["--train_file", path, *options]
    refused("rerank", parts, *MODEL, *data)


# The parts


@pytest.mark.parametrize("family", ["Bert", "Electra", "GPT2"])
def test_adapters_and_head_are_merged_into_what_is_saved(tmp_path, family):
    base = pretrained(tmp_path / "base", family)
    args = ModelArguments(model_name_or_path=str(base), lora=True)
    tokenizer = load_tokenizer(args)
    config = load_config(args, ["score"], pad_token_id=tokenizer.pad_token_id)
    tokenizer.model_max_length = 32
    model = load_reranker(args, config, tokenizer, True).eval()
    trained = {name for name, weights in model.named_parameters() if weights.requires_grad}
    assert trained and all("lora_" in name or "modules_to_save" in name for name in trained)
    for name, weights in model.named_parameters():
        if name in trained:
            torch.nn.init.normal_(weights, std=0.1)
    pairs = [("한강의 길이는?", "한강은 길다"), ("한강의 길이는?", "산은 높다")]
    expected = score_pairs(model, pairs, 2)
    save_encoder(model, tmp_path / "out")
    for merged in (model, CrossEncoder(str(tmp_path / "out"), device="cpu")):
        assert score_pairs(merged, pairs, 2) == pytest.approx(expected, abs=1e-5)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert "model.safetensors" in files and not any(name.startswith("adapter") for name in files)
    assert str(tmp_path) not in (tmp_path / "out" / "config.json").read_text()


def test_adapters_of_another_head_are_refused(tmp_path):
    head = "AutoModelForSequenceClassification"
    base = pretrained(tmp_path / "base", auto=head, num_labels=3)
    options = {"lora": True, "ignore_mismatched_sizes": True}
    args = ModelArguments(model_name_or_path=str(base), **options)
    tokenizer = load_tokenizer(args)
    with pytest.raises(InputError, match="base has a head of 3 labels.*Leave out --lora"):
        load_reranker(args, load_config(args, ["score"]), tokenizer, True)


def test_a_model_whose_scores_were_never_trained_is_refused(tmp_path):
    with pytest.raises(InputError, match="BertModel, whose scores of pairs were never trained"):
        open_reranker(str(pretrained(tmp_path / "base")))


class Longest:
    """Scores a pair by the length of its passage."""

    def predict(self, pairs: list, **options) -> np.ndarray:
        return np.array([float(len(passage)) for _, passage in pairs])


def test_the_first_are_put_in_order_and_the_others_follow():
    part = Collection(["가", "나나", "다다", "라라라"], ["q", "r", "s"], [[0]] * 3, [[]] * 3)
    words = Ranking([{0: 4.0, 2: 3.0, 1: 2.0, 3: 1.0}, {}, {3: 2.0, 0: 1.0}])
    found = rerank(Longest(), part, words, 3, 8)
    assert found.ids == [[2, 1, 0, 3], [], [3, 0]]  # of equal scores BM25's order stays
    assert found.scored == [{2: 2.0, 1: 2.0, 0: 1.0, 3: 1.0}, {}, {3: 3.0, 0: 1.0}]


def test_hits_are_ordered_by_the_model_in_its_own_weight():
    from types import SimpleNamespace

    model = Longest()
    model.config = SimpleNamespace()
    hits = [
        Hit(5, 0.9, {"text": "가"}),
        Hit(2, 0.6, {"text": "나나나"}),
        Hit(1, 0.3, {"text": "다"}),
    ]
    assert [hit.id for hit in rerank_hits(model, "q", hits)] == [2, 5, 1]
    save_weight(model.config, 0.25)
    assert [hit.id for hit in rerank_hits(model, "q", hits)] == [5, 2, 1]


def test_what_scores_as_the_true_passage_is_no_negative():
    part = Collection(list("가나다라"), ["q", "r"], [[1, 2], [3]], [[], []])
    ranking = Ranking([{0: 9.0, 1: 8.0, 2: 4.0, 3: 3.9}, {0: 2.0, 1: 1.0}])
    # of q the lowest true passage has 4.0; r's is not ranked, and nothing is known
    assert keep_far(ranking, part, 0.02) == [[3], [0, 1]]
    assert keep_far(ranking, part, 0.1) == [[], [0, 1]]
    cosines = Ranking([{0: 0.1, 1: -0.1, 2: -0.2, 3: -0.21}, {}])
    assert keep_far(cosines, part, 0.1) == [[], []]


def test_a_copy_of_the_true_passage_is_guarded_against():
    passages = ["한강은 서울을 지난다", "한강은 서울을 지난다!", "한강 다리", "낙동강"]
    part = Collection(passages, ["서울을 지나는 강은 한강"], [[0]], [[]])
    morphemes = extract_morphemes(passages)
    ranking = Ranking(rank_passages(index_morphemes(morphemes), extract_morphemes(part.queries)))
    assert 1 in ranking.ids[0] and keep_far(ranking, part, 0.05) == [[2]]


def test_rows_become_lists():
    batch = {"query": ["q"], "passage": ["가"], "negative_1": ["나"], "negative_2": ["다"]}
    expected = {"query": ["q"], "passages": [["가", "나", "다"]], "labels": [[1.0, 0.0, 0.0]]}
    assert to_lists(batch) == expected
