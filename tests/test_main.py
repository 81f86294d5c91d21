"""The command nlpbook-data."""

import subprocess
import sys


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "nlpbook_data", *arguments], capture_output=True, text=True
    )


def test_list_says_what_there_is_and_what_is_on_disk(tmp_path):
    (tmp_path / "nsmc").mkdir()
    for name in ("ratings_train.txt", "ratings_test.txt"):
        (tmp_path / "nsmc" / name).touch()
    lines = command("list", "--corpus_dir", str(tmp_path)).stdout.splitlines()
    rows = {line.split()[0]: line.split() for line in lines}
    assert rows["nsmc"][1:5] == ["doccls", "200,000", "CC0-1.0", "yes"]
    assert rows["sample_reviews"][1:5] == ["doccls", "980", "CC0-1.0", "yes"]
    (tmp_path / "nsmc" / "ratings_test.txt").unlink()
    assert "  no  " in command("list", "--corpus_dir", str(tmp_path)).stdout


def test_show_prints_licence_origins_and_rows():
    done = command("show", "sample_reviews", "--rows", "2")
    assert done.returncode == 0
    assert "CC0-1.0" in done.stdout and "test: 200 rows" in done.stdout
    assert sum(line.startswith(("  긍정\t", "  부정\t")) for line in done.stdout.splitlines()) == 6


def test_an_unknown_name_is_an_error_with_the_nearest():
    done = command("show", "nsmcc")
    assert done.returncode == 1
    assert "error: There is no corpus 'nsmcc'. Did you mean nsmc?" in done.stderr
    assert "Traceback" not in done.stderr
