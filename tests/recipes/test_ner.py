"""recipes/ner.py as users run it, on data that ships or that the test writes."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RECIPES, TINY
from safetensors.torch import load_file
from seqeval.metrics import f1_score
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
from writing import read_json, read_rows, visible, write_rows

from nlpbook_data.features.particles import PARTICLES
from nlpbook_data.reports.push import pushed_files

LEFT_BEHIND = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl", "errors.html"),
    *("baselines.json", "learning_curve.png", "per_type.png"),
}
NO_DROPOUT = ",hidden_dropout_prob=0.0,attention_probs_dropout_prob=0.0"
FEW = ["--max_train_samples", 240, "--max_eval_samples", 40, "--max_predict_samples", 60]
MODEL = [*TINY, "--max_length", 24, "--stride", 4]
EVALUATE = ["--do_train", "false", "--max_length", 24, "--stride", 4]
NAMES = {"인물": ["김민준", "이서연", "박도윤"], "장소": ["부산", "제주", "대구"]}
FILLER = ["어제", "오늘", "내일", "매우", "멀리", "다시"]


def sentences(seed: int, count: int, words: int) -> list[list[tuple[str, str]]]:
    """Words with their tags: a name among others, and one last."""
    dice, made = random.Random(seed), []
    for _ in range(count):
        kinds = dice.choices(list(NAMES), k=2)
        first, last = ((dice.choice(NAMES[kind]), f"B-{kind}") for kind in kinds)
        row = [(word, "O") for word in dice.choices(FILLER, k=words)]
        row.insert(dice.randrange(words), first)
        made.append([*row, last])
    return made


LONG = sentences(4, 7, 60)


def write_conll(path: Path, rows: list[list[tuple[str, str]]]) -> Path:
    blocks = ("".join(f"{word}\t{tag}\n" for word, tag in row) for row in rows)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def spans(entities: list[dict]) -> list[tuple[int, int, str]]:
    return [(entity["start"], entity["end"], entity["label"]) for entity in entities]


def tag_characters(text: str, entities: list[dict]) -> list[str]:
    tags = ["O"] * len(text)
    for entity in entities:
        inside = [f"I-{entity['label']}"] * (entity["end"] - entity["start"] - 1)
        tags[entity["start"] : entity["end"]] = [f"B-{entity['label']}", *inside]
    return tags


@pytest.fixture
def trained(fork_recipe: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on CoNLL's columns, and its files beside it; nobody writes to it."""
    folder = tmp_path_factory.getbasetemp() / "ner"
    if not (folder / "run").exists():
        folder.mkdir(exist_ok=True)
        write_conll(folder / "train.txt", sentences(0, 96, 6))
        write_conll(folder / "validation.txt", sentences(1, 13, 5))
        test = [*sentences(2, 4, 5), *LONG, *sentences(3, 5, 7)]
        write_conll(folder / "test.txt", test)
        files = [v for s in ("train", "validation", "test") for v in (f"--{s}_file", f"{s}.txt")]
        options = ["--learning_rate", "1e-2", "--num_train_epochs", 6, "--output_dir", "run"]
        options += ["--per_device_train_batch_size", 8, "--per_device_eval_batch_size", 3]
        fork_recipe("ner", *MODEL, *files, *options, cwd=folder).expect()
    return folder / "run"


def test_the_default_command_trains_scores_and_leaves_everything(fork_recipe, tmp_path):
    fork_recipe("ner", *FEW, "--num_train_epochs", 2).expect()
    folder = tmp_path / "outputs" / "ner"
    assert visible(folder) == LEFT_BEHIND
    scores, rows = read_json(folder / "metrics.json"), read_rows(folder / "predictions.jsonl")
    assert "dictionary" in scores["baselines"] and scores["ceiling"]["test"]["micro_f1"] > 0.9
    for row in rows:
        for entity in row["entities"] + row["prediction"]:
            assert row["text"][entity["start"] : entity["end"]] == entity["text"]
    tags = [
        [tag_characters(row["text"], row[key]) for row in rows]
        for key in ("entities", "prediction")
    ]
    assert scores["test"]["micro_f1"] == pytest.approx(f1_score(*tags)) and f1_score(*tags) > 0
    errors = read_rows(folder / "errors.jsonl")
    assert all(spans(row["entities"]) != spans(row["prediction"]) for row in errors)
    # the corpus' texts are in the folder, and stay there
    kept = LEFT_BEHIND - set(pushed_files(folder))
    assert kept == {
        "run.json",
        "predictions.jsonl",
        "errors.jsonl",
        "errors.html",
        "baselines.json",
    }

    # the pipeline that the card shows finds the same, particles included
    find = pipeline("token-classification", model=str(folder), aggregation_strategy="simple")
    tokenizer, compared = AutoTokenizer.from_pretrained(folder), 0
    for row, found in zip(rows, find([row["text"] for row in rows]), strict=True):
        text = row["text"]
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"][1:-1]
        if not all(text[start:end].strip() for start, end in offsets):
            continue  # a blank alone parts two entities there, and not here
        for entity in found:  # a token begins with the blank before it
            word = text[entity["start"] : entity["end"]]
            entity["start"] += len(word) - len(word.lstrip())
        starts = [[e["start"] for e in part] for part in (row["prediction"], found)]
        assert starts[0] == starts[1]
        for ours, theirs in zip(row["prediction"], found, strict=True):
            cut = text[
                ours["end"] : theirs["end"]
            ]  # a particle, or its part in that token (일부|터)
            rest = text[ours["end"] :]
            assert not cut or any(p.startswith(cut) and rest.startswith(p) for p in PARTICLES)
            assert (ours["label"], ours["score"]) == (
                theirs["entity_group"],
                pytest.approx(theirs["score"], abs=1e-4),
            )
            compared += 1
    assert compared > 30


def test_names_are_found_in_every_window_of_long_texts(trained):
    rows = read_rows(trained / "predictions.jsonl")
    assert len(rows) == 4 + 7 + 5
    tokenizer = AutoTokenizer.from_pretrained(trained)
    for row, words in zip(rows[4:11], LONG, strict=True):
        assert row["text"] == " ".join(word for word, _ in words)
        assert len(tokenizer(row["text"])["input_ids"]) > 3 * 24
        assert row["text"][-len(words[-1][0]) :] == row["prediction"][-1]["text"]
    assert [spans(row["prediction"]) for row in rows] == [spans(row["entities"]) for row in rows]
    assert read_json(trained / "metrics.json")["test"]["micro_f1"] == 1
    assert not (trained / "errors.html").exists()  # there is none


def test_prediction_alone_on_texts_without_entities(fork_recipe, tmp_path, trained):
    known = read_rows(trained / "predictions.jsonl")
    file = write_rows(tmp_path / "새 글.jsonl", [{"문장": row["text"]} for row in known])
    fork_recipe(
        *("ner", "--model_name_or_path", trained, *EVALUATE, "--do_eval", "false"),
        *("--test_file", file, "--text_column_name", "문장", "--output_dir", "out"),
        *("--per_device_eval_batch_size", 3),
    ).expect()
    rows = read_rows(tmp_path / "out" / "predictions.jsonl")
    assert rows == [row | {"entities": None} for row in known]
    assert visible(tmp_path / "out") == {
        *("run.json", "metrics.json", "predictions.jsonl", "errors.jsonl")
    }


def test_evaluation_alone_scores_what_training_scored_on_any_number_of_processes(
    fork_recipe, tmp_path, trained
):
    files = [f"--{s}_file={trained.parent / f'{s}.txt'}" for s in ("validation", "test")]
    options = ["--model_name_or_path", trained, *EVALUATE, "--per_device_eval_batch_size", 3]
    for processes in (1, 2):
        fork_recipe(
            *("ner", *options, *files, "--output_dir", processes), processes=processes
        ).expect()
        assert read_json(tmp_path / str(processes) / "run.json")["processes"] == processes
        for name in ("metrics.json", "predictions.jsonl"):  # windows of a text on both of two
            assert (tmp_path / str(processes) / name).read_bytes() == (trained / name).read_bytes()


def test_evaluation_keeps_no_padding(fork_recipe, tmp_path, trained):
    script = tmp_path / "watched.py"
    script.write_text(
        "import json, runpy\n"
        "from nlpbook_data.training.trainer import RecipeTrainer\n"
        "loop = RecipeTrainer.evaluation_loop\n"
        "def evaluation_loop(self, *args, **kwargs):\n"
        "    output = loop(self, *args, **kwargs)\n"
        "    kept = sum(len(values) for values, *_ in self._kept)\n"
        "    with open('kept.json', 'w') as file:\n"
        "        json.dump([kept, *output.predictions.shape], file)\n"
        "    return output\n"
        "RecipeTrainer.evaluation_loop = evaluation_loop\n"
        f"runpy.run_path({str(RECIPES / 'ner.py')!r}, run_name='__main__')\n"
    )
    rows = [{"text": " ".join(FILLER[: 1 + n % 4])} for n in range(10)]
    file = write_rows(tmp_path / "texts.jsonl", rows)
    fork_recipe(
        *(script.with_suffix(""), "--model_name_or_path", trained, *EVALUATE, "--do_eval=false"),
        *("--test_file", file, "--pad_to_max_length", "true", "--output_dir", "out"),
    ).expect()
    tokenizer = AutoTokenizer.from_pretrained(trained)
    tokens = sum(len(tokenizer(row["text"])["input_ids"]) for row in rows)
    assert read_json(tmp_path / "kept.json") == [tokens, tokens, 5]


def test_the_split_of_a_batch_over_processes_does_not_change_training(fork_recipe, tmp_path):
    options = [*TINY, "--max_train_samples", 29, "--num_train_epochs", 2, "--logging_steps", 1]
    options += ["--corpus", "sample_ner", "--learning_rate", "1e-3"]
    options[1] += NO_DROPOUT
    options += ["--max_eval_samples", 20, "--max_predict_samples", 9, "--keep_checkpoints", "true"]
    curves = []
    for processes in (1, 2):
        sizes = ["--per_device_train_batch_size", 8 // processes, "--output_dir", processes]
        fork_recipe("ner", *options, *sizes, processes=processes).expect()
        state = read_json(tmp_path / str(processes) / "checkpoint-8" / "trainer_state.json")
        names = ("loss", "eval_loss", "eval_klue_char_macro_f1")
        curves.append([e[n] for e in state["log_history"] for n in names if n in e])
    assert len(curves[0]) == 8 + 2 * 2 and max(curves[0]) - min(curves[0]) > 5e-3
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)


def test_lora_on_own_rows_saves_a_merged_model(fork_recipe, tmp_path, trained):
    known = read_rows(trained / "predictions.jsonl")
    rows = [{"글": row["text"], "이름": row["entities"]} for row in known] * 2
    file = write_rows(tmp_path / "rows.jsonl", rows)
    fork_recipe(
        *("ner", "--model_name_or_path", trained, "--lora", "true", "--learning_rate", "1e-3"),
        *("--train_file", file, "--text_column_name", "글", "--entities_column_name", "이름"),
        *("--num_train_epochs", 1, "--baselines", "false", "--output_dir", "out"),
        *("--max_length", 24, "--stride", 4),
    ).expect()
    out = tmp_path / "out"
    assert not list(out.glob("adapter*"))
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, out))
    query = "bert.encoder.layer.0.attention.self.query.weight"
    assert before.keys() == after.keys() and not before[query].equal(after[query])
    model = AutoModelForTokenClassification.from_pretrained(out)
    assert list(model.config.id2label.values()) == ["O", "B-인물", "I-인물", "B-장소", "I-장소"]
    assert read_json(out / "metrics.json")["test"]["micro_f1"] > 0.9  # what the base had learnt


def _entity(start: int, end: int, label: str = "인물") -> dict:
    return {"start": start, "end": end, "label": label}


BAD: dict[str, tuple[list, list[str], tuple[str, ...]]] = {  # entities of "김민준이 왔다", options
    "no entity at all": ([], [], ("rows.jsonl", "no entity in any row")),
    "stride": ([_entity(0, 3)], ["--max_length", "16", "--stride", "14"], ("16", "smaller stride")),
    "metric": ([_entity(0, 3)], ["--metric_for_best_model", "accuracy"], ("accuracy", "micro_f1")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_leaves_nothing(refused, tmp_path, case):
    entities, options, parts = BAD[case]
    good = [] if case == "no entity at all" else [_entity(0, 3)]
    rows = [{"text": f"김민준이 {n}번 왔다", "entities": good} for n in range(40)]
    rows[1] = {"text": "김민준이 왔다", "entities": entities}
    file = write_rows(tmp_path / "rows.jsonl", rows)
    refused("ner", parts, *MODEL, "--train_file", file, *options)


def test_a_model_that_was_not_trained_for_it_is_refused(refused, tmp_path, trained):
    shutil.copytree(trained, tmp_path / "other")
    config = read_json(trained / "config.json")
    config |= {"id2label": {"0": "부정", "1": "긍정"}, "label2id": {"부정": 0, "긍정": 1}}
    (tmp_path / "other" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    options = [*EVALUATE, "--model_name_or_path", "other", "--corpus", "sample_ner"]
    refused("ner", ("부정, 긍정", "recipes/ner.py"), *options)


def test_a_model_without_such_a_head_is_refused(refused, tmp_path, trained):
    shutil.copytree(trained, tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text('{"model_type": "codegen"}')
    options = [*MODEL, "--model_name_or_path", "other", "--corpus", "sample_ner"]
    options[1] = "n_layer=1"  # of --config_overrides
    refused("ner", ("codegen", "no head for this task"), *options)
