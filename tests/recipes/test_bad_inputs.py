"""Bad input ends with a message, a status that is not 0 and a folder as it was; odd input works."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import DOCCLS, RECIPES
from filelock import FileLock
from safetensors.torch import load_file, save_file

from nlpbook_data.data.source import load_source
from nlpbook_data.errors import InputError
from nlpbook_data.training import DataArguments

BOM = b"\xef\xbb\xbf"
ROWS = [
    (f"{number}번째로 본 영화인데 {word}", label)
    for number in range(20)
    for word, label in (("정말 재미있어요", "긍정"), ("너무 지루해요", "부정"))
]
LAST = len(ROWS) + 1  # the line of the last row, after a header
TRAIN = [*DOCCLS, *("--num_train_epochs", "2", "--per_device_train_batch_size", "8")]
PREDICT = ["--do_train", "false", "--do_eval", "false"]
TRAINING = SimpleNamespace(do_train=True, do_eval=True, do_predict=True)
PREDICTION = SimpleNamespace(do_train=False, do_eval=False, do_predict=True)


def table(rows: list[tuple[str, str]] = ROWS, separator: str = ",", header: str = "") -> str:
    lines = [header or f"text{separator}label", *(separator.join(row) for row in rows)]
    return "".join(f"{line}\n" for line in lines)


def jsonl(rows: list[tuple[str, str]] = ROWS) -> str:
    return "".join(
        json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n"
        for text, label in rows
    )


def parquet(texts: list, labels: list) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": texts, "label": labels}), sink)
    return sink.getvalue()


TEXTS, LABELS = (list(column) for column in zip(*ROWS, strict=True))
CSV, TSV, JSONL, PARQUET = table(), table(separator="\t"), jsonl(), parquet(TEXTS, LABELS)
LONG = "가" * (10_000_000 // 3)


def listing(folder: Path) -> dict[str, str | None]:
    """Return the sha256 of every file under `folder`; None for a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def finished(fork_recipe: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on good files, made once a session; nobody writes to it."""
    folder = tmp_path_factory.getbasetemp() / "finished"
    if not (folder / "run").exists():
        folder.mkdir(exist_ok=True)
        (folder / "train.csv").write_text(CSV, encoding="utf-8")
        arguments = (*TRAIN, "--train_file", "train.csv", "--output_dir", "run")
        result = fork_recipe("doccls", *arguments, cwd=folder)
        assert result.status == 0, result.stderr
    return folder / "run"


@pytest.fixture
def refuse(fork_recipe: Callable, finished: Path, tmp_path: Path) -> Callable[..., str]:
    """Run the recipe beside a finished run on what it must refuse; return its message.

    Nothing is written, and the run stays as it was.
    """

    def run(*arguments: object, script: str = "doccls", env: dict | None = None) -> str:
        outputs = Path(shutil.copytree(finished, tmp_path / "outputs" / "finished")).parent
        before = listing(outputs)
        result = fork_recipe(
            script, *arguments, "--output_dir", outputs / "new", cwd=tmp_path, env=env
        )
        assert result.status == 1, result.stderr
        assert "Traceback" not in result.stderr, result.stderr
        assert listing(outputs) == before
        assert result.stdout == ""
        assert 20 < len(result.error) < 600
        return result.error

    return run


def recipe_after(code: str, folder: Path) -> str:
    """Write a script that runs `code` and then the recipe; return its name for `fork_recipe`."""
    script = folder / "after.py"
    recipe = str(RECIPES / "doccls.py")
    script.write_text(f"import runpy\n{code}\nrunpy.run_path({recipe!r}, run_name='__main__')\n")
    return str(script.with_suffix(""))


def assert_parts(message: str, parts: tuple[str, ...]) -> None:
    for part in parts:
        assert part in message, message


# Files

LINE = LAST + 1
BAD_FILES: dict[str, tuple[str, bytes | str, tuple[str, ...]]] = {
    "empty": ("a.csv", b"", ("the file is empty", "rows", "header")),
    "only a BOM": ("a.csv", BOM, ("the file is empty",)),
    "parquet damaged inside": (
        "a.parquet",
        PARQUET[:60] + bytes(200) + PARQUET[260:],
        ("not a whole parquet file",),
    ),
    "jsonl cut": ("a.jsonl", JSONL[:-20], (f"line {LAST - 1}:", "not JSON", "one object")),
    "jsonl with a key twice": (
        "a.jsonl",
        JSONL + '{"text": "글", "label": "긍정", "text": "다른 글"}\n',
        (f"line {LAST}:", "'text'", "twice"),
    ),
    "UTF-16 without BOM": ("a.csv", CSV.encode("utf-16-be"), ("line 1", "NUL", "UTF-8")),
    "wrong columns": (
        "a.csv",
        table(header="texts,labels"),
        ("'text'", "texts, labels", "Did you mean texts?", "--text_column_name"),
    ),
    "NUL bytes": ("a.csv", CSV + "빈\0글,긍정\n", (f"line {LINE}", "NUL")),
    "NUL bytes, tsv": ("a.tsv", TSV + "\0\0\0\n", (f"line {LINE}", "NUL")),
    "one class": ("a.csv", table(ROWS[::2]), ("1 label (긍정)", "two or more")),
    "a class a row": (
        "a.csv",
        table([(str(number), f"{number}번") for number in range(1500)]),
        ("1,500 different labels", "--label_column_name"),
    ),
    "label empty, csv": ("a.csv", CSV + "레이블 없음,\n", (f"line {LINE}:", "label is missing")),
    "label null, jsonl": (
        "a.jsonl",
        JSONL + '{"text": "글", "label": null}\n',
        (f"line {LAST}:", "label is missing", "Mend or drop"),
    ),
    "label NaN, parquet": (
        "a.parquet",
        parquet(["글", "다른 글", "새 글"], [0.0, 1.0, float("nan")]),
        ("row 3:", "label is missing"),
    ),
    "several labels": (
        "a.jsonl",
        JSONL + '{"text": "글", "label": ["긍정", "부정"]}\n',
        (f"line {LAST}:", "list of labels", "--multi_label true"),
    ),
    "text empty": ("a.csv", CSV + ",긍정\n", (f"line {LINE}:", "the text is empty")),
    "text of blanks": ("a.tsv", TSV + "\u3000 \t긍정\n", (f"line {LINE}:", "the text is empty")),
    "10 MB line, csv": ("a.csv", CSV + f"{LONG},긍정\n", (f"line {LINE}:", "1000000")),
    "10 MB line, jsonl": (
        "a.jsonl",
        JSONL + jsonl([(LONG, "긍정")]),
        (f"line {LAST}:", "3,333,333", "missing line break"),
    ),
    "10 MB of no JSON": ("a.jsonl", JSONL + LONG + "\n", (f"line {LAST}:", "not JSON")),
    "10 MB of header": ("a.tsv", LONG, ("no column 'text'",)),
    "too few rows to carve": ("a.csv", table(ROWS[:4]), ("no row is left for", "_file")),
}


def write(folder: Path, case: tuple[str, bytes | str, object]) -> Path:
    name, content, _ = case
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_train_file_is_refused(tmp_path: Path, case: str) -> None:
    path = write(tmp_path, BAD_FILES[case])
    with pytest.raises(InputError) as error:
        load_source(DataArguments(train_file=path, cache_dir=str(tmp_path / "cache")), TRAINING)
    assert path.name in str(error.value)
    assert_parts(str(error.value), BAD_FILES[case][2])


@pytest.mark.parametrize("case", ["empty", "parquet damaged inside", "label empty, csv"])
def test_the_recipe_says_so_and_writes_nothing(
    fork_recipe: Callable, refuse: Callable, tmp_path: Path, case: str
) -> None:
    arguments = [*TRAIN, "--train_file", write(tmp_path, BAD_FILES[case])]
    assert_parts(refuse(*arguments), BAD_FILES[case][2])
    result = fork_recipe("doccls", *arguments, "--output_dir", "new")
    assert result.status == 1
    assert not (tmp_path / "new").exists()


def test_missing_file_is_refused(refuse: Callable) -> None:
    message = refuse(*TRAIN, "--train_file", "내 자료/없음.csv")
    assert_parts(message, ("내 자료/없음.csv: no such file", "Check the path"))


def test_missing_validation_file_is_refused_before_train_is_read(
    refuse: Callable, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(table(ROWS[::2]), encoding="utf-8")
    message = refuse(*TRAIN, "--train_file", "a.csv", "--validation_file", "b.csv")
    assert "b.csv: no such file" in message


def test_labels_on_some_test_rows_only_are_refused(refuse: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "b.csv").write_text(CSV + "글,\n", encoding="utf-8")
    message = refuse(*TRAIN, "--train_file", "a.csv", "--test_file", "b.csv")
    assert f"b.csv, line {LINE}: the label is missing" in message


# Arguments

NO_MODEL = ("--from_scratch", "true")
BAD_ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "corpus": (("--corpus", "sample_review"), ("'sample_review'", "Did you mean sample_reviews")),
    "option": (("--learning_rats", "1"), ("--learning_rats", "Did you mean --learning_rate")),
    "option with =": (("--learning_rats=1",), ("--learning_rats.", "--learning_rate")),
    "abbreviation": (("--learning_rat", "1"), ("no option --learning_rat.", "--learning_rate")),
    "word without option": (("nsmc",), ("'nsmc' belongs to no option", "quote")),
    "word after a value": (("--seed", "1", "2"), ("2",)),
    "option without value": (("--corpus",), ("--corpus", "expected one argument")),
    "word for a number": (("--learning_rate", "abc"), ("--learning_rate", "'abc'", "float")),
    "word for a truth": (("--do_train", "perhaps"), ("--do_train", "perhaps")),
    "choice": (("--precision", "float23"), ("--precision", "'float23'", "float32")),
    "choice of Trainer": (("--eval_strategy", "epochs"), ("epochs", "epoch")),
    "strategies that differ": (("--save_strategy", "steps"), ("strategy",)),
    "two sources": (
        ("--corpus", "sample_reviews", "--train_file", "a.csv"),
        ("--corpus and --train_file", "exactly one"),
    ),
    "no data": (
        ("--model_name_or_path", "package:models/tiny_encoder", *NO_MODEL),
        ("Nothing names the data", "--corpus", "--train_file"),
    ),
    "no such part of the package": (
        ("--model_name_or_path", "package:models/encode", "--corpus", "sample_reviews"),
        ("package:models/encode", "ships"),
    ),
    "no train rows": (("--max_train_samples", "0"), ("--max_train_samples 0", "1 or more")),
    "no test rows": (("--max_predict_samples", "-1"), ("--max_predict_samples -1", "1 or more")),
    "length": (("--max_length", "4"), ("--max_length 4", "8 or more")),
    "seed twice": (("--seeds", "3", "4", "3"), ("--seeds 3 4 3", "twice")),
    "resume": (("--resume", "checkpoint-9"), ("--resume checkpoint-9", "auto or never")),
    "metric": (("--metric_for_best_model", "f1_macro"), ("f1_macro", "macro_f1")),
    "no epochs": (("--num_train_epochs", "0"), ("--num_train_epochs 0.0", "from")),
    "no batch": (("--per_device_train_batch_size", "0"), ("_train_batch_size 0", "1 or more")),
    "rate below zero": (("--learning_rate", "-1"), ("--learning_rate -1.0", "0 or more")),
    "rate that is no number": (("--learning_rate", "nan"), ("--learning_rate nan", "0 or more")),
    "share above one": (("--label_smoothing_factor", "3"), ("factor 3.0", "from 0 to 1")),
    "seed below zero": (("--seeds", "1", "-1"), ("--seeds [1, -1]", "from 0 to 4,294,967,295")),
    "order of rows": (("--train_sampling_strategy", "length"), ("'length'", "group_by_length")),
    "drop of rows": (("--dataloader_drop_last", "true"), ("--dataloader_drop_last", "cannot")),
    "empty value": (("--output_dir=",), ("--output_dir has an empty value",)),
    "reporter": (("--report_to", "paper"), ("--report_to paper", "tensorboard")),
    "precision of another device": (("--precision", "fp16", "--use_cpu"), ("fp16", "float32")),
    "cache under a file": (("--cache_dir", "/dev/null"), ("/dev/null", "--cache_dir")),
    "patience without evaluation": (
        ("--early_stopping_patience", "1", "--eval_strategy", "no", "--save_strategy", "no")
        + ("--load_best_model_at_end", "false"),
        ("--early_stopping_patience", "--eval_strategy"),
    ),
    "adapters nowhere": (
        ("--lora", "true", "--lora_target_modules", "nowhere"),
        ("--lora_target_modules nowhere",),
    ),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_argument_is_refused(refuse: Callable, case: str) -> None:
    arguments, parts = BAD_ARGUMENTS[case]
    base = () if "--model_name_or_path" in arguments else DOCCLS
    assert_parts(refuse(*base, *arguments), parts)


BAD_YAML: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "unknown key": ("learning_rte: 1\n", ("a.yaml", "'learning_rte'", "learning_rate")),
    "key with dashes": ("learning-rate: 1\n", ("'learning-rate'", "learning_rate")),
    "not YAML": ("corpus: [nsmc\nseed: 7\n", ("a.yaml, line 2: not YAML", "bracket")),
    "no mapping": ("corpus\n", ("a.yaml", "name: value")),
    "empty": ("", ("a.yaml", "name: value")),
    "cp949": ("run_name: 실험\n".encode("cp949"), ("a.yaml", "not a YAML file")),
    "choice": ("precision: float23\n", ("a.yaml", "precision", "float23", "float32")),
    "word for a number": (
        "learning_rate: abc\n",
        ("a.yaml: learning_rate is 'abc', where a number",),
    ),
    "list for a number": ("seed: [1, 2]\n", ("a.yaml: seed is [1, 2], where a whole number",)),
    "word for a truth": (
        "do_train: perhaps\n",
        ("a.yaml: do_train is 'perhaps', where true or false",),
    ),
    "strategy unquoted": (
        "eval_strategy: no\n",
        ("a.yaml: eval_strategy is False, where a word in quotes",),
    ),
}


@pytest.mark.parametrize("case", BAD_YAML)
def test_bad_yaml_is_refused(refuse: Callable, tmp_path: Path, case: str) -> None:
    content, parts = BAD_YAML[case]
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "a.yaml").write_bytes(content)
    assert_parts(refuse("--config", "a.yaml"), parts)


def test_missing_yaml_is_refused(refuse: Callable, tmp_path: Path) -> None:
    assert_parts(refuse("--config", "a.yaml"), ("a.yaml: no such file", "--config"))
    assert list(tmp_path.glob("a*")) == []


# What the network would have to bring


def without_network() -> dict[str, str]:
    names = ("http_proxy", "https_proxy", "all_proxy")
    closed = {name: "http://127.0.0.1:9" for name in names}
    return closed | {name.upper(): value for name, value in closed.items()} | {"no_proxy": ""}


@pytest.mark.parametrize("name", ["klue/bert-base", "no-such-folder"])
def test_model_that_is_not_here_is_refused_without_network(refuse: Callable, name: str) -> None:
    message = refuse(
        *("--corpus", "sample_reviews", "--model_name_or_path", name), env=without_network()
    )
    assert_parts(message, (f"{name}: ", "could not be loaded", "a folder", "network"))


@pytest.mark.parametrize("name", ["/no/such/folder", "./model", "../model", "~/no-such-model"])
def test_model_folder_that_is_not_here_is_refused(refuse: Callable, name: str) -> None:
    message = refuse("--corpus", "sample_reviews", "--model_name_or_path", name)
    assert_parts(message, (f"{name}: no such folder", "Check the path"))


def test_hub_dataset_is_refused_without_network(refuse: Callable) -> None:
    message = refuse(*DOCCLS, "--dataset_name", "e9t/nsmc", env=without_network())
    assert_parts(message, ("dataset e9t/nsmc", "Check its name", "network"))


def test_corpus_is_refused_without_network_soon_and_leaves_nothing(
    refuse: Callable, tmp_path: Path
) -> None:
    corpora = tmp_path / "말뭉치"
    start = time.monotonic()
    message = refuse(*(*DOCCLS, "--corpus", "nsmc", "--corpus_dir", corpora), env=without_network())
    assert time.monotonic() - start < 20
    # both files come at once, and either may be the first to fail
    path = corpora / "nsmc" / "ratings_t"
    assert_parts(message, (".txt could not be fetched", "network", str(path)))
    assert not corpora.exists()


# Training that cannot go on


def test_loss_that_is_no_number_stops_the_run(fork_recipe: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    arguments = [*TRAIN, "--train_file", "a.csv", "--learning_rate", "1e30"]
    result = fork_recipe("doccls", *arguments, "--output_dir", "run")
    assert result.status == 1
    assert "Traceback" not in result.stderr
    assert_parts(result.error, ("The loss became", "step", "Lower --learning_rate"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["error"]) == ("failed", result.error)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    for path in (tmp_path / "run").rglob("*.safetensors"):
        assert all(weights.isfinite().all() for weights in load_file(path).values()), path


@pytest.mark.parametrize("step", [5, 7])
def test_weights_that_are_no_numbers_are_not_saved(
    fork_recipe: Callable, tmp_path: Path, step: int
) -> None:
    """The loss is finite and its gradient is not, before a checkpoint or in the last step."""
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    code = f"""
import transformers
step = transformers.Trainer.training_step
def training_step(self, model, *arguments, **options):
    loss = step(self, model, *arguments, **options)
    if self.state.global_step == {step}:
        for weights in model.parameters():
            weights.grad.fill_(float("nan"))
    return loss
transformers.Trainer.training_step = training_step
"""
    arguments = [*TRAIN, "--train_file", "a.csv", "--eval_strategy", "no", "--save_steps", "6"]
    arguments += ["--save_strategy", "steps", "--load_best_model_at_end", "false"]
    result = fork_recipe(recipe_after(code, tmp_path), *arguments, "--output_dir", "run")
    assert result.status == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert_parts(result.error, (f"The weights became nan by step {step + 1}.", "--learning_rate"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    for path in (tmp_path / "run").rglob("*.safetensors"):
        assert all(weights.isfinite().all() for weights in load_file(path).values()), path


def file_size_limit(size: int) -> str:
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"


def test_full_disk_while_the_cache_is_written(
    refuse: Callable, fork_recipe: Callable, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    cache = tmp_path / "cache"
    arguments = [*TRAIN, "--train_file", "a.csv"]
    script = recipe_after(file_size_limit(2000), tmp_path)
    message = refuse(*arguments, "--cache_dir", cache, script=script)
    assert_parts(message, (str(cache), "no space is left", "Free some"))
    assert not [path for path in cache.rglob("*") if path.suffix in (".arrow", ".partial")]
    result = fork_recipe("doccls", *arguments, "--cache_dir", cache, "--output_dir", "run")
    assert result.status == 0, result.stderr


def test_full_disk_while_a_checkpoint_is_written(fork_recipe: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    arguments = [*TRAIN, "--train_file", "a.csv", "--output_dir", "run"]
    result = fork_recipe(recipe_after(file_size_limit(150_000), tmp_path), *arguments)
    assert result.status == 1
    assert "Traceback" not in result.stderr, result.stderr
    assert_parts(result.error, ("no space is left", "the same command again"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    assert not list((tmp_path / "run").rglob("complete"))
    result = fork_recipe("doccls", *arguments)
    assert result.status == 0, result.stderr
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["resumed_from"]) == ("finished", None)
    assert "error" not in record


@pytest.fixture(scope="module")
def in_tmpfs() -> Callable[[Path, str], str]:
    """Return code that mounts a tmpfs for the recipe alone, and copies what it left there."""
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here ({error})")

    def code(folder: Path, options: str) -> str:
        folder.mkdir()
        return f"""
import ctypes, os, shutil, subprocess
assert ctypes.CDLL(None).unshare(0x00020000) == 0  # CLONE_NEWNS
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", {options!r}, "none", {str(folder)!r}], check=True)
recipe = os.fork()
if recipe:
    _, status = os.waitpid(recipe, 0)
    shutil.copytree({str(folder)!r}, {str(folder) + "-copy"!r})
    os._exit(os.waitstatus_to_exitcode(status))
"""

    return code


def test_real_full_disk_while_the_cache_is_written(
    fork_recipe: Callable, in_tmpfs: Callable, tmp_path: Path
) -> None:
    rows = [(f"{text} {number}", label) for number in range(50) for text, label in ROWS]
    (tmp_path / "a.csv").write_text(table(rows), encoding="utf-8")
    cache = tmp_path / "cache"
    script = recipe_after(in_tmpfs(cache, "size=64k"), tmp_path)
    result = fork_recipe(script, *TRAIN, "--train_file", "a.csv", "--cache_dir", cache)
    assert result.status == 1
    assert "Traceback" not in result.stderr, result.stderr
    assert_parts(result.error, (str(cache), "no space is left"))
    assert not (tmp_path / "outputs").exists()
    assert not list(Path(f"{cache}-copy").rglob("*.arrow"))


FILL = """
import transformers
step = transformers.Trainer.training_step
def training_step(self, *arguments, **options):
    if self.state.global_step == 6:
        free = shutil.disk_usage({0!r}).free
        with open(os.path.join({0!r}, "of a neighbour"), "wb") as file:
            file.write(bytes(free - 400_000))
    return step(self, *arguments, **options)
transformers.Trainer.training_step = training_step
"""


def test_real_full_disk_keeps_the_checkpoint_before(
    fork_recipe: Callable, in_tmpfs: Callable, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    disk = tmp_path / "disk"
    script = recipe_after(in_tmpfs(disk, "size=8m") + FILL.format(str(disk)), tmp_path)
    result = fork_recipe(script, *TRAIN, "--train_file", "a.csv", "--output_dir", disk / "run")
    assert result.status == 1
    assert "Traceback" not in result.stderr, result.stderr
    assert_parts(result.error, (str(disk / "run"), "no space is left", "the same command again"))
    left = Path(f"{disk}-copy") / "run"
    assert [path.parent.name for path in left.rglob("complete")] == ["checkpoint-4"]


def test_disk_too_small_for_the_checkpoints_is_refused_before_training(
    fork_recipe: Callable, in_tmpfs: Callable, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    disk = tmp_path / "disk"
    script = recipe_after(in_tmpfs(disk, "size=1m"), tmp_path)
    result = fork_recipe(script, *TRAIN, "--train_file", "a.csv", "--output_dir", disk / "run")
    assert result.status == 1
    assert_parts(result.error, (str(disk / "run"), "1 MB are free", "checkpoints need"))
    assert listing(Path(f"{disk}-copy")) == {}


# Signals


def signal_at(step: int, *names: str) -> str:
    """Return code that lets the recipe send itself signals in optimizer step `step`."""
    return f"""
import os, signal, transformers
step = transformers.Trainer.training_step
def training_step(self, *arguments, **options):
    if self.state.global_step == {step}:
        for name in {names!r}:
            os.kill(os.getpid(), getattr(signal, name))
    return step(self, *arguments, **options)
transformers.Trainer.training_step = training_step
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_in_training_saves_and_the_same_command_continues(
    fork_recipe: Callable, finished: Path, tmp_path: Path, name: str, status: int
) -> None:
    (tmp_path / "train.csv").write_text(CSV, encoding="utf-8")
    arguments = [*TRAIN, "--train_file", "train.csv", "--output_dir", "run"]
    result = fork_recipe(recipe_after(signal_at(5, name), tmp_path), *arguments)
    run = tmp_path / "run"
    assert result.status == status, result.stderr
    assert "Traceback" not in result.stderr
    assert_parts(result.error, ("Interrupted", "same command continues"))
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert not (run / "model.safetensors").exists()

    result = fork_recipe("doccls", *arguments)
    assert result.status == 0, result.stderr
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["resumed_from"]) == ("finished", "checkpoint-6")
    undisturbed = load_file(finished / "model.safetensors")
    continued = load_file(run / "model.safetensors")
    assert all(continued[name].equal(undisturbed[name]) for name in undisturbed)


def test_second_signal_stops_at_once(fork_recipe: Callable, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(CSV, encoding="utf-8")
    script = recipe_after(signal_at(5, "SIGINT", "SIGINT"), tmp_path)
    arguments = [*TRAIN, "--train_file", "train.csv", "--output_dir", "run"]
    result = fork_recipe(script, *arguments)
    assert result.status == 130, result.stderr
    assert "Traceback" not in result.stderr
    assert [p.name for p in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-4"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_before_training_writes_nothing(
    fork_recipe: Callable, finished: Path, tmp_path: Path, name: str, status: int
) -> None:
    code = f"""
import os, signal
from nlpbook_data.data import source as sources
load_source = sources.load_source
def interrupted(*arguments, **options):
    os.kill(os.getpid(), signal.{name})
    return load_source(*arguments, **options)
sources.load_source = interrupted
"""
    (tmp_path / "train.csv").write_text(CSV, encoding="utf-8")
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs / "finished")
    before = listing(outputs)
    for folder in ("finished", "new"):
        arguments = [*TRAIN, "--train_file", "train.csv", "--output_dir", outputs / folder]
        result = fork_recipe(recipe_after(code, tmp_path), *arguments)
        assert result.status == status, result.stderr
        assert "Traceback" not in result.stderr
        assert_parts(result.error, ("Interrupted before training", "nothing was written"))
        assert listing(outputs) == before


def test_signal_after_training_and_the_same_command_finishes(
    fork_recipe: Callable, finished: Path, tmp_path: Path
) -> None:
    code = """
import os, signal, transformers
predict = transformers.Trainer.predict
def interrupted(self, *arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    return predict(self, *arguments, **options)
transformers.Trainer.predict = interrupted
"""
    (tmp_path / "train.csv").write_text(CSV, encoding="utf-8")
    arguments = [*TRAIN, "--train_file", "train.csv", "--output_dir", "run"]
    result = fork_recipe(recipe_after(code, tmp_path), *arguments)
    assert result.status == 143, result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    result = fork_recipe("doccls", *arguments)
    assert result.status == 0, result.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    scores = [
        json.loads((run / "metrics.json").read_text()) for run in (tmp_path / "run", finished)
    ]
    assert scores[0] == scores[1]


# The output folder


def test_output_folder_under_a_file_is_refused(fork_recipe: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = listing(tmp_path)
    result = fork_recipe("doccls", *DOCCLS, "--output_dir", "file/run")
    assert result.status == 1
    assert "Traceback" not in result.stderr
    assert_parts(result.error, ("file/run: cannot be written", "another --output_dir"))
    assert listing(tmp_path) == before


def test_read_only_output_folder_is_refused(
    fork_recipe: Callable, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    disk, script = tmp_path / "disk", "doccls"
    if os.getuid() == 0:  # who may write everywhere but where nobody may
        script = recipe_after(request.getfixturevalue("in_tmpfs")(disk, "ro"), tmp_path)
    else:
        disk.mkdir(mode=0o555)
    result = fork_recipe(script, *DOCCLS, "--output_dir", disk / "run")
    assert result.status == 1
    assert "Traceback" not in result.stderr
    assert_parts(result.error, (f"{disk / 'run'}: cannot be written", "another --output_dir"))
    assert listing(disk) == {}


def test_folder_of_another_run_is_refused_and_the_difference_named(
    fork_recipe: Callable, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    before = listing(tmp_path)
    arguments = [*TRAIN, "--train_file", finished.parent / "train.csv", "--output_dir", "run"]
    result = fork_recipe("doccls", *arguments, "--learning_rate", "0.25")
    assert result.status == 1
    assert_parts(result.error, ("run: holds another run", "learning_rate 0.001 there, 0.25 here"))
    assert "--output_dir" in result.error
    assert listing(tmp_path) == before


def test_folder_of_foreign_files_is_refused(fork_recipe: Callable, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "가족.jpg").write_text("")
    before = listing(tmp_path)
    result = fork_recipe("doccls", *DOCCLS, "--output_dir", "photos")
    assert result.status == 1
    assert_parts(result.error, ("photos: holds files", "가족.jpg", "another --output_dir"))
    assert listing(tmp_path) == before


@pytest.mark.parametrize("when", ["at the start", "while the data was read"])
def test_folder_in_use_is_refused_and_left_alone(
    fork_recipe: Callable, finished: Path, tmp_path: Path, when: str
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    before = listing(tmp_path / "run")
    arguments = [*TRAIN, "--train_file", finished.parent / "train.csv", "--output_dir", "run"]
    lock, script = tmp_path / "run" / ".lock", "doccls"
    if when == "at the start":
        with FileLock(lock):
            result = fork_recipe(script, *arguments)
    else:
        code = f"""
import subprocess, sys
from nlpbook_data.data import source as sources
load_source = sources.load_source
def taken(*arguments, **options):
    hold = "lock = filelock.FileLock({str(lock)!r}); lock.acquire(); print(flush=True)"
    other = subprocess.Popen(
        [sys.executable, "-c", f"import sys, filelock; {{hold}}; sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    other.stdout.readline()
    sources.other = other
    return load_source(*arguments, **options)
sources.load_source = taken
"""
        result = fork_recipe(recipe_after(code, tmp_path), *arguments)
    assert result.status == 1
    assert "Traceback" not in result.stderr
    assert_parts(result.error, ("run: another process is writing a run here", "Wait"))
    assert listing(tmp_path / "run") == before


# Models


@pytest.fixture
def model(finished: Path, tmp_path: Path) -> Path:
    """A fine-tuned model's folder, to be spoiled."""
    ignored = shutil.ignore_patterns("run.json", "metrics.json", "*.jsonl", "*.png")
    return Path(shutil.copytree(finished, tmp_path / "model", ignore=ignored))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values))


def drop_weights(folder: Path, *prefixes: str) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith(prefixes)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def to_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


CLIP = '{"model_type": "clip", "projection_dim": 8}'
WAV2VEC2 = '{"model_type": "wav2vec2", "vocab_size": 2000, "hidden_size": 32}'
BAD_MODELS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "images": (
        lambda m: (m / "config.json").write_text(CLIP),
        ("./model: a model of the type clip", "no head", "BERT"),
    ),
    "speech": (
        lambda m: (m / "config.json").write_text(WAV2VEC2),
        ("./model: a model of the type wav2vec2", "no head", "BERT"),
    ),
    "unknown kind": (lambda m: change(m / "config.json", model_type="berd"), ("berd",)),
    "config cut": (lambda m: cut(m / "config.json", 50), ("model: ", "config.json")),
    "no config": (lambda m: (m / "config.json").unlink(), ("model: ", "config.json")),
    "weights cut": (lambda m: cut(m / "model.safetensors", 9000), ("model: ", "safetensors")),
    "weights empty": (lambda m: cut(m / "model.safetensors", 0), ("model: ", "safetensors")),
    "weights missing": (
        lambda m: (m / "model.safetensors").unlink(),
        ("model: ", "safetensors", "--from_scratch true"),
    ),
    "a layer missing": (
        lambda m: drop_weights(m, "bert.encoder.layer.0.output"),
        ("weights of the model are not in its file", "bert.encoder.layer.0.output", "another"),
    ),
    "weights of another architecture": (
        lambda m: change(m / "config.json", model_type="electra", embedding_size=32),
        ("weights of the model are not in its file", "electra.", "another"),
    ),
    "weights of another size": (
        lambda m: change(m / "config.json", intermediate_size=48),
        ("of another size", "bert.encoder.layer.0", "another"),
    ),
    "a pickle": (to_pickle, ("./model: the model could", "A pickle is not", "python -c")),
    "no vocabulary": (lambda m: (m / "tokenizer.json").unlink(), ("tokenizer", "tokenizer.json")),
    "vocabulary cut": (
        lambda m: cut(m / "tokenizer.json", 5000),
        ("./model: the tokenizer could not be loaded",),
    ),
    "vocabulary of another model": (
        lambda m: change(m / "config.json", vocab_size=900),
        ("2,000 words", "900", "own tokenizer"),
    ),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_model_is_refused(refuse: Callable, model: Path, case: str) -> None:
    spoil, parts = BAD_MODELS[case]
    spoil(model)
    message = refuse("--corpus", "sample_reviews", "--model_name_or_path", "./model")
    assert_parts(message, parts)


ENCODER = ("--model_name_or_path", "package:models/tiny_encoder", "--corpus", "sample_reviews")
SCRATCH = (*ENCODER, "--from_scratch", "true", "--config_overrides")
BAD_MODEL_ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "no weights": (ENCODER, ("package:models/tiny_encoder", "--from_scratch true")),
    "overrides without scratch": (
        (*ENCODER, "--config_overrides", "hidden_size=32"),
        ("--config_overrides", "--from_scratch true"),
    ),
    "unknown override": ((*SCRATCH, "hidden_sizes=32"), ("hidden_sizes", "config.json")),
    "override without value": ((*SCRATCH, "hidden_size"), ("name=value",)),
    "override of a wrong type": ((*SCRATCH, "hidden_size=big"), ("'big'", "name=value")),
    "override that cannot be": ((*SCRATCH, "hidden_size=33"), ("33", "heads")),
    "override of the labels": ((*SCRATCH, "num_labels=5"), ("num_labels", "the data")),
    "no name": (("--from_scratch", "true", "--config", "a.yaml"), ("--model_name_or_path",)),
    "no such tokenizer": (
        (*ENCODER, "--tokenizer_name", "./nothing"),
        ("./nothing: no such folder",),
    ),
    "attention": (
        (*ENCODER, "--from_scratch", "true", "--attn_implementation", "fast"),
        ("fast", "eager"),
    ),
}


@pytest.mark.parametrize("case", BAD_MODEL_ARGUMENTS)
def test_bad_model_argument_is_refused(refuse: Callable, tmp_path: Path, case: str) -> None:
    (tmp_path / "a.yaml").write_text("corpus: sample_reviews\n")
    arguments, parts = BAD_MODEL_ARGUMENTS[case]
    assert_parts(refuse(*arguments), parts)


def test_prediction_with_a_model_that_is_not_fine_tuned_is_refused(
    refuse: Callable, tmp_path: Path
) -> None:
    (tmp_path / "b.csv").write_text(CSV, encoding="utf-8")
    arguments = [*PREDICT, "--model_name_or_path", "package:models/tiny_encoder"]
    message = refuse(*arguments, "--test_file", "b.csv")
    assert_parts(message, ("package:models/tiny_encoder", "not fine-tuned", "finished run"))


def test_prediction_with_a_model_without_its_head_is_refused(
    refuse: Callable, model: Path, tmp_path: Path
) -> None:
    drop_weights(model, "classifier")
    (tmp_path / "b.csv").write_text(CSV, encoding="utf-8")
    message = refuse(*PREDICT, "--model_name_or_path", "./model", "--test_file", "b.csv")
    assert_parts(message, ("./model", "classifier", "not fine-tuned"))


def test_training_a_head_of_other_labels_further_is_refused_unless_it_may_be_replaced(
    refuse: Callable, fork_recipe: Callable, model: Path, tmp_path: Path
) -> None:
    rows = [(text, label + number) for text, label in ROWS for number in "12"]
    (tmp_path / "a.csv").write_text(table(rows), encoding="utf-8")
    arguments = ["--train_file", "a.csv", "--model_name_or_path", "./model"]
    message = refuse(*arguments)
    assert_parts(
        message, ("./model", "classifier", "other labels", "--ignore_mismatched_sizes true")
    )
    arguments += ["--num_train_epochs", "1", "--precision", "float32", "--baselines", "false"]
    result = fork_recipe("doccls", *arguments, "--ignore_mismatched_sizes", "true")
    assert result.status == 0, result.stderr


# What looks bad and is good


def predicted(
    fork_recipe: Callable, finished: Path, tmp_path: Path, *arguments: object
) -> tuple[list[dict], str]:
    """Return the rows of predictions.jsonl, and what was logged."""
    command = [*PREDICT, "--model_name_or_path", finished, "--precision", "float32", *arguments]
    result = fork_recipe("doccls", *command, "--output_dir", "predictions", cwd=tmp_path)
    assert result.status == 0, result.stderr
    with (tmp_path / "predictions" / "predictions.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines], result.stderr


SOME = [("정말 재미있어요", "긍정"), ("너무 지루해요", "부정"), ("다시 보고 싶다", "긍정")]
QUOTED = [('그는 "최고"라고, 했다', "긍정"), ("두 줄\n이다", "부정"), ('"', "긍정")]
SEPARATORS = [("줄 나눔\u2028문자", "긍정"), ("다음 줄\x85문자", "부정"), ("쪽\x0c나눔", "긍정")]
CR = [("앞\r뒤", "긍정"), *SOME]
LONG_ROW = ("길다 " * 5000, "긍정")
NFD = [(unicodedata.normalize("NFD", text), label) for text, label in SOME]


def csv_text(rows: list[tuple[str, str]], **options: object) -> str:
    sink = io.StringIO()
    csv.writer(sink, **options).writerows([("text", "label"), *rows])
    return sink.getvalue()


GOOD_FILES: dict[str, tuple[str, bytes | str, list[tuple[str, str]]]] = {
    "CRLF, tsv": ("b.tsv", table(SOME, "\t").replace("\n", "\r\n"), SOME),
    "CR alone, csv": ("b.csv", table(SOME).replace("\n", "\r"), SOME),
    "quotes, commas, line breaks, csv": ("b.csv", csv_text(QUOTED), QUOTED),
    "CR inside, tsv": ("b.tsv", table(CR, "\t"), CR),
    "line separators, csv": ("b.csv", csv_text(SEPARATORS), SEPARATORS),
    "line separators, tsv": ("b.tsv", table(SEPARATORS, "\t"), SEPARATORS),
    "line separators, jsonl": ("b.jsonl", jsonl(SEPARATORS), SEPARATORS),
    "other columns, other order": (
        "b.csv",
        "id,label,text,점수\n" + "".join(f"{i},{v},{t},5\n" for i, (t, v) in enumerate(SOME)),
        SOME,
    ),
    "suffix in capitals": ("B.CSV", table(SOME), SOME),
    "blanks around labels": ("b.csv", table([(text, f" {v} ") for text, v in SOME]), SOME),
    "path with spaces and Hangul": ("내 자료 (최종)/영화 평 #1.csv", table(SOME), SOME),
    "longer than the model": ("b.csv", table([LONG_ROW, *SOME]), [LONG_ROW, *SOME]),
}


@pytest.mark.parametrize("case", GOOD_FILES)
def test_odd_file_is_read_as_it_is_meant(tmp_path: Path, case: str) -> None:
    path = write(tmp_path, GOOD_FILES[case])
    arguments = DataArguments(test_file=path, cache_dir=str(tmp_path / "cache"))
    source = load_source(arguments, PREDICTION, ["긍정", "부정"])
    rows = source.splits["test"]
    found = [(row["text"], source.label_names[row["label"]]) for row in rows]
    assert found == GOOD_FILES[case][2]


def test_cp949_as_excel_writes_it_is_read_and_said(
    fork_recipe: Callable, finished: Path, tmp_path: Path
) -> None:
    rows = [("똠방각하 햏 펲시콜라", "긍정"), ('그는 "왜?"라고, 물었다', "부정"), *SOME]
    content = csv_text(rows).encode("cp949")  # 똠, 햏 and 펲 are not in EUC-KR
    (tmp_path / "b.csv").write_bytes(content)
    found, log = predicted(fork_recipe, finished, tmp_path, "--test_file", "b.csv")
    assert [(row["text"], row["label"]) for row in found] == rows
    assert "b.csv: read as cp949 (not UTF-8)" in log


def test_nfd_is_predicted_like_nfc(fork_recipe: Callable, model: Path, tmp_path: Path) -> None:
    change(model / "tokenizer.json", normalizer=None)  # not every tokenizer does it
    (tmp_path / "b.csv").write_text(table(SOME + NFD), encoding="utf-8")
    rows, _ = predicted(fork_recipe, model, tmp_path, "--test_file", "b.csv")
    probabilities = [row["probabilities"]["긍정"] for row in rows]
    assert probabilities[:3] == pytest.approx(probabilities[3:], abs=2e-6)


def test_more_tokens_than_positions_are_cut_and_said(
    fork_recipe: Callable, finished: Path, tmp_path: Path
) -> None:
    """The shipped model has 128 positions."""
    (tmp_path / "b.csv").write_text(table([("길다 " * 500, "긍정"), *SOME]), encoding="utf-8")
    arguments = ["--test_file", "b.csv", "--max_length", "4000"]
    rows, log = predicted(fork_recipe, finished, tmp_path, *arguments)
    assert len(rows) == 4
    assert "--max_length 4000 is more than the model takes: 128 is used." in log


# Through the launcher: its own process, and two


def assert_said_once(result: object, *parts: str) -> None:
    """The launcher adds a traceback of its own, which holds no line of ours."""
    assert result.status != 0
    assert [line for line in result.stderr.splitlines() if line.startswith("error: ")] == [
        f"error: {result.error}"
    ]
    assert_parts(result.error, parts)
    for ours in ("nlpbook_data", "doccls.py"):
        assert not [line for line in result.stderr.splitlines() if f'{ours}", line' in line]


@pytest.mark.long
@pytest.mark.parametrize("case", ["option", "file", "folder"])
def test_launcher_passes_message_and_status_on(
    run_recipe: Callable, finished: Path, tmp_path: Path, case: str
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "a.csv").write_text(CSV + "글,\n", encoding="utf-8")
    before = listing(tmp_path)
    arguments, parts = {
        "option": (["--learning_rats", "1"], ("no option --learning_rats", "--learning_rate")),
        "file": (
            [*TRAIN, "--train_file", "a.csv", "--output_dir", "run"],
            (f"a.csv, line {LINE}: the label is missing",),
        ),
        "folder": ([*DOCCLS, "--output_dir", "run"], ("run: holds another run", "corpus")),
    }[case]
    result = run_recipe("doccls", *arguments, launcher="accelerate")
    assert result.status == 1
    assert_said_once(result, *parts)
    assert listing(tmp_path) == before


def test_two_processes_say_it_once_and_end(run_recipe: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV + "글,\n", encoding="utf-8")
    before = listing(tmp_path)
    result = run_recipe("doccls", *TRAIN, "--train_file", "a.csv", processes=2, timeout=120)
    assert result.status == 1
    assert_said_once(result, f"a.csv, line {LINE}: the label is missing")
    assert listing(tmp_path) == before


DEFECT = """import runpy, transformers
def train(self, *arguments, **options):
    raise RuntimeError("a defect")
transformers.Trainer.train = train
runpy.run_path({recipe!r}, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("processes", "defect"),
    [
        (1, False),
        pytest.param(1, True, marks=pytest.mark.long),
        pytest.param(2, True, marks=pytest.mark.long),
    ],
)
def test_no_traceback_of_the_launcher_shows_a_token(
    run_recipe: Callable, tmp_path: Path, processes: int, defect: bool
) -> None:
    """Its own would print the command."""
    secret = "hf_" + "Zz9" * 10
    script = tmp_path / "doccls.py"
    script.write_text(DEFECT.format(recipe=str(RECIPES / "doccls.py")), encoding="utf-8")
    (tmp_path / "a.csv").write_text(CSV if defect else CSV + "글,\n", encoding="utf-8")
    arguments = [*TRAIN, "--train_file", "a.csv", "--hub_token", secret, "--output_dir", "out"]
    recipe = script.with_suffix("") if defect else "doccls"
    result = run_recipe(recipe, *arguments, processes=processes, launcher="accelerate")
    assert result.status != 0
    assert ("a defect" if defect else "the label is missing") in result.stderr
    assert secret not in result.stderr + result.stdout
    for path in tmp_path.rglob("*.json"):
        assert secret not in path.read_text(encoding="utf-8"), path


def test_the_first_rows_of_a_file_sorted_by_label_are_told(fork_recipe, tmp_path):
    rows = [f"{n}번째 글,{label}\n" for label in ("기쁨", "슬픔") for n in range(30)]
    (tmp_path / "sorted.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    options = ["--train_file", "sorted.csv", "--max_train_samples", 20, "--num_train_epochs", 1]
    result = fork_recipe("doccls", *DOCCLS, *options)
    assert result.status == 0, result.stderr
    assert "labels of train: 기쁨 20, 슬픔 0" in result.stderr
    assert re.search("train has no row of 슬픔, which validation has", result.stderr)
