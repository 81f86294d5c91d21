"""Additions to sentence-transformers for the rerank recipe, and reranking itself."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from nlpbook_data.errors import InputError, first_line
from nlpbook_data.metrics.search import DocumentSearch
from nlpbook_data.search.collections import Collection
from nlpbook_data.search.fusion import fuse
from nlpbook_data.search.index import Hit, Index
from nlpbook_data.search.training import (
    Ranking,
    RankingArguments,
    RankingTrainer,
    RetrievalEvaluator,
    as_module,
    check_weights,
    saved_weight,
)
from nlpbook_data.training.arguments import ModelArguments, option, resolve_package
from nlpbook_data.training.models import (
    load_config,
    load_model,
    lora_config,
    named_lora_targets,
)
from nlpbook_data.training.precision import check_predictions

HEADS = ("classifier", "score")  # of models that score a pair; trained whole beside adapters


@dataclass
class RerankTrainingArguments(RankingArguments, CrossEncoderTrainingArguments):
    """sentence-transformers' training arguments with our defaults.

    Several processes leave out the ragged last batch of an epoch: they could not share it evenly.
    """

    batch_sampler: str = option("batch_sampler", "in any order", choices=["batch_sampler"])

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hp_trials or self.hp_space:
            raise InputError(
                "--hp_trials, --hp_space: this recipe searches no settings. Leave them out, and "
                "compare runs by nlpbook-data results."
            )


class RecipeCrossEncoderTrainer(RankingTrainer, CrossEncoderTrainer):
    """sentence-transformers' trainer with our log lines, and without its model card."""

    def __init__(self, model: CrossEncoder, **kwargs: Any):
        model.accepts_loss_kwargs = False  # its losses are batch means: Trainer must average them
        super().__init__(model=model, **kwargs)

    def compute_loss(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Do as CrossEncoderTrainer does, but return NaN if a score is NaN or infinite.

        LambdaLoss alone counts such scores as equal, so that its loss would hide them.
        """
        sums: list[torch.Tensor] = []
        hook = model.register_forward_hook(lambda *call: sums.append(call[-1]["scores"].sum()))
        try:
            loss: Any = super().compute_loss(model, *args, **kwargs)
        finally:
            hook.remove()
        return loss + 0 * sum(sums).detach()


class RerankingEvaluator(BaseEvaluator):
    """Scores of `metrics.search` for rankings reordered by the model."""

    def __init__(self, part: Collection, words: Ranking, depth: int, batch_size: int):
        super().__init__()
        self.part, self.words, self.depth, self.batch_size = part, words, depth, batch_size

    def __call__(self, model: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        found = rerank(model, self.part, self.words, self.depth, self.batch_size)
        metric = DocumentSearch(keep_in_memory=True)
        scores = metric.compute(predictions=found.ids, references=self.part.relevant)
        return {name: scores[name] for name in RetrievalEvaluator.names}


def load_reranker(
    args: ModelArguments, config: Any, tokenizer: PreTrainedTokenizerBase, training: bool
) -> CrossEncoder:
    """Return a cross-encoder: a model that scores a query and a passage together.

    Args:
        config: from `load_config`, with one label.
        tokenizer: its `model_max_length` is the most tokens of a pair.
        training: the head may be new.

    Raises:
        InputError: see `load_model`, or an option that does not fit.
    """
    check_weights(args)
    auto_class = AutoModelForSequenceClassification
    body = load_model(auto_class, replace(args, lora=False), config, training)
    if args.lora:
        check_base(body, args)
    module = as_module(body, tokenizer, "sequence-classification")
    model = CrossEncoder(modules=[module], device="cpu")
    model.model_card_data.local_files_only = True
    if args.lora:
        adapters = lora_config(args, auto_class)
        adapters.modules_to_save = [name for name in HEADS if hasattr(body, name)]
        with named_lora_targets(args):
            model.add_adapter(adapters)
    return model


def check_base(body: PreTrainedModel, args: ModelArguments) -> None:
    """Refuse what a checkpoint of adapters, which names its model, could not be loaded from."""
    own = load_config(args)
    headed = (own.architectures or [""])[0].endswith("ForSequenceClassification")
    adapted = body.name_or_path != resolve_package(args.model_name_or_path or "")
    if adapted or (headed and own.num_labels != 1):
        raise InputError(
            f"--lora: {args.model_name_or_path} "
            f"{'holds adapters' if adapted else f'has a head of {own.num_labels} labels'}, and "
            "such adapters could not be loaded again. Leave out --lora, or name another model."
        )


def open_reranker(model: str) -> CrossEncoder:
    """Load the CrossEncoder in the folder, or of the Hub name, `model`.

    Raises:
        InputError: it cannot be loaded, or gives more than one score for a pair.
    """
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        reranker = CrossEncoder(model, trust_remote_code=False)
    except Exception as error:  # the loader raises many unrelated types
        raise InputError(
            f"{model}: no reranker could be loaded ({first_line(error)}). Name the folder of a run "
            "of recipes/rerank.py, or a cross-encoder on the Hub."
        ) from error
    head, *_ = reranker.config.architectures or [""]
    if head.endswith(("Model", "ForMaskedLM")):
        raise InputError(
            f"{model}: a model with {head}, whose scores of pairs were never trained. Name the "
            "folder of a run of recipes/rerank.py, or a cross-encoder on the Hub."
        )
    if reranker.num_labels != 1:
        raise InputError(
            f"{model}: gives a pair {reranker.num_labels} scores, and a reranker gives one. Name "
            "another model."
        )
    return reranker


def score_pairs(model: CrossEncoder, pairs: Sequence[tuple[str, str]], batch_size: int) -> list:
    """Return the model's logit for each pair of query and passage.

    Raises:
        InputError: the model predicts NaN.
    """
    options: Any = {"batch_size": batch_size, "show_progress_bar": False}
    scores = model.predict(pairs, activation_fn=torch.nn.Identity(), **options)
    check_predictions(scores, model)
    return scores.tolist()


def rerank(
    model: CrossEncoder, part: Collection, words: Ranking, depth: int, batch_size: int
) -> Ranking:
    """Return the rankings `words` with the first `depth` passages reordered by the model.

    The others follow as they were, with the lowest score; passages with equal scores stay in order.
    """
    pairs = [
        (query, part.passages[i])
        for query, ids in zip(part.queries, words.ids, strict=True)
        for i in ids[:depth]
    ]
    scores = iter(score_pairs(model, pairs, batch_size))
    found = []
    for ids in words.ids:
        scored = sorted(((i, next(scores)) for i in ids[:depth]), key=lambda pair: -pair[1])
        least = scored[-1][1] if scored else 0.0
        found.append(dict(scored) | dict.fromkeys(ids[depth:], least))
    return Ranking(found)


def rerank_hits(model: CrossEncoder, query: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits of a search reordered: the model's ranking fused with the old one.

    The model's weight is the one that its training chose on validation, or 1 without one.
    """
    scores = score_pairs(model, [(query, hit.text) for hit in hits], 32) if hits else []
    weight = saved_weight(model.config, 1.0)
    before, rows = {hit.id: hit.score for hit in hits}, {hit.id: hit.row for hit in hits}
    fused = fuse(dict(zip(before, scores, strict=True)), before, weight)
    return [Hit(i, score, rows[i]) for i, score in fused.items()]


def search_reranked(
    model: CrossEncoder,
    index: Index,
    queries: Sequence[str],
    k: int = 10,
    *,
    depth: int = 100,
    **how: Any,
) -> list[list[Hit]]:
    """Return `index.search`'s hits, the first `depth` (`k`, if that is more) by `rerank_hits`."""
    found = index.search(queries, max(k, depth) if k > 0 else k, **how)
    return [rerank_hits(model, *one)[:k] for one in zip(queries, found, strict=True)]


def keep_far(ranking: Ranking, part: Collection, margin: float) -> list[list[int]]:
    """Return each query's ranked passages without those that may also answer it.

    A passage is kept only if its score is below that of the lowest true passage by `margin` times
    that score: what scores higher is often a copy, or a better answer. Without a ranked true
    passage all are kept.
    """
    kept = []
    for scored, true in zip(ranking.scored, part.relevant, strict=True):
        least = min((scored[i] for i in true if i in scored), default=float("inf"))
        limit = least - margin * abs(least) if least < float("inf") else least
        kept.append([i for i, score in scored.items() if score <= limit])
    return kept


def to_lists(batch: dict[str, list[str]]) -> dict[str, list]:
    """Return rows of `training_rows` as query, passages (the true one first) and labels."""
    query, *passages = batch.values()
    lists = [list(row) for row in zip(*passages, strict=True)]
    return {
        "query": query,
        "passages": lists,
        "labels": [[1.0, *[0.0] * (len(row) - 1)] for row in lists],
    }
