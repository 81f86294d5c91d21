"""Scores of language models and of what they write, as modules of `evaluate`."""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from nlpbook_data.errors import InputError
from nlpbook_data.metrics.info import describe


class LanguageModelling(evaluate.Metric):
    """Loss and perplexity a token, which compare models of one tokenizer, and bits per character.

    The latter compare all models: the bits that the model needs for the texts and their ends, over
    the number of the texts' characters (an end is no character, though its bits count). All three
    are of the sums over the rows, not means of the rows' own.

    Args:
        losses: the negative log-likelihood of each row's labelled tokens, in nats, summed.
        tokens: how many they are, ends of text included.
        characters: how many characters of the NFC text they stand for, ends of text not included
            (`features.generation.encode` counts them).
    Returns:
        loss (nats a token), perplexity (e to its power) and bits_per_character.
    Examples:
        >>> metric = LanguageModelling(keep_in_memory=True)
        >>> scores = metric.compute(losses=[3.0, 1.0], tokens=[3, 1], characters=[6, 2])
        >>> scores["loss"], round(scores["perplexity"], 3), round(scores["bits_per_character"], 3)
        (1.0, 2.718, 0.721)
    """

    def _info(self) -> evaluate.MetricInfo:
        return describe(
            self,
            losses=datasets.Value("float64"),
            tokens=datasets.Value("int64"),
            characters=datasets.Value("int64"),
        )

    def _compute(self, losses: Any, tokens: Any, characters: Any) -> dict[str, float]:
        nats, count, length = math.fsum(losses), sum(tokens), sum(characters)
        if not count or not length:
            raise InputError("The texts have no characters to be scored. Give some that have.")
        with np.errstate(over="ignore"):
            perplexity = float(np.exp(nats / count))
        return {
            "loss": nats / count,
            "perplexity": perplexity,
            "bits_per_character": nats / math.log(2) / length,
        }


REPEATED = 4  # the n of repetition


class TextGeneration(evaluate.Metric):
    """How much written texts repeat each other and themselves.

    The units are characters without blanks (in Korean, syllables): with words, every particle and
    ending would make a new one, and a run such as ㅋㅋㅋㅋㅋㅋ would be no repetition; with tokens,
    models of two tokenizers could not be compared.

    Args:
        predictions: the texts that a model wrote, without their prompts.
        asked: for prompts that ask for a label, the label of each.
        judged: the label that a classifier gives each text.
    Returns:
        distinct_1, distinct_2, distinct_3: the different n-grams of all texts over all their
        n-grams (Li et al., 2016); they fall as texts are added, so only equally many compare.
        repetition: the share of a text's 4-grams that stand in it already, 1 - different / all, as
        a mean over texts (Welleck et al., 2020: seq-rep-4); a text without any repeats nothing.
        mean_length: characters, blanks included. As all of these, of the NFC text.
        agreement: with labels, the share of texts that are judged to be what was asked for, and
        per_label {asked label: {agreement, support}}.
    Examples:
        >>> metric = TextGeneration(keep_in_memory=True)
        >>> texts, labels = ["정말 정말 정말", "별로"], {"asked": ["긍정", "부정"]}
        >>> scores = metric.compute(predictions=texts, **labels, judged=["긍정", "긍정"])
        >>> scores["distinct_1"], round(scores["repetition"], 3), scores["agreement"]
        (0.5, 0.167, 0.5)
    """

    def _info(self) -> evaluate.MetricInfo:
        return describe(self, predictions=datasets.Value("string"))

    def _compute(
        self,
        predictions: list[str],
        asked: Sequence[str] | None = None,
        judged: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        texts = [unicodedata.normalize("NFC", text) for text in predictions]
        result: dict[str, Any] = {f"distinct_{n}": distinct(texts, n) for n in (1, 2, 3)}
        result["repetition"] = float(np.mean([repetition(text) for text in texts]))
        result["mean_length"] = float(np.mean([len(text) for text in texts]))
        if asked is not None and judged is not None:
            hits = Counter(a for a, j in zip(asked, judged, strict=True) if a == j)
            result["agreement"] = hits.total() / len(asked)
            result["per_label"] = {
                label: {"agreement": hits[label] / support, "support": support}
                for label, support in sorted(Counter(asked).items())
            }
        return result


def score_samples(samples: Mapping[str, list[dict[str, str]]]) -> dict[str, dict[str, float]]:
    """Return the scores of `TextGeneration` by method of decoding.

    Args:
        samples: ``{method: [{"text", …}, …]}``, with ``asked`` and ``judged`` where there was a
            judge.
    """
    metric, scores = TextGeneration(keep_in_memory=True), {}
    for method, rows in samples.items():
        labels = {name: [r[name] for r in rows] for name in ("asked", "judged") if name in rows[0]}
        scores[method] = metric.compute(predictions=[row["text"] for row in rows], **labels)
    return scores


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of different n-grams among all of `texts`; 0 where there is none."""
    grams = [gram for text in texts for gram in _ngrams(text, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(text: str) -> float:
    """Return the share of the 4-grams of `text` that stand in it already."""
    grams = _ngrams(text, REPEATED)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _ngrams(text: str, n: int) -> list[str]:
    text = "".join(text.split())
    return [text[i : i + n] for i in range(len(text) - n + 1)]
