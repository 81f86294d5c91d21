"""Bad input ends with a message, a status that is not 0 and a folder as it was; odd input works.

How files are read is tested in own_files, how options are parsed in training/test_arguments.py.
"""

import hashlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import RECIPES, Result
from filelock import FileLock
from safetensors.torch import load_file, save_file
from tasks import DOCCLS, NO_CHOICE
from writing import read_json, read_rows, written

from nlpbook_data.data.source import load_source
from nlpbook_data.training import DataArguments
from nlpbook_data.training.launcher import cores

ROWS = [
    (f"{number}번째로 본 영화인데 {word}", label)
    for number in range(20)
    for word, label in (("정말 재미있어요", "긍정"), ("너무 지루해요", "부정"))
]
LINE = len(ROWS) + 2  # the line after the last row and a header
TRAIN = [*DOCCLS, "--num_train_epochs 2 --per_device_train_batch_size 8"]
PREDICT = ["--do_train false --do_eval false"]


def table(rows: list[tuple[str, str]] = ROWS, separator: str = ",") -> str:
    return "".join(f"{separator.join(row)}\n" for row in [("text", "label"), *rows])


def parquet(rows: list[tuple[str, str]]) -> bytes:
    sink = io.BytesIO()
    texts, labels = map(list, zip(*rows, strict=True))
    pq.write_table(pa.table({"text": texts, "label": labels}), sink)
    return sink.getvalue()


CSV = table()
PARQUET = parquet(ROWS)


def listing(folder: Path) -> dict[str, str | None]:
    """Return the sha256 of every file under `folder`; None for a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def finished(recipe_server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on good files; nobody writes to it."""
    folder = tmp_path_factory.mktemp("finished")
    written(folder / "train.csv", CSV)
    arguments = (*TRAIN, "--train_file train.csv --output_dir run")
    recipe_server.run(folder, "doccls", *arguments).expect()
    return folder / "run"


@pytest.fixture
def train_file(tmp_path: Path) -> list[str]:
    """Options that train on good rows into ``run``."""
    written(tmp_path / "train.csv", CSV)
    return [*TRAIN, "--train_file train.csv --output_dir run"]


@pytest.fixture
def refuse(fork_recipe: Callable, finished: Path, tmp_path: Path) -> Callable[..., None]:
    """``refuse(parts, *arguments)``: run the recipe beside a finished run on what it must refuse.

    One message holds `parts`, nothing is written, and the run stays as it was.
    """

    def run(
        parts: tuple[str, ...], *arguments: object, script: str = "doccls", env: dict | None = None
    ) -> None:
        outputs = Path(shutil.copytree(finished, tmp_path / "outputs" / "finished")).parent
        before = listing(outputs)
        new = ("--output_dir", outputs / "new")
        result = fork_recipe(script, *arguments, *new, env=env).expect(1, *parts)
        assert listing(outputs) == before
        assert result.stdout == "" and 20 < len(result.error) < 600

    return run


def recipe_after(code: str, folder: Path) -> str:
    """Write a script that runs `code` and then the recipe; return its name for `fork_recipe`."""
    script = folder / "after.py"
    recipe = str(RECIPES / "doccls.py")
    script.write_text(f"import runpy\n{code}\nrunpy.run_path({recipe!r}, run_name='__main__')\n")
    return str(script.with_suffix(""))


def in_each_step(code: str) -> str:
    """Return code that runs `code` before each micro-batch of a `trainer`."""
    body = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return f"""
import os, signal, transformers
step = transformers.Trainer.training_step
def training_step(trainer, *arguments, **options):
{body}    return step(trainer, *arguments, **options)
transformers.Trainer.training_step = training_step
"""


# Files

BAD_FILES: dict[str, tuple[str, bytes | str, tuple[str, ...]]] = {
    "empty": ("a.csv", b"", ("the file is empty", "rows", "header")),
    "damaged inside": (
        "a.parquet",
        PARQUET[:60] + bytes(200) + PARQUET[260:],
        ("not a whole parquet file",),
    ),
    "NUL bytes": ("a.csv", CSV + "빈\0글,긍정\n", (f"line {LINE}", "NUL")),
    "NUL bytes, tsv": ("a.tsv", table(separator="\t") + "\0\0\0\n", (f"line {LINE}", "NUL")),
    "one class": ("a.csv", table(ROWS[::2]), ("1 label (긍정)", "two or more")),
    "a class a row": (
        "a.csv",
        table([(str(number), f"{number}번") for number in range(1500)]),
        ("1,500 different labels", "--label_column_name"),
    ),
    "label empty": ("a.csv", CSV + "레이블 없음,\n", (f"line {LINE}:", "label is missing")),
    "10 MB of header": ("a.tsv", "가" * (10_000_000 // 3), ("no column 'text'",)),
    "too few rows to carve": ("a.csv", table(ROWS[:4]), ("no row is left for", "_file")),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_train_file_is_refused(refuse, tmp_path, case):
    name, content, parts = BAD_FILES[case]
    refuse((name, *parts), *TRAIN, "--train_file", written(tmp_path / name, content))


def test_missing_validation_file_is_refused_before_train_is_read(refuse, tmp_path):
    written(tmp_path / "a.csv", table(ROWS[::2]))
    files = ("--train_file", "a.csv", "--validation_file", "내 자료/없음.csv")
    refuse(("내 자료/없음.csv: no such file", "Check the path"), *TRAIN, *files)


def test_labels_on_some_test_rows_only_are_refused(refuse, train_file, tmp_path):
    written(tmp_path / "b.csv", CSV + "글,\n")
    refuse((f"b.csv, line {LINE}: the label is missing",), *train_file, "--test_file", "b.csv")


# Arguments

ENCODER = "--model_name_or_path package:models/tiny_encoder --corpus sample_reviews"
NEW = "--from_scratch true"
SCRATCH = f"{ENCODER} {NEW} --config_overrides"
TOKEN = "hf_" + "aB3" * 8
BAD_ARGUMENTS: dict[str, tuple[str, ...]] = {  # options, and what the message says
    "--corpus sample_review": ("'sample_review'", "Did you mean sample_reviews"),
    "--learning_rats 1": ("--learning_rats", "Did you mean --learning_rate"),
    "--config bad.yaml": ("bad.yaml", "'learning_rte'", "learning_rate"),
    "--save_strategy steps": ("strategy",),
    f"--model_name_or_path package:models/tiny_encoder {NEW}": (
        *("Nothing names the data", "--corpus", "--train_file"),
    ),
    "--model_name_or_path package:models/encode --corpus sample_reviews": (
        *("package:models/encode", "ships"),
    ),
    "--max_train_samples 0": ("--max_train_samples 0", "1 or more"),
    "--max_predict_samples -1": ("--max_predict_samples -1", "1 or more"),
    "--max_length 4": ("4 tokens", "8 or more"),
    "--seeds 3 4 3": ("--seeds 3 4 3", "twice"),
    "--resume checkpoint-9": ("--resume checkpoint-9", "auto or never"),
    "--metric_for_best_model f1_macro": ("f1_macro", "macro_f1"),
    "--num_train_epochs 0": ("--num_train_epochs 0.0", "from"),
    "--per_device_train_batch_size 0": ("_train_batch_size 0", "1 or more"),
    "--learning_rate -1": ("--learning_rate -1.0", "0 or more"),
    "--learning_rate nan": ("--learning_rate nan", "0 or more"),
    "--label_smoothing_factor 3": ("factor 3.0", "from 0 to 1"),
    "--seeds 1 -1": ("--seeds [1, -1]", "from 0 to 4,294,967,295"),
    "--train_sampling_strategy length": ("'length'", "group_by_length"),
    "--dataloader_drop_last true": ("--dataloader_drop_last", "cannot"),
    "--report_to paper": ("--report_to paper", "tensorboard"),
    "--optim lomo": ("--optim lomo", "lomo-optim"),
    "--use_liger_kernel true": ("pip install liger-kernel",),
    "--lr_scheduler_type cosine_with_min_lr": ("min_lr_rate", "--lr_scheduler_kwargs"),
    "--fsdp": ("--fsdp", "one alone", "--devices N"),
    f"--report_to tensorboard --run_name {TOKEN}": ("holds a token", "tensorboard"),
    "--precision fp16 --use_cpu": ("fp16", "float32"),
    "--cache_dir /dev/null": ("/dev/null", "--cache_dir"),
    f"--early_stopping_patience 1 {NO_CHOICE[0]}": ("--early_stopping_patience", "--eval_strategy"),
    "--lora true --lora_target_modules nowhere": ("--lora_target_modules nowhere",),
    ENCODER: ("package:models/tiny_encoder", "--from_scratch true"),
    f"{ENCODER} --config_overrides hidden_size=32": ("--config_overrides", "--from_scratch true"),
    f"{SCRATCH} hidden_sizes=32": ("hidden_sizes", "config.json"),
    f"{SCRATCH} hidden_size": ("name=value",),
    f"{SCRATCH} hidden_size=big": ("'big'", "name=value"),
    f"{SCRATCH} hidden_size=33": ("33", "heads"),
    f"{SCRATCH} num_labels=5": ("num_labels", "the data"),
    f"{NEW} --config no_model.yaml": ("--model_name_or_path",),
    f"{ENCODER} --tokenizer_name ./nothing": ("./nothing: no such folder",),
    f"{ENCODER} {NEW} --attn_implementation fast": ("fast", "eager"),
    f"{PREDICT[0]} --model_name_or_path package:models/tiny_encoder --test_file train.csv": (
        *("package:models/tiny_encoder", "not fine-tuned", "finished run"),
    ),
    **{  # of a model folder
        f"--corpus sample_reviews --model_name_or_path {name}": (
            *(f"{name}: no such folder", "Check the path"),
        )
        for name in ("/no/such/folder", "./model", "../model", "~/no-such-model")
    },
}


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS)
def test_bad_argument_is_refused(refuse, train_file, tmp_path, arguments):
    written(tmp_path / "bad.yaml", "learning_rte: 1\n")
    written(tmp_path / "no_model.yaml", "corpus: sample_reviews\n")
    whole = "--model_name_or_path" in arguments or "--config " in arguments
    refuse(BAD_ARGUMENTS[arguments], *([] if whole else DOCCLS), arguments)


# What the network would have to bring


@pytest.fixture
def without_network() -> dict[str, str]:
    names = ("http_proxy", "https_proxy", "all_proxy")
    closed = {name: "http://127.0.0.1:9" for name in names}
    return closed | {name.upper(): value for name, value in closed.items()} | {"no_proxy": ""}


HUB_MODEL = ("could not be loaded", "a folder", "network")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--model_name_or_path klue/bert-base",), ("klue/bert-base: ", *HUB_MODEL)),
        (("--model_name_or_path no-such-folder",), ("no-such-folder: ", *HUB_MODEL)),
        ((*DOCCLS, "--dataset_name e9t/nsmc"), ("dataset e9t/nsmc", "Check its name", "network")),
    ],
)
def test_what_is_not_here_is_refused_without_network(refuse, without_network, options, parts):
    corpus = [] if "--dataset_name e9t/nsmc" in options else ["--corpus sample_reviews"]
    refuse(parts, *options, *corpus, env=without_network)


def test_corpus_is_refused_without_network_soon_and_leaves_nothing(
    refuse, without_network, tmp_path
):
    corpora = tmp_path / "말뭉치"
    start = time.monotonic()
    # both files come at once, and either may be the first to fail
    parts = (".txt could not be fetched", "network", str(corpora / "nsmc" / "ratings_t"))
    refuse(parts, *DOCCLS, "--corpus", "nsmc", "--corpus_dir", corpora, env=without_network)
    assert time.monotonic() - start < 20
    assert not corpora.exists()


# Training that cannot go on


@pytest.mark.parametrize("step", [5, 7])
def test_weights_that_are_no_numbers_are_not_saved(fork_recipe, train_file, tmp_path, step):
    """The loss is finite and its gradient is not, before a checkpoint or in the last step."""
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
    saving = ["--eval_strategy", "no", "--save_strategy", "steps", "--save_steps", "6"]
    saving += ["--load_best_model_at_end", "false"]
    result = fork_recipe(recipe_after(code, tmp_path), *train_file, *saving)
    result.expect(1, f"The weights became nan in step {step + 1}, whose batch", "--learning_rate")
    assert (result.run.record["status"], result.run.record["error"]) == ("failed", result.error)
    assert "model.safetensors" not in result.run.files
    for path in result.run.folder.rglob("*.safetensors"):
        assert all(weights.isfinite().all() for weights in load_file(path).values()), path


def test_full_disk_while_the_cache_is_written(refuse, train_file, fork_recipe, tmp_path):
    cache = tmp_path / "cache"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    script = recipe_after(limit, tmp_path)
    parts = (str(cache), "no space is left", "Free some")
    refuse(parts, *train_file, "--cache_dir", cache, script=script)
    assert not [path for path in cache.rglob("*") if path.suffix in (".arrow", ".partial")]
    fork_recipe("doccls", *train_file, "--cache_dir", cache).expect()


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


def test_real_full_disk_while_the_cache_is_written(fork_recipe, in_tmpfs, tmp_path):
    rows = [(f"{text} {number}", label) for number in range(50) for text, label in ROWS]
    written(tmp_path / "a.csv", table(rows))
    cache = tmp_path / "cache"
    script = recipe_after(in_tmpfs(cache, "size=64k"), tmp_path)
    result = fork_recipe(script, *TRAIN, "--train_file", "a.csv", "--cache_dir", cache)
    result.expect(1, str(cache), "no space is left")
    assert not (tmp_path / "outputs").exists()
    assert not list(Path(f"{cache}-copy").rglob("*.arrow"))


FILL = """
if trainer.state.global_step == 6:
    free = shutil.disk_usage({0!r}).free
    with open(os.path.join({0!r}, "of a neighbour"), "wb") as file:
        file.write(bytes(free - {1}))
"""


@pytest.mark.parametrize("free", [400_000, 0])
def test_real_full_disk_keeps_the_checkpoint_before(
    fork_recipe, train_file, in_tmpfs, tmp_path, free
):
    disk = tmp_path / "disk"
    code = in_tmpfs(disk, "size=8m") + in_each_step(FILL.format(str(disk), free))
    result = fork_recipe(recipe_after(code, tmp_path), *train_file, "--output_dir", disk / "run")
    result.expect(1, str(disk / "run"), "no space is left", "the same command again")
    left = Path(f"{disk}-copy") / "run"
    assert [path.parent.name for path in left.rglob("complete")] == ["checkpoint-4"]
    assert read_json(left / "run.json")["status"] == "failed"


def test_disk_too_small_for_the_checkpoints_is_refused_before_training(
    fork_recipe, train_file, in_tmpfs, tmp_path
):
    disk = tmp_path / "disk"
    script = recipe_after(in_tmpfs(disk, "size=1m"), tmp_path)
    result = fork_recipe(script, *train_file, "--output_dir", disk / "run")
    result.expect(1, str(disk / "run"), "1 MB are free", "checkpoints need")
    assert listing(Path(f"{disk}-copy")) == {}


# Signals


def signal_at(step: int, *names: str) -> str:
    """Return code that lets the recipe send itself signals in optimizer step `step`."""
    sent = "".join(f"    os.kill(os.getpid(), signal.{name})\n" for name in names)
    return in_each_step(f"if trainer.state.global_step == {step}:\n{sent}")


def status(folder: Path) -> str:
    return read_json(folder / "run.json")["status"]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_in_training_saves_and_the_same_command_continues(
    fork_recipe, train_file, finished, tmp_path, name, code
):
    run = tmp_path / "run"
    result = fork_recipe(recipe_after(signal_at(5, name), tmp_path), *train_file)
    result.expect(code, "Interrupted", "same command continues")
    assert status(run) == "interrupted"
    assert not (run / "model.safetensors").exists()

    fork_recipe("doccls", *train_file).expect()
    assert status(run) == "finished"
    assert read_json(run / "run.json")["resumed_from"] == "checkpoint-6"
    undisturbed = load_file(finished / "model.safetensors")
    continued = load_file(run / "model.safetensors")
    assert all(continued[name].equal(undisturbed[name]) for name in undisturbed)


def test_second_signal_stops_at_once(fork_recipe, train_file, tmp_path):
    script = recipe_after(signal_at(5, "SIGINT", "SIGINT"), tmp_path)
    fork_recipe(script, *train_file).expect(130)
    assert [p.name for p in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-4"]
    assert status(tmp_path / "run") == "interrupted"


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_before_training_writes_nothing(
    fork_recipe, train_file, finished, tmp_path, name, code
):
    script = f"""
import os, signal
from nlpbook_data.data import source as sources
load_source = sources.load_source
def interrupted(*arguments, **options):
    os.kill(os.getpid(), signal.{name})
    return load_source(*arguments, **options)
sources.load_source = interrupted
"""
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs / "finished")
    before = listing(outputs)
    for folder in ("finished", "new"):
        arguments = [*train_file, "--output_dir", outputs / folder]
        result = fork_recipe(recipe_after(script, tmp_path), *arguments)
        result.expect(code, "Interrupted before training", "nothing was written")
        assert listing(outputs) == before


def test_signal_after_training_and_the_same_command_finishes(
    fork_recipe, train_file, finished, tmp_path
):
    code = """
import os, signal, transformers
predict = transformers.Trainer.predict
def interrupted(self, *arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    return predict(self, *arguments, **options)
transformers.Trainer.predict = interrupted
"""
    fork_recipe(recipe_after(code, tmp_path), *train_file).expect(143)
    assert status(tmp_path / "run") == "interrupted"
    fork_recipe("doccls", *train_file).expect()
    assert status(tmp_path / "run") == "finished"
    assert read_json(tmp_path / "run" / "metrics.json") == read_json(finished / "metrics.json")


# The output folder


def test_folder_that_cannot_be_taken_is_refused_and_the_reason_named(
    fork_recipe, train_file, finished, tmp_path
):
    shutil.copytree(finished, tmp_path / "run")
    written(tmp_path / "file", "")
    written(tmp_path / "photos" / "가족.jpg", "")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    before = listing(tmp_path)
    for options, parts in (
        (["--output_dir", "file/run"], ("file/run: cannot be written", "another --output_dir")),
        (["--output_dir", "긴" * 100], ("File name too long", "another place (--output_dir")),
        (["--output_dir", "link"], ("link: File exists", "another place (--output_dir")),
        (
            ["--learning_rate", "0.25"],
            ("run: holds another run", "learning_rate 0.001 there, 0.25 here", "--output_dir"),
        ),
        (
            ["--output_dir", "photos"],
            ("photos: holds files", "가족.jpg", "another --output_dir"),
        ),
    ):
        fork_recipe("doccls", *train_file, *options).expect(1, *parts)
        assert listing(tmp_path) == before


def test_read_only_output_folder_is_refused(fork_recipe, request, tmp_path):
    disk, script = tmp_path / "disk", "doccls"
    if os.getuid() == 0:  # who may write everywhere but where nobody may
        script = recipe_after(request.getfixturevalue("in_tmpfs")(disk, "ro"), tmp_path)
    else:
        disk.mkdir(mode=0o555)
    result = fork_recipe(script, *DOCCLS, "--output_dir", disk / "run")
    result.expect(1, f"{disk / 'run'}: cannot be written", "another --output_dir")
    assert listing(disk) == {}


@pytest.mark.parametrize("when", ["at the start", "while the data was read"])
def test_folder_in_use_is_refused_and_left_alone(fork_recipe, train_file, finished, tmp_path, when):
    shutil.copytree(finished, tmp_path / "run")
    before = listing(tmp_path / "run")
    lock = tmp_path / "run" / ".lock"
    if when == "at the start":
        with FileLock(lock):
            result = fork_recipe("doccls", *train_file)
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
        result = fork_recipe(recipe_after(code, tmp_path), *train_file)
    result.expect(1, "run: another process is writing a run here", "Wait")
    assert listing(tmp_path / "run") == before


# Models


@pytest.fixture
def model(finished: Path, tmp_path: Path) -> Path:
    """A fine-tuned model's folder, to be spoiled."""
    ignored = shutil.ignore_patterns("run.json", "metrics.json", "*.jsonl", "*.png")
    return Path(shutil.copytree(finished, tmp_path / "model", ignore=ignored))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(read_json(path) | values))


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
NO_HEAD = ("no head", "BERT")
NOT_IN_FILE = "weights of the model are not in its file"
BAD_MODELS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "images": (
        lambda m: (m / "config.json").write_text(CLIP),
        ("./model: a model of the type clip", *NO_HEAD),
    ),
    "speech": (
        lambda m: (m / "config.json").write_text(WAV2VEC2),
        ("./model: a model of the type wav2vec2", *NO_HEAD),
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
        (NOT_IN_FILE, "bert.encoder.layer.0.output", "another"),
    ),
    "weights of another architecture": (
        lambda m: change(m / "config.json", model_type="electra", embedding_size=32),
        (NOT_IN_FILE, "electra.", "another"),
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
    "no token to pad with": (
        lambda m: change(m / "tokenizer_config.json", pad_token=None, eos_token=None),
        ("no token to pad with", "--special_tokens pad_token=[PAD]"),
    ),
    "vocabulary of another model": (
        lambda m: change(m / "config.json", vocab_size=900),
        ("2,000 words", "900", "own tokenizer"),
    ),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_model_is_refused(refuse, model, case):
    spoil, parts = BAD_MODELS[case]
    spoil(model)
    refuse(parts, "--corpus", "sample_reviews", "--model_name_or_path", "./model")


@pytest.mark.parametrize("parts", [1, 2])
def test_pickles_are_converted_by_the_printed_command(fork_recipe, model, tmp_path, parts):
    folder = model.rename(tmp_path / "my model")
    weights = load_file(folder / "model.safetensors")
    for part in range(parts):
        some = dict(list(weights.items())[part::parts])
        name = f"-0000{part + 1}-of-00002" if parts > 1 else ""
        torch.save(some, folder / f"pytorch_model{name}.bin")
    (folder / "model.safetensors").unlink()
    written(tmp_path / "b.csv", CSV)
    command = [*PREDICT, "--model_name_or_path", "my model", "--test_file", "b.csv"]
    command += ["--output_dir", "out"]
    told = fork_recipe("doccls", *command).expect(1, "python -c").error
    convert = shlex.split(told.partition("python ")[2])
    subprocess.run([sys.executable, *convert], cwd=tmp_path, check=True)
    fork_recipe("doccls", *command).expect()


def test_prediction_with_a_model_without_its_head_is_refused(refuse, model, tmp_path):
    drop_weights(model, "classifier")
    written(tmp_path / "b.csv", CSV)
    arguments = (*PREDICT, "--model_name_or_path", "./model", "--test_file", "b.csv")
    refuse(("./model", "classifier", "not fine-tuned"), *arguments)


# What looks bad and is good

SOME = [("정말 재미있어요", "긍정"), ("너무 지루해요", "부정"), ("다시 보고 싶다", "긍정")]
CR = [("앞\r뒤", "긍정"), *SOME]
SHUFFLED = "".join(f"{number},{label},{text},5\n" for number, (text, label) in enumerate(SOME))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("b.tsv", table(SOME, "\t").replace("\n", "\r\n"), SOME),
        ("b.csv", table(SOME).replace("\n", "\r"), SOME),
        ("b.tsv", table(CR, "\t"), CR),
        ("b.csv", f"id,label,text,점수\n{SHUFFLED}", SOME),
    ],
)
def test_odd_file_is_read_as_it_is_meant(tmp_path, name, content, expected):
    path = written(tmp_path / "내 자료 (최종)" / name, content)
    phases = SimpleNamespace(do_train=False, do_eval=False, do_predict=True)
    arguments = DataArguments(test_file=path, cache_dir=str(tmp_path / "cache"))
    source = load_source(arguments, phases, ["긍정", "부정"])
    found = [(row["text"], source.label_names[row["label"]]) for row in source.splits["test"]]
    assert found == expected


@pytest.fixture
def predicted(fork_recipe: Callable, tmp_path: Path) -> Callable:
    """``predicted(model, content, *arguments)``: the rows of predictions, and what was logged."""

    def run(model: Path, content: str | bytes, *arguments: object) -> tuple[list[dict], str]:
        test = ("--test_file", written(tmp_path / "b.csv", content), "--precision", "float32")
        command = [*PREDICT, "--model_name_or_path", model, *test, *arguments]
        log = fork_recipe("doccls", *command, "--output_dir", "predictions").expect().stderr
        return read_rows(tmp_path / "predictions" / "predictions.jsonl"), log

    return run


def test_cp949_as_excel_writes_it_is_read_and_said(predicted, finished):
    rows = [("똠방각하 햏 펲시콜라", "긍정"), *SOME]  # 똠, 햏 and 펲 are not in EUC-KR
    found, log = predicted(finished, table(rows).encode("cp949"))
    assert [(row["text"], row["label"]) for row in found] == rows
    assert "b.csv: read as cp949 (not UTF-8)" in log
    assert "test: 4 rows, b.csv (csv, comma, cp949)" in log


def test_nfd_is_predicted_like_nfc(predicted, model):
    change(model / "tokenizer.json", normalizer=None)  # not every tokenizer does it
    nfd = [(unicodedata.normalize("NFD", text), label) for text, label in SOME]
    rows, _ = predicted(model, table(SOME + nfd))
    probabilities = [row["probabilities"]["긍정"] for row in rows]
    assert probabilities[:3] == pytest.approx(probabilities[3:], abs=2e-6)


def test_more_tokens_than_positions_are_cut_and_said(predicted, finished):
    """The shipped model has 128 positions."""
    content = table([("길다 " * 500, "긍정"), *SOME])
    rows, log = predicted(finished, content, "--max_length", "4000")
    assert len(rows) == 4
    assert "4000 tokens are more than the model takes: 128 are used." in log


# Through the launcher: its own process, and two


SCRIPT = """import runpy, torch, transformers
from nlpbook_data.data import source as sources
load_source = sources.load_source
def loaded(*arguments, **options):
    print("threads", torch.get_num_threads(), flush=True)
    return load_source(*arguments, **options)
sources.load_source = loaded
def train(self, *arguments, **options):
    raise RuntimeError("a defect")
if {defect}:
    transformers.Trainer.train = train
runpy.run_path({recipe!r}, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("processes", "defect", "threads"),
    [
        (1, False, None),
        pytest.param(1, True, "1", marks=pytest.mark.long),
        pytest.param(2, True, "1", marks=pytest.mark.long),
    ],
)
def test_no_traceback_of_the_launcher_shows_a_token_and_all_cores_are_used_unless_some_were_given(
    run_recipe, tmp_path, processes, defect, threads
):
    """Its own would print the command."""
    secret = "hf_" + "Zz9" * 10
    code = SCRIPT.format(recipe=str(RECIPES / "doccls.py"), defect=defect)
    script = written(tmp_path / "doccls.py", code).with_suffix("")
    written(tmp_path / "a.csv", CSV if defect else CSV + "글,\n")
    arguments = [*TRAIN, "--train_file a.csv --output_dir out", "--hub_token", secret]
    options = {"launcher": "accelerate", "env": {"OMP_NUM_THREADS": threads}}
    result = run_recipe(script, *arguments, processes=processes, **options)
    assert result.status != 0
    assert ("a defect" if defect else "the label is missing") in result.stderr
    assert f"threads {threads or cores()}\n" in result.stdout
    assert secret not in result.stderr + result.stdout
    for path in tmp_path.rglob("*.json"):
        assert secret not in path.read_text(encoding="utf-8"), path


def assert_said_once(result: Result, *parts: str) -> None:
    """The launcher adds a traceback of its own, which holds no line of ours."""
    assert result.status == 1 and result.stderr.count("error: ") == 1, result.stderr
    assert all(part in result.error for part in parts), result.error
    for ours in ("nlpbook_data", "doccls.py"):
        assert f'{ours}", line' not in result.stderr


@pytest.mark.parametrize("launched", [False, pytest.param(True, marks=pytest.mark.long)])
def test_two_processes_say_it_once_and_end(run_recipe, fork_recipe, tmp_path, launched):
    written(tmp_path / "a.csv", CSV + "글,\n")
    before = listing(tmp_path)
    run = run_recipe if launched else fork_recipe
    result = run("doccls", *TRAIN, "--train_file", "a.csv", processes=2)
    assert_said_once(result, f"a.csv, line {LINE}: the label is missing")
    assert listing(tmp_path) == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--learning_rats", "1"], ("no option --learning_rats", "--learning_rate")),
        ([*DOCCLS, "--output_dir", "run"], ("run: holds another run", "corpus")),
    ],
)
def test_launcher_passes_message_and_status_on(run_recipe, finished, tmp_path, options, parts):
    shutil.copytree(finished, tmp_path / "run")
    before = listing(tmp_path)
    assert_said_once(run_recipe("doccls", *options, launcher="accelerate"), *parts)
    assert listing(tmp_path) == before
