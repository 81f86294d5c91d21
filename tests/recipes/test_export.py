"""A run becomes a graph that predicts the same, and is used by the same commands."""

import gzip
from pathlib import Path

import pytest
import torch
from tasks import TINY
from writing import read_json, read_rows, write_rows

from nlpbook_data.inference.service import load_service

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

DECODER = ("--model_name_or_path", "package:models/tiny_decoder", "--config_overrides", "n_layer=1")


@pytest.mark.parametrize("extra", [(), pytest.param(DECODER, marks=pytest.mark.long)])
def test_an_exported_run_predicts_as_it_did(extra, fork_recipe, tmp_path):
    """A decoder adds its separator."""
    few = ["--max_train_samples", 32, "--max_eval_samples", 20, "--max_predict_samples", 40]
    options = [*TINY, "--corpus", "sample_nli", *few, "--max_steps", 2, *extra]
    fork_recipe("paircls", *options, "--output_dir", tmp_path / "run").expect()
    fork_recipe("export", tmp_path / "run", "--output", tmp_path / "onnx", "--rows", 20).expect()
    report = read_json(tmp_path / "onnx" / "export_report.json")["models"]
    assert report["onnx float32"]["same"] == 20
    assert report["onnx float32"]["score_change"] < 1e-4
    assert report["onnx int8"]["score_change"] < 0.05
    assert report["onnx int8"]["megabytes"] < report["onnx float32"]["megabytes"]
    original = read_rows(tmp_path / "run" / "predictions.jsonl")
    columns = ("premise", "hypothesis")
    rows = write_rows(tmp_path / "rows.jsonl", [{c: r[c] for c in columns} for r in original])
    wanted = [max(row["probabilities"].values()) for row in original]
    for folder, far in (("onnx", 1e-4), ("onnx/int8", 0.05)):
        output = tmp_path / f"{folder.replace('/', '-')}.jsonl"
        fork_recipe("predict", tmp_path / folder, "--input", rows, "--output", output).expect()
        examples = read_rows(tmp_path / folder / "examples.jsonl")
        assert examples == [{c: row[c] for c in columns} for row in original[:5]]
        assert load_service(tmp_path / folder).examples == examples
        assert [row["score"] for row in read_rows(output)] == pytest.approx(wanted, abs=far)


def test_a_model_of_scores_is_exported_and_checked_by_a_packed_file(fork_recipe, tmp_path):
    pairs = [
        {"sentence1": f"비가 {n}번 온다", "sentence2": "눈이 온다", "label": n / 8}
        for n in range(40)
    ]
    rows = write_rows(tmp_path / "pairs.jsonl", pairs)
    options = [*TINY, "--train_file", rows, "--max_steps", 1, "--output_dir", tmp_path / "run"]
    fork_recipe("paircls", *options).expect()
    packed = tmp_path / "pairs.jsonl.gz"
    packed.write_bytes(gzip.compress(rows.read_bytes()))
    folder = tmp_path / "o n"
    done = fork_recipe("export", tmp_path / "run", "--output", folder, "--input", packed)
    assert f"predict.py '{folder}' --input" in done.expect().stderr
    other = write_rows(tmp_path / "other.jsonl", [{"첫째": "비"}])
    for options, said in [
        (["--input", other], f"{other}: there is no column 'sentence1'"),
        (["--rows", 1], "1 of the first 1 rows can be predicted"),
    ]:
        refused = fork_recipe("export", tmp_path / "run", "--output", "new", *options)
        refused.expect(1, said)
    report = read_json(folder / "export_report.json")
    for graph in folder.rglob("*.onnx"):
        assert str(Path(torch.__file__).parents[1]).encode() not in graph.read_bytes()
    refused = fork_recipe("predict", folder, "--input", rows, "--device", "cuda", "--prefix", "n_")
    refused.expect(1, "is exported, for a CPU")
    assert report["rows"] == 40 and report["models"]["onnx float32"]["score_change"] < 1e-4
