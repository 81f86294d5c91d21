"""What is pushed of a folder in which other things lie too."""

import json

from nlpbook_data.reports.push import model_files


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")


KEPT = ["run.json", "predictions.jsonl", "training_args.bin", "checkpoint-5/model.safetensors"]
KEPT += ["seed-1/config.json", "seed-1/1_Pooling/config.json", "1_Pooling/training_args.bin"]


def test_a_sentence_transformer_is_pushed_with_its_modules_and_nothing_else(tmp_path):
    model = ["1_Pooling/config.json", "2_Dense/model.safetensors", "config.json"]
    fill(tmp_path, *model, "model.safetensors", "2_Normalize/README.md", *KEPT)
    modules = [{"path": path} for path in ("", "1_Pooling", "2_Dense", "2_Normalize")]
    (tmp_path / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert sorted(model_files(tmp_path)) == sorted([*model, "model.safetensors", "modules.json"])


def test_shards_are_those_of_the_index(tmp_path):
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    fill(tmp_path, *shards, "model-00003-of-00003.safetensors", "config.json", *KEPT)
    index = {"weight_map": dict(zip("abc", [*shards, shards[0]], strict=True))}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert set(model_files(tmp_path)) == {*shards, "model.safetensors.index.json", "config.json"}


def test_without_weights_there_is_no_model(tmp_path):
    fill(tmp_path, "config.json", "README.md", *KEPT)
    assert model_files(tmp_path) == []
