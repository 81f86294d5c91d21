"""A search for hyperparameters, as users run it."""

import json

import pytest
import yaml
from conftest import DOCCLS
from writing import written

SHORT = [*DOCCLS, "--max_train_samples", "48", "--max_eval_samples", "16"]
SPACE = """learning_rate: {low: 1e-4, high: 1e-2, log: true}
per_device_train_batch_size: [8, 16]
num_train_epochs: {low: 1, high: 2}
"""


def test_best_settings_are_found_on_validation_and_train_by_config(fork_recipe, tmp_path):
    space = written(tmp_path / "space.yaml", SPACE)
    asked = ["--hp_space", space, "--hp_trials", "3", "--output_dir", "search"]
    result = fork_recipe("doccls", *SHORT, *asked)
    assert result.status == 0, result.stderr

    record = json.loads((tmp_path / "search" / "run.json").read_text(encoding="utf-8"))
    found = record["search"]
    assert len(found["trials"]) == 3 and "test" not in record["data"]["rows"]
    done = [trial["macro_f1"] for trial in found["trials"] if trial["macro_f1"] is not None]
    assert found["score"] == max(done)
    assert sorted(path.name for path in (tmp_path / "search").iterdir() if path.name[0] != ".") == [
        "best.yaml",
        "run.json",
        "trials.log",
    ]
    best = yaml.safe_load((tmp_path / "search" / "best.yaml").read_text(encoding="utf-8"))
    assert best["per_device_train_batch_size"] in (8, 16) and 1e-4 <= best["learning_rate"] <= 1e-2
    assert found["best"].items() <= best.items() and "hp_trials" not in best

    again = fork_recipe("doccls", *SHORT, *asked, "--resume", "auto")
    assert again.status == 0 and "trial" not in again.stderr.replace("3 trials", "")
    trained = fork_recipe("doccls", "--config", "search/best.yaml", "--output_dir", "best")
    assert trained.status == 0, trained.stderr
    record = json.loads((tmp_path / "best" / "run.json").read_text(encoding="utf-8"))
    assert record["arguments"]["learning_rate"] == found["best"]["learning_rate"]


@pytest.mark.parametrize(
    ("space", "options", "told"),
    [
        ("learnin_rate: [1]", [], "learning_rate"),
        ("learning_rate: {low: 1, high: 0.1}", [], "low below high"),
        ("max_length: [64]", [], "cannot be searched"),
        (SPACE, ["--seeds", "1", "2"], "--seeds"),
        (SPACE, ["--do_train", "false"], "--do_train false"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything(
    fork_recipe, tmp_path, space, options, told
):
    path = written(tmp_path / "space.yaml", space)
    result = fork_recipe("doccls", *SHORT, "--hp_space", path, "--hp_trials", "2", *options)
    assert result.status == 1 and told in result.error
    assert not (tmp_path / "outputs").exists()
