"""Options: dataclass < YAML < command line, typed, unknown ones refused, none left unread."""

import ast
import dataclasses
import functools
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RECIPES, REPOSITORY
from transformers import TrainingArguments

import nlpbook_data
from nlpbook_data import InputError
from nlpbook_data.__main__ import main as command
from nlpbook_data.data.texts import TextArguments
from nlpbook_data.own_files.schemas import SCHEMAS
from nlpbook_data.training.arguments import (
    DATA_SOURCES,
    DataArguments,
    ModelArguments,
    RecipeArguments,
    as_record,
    parse,
    resolve_package,
)

TYPES = (DataArguments, ModelArguments, RecipeArguments)


@pytest.fixture
def options(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Parse a command line for a recipe whose own YAML, and that of ``--config``, are given."""
    (tmp_path / "configs").mkdir()

    def options(
        *argv: str, own: dict | str = "seed: 42", config: dict | str | None = None
    ) -> dict[str, Any]:
        for path, content in [("configs/made.yaml", own), ("other.yaml", config)]:
            if content is not None:
                text = content if isinstance(content, str) else yaml.safe_dump(content)
                (tmp_path / path).write_text(text, encoding="utf-8")
        if config is not None:
            argv = ("--config", str(tmp_path / "other.yaml"), *argv)
        parsed = parse(str(tmp_path / "made.py"), *TYPES, argv=argv)
        assert [type(instance) for instance in parsed] == list(TYPES)
        return {name: value for each in parsed for name, value in vars(each).items()}

    return options


def refused(options: Callable, *argv: str, **files: Any) -> str:
    with pytest.raises(InputError) as raised:
        options(*argv, **files)
    return str(raised.value)


# Which one counts


def test_the_command_line_outdoes_the_yaml_and_the_yaml_the_dataclass(options):
    assert options()["max_length"] == 128
    assert options(own={"max_length": 64})["max_length"] == 64
    assert options("--max_length", "32", own={"max_length": 64})["max_length"] == 32
    assert options("--max_length=32", config={"max_length": 64})["max_length"] == 32


def test_a_config_takes_the_place_of_the_recipes_own(options):
    found = options(own={"max_length": 64, "from_scratch": True}, config={"seed": 7})
    assert (found["max_length"], found["from_scratch"], found["seed"]) == (128, False, 7)


def test_a_command_line_that_names_a_model_starts_from_the_dataclasses(options):
    own = {
        "model_name_or_path": "package:models/tiny_encoder",
        "from_scratch": True,
        "learning_rate": 1e-3,
        "num_train_epochs": 10,
        "corpus": "sample_reviews",
    }
    found = options("--model_name_or_path", "klue/bert-base", own=own)
    assert found["model_name_or_path"] == "klue/bert-base"
    assert found["from_scratch"] is False
    assert found["learning_rate"] == TrainingArguments.learning_rate
    assert found["num_train_epochs"] == 3
    assert found["corpus"] is None


def test_a_model_on_the_command_line_is_not_made_random_by_a_config(options):
    config = {
        "model_name_or_path": "package:models/tiny_encoder",
        "from_scratch": True,
        "config_overrides": "hidden_size=32",
        "tokenizer_name": "package:models/tiny_encoder",
        "learning_rate": 1e-3,
    }
    found = options("--model_name_or_path", "klue/bert-base", config=config)
    assert found["from_scratch"] is False
    assert found["config_overrides"] is found["tokenizer_name"] is None
    assert found["learning_rate"] == 1e-3  # the rest of what is asked for holds
    argv = ("--model_name_or_path", "klue/bert-base", "--from_scratch", "true")
    assert options(*argv, config=config)["from_scratch"] is True


@pytest.mark.parametrize("source", DATA_SOURCES)
def test_a_data_source_on_the_command_line_displaces_the_yamls(options, source):
    for other in DATA_SOURCES:
        found = options(f"--{source}", "here", own={other: "there", "max_length": 64})
        assert {name: found[name] for name in DATA_SOURCES if found[name]} == {source: "here"}
        assert found["max_length"] == 64


def test_the_output_dir_is_the_recipes_unless_it_is_named(options):
    assert options()["output_dir"] == "outputs/made"
    assert options(own={"output_dir": None})["output_dir"] == "outputs/made"
    assert options(own={"output_dir": "a"})["output_dir"] == "a"
    assert options("--output_dir", "b", own={"output_dir": "a"})["output_dir"] == "b"


# Types


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("learning_rate: 2e-5", "learning_rate", 2e-5),
        ("learning_rate: '2e-5'", "learning_rate", 2e-5),
        ("run_name: null", "run_name", None),
        ("save_total_limit: null", "save_total_limit", None),
        ("seeds: [1, 2, 3]", "seeds", [1, 2, 3]),
        ("seeds: 7", "seeds", [7]),
        ("lora_target_modules: [query, value]", "lora_target_modules", ["query", "value"]),
        ("max_length: 64", "max_length", 64),
        ("max_length: '64'", "max_length", 64),
        ("from_scratch: 'no'", "from_scratch", False),
        ("baselines: false", "baselines", False),
        ("text_column_name: 본문", "text_column_name", "본문"),
        ("text_column_name: 1", "text_column_name", "1"),
        ("eval_strategy: 'no'", "eval_strategy", "no"),
        ("save_strategy: 'no'", "load_best_model_at_end", False),
        ("lr_scheduler_kwargs: {num_cycles: 2}", "lr_scheduler_kwargs", {"num_cycles": 2}),
        ("warmup_steps: 0.1", "warmup_steps", 0.1),
        ("fsdp: true", "fsdp", True),
        ("report_to: tensorboard", "report_to", ["tensorboard"]),
    ],
)
def test_yaml_values_come_out_typed(options, text, name, value):
    found = options(own=text)[name]
    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--learning_rate", "2e-5"], "learning_rate", 2e-5),
        (["--seeds", "1", "2"], "seeds", [1, 2]),
        (["--seeds=3"], "seeds", [3]),
        (["--from_scratch"], "from_scratch", True),
        (["--from_scratch", "false"], "from_scratch", False),
        (["--no_baselines"], "baselines", False),
        (["--max_train_samples", "10"], "max_train_samples", 10),
        (["--early_stopping_threshold", "-1.5"], "early_stopping_threshold", -1.5),
        (["--label_separator", " ; "], "label_separator", " ; "),
        (["--text-column-name", "본문"], "text_column_name", "본문"),
    ],
)
def test_words_of_the_command_line_come_out_typed(options, argv, name, value):
    assert options(*argv)[name] == value


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_length", ["12.5", "abc", "null", "true", "[64]"]),
        ("learning_rate", ["fast", "{a: 1}"]),
        ("from_scratch", ["2", "perhaps", "null"]),
        ("seeds", ["[1, b]", "[1.5]"]),
        ("eval_strategy", ["no"]),
        ("precision", ["fp8"]),
        ("text_column_name", ["null"]),
        ("optim", ["adam"]),
    ],
)
def test_a_yaml_value_of_the_wrong_type_or_choice_is_refused(options, name, values):
    for value in values:
        message = refused(options, own=f"{name}: {value}")
        assert "made.yaml" in message and f"{name} is " in message


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--max_length", "abc"], "max_length"),
        (["--precision", "fp8"], "fp8"),
        (["--seeds"], "seeds"),
        (["--max_length"], "max_length"),
        (["--from_scratch", "perhaps"], "perhaps"),
        (["--eval_strategy", "never"], "never"),
        (["--baselines", "true", "extra"], "extra"),
        (["made.yaml"], "--config"),
        (["--run_name", "", "--run_name", "a"], "--run_name has an empty value"),
        (["--run_name=", "--run_name", "a"], "--run_name has an empty value"),
    ],
)
def test_a_word_of_the_wrong_type_or_choice_is_refused(options, argv, said):
    assert said in refused(options, *argv)


# Unknown options


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"learning_rte": 1}, ".yaml: there is no option 'learning_rte'. Did you mean learning_r"),
        *(({key: "x"}, repr(key)) for key in ("config", "help", 1, None, True)),
        *((text, ".yaml") for text in ("", "- a\n- b\n", "word", "a: [1", "\ta: 1", "a: 1\n b: 2")),
        ("seed: 1\nlearning_rate: 1e-5\nseed: 2\n", ".yaml, line 3: seed stands here twice"),
    ],
)
@pytest.mark.parametrize("where", ["own", "config"])
def test_what_is_no_yaml_of_options_is_refused(options, where, content, said):
    assert said in refused(options, **{where: content})


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--learning_rte", "1"], "no option --learning_rte. Did you mean --learning_rate"),
        (["--learning_rte=1"], "no option --learning_rte. Did you mean --learning_rate"),
        *(
            ([word, "1"], f"There is no option {word}.")  # none is abbreviated
            for word in ("--learning_rat", "--max_len", "--seed_", "--from", "--no_base")
        ),
        (["--save_only_model", "true"], "--save_only_model True"),  # no exact resume
        (["--auto_find_batch_size", "true"], "--auto_find_batch_size True"),
        (["--config", "/nowhere/none.yaml"], "/nowhere/none.yaml: no such file"),
    ],
)
def test_an_option_that_is_none_or_cannot_be_is_refused(options, argv, said):
    assert said in refused(options, *argv)


def test_unknown_options_are_passed_over_where_they_are_anothers(tmp_path):
    (tmp_path / "a.yaml").write_text("class_weights: balanced\nseed: 3\nmax_length: 64\n")
    argv = ["--config", str(tmp_path / "a.yaml"), "--multi_label", "true", "--corpus", "nsmc"]
    argv += ["--max_len", "7"]  # another's, and no abbreviation of ours
    [found] = parse("made.py", DataArguments, argv=argv, partial=True)
    assert (found.corpus, found.max_length) == ("nsmc", 64)


def test_no_file_of_words_is_read_behind_the_users_back(options, tmp_path, monkeypatch):
    """HfArgumentParser would read ``made.args`` beside the script."""
    monkeypatch.setattr("sys.argv", [str(tmp_path / "made.py")])
    (tmp_path / "made.args").write_text("--max_length 7")
    assert options()["max_length"] == 128


# What ships


def own_fields(kind: type) -> list[str]:
    known = {f.name for f in dataclasses.fields(TrainingArguments)}
    return [f.name for f in dataclasses.fields(kind) if f.name not in known]


@functools.cache
def names_read_in(*places: Path) -> set[str]:
    """Every name that some ``x.name`` of these files reads."""
    nodes = (node for path in places for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return {n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}


def recipe_types(recipe: Path) -> tuple[type, ...]:
    """The dataclasses of a recipe's options: the shared ones, and those that it defines."""
    spec = importlib.util.spec_from_file_location(f"recipe_{recipe.stem}", recipe)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    own = [
        value
        for value in vars(module).values()
        if dataclasses.is_dataclass(value) and value.__module__ == spec.name
    ]
    assert own
    shared = [DataArguments, ModelArguments, RecipeArguments]
    if TextArguments in vars(module).values():  # plain text, and perhaps no training
        shared = [kind for kind in (TextArguments, *shared[1:]) if kind in vars(module).values()]
    replaced = [kind for kind in shared if any(issubclass(other, kind) for other in own)]
    return (*own, *(kind for kind in shared if kind not in replaced))


@pytest.fixture(scope="module")
def types_of() -> dict[str, tuple[type, ...]]:
    after = {"demo", "export", "predict", "serve"}  # which take a finished run, and no config
    recipes = (recipe for recipe in RECIPES.glob("*.py") if recipe.stem not in after)
    return {recipe.stem: recipe_types(recipe) for recipe in recipes}


def test_every_option_has_help_and_is_read_by_the_package_or_its_recipe(types_of):
    package = names_read_in(*Path(nlpbook_data.__file__).parent.rglob("*.py"))
    # data/source.py reads the names of all columns of a task's schema
    columns = {column for schema in SCHEMAS.values() for column in schema.all_columns}
    package |= {f"{column}_column_name" for column in columns}
    for recipe, types in types_of.items():
        read = package | names_read_in(RECIPES / f"{recipe}.py")
        for kind in types:
            assert set(own_fields(kind)) <= read
            for field in dataclasses.fields(kind):
                assert field.metadata.get("help") or not field.init, field.name


# What options say of the user's own rows; the columns of the task besides.
READING = {
    *("multi_label", "label_separator", "sheet_name", "scores", "ner_tag_names"),
    *("repeated_answers", "positive_label"),
}


def test_check_and_the_recipes_read_files_by_the_same_options(types_of, capsys):
    def reading(recipe: str) -> set[str]:
        names = {name for kind in types_of[recipe] for name in own_fields(kind)}
        return {name for name in names if name.endswith("_column_name") or name in READING}

    with pytest.raises(SystemExit):
        command(["check", "--help"])
    there = {*re.findall(r"--(\w+)", capsys.readouterr().out)}
    tuned = set(types_of) - {"tokenizer"}
    assert there - {"help", "task", "labels", "most"} == set().union(*map(reading, tuned))
    assert reading("rerank") == reading("search")
    # `check` names columns by the schema of a task; pretrain has a single one, and no option for it
    for recipe in tuned - {"rerank", "pretrain"}:
        named = {f"{column}_column_name" for column in SCHEMAS[recipe].all_columns}
        unnamed = ("id", "title", "question_type", "is_impossible")
        assert named - {f"{column}_column_name" for column in unnamed} <= reading(recipe)


CONFIGS = sorted((RECIPES / "configs").rglob("*.y*ml"))


def test_the_configs_are_all_here(types_of):
    """A new file must be counted here, so that none is left out of the tests below."""
    assert len(CONFIGS) == 26
    assert len([*RECIPES.rglob("*.y*ml")]) == 26 + len([*(RECIPES / "accelerate").glob("*.yaml")])
    assert set(types_of) <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_parses_with_its_recipe_and_begins_with_the_command(path, types_of):
    recipe = path.stem.partition("_")[0]
    parsed = parse(f"recipes/{recipe}.py", *types_of[recipe], argv=["--config", str(path)])
    record = as_record(*parsed)
    text = path.read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    assert {name: record[name] for name in settings} == {
        name: float(value) if name == "learning_rate" else value for name, value in settings.items()
    }
    if "model_name_or_path" in settings:
        resolve_package(record["model_name_or_path"])
    corpora = record.get("corpora") or [record["corpus"]]
    assert set(corpora) <= {*nlpbook_data.list_corpora()}
    [command] = [line for line in text.splitlines() if line.startswith("# accelerate launch ")]
    given = path.stem == recipe or f"--config {path.relative_to(REPOSITORY)}" in command
    assert f" recipes/{recipe}.py" in command and given


# Records and packaged names


def test_the_record_holds_no_token(options, tmp_path):
    argv = ["--hub_token", "hf_secret", "--config", str(tmp_path / "a.yaml")]
    (tmp_path / "a.yaml").write_text("seed: 1\n")
    record = as_record(*parse("made.py", *TYPES, argv=argv))
    assert "hf_secret" not in str(record)
    assert not any(name.endswith("_token") for name in record)
    assert record["seed"] == 1 and record["max_length"] == 128


def test_package_names_what_ships(tmp_path):
    assert (Path(resolve_package("package:models/tiny_encoder")) / "config.json").is_file()
    assert resolve_package("klue/bert-base") == "klue/bert-base"
    with pytest.raises(InputError, match="package:models/none: nothing of that name"):
        resolve_package("package:models/none")
