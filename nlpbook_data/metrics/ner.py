"""Scores of named entities as character spans, as a module of `evaluate`."""

from collections import Counter
from typing import Any

import datasets
import evaluate
import numpy as np

from nlpbook_data.metrics.doccls import score_counts
from nlpbook_data.metrics.info import describe


class NamedEntities(evaluate.Metric):
    """Precision, recall and F1 of entities by exact match, and KLUE's and seqeval's F1.

    Entities match if start, end and label are equal. Scores are micro and macro averages, and for
    each type. KLUE's score is the character macro-F1 without O. seqeval's is the entity F1, as a
    cross-check.

    Args:
        predictions: for each text ``[{"start", "end", "label"}, …]``; ends exclusive, labels ids.
        references: ``{"text": str, "entities": [{"start", "end", "label"}, …]}``.
        label_names: the entity types' names, in the order of their ids.
    Returns:
        micro_f1, micro_precision, micro_recall: a predicted entity is right if start, end and label
        are those of a gold entity. Duplicate entities count once. Divisions by 0 are 0.
        macro_f1: the mean F1 of the types that occur in gold or predictions, as in seqeval and
            KLUE.
        per_type: {name: precision, recall, f1, support}.
        klue_char_macro_f1: KLUE-baseline's klue_ner_char_macro_f1 without O. Every non-blank
        character has a tag: B-type for the first of an entity, I-type for the others, O outside.
        The score is the mean over all B- and I- tags of label_names of the F1 over characters. A
        tag that is neither in gold nor predicted counts 1 (KLUE's zero_division). KLUE's code
        includes O in the mean, but its docstring and paper exclude it.
        seqeval_f1: seqeval's micro-F1 of the same tags, blanks included. It equals micro_f1 unless
        predictions overlap: then the first entity (then the longer one) gets the shared characters.
    Examples:
        >>> metric = NamedEntities(keep_in_memory=True)
        >>> gold = [{"start": 0, "end": 3, "label": 0}, {"start": 5, "end": 7, "label": 1}]
        >>> found = [{"start": 0, "end": 3, "label": 0}, {"start": 5, "end": 9, "label": 1}]
        >>> scores = metric.compute(
        ...     predictions=[found],
        ...     references=[{"text": "홍길동 서울에서 산다", "entities": gold}],
        ...     label_names=["인물", "장소"])
        >>> scores["micro_f1"], scores["macro_f1"], scores["per_type"]["인물"]["f1"]
        (0.5, 0.5, 1.0)
    """

    def _info(self) -> evaluate.MetricInfo:
        integer = datasets.Value("int64")
        entities = datasets.List({"start": integer, "end": integer, "label": integer})
        return describe(
            self,
            predictions=entities,
            references={"text": datasets.Value("string"), "entities": entities},
        )

    def compute(
        self, *, predictions: Any = None, references: Any = None, **arguments: Any
    ) -> dict[str, Any]:
        """Compute the scores of the class; other keys, such as an entity's score, are ignored."""
        return super().compute(
            predictions=[[_pick(span) for span in spans] for spans in predictions],
            references=[
                {"text": row["text"], "entities": [_pick(span) for span in row["entities"]]}
                for row in references
            ],
            **arguments,
        )

    def _compute(self, predictions: Any, references: Any, label_names: list[str]) -> dict[str, Any]:
        # Their import takes 1.5 s, so they are imported only here.
        from seqeval.metrics import f1_score as score_sequences
        from sklearn.metrics import f1_score as score_labels

        predicted = _spans(predictions)
        gold = _spans([row["entities"] for row in references])
        of_type = [
            Counter(label for *_, label in spans) for spans in (predicted & gold, predicted, gold)
        ]
        per_type = {
            name: score_counts(*(counts[label] for counts in of_type))
            for label, name in enumerate(label_names)
        }
        seen = [per_type[label_names[label]]["f1"] for label in of_type[1] | of_type[2]]
        total = score_counts(len(predicted & gold), len(predicted), len(gold))

        texts = [row["text"] for row in references]
        tags = [_tag_characters(texts, spans) for spans in (gold, predicted)]
        # scikit-learn needs at least one sample: a dummy character, O in both
        solid = np.array([character != " " for character in "".join([*texts, "."])])
        flat = [np.concatenate([*rows, [0]])[solid] for rows in tags]
        marks = np.array(["O", *(f"{m}-{i}" for i in range(len(label_names)) for m in "BI")])
        named = [[marks[row].tolist() for row in rows] for rows in tags]
        return {
            **{f"micro_{name}": total[name] for name in ("f1", "precision", "recall")},
            "macro_f1": float(np.mean(seen)) if seen else 0.0,
            "klue_char_macro_f1": float(
                score_labels(*flat, labels=range(1, len(marks)), average="macro", zero_division=1.0)
            ),
            "seqeval_f1": float(score_sequences(*named, zero_division=0)),
            "per_type": per_type,
        }


def _pick(span: dict[str, Any]) -> dict[str, int]:
    return {key: span[key] for key in ("start", "end", "label")}


def _spans(rows: list[list[dict[str, int]]]) -> set[tuple[int, int, int, int]]:
    """Return ``(row, start, end, label)`` of each entity."""
    return {
        (number, span["start"], span["end"], span["label"])
        for number, spans in enumerate(rows)
        for span in spans
    }


def _tag_characters(texts: list[str], spans: set[tuple[int, int, int, int]]) -> list[np.ndarray]:
    """Return the tag of each character of each text: 0 for O, 1 + 2k for B-, 2 + 2k for I-."""
    tags = [np.zeros(len(text), dtype=int) for text in texts]
    for row, start, end, label in sorted(spans, key=lambda span: (*span[:2], -span[2], span[3])):
        free = tags[row][start:end] == 0
        if free.any():
            first = start + int(free.argmax())
            tags[row][start:end][free] = 2 * label + 2
            tags[row][first] = 2 * label + 1
    return tags
