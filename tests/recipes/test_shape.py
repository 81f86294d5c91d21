"""A recipe shows its Trainer, stays short, and reads every setting of its YAMLs."""

import ast
import dataclasses
import importlib
import re

import pytest
import yaml
from conftest import RECIPES, REPOSITORY
from transformers import TrainingArguments

from nlpbook_data.__main__ import main as nlpbook_data
from nlpbook_data.own_files.schemas import SCHEMAS

TREES = {path.stem: ast.parse(path.read_text("utf-8")) for path in RECIPES.glob("*.py")}
FINE_TUNING = [name for name, tree in TREES.items() if "launch(main" in ast.unparse(tree)]
CONFIGS = sorted(path.name for path in (RECIPES / "configs").glob("*.yaml"))
ATTRIBUTES = {
    node.attr
    for path in (REPOSITORY / "nlpbook_data").rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.Attribute)
}


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


def settings(recipe: str) -> tuple[set[str], set[str]]:
    """Return the options of a recipe: its own and the package's, and TrainingArguments'."""
    tree = TREES[recipe]
    call = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("launch", "parse")
    )
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    modules = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    theirs = {field.name for field in dataclasses.fields(TrainingArguments)}
    ours: set[str] = set()
    names = [ast.unparse(argument) for argument in call.args[1:]]
    while names:
        name = names.pop()
        if name in classes:
            fields = [node for node in classes[name].body if isinstance(node, ast.AnnAssign)]
            ours |= {ast.unparse(node.target) for node in fields}
            names += map(ast.unparse, classes[name].bases)
        else:
            known = getattr(importlib.import_module(modules[name]), name)
            ours |= {field.name for field in dataclasses.fields(known)}
    return ours - theirs, theirs


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_of_a_yaml_is_read(config):
    recipe = config.removesuffix(".yaml").split("_")[0]
    ours, theirs = settings(recipe)
    given = yaml.safe_load((RECIPES / "configs" / config).read_text("utf-8"))
    assert set(given) <= ours | theirs
    read = ATTRIBUTES | {n.attr for n in ast.walk(TREES[recipe]) if isinstance(n, ast.Attribute)}
    # a column's option is found by the column's name
    assert {name for name in set(given) & ours if not name.endswith("_column_name")} <= read


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


# What options say of the user's own rows; the columns of the task besides.
READING = {
    *("multi_label", "label_separator", "sheet_name", "scores", "ner_tag_names"),
    *("repeated_answers", "positive_label"),
}


def reading(recipe: str) -> set[str]:
    return {name for name in settings(recipe)[0] if name.endswith("_column_name")} | (
        settings(recipe)[0] & READING
    )


def test_check_and_the_recipes_read_files_by_the_same_options(capsys):
    with pytest.raises(SystemExit):
        nlpbook_data([*("check", "--help")])
    there = {*re.findall(r"--(\w+)", capsys.readouterr().out)}
    assert there - {"help", "task", "labels", "most"} == set().union(*map(reading, FINE_TUNING))
    assert reading("rerank") == reading("search")
    # `check` names columns by the schema of a task; pretrain has a single one, and no option for it
    for recipe in set(FINE_TUNING) - {"rerank", "pretrain"}:
        named = {f"{column}_column_name" for column in SCHEMAS[recipe].all_columns}
        unnamed = ("id", "title", "question_type", "is_impossible")
        named -= {f"{column}_column_name" for column in unnamed}
        assert named <= reading(recipe)
