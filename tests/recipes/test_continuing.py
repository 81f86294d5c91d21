"""Recipes that go on from a model which was fine-tuned before, and models that others made."""

import json
import os
import pty
import random
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import NO_CHOICE, REPOSITORY, TINY
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from saved import pretrained, spoil
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
)
from writing import read_json, read_rows, write_rows

from nlpbook_data import load_corpus
from nlpbook_data.answering import load_tagger
from nlpbook_data.training.arguments import resolve_package

ENCODER = [*TINY, "--learning_rate", "1e-2"]
ENCODER += ["--per_device_train_batch_size", 8, "--num_train_epochs", 10, *NO_CHOICE]
SAME = ["--learning_rate", "1e-9", "--num_train_epochs", 1, "--precision", "float32"]
SAME += ["--baselines", "false"]
FILES = [v for s in ("train", "validation", "test") for v in (f"--{s}_file", f"{s}.jsonl")]
ALONE = ["--do_train", "false", "--do_eval", "false", "--test_file", "test.jsonl"]
WORDS = {"기쁨": ["좋다", "멋지다"], "슬픔": ["싫다", "나쁘다"], "화": ["그만", "저리"]}
FROZEN = "frozen model, logistic regression"
OTHER = {"기쁨": "joy", "슬픔": "sadness", "화": "anger"}


def sentences(task: str, seed: int, count: int, names: dict[str, str] | None = None) -> list[dict]:
    """Rows whose label a word tells; `names` renames the labels."""
    dice, rows = random.Random(seed), []
    for number in range(count):
        label = dice.choice(list(WORDS))
        word, name = dice.choice(WORDS[label]), (names or {}).get(label, label)
        text = f"{dice.choice(['오늘', '어제'])} {number % 7} {word}"
        if task == "doccls":
            rows.append({"text": text, "label": name})
        elif task == "paircls":
            rows.append({"sentence1": f"{seed} {number}", "sentence2": word, "label": name})
        else:
            span = {"start": text.index(word), "end": len(text), "label": name}
            rows.append({"text": text, "entities": [span]})
    return rows


def write_splits(folder: Path, task: str, count: int, **options) -> None:
    for seed, split in enumerate(("train", "validation", "test")):
        write_rows(folder / f"{split}.jsonl", sentences(task, seed, count, **options))


def reverse_ids(folder: Path, task: str) -> None:
    """Number the labels of a model the other way round: it predicts as before."""
    config = read_json(folder / "config.json")
    names = [config["id2label"][str(number)] for number in range(len(config["id2label"]))]
    order = list(range(len(names)))[::-1]
    if task == "ner":  # O stays, and B- before I-
        order = [0, *(i for first in range(len(names) - 2, 0, -2) for i in (first, first + 1))]
    config["id2label"] = {str(new): names[old] for new, old in enumerate(order)}
    config["label2id"] = {names[old]: new for new, old in enumerate(order)}
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
    weights = load_file(folder / "model.safetensors")
    for key in ("classifier.weight", "classifier.bias"):
        weights[key] = weights[key][order].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(params=["doccls", "paircls", "ner"])
def trained(request, fork_recipe: Callable, tmp_path: Path, tmp_path_factory) -> str:
    """The task of a run in ``first``, which solves most of ``test.jsonl``."""
    task, made = request.param, tmp_path_factory.getbasetemp() / f"continuing-{request.param}"
    if not made.exists():
        made.mkdir()
        for seed, split in enumerate(("train", "validation", "test")):
            write_rows(made / f"{split}.jsonl", sentences(task, seed, 24 if seed else 96))
        fork_recipe(task, *ENCODER, *FILES, "--output_dir", "first", cwd=made).expect()
        assert score(made / "first") > 0.7
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return task


def score(folder: Path) -> float:
    scores = read_json(folder / "metrics.json")["test"]
    return scores.get("accuracy", scores.get("micro_f1"))


@pytest.mark.parametrize("lora", ["false", "true"])
def test_labels_in_another_order_keep_the_ids_of_the_model(trained, fork_recipe, tmp_path, lora):
    reverse_ids(tmp_path / "first", trained)
    again = ["--model_name_or_path", "first", "--output_dir", "second", "--lora", lora]
    fork_recipe(trained, *again, *FILES, *SAME).expect()
    assert score(tmp_path / "second") == score(tmp_path / "first")
    configs = [read_json(tmp_path / f / "config.json") for f in ("first", "second")]
    assert configs[0]["id2label"] == configs[1]["id2label"]


def test_a_model_whose_labels_are_in_decomposed_letters_knows_those_of_the_data(
    trained, fork_recipe, tmp_path
):
    config = read_json(tmp_path / "first" / "config.json")
    labels = {n: unicodedata.normalize("NFD", name) for n, name in config["id2label"].items()}
    config |= {"id2label": labels, "label2id": {name: int(n) for n, name in labels.items()}}
    (tmp_path / "first" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = ["--model_name_or_path", "first", "--precision", "float32"]
    fork_recipe(trained, *model, *FILES, *SAME, "--output_dir", "second").expect()
    fork_recipe(trained, *model, *ALONE, "--output_dir", "alone").expect()
    for folder in ("second", "alone"):
        assert score(tmp_path / folder) == score(tmp_path / "first")
    rows = (tmp_path / "alone" / "predictions.jsonl").read_text("utf-8")
    assert unicodedata.is_normalized("NFC", rows)


def test_other_labels_are_refused_or_get_a_new_head(trained, fork_recipe, tmp_path):
    write_splits(tmp_path, trained, 24, names=OTHER)
    again = ["--model_name_or_path", "first", *FILES, *SAME]
    refused = fork_recipe(trained, *again, "--output_dir", "second")
    assert refused.status == 1
    for word in ("first: ", "기쁨", "joy", "--ignore_mismatched_sizes true"):
        assert word in refused.error
    assert not (tmp_path / "second").exists()

    result = fork_recipe(
        trained, *again, "--output_dir", "second", "--ignore_mismatched_sizes", "true"
    ).expect()
    assert "replaced by a new one" in result.stderr
    before, after = (load_file(tmp_path / f / "model.safetensors") for f in ("first", "second"))
    assert not before["classifier.weight"].allclose(after["classifier.weight"], atol=1e-3)
    body = "bert.encoder.layer.0.output.dense.weight"
    assert before[body].allclose(after[body], atol=1e-6)


@pytest.mark.parametrize(
    ("task", "corpus", "columns"),
    [("doccls", "sample_reviews", ["text"]), ("paircls", "sample_nli", ["premise", "hypothesis"])],
)
def test_what_fine_tuning_adds_is_shown_by_the_model_as_it_was(
    fork_recipe, tmp_path, task, corpus, columns
):
    encoder = pretrained(tmp_path / "encoder")
    options = ["--model_name_or_path", encoder, "--baselines", "true", "--max_steps", 2]
    options += ["--corpus", corpus, "--max_train_samples", 64, "--max_eval_samples", 20]
    options += ["--max_predict_samples", 40, "--output_dir", "out"]
    assert FROZEN in fork_recipe(task, *options).expect().stdout

    rows = load_corpus(corpus)
    model, tokenizer = (a.from_pretrained(encoder) for a in (AutoModel, AutoTokenizer))

    def vectors(part):  # one row at a time: padding, order and batches change nothing
        texts = zip(*(part[column] for column in columns), strict=True)
        found = [model(**tokenizer(*row, return_tensors="pt")) for row in texts]
        return np.stack([each.last_hidden_state[0].mean(0).detach().numpy() for each in found])

    train = rows["train"][:64]
    classify = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    classify.fit(vectors(train), train["label"])
    expected = classify.predict(vectors(rows["test"][:40]))
    kept = read_json(tmp_path / "out" / "baselines.json")[FROZEN]
    assert kept == [rows["train"].features["label"].names[number] for number in expected]


def test_the_tagger_of_the_card_finds_what_the_run_found_in_long_texts_too(fork_recipe, tmp_path):
    rows = sentences("ner", 0, 64)
    long = {"text": "", "entities": []}
    for row in rows[:30]:
        shift = len(long["text"])
        long["entities"] += [
            span | {"start": span["start"] + shift, "end": span["end"] + shift}
            for span in row["entities"]
        ]
        long["text"] += row["text"] + " "
    long["text"] = long["text"].strip()
    for split, part in (("train", rows), ("validation", rows[:20]), ("test", [long, *rows[:9]])):
        write_rows(tmp_path / f"{split}.jsonl", part)
    windows = ["--max_length", 24, "--stride", 6]
    fork_recipe("ner", *ENCODER, *FILES, *windows, "--output_dir", "run").expect()
    assert "load_tagger" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    find = load_tagger(tmp_path / "run", device="cpu")
    assert (find.max_length, find.stride) == (24, 6)
    for row in read_rows(tmp_path / "run" / "predictions.jsonl"):
        found = find(row["text"])
        for ours, theirs in zip(found, row["prediction"], strict=True):
            assert ours == theirs | {"score": pytest.approx(theirs["score"], abs=1e-4)}
    assert len(find(long["text"])) > 10


def test_a_finished_run_refuses_to_answer_for_what_was_not_asked_then(fork_recipe, tmp_path):
    write_splits(tmp_path, "doccls", 24)
    write_rows(tmp_path / "new.jsonl", sentences("doccls", 9, 24))
    command = ["doccls", *ENCODER, *FILES, "--num_train_epochs", 1, "--output_dir", "run"]
    command += ["--resume", "auto"]
    assert fork_recipe(*command).status == 0
    metrics = (tmp_path / "run" / "metrics.json").read_bytes()

    same = fork_recipe(*command)
    assert same.status == 0 and "This run is finished" in same.stderr, same.stderr
    for options in (
        ("--test_file", "new.jsonl"),
        ("--validation_file", "test.jsonl", "--test_file", "validation.jsonl"),
        ("--seeds", 1, 2),
        ("--num_train_epochs", 2),
        ("--baselines", "true"),
    ):
        other = fork_recipe(*command, *options)
        assert other.status == 1 and other.error.startswith("run: "), (options, other.stderr)
    write_rows(tmp_path / "train.jsonl", sentences("doccls", 5, 24))
    changed = fork_recipe(*command)
    assert changed.status == 1 and "the data changed" in changed.error
    assert "train.jsonl" in changed.error and "--resume never" in changed.error
    assert (tmp_path / "run" / "metrics.json").read_bytes() == metrics


@pytest.mark.parametrize("trained", ["doccls"], indirect=True)
def test_a_model_that_predicts_nan_ends_in_an_error_that_names_it(trained, fork_recipe, tmp_path):
    weights = load_file(tmp_path / "first" / "model.safetensors")
    for value in (float("nan"), 3e38):  # the second overflows in the sum
        weights["classifier.weight"][:] = value
        weights["bert.encoder.layer.0.output.dense.weight"][:] = value
        save_file(weights, tmp_path / "first" / "model.safetensors", metadata={"format": "pt"})
        result = fork_recipe(
            *(trained, "--do_train", "false", "--model_name_or_path", "first", "--precision"),
            *("float32", "--test_file", "test.jsonl", "--output_dir", "predictions"),
        )
        assert result.status == 1 and "NaN" in result.error and "first" in result.error
        assert not (tmp_path / "predictions" / "predictions.jsonl").exists()


def test_the_next_command_works_as_printed_with_own_columns_and_short_windows(
    fork_recipe, tmp_path
):
    """Columns, length and stride come from the model: a stride of 32 leaves 24 tokens no window."""
    rows = [{"글": r["text"], "이름": r["entities"]} for r in sentences("ner", 0, 24)]
    for split in ("train", "validation", "test"):
        write_rows(tmp_path / f"{split}.jsonl", rows)
    own = ["--text_column_name", "글", "--entities_column_name", "이름"]
    quick = ["--max_length", 24, "--stride", 6, "--num_train_epochs", 1]
    result = fork_recipe("ner", *TINY, *FILES, *own, *quick, "--output_dir", "run").expect()
    line = next(line for line in result.stdout.splitlines() if line.startswith("next"))
    words = shlex.split(line.replace("FILE", "new.jsonl"))
    write_rows(tmp_path / "new.jsonl", [{"글": row["글"]} for row in rows])
    fork_recipe(Path(words[3]).stem, *words[4:]).expect()
    again = read_rows(tmp_path / "run-predictions" / "predictions.jsonl")
    first = read_rows(tmp_path / "run" / "predictions.jsonl")
    assert [row["prediction"] for row in again] == [row["prediction"] for row in first]


@pytest.mark.parametrize(
    ("task", "auto", "columns"),
    [
        ("search", "AutoModel", ("query", "passage")),
        ("rerank", "AutoModelForSequenceClassification", ("query", "passage")),
        ("generation", "AutoModelForCausalLM", ("prompt", "completion")),
    ],
)
def test_other_models_that_predict_nan_score_nothing(fork_recipe, tmp_path, task, auto, columns):
    family = "GPT2" if task == "generation" else "Bert"
    spoil(pretrained(tmp_path / "model", family, auto, num_labels=1))
    rows = [dict(zip(columns, ("봄 길", f"봄 {n}"), strict=True)) for n in range(9)]
    write_rows(tmp_path / "test.jsonl", rows)
    result = fork_recipe(
        *(task, *ALONE, "--model_name_or_path", "model", "--precision", "float32"),
        *("--output_dir", "predictions"),
    )
    result.expect(1, "model predicts NaN: ")
    assert not (tmp_path / "predictions" / "predictions.jsonl").exists()


@pytest.mark.parametrize(
    ("task", "told"), [("doccls", True), ("doccls", False), ("search", True), ("rerank", True)]
)
def test_a_lone_vocab_txt_that_loses_hangul_is_told_with_share_and_cure(
    fork_recipe, tmp_path, task, told
):
    rows = [{"text": r["text"], "label": r["label"]} for r in sentences("doccls", 0, 24)]
    if task != "doccls":
        rows = [{"query": row["text"], "passage": row["text"]} for row in rows]
    for split in ("train", "validation", "test"):
        write_rows(tmp_path / f"{split}.jsonl", rows)
    words = sorted({word for row in rows for word in next(iter(row.values())).split()})
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    )
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words) + 5, intermediate_size=64, **sizes)
    BertForMaskedLM(config).save_pretrained(folder)
    if not told:  # the cure
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    quick = ["--num_train_epochs", 1, "--baselines", "false", "--output_dir", "run"]
    result = fork_recipe(task, "--model_name_or_path", "model", *FILES, *quick).expect()
    if told:  # 24 rows of [CLS], three words, of which only a number may be known, [SEP]
        share = re.search(r"tokenizer does not know (\d+)% of the tokens", result.stderr)
        assert share and 35 <= int(share[1]) <= 60
    assert ("do_lower_case" in result.stderr) == told


def test_labels_that_are_called_label_0_and_label_1_are_labels(fork_recipe, tmp_path):
    names = {"기쁨": "LABEL_0", "슬픔": "LABEL_1", "화": "LABEL_1"}
    write_splits(tmp_path, "doccls", 32, names=names)
    fork_recipe("doccls", *ENCODER, *FILES, "--output_dir", "first").expect()
    alone = [*ALONE, "--model_name_or_path", "first", "--output_dir", "alone"]
    fork_recipe("doccls", *alone).expect()
    assert score(tmp_path / "alone") == score(tmp_path / "first")


def test_a_head_that_goes_on_with_another_loss_is_told(fork_recipe, tmp_path):
    labels = {"id2label": dict(enumerate(WORDS)), "label2id": {w: n for n, w in enumerate(WORDS)}}
    kind = {"problem_type": "single_label_classification"}
    auto = "AutoModelForSequenceClassification"
    pretrained(tmp_path / "model", auto=auto, **labels, **kind)
    write_splits(tmp_path, "doccls", 32)
    command = ["doccls", "--model_name_or_path", "model", *FILES, *SAME, "--multi_label"]
    other, same = (
        fork_recipe(*command, many, "--output_dir", many).expect() for many in ("true", "false")
    )
    line = "single_label_classification, and goes on for multi_label_classification"
    assert line in other.stderr and "goes on for" not in same.stderr


@pytest.mark.long
@pytest.mark.parametrize("program", ["doccls", "predict", "tokenizer"])
def test_a_terminal_is_not_asked_whether_a_models_code_may_run(tmp_path, program):
    write_splits(tmp_path, "doccls", 8)
    model = pretrained(tmp_path / "model")
    settings = read_json(model / "config.json")
    classes = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    classes["AutoModelForSequenceClassification"] = "evil.Model"
    settings |= {"model_type": "evil", "auto_map": classes}
    (model / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    (model / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    words = {
        "doccls": ["--model_name_or_path", model, *FILES, "--output_dir", "out"],
        "predict": [model, "--input", "test.jsonl"],
        "tokenizer": ["--extend", model, "--text_files", "test.jsonl", "--output_dir", "out"],
    }
    command = [sys.executable, str(REPOSITORY / "recipes" / f"{program}.py"), *words[program]]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(word) for word in command], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # the terminal's other end is closed: the command has ended
        pass
    assert process.wait() == 1
    said = shown.decode()
    assert "its own code would have to run, which it may not" in said
    assert "[y/N]" not in said and "Traceback" not in said
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_words_that_were_added_to_a_models_tokenizer_are_embedded(fork_recipe, tmp_path):
    write_splits(tmp_path, "doccls", 32)
    source = resolve_package("package:models/encoder")
    tokenizer = AutoTokenizer.from_pretrained(source)
    words = len(tokenizer)
    assert tokenizer.add_tokens(["꿀잼각", "노잼각"]) == 2
    tokenizer.save_pretrained(tmp_path / "longer")
    quick = ["--num_train_epochs", 1, "--baselines", "false", "--precision", "float32"]
    result = fork_recipe(
        *("doccls", "--model_name_or_path", "package:models/encoder", "--tokenizer_name", "longer"),
        *(*FILES, *quick, "--output_dir", "first"),
    ).expect()
    assert "2 words were added" in result.stderr
    rows = load_file(tmp_path / "first" / "model.safetensors")
    assert rows["model.embeddings.tok_embeddings.weight"].shape[0] == words + 2
    alone = [*ALONE, "--model_name_or_path", "first", "--output_dir", "alone"]
    fork_recipe("doccls", *alone).expect()
    assert score(tmp_path / "alone") == score(tmp_path / "first")


def test_adapters_that_peft_saved_elsewhere_are_a_model(fork_recipe, tmp_path):
    """Their folder has neither config.json nor a tokenizer: both are the base model's."""
    write_splits(tmp_path, "doccls", 32)
    labels = {"id2label": dict(enumerate(WORDS)), "label2id": {w: n for n, w in enumerate(WORDS)}}
    auto = AutoModelForSequenceClassification
    base = pretrained(tmp_path / "base", auto=auto.__name__, **labels)
    model, tokenizer = (one.from_pretrained(base) for one in (auto, AutoTokenizer))
    options = {"task_type": "SEQ_CLS", "target_modules": ["query"], "init_lora_weights": False}
    adapted = get_peft_model(model, LoraConfig(**options))
    adapted.peft_config["default"].base_model_name_or_path = "base"
    torch.nn.init.normal_(adapted.get_submodule("base_model.model.classifier").weight)
    adapted.save_pretrained(tmp_path / "adapters")
    alone = [*ALONE, "--model_name_or_path", "adapters", "--precision", "float32"]
    weights = tmp_path / "adapters" / "adapter_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    told = fork_recipe("doccls", *alone, "--output_dir", "alone").expect(1, "python -c").error
    convert = shlex.split(told.partition("python ")[2])
    subprocess.run([sys.executable, *convert], cwd=tmp_path, check=True)
    fork_recipe("doccls", *alone, "--output_dir", "alone").expect()
    for row in read_rows(tmp_path / "alone" / "predictions.jsonl"):
        with torch.no_grad():
            logits = adapted.eval()(**tokenizer(row["text"], return_tensors="pt")).logits[0]
        expected = dict(zip(WORDS, logits.softmax(0).tolist(), strict=True))
        assert row["probabilities"] == pytest.approx(expected, abs=1e-4)
    fork_recipe(
        *("doccls", *SAME, *FILES, "--model_name_or_path", "adapters", "--output_dir", "more")
    ).expect()
    assert score(tmp_path / "more") == score(tmp_path / "alone")
    config = tmp_path / "adapters" / "adapter_config.json"
    config.write_text(json.dumps(read_json(config) | {"task_type": "CAUSAL_LM"}), encoding="utf-8")
    other = [*SAME, *FILES, "--model_name_or_path", "adapters", "--output_dir", "other"]
    fork_recipe("doccls", *other).expect(1, "the adapters do not fit their model")
