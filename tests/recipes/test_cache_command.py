"""The command prepares its data again if, and only if, what they are made from has changed."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import spy
from conftest import REPOSITORY
from tasks import DOCCLS, NO_CHOICE
from writing import read_json, read_rows

ROWS = {"train": 12, "validation": 6, "test": 6}
PARSER = """
import os

from datasets import ClassLabel, Features, Value

from nlpbook_data.corpora._toy_lines import cells
from nlpbook_data.corpora.declaration import Corpus, Split

CORPUS = Corpus(
    name="toy",
    task="doccls",
    title="장난감",
    features=Features(text=Value("string"), label=ClassLabel(names=["부정", "긍정"])),
    splits={
        split: Split(f"{split}.txt", files=(f"{split}.txt",))
        for split in ("train", "validation", "test")
    },
    license="CC0-1.0",
    homepage="",
    version=int(os.environ.get("TOY_VERSION", "1")),
)


def parse(files):
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            label, text = cells(line)
            yield {"text": text, "label": int(label)}
"""
HELPER = """
def cells(line):
    return line.split(" ", 1)
"""


class Toy:
    """A corpus, a tokenizer, a cache and a package of its own, all in one folder."""

    def __init__(self, folder: Path, fork_recipe: Callable, run_recipe: Callable):
        self.folder, self.fork_recipe, self.run_recipe = folder, fork_recipe, run_recipe
        self.package = folder / "site" / "nlpbook_data"
        self.files = folder / "corpora" / "toy"
        self.tokenizer = folder / "tokenizer"
        self.cache = folder / "cache"

    @classmethod
    def new(cls, folder: Path, *recipes: Callable) -> "Toy":
        toy = cls(folder, *recipes)
        ignored = shutil.ignore_patterns("__pycache__", "encoder", "decoder", "reviews", "answers")
        shutil.copytree(REPOSITORY / "nlpbook_data", toy.package, ignore=ignored)
        (toy.package / "corpora" / "toy.py").write_text(PARSER, encoding="utf-8")
        (toy.package / "corpora" / "_toy_lines.py").write_text(HELPER, encoding="utf-8")
        shutil.copytree(toy.package / "models" / "tiny_encoder", toy.tokenizer)
        toy.files.mkdir(parents=True)
        for split, count in ROWS.items():
            lines = [
                f"{i % 2} {split} 후기 {i}번, 배송이 빨라서 마음에 들어요" for i in range(count)
            ]
            (toy.files / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
        return toy

    def run(
        self, *options: Any, fork: bool = True, cwd: Path | None = None, **watch: Any
    ) -> "Outcome":
        number = len(list(self.folder.glob("watched-*")))
        watched, out = self.folder / f"watched-{number}", self.folder / f"out-{number}"
        variables = watch.pop("variables", {})
        env = spy.environment(watched, package=self.package.parent, **watch) | variables
        arguments = [
            *(*DOCCLS, "--corpus", "toy", "--corpus_dir", self.files.parent),
            *("--tokenizer_name", self.tokenizer, "--cache_dir", self.cache),
            *("--num_train_epochs", 1, "--per_device_train_batch_size", 4, "--output_dir", out),
            *NO_CHOICE,
            *options,
        ]
        if fork:
            result = self.fork_recipe(spy.wrapper(watched), *arguments, env=env, cwd=cwd)
        else:
            result = self.run_recipe("doccls", *arguments, env=env, cwd=cwd)
        if watch.get("kill"):
            assert result.status == -9
            return Outcome(sum(spy.tokenized(watched).values()), [], [])
        assert result.status == 0, result.stderr
        batches = spy.trained(watched)
        assert {batch["package"] for batch in batches} == {str(self.package / "__init__.py")}
        return Outcome(
            sum(spy.tokenized(watched).values()),
            [row for batch in batches for row in batch["rows"]],
            [row["text"] for row in read_rows(out / "predictions.jsonl")],
        )

    def entries(self) -> list[Path]:
        """The cache's entries of the corpus: its rows and, beside them, what `map` made of them."""
        return sorted(p for p in (self.cache / "nlpbook/corpora/toy").iterdir() if p.is_dir())

    @property
    def entry(self) -> Path:
        [entry] = self.entries()
        return entry


@dataclass
class Outcome:
    """Rows tokenized, token ids trained on, texts predicted."""

    tokenized: int
    trained: list[list[int]]
    texts: list[str]


@pytest.fixture(scope="module")
def memory() -> dict[str, Any]:
    return {}


@pytest.fixture
def toy(
    memory: dict,
    fork_recipe: Callable,
    run_recipe: Callable,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Toy:
    """A copy, at a path of its own, of a toy that has run once."""
    if not memory:
        first = Toy.new(tmp_path_factory.mktemp("toy"), fork_recipe, run_recipe)
        memory |= {"folder": first.folder, "outcome": first.run()}
        assert memory["outcome"].tokenized == sum(ROWS.values())
    shutil.copytree(memory["folder"], tmp_path / "toy")
    return Toy(tmp_path / "toy", fork_recipe, run_recipe)


@pytest.fixture
def before(toy: Toy, memory: dict) -> Outcome:
    """Outcome of the run that filled the cache."""
    return memory["outcome"]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_raw_file(toy: Toy) -> None:
    edit(toy.files / "train.txt", "0 train 후기 0번", "0 train 후기 9번")  # of the same size


def edit_parser(toy: Toy) -> None:
    edit(toy.package / "corpora" / "toy.py", '"text": text,', '"text": text + "!",')


def edit_helper(toy: Toy) -> None:
    edit(
        toy.package / "corpora" / "_toy_lines.py",
        'split(" ", 1)',
        'replace("후", "후후").split(" ", 1)',
    )


def edit_features(toy: Toy) -> None:
    edit(
        toy.package / "features" / "doccls.py",
        'nfc(batch["text"])',
        '[text[1:] for text in nfc(batch["text"])]',
    )


def edit_tokenizer(toy: Toy) -> None:
    path = toy.tokenizer / "tokenizer.json"
    content = read_json(path)
    ids = content["model"]["vocab"]
    ids[","], ids["이"] = ids["이"], ids[","]
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    "change", [edit_raw_file, edit_parser, edit_helper, edit_features, edit_tokenizer]
)
def test_changed_ingredient_is_prepared_again(toy, before, change):
    change(toy)
    after = toy.run()
    assert after.tokenized == sum(ROWS.values())
    assert sorted(after.trained) != sorted(before.trained)  # its effect has reached the model


def test_changed_argument_is_prepared_again(toy, before):
    after = toy.run("--max_length", 8)
    assert after.tokenized == sum(ROWS.values())
    assert max(map(len, before.trained)) > 8 == max(map(len, after.trained))


def test_raised_corpus_version_parses_again(toy):
    entries = toy.entries()
    after = toy.run(variables={"TOY_VERSION": "2"})
    assert after.tokenized == sum(ROWS.values())
    assert len(toy.entries()) == len(entries) + 1


def test_features_and_tokenizer_do_not_parse_again(toy):
    edit_features(toy)
    edit_tokenizer(toy)
    entries = toy.entries()
    toy.run()
    assert toy.entries() == entries


def test_raw_file_changed_in_place_between_runs_is_noticed(toy, before):
    old = toy.files / "train.txt"
    assert toy.run().tokenized == 0  # its hash is remembered now
    inode = old.stat().st_ino
    edit_raw_file(toy)
    assert old.stat().st_ino == inode
    after = toy.run()
    assert after.tokenized == sum(ROWS.values())
    assert sorted(after.trained) != sorted(before.trained)


def test_nothing_changed_at_another_path_prepares_nothing(toy, before, tmp_path):
    elsewhere = tmp_path / "다른 곳"
    elsewhere.mkdir()
    after = toy.run(cwd=elsewhere)
    assert after.tokenized == 0
    assert (after.trained, after.texts) == (before.trained, before.texts)


def test_touched_files_and_comments_prepare_nothing(toy):
    for path in (*toy.files.iterdir(), *toy.tokenizer.iterdir()):
        os.utime(path, (1, 1))
    for path in ("corpora/toy.py", "corpora/_toy_lines.py", "features/doccls.py"):
        source = toy.package / path
        text = "# 주석\n\n" + source.read_text(encoding="utf-8")
        source.write_text(text.replace("    return", "    # 주석\n    return"), encoding="utf-8")
    assert toy.run().tokenized == 0


def test_truncated_entry_is_made_again(toy, before):
    arrow = toy.entry / "test.arrow"
    size = arrow.stat().st_size
    os.truncate(arrow, size // 2)
    after = toy.run()
    assert (after.trained, after.texts) == (before.trained, before.texts)
    assert arrow.stat().st_size == size


def test_truncated_tokens_are_named_and_made_again_when_asked(toy, before):
    for path in toy.entry.glob("cache-*.arrow"):
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(AssertionError, match="error: .*--overwrite_cache true"):
        toy.run()
    after = toy.run("--overwrite_cache", "true")
    assert after.tokenized == sum(ROWS.values())
    assert (after.trained, after.texts) == (before.trained, before.texts)


def test_killed_while_tokenizing_and_run_again_is_as_if_undisturbed(toy, before):
    kept = {path.name for path in toy.entry.glob("cache-*.arrow")}
    for name in kept:
        (toy.entry / name).unlink()
    tokenizer = "transformers.tokenization_utils_base:PreTrainedTokenizerBase.__call__"
    toy.run(kill=f"{tokenizer}:3")  # train and validation are done
    assert {path.name for path in toy.entry.glob("cache-*.arrow")} < kept
    after = toy.run()
    assert 0 < after.tokenized < sum(ROWS.values())
    assert (after.trained, after.texts) == (before.trained, before.texts)
    assert {path.name for path in toy.entry.glob("cache-*.arrow")} == kept


@pytest.mark.long
def test_two_runs_that_start_at_once_do_not_disturb_each_other(toy, tmp_path, before):
    shutil.rmtree(toy.cache)
    other = Toy(tmp_path / "other", toy.fork_recipe, toy.run_recipe)
    shutil.copytree(toy.folder, other.folder)
    other.cache = toy.cache
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(t.run, fork=False, slow=1.5) for t in (toy, other)]
        outcomes = [run.result() for run in runs]
    for outcome in outcomes:
        assert (outcome.trained, outcome.texts) == (before.trained, before.texts)
