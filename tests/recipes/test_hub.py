"""Push and pull through the real client against a loopback double of the Hub."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import COMMAND, REPOSITORY
from hub_double import Repo
from saved import pretrained
from tasks import DOCCLS
from writing import written

from nlpbook_data import load_corpus

TRAIN = [*DOCCLS, "--num_train_epochs 1 --max_train_samples 64 --output_dir reviews"]
PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("metrics.json", "learning_curve.png", "confusion_matrix.png"),
}


def test_a_pushed_model_pulled_into_an_empty_cache_predicts_the_same(fork_online, tmp_path, hub):
    push = ["--push_to_hub true --hub_private_repo true", "--hub_token", hub.token]
    result = fork_online("doccls", *TRAIN, *push, token=False).expect()
    repo = hub.repos["tester/reviews"]
    assert repo.private and set(repo.files) == PUSHED
    for name, content in repo.files.items():
        for secret in (str(tmp_path), hub.token, str(Path.home())):
            assert secret.encode() not in content, f"{secret} in {name}"
    assert 'model="tester/reviews"' in repo.files["README.md"].decode()  # runs as pasted
    assert hub.token not in result.stdout + result.stderr + json.dumps(result.run.record)

    command = ["doccls", "--do_train false --do_eval false --corpus sample_reviews"]
    command += ["--model_name_or_path tester/reviews --output_dir pulled"]
    pulled = fork_online(*command).expect().run
    assert pulled.rows == result.run.rows
    fork_online(*command, token=False).expect(1, "tester/reviews")


def test_a_failed_push_keeps_everything_and_the_same_command_pushes_again(fork_online, hub):
    hub.fail_commit = 403
    command = ["doccls", *TRAIN, "--push_to_hub true --hub_model_id tester/reviews"]
    run = fork_online(*command).expect(1, "push failed", "--resume auto").run
    weights = (run / "model.safetensors").read_bytes()
    assert run.record["status"] == "finished"

    hub.fail_commit = None
    again = fork_online(*command, "--resume auto").expect()
    assert "nothing is trained" in again.stderr
    assert hub.repos["tester/reviews"].files["model.safetensors"] == weights


def test_a_run_pushed_later_pushes_what_its_own_push_would(fork_online, tmp_path, hub):
    fork_online("doccls", *TRAIN, token=False).expect()
    push = [COMMAND, "push-run", "reviews"]
    fork_online(*push).expect()
    assert set(hub.repos["tester/reviews"].files) == PUSHED
    card = tmp_path / "reviews" / "README.md"
    assert 'model="tester/reviews"' in hub.repos["tester/reviews"].files["README.md"].decode()

    card.write_text(card.read_text(encoding="utf-8") + "고쳐 씀\n", encoding="utf-8")
    fork_online(*push, "--hub_model_id", "tester/other").expect()
    assert hub.repos["tester/other"].files["README.md"] == card.read_bytes()

    fork_online(*push, token=False).expect(1, "hf auth login")
    (tmp_path / "reviews" / "run.json").write_text('{"status": "interrupted"}', encoding="utf-8")
    fork_online(*push).expect(1, "interrupted")


def test_a_token_of_a_yaml_is_hidden_wherever_it_is_repeated(
    fork_online, tmp_path, hub, monkeypatch
):
    token = "abc123secret"  # nothing about it says that it is one
    monkeypatch.setattr(hub, "token", token)
    hub.fail_commit = 403
    settings = (REPOSITORY / "tests" / "recipes" / "tiny.yaml").read_text(encoding="utf-8")
    settings += f"hub_token: {token}\nhub_model_id: tester/{token}\npush_to_hub: true\n"
    config = written(tmp_path / "mine.yaml", settings)
    folder = tmp_path / f"{token}-run"
    options = ["--config", config, "--output_dir", folder]
    failed = fork_online("doccls", *TRAIN, *options, token=False).expect(1, "<token>")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert "run.json" in {path.name for path in files}
    assert not [path.name for path in files if token.encode() in path.read_bytes()]
    assert token not in failed.stdout + failed.stderr


@pytest.mark.parametrize("token", [(), ("--hub_token hf_wrong",)])
def test_a_push_that_could_not_be_is_refused_before_training(fork_online, token):
    result = fork_online("doccls", *TRAIN, "--push_to_hub true", *token, token=False)
    assert not result.expect(1, "hf auth login").run.folder.exists()


def test_prefetch_on_a_login_node_lets_a_compute_node_start_without_a_network(
    fork_recipe, fork_online, online, hub, hf_home, tmp_path
):
    base = pretrained(tmp_path / "base", auto="AutoModelForMaskedLM")
    written(base / "chat_template.jinja", "{{ messages[0].content }}")
    files = {path.name: path.read_bytes() for path in base.iterdir()}
    hub.repos["tester/base"] = Repo("tester/base", files=files)
    settings = written(
        tmp_path / "설정.yaml",
        "corpus: sample_reviews\nmodel_name_or_path: tester/base\nmax_train_samples: 32\n"
        "num_train_epochs: 1\nbaselines: false\n",
    )
    fork_online(COMMAND, "prefetch", "--config", settings).expect()

    before = len(hub.requests)
    shutil.copytree(online[1], hf_home, dirs_exist_ok=True, symlinks=True)  # of both nodes
    fork_recipe("doccls", "--config", settings, "--output_dir", "node").expect()
    assert (tmp_path / "node" / "chat_template.jinja").is_file()
    assert len(hub.requests) == before


# Corpora


def test_a_pushed_corpus_is_loaded_from_the_hub_with_its_types(nsmc, fork_online, hub, tmp_path):
    fork_online(COMMAND, "push", "nsmc", "--repo_id", "tester/nsmc", *nsmc).expect()
    repo = hub.repos["tester/nsmc"]
    assert repo.repo_type == "dataset" and not repo.private
    card = repo.files["README.md"].decode()
    assert "license: cc0-1.0" in card and "ratings_test.txt" in card
    for name, content in repo.files.items():
        assert str(tmp_path).encode() not in content, name
        assert hub.token.encode() not in content, name
    code = "from datasets import load_dataset; d = load_dataset('tester/nsmc')\n"
    code += "print({s: len(r) for s, r in d.items()}, d['test'].features['label'].names)"
    loaded = fork_online(written(tmp_path / "load.py", code).with_suffix("")).expect()
    rows = load_corpus("nsmc", tmp_path / "corpora", tmp_path / "cache", accept_files=True)
    sizes = {split: len(dataset) for split, dataset in rows.items()}
    assert loaded.stdout.strip() == f"{sizes} ['부정', '긍정']"


def test_a_corpus_that_may_not_be_passed_on_is_not_pushed_in_public(fork_online, hub):
    done = fork_online(COMMAND, "push", "modu_ne", "--repo_id tester/modu_ne")
    done.expect(1, "does not let it be passed on")
    assert not hub.repos


def test_what_is_to_be_private_is_not_pushed_where_all_can_see_it(fork_online, hub, tmp_path, nsmc):
    hub.repos["tester/open"] = Repo("tester/open")
    hub.repos["tester/data"] = Repo("tester/data", "dataset")
    fork_online("doccls", *TRAIN, token=False).expect()
    push = [COMMAND, "push-run", "reviews", "--hub_private_repo", "--hub_model_id", "tester/open"]
    data = [COMMAND, "push", "nsmc", "--private", "--repo_id", "tester/data", *nsmc]
    for command in (push, data):
        fork_online(*command).expect(1, "is there and public")
    assert not any(repo.files for repo in hub.repos.values())


def test_a_push_that_the_hub_refuses_is_one_message_without_the_token(nsmc, fork_online, hub):
    hub.fail_commit = 403
    done = fork_online(COMMAND, "push", "nsmc", "--repo_id tester/nsmc", *nsmc)
    done.expect(1, "tester/nsmc: the push failed (")
    assert hub.token not in done.stdout + done.stderr
