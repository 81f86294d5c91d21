"""recipes/search.py as users run it, on data that ships or that the test writes."""

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from tasks import TINY, faq, write_squad
from writing import read_json, write_rows

from nlpbook_data.reports.push import pushed_files

MODEL = [*TINY, "--learning_rate 1e-3 --num_train_epochs 1"]
PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
    *("1_Pooling/config.json", "2_Normalize/config.json", "metrics.json"),
    *("recall.png", "learning_curve.png"),
}
KEPT = {"run.json", "predictions.jsonl", "errors.jsonl"}
FILES = {name.partition("/")[0] for name in PUSHED} | KEPT


def test_the_default_setting_trains_scores_and_leaves_a_sentence_transformer(fork_recipe):
    quick = "--num_train_epochs 1 --max_train_samples 64 --max_length 48"
    few = "--max_eval_samples 40 --max_predict_samples 120"
    result = fork_recipe("search", quick, few).expect()
    run = result.run
    assert run.files == FILES and set(pushed_files(run.folder)) == PUSHED
    assert "hybrid: model and BM25" in result.stdout
    scores, rows = run.scores, run.rows
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
    assert "sentence-transformers" in run.card

    model = SentenceTransformer(str(run), device="cpu")
    settings = read_json(run / "sentence_bert_config.json")
    assert settings["max_seq_length"] == model.max_seq_length  # without it TEI does not start
    for row in run.errors[:5]:
        vectors = model.encode_query(row["query"]), model.encode_document(row["found"])
        assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
        best = row["prediction"][0]["score"]
        assert float(vectors[0] @ vectors[1]) == pytest.approx(best, abs=1e-4)


def test_a_finished_model_is_evaluated_mined_with_and_adapted(fork_recipe, tmp_path):
    rows = faq(0, 60)
    write_rows(tmp_path / "train.jsonl", rows)
    write_rows(tmp_path / "test.jsonl", rows[45:])
    files = "--train_file train.jsonl --validation_file test.jsonl --test_file test.jsonl"
    data = [files, "--query_prompt", "물음: ", "--passage_prompt", "글: "]
    first = fork_recipe("search", *MODEL, *data, "--output_dir first").expect().run
    saved = SentenceTransformer(str(first), device="cpu")
    assert saved.prompts == {"query": "물음: ", "document": "글: "}

    model = ["--model_name_or_path first --baselines false", *data]
    again = fork_recipe("search", *model, "--do_train false --output_dir again").expect().run
    assert (again.scores, again.rows) == (first.scores, first.rows)
    best = again.rows[0]["prediction"][0]
    query, passage = saved.encode_query(rows[45]["query"]), saved.encode_document(best["text"])
    assert float(query @ passage) == pytest.approx(best["score"], abs=1e-4)

    adapt = "--lora true --hard_negatives model --num_train_epochs 2 --seeds 1 2"
    options = "--learning_rate 1e-2 --baselines true --output_dir adapted"
    run = fork_recipe("search", *model, adapt, options).expect().run
    assert run.files - {"seed-1", "seed-2"} == FILES
    assert set(run.scores["seeds"]["runs"]) == {"1", "2"}
    before = run.scores["baselines"]["the model before training"]
    assert before["test"] == first.scores["test"]
    adapted = SentenceTransformer(str(run), device="cpu")  # without peft's keys
    assert np.abs(adapted.encode_query("물음") - saved.encode_query("물음")).max() > 1e-4


def test_squad_files_are_searched_for_contexts(fork_recipe, tmp_path):
    rows = [
        {
            "id": f"{n}-{m}",
            "context": f"{n}번 글에는 답 {n}이 있다.",
            "question": f"{n}번 글의 답은 {m}?",
            "answers": [{"text": f"답 {n}", "answer_start": 8}],
        }
        for n in range(10, 40)
        for m in range(2)
    ]
    write_squad(tmp_path / "train.json", rows)
    run = fork_recipe("search", *MODEL, "--train_file train.json --output_dir out").expect().run
    assert run.scores["test"]["passages"] < 31
