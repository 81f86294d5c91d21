"""Hyperparameter search by Trainer's `hyperparameter_search`, only on validation."""

import copy
import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from accelerate.utils import broadcast_object_list
from transformers import SchedulerType, Trainer
from transformers.training_args import OptimizerNames

from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError, nearest, shown
from nlpbook_data.metrics.names import SHOWN, goodness
from nlpbook_data.training.arguments import RecipeArguments, check_limits
from nlpbook_data.training.record import RunCallback

logger = logging.getLogger(__name__)

TRIALS = "trials.log"  # optuna's journal; a stopped search continues from it
BEST = "best.yaml"
# Settings that Trainer reads again in each trial; data, loss and model are made before.
WHOLE = ("per_device_train_batch_size", "gradient_accumulation_steps", "max_steps", "seed")
WHOLE += ("num_train_epochs",)
FRACTIONS = ("learning_rate", "weight_decay", "warmup_steps", "max_grad_norm")
FRACTIONS += ("adam_beta1", "adam_beta2", "adam_epsilon")
WORDS: dict[str, Any] = {"lr_scheduler_type": SchedulerType, "optim": OptimizerNames}
SEARCHED = (*WHOLE, *FRACTIONS, *WORDS)
# Settings that the search itself sets, or that do not belong in its result.
DROPPED = {"hp_space", "hp_trials", "output_dir", "config", "resume", "disable_tqdm"}


class Searched(Exception):
    """A search has ended; the exception's arguments are its record."""


def read_space(path: Path) -> dict[str, list[Any] | dict[str, Any]]:
    """Return the search space of a YAML file: choices, or ``low`` and ``high``, for each setting.

    Raises:
        InputError: the file cannot be read, or a setting is unknown or has wrong values.
    """
    try:
        space = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Check --hp_space.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())
        raise InputError(f"{path}: not a YAML file in UTF-8 ({what}). Mend it.") from error
    if not isinstance(space, dict) or not space:
        raise InputError(
            f"{path}: holds no settings; it needs lines such as "
            "`learning_rate: {low: 1e-5, high: 1e-3, log: true}` or "
            "`per_device_train_batch_size: [16, 32]`."
        )
    return {name: _read_range(path, str(name), values) for name, values in space.items()}


def _read_range(path: Path, name: str, values: Any) -> list[Any] | dict[str, Any]:
    if name not in SEARCHED:
        raise InputError(
            f"{path}: {name} cannot be searched.{nearest(name, SEARCHED)} What can is "
            f"{', '.join(SEARCHED)}."
        )
    of = WORDS.get(name) or (int if name in WHOLE else float)
    try:
        if isinstance(values, list) and values:
            found: list[Any] = [getattr(of(value), "value", of(value)) for value in values]
            check_limits({name: found})
            return found
        if isinstance(values, dict) and {"low", "high"} <= {*values} <= {"low", "high", "log"}:
            low, high = of(values["low"]), of(values["high"])
            log = values.get("log", False)
            if name not in WORDS and low < high and isinstance(log, bool) and (low > 0 or not log):
                check_limits({name: [low, high]})
                return {"low": low, "high": high, "log": log}
    except (TypeError, ValueError):
        pass
    raise InputError(
        f"{path}: {name} is {shown([values])}, where a list of values belongs, or of numbers "
        "{low: …, high: …, log: true or false} with low below high, and above 0 for log."
    )


def check_search(args: RecipeArguments) -> None:
    """Check the options of a search, and turn prediction of test off.

    Raises:
        InputError: contradicting options, or optuna is not installed.
    """
    if args.hp_trials is None and args.hp_space is None:
        return
    if args.hp_trials is None or args.hp_space is None:
        raise InputError("A search needs both --hp_space and --hp_trials. Pass the other too.")
    if importlib.util.find_spec("optuna") is None:
        raise InputError('--hp_trials needs optuna: pip install "nlpbook-recipes[optuna]".')
    read_space(Path(args.hp_space).expanduser())
    clash = {
        "--seeds": args.seeds and len(args.seeds) > 1,
        "--push_to_hub": args.push_at_end,
        "--do_train false": not args.do_train,
        "--eval_strategy no": args.eval_strategy == "no",
        f"--resume {args.resume}": args.resume not in (None, "auto", "never"),
    }
    if wrong := [name for name, found in clash.items() if found]:
        raise InputError(
            f"--hp_trials with {wrong[0]}: a search trains one seed, chooses on validation and "
            "pushes nothing. Leave it out, and pass it with the settings that are found."
        )
    args.do_predict = args.baselines = False
    args.save_strategy, args.load_best_model_at_end = "no", False


def search(trainer: Trainer) -> None:
    """Train ``--hp_trials`` times with different settings, each time from the same model.

    The value of a trial is its best evaluation. In a single process, a trial that is worse than the
    median of the trials before it is stopped early (optuna's default).

    Raises:
        Searched: always, with the result.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    args: Any = trainer.args
    space = read_space(Path(args.hp_space).expanduser())
    metric = args.metric
    first: Any = copy.deepcopy(trainer.model)
    trainer.model_init = lambda: copy.deepcopy(first)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def draw(trial: Any) -> dict[str, Any]:
        drawn = {}
        for name, values in space.items():
            if isinstance(values, list):
                drawn[name] = trial.suggest_categorical(name, values)
            else:
                suggest = trial.suggest_int if name in WHOLE else trial.suggest_float
                drawn[name] = suggest(name, **values)
        logger.info("trial %d: %s", trial.number + 1, in_line(drawn))
        return drawn

    def best_so_far(metrics: dict[str, float]) -> float:
        seen = [*trainer.state.log_history, metrics]
        values = [row[f"eval_{metric}"] for row in seen if f"eval_{metric}" in row]
        return max(values, key=lambda value: goodness(metric, value))

    trials, options = [args.hp_trials], dict[str, Any]()
    if args.process_index == 0:
        run = next(c for c in trainer.callback_handler.callbacks if isinstance(c, RunCallback))
        run.open_folder()
        path = run.folder.path / TRIALS
        if not run.folder.continues:
            path.unlink(missing_ok=True)
        journal = JournalFileBackend(str(path), JournalFileOpenLock(str(path)))
        place: dict[str, Any] = {"study_name": metric, "storage": JournalStorage(journal)}
        direction = "maximize" if args.greater_is_better else "minimize"
        study = optuna.create_study(**place, direction=direction, load_if_exists=True)
        trials = [args.hp_trials - sum(trial.state.is_finished() for trial in study.trials)]
        sampler = optuna.samplers.TPESampler(seed=args.seed + len(study.trials))
        options = place | {"load_if_exists": True, "sampler": sampler}
        if args.world_size > 1:  # other processes would not know
            options["pruner"] = optuna.pruners.NopPruner()
    broadcast_object_list(trials)
    if trials[0] > 0:
        trainer.hyperparameter_search(
            hp_space=draw,
            compute_objective=best_so_far,
            n_trials=trials[0],
            direction="maximize" if args.greater_is_better else "minimize",
            backend="optuna",
            **options,
        )
    if args.process_index:
        raise Searched
    ended = [trial for trial in study.trials if trial.state.is_finished()]
    raise Searched(
        {
            "metric": metric,
            "best": study.best_params,
            "score": study.best_value,
            "trials": [
                {**trial.params, metric: trial.value, "state": trial.state.name.lower()}
                for trial in ended
            ],
        }
    )


def in_line(settings: Mapping[str, Any]) -> str:
    """Return settings as one line of text."""
    shown = (f"{value:.4g}" if isinstance(value, float) else value for value in settings.values())
    return ", ".join(f"{n} {value}" for n, value in zip(settings, shown, strict=True))


def conclude_search(found: Mapping[str, Any], args: RecipeArguments, recipe: str) -> None:
    """Write the best settings as a YAML for ``--config``, and log it."""
    best, metric = found["best"], found["metric"]
    path = Path(args.output_dir or "").expanduser() / BEST
    given = {n: v for n, v in args.given.items() if n not in DROPPED and not n.endswith("_token")}
    text = yaml.safe_dump(given | best, allow_unicode=True, sort_keys=False)
    score = f"{SHOWN.get(metric, metric)} {found['score']:.4f}"
    about = f"# {score} on validation, the best of {len(found['trials'])} trials.\n"
    write_text(path, about + text)
    logger.info("Best of %d trials: %s with %s", len(found["trials"]), score, in_line(best))
    logger.info(
        "Train with it: accelerate launch %s --config %s --output_dir %s-best",
        *(recipe, path, path.parent),
    )
