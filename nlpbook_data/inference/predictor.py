"""The one entry point to the models of all recipes: rows in, predictions out.

    predictor = load_predictor("outputs/doccls")
    predictor.task, predictor.columns, predictor.labels
    # ("doccls", ("text",), ["부정", "긍정"])
    predictor.predict([{"text": "배송이 빠르고 마음에 들어요"}])
    # [{"prediction": "긍정", "score": 0.97}]

Task, columns, length, stride, thresholds and the stripping of particles come from the model's
config, where the recipes save them. Models of search and rerank: ``nlpbook-data search``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from nlpbook_data.errors import InputError, first_line, shown
from nlpbook_data.features.generation import encode_prompts
from nlpbook_data.inference.answers import Answerer, load_answerer
from nlpbook_data.inference.batches import load_trained, read_by_length
from nlpbook_data.inference.classes import DETAILS, Classifier
from nlpbook_data.inference.decoding import DECODING, sample
from nlpbook_data.inference.entities import load_tagger
from nlpbook_data.own_files.schemas import read_text
from nlpbook_data.reading.values import find_name
from nlpbook_data.training.arguments import ModelArguments, resolve_package
from nlpbook_data.training.models import label_names, load_config, saved_settings

Row = dict[str, Any]
MAX_NEW_TOKENS = 64
HEADS = {
    "ForSequenceClassification": "doccls",
    "ForTokenClassification": "ner",
    "ForQuestionAnswering": "qa",
    "ForCausalLM": "generation",
    "LMHeadModel": "generation",
}
# The columns that a row needs; the first set counts if the model does not name its columns.
INPUTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "doccls": (("text",),),
    "paircls": (("premise", "hypothesis"), ("sentence1", "sentence2")),
    "ner": (("text",),),
    "qa": (("context", "question"),),
    "generation": (("prompt",), ("question",)),
}
# Settings of generation that change a method, with their smallest and largest values.
DECODING_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0.05, 5.0),
    "top_k": (0, 1000),
    "top_p": (0.01, 1.0),
    "repetition_penalty": (0.5, 5.0),
}
OPTIONS = {
    "doccls": {"details", "threshold"},
    "paircls": {"details"},
    "ner": set[str](),
    "qa": {"details"},
    "generation": {"max_new_tokens", "method", "seed", *DECODING_RANGES},
}
# Rows that are predicted together: enough to sort them by length into batches.
CHUNKS = {"doccls": 4096, "paircls": 4096, "ner": 1024, "qa": 256, "generation": 32}


@dataclass(frozen=True)
class Predictor:
    """A model of any task. See `load_predictor`.

    Attributes:
        task: doccls, paircls, ner, qa or generation.
        inputs: ``{the task's column: the key of a row}``, named as in the training data.
        labels: the names of classes or entity types; empty for scores and other tasks.
        model: a transformers model, or an `ExportedModel`.
        multi_label: whether a text has any number of labels.
        label_separator: the separator of several labels in a cell of the training data.
    """

    task: str
    inputs: dict[str, str]
    labels: list[str]
    find: Callable[..., list[Row]]
    model: Any
    multi_label: bool = False
    label_separator: str = "|"

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys that a row needs."""
        return tuple(self.inputs.values())

    @property
    def options(self) -> set[str]:
        """The options of `predict` that this model has."""
        if self.task == "paircls" and not self.labels:
            return set()
        return OPTIONS[self.task] - (set() if self.multi_label else {"threshold"})

    def outputs(self, **options: Any) -> dict[str, str]:
        """Return the outputs of `predict`: ``{name: text, number, texts, numbers or json}``."""
        self._check(options)
        if self.task == "generation":
            return {"prediction": "text"}
        if self.task == "ner":
            return {"prediction": "json"}
        if self.task != "qa" and not self.labels:  # a score
            return {"prediction": "number"}
        some = "s" if self.multi_label else ""
        outputs = {"prediction": f"text{some}", "score": f"number{some}"}
        if options.get("details"):
            positions = {"start": "integer", "end": "integer"}
            outputs |= positions if self.task == "qa" else {DETAILS: "json"}
        return outputs

    def predict(self, rows: Sequence[Mapping[str, Any]], **options: Any) -> list[Row]:
        """Return a dict for each row, in order: the keys of `outputs`, or only ``{"error": …}``.

        A row that cannot be read or predicted has an error; other rows are not affected.

        Args:
            rows: each with the keys `columns`; other keys are ignored.
            options: `details` (bool) returns more, such as the probability of each class;
                `threshold` is for several labels, by default 0.5. For generation: `max_new_tokens`,
                `method` (of `inference.decoding.DECODING`, by default top-p), `seed`, and the
                settings that `DECODING_RANGES` names.

        Raises:
            InputError: an option that the task does not have, or a wrong value.
        """
        self._check(options)
        found: list[Row] = [{} for _ in rows]
        texts: dict[int, list[str]] = {}
        for number, row in enumerate(rows):
            try:
                texts[number] = [read_text("row", row.get(c), c) for c in self.columns]
            except InputError as error:
                found[number] = {"error": str(error).removeprefix("row: ")}
        for number, result in zip(texts, self._attempt([*texts.values()], options), strict=True):
            found[number] = result
        return found

    def _attempt(self, texts: list[list[str]], options: Row) -> list[Row]:
        """Predict `texts`; if that fails, predict each half, down to the row at fault."""
        if not texts:
            return []
        try:
            return self.find(*map(list, zip(*texts, strict=True)), **options)
        except (InputError, ValueError, LookupError, RuntimeError) as error:
            if len(texts) == 1:
                return [{"error": first_line(error)}]
            half = len(texts) // 2
            return self._attempt(texts[:half], options) + self._attempt(texts[half:], options)

    def _check(self, options: Row) -> None:
        if unknown := sorted(options.keys() - self.options):
            raise InputError(
                f"{unknown[0]}: this model ({self.task}) has no such option; it has "
                f"{shown(sorted(self.options)) or 'none'}. Leave it out."
            )
        if not 0 < options.get("threshold", 0.5) < 1:
            raise InputError(f"threshold {options['threshold']}: it must be between 0 and 1.")
        if options.get("method", "top-p") not in DECODING:
            raise InputError(f"method {options['method']!r}: it must be of {', '.join(DECODING)}.")
        for name, (least, most) in (DECODING_RANGES | {"seed": (0, 2**32 - 1)}).items():
            if not least <= options.get(name, least) <= most:
                raise InputError(f"{name} {options[name]}: it must be from {least} to {most}.")


def load_predictor(
    model_name_or_path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    header: Sequence[str] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 32,
    revision: str = "main",
) -> Predictor:
    """Return the model of a finished run of any recipe but search and rerank, ready to predict.

    Args:
        model_name_or_path: a folder of a finished run or of recipes/export.py, or a Hub name.
        columns: ``{"text": "본문", …}``: the data's names of columns, if they are not training's.
        header: the columns of the data, to choose among a task's sets of columns.
        device, batch_size, revision: see `load_answerer`.

    Raises:
        InputError: no such model, it predicts NaN, or it is not fine-tuned for one of these tasks.
    """
    name = str(model_name_or_path)
    args = ModelArguments(model_name_or_path=name, model_revision=revision)
    config = load_config(args)
    task = _find_task(name, config)
    inputs = _choose_columns(task, saved_settings(config), dict(columns or {}), header)
    options: Row = {"device": device, "batch_size": batch_size, "revision": revision}
    if task in ("doccls", "paircls"):
        names = label_names(args) or []
        model, tokenizer = load_trained(AutoModelForSequenceClassification, args, device)
        classify = Classifier(model, tokenizer, names, batch_size)
        between = saved_settings(config).get("label_separator", "|")
        return Predictor(task, inputs, names, classify, model, classify.multi_label, between)
    if task == "ner":
        tag = load_tagger(name, **options)

        def find(texts: list[str]) -> list[Row]:
            return [{"prediction": entities} for entities in tag(texts)]

        return Predictor(task, inputs, list(tag.types), find, tag.model)
    if task == "qa":
        answer = load_answerer(name, **options)
        return Predictor(task, inputs, [], partial(_answers, answer), answer.model)
    model, tokenizer = load_trained(AutoModelForCausalLM, args, device)
    tokenizer.padding_side = "left"
    ids = {"input_ids": encode_prompts(["가"], tokenizer)}
    next(read_by_length(model, tokenizer, ids, 1))  # refuses a model that predicts NaN at once
    write = partial(_texts, model, tokenizer, batch_size, "question" in inputs)
    return Predictor(task, inputs, [], write, model)


def _find_task(name: str, config: Any) -> str:
    head = (config.architectures or ["no head"])[0]
    folder = Path(resolve_package(name))
    about = folder / "config_sentence_transformers.json"
    is_pair = about.is_file() and '"CrossEncoder"' in about.read_text(encoding="utf-8")
    known = "rerank" if is_pair and config.num_labels == 1 else None
    known = saved_settings(config).get("task", known)
    task = known or next((HEADS[h] for h in HEADS if head.endswith(h)), None)
    if task in INPUTS:
        return task
    hint = "Name the folder of a finished run of doccls, paircls, ner, qa or generation."
    if task == "rerank":
        hint = (
            f"It is a reranker, for what a search index finds: `nlpbook-data search INDEX QUERY "
            f"--rerank {name}`. demo.py and serve.py take --rerank with an index too."
        )
    elif task == "search" or (folder / "modules.json").is_file():
        hint = (
            "It is a model for search, which needs texts: `nlpbook-data index TEXTS --model "
            f"{name} --output INDEX`. `nlpbook-data search`, demo.py and serve.py take INDEX."
        )
    raise InputError(f"{name}: a model with {head}, which predicts nothing of a row. {hint}")


def _choose_columns(
    task: str, settings: Row, columns: dict[str, str], header: Sequence[str] | None
) -> dict[str, str]:
    """Return ``{the task's column: the data's}``, for the set of `INPUTS` that fits."""
    sets = INPUTS[task]
    known = {c for names in sets for c in names}
    if unknown := sorted(columns.keys() - known):
        raise InputError(
            f"--{unknown[0]}_column_name: {task} reads {' and '.join(sets[0])}. Leave it out."
        )
    there, trained = header or (), settings.get("columns", ())
    named = {}
    for c in known:
        # A file may use the task's own column names although the training data used others.
        asked = [columns[c]] if c in columns else [settings.get(f"{c}_column_name") or c, c]
        names = [find_name(name, there) for name in asked]
        named[c] = next((name for name in names if name in there), names[0])

    def fits(names: tuple[str, ...]) -> tuple[bool, ...]:
        is_there = all(named[c] in there for c in names)
        return any(c in columns for c in names), is_there, all(c in trained for c in names)

    inputs = {c: named[c] for c in max(sets, key=fits)}
    if len({*inputs.values()}) < len(inputs):
        raise InputError(
            f"{' and '.join(inputs)} would be read from one column, {inputs.popitem()[1]!r}. Name "
            "one for each."
        )
    return inputs


def _answers(
    answer: Answerer, contexts: list[str], questions: list[str], details: bool = False
) -> list[Row]:
    return [
        {"prediction": found["answer"], "score": round(found["score"], 6)}
        | ({"start": found["start"], "end": found["end"]} if details else {})
        for found in answer(questions, contexts)
    ]


def _texts(
    model: Any,
    tokenizer: Any,
    batch_size: int,
    asked: bool,
    texts: list[str],
    max_new_tokens: int | None = None,
    method: str = "top-p",
    seed: int = 42,
    **decoding: Any,
) -> list[Row]:
    length = max_new_tokens or model.generation_config.max_new_tokens or MAX_NEW_TOKENS
    prompts = [f"{text}\n" for text in texts] if asked else texts  # as in `to_prompts`
    methods = {method: DECODING[method] | decoding}
    written = sample(model, tokenizer, prompts, seed, length, methods, batch_size)
    return [{"prediction": text} for text in written[method]]
