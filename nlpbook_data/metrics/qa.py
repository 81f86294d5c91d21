"""Scores of extractive question answering, as a module of `evaluate`: KorQuAD's and KLUE-MRC's."""

import operator
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import datasets
import evaluate
import numpy as np

from nlpbook_data.features.qa import Answer, Decoded, tune_threshold
from nlpbook_data.metrics.info import describe

POSITIONS = ("first third", "middle third", "last third")


class QuestionAnswering(evaluate.Metric):
    """Exact match and F1 of KorQuAD 1.0, exact match and ROUGE-W of KLUE-MRC.

    KorQuAD's scores follow evaluate-v1.0.py (its F1 is over syllables), KLUE's follow
    KLUE-baseline. With several gold answers the best match counts. For a question without an
    answer, an empty prediction is right (only blanks and punctuation), as in SQuAD 2.

    Args:
        predictions: one text for each question; an empty one means that there is no answer.
        references: the gold answers of each question, [{"text", "answer_start"}, …]; [] for none.
        question_types: the type of each question, for the break-down by types.
        context_lengths: the length of each context in characters, for the break-down by the third
            of the context where the first answer starts.
    Returns:
        exact_match, f1 (KorQuAD), klue_exact_match, rouge_w (KLUE): fractions. If some questions
        have no answer also has_answer_exact_match, has_answer_f1 and no_answer_accuracy. With the
        optional columns per_question_type and per_answer_position, {name: {the four scores,
        support}}.
    Examples:
        >>> metric = QuestionAnswering(keep_in_memory=True)
        >>> answers = [{"text": "서울", "answer_start": 0}, {"text": "서울 시", "answer_start": 0}]
        >>> texts = ["서울에", "〈서울〉"]
        >>> scores = metric.compute(predictions=texts, references=[answers, answers])
        >>> scores["exact_match"], round(scores["f1"], 3), round(scores["rouge_w"], 3)
        (0.5, 0.9, 0.733)
    """

    def _info(self) -> evaluate.MetricInfo:
        answer = {"text": datasets.Value("string"), "answer_start": datasets.Value("int64")}
        return describe(
            self, predictions=datasets.Value("string"), references=datasets.List(answer)
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[list[dict[str, Any]]],
        question_types: Sequence[str] | None = None,
        context_lengths: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        answers = [[answer["text"] for answer in gold] for gold in references]
        scores = {
            name: np.array([score(p, gold) for p, gold in zip(predictions, answers, strict=True)])
            for name, score in SCORES.items()
        }
        has_answer = np.array([bool(gold) for gold in answers])
        result: dict[str, Any] = {name: float(values.mean()) for name, values in scores.items()}
        if not has_answer.all():
            if has_answer.any():
                for name in ("exact_match", "f1"):
                    result[f"has_answer_{name}"] = float(scores[name][has_answer].mean())
            result["no_answer_accuracy"] = float(scores["exact_match"][~has_answer].mean())
        if question_types is not None:
            result["per_question_type"] = _break_down(scores, question_types)
        if context_lengths is not None:
            thirds = [
                POSITIONS[min(3 * gold[0]["answer_start"] // max(length, 1), 2)] if gold else None
                for gold, length in zip(references, context_lengths, strict=True)
            ]
            result["per_answer_position"] = _break_down(scores, thirds, POSITIONS)
        return result


def _break_down(
    scores: dict[str, np.ndarray], groups: Sequence[str | None], names: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    found = np.array(groups, dtype=object)
    parts = {
        name: found == name for name in names or sorted(g for g in set(groups) if g is not None)
    }
    return {
        name: {key: float(values[part].mean()) for key, values in scores.items()}
        | {"support": int(part.sum())}
        for name, part in parts.items()
        if part.any()
    }


_KORQUAD_BLANKS = str.maketrans(dict.fromkeys("'\"《》<>〈〉()‘’", " "))
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# A sequence, not a set of characters: KLUE-baseline closes its bracket before the parentheses.
_KLUE_BLANKS = re.compile("['\"《》<>〈〉]\\(\\)‘’")


def normalize_korquad(text: str) -> str:
    """Return `text` as KorQuAD compares it.

    Quotes, angle brackets and parentheses become blanks. Then letters are lowercased, ASCII
    punctuation is removed, and runs of blanks become one blank.
    """
    text = text.translate(_KORQUAD_BLANKS).lower().translate(_NO_PUNCTUATION)
    return " ".join(text.split())


def normalize_klue(text: str) -> str:
    """Return `text` as KLUE-MRC compares it: lowercase, no ASCII punctuation, single blanks.

    Only ASCII brackets and quotes are removed: 《》〈〉‘’ stay.
    """
    text = _KLUE_BLANKS.sub(" ", text.lower()).translate(_NO_PUNCTUATION)
    return " ".join(text.split())


def _against(
    normalize: Callable[[str], str], compare: Callable[[str, str], float]
) -> Callable[[str, Sequence[str]], float]:
    """Return the score of a text against answers: the best of them counts, no text where none is.

    Both are compared as `normalize` makes them.
    """

    def score(prediction: str, answers: Sequence[str]) -> float:
        prediction = normalize(prediction)
        if not answers:  # SQuAD 2
            return float(not prediction)
        return max(float(compare(prediction, normalize(answer))) for answer in answers)

    return score


def _f1(prediction: str, answer: str) -> float:
    """Return the F1 of the syllables (characters, blanks left out).

    As in KorQuAD's code, it is 0 if both are empty, although they match.
    """
    predicted, gold = (Counter(text.replace(" ", "")) for text in (prediction, answer))
    common = (predicted & gold).total()
    return 2 * common / (predicted.total() + gold.total()) if common else 0.0


def _rouge_w(prediction: str, answer: str) -> float:
    """Return the F1 of the longest common run of characters.

    As in KLUE-baseline, `difflib` finds it. In an answer of 200 characters or more, it starts no
    run at a frequent character.
    """
    if not prediction or not answer:
        return float(prediction == answer)
    matcher = SequenceMatcher(None, prediction, answer)
    run = matcher.find_longest_match(0, len(prediction), 0, len(answer)).size
    return 2 * run / (len(prediction) + len(answer))


exact_match = _against(normalize_korquad, operator.eq)
f1 = _against(normalize_korquad, _f1)
klue_exact_match = _against(normalize_klue, operator.eq)
rouge_w = _against(normalize_klue, _rouge_w)
SCORES = {
    "exact_match": exact_match,
    "f1": f1,
    "klue_exact_match": klue_exact_match,
    "rouge_w": rouge_w,
}


def best_threshold(
    found: Sequence[Decoded], answers: Sequence[Sequence[Mapping[str, Any]]]
) -> float:
    """Return the threshold of `Decoded.best` with the best F1 over validation's questions.

    Args:
        found: the model's output for each question.
        answers: the gold answers, ``[{"text", …}, …]`` for each question.
    """
    texts = [[answer["text"] for answer in gold] for gold in answers]
    scores = [f1(one.best().text, gold) for one, gold in zip(found, texts, strict=True)]
    differences = [one.null_difference for one in found]
    return tune_threshold(differences, scores, [bool(gold) for gold in texts])[0]


def judge_answers(
    rows: Iterable[Mapping[str, Any]], answers: Sequence[Answer]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the predictions, and those without an exact match, most confident first.

    Args:
        rows: ``question``, ``context``, ``answers`` (None if they are not known), and ``id`` if
            there is one.
        answers: one for each row.

    Returns:
        ``{"id", "question", "context", "answers": [text, …] or None, "prediction", "score",
        "start", "end"}`` for each row, and the list of those that are wrong.
    """
    judged, wrong = [], []
    for number, (row, found) in enumerate(zip(rows, answers, strict=True)):
        gold = row["answers"] and [answer["text"] for answer in row["answers"]]
        shown = {"id": row.get("id", str(number))} | {c: row[c] for c in ("question", "context")}
        span = {"score": found.score, "start": found.start, "end": found.end}
        judged.append(shown | {"answers": gold, "prediction": found.text} | span)
        if gold is not None and not exact_match(found.text, gold):
            wrong.append(judged[-1])
    return judged, sorted(wrong, key=lambda row: -row["score"])
