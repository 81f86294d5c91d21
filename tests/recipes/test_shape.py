"""A recipe shows its Trainer, stays short, and tells its options."""

import ast
import re

import pytest
from conftest import RECIPES

TREES = {path.stem: ast.parse(path.read_text("utf-8")) for path in RECIPES.glob("*.py")}
FINE_TUNING = [name for name, tree in TREES.items() if "launch(main" in ast.unparse(tree)]


def test_there_are_fine_tuning_recipes():
    assert {"doccls", "paircls", "ner", "qa", "search", "rerank", "generation"} <= set(FINE_TUNING)


@pytest.mark.parametrize("recipe", FINE_TUNING)
def test_a_recipe_fits_on_four_screens_and_its_main_on_two(recipe):
    main = next(
        node
        for node in TREES[recipe].body
        if isinstance(node, ast.FunctionDef) and node.name == "main"
    )
    assert len((RECIPES / f"{recipe}.py").read_text("utf-8").splitlines()) <= 200
    assert main.end_lineno - main.lineno + 1 <= 120


# Pretraining has no batch to pad, and scores tokens where they are guessed.
@pytest.mark.parametrize("recipe", [name for name in FINE_TUNING if name != "pretrain"])
def test_what_a_reader_of_the_course_knows_is_in_sight(recipe):
    code = ast.unparse(TREES[recipe])  # without comments
    for word in (r"Trainer\(", "TrainingArguments", "DataCollator", r"\.map\("):
        assert re.search(word, code), word
    # sentence-transformers' trainer is given an evaluator
    assert re.search("compute_metrics=|evaluator=", code)


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(recipe, marks=[] if recipe in ("doccls", "tokenizer") else pytest.mark.long)
        for recipe in sorted({*FINE_TUNING, "tokenizer"})
    ],
)
def test_help_is_one_screen_and_help_all_names_every_option(fork_recipe, recipe):
    short, everything = (fork_recipe(recipe, option) for option in ("--help", "--help-all"))
    assert short.status == everything.status == 0, short.stderr + everything.stderr
    assert len(short.stdout.splitlines()) <= 50
    assert max(map(len, short.stdout.splitlines())) <= 100
    listed = set(re.findall(r"^  --(\w+)", everything.stdout, re.M))
    own = {
        ast.unparse(field.target)
        for node in TREES[recipe].body
        if isinstance(node, ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign)
    }
    assert own | {"corpus_dir"} <= listed
    assert recipe == "tokenizer" or {"weight_decay", "hub_private_repo", "seeds"} <= listed
    assert {"config", "output_dir"} <= set(re.findall(r"^  --(\w+)", short.stdout, re.M)) <= listed
