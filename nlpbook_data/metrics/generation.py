"""Scores of language models and of generated texts, as modules of `evaluate`."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from nlpbook_data.errors import InputError
from nlpbook_data.features.compose import nfc
from nlpbook_data.metrics.info import describe


class LanguageModelling(evaluate.Metric):
    """Loss and perplexity per token, and bits per character.

    Loss and perplexity compare only models with the same tokenizer. Bits per character compare all
    models: they are the bits that the model needs for the texts and their ends, divided by the
    number of characters. An end is not a character, but its bits count. All three come from the
    sums over all rows; they are not means over rows.

    Args:
        losses: for each row the summed negative log-likelihood of its labelled tokens, in nats.
        tokens: for each row the number of labelled tokens, ends of text included.
        characters: for each row the number of characters of the NFC text that these tokens cover,
            ends of text not included (`features.generation.encode` counts them).
    Returns:
        loss (nats per token), perplexity (e to the power of the loss) and bits_per_character.
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
    """How much generated texts repeat each other and themselves.

    The units are characters without blanks (in Korean, syllables). With words, every particle and
    ending would make a new unit, and ㅋㅋㅋㅋㅋㅋ would not be a repetition. With tokens, models
    with different tokenizers could not be compared.

    Args:
        predictions: the generated texts, without their prompts.
        asked: the label that each prompt asks for, if prompts ask for labels.
        judged: the label that a classifier gives each text.
    Returns:
        distinct_1, distinct_2, distinct_3: the number of different n-grams in all texts, divided by
        the number of n-grams (Li et al., 2016). They fall as texts are added, so compare only equal
        numbers of texts. repetition: the share of a text's 4-grams that occurred earlier in it, 1 -
        different / all, as a mean over texts (Welleck et al., 2020: seq-rep-4); 0 for a text
        without 4-grams. mean_length: characters, blanks included. All of these are of the NFC text.
        agreement: with labels, the share of texts whose judged label is the asked one, and
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
        texts = nfc(predictions)
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
    """Return the scores of `TextGeneration` for each decoding method.

    Args:
        samples: ``{method: [{"text", …}, …]}``, with ``asked`` and ``judged`` if there was a judge.
    """
    metric, scores = TextGeneration(keep_in_memory=True), {}
    for method, rows in samples.items():
        labels = {name: [r[name] for r in rows] for name in ("asked", "judged") if name in rows[0]}
        scores[method] = metric.compute(predictions=[row["text"] for row in rows], **labels)
    return scores


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of different n-grams among all n-grams of `texts`; 0 without n-grams."""
    grams = [gram for text in texts for gram in _ngrams(text, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(text: str) -> float:
    """Return the share of the 4-grams of `text` that occurred earlier in it."""
    grams = _ngrams(text, REPEATED)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _ngrams(text: str, n: int) -> list[str]:
    text = "".join(text.split())
    return [text[i : i + n] for i in range(len(text) - n + 1)]
