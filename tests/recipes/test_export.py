"""A run becomes a graph that predicts the same, and is used by the same commands."""

import json

import pytest
from conftest import TINY
from writing import read_rows, write_rows

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

DECODER = ("--model_name_or_path", "package:models/tiny_decoder", "--config_overrides", "n_layer=1")


@pytest.mark.parametrize(
    ("recipe", "corpus", "extra"),
    [
        ("paircls", "sample_nli", ()),
        pytest.param("paircls", "sample_nli", DECODER, marks=pytest.mark.long),  # and its separator
        pytest.param("doccls", "sample_reviews", (), marks=pytest.mark.long),
        pytest.param("ner", "sample_ner", (), marks=pytest.mark.long),
        pytest.param("qa", "sample_qa", ("--stride", 32), marks=pytest.mark.long),
    ],
)
def test_an_exported_run_predicts_as_it_did(recipe, corpus, extra, fork_recipe, tmp_path):
    trained = fork_recipe(
        recipe, *TINY, "--corpus", corpus, "--max_train_samples", 32, "--num_train_epochs", 1,
        "--output_dir", tmp_path / "run", *extra,
    )  # fmt: skip
    assert trained.status == 0, trained.stderr
    done = fork_recipe("export", tmp_path / "run", "--output", tmp_path / "onnx", "--rows", 20)
    assert done.status == 0, done.stderr
    report = json.loads((tmp_path / "onnx" / "export_report.json").read_text())["models"]
    assert report["onnx float32"]["same"] == 20
    assert report["onnx float32"]["score_change"] < 1e-4
    assert report["onnx int8"]["score_change"] < 0.05
    assert report["onnx int8"]["megabytes"] < report["onnx float32"]["megabytes"]
    if recipe != "paircls":
        return
    original = read_rows(tmp_path / "run" / "predictions.jsonl")
    columns = ("premise", "hypothesis")
    rows = write_rows(tmp_path / "rows.jsonl", [{c: r[c] for c in columns} for r in original])
    for folder in ("onnx", "onnx/int8"):
        output = tmp_path / f"{folder.replace('/', '-')}.jsonl"
        done = fork_recipe("predict", tmp_path / folder, "--input", rows, "--output", output)
        assert done.status == 0, done.stderr
        scores = [row["score"] for row in read_rows(output)]
        wanted = [max(row["probabilities"].values()) for row in original]
        assert scores == pytest.approx(wanted, abs=0.05 if "int8" in folder else 1e-4)
