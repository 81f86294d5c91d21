"""A search for hyperparameters, as users run it."""

import yaml
from tasks import DOCCLS
from writing import written

SHORT = [*DOCCLS, "--max_train_samples 48 --max_eval_samples 16"]
SPACE = """learning_rate: {low: 1e-4, high: 1e-2, log: true}
per_device_train_batch_size: [8, 16]
num_train_epochs: {low: 1, high: 2}
"""


def test_best_settings_are_found_on_validation_and_train_by_config(fork_recipe, tmp_path):
    written(tmp_path / "space.yaml", SPACE)
    command = ["doccls", *SHORT, "--hp_space space.yaml --hp_trials 3 --output_dir search"]
    run = fork_recipe(*command).expect().run
    found = run.record["search"]
    assert len(found["trials"]) == 3 and "test" not in run.record["data"]["rows"]
    done = [trial["macro_f1"] for trial in found["trials"] if trial["macro_f1"] is not None]
    assert found["score"] == max(done)
    assert run.files == {"best.yaml", "run.json", "trials.log"}
    best = yaml.safe_load((run / "best.yaml").read_text(encoding="utf-8"))
    assert best["per_device_train_batch_size"] in (8, 16) and 1e-4 <= best["learning_rate"] <= 1e-2
    assert found["best"].items() <= best.items() and "hp_trials" not in best

    again = fork_recipe(*command, "--resume auto").expect()
    assert "trial" not in again.stderr.replace("3 trials", "")
    trained = fork_recipe("doccls", "--config search/best.yaml --output_dir best").expect().run
    assert trained.record["arguments"]["learning_rate"] == found["best"]["learning_rate"]
