"""Push and pull through the real client against a loopback double of the Hub."""

import json
from pathlib import Path

import pytest
import transformers
from conftest import COMMAND, DOCCLS
from hub_double import Repo

from nlpbook_data.training.arguments import resolve_package

TRAIN = [*DOCCLS, "--num_train_epochs", "1", "--max_train_samples", "64", "--output_dir", "reviews"]
PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("metrics.json", "learning_curve.png", "confusion_matrix.png"),
}


def test_a_pushed_model_pulled_into_an_empty_cache_predicts_the_same(fork_online, tmp_path, hub):
    push = ["--push_to_hub", "true", "--hub_private_repo", "true", "--hub_token", hub.token]
    result = fork_online("doccls", *TRAIN, *push, token=False)

    assert result.status == 0, result.stderr
    repo = hub.repos["tester/reviews"]
    assert repo.private and set(repo.files) == PUSHED
    for name, content in repo.files.items():
        for secret in (str(tmp_path), hub.token, str(Path.home())):
            assert secret.encode() not in content, f"{secret} in {name}"
    assert 'model="tester/reviews"' in repo.files["README.md"].decode()  # runs as pasted
    record = (tmp_path / "reviews" / "run.json").read_text(encoding="utf-8")
    assert hub.token not in result.stdout + result.stderr + record

    command = ["doccls", "--do_train", "false", "--do_eval", "false", "--corpus", "sample_reviews"]
    command += ["--model_name_or_path", "tester/reviews", "--output_dir", "pulled"]
    pulled = fork_online(*command)
    assert pulled.status == 0, pulled.stderr
    predictions = [(tmp_path / f / "predictions.jsonl").read_bytes() for f in ("reviews", "pulled")]
    assert predictions[0] == predictions[1]

    refused = fork_online(*command, token=False)
    assert refused.status == 1 and "tester/reviews" in refused.error


def test_a_failed_push_keeps_everything_and_the_same_command_pushes_again(
    fork_online, tmp_path, hub
):
    hub.fail_commit = 403
    command = ["doccls", *TRAIN, "--push_to_hub", "true", "--hub_model_id", "tester/reviews"]
    failed = fork_online(*command)

    assert failed.status == 1
    assert "push failed" in failed.error and "--resume auto" in failed.error
    weights = (tmp_path / "reviews" / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "reviews" / "run.json").read_text())["status"] == "finished"

    hub.fail_commit = None
    again = fork_online(*command, "--resume", "auto")

    assert again.status == 0, again.stderr
    assert "nothing is trained" in again.stderr
    assert hub.repos["tester/reviews"].files["model.safetensors"] == weights


def test_a_run_pushed_later_pushes_what_its_own_push_would(fork_online, tmp_path, hub):
    trained = fork_online("doccls", *TRAIN, token=False)
    assert trained.status == 0, trained.stderr
    push = [COMMAND, "push-run", "reviews"]
    first = fork_online(*push)
    assert first.status == 0, first.stderr
    assert set(hub.repos["tester/reviews"].files) == PUSHED
    card = tmp_path / "reviews" / "README.md"
    assert 'model="tester/reviews"' in hub.repos["tester/reviews"].files["README.md"].decode()

    card.write_text(card.read_text(encoding="utf-8") + "고쳐 씀\n", encoding="utf-8")
    other = fork_online(*push, "--hub_model_id", "tester/other")
    assert other.status == 0, other.stderr
    assert hub.repos["tester/other"].files["README.md"] == card.read_bytes()

    refused = fork_online(*push, token=False)
    assert refused.status == 1 and "hf auth login" in refused.stderr
    (tmp_path / "reviews" / "run.json").write_text('{"status": "interrupted"}', encoding="utf-8")
    refused = fork_online(*push)
    assert refused.status == 1 and "interrupted" in refused.stderr


@pytest.mark.parametrize("token", [(), ("--hub_token", "hf_wrong")])
def test_a_push_that_could_not_be_is_refused_before_training(fork_online, tmp_path, token):
    result = fork_online("doccls", *TRAIN, "--push_to_hub", "true", *token, token=False)

    assert result.status == 1 and "hf auth login" in result.error
    assert not (tmp_path / "reviews").exists()


def test_prefetch_on_a_login_node_lets_a_compute_node_start_without_a_network(
    run_recipe, fork_online, online, hub, tmp_path
):
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        resolve_package("package:models/tiny_encoder")
    )
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(tmp_path / "base")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=len(tokenizer), intermediate_size=64, **sizes)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "base")
    files = {path.name: path.read_bytes() for path in (tmp_path / "base").iterdir()}
    hub.repos["tester/base"] = Repo("tester/base", files=files)
    settings = tmp_path / "설정.yaml"
    settings.write_text(
        "corpus: sample_reviews\nmodel_name_or_path: tester/base\nmax_train_samples: 32\n"
        "num_train_epochs: 1\nbaselines: false\n",
        encoding="utf-8",
    )
    fetched = fork_online(COMMAND, "prefetch", "--config", settings)
    assert fetched.status == 0, fetched.stderr

    before = len(hub.requests)
    offline = {**hub.env(online[1]), "HF_HUB_OFFLINE": "1"}
    result = run_recipe("doccls", "--config", settings, "--output_dir", "node", env=offline)
    assert result.status == 0, result.stderr
    assert (tmp_path / "node" / "chat_template.jinja").is_file()
    assert len(hub.requests) == before
