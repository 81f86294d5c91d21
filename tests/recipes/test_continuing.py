"""Recipes that go on from a model which was fine-tuned before, and models that others made."""

import json
import os
import pty
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
from conftest import RECIPES
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from saved import pretrained, spoil
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tasks import FEELINGS, QUICK, TASKS, TINY, feelings, tagged
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
)
from writing import Run, read_json, write_rows

from nlpbook_data import load_corpus
from nlpbook_data.answering import load_tagger
from nlpbook_data.training.arguments import resolve_package

SAME = "--learning_rate 1e-9 --num_train_epochs 1 --precision float32 --baselines false"
FILES = TASKS["doccls"].files()
ALONE = "--do_train false --do_eval false --test_file test.jsonl --output_dir alone"
FROZEN = "frozen model, logistic regression"
LABELS = {
    "id2label": dict(enumerate(FEELINGS)),
    "label2id": {label: number for number, label in enumerate(FEELINGS)},
}


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
def task(request, trained: Callable, tmp_path: Path) -> str:
    """The task of a run in ``first``, which solves most of the test file that is beside it."""
    run = trained(request.param)
    assert score(run) > 0.7
    shutil.copytree(run.folder, tmp_path / "first")
    TASKS[request.param].write_files(tmp_path)
    return request.param


def score(run: Run) -> float:
    scores = run.scores["test"]
    return scores.get("accuracy", scores.get("micro_f1"))


@pytest.mark.parametrize("lora", ["false", "true"])
def test_labels_in_another_order_keep_the_ids_of_the_model(task, fork_recipe, tmp_path, lora):
    reverse_ids(tmp_path / "first", task)
    again = [*TASKS[task].again("first"), SAME, "--output_dir second", "--lora", lora]
    run, first = (
        fork_recipe(*again, *TASKS[task].files()).expect().run,
        Run(tmp_path / "first"),
    )
    assert score(run) == score(first) and run.config["id2label"] == first.config["id2label"]


def test_a_model_whose_labels_are_in_decomposed_letters_knows_those_of_the_data(
    task, fork_recipe, tmp_path
):
    first, files = Run(tmp_path / "first"), TASKS[task].files()
    config = first.config
    labels = {n: unicodedata.normalize("NFD", name) for n, name in config["id2label"].items()}
    config |= {"id2label": labels, "label2id": {name: int(n) for n, name in labels.items()}}
    (first / "config.json").write_text(json.dumps(config), encoding="utf-8")
    again = TASKS[task].again("first")
    second = fork_recipe(*again, *files, SAME, "--output_dir second").expect().run
    test = ["--do_train false --do_eval false --output_dir alone", *files[-2:]]
    alone = fork_recipe(*again, *test).expect().run
    assert score(second) == score(alone) == score(first)
    rows = (alone / "predictions.jsonl").read_text("utf-8")
    assert unicodedata.is_normalized("NFC", rows)


def test_other_labels_are_refused_or_get_a_new_head(task, fork_recipe, tmp_path):
    first = Run(tmp_path / "first")
    known = {label.rpartition("-")[2] for label in first.config["label2id"]} - {"O"}
    TASKS[task].write_files(tmp_path, names={label: f"new {label}" for label in known})
    files = TASKS[task].files()
    again = [*TASKS[task].again("first"), *files, SAME, "--output_dir second"]
    refused = fork_recipe(*again)
    some = min(known)
    refused.expect(1, "first: ", some, f"new {some}", "--ignore_mismatched_sizes true")
    assert not refused.run.folder.exists()

    result = fork_recipe(*again, "--ignore_mismatched_sizes true").expect()
    assert "replaced by a new one" in result.stderr
    before, after = first.weights, result.run.weights
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
    few = "--max_train_samples 64 --max_eval_samples 20 --max_predict_samples 40 --max_steps 2"
    options = ["--model_name_or_path", encoder, "--corpus", corpus, few, "--baselines true"]
    result = fork_recipe(task, *options).expect()
    assert FROZEN in result.stdout

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
    kept = read_json(result.run / "baselines.json")[FROZEN]
    assert kept == [rows["train"].features["label"].names[number] for number in expected]


def test_the_tagger_of_the_card_finds_what_the_run_found_in_long_texts_too(trained):
    run = trained("ner")
    assert "load_tagger" in run.card
    find = load_tagger(run.folder, device="cpu")
    assert (find.max_length, find.stride) == (24, 4)
    for row in run.rows:
        found = find(row["text"])
        for ours, theirs in zip(found, row["prediction"], strict=True):
            assert ours == theirs | {"score": pytest.approx(theirs["score"], abs=1e-4)}


def test_a_finished_run_refuses_to_answer_for_what_was_not_asked_then(fork_recipe, tmp_path):
    TASKS["doccls"].write_files(tmp_path)
    write_rows(tmp_path / "new.jsonl", feelings(9, 24))
    command = ["doccls", *TINY, *FILES, "--num_train_epochs 1 --output_dir run --resume auto"]
    run = fork_recipe(*command).expect().run
    metrics = (run / "metrics.json").read_bytes()

    assert "This run is finished" in fork_recipe(*command).expect().stderr
    for options in (
        "--test_file new.jsonl",
        "--validation_file test.jsonl --test_file validation.jsonl",
        "--seeds 1 2",
        "--num_train_epochs 2",
        "--baselines true",
    ):
        other = fork_recipe(*command, options)
        assert other.status == 1 and other.error.startswith("run: "), (options, other.stderr)
    write_rows(tmp_path / "train.jsonl", feelings(5, 24))
    fork_recipe(*command).expect(1, "the data changed", "train.jsonl", "--resume never")
    assert (run / "metrics.json").read_bytes() == metrics


@pytest.mark.parametrize("value", [float("nan"), 3e38])  # which overflows in the sum
def test_a_model_that_predicts_nan_ends_in_an_error_that_names_it(
    trained, fork_recipe, tmp_path, value
):
    shutil.copytree(trained("doccls").folder, tmp_path / "first")
    TASKS["doccls"].write_files(tmp_path)
    weights = trained("doccls").weights
    for name in ("classifier.weight", "bert.encoder.layer.0.output.dense.weight"):
        weights[name][:] = value
    save_file(weights, tmp_path / "first" / "model.safetensors", metadata={"format": "pt"})
    options = "--do_train false --model_name_or_path first --precision float32 --output_dir alone"
    result = fork_recipe("doccls", options, "--test_file test.jsonl").expect(1, "NaN", "first")
    assert not (result.run / "predictions.jsonl").exists()


def test_the_next_command_works_as_printed_with_own_columns_and_short_windows(
    fork_recipe, tmp_path
):
    """Columns, length and stride come from the model: a stride of 32 leaves 24 tokens no window."""
    rows = [{"글": r["text"], "이름": r["entities"]} for r in tagged(0, 24, 6)]
    for split in ("train", "validation", "test"):
        write_rows(tmp_path / f"{split}.jsonl", rows)
    own = "--text_column_name 글 --entities_column_name 이름 --max_length 24 --stride 6"
    command = ["ner", *TINY, *FILES, own, "--num_train_epochs 1 --output_dir run"]
    result = fork_recipe(*command).expect()
    line = next(line for line in result.stdout.splitlines() if line.startswith("next"))
    words = shlex.split(line.replace("FILE", "new.jsonl"))
    write_rows(tmp_path / "new.jsonl", [{"글": row["글"]} for row in rows])
    again = fork_recipe(Path(words[3]).stem, *words[4:]).expect().run
    assert again.folder == tmp_path / "run-predictions"
    found = [[row["prediction"] for row in run.rows] for run in (again, result.run)]
    assert found[0] == found[1]


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
    options = "--model_name_or_path model --precision float32"
    result = fork_recipe(task, ALONE, options).expect(1, "model predicts NaN: ")
    assert not (result.run / "predictions.jsonl").exists()


@pytest.mark.parametrize(
    ("task", "told"), [("doccls", True), ("doccls", False), ("search", True), ("rerank", True)]
)
def test_a_lone_vocab_txt_that_loses_hangul_is_told_with_share_and_cure(
    fork_recipe, tmp_path, task, told
):
    rows = feelings(0, 24)
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
    quick = "--num_train_epochs 1 --baselines false --model_name_or_path model"
    result = fork_recipe(task, quick, *FILES).expect()
    if told:  # 24 rows of [CLS], three words, of which only a number may be known, [SEP]
        share = re.search(r"tokenizer does not know (\d+)% of the tokens", result.stderr)
        assert share and 35 <= int(share[1]) <= 60
    assert ("do_lower_case" in result.stderr) == told


def test_labels_that_are_called_label_0_and_label_1_are_labels(fork_recipe, tmp_path):
    names = {"기쁨": "LABEL_0", "슬픔": "LABEL_1", "화": "LABEL_1"}
    TASKS["doccls"].write_files(tmp_path, names=names)
    first = fork_recipe("doccls", *TINY, QUICK, *FILES, "--output_dir first").expect().run
    alone = fork_recipe("doccls", ALONE, "--model_name_or_path first").expect().run
    assert score(alone) == score(first)


def test_a_head_that_goes_on_with_another_loss_is_told(fork_recipe, tmp_path):
    kind = {"problem_type": "single_label_classification"}
    pretrained(tmp_path / "model", auto="AutoModelForSequenceClassification", **LABELS, **kind)
    TASKS["doccls"].write_files(tmp_path)
    command = ["doccls", "--model_name_or_path model", *FILES, SAME, "--multi_label"]
    other, same = (
        fork_recipe(*command, many, "--output_dir", many).expect() for many in ("true", "false")
    )
    line = "single_label_classification, and goes on for multi_label_classification"
    assert line in other.stderr and "goes on for" not in same.stderr


@pytest.mark.long
@pytest.mark.parametrize("program", ["doccls", "predict", "tokenizer"])
def test_a_terminal_is_not_asked_whether_a_models_code_may_run(tmp_path, program):
    TASKS["doccls"].write_files(tmp_path)
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
    command = [sys.executable, RECIPES / f"{program}.py", *words[program]]
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
    TASKS["doccls"].write_files(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(resolve_package("package:models/encoder"))
    words = len(tokenizer)
    assert tokenizer.add_tokens(["꿀잼각", "노잼각"]) == 2
    tokenizer.save_pretrained(tmp_path / "longer")
    model = "--model_name_or_path package:models/encoder --tokenizer_name longer"
    quick = "--num_train_epochs 1 --baselines false --precision float32 --output_dir first"
    result = fork_recipe("doccls", model, quick, *FILES).expect()
    assert "2 words were added" in result.stderr
    weights = result.run.weights
    assert weights["model.embeddings.tok_embeddings.weight"].shape[0] == words + 2
    alone = fork_recipe("doccls", ALONE, "--model_name_or_path first").expect().run
    assert score(alone) == score(result.run)


def test_adapters_that_peft_saved_elsewhere_are_a_model(fork_recipe, tmp_path):
    """Their folder has neither config.json nor a tokenizer: both are the base model's."""
    TASKS["doccls"].write_files(tmp_path)
    auto = AutoModelForSequenceClassification
    base = pretrained(tmp_path / "base", auto=auto.__name__, **LABELS)
    model, tokenizer = (one.from_pretrained(base) for one in (auto, AutoTokenizer))
    options = {"task_type": "SEQ_CLS", "target_modules": ["query"], "init_lora_weights": False}
    adapted = get_peft_model(model, LoraConfig(**options))
    adapted.peft_config["default"].base_model_name_or_path = "base"
    torch.nn.init.normal_(adapted.get_submodule("base_model.model.classifier").weight)
    adapted.save_pretrained(tmp_path / "adapters")
    weights = tmp_path / "adapters" / "adapter_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    command = ["doccls", ALONE, "--model_name_or_path adapters --precision float32"]
    told = fork_recipe(*command).expect(1, "python -c").error
    convert = shlex.split(told.partition("python ")[2])
    subprocess.run([sys.executable, *convert], cwd=tmp_path, check=True)
    alone = fork_recipe(*command).expect().run
    for row in alone.rows:
        with torch.no_grad():
            logits = adapted.eval()(**tokenizer(row["text"], return_tensors="pt")).logits[0]
        expected = dict(zip(FEELINGS, logits.softmax(0).tolist(), strict=True))
        assert row["probabilities"] == pytest.approx(expected, abs=1e-4)
    training = ["doccls", SAME, *FILES, "--model_name_or_path adapters --output_dir"]
    assert score(fork_recipe(*training, "more").expect().run) == score(alone)
    config = tmp_path / "adapters" / "adapter_config.json"
    config.write_text(json.dumps(read_json(config) | {"task_type": "CAUSAL_LM"}), encoding="utf-8")
    fork_recipe(*training, "other").expect(1, "the adapters do not fit their model")
