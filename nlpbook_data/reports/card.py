"""The model card: the model, its scores, and how they were measured."""

import html
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from nlpbook_data.corpora.licenses import find_license
from nlpbook_data.metrics.names import KOREAN, SAMPLES, SHOWN, format_score, goodness
from nlpbook_data.outward import redact
from nlpbook_data.reports.outcome import Outcome

TEMPLATE = Path(__file__).parent / "templates" / "card.md"
SAMPLE_PROMPTS = 4
LIBRARIES = {
    "sentence-similarity": "sentence-transformers",
    "text-ranking": "sentence-transformers",
}
# for text-embeddings-inference; a decoder's command is in its usage
SERVERS = {tag: "text-embeddings-router --model-id MODEL --port 8080" for tag in LIBRARIES}


def write_card(
    outcome: Outcome, task: str, pipeline_tag: str, usage: str, labels: Sequence[str]
) -> None:
    """Write README.md into the run's folder, without paths of this machine and without tokens.

    Args:
        task: the name of the task in Korean.
        pipeline_tag: the Hub's name of the task.
        usage: Python source for the card; MODEL stands for the model's name in double quotes.
        labels: the names of the labels; empty if the task has none.
    """
    arguments, data = outcome.record["arguments"], outcome.record["data"]
    scores = outcome.scores.get(outcome.split, {})
    title = outcome.name.rsplit("/", 1)[-1]
    name = arguments["model_name_or_path"]
    base = public_name(name)
    scratch, license = arguments["from_scratch"], find_license(data["license"])
    metadata = ModelCardData(
        language="ko",
        library_name=LIBRARIES.get(pipeline_tag, "transformers"),
        pipeline_tag=pipeline_tag,
        tags=["nlpbook-recipes", "generated_from_trainer"],
        license=license.tag if scratch and license.tag != "other" else None,
        base_model=base if base and not scratch and "/" in base else None,
        model_name=title,
        eval_results=[
            EvalResult(
                task_type=pipeline_tag,
                dataset_type=data["name"].replace(" ", "_"),
                dataset_name=data["name"],
                dataset_split=outcome.split,
                metric_type="f1" if metric.endswith("f1") else metric,
                metric_name=SHOWN[metric],
                metric_value=round(scores[metric], 4),
            )
            for metric in SHOWN
            if metric in scores
        ]
        or None,
    )
    card = ModelCard.from_template(
        metadata,
        template_path=str(TEMPLATE),
        outcome=outcome,
        text=as_text,
        score=format_score,
        shown=SHOWN,
        korean=KOREAN,
        title=title,
        task=task,
        base=name if name and name.startswith("package:") else base,
        license=license,
        labels=labels,
        per_class=dict(list(scores.get("per_class", scores.get("per_type", {})).items())[:50]),
        samples=_samples(outcome),
        rival=_unbeaten(outcome),
        usage=usage.replace("MODEL", json.dumps(outcome.name, ensure_ascii=False)[1:-1]),
        serving=SERVERS.get(pipeline_tag, "").replace("MODEL", shlex.quote(outcome.name)),
    )
    card.content = redact(card.content)
    card.save(outcome.folder / "README.md")


def public_name(name: str | None) -> str | None:
    """Return the Hub name of a model; None for a folder of this machine or of the package."""
    if not name or Path(name).exists():
        return None
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name


def as_text(text: str, most: int = 200) -> str:
    """Return `text` escaped for Markdown: on one line, cut after `most` characters."""
    line = " ".join(text.split())
    line = f"{line[:most]}…" if len(line) > most else line
    marks = r"[\\`*_{}\[\]()#!|~$:@]|(?<=www)\."  # the last three begin links
    return re.sub(marks, r"\\\g<0>", html.escape(line, quote=False), flags=re.IGNORECASE)


def _unbeaten(outcome: Outcome) -> str:
    """Return the best baseline if the model's headline score is no better, else nothing."""
    if (found := outcome.rivalry()) is None:
        return ""
    (model, name, best), metric = found, outcome.columns()[0]
    return name if goodness(metric, model) <= goodness(metric, best) else ""


def _samples(outcome: Outcome) -> Mapping[str, Any]:
    """Return for each decoding method one generated text for each prompt, and the scores."""
    path = outcome.folder / "samples.json"
    if not path.is_file():
        return {}
    texts = []
    for method, rows in json.loads(path.read_text(encoding="utf-8")).items():
        first = {row["prompt"]: row["text"] for row in reversed(rows)}
        prompts = sorted(first)[:SAMPLE_PROMPTS]
        texts += [[method, as_text(prompt), as_text(first[prompt])] for prompt in prompts]
    scores = outcome.scores["samples"]
    names = [name for name in SAMPLES if name in next(iter(scores.values()))]
    return {
        "texts": texts,
        "shown": [KOREAN[name] for name in names],
        "rows": [[method, *(f"{s[name]:.3f}" for name in names)] for method, s in scores.items()],
    }
