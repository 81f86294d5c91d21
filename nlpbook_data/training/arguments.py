"""Block 1 of every recipe: dataclass defaults < YAML < command line; unknown keys are refused."""

import argparse
import dataclasses
import importlib.util
import math
import os
import reprlib
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

import yaml
from transformers import HfArgumentParser, PreTrainedConfig, TrainingArguments
from transformers.hf_argparser import HfArg, string_to_bool

from nlpbook_data.errors import InputError, nearest
from nlpbook_data.language import is_korean, spoken
from nlpbook_data.outward import OF_CONFIG

DATA_SOURCES = ("corpus", "dataset_name", "train_file", "validation_file", "test_file")
SOURCES = {*DATA_SOURCES, "corpora", "text_files"}  # the last two: tokenizer, pretrain
PACKAGE_PREFIX = "package:"
# Settings that using a model needs, apart from column names, and their key in its config.
USED = {"max_length", "stride", "label_separator", "max_answer_length"}
SETTINGS = "recipe_settings"
# Settings that belong to the model beside them: another model does not get them.
OF_MODEL = {"from_scratch", "config_overrides", "tokenizer_name", "special_tokens"}
MAX_YAML = 1_000_000  # bytes


def option(default: Any, help: str, choices: Sequence[str] | None = None) -> Any:
    """Return a field of a dataclass of options, as `HfArgumentParser` reads it."""
    value = {"default_factory": default.copy} if isinstance(default, list) else {"default": default}
    return HfArg(help=help, metadata={"choices": choices} if choices else None, **value)


@dataclass
class DataArguments:
    """Where the rows come from."""

    corpus: str | None = option(None, "a name of `nlpbook-data list`")
    corpus_dir: str | None = option(None, "folder of raw corpora (Korpora's root), ~/Korpora")
    dataset_name: str | None = option(None, "a dataset on the Hub")
    dataset_config_name: str | None = option(None, "its configuration")
    train_file: str | None = option(None, "csv, tsv, xlsx, JSON, parquet, or what a tool exports")
    validation_file: str | None = option(None, "the same")
    test_file: str | None = option(None, "the same; without a label column it is only predicted")
    sheet_name: str | None = option(None, "of xlsx; by default the first")
    text_column_name: str = option("text", "the column of texts")
    label_column_name: str = option("label", "the column of labels")
    label_separator: str = option("|", "between several labels in one cell (--multi_label true)")
    max_length: int = option(128, "tokens a text, clamped to what the model can take")
    max_train_samples: int | None = option(None, "use the first N rows of train")
    max_eval_samples: int | None = option(None, "use the first N rows of validation")
    max_predict_samples: int | None = option(None, "use the first N rows of test")
    accept_files: bool = option(False, "take corpus files whose checksums differ as they are")
    cache_dir: str | None = option(None, "of prepared data; by default HF_DATASETS_CACHE")
    overwrite_cache: bool = option(False, "prepare the data again")


@dataclass
class AnswerArguments(DataArguments):
    """Where questions, contexts and answers come from."""

    context_column_name: str = option("context", "the passages")
    question_column_name: str = option("question", "the questions")
    answers_column_name: str = option("answers", "text, answer_start; or the text alone")
    answer_text_column_name: str = option("answer_text", "of one answer")
    answer_start_column_name: str = option("answer_start", "where it begins in the context")
    repeated_answers: str = option(
        "refuse",
        "that have no offset and stand more than once: the first counts, or skip them",
        choices=["refuse", "first", "skip"],
    )


@dataclass
class ModelArguments:
    """Which model, and what of it is trained."""

    model_name_or_path: str | None = option(
        None, "a folder, a name on the Hub, or package:models/encoder"
    )
    model_revision: str = option("main", "branch, tag or commit")
    tokenizer_name: str | None = option(None, "if not the model's own")
    special_tokens: str | None = option(
        None, "read tokenizer.json as it is: eos_token=</s>,pad_token=<pad>,…"
    )
    from_scratch: bool = option(False, "start from random weights; nothing else ever does")
    config_overrides: str | None = option(
        None, "with --from_scratch: num_hidden_layers=4,hidden_size=256,…"
    )
    ignore_mismatched_sizes: bool = option(False, "replace a trained head that has other labels")
    attn_implementation: str | None = option(None, "sdpa, eager, flash_attention_2, …")
    quantization: str = option(
        "none",
        "keep the weights in 8bit or 4bit (NVIDIA GPU, bitsandbytes); to train, --lora",
        choices=["none", "8bit", "4bit"],
    )
    lora: bool = option(False, "train low-rank adapters, merged at the end")
    lora_r: int = option(8, "their rank")
    lora_alpha: int = option(16, "their scale, times the rank")
    lora_dropout: float = option(0.1, "their dropout")
    lora_target_modules: list[str] = option(["all-linear"], "which layers get them")


@dataclass
class RecipeArguments(TrainingArguments):
    """TrainingArguments with our defaults, and what a run needs beside them."""

    output_dir: str | None = option(None, "folder of the run; outputs/<recipe> by default")
    do_train: bool = option(True, "false: evaluate and predict alone")
    do_eval: bool = option(True, "score validation")
    do_predict: bool = option(True, "predict test and score it")
    per_device_train_batch_size: int = option(32, "rows a device and step")
    per_device_eval_batch_size: int = option(64, "the same, not training")
    eval_strategy: str = option("epoch", "no, steps or epoch")
    save_strategy: str = option("epoch", "no, steps, epoch or best")
    save_total_limit: int | None = option(1, "checkpoints beside the best")
    load_best_model_at_end: bool = option(True, "the best on validation")
    metric_for_best_model: str | None = option(
        "auto", "a score of validation, or loss; auto: the task's own"
    )
    logging_steps: float = option(0.02, "below 1: share of all steps")
    logging_nan_inf_filter: bool = option(False, "hide NaN losses")
    disable_tqdm: bool | None = option(None, "no progress bar")
    report_to: str = option("none", "tensorboard, …")
    train_sampling_strategy: str = option(
        "group_by_length",
        "rows of like length in a batch, or any",
        choices=["group_by_length", "random"],
    )
    pad_to_max_length: bool = option(False, "pad each row to --max_length, for static shapes; slow")
    precision: str = option(
        "auto",
        "auto (what the device supports and runs faster), float32, bf16 or fp16",
        choices=["auto", "float32", "bf16", "fp16"],
    )
    seeds: list[int] | None = option(None, "one run a seed, in its own folder; mean and spread")
    resume: str | None = option(
        None,
        "auto: start, continue, or say that it is finished; never: start over; a checkpoint's "
        "folder; by default as auto, but a finished run is run again",
    )
    keep_checkpoints: bool = option(False, "keep checkpoints of a finished run")
    early_stopping_patience: int | None = option(
        None, "stop after N evaluations that are not better"
    )
    early_stopping_threshold: float = option(0.0, "what counts as better")
    label_names: list[str] | None = option(["labels"], "the batch's columns of labels")
    hp_space: str | None = option(None, "a YAML of settings and their ranges, to search in")
    hp_trials: int | None = option(
        None, "search: train N times, choose on validation; needs optuna"
    )
    # The values of the YAML and the command line; see `parse`.
    given: dict[str, Any] = field(default_factory=dict, init=False)
    # Set when the arguments are settled: the recipe's own validation score; --push_to_hub.
    default_metric: str = field(default="loss", init=False)
    push_at_end: bool = field(default=False, init=False)
    push_to_hub: bool = option(False, "push model, card and scores, last (hf auth login first)")
    baselines: bool = option(True, "score the baselines too")
    ddp_find_unused_parameters: bool | None = option(False, "see DistributedDataParallel")

    @property
    def n_gpu(self) -> int:
        """GPUs of this process, 0 or 1: `accelerate launch` starts a process for each GPU."""
        return min(super().n_gpu, 1)

    @property
    def metric(self) -> str:
        """The score of validation that chooses among checkpoints, or loss."""
        return (self.metric_for_best_model or "loss").removeprefix("eval_")


# Options that --help shows apart from the recipe's own.
MOST_USED = {
    *("corpus", "train_file", "test_file", "text_files", "text_column_name", "label_column_name"),
    *("model_name_or_path", "max_length", "learning_rate", "num_train_epochs", "output_dir"),
    *("per_device_train_batch_size", "seeds", "resume", "push_to_hub"),
}
# The smallest and largest values of options that only a library, or no one, would check later.
LIMITS = (
    (1, math.inf, ("max_train_samples", "max_eval_samples", "max_predict_samples", "max_steps")),
    (1, math.inf, ("per_device_train_batch_size", "per_device_eval_batch_size", "lora_r")),
    (1, math.inf, ("gradient_accumulation_steps", "eval_accumulation_steps", "save_total_limit")),
    (1, math.inf, ("early_stopping_patience", "samples_per_prompt", "hp_trials")),
    (1, math.inf, ("mini_batch_size", "num_hard_negatives", "matryoshka_dims", "rerank_depth")),
    (1, math.inf, ("preprocessing_num_workers", "max_answer_length")),
    (0.001, math.inf, ("scale", "temperature")),
    (0.001, 1, ("mask_rate", "last_mask_rate")),
    (0, math.inf, ("learning_rate", "dataloader_num_workers")),
    (0, 1, ("label_smoothing_factor", "lora_dropout", "margin", "distillation_weight")),
    (0, 0.999999, ("adam_beta1", "adam_beta2")),
    (0, 2**32 - 1, ("seed", "seeds", "data_seed")),
    (0.001, 1_000_000, ("num_train_epochs",)),
)
# Values that our order of rows, our scores or an exact resume exclude.
REFUSED = {
    "dataloader_drop_last": True,
    "prediction_loss_only": True,
    "batch_eval_metrics": True,
    "eval_do_concat_batches": False,
    "save_only_model": True,
    "auto_find_batch_size": True,
}

# Options that may change without making it another run (see `RunFolder.refuse_other_run`).
SAME_RUN = {
    *("output_dir", "resume", "resume_from_checkpoint", "keep_checkpoints", "overwrite_cache"),
    *("corpus_dir", "cache_dir", "disable_tqdm", "report_to", "run_name", "precision", "bf16"),
    *("fp16", "tf32", "use_cpu", "per_device_train_batch_size", "per_device_eval_batch_size"),
    *("gradient_accumulation_steps", "save_total_limit", "baselines", "eval_accumulation_steps"),
    *("ddp_find_unused_parameters", "ddp_backend", "ddp_timeout", "debug", "accelerator_config"),
    *("config", "seeds", "train_file", "validation_file", "test_file", "mixed_precision"),
    *("push_to_hub", "push_at_end", "torch_compile", "fsdp", "fsdp_config", "deepspeed"),
    *("parallelism_config", "cached", "mini_batch_size"),
}
# Of these, options for which a finished run must run again.
ASKED_FOR = {"seeds", "baselines", "precision"}
SAME_RUN_PREFIXES = ("hub_", "logging_", "log_", "dataloader_", "trackio_", "local_", "_")


def parse(
    recipe: str, *types: type, argv: Sequence[str] | None = None, partial: bool = False
) -> tuple[Any, ...]:
    """Return one instance of each of `types` for the recipe file `recipe`.

    Dataclass defaults come first, then the YAML of ``--config``, then the command line. Without
    ``--config`` the recipe's own ``configs/<recipe>.yaml`` applies. It fits one combination of data
    and model: if the command line names a model, the dataclass defaults apply instead. So a
    pretrained model never gets random weights or their learning rate. Without training, columns and
    lengths come from the model's config, as in its training.

    Args:
        argv: the words of the command line; by default those of this process.
        partial: ignore options that none of `types` has: they belong to another program.

    Raises:
        InputError: unknown key, with the nearest names; a value of the wrong type or choice; a
            YAML that cannot be read.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    stem = Path(recipe).stem
    parser = _Parser(types, prog=f"recipes/{stem}.py", allow_abbrev=False, add_help=False)
    parser.add_argument("--config", help="a YAML file of these options")
    if {"-h", "--help", "--help-all"}.intersection(argv):
        about = (sys.modules["__main__"].__doc__ if stem in sys.argv[0] else "") or ""
        options = _describe_options(parser, "--help-all" in argv)
        sys.stdout.write(f"{spoken(about)}\n{options}")
        raise SystemExit(0)
    given = _given(parser, argv, partial)
    config = given.pop("config", None)
    values: dict[str, Any] = {}
    if config or "model_name_or_path" not in given:
        path = Path(config).expanduser() if config else Path(recipe).parent / f"configs/{stem}.yaml"
        values = _read_yaml(path, parser, partial)
        replaced = SOURCES if given.keys() & SOURCES else set()
        if "model_name_or_path" in given:
            replaced = replaced | OF_MODEL
        values = {name: value for name, value in values.items() if name not in replaced}
    elif not given.get("do_train", True):
        model = given["model_name_or_path"]
        saved = _read_settings(model, given.get("model_revision", "main"))
        known = {action.dest: action.type for action in parser.options}
        values = {name: value for name, value in saved.items() if name in known}
        for name, value in values.items():
            if known[name] is int and type(value) is not int:
                raise InputError(f"{model}: its {name} is {value!r}. Mend it.")
    values |= given
    if token := values.get("hub_token"):
        os.environ[OF_CONFIG] = token
    check_limits(values)
    values["output_dir"] = values.get("output_dir") or f"outputs/{stem}"
    if "no" in (values.get("eval_strategy"), values.get("save_strategy")):
        values.setdefault("load_best_model_at_end", False)  # nothing to choose by, or among
    # in a log file, a progress bar would be thousands of lines
    values.setdefault("disable_tqdm", not sys.stderr.isatty())
    try:
        parsed = parser.parse_dict(values, allow_extra_keys=True)[: len(types)]
        if isinstance(parsed[-1], RecipeArguments):
            parsed[-1].given = values
        return parsed
    except (ValueError, TypeError, ImportError, OSError) as error:  # from TrainingArguments
        raise InputError(" ".join(str(error).split())) from error


def _read_settings(model: str, revision: str) -> dict[str, Any]:
    """Return the settings in a model's config; a model that cannot be loaded is refused later."""
    try:
        config, _ = PreTrainedConfig.get_config_dict(resolve_package(model), revision=revision)
    except (OSError, InputError):
        return {}
    saved = config.get(SETTINGS)
    return saved if isinstance(saved, dict) else {}


def check_limits(values: dict[str, Any]) -> None:
    """Check options that only a library, or no one, would check later.

    Raises:
        InputError: a value is too small, too large, or refused.
    """
    for least, most, names in LIMITS:
        for name in values.keys() & set(names):
            numbers = values[name] if isinstance(values[name], list) else [values[name]]
            if not all(number is None or least <= number <= most for number in numbers):
                bounds = f"{least:,} or more" if most == math.inf else f"from {least:,} to {most:,}"
                raise InputError(f"--{name} {values[name]}: it must be {bounds}.")
    for name, value in REFUSED.items():
        if values.get(name) == value:
            raise InputError(f"--{name} {value}: the recipes cannot do this. Leave it out.")


class _Parser(HfArgumentParser):
    """argparse that raises instead of exiting, so that all errors are handled in one place.

    Attributes:
        options: the argparse.Action of each option.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        self.options: list[argparse.Action] = []
        super().__init__(*args, **kwargs)

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        action = super().add_argument(*args, **kwargs)
        self.options.append(action)
        return action

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[0].upper()}{message[1:].rstrip('.')}. See --help.")


def _describe_options(parser: _Parser, everything: bool) -> str:
    """Return the options with their defaults, grouped by class.

    Without `everything`, only the recipe's own and the most used options.
    """
    inherited = {f.name for kind in (DataArguments, TrainingArguments) for f in fields(kind)}
    words = {a.dest: spoken(" ".join((a.help or "").split())) for a in parser.options}
    defaults = {action.dest: action.default for action in parser.options}
    lines = [f"  --{'config':26} {words['config']}"]
    for kind in parser.dataclass_types:
        own = kind.__module__ == "__main__"
        names = [
            f.name
            for f in fields(kind)
            if f.init and (everything or f.name in MOST_USED or (own and f.name not in inherited))
        ]
        if everything:
            lines += ["", (kind.__doc__ or "").splitlines()[0]]
        for name in names:
            default = defaults[name]
            if isinstance(default, list):
                default = " ".join(map(str, default))
            shown = "" if default in (None, "") else f" [{str(default).replace('False', 'false')}]"
            text = f"  --{name:26} {words[name]}{shown}"
            width = 70 if is_korean() else 100  # a Hangul syllable is two cells wide
            lines += textwrap.wrap(text, width, subsequent_indent=" " * 31)
    if not everything:
        more = "All options, grouped: --help-all. Those of a YAML for --config are the same."
        lines += ["", spoken(more)]
    return "\n".join(lines) + "\n"


def _given(parser: _Parser, argv: Sequence[str], partial: bool) -> dict[str, Any]:
    """Return the options given on the command line."""
    for action in parser.options:
        action.default = argparse.SUPPRESS  # the dataclasses have the defaults
    found, rest = parser.parse_known_args(argv)
    if rest and not partial:
        name = rest[0].partition("=")[0]
        if name.startswith("--"):
            known = [option for action in parser.options for option in action.option_strings]
            known = [option for option in known if "-" not in option[2:]]
            raise InputError(f"There is no option {name}.{nearest(name, known)} See --help.")
        raise InputError(
            f"{rest[0]!r} belongs to no option; quote a value that has spaces, and name a YAML "
            "after --config."
        )
    for before, word in zip(["", *argv], argv, strict=False):
        name, equals, value = word.partition("=")
        if word == "" or (name.startswith("--") and equals and not value):
            option = name or before
            raise InputError(f"{option} has an empty value. Fill it in, or leave the option out.")
    return vars(found)


def _read_yaml(path: Path, parser: _Parser, partial: bool) -> dict[str, Any]:
    """Return the options of a YAML file, in the form of the command line's values."""
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > MAX_YAML):
            raise InputError(f"{path}: no file of options, which is small text. Check --config.")
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        settings = loader.construct_document(node) if node else None
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Check --config.") from error
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or error.context_mark).line + 1
        raise InputError(
            f"{path}, line {line}: not YAML ({error.problem}). Look for a bracket or a quote that "
            "is not closed, and for tabs."
        ) from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # even 5,000 digits or [
        what = " ".join(str(error).split())
        raise InputError(f"{path}: not a YAML file in UTF-8 ({what}). Mend it.") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: holds no options; it needs lines of the form `name: value`.")
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            line = key.start_mark.line + 1
            raise InputError(f"{path}, line {line}: {key.value} stands here twice. Delete one.")
        seen.add(key.value)
    known = {a.dest: a for a in reversed(parser.options) if a.dest != "config"}
    hints = {k: v for kind in parser.dataclass_types for k, v in get_type_hints(kind).items()}
    for key in [key for key in settings if key not in known]:
        if not partial:
            raise InputError(f"{path}: there is no option {key!r}.{nearest(str(key), known)}")
        del settings[key]
    for key, value in settings.items():
        if value is not None or type(None) not in get_args(hints[key]):
            try:
                settings[key] = _as_given(value, known[key], parser)
            except InputError as error:
                wanted = _wanted(known[key])
                found = reprlib.repr(value)  # shortened: nested aliases can be endless
                raise InputError(f"{path}: {key} is {found}, where {wanted} belongs.") from error
    return settings


def _as_given(value: Any, action: argparse.Action, parser: _Parser) -> Any:
    """Return a YAML value in the form of the command line's.

    Raises:
        InputError: the value has the wrong type, or is not one of the choices.
    """
    reads_words = action.type in (int, float, string_to_bool)
    if isinstance(value, bool) and action.nargs == "?" and not reads_words:
        return value
    if isinstance(value, bool | None) and action.type is not string_to_bool:
        parser.error("Not a word.")
    words = [f"--{action.dest}={value}"]
    if isinstance(value, list) and action.nargs in ("+", "*"):
        words = [f"--{action.dest}", *map(str, value)]
    elif isinstance(value, dict | list) and not reads_words:
        return value
    return getattr(parser.parse_args(words), action.dest)


def _wanted(action: argparse.Action) -> str:
    if action.choices:
        return f"one of {', '.join(map(str, action.choices))}"
    types: dict[Any, str] = {int: "a whole number", float: "a number", str: "a word in quotes"}
    return types.get(action.type, "true or false")


def resolve_package(name: str) -> str:
    """Turn ``package:models/encoder`` and ``~/model`` into paths; leave other names alone."""
    if not name.startswith(PACKAGE_PREFIX):
        return str(Path(name).expanduser()) if name.startswith("~") else name
    folder = Path(importlib.util.find_spec("nlpbook_data").origin).parent
    path = folder / name.removeprefix(PACKAGE_PREFIX)
    if not path.exists():
        raise InputError(f"{name}: nothing of that name ships with the package.")
    return str(path)


def as_record(*arguments: Any) -> dict[str, Any]:
    """Return the resolved arguments as JSON-able values, without tokens and keys."""
    record: dict[str, Any] = {}
    for instance in arguments:
        trains = isinstance(instance, TrainingArguments)
        record |= instance.to_dict() if trains else dataclasses.asdict(instance)
    return {name: value for name, value in record.items() if not name.endswith("_token")}
