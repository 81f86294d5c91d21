"""Predictions in the import formats of annotation tools, to correct mistakes there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from nlpbook_data.errors import InputError
from nlpbook_data.own_files.tables import read_rows
from nlpbook_data.reading.values import convert_each, raise_error

TOOLS = ("doccano", "label_studio")
NAME_ANOTHER = "Only doccls and ner are annotated: name the predictions.jsonl of one."


def write_annotations(predictions: Path, output: Path, tool: str) -> tuple[int, str]:
    """Write ``predictions.jsonl`` of doccls or ner for `tool`; return row count and next step.

    doccano gets jsonl with ``text`` and ``label``, Label Studio a JSON array of tasks with
    ``predictions``.
    """
    if output.exists():
        raise InputError(f"{output}: it is there already. Name another file.")
    read = read_rows(predictions, ("text", "prediction"), None, advice=NAME_ANOTHER)
    rows = [row for _, row in convert_each(read, _check, raise_error)]
    if not rows:
        raise InputError(f"{predictions}: there is no row in it. Predict first.")
    found = [one for row in rows for one in row["prediction"]]
    is_ner = "entities" in rows[0] or any(isinstance(one, dict) for one in found)
    labels = sorted({one["label"] if isinstance(one, dict) else one for one in found})
    if tool == "doccano":
        text = "".join(
            json.dumps(_doccano(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows
        )
        kind = "SequenceLabeling" if is_ner else "TextClassification"
        said = f"Import it as JSONL, of a project {kind}, column of text: text, of labels: label."
    else:
        tasks = [_label_studio(row, is_ner) for row in rows]
        text = json.dumps(tasks, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        several = any(len(row["prediction"]) != 1 for row in rows)
        said = "Labeling interface: " + "".join(_interface(labels, is_ner, several))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return len(rows), said


def _check(place: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with a list of labels or of entities as its prediction."""
    found = row["prediction"] if isinstance(row["prediction"], list) else [row["prediction"]]
    if not isinstance(row["text"], str) or not all(isinstance(f, str | dict) for f in found):
        raise InputError(
            f"{place}: no prediction of doccls or ner. Name the predictions.jsonl of one."
        )
    return {**row, "prediction": found}


def _doccano(row: dict[str, Any]) -> dict[str, Any]:
    def label(one: Any) -> Any:
        return [one["start"], one["end"], one["label"]] if isinstance(one, dict) else one

    return {"text": row["text"], "label": [*map(label, row["prediction"])]}


def _label_studio(row: dict[str, Any], is_ner: bool) -> dict[str, Any]:
    text, found = row["text"], row["prediction"]
    kind, values = "choices", [{"choices": found}]
    if is_ner:
        kind, values = "labels", []
        for one in found:
            span = {"start": one["start"], "end": one["end"], "labels": [one["label"]]}
            values.append({**span, "text": text[one["start"] : one["end"]]})
    common = {"from_name": "label", "to_name": "text", "type": kind}
    result = [{**common, "id": str(n), "value": value} for n, value in enumerate(values)]
    prediction: dict[str, Any] = {"model_version": "nlpbook", "result": result}
    if probabilities := row.get("probabilities"):
        prediction["score"] = max(probabilities.values())
    return {"data": {"text": text}, "predictions": [prediction]}


def _interface(labels: list[str], is_ner: bool, several: bool) -> Iterator[str]:
    """Yield the XML of a Label Studio project for these labels."""
    tag, one = ("Labels", "Label") if is_ner else ("Choices", "Choice")
    choice = "" if is_ner else f' choice="{"multiple" if several else "single"}"'
    yield f'<View><{tag} name="label" toName="text"{choice}>'
    for label in labels:
        yield f"<{one} value={quoteattr(label)}/>"
    yield f'</{tag}><Text name="text" value="$text"/></View>'
