"""The notebooks run from beginning to end, and are stored as their authors wrote them."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_notebooks_hold_no_outputs_and_nothing_of_this_machine():
    assert len(NOTEBOOKS) == 7
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, nbformat.NO_CONVERT)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            where = f"{path.name}, {cell.id}"
            assert not cell.get("outputs") and cell.get("execution_count") is None, where
            assert not any(root in cell.source for root in ("/root", "/home", "/Users")), where


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_an_empty_folder(path, tmp_path, hf_home, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(hf_home))
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=500, kernel_name="python3", resources=where).execute()
    texts = [o.text for c in notebook.cells for o in c.get("outputs", []) if "text" in o]
    assert not any("Traceback" in text for text in texts)
    saved = list((tmp_path / "outputs").glob("notebook_*/**/model.safetensors"))
    assert saved and saved[0].stat().st_size > 100_000
    shown = [o.data.get("text/html", "") for o in notebook.cells[-1].outputs if "data" in o]
    assert any('<iframe src="http://127.0.0.1:' in page for page in shown)  # of the extra test
