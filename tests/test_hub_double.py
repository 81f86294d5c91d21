"""The Hub's test double, seen by the real client (each test runs it in a fresh process)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_double import HubDouble, card_faults

PUSH = """
import sys
from huggingface_hub import HfApi
repo_id, folder, private = sys.argv[1:]
api = HfApi()
api.create_repo(repo_id, private=private == "private", exist_ok=True)
api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=["*.json", "*.md", "*.bin"])
"""
PULL = "import sys, huggingface_hub as h; print(h.snapshot_download(sys.argv[1]), end='')"
FILES = {
    "README.md": b"---\nlanguage: ko\ntags:\n- nlpbook\n---\n# A model\n",
    "config.json": b'{"model_type": "bert", "hidden_size": 48}',
    "sub folder/weights.bin": bytes(range(256)) * 400,
    "empty.bin": b"",
}


@pytest.fixture
def hub() -> Iterator[HubDouble]:
    with HubDouble() as double:
        yield double


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in (FILES | {"left out.txt": b"no"}).items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "folder"


def client(env: dict[str, str], code: str, *args: object) -> str:
    """What `code` prints in a fresh process; its traceback when it raises."""
    command = [sys.executable, "-c", code, *map(str, args)]
    run = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=60)
    return run.stdout if run.returncode == 0 else run.stderr


@pytest.mark.parametrize("xet", [False, True])
@pytest.mark.parametrize("visibility", ["public", "private"])
def test_pushes_and_pulls_byte_for_byte(
    hub: HubDouble, folder: Path, tmp_path: Path, visibility: str, xet: bool
) -> None:
    env = hub.env(tmp_path / "home", xet=xet)
    assert client(env, PUSH, "tester/m", folder, visibility) == ""
    repo = hub.repos["tester/m"]
    assert (repo.files, repo.private, repo.repo_type) == (FILES, visibility == "private", "model")
    assert ("POST", "/api/models/tester/m/commit/main", 200, True) in hub.requests
    pulled = Path(client(hub.env(tmp_path / "empty"), PULL, "tester/m"))
    found = [path for path in pulled.rglob("*") if path.is_file()]
    assert {path.relative_to(pulled).as_posix(): path.read_bytes() for path in found} == FILES
    assert client(env, PUSH, "tester/m", folder, visibility) == ""
    titles = [commit.title for commit in repo.commits]  # an unchanged folder makes no commit
    assert titles == ["initial commit", "Upload folder using huggingface_hub"]


def test_private_repo_is_hidden(hub: HubDouble, tmp_path: Path) -> None:
    hub.add_repo("tester/secret", FILES, private=True)
    said = client(hub.env(tmp_path, token=False), PULL, "tester/secret")
    assert "RepositoryNotFoundError: 401 Client Error" in said
    assert "401 Unauthorized" in client(hub.env(tmp_path, token="hf_wrong"), PULL, "tester/secret")
    assert "RepositoryNotFoundError: 404" in client(hub.env(tmp_path), PULL, "tester/none")
    assert {status for _, path, status, _ in hub.requests if "secret" in path} == {401}


def test_write_wants_the_token(hub: HubDouble, folder: Path, tmp_path: Path) -> None:
    env = hub.env(tmp_path, token=False)
    assert "401 Unauthorized" in client(env, PUSH, "tester/m", folder, "public")
    assert hub.repos == {}


@pytest.mark.parametrize(("status", "said"), [(500, "500 Internal"), (403, "403 Forbidden")])
def test_failing_commit_raises(
    hub: HubDouble, folder: Path, tmp_path: Path, status: int, said: str
) -> None:
    hub.fail_commit = status
    assert said in client(hub.env(tmp_path), PUSH, "tester/m", folder, "public")
    assert ("POST", "/api/models/tester/m/commit/main", status, True) in hub.requests
    assert hub.repos["tester/m"].files == {}


def test_auto_config(hub: HubDouble, tmp_path: Path) -> None:
    hub.add_repo("tester/m", {"config.json": FILES["config.json"]})
    code = "from transformers import AutoConfig as A; print(A.from_pretrained('tester/m'))"
    assert '"hidden_size": 48' in client(hub.env(tmp_path), code)


def test_load_dataset(hub: HubDouble, tmp_path: Path) -> None:
    csv = "text,label\n좋아요,1\n별로,0\n".encode()
    hub.add_repo("tester/d", {"train.csv": csv}, repo_type="dataset", private=True)
    code = "import datasets; print(datasets.load_dataset('tester/d')['train']['text'][:])"
    assert "['좋아요', '별로']" in client(hub.env(tmp_path), code)


def test_card_faults() -> None:
    assert card_faults(FILES["README.md"].decode()) == ([], [])
    assert card_faults("# No metadata")[1]
    assert card_faults("---\n- a list\n---\n")[0]
