"""recipes/ner.py as users run it, on data that ships or that the test writes."""

import json
import shutil

import pytest
from conftest import RECIPES
from seqeval.metrics import f1_score
from tasks import FILLER, LONG_NAMES, TINY
from transformers import AutoTokenizer, pipeline
from writing import read_json, write_rows

from nlpbook_data.features.particles import PARTICLES
from nlpbook_data.reports.push import pushed_files

PUSHED = {
    *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    *("metrics.json", "learning_curve.png", "per_type.png"),
}
KEPT = {"run.json", "predictions.jsonl", "errors.jsonl", "errors.html", "baselines.json"}
EVALUATE = "--do_train false --max_length 24 --stride 4 --output_dir out"


def spans(entities: list[dict]) -> list[tuple[int, int, str]]:
    return [(entity["start"], entity["end"], entity["label"]) for entity in entities]


def tag_characters(text: str, entities: list[dict]) -> list[str]:
    tags = ["O"] * len(text)
    for entity in entities:
        inside = [f"I-{entity['label']}"] * (entity["end"] - entity["start"] - 1)
        tags[entity["start"] : entity["end"]] = [f"B-{entity['label']}", *inside]
    return tags


def test_the_default_command_trains_scores_and_leaves_everything(fork_recipe):
    few = "--max_train_samples 240 --max_eval_samples 40 --max_predict_samples 60"
    run = fork_recipe("ner", few, "--num_train_epochs 2").expect().run
    folder, scores, rows = run.folder, run.scores, run.rows
    # the corpus' texts are in the folder, and stay there
    assert run.files == PUSHED | KEPT and set(pushed_files(folder)) == PUSHED
    assert "dictionary" in scores["baselines"] and scores["ceiling"]["test"]["micro_f1"] > 0.9
    for row in rows:
        for entity in row["entities"] + row["prediction"]:
            assert row["text"][entity["start"] : entity["end"]] == entity["text"]
    tags = [
        [tag_characters(row["text"], row[key]) for row in rows]
        for key in ("entities", "prediction")
    ]
    assert scores["test"]["micro_f1"] == pytest.approx(f1_score(*tags)) and f1_score(*tags) > 0
    assert all(spans(row["entities"]) != spans(row["prediction"]) for row in run.errors)

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
            # a particle, or its part in that token (일부|터)
            cut = text[ours["end"] : theirs["end"]]
            rest = text[ours["end"] :]
            assert not cut or any(p.startswith(cut) and rest.startswith(p) for p in PARTICLES)
            assert ours["label"] == theirs["entity_group"]
            assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
            compared += 1
    assert compared > 30


def test_names_are_found_in_every_window_of_long_texts(trained):
    run = trained("ner")
    rows = run.rows
    assert len(rows) == 4 + 7 + 5
    tokenizer = AutoTokenizer.from_pretrained(run.folder)
    for row, given in zip(rows[4:11], LONG_NAMES, strict=True):
        assert row["text"] == given["text"] and len(tokenizer(row["text"])["input_ids"]) > 3 * 24
        assert row["prediction"][-1]["end"] == len(row["text"])
    assert [spans(row["prediction"]) for row in rows] == [spans(row["entities"]) for row in rows]
    assert run.scores["test"]["micro_f1"] == 1
    assert "errors.html" not in run.files  # there is none


def test_evaluation_keeps_no_padding(fork_recipe, trained, tmp_path):
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
    write_rows(tmp_path / "texts.jsonl", rows)
    options = "--do_eval false --test_file texts.jsonl --pad_to_max_length true"
    command = (script.with_suffix(""), "--model_name_or_path", trained("ner"), EVALUATE)
    fork_recipe(*command, options).expect()
    tokenizer = AutoTokenizer.from_pretrained(trained("ner").folder)
    tokens = sum(len(tokenizer(row["text"])["input_ids"]) for row in rows)
    assert read_json(tmp_path / "kept.json") == [tokens, tokens, 5]


@pytest.mark.parametrize(
    ("changes", "options", "parts"),
    [
        (
            {"id2label": {"0": "부정", "1": "긍정"}, "label2id": {"부정": 0, "긍정": 1}},
            [EVALUATE],
            ("부정, 긍정", "recipes/ner.py"),
        ),
        (
            {"model_type": "codegen"},
            [*TINY, "--config_overrides n_layer=1"],
            ("codegen", "no head for this task"),
        ),
    ],
)
def test_a_model_that_was_not_trained_for_it_or_cannot_be_is_refused(
    refused, trained, tmp_path, changes, options, parts
):
    shutil.copytree(trained("ner").folder, tmp_path / "other")
    config = (trained("ner").config if "id2label" in changes else {}) | changes
    (tmp_path / "other" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    refused("ner", parts, *options, "--model_name_or_path other --corpus sample_ner")
