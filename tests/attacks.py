"""Bad input of every kind against the real commands: all of it must be held.

    python tests/attacks.py            # all families, about a quarter of an hour on one core
    python tests/attacks.py checkpoint options    # some of them

A case is held where the command refuses (a status that is not 0, one sentence or two, no traceback,
nothing half-written), or comes to the right result. What is tried, held and failed is counted a
family; the exit status is 1 where a case failed. The commands run in forks of a process that has
imported the libraries (`fork_server`), each within `SECONDS`.
"""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import COMMAND, ForkServer
from tasks import DOCCLS, SHAPE
from writing import read_json, write_rows, written

HERE = Path(__file__).resolve().parent
SECONDS = 90
TOKEN = "hf_" + "aB3dE5gH7j" * 3
STEERING = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202e]")
ROWS = [
    {"text": f"{number}번째로 본 영화인데 {word}", "label": label}
    for number in range(20)
    for word, label in (("정말 재미있어요", "긍정"), ("너무 지루해요", "부정"))
]
QUESTIONS = [
    {
        "context": f"{n}번 글은 서울에서 썼다.",
        "question": "어디서 썼나?",
        "answers": [{"text": "서울", "answer_start": len(f"{n}번 글은 ")}],
        "id": str(n),
    }
    for n in range(20)
]
ENTITIES = [{"text": "이순신은 서울에", "entities": [{"start": 0, "end": 3, "label": "PER"}]}] * 9
TAGGED = "이순신\tB-PER\n은\tO\n서울\tB-LOC\n\n" * 20
PICKLE = b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."


@dataclass
class Case:
    """One attack.

    Attributes:
        words: the recipe, or ``nlpbook-data``, and its arguments.
        holds: what must be true beside the common rules: it gets status, output and folder, and
            returns what is wrong, or "".
        refused: whether the command must not end well; None leaves it open.
    """

    name: str
    words: list[Any]
    refused: bool | None = True
    holds: Callable[[int, str, Path], str] = lambda status, output, folder: ""
    env: dict[str, str] = field(default_factory=dict)
    new: str = "new"  # what must not be there after a refusal


class Commands(ForkServer):
    """Runs commands in forks; `SECONDS` are the end of one that hangs."""

    def __init__(self, folder: Path):
        own = {"HF_HOME": str(folder / "hf"), "PYTHONPATH": str(HERE.parent)}
        super().__init__({**os.environ, **own})

    def __call__(self, words: list[Any], cwd: Path, env: dict[str, str]) -> tuple[int, str]:
        """Return status, -9 where it hangs, and output."""
        program, *arguments = words
        program = COMMAND if program == "nlpbook-data" else program
        signals = [(SECONDS, signal.SIGKILL)]
        result = self.run(cwd, program, *arguments, env=env, signals=signals)
        return result.status, result.stdout + result.stderr


def fault(case: Case, status: int, output: str, folder: Path) -> str:
    """Return what is wrong with how a command ended, "" where the attack was held."""
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    if "Traceback" in output:
        return "a traceback"
    if status < 0:
        return f"died of signal {-status}"
    if TOKEN in output or any(
        TOKEN.encode() in path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "given"
    ):
        return "a token is shown"
    if STEERING.search(output.replace("\r", "")):
        return "a control character is shown"
    if case.refused is not None and bool(status) != case.refused:
        return f"status {status}"
    checked = "Wrong:" in output or "The first " in output  # what `check` prints
    if status and not checked:
        if len(errors) != 1 and "usage:" not in output:
            return f"{len(errors)} errors"
        if errors and len(errors[0]) > 900:
            return "a long message"
        if (folder / case.new).exists():
            return f"{case.new} is left"
    if any(folder.rglob("*.partial")):
        return "a partial file is left"
    return case.holds(status, output, folder)


# Files


def own_files(folder: Path, run: Commands) -> Iterator[Case]:
    """Every format with every kind of damage, held against `nlpbook-data check`."""
    squad = {
        "data": [
            {
                "title": "글",
                "paragraphs": [
                    {
                        "context": q["context"],
                        "qas": [{k: q[k] for k in ("id", "question", "answers")}],
                    }
                    for q in QUESTIONS
                ],
            }
        ]
    }
    whole = folder / "whole"
    files = {
        **{f"rows.{end}": "doccls" for end in ("csv", "tsv", "jsonl", "xlsx", "parquet")},
        "squad.json": "qa", "flat.jsonl": "qa", "tags.tsv": "ner", "spans.jsonl": "ner",
        "lines.txt": "pretrain",
    }  # fmt: skip
    for name in files:
        rows = {"flat.jsonl": QUESTIONS, "spans.jsonl": ENTITIES}.get(name, ROWS)
        if name == "squad.json":
            written(whole / name, json.dumps(squad, ensure_ascii=False))
        elif name == "tags.tsv":
            written(whole / name, TAGGED)
        elif name == "lines.txt":
            written(whole / name, "".join(f"{row['text']}\n" for row in ROWS))
        else:
            write_rows(whole / name, rows)
        content = (whole / name).read_bytes()
        half = len(content) // 2
        text = name.rpartition(".")[2] not in ("xlsx", "parquet")
        damages: dict[str, tuple[bytes, bool | None]] = {
            "whole": (content, False),
            "empty": (b"", True),
            "blank": (b"\n\n \n", True),
            "half": (content[:half], None),
            "all but a byte": (content[:-1], None),
            "a NUL": (content[:half] + b"\0" + content[half:], None),
            "a block of zeros": (content[:half] + bytes(512) + content[half + 512 :], None),
            "a block of 0xff": (content[:half] + b"\xff" * 64 + content[half + 64 :], None),
            "random": (bytes((i * 7919 + i * i) % 256 for i in range(5000)), True),
            "twice": (content * 2, None),
            "in reverse": (content[::-1], None),
            "a pickle": (PICKLE, True),
            "gzip": (b"\x1f\x8b\x08\x00" + content, None if name == "rows.xlsx" else True),
            "HTML": (b"<!DOCTYPE html><html><p>404</p></html>", None),
            "nested": (b"[" * 100_000, None),
            "a long line": (b"a" * 30_000_000, None),
            "a long number": (b'{"text": "a", "label": ' + b"1" * 5000 + b"}\n", None),
        }
        if text:
            letters = content.decode()
            damages |= {
                "cp949": (letters.encode("cp949"), False if name != "squad.json" else None),
                "UTF-16": (letters.encode("utf-16"), False),
                "UTF-8 cut in a letter": (content[:half] + b"\xec\x84" + content[half:], None),
                "BOM": (b"\xef\xbb\xbf" + content, False),
                "CRLF": (letters.replace("\r", "").replace("\n", "\r\n").encode(), False),
                "CR": (letters.replace("\n", "\r").encode(), None),
                "escapes": (letters.replace("번", "\x1b[2J\u202e\x07").encode(), None),
                "half a pair": (letters.replace("번", "\\ud83d").encode(), None),
                "quotes": (letters.replace("번", '"').encode(), None),
            }
        for damage, (bad, refused) in damages.items():
            path = folder / "damaged" / damage.replace(" ", "-") / name
            written(path, bad)
            words = ["nlpbook-data", "check", path, "--task", files[name]]
            yield Case(f"{name}: {damage}", words, refused)


def odd_places(folder: Path, run: Commands) -> Iterator[Case]:
    """Paths that are no files, and tables that are wide."""
    for end, task in (("csv", "doccls"), ("tsv", "ner"), ("jsonl", "doccls"), ("xlsx", "doccls"),
                      ("parquet", "doccls"), ("json", "qa"), ("txt", "pretrain")):  # fmt: skip
        for kind in ("folder", "pipe", "zero", "loop", "dangling"):
            path = folder / "places" / kind / f"x.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "folder":
                path.mkdir()
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                path.symlink_to({"zero": "/dev/zero", "loop": path, "dangling": "nothing"}[kind])
            yield Case(f"{kind} x.{end}", ["nlpbook-data", "check", path, "--task", task])
            if kind != "folder" or end == "csv":
                words = ["doccls", *DOCCLS, "--train_file", path, "--output_dir", "new"]
                yield Case(f"doccls, {kind} x.{end}", words)
    for option in ("--config", "--text_files"):
        for kind in ("folder", "pipe", "zero", "dangling"):
            recipe = "tokenizer" if option == "--text_files" else "doccls"
            path = folder / "places" / kind / "x.txt"
            yield Case(f"{kind} {option}", [recipe, option, path, "--output_dir", "new"])
    for count in (40_000, 100_000):
        names = [f"c{n}" for n in range(count)]
        for end, separator in (("csv", ","), ("tsv", "\t")):
            text = separator.join(["text", "label", *names]) + "\n"
            text += "".join(separator.join([f"글 {n}", str(n % 2), *names]) + "\n" for n in (0, 1))
            wide = written(folder / "wide" / f"{count}.{end}", text)
            yield Case(f"{count} columns, {end}",
                       ["nlpbook-data", "check", wide, "--task", "doccls"], False)  # fmt: skip
            lacking = written(
                folder / "wide" / f"no-{count}.{end}", text.replace("text", "txet", 1)
            )
            yield Case(f"{count} columns without text, {end}",
                       ["nlpbook-data", "check", lacking, "--task", "doccls"])  # fmt: skip
        rows = [{"text": f"글 {n}", "label": n, **dict.fromkeys(names, 1)} for n in (0, 1)]
        wide = write_rows(folder / "wide" / f"{count}.jsonl", rows)
        yield Case(f"{count} keys", ["nlpbook-data", "check", wide, "--task", "doccls"], False)
    for value in ("Infinity", "-Infinity", "NaN", "1e999", '"inf"', '"nan"'):
        lines = "".join(f'{{"text": "글 {n}", "label": {n}.5}}\n' for n in range(9))
        path = written(folder / "labels" / f"{value.strip(chr(34))}{value.count(chr(34))}.jsonl",
                       lines + f'{{"text": "글", "label": {value}}}\n')  # fmt: skip
        yield Case(f"label {value}", ["nlpbook-data", "check", path, "--task", "doccls"])
    one = '{"paragraphs": [{"context": "서울", "qas": [{"id": "%d", "question": "?", "answers": '
    one += '[{"text": "서울", "answer_start": 0}]}]}]}'
    twice = {
        "data": f'{{"data": [{one % 1}], "data": [{one % 2}]}}',
        "paragraphs": f'{{"data": [{(one % 1)[:-1]}, {(one % 2)[1:]}]}}',
        "qas": f'{{"data": [{(one % 1)[:-3]}, "qas": []}}]}}]}}',
    }
    for key, text in twice.items():
        path = written(folder / "twice" / f"{key}.json", text)
        yield Case(f"{key} twice", ["nlpbook-data", "check", path, "--task", "qa"])


# Options


BAD_VALUES = {
    "learning_rate": ("nan", "-1", "가", "", "1e-3e", "[]"),
    "num_train_epochs": ("0", "-1", "nan", "1e999", "가"),
    "per_device_train_batch_size": ("0", "-1", "1.5", "1e3", "9" * 5000),
    "gradient_accumulation_steps": ("0", "-1", "x"),
    "max_length": ("0", "-5", "7", "x", "1.5"),
    "max_train_samples": ("0", "-1", "x"),
    "seed": ("-1", "4294967296", "x", "1.5"),
    "seeds": ("1 1", "x", "-1"),
    "do_train": ("maybe", "2", "예"),
    "eval_strategy": ("sometimes", "가"),
    "save_strategy": ("never", "가"),
    "save_total_limit": ("0", "-1"),
    "early_stopping_patience": ("0", "x"),
    "lr_scheduler_type": ("zigzag",),
    "optim": ("magic",),
    "precision": ("fp8", "FP32"),
    "warmup_steps": ("-1", "x"),
    "weight_decay": ("x",),
    "label_smoothing_factor": ("2", "-1", "nan"),
    "metric_for_best_model": ("no_such_score",),
    "resume": ("nowhere", "/dev/null", "../new"),
    "report_to": ("no_such_tracker",),
    "attn_implementation": ("magic",),
    "config_overrides": ("hidden_size", "hidden_size=x", "no_such=1", "num_labels=3"),
    "special_tokens": ("no_such=x",),
    "tokenizer_name": ("./nowhere",),
    "model_name_or_path": ("./nowhere", "/dev/zero", "package:../..//etc", "a b c", "../.."),
    "corpus": ("no-such-corpus", "../../etc", "nsmc\x1b[2J"),
    "label_column_name": ("없는열",),
    "quantization": ("3bit",),
    "lora_r": ("0", "-1"),
    "no_such_option": ("1",),
    "lerning_rate": ("1e-3",),
    "dataloader_drop_last": ("true",),
    "save_only_model": ("true",),
}


def options(folder: Path, run: Commands) -> Iterator[Case]:
    """Options with values that none of them takes, on the command line and in a YAML."""
    table = write_rows(folder / "train.csv", ROWS)
    start = ["doccls", *DOCCLS, "--train_file", table]
    for option, values in BAD_VALUES.items():
        for value in values:
            words = (
                [*start, f"--{option}", *value.split(" ")] if value else [*start, f"--{option}="]
            )
            yield Case(f"--{option} {value[:20]!r}", [*words, "--output_dir", "new"])
    yaml = {
        "deep": "[" * 100_000,
        "deep maps": "".join(f"{' ' * n}a:\n" for n in range(3000)),
        "digits": f"seed: {'7' * 5000}",
        "bomb": "a: &a [x, x]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
        ) + "learning_rate: *y\n",
        "bomb of an option": "seeds: &a [[x, x], [x, x]]\nlearning_rate: *a\n",
        "python": "seed: !!python/object/apply:os.system ['true']",
        "tab": "seed:\t1\n\tx: 2",
        "list": "- seed\n- 1",
        "twice": "seed: 1\nseed: 2",
        "date": "seed: 2024-13-45",
        "NUL": "seed: 1\0",
        "unclosed": 'corpus: "nsmc',
        "empty": "",
        "number": "7",
        "unknown": "lerning_rate: 1",
        "wrong type": "num_train_epochs: [1, {a: b}]",
        "token": f"learning_rate: {TOKEN}",
        "huge": "# " + "x" * 2_000_000,
    }  # fmt: skip
    for name, text in yaml.items():
        path = written(folder / "yaml" / f"{name.replace(' ', '-')}" / "given", text)
        for recipe in ("doccls", "ner"):
            yield Case(f"{recipe}, YAML: {name}", [recipe, "--config", path, "--output_dir", "new"])
    for recipe in ("generation", "ner", "paircls", "pretrain", "qa", "search", "tokenizer"):
        for option, value in (("--output_dir", "/dev/null/x"), ("--corpus_dir", ""),
                              ("--no_such", 1),
                              ("--config", "nowhere.yaml"), ("--train_file", "nowhere.csv"),
                              ("--model_name_or_path", "./nowhere"), ("--seed", "x")):  # fmt: skip
            yield Case(f"{recipe} {option} {value}", [recipe, option, value])
    for command in ("show", "fetch", "audit", "convert", "push", "index", "search", "prefetch"):
        for value in ("no-such", "../../etc/passwd", "가" * 300, "\x1b[2J", TOKEN):
            extra = {"convert": ["--output_dir", "new"], "push": ["--repo_id", "a/b"],
                     "index": ["--output", "new"], "search": ["q"]}.get(command, [])  # fmt: skip
            words = ["--config", value] if command == "prefetch" else [value, *extra]
            yield Case(f"nlpbook-data {command} {value[:20]!r}", ["nlpbook-data", command, *words])


# What a run leaves behind


def foreign(content: bytes) -> dict[str, bytes | None]:
    """Return the damages of a file; None deletes it."""
    flipped = bytearray(content or b"x")
    flipped[len(flipped) // 2] ^= 1
    return {"deleted": None, "empty": b"", "truncated": content[: len(content) // 2],
            "a foreign pickle": PICKLE, "a flipped bit": bytes(flipped)}  # fmt: skip


def damage(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def training(folder: Path, *more: Any) -> list[Any]:
    table = write_rows(folder / "train.csv", ROWS)
    start = ["doccls", *DOCCLS, "--train_file", table, "--per_device_train_batch_size", 16]
    start += ["--max_length", 16, "--num_train_epochs", 3, "--save_total_limit", 5]
    return [*start, "--metric_for_best_model", "loss", *more]


def checkpoint(folder: Path, run: Commands) -> Iterator[Case]:
    """Every file of a checkpoint with every damage, beside whole ones and alone."""
    words = training(folder, "--keep_checkpoints", "true", "--output_dir", folder / "whole")
    status, output = run(words, folder, {})
    assert status == 0, output
    whole = folder / "whole"
    record = read_json(whole / "run.json") | {"status": "running"}
    expected = (whole / "model.safetensors").read_bytes()
    written(whole / "run.json", json.dumps(record))
    (whole / "model.safetensors").unlink()
    found = sorted(whole.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    last, before = found[-1], found[-2]

    def same(status: int, output: str, cwd: Path) -> str:
        if f"Continuing from run/{before.name}." not in output:
            return f"does not go on from {before.name}"
        result = (cwd / "run" / "model.safetensors").read_bytes()
        return "" if result == expected else "other weights"

    def kept(status: int, output: str, cwd: Path) -> str:
        return "" if read_json(cwd / "run" / "run.json")["status"] == "running" else "run.json"

    for path in sorted(last.iterdir()):
        for name, content in foreign(path.read_bytes()).items():
            here = folder / f"{path.name} {name}"
            shutil.copytree(whole, here / "run")
            damage(here / "run" / last.name / path.name, content)
            again = training(folder, "--keep_checkpoints", "true", "--output_dir", "run")
            if name != "a flipped bit" or path.suffix in (".safetensors", ".pt"):
                yield Case(f"{path.name} {name}", again, False, same)
            alone = folder / f"{path.name} {name}, alone"
            shutil.copytree(last, alone / "run" / last.name)
            damage(alone / "run" / last.name / path.name, content)
            written(alone / "run" / "run.json", json.dumps(record))
            if path.name != "complete" or content is not None:  # without a mark it is none
                yield Case(f"{path.name} {name}, alone", again, True, kept)
            shutil.copytree(last, folder / "named" / f"{path.name} {name}")
            damage(folder / "named" / f"{path.name} {name}" / path.name, content)
            resumed = folder / "named" / f"{path.name} {name}"
            named = [*training(folder), "--output_dir", "new", "--resume", resumed]
            yield Case(f"{path.name} {name}, named", named)
    for name in ("run.json", "metrics.json"):
        for how, content in foreign((whole / name).read_bytes()).items():
            if how == "a flipped bit":
                continue
            here = folder / f"finished, {name} {how}"
            shutil.copytree(whole, here / "run")
            finished = json.dumps(record | {"status": "finished"})
            written(here / "run" / "run.json", finished)
            damage(here / "run" / name, content)
            again = training(folder, "--resume", "auto", "--output_dir", "run")
            yield Case(f"finished, {name} {how}", again)


def model(folder: Path, run: Commands) -> Iterator[Case]:
    """Folders of models whose files do not fit."""
    table = write_rows(folder / "train.csv", ROWS)
    status, output = run(training(folder, "--output_dir", folder / "whole"), folder, {})
    assert status == 0, output
    whole = folder / "whole"
    config = read_json(whole / "config.json")
    predict = ["doccls", "--do_train", "false", "--do_eval", "false", "--test_file", table]
    changes: dict[str, tuple[dict[str, Any], bool | None]] = {
        "id2label from 1": ({"id2label": {"1": "긍정", "2": "부정"}}, None),
        "id2label of words": ({"id2label": {"a": "긍정", "b": "부정"}}, True),
        "id2label a list": ({"id2label": ["긍정", "부정"]}, None),
        "id2label a number": ({"id2label": 2}, True),
        "id2label null": ({"id2label": None}, None),
        "id2label twice": ({"id2label": {"0": "긍정", "1": "긍정"}}, None),
        "id2label of numbers": ({"id2label": {"0": 1, "1": 2}}, None),
        "id2label with escapes": ({"id2label": {"0": "\x1b[2J", "1": "$_{$"}}, None),
        "label2id of another": ({"label2id": {"a": 0, "b": 1}}, None),
        "unknown dtype": ({"dtype": "float99"}, None),
        "unknown torch_dtype": ({"torch_dtype": "float99"}, None),
        "dtype a list": ({"dtype": [1]}, None),
        "unknown type": ({"model_type": "no-such"}, True),
        "type a number": ({"model_type": 7}, True),
        "no type": ({"model_type": None}, True),
        "code of its own": ({"auto_map": {"AutoConfig": "evil.Config"}}, None),
        "code for a model": ({"auto_map": {
            "AutoModelForSequenceClassification": "evil.Model"}}, None),
        "hidden size a word": ({"hidden_size": "x"}, True),
        "hidden size negative": ({"hidden_size": -8}, True),
        "hidden size zero": ({"hidden_size": 0}, True),
        "another hidden size": ({"hidden_size": 64}, True),
        "no vocabulary": ({"vocab_size": 0}, True),
        "huge vocabulary": ({"vocab_size": 10**12}, True),
        "vocabulary a word": ({"vocab_size": "x"}, True),
        "layers a fraction": ({"num_hidden_layers": 1.5}, True),
        "heads that do not divide": ({"num_attention_heads": 7}, True),
        "unknown activation": ({"hidden_act": "magic"}, True),
        "positions 0": ({"max_position_embeddings": 0}, True),
        "settings a list": ({"recipe_settings": [1]}, None),
        "settings of the wrong type": ({"recipe_settings": {"max_length": "x"}}, None),
        "settings negative": ({"recipe_settings": {"max_length": -3}}, True),
        "problem type": ({"problem_type": "magic"}, None),
        "architectures a word": ({"architectures": "x"}, None),
        "architectures empty": ({"architectures": []}, None),
        "precision unknown": ({"training_precision": "fp3"}, None),
        "padding far": ({"pad_token_id": 10**9}, None),
    }  # fmt: skip

    def folder_of(name: str) -> Path:
        here = folder / "models" / name.replace(" ", "-")
        shutil.copytree(whole, here, ignore=shutil.ignore_patterns("checkpoint-*", "*.jsonl"))
        return here

    for name, (change, refused) in changes.items():
        here = folder_of(name)
        written(here / "config.json", json.dumps(config | change, ensure_ascii=False))
        words = [*predict, "--model_name_or_path", here, "--output_dir", "new"]
        yield Case(name, words, refused)
    for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        for name, content in foreign((whole / file).read_bytes()).items():
            here = folder_of(f"{file} {name}")
            damage(here / file, content)
            words = [*predict, "--model_name_or_path", here, "--output_dir", "new"]
            open_ = name == "a flipped bit" or file == "tokenizer_config.json"
            yield Case(f"{file} {name}", words, None if open_ else True)
    for name, text in {
        "not JSON": "{", "empty": "", "a list": "[]", "no base": "{}",
        "base a number": '{"base_model_name_or_path": 7}',
        "base null": '{"base_model_name_or_path": null}',
        "base nowhere": '{"base_model_name_or_path": "./nowhere"}',
        "base itself": '{"base_model_name_or_path": "."}',
    }.items():  # fmt: skip
        here = folder_of(f"adapter {name}")
        (here / "config.json").unlink()
        written(here / "adapter_config.json", text)
        for recipe, more in (("doccls", ["--test_file", table]), ("ner", ["--test_file", table])):
            words = [recipe, "--do_train", "false", *more, "--model_name_or_path", here]
            yield Case(f"{recipe}, adapter {name}", [*words, "--output_dir", "new"])


def index(folder: Path, run: Commands) -> Iterator[Case]:
    """The files of a search index with every damage."""
    texts = written(folder / "texts.txt", "".join(f"{row['text']}\n" for row in ROWS))
    small = [*SHAPE, "--model_name_or_path", "package:models/tiny_encoder", "--max_steps", 1]
    train = ["search", *small, "--corpus", "sample_search", "--max_train_samples", 32]
    status, output = run(
        [*train, "--save_strategy", "no", "--eval_strategy", "no", "--load_best_model_at_end",
         "false", "--output_dir", folder / "encoder"], folder, {})  # fmt: skip
    assert status == 0, output
    make = ["nlpbook-data", "index", texts, "--model", folder / "encoder", "--hybrid"]
    status, output = run([*make, "--output", folder / "whole"], folder, {})
    assert status == 0, output
    for path in sorted((folder / "whole").rglob("*")):
        if not path.is_file() or path.name == ".lock":
            continue
        name = path.relative_to(folder / "whole")
        for how, content in foreign(path.read_bytes()).items():
            here = folder / f"{str(name).replace('/', '-')} {how}" / "index"
            shutil.copytree(folder / "whole", here)
            damage(here / name, content)
            refused = None if how == "a flipped bit" and path.suffix == ".json" else True
            yield Case(f"{name} {how}", ["nlpbook-data", "search", here, "영화"], refused)
    manifest = read_json(folder / "whole" / "manifest.json")
    for key in manifest:
        for value in (None, "x", -1, [], {"a": 1}):
            here = folder / f"{key} {str(value)[:3].strip('{[')}" / "index"
            if here.exists():
                continue
            shutil.copytree(folder / "whole", here)
            written(here / "manifest.json", json.dumps(manifest | {key: value}))
            yield Case(f"{key}: {value}", ["nlpbook-data", "search", here, "영화"], None)


def outward(folder: Path, run: Commands) -> Iterator[Case]:
    """Tokens and control characters, which no log, card or record shows."""
    rows = [
        {"text": f"\x1b]0;title\x07 {row['text']} \u202e", "label": f"\x1b[31m{row['label']}$_{{$"}
        for row in ROWS
    ]
    table = write_rows(folder / "escapes.jsonl", rows)
    short = ["--num_train_epochs", 1, "--output_dir", "new"]
    start = ["doccls", *DOCCLS, *short, "--baselines", "true", "--train_file", table]
    yield Case("labels with escapes and a $", start, False)
    plain = write_rows(folder / "rows.jsonl", ROWS)
    start = ["doccls", *DOCCLS, *short, "--train_file", plain]
    env = {"HF_TOKEN": TOKEN}
    yield Case("token in a name", [*start, "--hub_model_id", f"me/{TOKEN}"], False)
    yield Case("token in another option", [*start, "--run_name", TOKEN], False)
    yield Case("token in the environment", [*start, "--run_name", TOKEN[3:]], None,
               env={"MY_SECRET": TOKEN})  # fmt: skip
    yield Case("token of an option", [*start, "--hub_token", TOKEN], False)
    for name, words in {
        "as a value": ["--learning_rate", TOKEN],
        "as a model": ["--model_name_or_path", f"https://me:{TOKEN}@127.0.0.1/m"],
        "as a data set": ["--dataset_name", f"https://{TOKEN}@127.0.0.1/d"],
        "as a file": ["--train_file", f"{TOKEN}.csv"],
        "as an option": [f"--{TOKEN}", "1"],
        "as a folder": ["--output_dir", f"/dev/null/{TOKEN}"],
        "as a corpus": ["--corpus", TOKEN],
    }.items():
        yield Case(f"token {name}", ["doccls", *DOCCLS, *short, *words], True, env=env)
    for name in ("2024/scan.png", "<script>.csv", "a`b|c*d.csv", "$_{$.csv"):
        path = folder / name.replace("/", "-").replace(".png", ".csv")
        write_rows(path, ROWS)

        def card(status: int, output: str, cwd: Path, name: str = path.name) -> str:
            text = (cwd / "new" / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
            text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
            return "markup in the card" if re.search(r"<script>|[^\\]`b|[^\\]\*d", text) else ""

        yield Case(f"file {name}", ["doccls", *DOCCLS, *short, "--train_file", path], False, card)
    for encoding in ("cp949", "ascii", "utf-8"):
        for words in (["list"], ["show", "sample_reviews"], ["audit", "sample_reviews"]):
            yield Case(f"{words[0]} on a terminal of {encoding}", ["nlpbook-data", *words], False,
                       env={"PYTHONIOENCODING": encoding})  # fmt: skip


def programs(folder: Path, run: Commands) -> Iterator[Case]:
    """The programs that come after training, and bad input of each."""
    whole = folder / "whole"
    status, output = run(training(folder, "--output_dir", whole), folder, {})
    assert status == 0, output
    rows = [{"text": row["text"]} for row in ROWS[:6]]
    good = {end: write_rows(folder / f"given.{end}", rows) for end in ("csv", "tsv", "jsonl")}
    good["txt"] = written(folder / "given.txt", "".join(f"{row['text']}\n" for row in rows))
    for end, path in good.items():
        content = path.read_bytes()
        damages = {
            "empty": (b"", True),
            "a pickle": (PICKLE, True),
            "gzip": (b"\x1f\x8b\x08\x00" + content, True),
            "NUL": (content[:9] + b"\x00" + content[9:], None),
            "cut in a letter": (content[:-2], None),
            "escapes": (content + b"\x1b[2J\x07\n", None),
            "UTF-16": (content.decode().encode("utf-16"), False),
            "other columns": (content.replace(b"text", b"col"), None if end == "txt" else True),
        }
        for how, (bad, refused) in damages.items():
            here = written(folder / "predict" / how.replace(" ", "-") / path.name, bad)
            words = ["predict", whole, "--input", here, "--output", f"new.{end}"]
            new = "" if end == "txt" else f"new.{end}"  # its lines come back, each with its error
            yield Case(f"predict {end}: {how}", words, refused, new=new or "nothing")
    start = ["predict", whole, "--input", good["csv"]]
    (folder / "is_a_folder").mkdir()
    os.mkfifo(folder / "pipe.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    odd = {
        "no such input": ["predict", whole, "--input", "no.csv", "--output", "new"],
        "a folder as input": ["predict", whole, "--input", folder, "--output", "new"],
        "a pipe as input": ["predict", whole, "--input", folder / "pipe.csv", "--output", "new"],
        "zeros as input": ["predict", whole, "--input", folder / "zero.csv", "--output", "new"],
        "no such model": ["predict", "no", "--input", good["csv"], "--output", "new"],
        "a file as model": ["predict", good["csv"], "--input", good["csv"], "--output", "new"],
        "output is the input": [*start, "--output", good["csv"], "--overwrite"],
        "output is a folder": [*start, "--output", folder / "is_a_folder", "--overwrite"],
        "output in a file": [*start, "--output", good["csv"] / "new.csv"],
        "no such device": [*start, "--output", "new", "--device", "magic"],
        "a threshold of nan": [*start, "--output", "new", "--threshold", "nan"],
        "export of nothing": ["export", "no", "--output", "new"],
        "export over a run": ["export", whole, "--output", whole],
        "export of rows that are none": ["export", whole, "--output", "new", "--input", "no.csv"],
        "demo of nothing": ["demo", "no"],
        "demo on a port that is none": ["demo", whole, "--port", "99999"],
        "serve nothing": ["serve", "no"],
        "serve on a port that is none": ["serve", whole, "--port", "-1"],
        "results of nothing": ["nlpbook-data", "results", "no"],
        "results of a file": ["nlpbook-data", "results", good["csv"]],
        "results of no run": ["nlpbook-data", "results", folder / "is_a_folder"],
        "results against nothing": ["nlpbook-data", "results", whole, "--compare", "a", "b"],
        "results of no metric": ["nlpbook-data", "results", whole, "--metric", "magic"],
        "annotate nothing": ["nlpbook-data", "annotate", "no", "--tool", "doccano",
                             "--output", "new"],
        "annotate a table": ["nlpbook-data", "annotate", good["csv"], "--tool", "doccano",
                             "--output", "new"],
        "push nothing": ["nlpbook-data", "push-run", "no", "--hub_token", TOKEN],
        "push no run": ["nlpbook-data", "push-run", folder / "is_a_folder", "--hub_token", TOKEN],
        "search in nothing": ["nlpbook-data", "search", "no", "물음"],
        "search in a run": ["nlpbook-data", "search", whole, "물음"],
        "search in a file": ["nlpbook-data", "search", good["csv"], "물음"],
        "index of nothing": ["nlpbook-data", "index", "no.txt", "--output", "new"],
        "index of a folder": ["nlpbook-data", "index", folder / "is_a_folder", "--output", "new"],
        "index by a file": ["nlpbook-data", "index", good["txt"], "--model", good["csv"],
                            "--output", "new"],
        "BM25 of nan": ["nlpbook-data", "index", good["txt"], "--output", "new", "--bm25_b", "nan"],
        "qdrant without a place": ["nlpbook-data", "index", good["txt"], "--to", "qdrant",
                                   "--output", "new"],
        "a tokenizer of a table": ["tokenizer", "--text_files", whole / "model.safetensors",
                                   "--output_dir", "new"],
        "pretraining on zeros": ["pretrain", "--text_files", folder / "zero.csv",
                                 "--output_dir", "new"],
        "a teacher that is none": ["pretrain", "--teacher", "no", "--output_dir", "new"],
        "rerank without rows": ["rerank", "--train_file", "no.jsonl", "--output_dir", "new"],
    }  # fmt: skip
    for option in ("batch_size", "max_new_tokens", "seed", "threshold"):
        for value in ("-1", "0.5.1", "x", "", "9" * 500):
            odd[f"{option} {value[:5]}"] = [*start, "--output", "new", f"--{option}", value]
    for name, words in odd.items():
        yield Case(name, words)
        assert good["csv"].is_file() and (whole / "model.safetensors").is_file(), name
    for file in ("run.json", "metrics.json", "config.json", "predictions.jsonl"):
        for how, content in foreign((whole / file).read_bytes()).items():
            here = folder / "damaged" / f"{file}-{how}".replace(" ", "-")
            shutil.copytree(whole, here)
            damage(here / file, content)
            yield Case(f"results, {file} {how}", ["nlpbook-data", "results", here], None)
            push = ["nlpbook-data", "push-run", here, "--hub_token", TOKEN]
            yield Case(f"push-run, {file} {how}", push)
            words = ["predict", here, "--input", good["csv"], "--output", "new"]
            yield Case(f"predict, {file} {how}", words, None)


FAMILIES = {f.__name__: f for f in (own_files, odd_places, options, checkpoint, model, index)}
FAMILIES |= {"outward": outward, "programs": programs}


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def attack(names: list[str], report: Callable[[str], Any] = show) -> Counter[str]:
    """Try the cases of the families `names`; return how many were tried, held and failed."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="attacks-") as temporary:
        run = Commands(Path(temporary))
        for family in names:
            began, before = time.monotonic(), counts.copy()
            folder = Path(temporary) / family
            folder.mkdir()
            for case in FAMILIES[family](folder, run):
                cwd = folder / case.name
                if not (cwd / "run").is_dir():
                    cwd = folder / "cwd"
                cwd.mkdir(parents=True, exist_ok=True)
                start = time.monotonic()
                status, output = run(case.words, cwd, case.env)
                wrong = fault(case, status, output, cwd)
                counts.update(["tried", "failed" if wrong else "held"])
                if wrong:
                    seconds = time.monotonic() - start
                    report(f"FAILED {family}: {case.name}: {wrong} ({seconds:.0f} s)")
                    report("    " + " ".join(output.strip()[-1500:].splitlines()[-4:]))
                shutil.rmtree(cwd, ignore_errors=True)
            done = {key: counts[key] - before[key] for key in ("tried", "held", "failed")}
            words = ", ".join(f"{count} {key}" for key, count in done.items())
            report(f"{family}: {words}, {time.monotonic() - began:.0f} s")
        run.close()
    return counts


if __name__ == "__main__":
    found = attack(sys.argv[1:] or list(FAMILIES))
    show(", ".join(f"{found[key]} {key}" for key in ("tried", "held", "failed")))
    sys.exit(found["failed"] > 0)
