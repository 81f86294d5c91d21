"""recipes/search.py as users run it, on data that ships or that the test writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from sentence_transformers import SentenceTransformer
from writing import read_json, read_rows, visible, write_rows

from nlpbook_data.reports.push import pushed_files

MODEL = [*TINY, "--learning_rate", "1e-3"]
NO_DROPOUT = [*MODEL]
NO_DROPOUT[1] += ",hidden_dropout_prob=0.0,attention_probs_dropout_prob=0.0"
PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
    *("1_Pooling/config.json", "2_Normalize/config.json", "metrics.json"),
    *("recall.png", "learning_curve.png"),
}
SAMPLE = ["--corpus", "sample_search"]
FILES = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
    *("1_Pooling", "2_Normalize", "recall.png", "learning_curve.png"),
    *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl"),
}


def faq(count: int) -> list[dict]:
    """Queries with one to three true passages each, shared ones, and negatives."""
    words = ["봄", "여름", "가을", "겨울", "바다", "산", "강", "들", "섬", "숲", "길"]
    return [
        {
            "query": f"{words[n % 11]}에 관한 물음 {n % (count - 9)}",
            "passage": f"{words[n % 11]} 이야기 {n % 17}",
            "negative": f"{words[(n + 3) % 11]} 이야기 {n % 5}",
        }
        for n in range(count)
    ]


def losses(folder: Path) -> list[float]:
    states = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=lambda p: len(str(p)))
    return [row["loss"] for row in read_json(states[-1])["log_history"] if "loss" in row]


def test_the_default_setting_trains_scores_and_leaves_a_sentence_transformer(fork_recipe, tmp_path):
    quick = ["--num_train_epochs", 1, "--max_train_samples", 64, "--max_length", 48]
    quick += ["--max_eval_samples", 40, "--max_predict_samples", 120]
    result = fork_recipe("search", *quick).expect()
    folder = tmp_path / "outputs" / "search"
    assert visible(folder) == FILES
    assert set(pushed_files(folder)) == PUSHED
    assert "hybrid: model and BM25" in result.stdout
    scores = read_json(folder / "metrics.json")
    rows = read_rows(folder / "predictions.jsonl")
    ranks = [
        next((n for n, hit in enumerate(r["prediction"], 1) if hit["id"] in r["passages"]), None)
        for r in rows
        if r["passages"]
    ]
    reciprocal = np.mean([0 if rank is None else 1 / rank for rank in ranks])
    assert scores["test"]["mrr_at_10"] == pytest.approx(reciprocal)
    assert scores["test"]["queries_without_passage"] == len(rows) - len(ranks) == 0
    assert scores["test"]["passages"] == 60  # of 180
    assert 0.1 < scores["baselines"]["BM25"]["test"]["mrr_at_10"] < 0.5  # its words are not theirs
    assert "sentence-transformers" in (folder / "README.md").read_text(encoding="utf-8")

    model = SentenceTransformer(str(folder), device="cpu")
    settings = json.loads((folder / "sentence_bert_config.json").read_text("utf-8"))
    assert settings["max_seq_length"] == model.max_seq_length  # without it TEI does not start
    errors = read_rows(folder / "errors.jsonl")
    for row in errors[:5]:
        vectors = model.encode_query(row["query"]), model.encode_document(row["found"])
        assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
        best = row["prediction"][0]["score"]
        assert float(vectors[0] @ vectors[1]) == pytest.approx(best, abs=1e-4)


def test_the_loss_of_two_processes_is_that_of_one(fork_recipe, tmp_path):
    path = write_rows(tmp_path / "faq.jsonl", faq(62))
    options = [*NO_DROPOUT, "--train_file", path, "--num_train_epochs", 1, "--logging_steps", 1]
    options += ["--keep_checkpoints", "true"]
    for processes, size, folder in ((1, 8, "one"), (2, 4, "two")):
        batch = ["--per_device_train_batch_size", size, "--output_dir", folder]
        fork_recipe("search", *options, *batch, processes=processes).expect()
    one, two = (losses(tmp_path / folder) for folder in ("one", "two"))
    assert len(one) == 7 and np.ptp(one) > 0.1
    np.testing.assert_allclose(one, two, atol=1e-5)
    rows = [read_rows(tmp_path / folder / "predictions.jsonl") for folder in ("one", "two")]
    for a, b in zip(*rows, strict=True):
        assert [hit["id"] for hit in a["prediction"]] == [hit["id"] for hit in b["prediction"]]


def test_a_finished_model_is_evaluated_mined_with_and_adapted(fork_recipe, tmp_path):
    rows = faq(60)
    path, test = (write_rows(tmp_path / f"{n}.jsonl", rows[n:]) for n in (0, 45))
    data = ["--train_file", path, "--validation_file", test, "--test_file", test]
    prompts = ["--query_prompt", "물음: ", "--passage_prompt", "글: "]
    first = [*MODEL, *data, *prompts, "--num_train_epochs", 1, "--output_dir", "first"]
    fork_recipe("search", *first).expect()
    saved = SentenceTransformer(str(tmp_path / "first"), device="cpu")
    assert saved.prompts == {"query": "물음: ", "document": "글: "}

    model = ["--model_name_or_path", "first", "--baselines", "false", *data]
    evaluate = ["--do_train", "false", "--output_dir", "again"]
    fork_recipe("search", *model, *prompts, *evaluate).expect()
    for name in ("metrics.json", "predictions.jsonl"):
        first, again = ((tmp_path / folder / name).read_bytes() for folder in ("first", "again"))
        assert first == again
    best = read_rows(tmp_path / "again" / "predictions.jsonl")[0]["prediction"][0]
    query, passage = saved.encode_query(rows[45]["query"]), saved.encode_document(best["text"])
    assert float(query @ passage) == pytest.approx(best["score"], abs=1e-4)

    adapt = ["--lora", "true", "--hard_negatives", "model", "--num_train_epochs", 2]
    seeds = ["--seeds", 1, 2, "--learning_rate", "1e-2", "--output_dir", "adapted"]
    fork_recipe("search", *model, *prompts, *adapt, *seeds, "--baselines", "true").expect()
    folder = tmp_path / "adapted"
    assert visible(folder) - {"seed-1", "seed-2"} == FILES
    scores = read_json(folder / "metrics.json")
    assert set(scores["seeds"]["runs"]) == {"1", "2"}
    before = scores["baselines"]["the model before training"]
    assert before["test"] == read_json(tmp_path / "first" / "metrics.json")["test"]
    adapted = SentenceTransformer(str(folder), device="cpu")  # without peft's keys
    assert np.abs(adapted.encode_query("물음") - saved.encode_query("물음")).max() > 1e-4


def test_squad_files_are_searched_for_contexts(fork_recipe, tmp_path):
    paragraphs = [
        {
            "context": f"{n}번 글에는 답 {n}이 있다.",
            "qas": [
                {
                    "id": f"{n}-{m}",
                    "question": f"{n}번 글의 답은 {m}?",
                    "answers": [{"text": f"답 {n}", "answer_start": 7 + len(str(n)) - 1}],
                }
                for m in range(2)
            ],
        }
        for n in range(10, 40)
    ]
    path = tmp_path / "train.json"
    data = {"version": "1", "data": [{"title": "글", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    options = ["--train_file", path, "--num_train_epochs", 1, "--output_dir", "out"]
    fork_recipe("search", *MODEL, *options).expect()
    assert read_json(tmp_path / "out" / "metrics.json")["test"]["passages"] < 31


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--corpus", "nsmc"], ("nsmc is for doccls",)),
        (["--train_file", "bad.jsonl"], ("bad.jsonl, line 2", "passage")),
        ([*SAMPLE, "--gradient_accumulation_steps", 2], ("accumulation", "mini_batch_size")),
        ([*SAMPLE, "--hard_negatives", "model"], ("hard_negatives", "random")),
        ([*SAMPLE, "--matryoshka_dims", 64], ("matryoshka_dims 64", "32")),
        ([*SAMPLE, "--metric_for_best_model", "f1"], ("f1", "mrr_at_10")),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(refused, tmp_path, options, parts):
    write_rows(tmp_path / "bad.jsonl", [faq(20)[1], {"query": "물음"}])
    refused("search", parts, *MODEL, *options)


def test_a_loss_that_is_no_number_ends_the_run(fork_recipe, tmp_path):
    options = [*SAMPLE, "--learning_rate", "1e30", "--output_dir", "out"]
    result = fork_recipe("search", *MODEL, *options)
    assert result.status == 1 and "became" in result.error
    assert read_json(tmp_path / "out" / "run.json")["status"] == "failed"
