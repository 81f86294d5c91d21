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
# Where text-embeddings-inference (TEI) answers for the model of a recipe, and a request. It has no
# entities and no answers, and takes several labels a text for one.
TEI_REQUESTS = {
    "doccls": ("predict", {"inputs": "배송이 빠르고 마음에 들어요"}),
    "search": ("embed", {"inputs": "훈민정음은 누가 만들었나?", "prompt_name": "query"}),
    "rerank": ("rerank", {"query": "한강은 어디에?", "texts": ["서울을 지난다.", "길다."]}),
}
# The `model_type`s that it loads as transformers 5 saves them. Not ModernBERT, of which it asks
# global_rope_theta and other settings of transformers 4.
TEI_MODELS = ("bert", "camembert", "roberta", "xlm-roberta")
TEI_POOLING = {"cls": "cls", "mean": "mean", "lasttoken": "last-token"}
TEI = "docker run -p 8080:80 {volume}ghcr.io/huggingface/text-embeddings-inference:cpu-latest"


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
        serving=_tei(outcome),
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


def _tei(outcome: Outcome) -> str:
    """Return the commands that serve the model by TEI, for who stands where `outcome.name` leads.

    Empty if TEI has not this task or kind of model.
    """
    folder, arguments = outcome.folder, outcome.record["arguments"]
    recipe, config = outcome.record["recipe"], folder / "config.json"
    if recipe not in TEI_REQUESTS or arguments.get("multi_label") or not config.is_file():
        return ""
    if json.loads(config.read_text(encoding="utf-8"))["model_type"] not in TEI_MODELS:
        return ""
    name, volume, pooling = shlex.quote(outcome.name), "", ""
    if "/" not in outcome.name or Path(outcome.name).is_dir():
        name, volume = "/model", f'-v "$PWD"/{name}:/model '
    if recipe == "search":
        path = folder / "1_Pooling" / "config.json"
        if not path.is_file() or any(folder.glob("*_Dense")):
            return ""
        mode = json.loads(path.read_text(encoding="utf-8"))["pooling_mode"]
        if str(mode) not in TEI_POOLING:
            return ""
        pooling = f" --pooling {TEI_POOLING[mode]}"
    route, request = TEI_REQUESTS[recipe]
    return (
        f"{TEI.format(volume=volume)} --model-id {name}{pooling}\n"
        f"curl http://127.0.0.1:8080/{route} -H 'Content-Type: application/json' \\\n"
        f"    -d {shlex.quote(json.dumps(request, ensure_ascii=False))}"
    )


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
