"""Predictions in the import formats of annotation tools, to correct mistakes there."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from nlpbook_data.errors import InputError
from nlpbook_data.own_files.tables import read_rows

TOOLS = ("doccano", "label_studio")


def write_annotations(predictions: Path, output: Path, tool: str) -> tuple[int, str]:
    """Write ``predictions.jsonl`` of doccls or ner for `tool`; return row count and next step.

    doccano gets jsonl with ``text`` and ``label``, Label Studio a JSON array of tasks with
    ``predictions``.
    """
    if output.exists():
        raise InputError(f"{output}: it is there already. Name another file.")
    read = read_rows(predictions, ("text", "prediction"), None)
    rows = [_Prediction(place, row) for place, row in read]
    if not rows:
        raise InputError(f"{predictions}: there is no row in it. Predict first.")
    is_ner = any(row.spans for row in rows) or "entities" in rows[0].row
    labels = sorted({label for row in rows for label in row.labels})
    if tool == "doccano":
        text = "".join(
            json.dumps(row.doccano(), ensure_ascii=False, allow_nan=False) + "\n" for row in rows
        )
        kind = "SequenceLabeling" if is_ner else "TextClassification"
        said = f"Import it as JSONL, of a project {kind}, column of text: text, of labels: label."
    else:
        tasks = [row.label_studio(is_ner) for row in rows]
        text = json.dumps(tasks, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        several = any(len(row.labels) != 1 for row in rows)
        said = "Labeling interface: " + "".join(_interface(labels, is_ner, several))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return len(rows), said


class _Prediction:
    """A row of predictions.jsonl: a text with its predicted label, labels or entities."""

    def __init__(self, place: str, row: Mapping[str, Any]):
        self.row = row
        found = row["prediction"]
        found = found if isinstance(found, list) else [found]
        if not isinstance(row["text"], str) or not all(isinstance(f, str | dict) for f in found):
            raise InputError(
                f"{place}: no prediction of doccls or ner. Name the predictions.jsonl of one."
            )
        self.text: str = row["text"]
        self.spans = [one for one in found if isinstance(one, dict)]
        self.labels = [one["label"] if isinstance(one, dict) else one for one in found]

    def doccano(self) -> dict[str, Any]:
        spans = [[one["start"], one["end"], one["label"]] for one in self.spans]
        return {"text": self.text, "label": spans or self.labels}

    def label_studio(self, is_ner: bool) -> dict[str, Any]:
        where = {"from_name": "label", "to_name": "text"}
        if is_ner:
            result = [
                {
                    **where,
                    "id": str(number),
                    "type": "labels",
                    "value": {
                        "start": one["start"],
                        "end": one["end"],
                        "text": self.text[one["start"] : one["end"]],
                        "labels": [one["label"]],
                    },
                }
                for number, one in enumerate(self.spans)
            ]
        else:
            value = {"choices": self.labels}
            result = [{**where, "id": "0", "type": "choices", "value": value}]
        prediction: dict[str, Any] = {"model_version": "nlpbook", "result": result}
        if probabilities := self.row.get("probabilities"):
            prediction["score"] = max(probabilities.values())
        return {"data": {"text": self.text}, "predictions": [prediction]}


def _interface(labels: list[str], is_ner: bool, several: bool) -> Iterator[str]:
    """Yield the XML of a Label Studio project for these labels."""
    tag, one = ("Labels", "Label") if is_ner else ("Choices", "Choice")
    choice = "" if is_ner else f' choice="{"multiple" if several else "single"}"'
    yield f'<View><{tag} name="label" toName="text"{choice}>'
    for label in labels:
        yield f"<{one} value={quoteattr(label)}/>"
    yield f'</{tag}><Text name="text" value="$text"/></View>'
