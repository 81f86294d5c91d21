"""Answer questions by a model fine-tuned by recipes/qa.py or otherwise.

transformers 5 has no question-answering pipeline; this module has the same call:

    answer = load_answerer("outputs/qa")
    answer(question="어디에서 왔나?", context="그는 부산에서 왔다.")
    # {"answer": "부산", "score": 0.93, "start": 3, "end": 5}
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForQuestionAnswering, PreTrainedModel, PreTrainedTokenizerBase

from nlpbook_data.errors import InputError
from nlpbook_data.features.particles import strip_particle
from nlpbook_data.features.qa import Answer, decode, encode, number_questions
from nlpbook_data.inference.batches import load_trained, read_tokens
from nlpbook_data.training.arguments import ModelArguments
from nlpbook_data.training.models import limit_length, match_token_types

MAX_LENGTH = 512  # for a model without a stated limit
CHUNK = 1000  # questions at a time, to limit memory


def load_answerer(
    model_name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    batch_size: int = 32,
    revision: str = "main",
) -> "Answerer":
    """Return a function of question and context that returns answers, see `Answerer`.

    Args:
        model_name_or_path: the folder of a finished run, or a name on the Hub; weights are read
            only from safetensors, and no code of the model is run.
        device: by default an accelerator if there is one, else the CPU.
        batch_size: windows in one batch.
        revision: branch, tag or commit on the Hub.

    Raises:
        InputError: no such model, no trained head for question answering, or a slow tokenizer.
    """
    args = ModelArguments(model_name_or_path=str(model_name_or_path), model_revision=revision)
    model, tokenizer = load_trained(AutoModelForQuestionAnswering, args, device)
    return Answerer(model, tokenizer, batch_size)


class Answerer:
    """Answers questions by their contexts. See `load_answerer`.

    The settings of recipes/qa.py are in the model's config: ``qa_threshold`` (without it every
    question has an answer), ``qa_strip_particles``, ``qa_max_answer_length`` and ``qa_stride``
    (tokens).
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int = 32
    ):
        config = model.config
        match_token_types(tokenizer, config)
        tokenizer.padding_side = "right"  # as `decode` wants it
        positions = getattr(config, "max_position_embeddings", None) or MAX_LENGTH
        longest = min(tokenizer.model_max_length, positions)
        self.model = model
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.max_length = limit_length(longest, config, tokenizer)
        self.stride = getattr(config, "qa_stride", min(128, self.max_length // 2))
        self.threshold = getattr(config, "qa_threshold", None)
        self.max_answer_length = getattr(config, "qa_max_answer_length", 30)
        self.strip = strip_particle if getattr(config, "qa_strip_particles", False) else None
        self("가", "가")  # refuses an unsuitable tokenizer, or a model that predicts NaN, at once

    def __call__(
        self, question: str | Sequence[str], context: str | Sequence[str], top_k: int = 1
    ) -> Any:
        """Answer one question, or each of many.

        Args:
            question: one, or a list.
            context: its text; a list with one text for each question, or one text for all.
            top_k: with 2 or more, a list of at most so many answers: the model's, then the others
                by score. No answer is one of them if the model allows it.

        Returns:
            ``{"answer", "score", "start", "end"}``, for a list of questions a list:
            ``context[start:end] == answer``, and a score from 0 to 1. An empty answer, at 0, means
            that the context has none.

        Raises:
            InputError: an empty question or context, or lists of different lengths.
        """
        questions = [question] if isinstance(question, str) else list(question)
        contexts = [context] * len(questions) if isinstance(context, str) else list(context)
        if len(questions) != len(contexts):
            raise InputError(
                f"There are {len(questions)} questions and {len(contexts)} contexts. Give each "
                "question its context, or one context for all."
            )
        for name, texts in (("Question", questions), ("Context", contexts)):
            for number, text in enumerate(texts, start=1):
                if not isinstance(text, str) or not text.strip():
                    raise InputError(f"{name} {number} is empty ({text!r}). Give a text.")
        if top_k < 1:
            raise InputError(f"top_k is {top_k}. Ask for 1 answer or more.")
        ranked = [
            [
                {"answer": a.text, "score": a.score, "start": a.start, "end": a.end}
                for a in answers[:top_k]
            ]
            for begin in range(0, len(questions), CHUNK)
            for answers in self._rank(
                questions[begin : begin + CHUNK], contexts[begin : begin + CHUNK], top_k
            )
        ]
        found = [answers[0] for answers in ranked] if top_k == 1 else ranked
        return found[0] if isinstance(question, str) else found

    def _rank(self, questions: list[str], contexts: list[str], top_k: int) -> list[list[Answer]]:
        batch = {"question": questions, "context": contexts}
        windows = encode(batch, self.tokenizer, self.max_length, self.stride, training=False)
        names = [name for name in ("input_ids", "token_type_ids") if name in windows]
        columns: dict[str, Any] = {name: windows[name] for name in names}
        starts, ends = read_tokens(
            self.model, self.tokenizer, columns, self.batch_size, "start_logits", "end_logits"
        )
        decoded = decode(
            starts,
            ends,
            windows,
            number_questions(windows["window"]),
            contexts,
            n_best=max(20, top_k),
            max_answer_length=self.max_answer_length,
            unanswerable=self.threshold is not None,
            strip=self.strip,
        )
        ranked = []
        for found in decoded:
            best, others = found.best(self.threshold), list(found.answers)
            if self.threshold is not None:
                others.append(Answer("", found.null_score, 0, 0))
            others.sort(key=lambda answer: -answer.score)
            ranked.append([best, *(answer for answer in others if answer != best)])
        return ranked
