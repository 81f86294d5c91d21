"""Push and pull through the real client against a loopback double of the Hub."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY
from hub_double import HubDouble

TRAIN = [*TINY, "--num_train_epochs", "1", "--max_train_samples", "64", "--output_dir", "out"]
PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("metrics.json", "learning_curve.png", "confusion_matrix.png"),
}


@pytest.fixture
def hub():
    with HubDouble() as double:
        yield double


def offline_env(hub: HubDouble, home: Path, **options) -> dict[str, str]:
    return {**hub.env(home, **options), "HF_HUB_OFFLINE": "0"}


@pytest.mark.parametrize("private", [False, True])
def test_a_pushed_model_pulled_into_an_empty_cache_predicts_the_same(
    run_recipe, tmp_path, hub, private
):
    push = ["--push_to_hub", "true", "--hub_model_id", "tester/reviews"]
    push += ["--hub_private_repo", str(private).lower(), "--hub_token", hub.token]
    result = run_recipe("doccls", *TRAIN, *push, env=offline_env(hub, tmp_path / "home"))

    assert result.status == 0, result.stderr
    repo = hub.repos["tester/reviews"]
    assert repo.private == private and set(repo.files) == PUSHED
    for name, content in repo.files.items():
        for secret in (str(tmp_path), hub.token, str(Path.home())):
            assert secret.encode() not in content, f"{secret} in {name}"
    assert hub.token not in result.stdout + result.stderr
    record = (tmp_path / "out" / "run.json").read_text(encoding="utf-8")
    assert hub.token not in record

    pulled = run_recipe(
        *("doccls", "--do_train", "false", "--do_eval", "false", "--corpus", "sample_reviews"),
        *("--model_name_or_path", "tester/reviews", "--output_dir", "pulled"),
        env=offline_env(hub, tmp_path / "empty"),
    )
    assert pulled.status == 0, pulled.stderr
    predictions = [(tmp_path / f / "predictions.jsonl").read_bytes() for f in ("out", "pulled")]
    assert predictions[0] == predictions[1]

    if private:
        refused = run_recipe(
            *("doccls", "--do_train", "false", "--corpus", "sample_reviews"),
            *("--model_name_or_path", "tester/reviews", "--output_dir", "refused"),
            env=offline_env(hub, tmp_path / "stranger", token=False),
        )
        assert refused.status == 1 and "tester/reviews" in refused.error


def test_a_failed_push_keeps_everything_and_the_same_command_pushes_again(
    run_recipe, tmp_path, hub
):
    hub.fail_commit = 403
    command = ["doccls", *TRAIN, "--push_to_hub", "true", "--hub_model_id", "tester/reviews"]
    failed = run_recipe(*command, env=offline_env(hub, tmp_path / "home"))

    assert failed.status == 1
    assert "push failed" in failed.error and "--resume auto" in failed.error
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "finished"

    hub.fail_commit = None
    again = run_recipe(*command, "--resume", "auto", env=offline_env(hub, tmp_path / "home"))

    assert again.status == 0, again.stderr
    assert "nothing is trained" in again.stderr
    assert hub.repos["tester/reviews"].files["model.safetensors"] == weights


def test_without_a_token_a_push_is_refused_before_training(run_recipe, tmp_path, hub):
    result = run_recipe(
        *("doccls", *TRAIN, "--push_to_hub", "true"),
        env=offline_env(hub, tmp_path / "home", token=False),
    )

    assert result.status == 1 and "hf auth login" in result.error
    assert not (tmp_path / "out").exists()


def test_prefetch_on_a_login_node_lets_a_compute_node_start_without_a_network(
    run_recipe, tmp_path, hub
):
    model = run_recipe("doccls", *TRAIN, env={})
    assert model.status == 0, model.stderr
    files = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.name in PUSHED}
    hub.add_repo("tester/base", files)
    config = tmp_path / "설정.yaml"
    config.write_text(
        "corpus: sample_reviews\nmodel_name_or_path: tester/base\nmax_train_samples: 32\n"
        "num_train_epochs: 1\nbaselines: false\n",
        encoding="utf-8",
    )
    online = {**os.environ, **offline_env(hub, tmp_path / "home")}
    fetched = subprocess.run(
        [sys.executable, "-m", "nlpbook_data", "prefetch", "--config", str(config)],
        env=online,
        capture_output=True,
        text=True,
    )
    assert fetched.returncode == 0, fetched.stderr

    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    before = len(hub.requests)
    result = run_recipe(
        "doccls", "--config", config, "--output_dir", "node", env={**online, **offline}
    )
    assert result.status == 0, result.stderr
    assert len(hub.requests) == before
