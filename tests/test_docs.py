"""The pages of tasks show what their code prints, and the site builds without a warning."""

import os
import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY


@pytest.mark.long
def test_pages_of_tasks_show_what_their_code_prints(hf_home):
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "docs" / "batches.py"), "--check"],
        env={**os.environ, "HF_HOME": str(hf_home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 10
    loaded = re.compile(r'(?:\bsrc|<link[^>]*\bhref)="https?://')
    assert not [page for page in pages if loaded.search(page.read_text(encoding="utf-8"))]
