"""Compare runs: a table of models and tasks, and paired tests of two models."""

import csv
import hashlib
import io
import itertools
import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nlpbook_data.errors import InputError, nearest, shown
from nlpbook_data.language import spoken
from nlpbook_data.metrics.names import SHOWN, format_score, goodness, heading
from nlpbook_data.reports.outcome import CEILING, HYBRID, Outcome
from nlpbook_data.reports.paired import compare_rows, given, measure

logger = logging.getLogger(__name__)

BASELINES = "baselines.json"
HUB_NAME = re.compile(r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)")  # a model on the Hub
NAMED_SETTINGS = 2  # the most settings in a row's name; with more, the folder's name


@dataclass(frozen=True)
class Task:
    """Runs are comparable if these are equal: recipe, data, split and the rows themselves."""

    recipe: str
    data: str
    split: str
    rows: int
    digest: str

    def __str__(self) -> str:
        return f"{self.recipe} {self.data}, {self.split} {self.rows:,}"


@dataclass
class Entry:
    """Runs that differ only in their seed.

    Attributes:
        model: the name of the model in the table.
        settings: the settings of the runs, except seeds, paths and devices.
        seeds: for each seed, the folder with its predictions, and its scores on the task's split.
        baselines: the scores on that split, by name.
        folders: the folders of the runs, as the user named them.
        hub_name: the repository of the runs, as user/name.
    """

    model: str
    task: Task
    settings: dict[str, Any]
    seeds: dict[int, tuple[Path, dict[str, Any]]]
    baselines: dict[str, dict[str, Any]]
    folders: list[Path] = field(default_factory=list)
    hub_name: str = ""

    def score(self, metric: str) -> Any:
        """Return a score, for several seeds ``{"mean", "std"}``; None if there is none."""
        values = [scores[metric] for _, scores in self.seeds.values() if metric in scores]
        if len(values) < 2:
            return values[0] if values else None
        return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}

    def best_baseline(self, metric: str) -> tuple[str, float] | None:
        """Return the name and score of the best baseline."""
        found = [(n, scores[metric]) for n, scores in self.baselines.items() if metric in scores]
        return max(found, key=lambda row: goodness(metric, row[1]), default=None)


def read_runs(folders: Iterable[Path]) -> list[Entry]:
    """Return the finished runs in `folders` or below them, grouped by settings.

    A run that is not finished, or whose files are damaged, is left out with a warning.

    Raises:
        InputError: there are none.
    """
    entries: dict[str, Entry] = {}
    folders = list(folders)
    for folder in (found for place in folders for found in _find_runs(place)):
        try:
            entry = _read(folder)
        except (InputError, KeyError, AttributeError, TypeError, ValueError) as error:
            logger.warning("%s: left out, for its files are damaged: %s", folder, error)
            continue
        if entry is None:
            continue
        key = json.dumps([entry.model, str(entry.task), entry.task.digest, entry.settings])
        kept = entries.setdefault(key, entry)
        kept.seeds |= entry.seeds
        kept.baselines = kept.baselines or entry.baselines
        kept.folders.append(folder)
    if not entries:
        raise InputError(
            f"{shown(folders)}: no finished run that was scored is there. Name --output_dir of "
            "some, or a folder that holds them."
        )
    _tell_apart(list(entries.values()))
    return list(entries.values())


def _find_runs(folder: Path) -> Iterator[Path]:
    if (folder / "run.json").is_file():
        yield folder
    elif folder.is_dir():
        for path in sorted(folder.iterdir()):
            yield from _find_runs(path) if path.is_dir() and path.name[0] != "." else ()
    elif not folder.exists():
        raise InputError(f"{folder}: no such folder. Check the name.")


def _read(folder: Path) -> Entry | None:
    from nlpbook_data.training.arguments import SAME_RUN, SAME_RUN_PREFIXES

    record = _read_json(folder / "run.json")
    if record.get("status") != "finished":
        logger.warning("%s: this run is %s; left out.", folder, record.get("status", "unfinished"))
        return None
    if not (folder / "metrics.json").is_file():
        return None  # a hyperparameter search
    scores, arguments = _read_json(folder / "metrics.json"), record["arguments"]
    outcome = Outcome(folder, record, scores, None, folder.name)
    split = outcome.split
    if split not in scores:
        logger.warning("%s: predicted without labels and not scored; left out.", folder)
        return None
    rows = _read_rows(folder / "predictions.jsonl") if split == "test" else []
    said = [json.dumps(given(row), sort_keys=True) for row in rows]
    said = said or [json.dumps(record["data"], sort_keys=True)]
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()
    data = record["data"]
    task = Task(record["recipe"], data["name"], split, data["rows"].get(split, 0), digest)
    free = SAME_RUN | {"seed", "seeds", "data_seed"}
    settings = {
        name: value
        for name, value in arguments.items()
        if name not in free and not name.startswith(SAME_RUN_PREFIXES)
    } | {"global_batch": record["global_batch"], "data": data["sha256"]}
    one, *_ = arguments.get("seeds") or [arguments["seed"]]  # `--seeds 1` counts, not --seed
    seeds = {one: (folder, scores[split])}
    if "seeds" in scores:
        runs = scores["seeds"]["runs"].items()
        seeds = {int(seed): (folder / f"seed-{seed}", run[split]) for seed, run in runs}
    others = {name: dict(values) for name, values in outcome.rows()[1:]}
    baselines = {n: s for n, s in others.items() if n not in (CEILING, HYBRID)}
    hub_name = arguments.get("hub_model_id") or ""
    return Entry(_model(arguments), task, settings, seeds, baselines, hub_name=hub_name)


def _model(arguments: dict[str, Any]) -> str:
    """Return a model's name, with differences from the original model in brackets."""
    name = (arguments.get("model_name_or_path") or "?").rstrip("/")
    if name.startswith(("package:", "/", ".", "~")) or Path(name).is_dir():
        name = name.rpartition("/")[2]
    notes = ["random weights"] if arguments.get("from_scratch") else []
    notes += [arguments["config_overrides"]] if arguments.get("config_overrides") else []
    notes += ["LoRA"] if arguments.get("lora") else []
    return f"{name} ({', '.join(notes)})" if notes else name


def _tell_apart(entries: list[Entry]) -> None:
    """Rename entries of one model and task that differ in settings."""
    for entry in entries:
        alike = [e for e in entries if (e.model, e.task) == (entry.model, entry.task)]
        if len(alike) < 2:
            continue
        names = {name for e in alike for name in e.settings}
        differing = sorted(
            n for n in names if len({json.dumps(e.settings.get(n)) for e in alike}) > 1
        )
        told = 0 < len(differing) <= NAMED_SETTINGS and "data" not in differing
        for e in alike:
            notes = [f"{n}={e.settings.get(n)}" for n in differing] if told else [e.folders[0].name]
            e.model = f"{e.model}, {', '.join(notes)}"


def columns_of(entries: Sequence[Entry], metrics: Sequence[str] = ()) -> list[tuple[Task, str]]:
    """Return the columns of the table: each task with its headline score, or with `metrics`.

    Logs a warning if runs on one data set have different rows.
    """
    tasks = list(dict.fromkeys(entry.task for entry in entries))
    first = {entry.task: entry.folders[0] for entry in reversed(entries)}
    for one, other in itertools.combinations(tasks, 2):
        if (one.recipe, one.data, one.split) == (other.recipe, other.data, other.split):
            logger.warning(
                "%s and %s have other %s rows of %s, or one has no predictions.jsonl: they stand "
                "in columns of their own and are not compared.",
                *(first[one], first[other], one.split, one.data),
            )
    columns = []
    for task in tasks:
        there = {name for e in entries if e.task == task for _, s in e.seeds.values() for name in s}
        names = [name for name in metrics if name in there]
        names = names or ([] if metrics else [name for name in SHOWN if name in there][:1])
        columns += [(task, name) for name in names]
    if not columns:
        raise InputError(f"--metric {' '.join(metrics)}: no run has such a score. Check the name.")
    return columns


def cells(entries: Sequence[Entry], columns: Sequence[tuple[Task, str]]) -> list[dict[str, Any]]:
    """Return the table as plain data, one row for each model, task and metric."""
    rows = []
    for task, metric in columns:
        for entry in (e for e in entries if e.task == task):
            value, best = entry.score(metric), entry.best_baseline(metric)
            spread = value if isinstance(value, dict) else {"mean": value, "std": None}
            rows.append(
                {"model": entry.model, "recipe": task.recipe, "data": task.data}
                | {"split": task.split, "rows": task.rows, "metric": metric, **spread}
                | {"seeds": " ".join(map(str, sorted(entry.seeds)))}
                | {"baseline": best and best[0], "baseline_score": best and best[1]}
                | {"folder": " ".join(map(str, entry.folders))}
            )
    return rows


def table(
    entries: Sequence[Entry], columns: Sequence[tuple[Task, str]], linked: bool = False
) -> list[list[str]]:
    """Return the table as lines of cells: two header lines, one for each model, best baselines.

    Args:
        linked: as Markdown, link models on the Hub, and scores of pushed runs.
    """
    seeds = {len(entry.seeds) for entry in entries}
    lines = [["", *(str(task) for task, _ in columns)], [spoken("model")]]
    lines[1] += [heading(metric) for _, metric in columns]
    for model in dict.fromkeys(entry.model for entry in entries):
        lines.append([HUB_NAME.sub(r"[\1](https://huggingface.co/\1)", model) if linked else model])
        for task, metric in columns:
            found = [e for e in entries if (e.model, e.task) == (model, task)]
            words = format_score({metric: found[0].score(metric)}, metric) if found else ""
            count = f" ({len(found[0].seeds)})" if found and len(seeds) > 1 else ""
            hub_name = found[0].hub_name if linked and found else ""
            if words and "/" in hub_name:
                words = f"[{words}](https://huggingface.co/{hub_name})"
            lines[-1].append(words + count if words else "")
    best = [_best_baseline(entries, *column) for column in columns]
    if any(best):
        words = (f"{b[1]:.4f} {spoken(b[0])}" if b else "" for b in best)
        lines.append([spoken("best baseline"), *words])
    return lines


def _best_baseline(entries: Sequence[Entry], task: Task, metric: str) -> tuple[str, float] | None:
    found = [e.best_baseline(metric) for e in entries if e.task == task]
    return max(filter(None, found), key=lambda row: goodness(metric, row[1]), default=None)


def compare(
    entries: Sequence[Entry], a: str, b: str, metrics: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Test A against B on every task that both predicted: each shared seed, then all seeds.

    Args:
        a: a model in the table, or the folder of a run.
        b: a model, a folder, or a baseline of A's runs.

    Raises:
        InputError: no such model, or no task has both.
    """
    ours = _named(entries, a)
    known = {name for entry in ours for name in entry.baselines}
    if b not in {entry.model for entry in entries} and b in known:
        pairs = [(entry, None) for entry in ours if b in entry.baselines]
    else:
        theirs = {entry.task: entry for entry in _named(entries, b, known)}
        pairs = [(entry, theirs[entry.task]) for entry in ours if entry.task in theirs]
        if not pairs:
            raise InputError(
                f"{a} and {b} were not tested on the same rows: the first on "
                f"{'; '.join(str(e.task) for e in ours)}, the second on "
                f"{'; '.join(map(str, theirs))}. Compare runs of the same test rows."
            )
    found = []
    for entry, other in pairs:
        for _, metric in columns_of([entry], metrics):
            first = {seed: _values(entry, metric, seed) for seed in entry.seeds}
            if other is None:
                second = dict.fromkeys(first, _values(entry, metric, min(first), b))
            else:
                second = {seed: _values(other, metric, seed) for seed in other.seeds}
            labels = {"task": str(entry.task), "metric": metric}
            whole = [np.stack([*values.values()]) for values in (first, second)]
            if other is None:
                whole[1] = whole[1][:1] if metric not in ("pearson", "spearman") else whole[1]
            together = compare_rows(metric, *whole)
            shared = [seed for seed in first if seed in second] if len(first) > 1 else []
            if together["test"] == "sign flips":
                each = {s: compare_rows(metric, first[s][None], second[s][None]) for s in shared}
                found += [
                    labels | {"seed": str(s)} | row for s, row in each.items() if "only_a" in row
                ]
            counts = dict.fromkeys([len(first), len(second)])  # one number if they are equal
            name = f"mean of {' and '.join(map(str, counts))}"
            if max(counts) == 1:
                name = " ".join(map(str, first))
            found.append(labels | {"seed": name} | together)
    return found


def _named(entries: Sequence[Entry], name: str, others: Iterable[str] = ()) -> list[Entry]:
    path = Path(name).resolve()
    found = [e for e in entries if e.model == name]
    there = [e for e in entries if path in (f.resolve() for f in e.folders)]
    if found and any(e.model != name for e in there):
        raise InputError(
            f"--compare {name}: the name of a model and the folder of another run. Write ./{name} "
            f"for the folder, or {found[0].folders[0]} for a run of the model."
        )
    found = found or there
    if not found:
        names = [*dict.fromkeys(e.model for e in entries), *others]
        raise InputError(
            f"--compare {name}: no run of that name.{nearest(name, names)} There are "
            f"{'; '.join(names)}; a run's folder will do too."
        )
    return found


def _values(entry: Entry, metric: str, seed: int, baseline: str | None = None) -> np.ndarray:
    """Return `measure` of a seed's predictions, or of a baseline's."""
    folder = entry.seeds[seed][0]
    if entry.task.split != "test":
        raise InputError(f"{folder}: only validation was scored, and no row of it is kept.")
    rows = _read_rows(folder / "predictions.jsonl")
    if not rows:
        raise InputError(f"{folder}: holds no predictions.jsonl. Run the recipe again.")
    if baseline:
        places = [path for folder, _ in entry.seeds.values() for path in (folder, folder.parent)]
        files = [path / BASELINES for path in places if (path / BASELINES).is_file()]
        saved = _read_json(files[0]) if files else {}
        if baseline not in saved:
            raise InputError(
                f"{entry.folders[0]}: the rows of the baseline {baseline} were not kept; those of "
                f"{shown(saved) or 'none'} were. Run the recipe again, or compare models."
            )
        pairs = zip(rows, saved[baseline], strict=True)
        rows = [row | {"prediction": prediction} for row, prediction in pairs]
    return measure(metric, rows, entry.settings.get("negative_label"))


def comparison_lines(found: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return a table of tests as lines of cells, header first."""
    head = ["task", "metric", "seed", "A", "B", "A - B", "95%", "only A", "only B", "p", "test"]
    return [
        head,
        *(
            [row["task"], SHOWN.get(row["metric"], row["metric"]), row["seed"]]
            + [f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['difference']:+z.4f}"]
            + [f"{row['low']:+z.4f} to {row['high']:+z.4f}"]
            + [str(row.get(name, "")) for name in ("only_a", "only_b")]
            + [f"{row['p']:.4f}", row["test"]]
            for row in found
        ),
    ]


def as_markdown(lines: Sequence[Sequence[str]], heads: int = 1) -> str:
    """Return a Markdown table; the first `heads` lines are joined into one header."""
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    head = ["<br>".join(filter(None, cells)) for cells in zip(*escaped[:heads], strict=True)]
    rows = [head, ["---"] * len(head), *escaped[heads:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows of plain data as CSV with a header."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}). Run the recipe again.") from error


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.open(encoding="utf-8")]
    except ValueError as error:
        raise InputError(f"{path}: not JSON lines ({error}). Run the recipe again.") from error
