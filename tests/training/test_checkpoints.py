"""A checkpoint vouches for its files."""

import json

import pytest

from nlpbook_data.training.checkpoints import find_fault, mark_whole

FILES = {"model.safetensors": b"weights", "optimizer.pt": b"moments", "trainer_state.json": b""}


@pytest.fixture
def marked(tmp_path):
    """checkpoint-2 is the best, and checkpoint-4 the last."""
    for step in (2, 4):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        state = {"best_model_checkpoint": "elsewhere/checkpoint-2"}
        for name, content in FILES.items():
            (folder / name).write_bytes(content or json.dumps(state).encode())
        mark_whole(folder)
    return tmp_path / "checkpoint-4"


@pytest.mark.parametrize("name", [*FILES, "complete"])
@pytest.mark.parametrize("content", [None, b"", b"other"])
def test_a_file_that_is_not_as_it_was_is_named(marked, name, content):
    assert find_fault(marked, needs_best=True) == ""
    (marked / name).unlink()
    if content is not None:
        (marked / name).write_bytes(content)
    assert name in find_fault(marked, needs_best=True)


def test_the_best_counts_where_it_is_needed(marked):
    (marked.parent / "checkpoint-2" / "model.safetensors").write_bytes(b"")
    assert "checkpoint-2" in find_fault(marked, needs_best=True)
    assert find_fault(marked, needs_best=False) == ""
