"""Additions to sentence-transformers for the search recipe: exact batches, fusion with BM25."""

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from safetensors.torch import save_model
from sentence_transformers import (
    CrossEncoder,
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.base.sampler import DefaultBatchSampler, NoDuplicatesBatchSampler
from sentence_transformers.base.trainer import BaseTrainer
from sentence_transformers.base.training_args import BaseTrainingArguments
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util import semantic_search
from sentence_transformers.util.file_io import is_sentence_transformer_model
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
)

from nlpbook_data.data.cache import write_text
from nlpbook_data.errors import InputError, first_line
from nlpbook_data.metrics.search import CUTS, DEPTH, DocumentSearch, recall_curve
from nlpbook_data.search.bm25 import cached_morphemes, index_morphemes, rank_passages
from nlpbook_data.search.collections import Collection
from nlpbook_data.search.fusion import WEIGHT, choose_weight, fuse
from nlpbook_data.search.prompts import own_prompts
from nlpbook_data.training.arguments import (
    SETTINGS,
    ModelArguments,
    RecipeArguments,
    option,
    resolve_package,
)
from nlpbook_data.training.models import (
    ARCHITECTURES,
    forget_batch,
    load_model,
    lora_config,
    merge_added,
    named_lora_targets,
    saved_settings,
)
from nlpbook_data.training.precision import check_predictions
from nlpbook_data.training.trainer import FIRST, CheckedTrainer, check_metric, warn_of_unknown
from nlpbook_data.training.tuning import search

logger = logging.getLogger(__name__)
HYBRID_WEIGHT = "hybrid_weight"  # a setting in a model's config


class GlobalBatches(DefaultBatchSampler):
    """`BatchSamplers.NO_DUPLICATES` over the global batch, divided equally among processes.

    A step has the rows that it would have with one process. Up to (processes - 1) rows of a ragged
    batch are left out: the losses gather equally many vectors from each process.
    """

    sampler: Any
    batch_size: Any

    def __init__(self, dataset: Dataset, batch_size: int, **options: Any):
        self.processes = PartialState().num_processes
        super().__init__(dataset, batch_size=batch_size, **options)
        # accelerate looks for `set_epoch` under this name
        self.sampler = NoDuplicatesBatchSampler(dataset, batch_size * self.processes, **options)
        self.batch_size = None  # sizes differ: accelerate would drop small batches

    def set_epoch(self, epoch: int) -> None:
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.sampler) * self.processes

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.sampler:
            size = len(batch) // self.processes
            for process in range(self.processes) if size else ():
                yield batch[process * size : (process + 1) * size]


@dataclass
class RankingArguments(RecipeArguments, BaseTrainingArguments):
    """Settings that the training arguments of search and rerank share."""

    multi_dataset_batch_sampler: str = option("proportional", "unused", choices=["proportional"])
    # The recipe sets these: they are not options.
    prompts: Any = field(default=None, init=False)
    router_mapping: Any = field(default=None, init=False)
    learning_rate_mapping: Any = field(default=None, init=False)
    warmup_ratio: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.prediction_loss_only = False  # sentence-transformers sets it to True
        if self.label_smoothing_factor:
            raise InputError(
                f"--label_smoothing_factor {self.label_smoothing_factor}: this loss has none. "
                "Leave it out."
            )


@dataclass
class SearchTrainingArguments(RankingArguments, SentenceTransformerTrainingArguments):
    """sentence-transformers' training arguments with our defaults."""

    batch_sampler: str = option(
        "no_duplicates", "no text twice in a step, see GlobalBatches", choices=["no_duplicates"]
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.batch_sampler = GlobalBatches  # type: ignore[assignment]
        self.dataloader_drop_last = False  # these batches need it not
        if self.gradient_accumulation_steps > 1:
            raise InputError(
                f"--gradient_accumulation_steps {self.gradient_accumulation_steps}: the negatives "
                "of a query are those of its step. Raise --per_device_train_batch_size instead; "
                "--mini_batch_size bounds the memory."
            )


class RankingTrainer(CheckedTrainer, BaseTrainer):
    """What search and rerank add to their trainers: checks, and our log lines."""

    def __init__(self, *, args: RankingArguments, **kwargs: Any):
        check_metric(args, lambda: list(RetrievalEvaluator.names))  # before a folder is made
        super().__init__(args=args, **kwargs)

    def train(self, *args: Any, trial: Any = None, **kwargs: Any) -> Any:
        """Train, or search by ``--hp_trials``; an error of loading the best weights is raised."""
        if trial is None and self.is_world_process_zero():
            train: Any = self.train_dataset
            tokenizer: Any = self.processing_class
            rows = tokenizer(train[:FIRST]["query"], truncation=True)["input_ids"]
            warn_of_unknown(rows, tokenizer)
        if self.args.hp_trials and trial is None:
            search(self)
        output = super().train(*args, trial=trial, **kwargs)  # type: ignore[misc]
        check_best(self)
        return output

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Do nothing: `launch` writes the card, and this one would use the random state."""


class EpochCallback(TrainerCallback):
    """Tells `GlobalBatches` the epoch, as Trainer does not in which several processes resume."""

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        kwargs["train_dataloader"].set_epoch(int(state.epoch))


class RecipeSentenceTransformerTrainer(RankingTrainer, SentenceTransformerTrainer):
    """sentence-transformers' trainer with our log lines, and without its model card."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.add_callback(EpochCallback())


def check_best(trainer: Any) -> None:
    """Raise an error if `trainer` has not the weights of its best checkpoint."""
    best = trainer.state.best_model_checkpoint
    spread = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    if not best or not trainer.args.load_best_model_at_end or spread:
        return
    weights = type(trainer.model)(best, device="cpu").state_dict()
    for name, here in trainer.model.state_dict().items():
        unused = "original_module" in name  # a head's copy from before the adapters
        if not unused and not torch.equal(here.cpu(), weights[name]):
            raise RuntimeError(f"{best}: its {name} was not loaded.")


class RetrievalEvaluator(InformationRetrievalEvaluator):
    """sentence-transformers' evaluator, with the score names of `metrics.search`."""

    names = ("mrr_at_10", "ndcg_at_10", *(f"recall_at_{k}" for k in CUTS))

    def __init__(self, **kwargs: Any):
        super().__init__(precision_recall_at_k=list(CUTS), write_csv=False, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        scores = super().__call__(*args, **kwargs)
        named = {name.partition("_")[2].replace("@", "_at_"): v for name, v in scores.items()}
        return {name: named[name] for name in self.names}


def with_ids(part: Collection) -> dict[str, Any]:
    """Return queries, corpus and relevant_docs for sentence-transformers' evaluator."""
    return {
        "queries": {str(number): text for number, text in enumerate(part.queries)},
        "corpus": {str(number): text for number, text in enumerate(part.passages)},
        "relevant_docs": {
            str(number): set(map(str, ids)) for number, ids in enumerate(part.relevant) if ids
        },
    }


def load_encoder(
    args: ModelArguments,
    config: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Mapping[str, str | None],
) -> SentenceTransformer:
    """Return the model with its own pooling or, without one, the normalised mean of all tokens.

    Of a decoder the last token, the only one that has seen all others, takes the mean's place.

    Args:
        tokenizer: its `model_max_length` is the most tokens of a text.
        prompts: of ``query`` and ``document``; None keeps the model's own.

    Raises:
        InputError: see `load_model`, or its modules cannot be loaded.
    """
    check_weights(args)
    if config.is_encoder_decoder:
        raise InputError(
            f"{args.model_name_or_path}: a model of the type {config.model_type} also decodes. "
            "Name one that only encodes, such as BERT, ELECTRA or RoBERTa."
        )
    encoder = load_model(AutoModel, replace(args, lora=False), config)
    path, revision = resolve_package(args.model_name_or_path or ""), args.model_revision
    try:
        if not args.from_scratch and is_sentence_transformer_model(path, revision=revision):
            options = {"use_safetensors": True, "dtype": "float32"}
            model = SentenceTransformer(
                path, revision=revision, model_kwargs=options, device="cpu", trust_remote_code=False
            )
        else:
            body = as_module(encoder, tokenizer)
            pooling = "lasttoken" if is_decoder(config) else "mean"
            modules = [body, Pooling(body.get_embedding_dimension(), pooling), Normalize()]
            model = SentenceTransformer(modules=modules, device="cpu")
    except Exception as error:  # the loader raises many unrelated types
        raise InputError(
            f"{args.model_name_or_path}: no encoder of sentence-transformers "
            f"({first_line(error)}). Look at its modules.json, or name another model."
        ) from error
    module: Any = model[0]
    module.model, module.processor = encoder, tokenizer
    if args.lora:
        with named_lora_targets(args):
            model.add_adapter(lora_config(args, AutoModel))
    for name, weights in encoder.named_parameters():
        if "pooler" in name:  # the pooler's output is not used
            weights.requires_grad_(False)
    model.max_seq_length = tokenizer.model_max_length
    model.similarity_fn_name = "cosine"
    # metadata for the cards of checkpoints, which nobody reads
    model.model_card_data.generate_widget_examples = False
    model.model_card_data.local_files_only = True
    model.prompts |= own_prompts(model.prompts)
    model.prompts |= {name: text for name, text in prompts.items() if text is not None}
    return model


def check_weights(args: ModelArguments) -> None:
    """Refuse what models of search and rerank are not trained with."""
    if args.quantization != "none":
        raise InputError("--quantization: models of search keep their weights. Leave it out.")
    if args.lora and args.from_scratch:
        raise InputError("--lora adapts a trained model; random weights are trained whole.")


def is_decoder(config: Any) -> bool:
    """Return whether a token of the model sees only the tokens before it."""
    causal, masked = (ARCHITECTURES[f"AutoModelFor{kind}LM"] for kind in ("Causal", "Masked"))
    return type(config) in causal and type(config) not in masked


def as_module(
    body: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, task: str = "feature-extraction"
) -> Transformer:
    """Return model and tokenizer as a module of sentence-transformers, which loads by name only."""
    with tempfile.TemporaryDirectory() as folder:
        # save_pretrained would write only on the first process
        save_model(body, f"{folder}/model.safetensors", metadata={"format": "pt"})
        body.config.to_json_file(f"{folder}/config.json")
        tokenizer.save_pretrained(folder)
        module = Transformer(folder, transformer_task=task)
    module.model, module.processor = body, tokenizer
    return module


def check_options(args: Any, model_args: ModelArguments, model: SentenceTransformer) -> None:
    """Refuse hard negatives of random weights, and dimensions that the vectors do not have."""
    if args.hard_negatives == "model" and model_args.from_scratch:
        raise InputError(
            "--hard_negatives model: random weights find nothing. Train with none or bm25, then "
            "name the folder of that run as the model."
        )
    width = model.get_embedding_dimension() or 0
    if wrong := [dim for dim in args.matryoshka_dims or () if dim > width]:
        raise InputError(
            f"--matryoshka_dims {wrong[0]}: the model's vectors have {width} numbers. Name "
            "dimensions from 1 to that."
        )


def collating(
    model: SentenceTransformer, rows: Dataset | None, args: RecipeArguments
) -> dict[str, Any]:
    """Return the options of sentence-transformers' collator, which tokenizes `rows`.

    Texts get the prompt of their column, and padding by batch and column or to the maximum length.
    """
    columns = rows.column_names if rows else []
    texts = {name: model.prompts["query" if name == "query" else "document"] for name in columns}
    padding = {"padding": "max_length" if args.pad_to_max_length else True}
    return {
        "preprocess_fn": partial(model.preprocess, processing_kwargs={"text": padding}),
        "prompts": {name: text for name, text in texts.items() if text},
    }


def save_encoder(model: Any, folder: Path) -> None:
    """Merge the adapters, if any, and save a SentenceTransformer or CrossEncoder.

    The files have no path of this machine.
    """
    module = model[0]
    is_pair = isinstance(model, CrossEncoder)
    auto_class = AutoModelForSequenceClassification if is_pair else AutoModel
    module.model = merge_added(module.model, auto_class)
    module.model.config.name_or_path = ""
    forget_batch(module.processor)
    if PartialState().is_main_process:
        model.save_pretrained(str(folder), create_model_card=False)
        # text-embeddings-inference starts only if the length is here, as it was before 5.4
        path = folder / "sentence_bert_config.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        settings["max_seq_length"] = module.max_seq_length
        write_text(path, json.dumps(settings, indent=4))
        with contextlib.suppress(OSError):
            (folder / "eval").rmdir()  # of the evaluator, which writes nothing


@dataclass
class Ranking:
    """The first 100 passages of each query of a split with their scores, best first."""

    scored: list[dict[int, float]]
    # For --matryoshka_dims: the ids by each number of first dimensions.
    truncated: dict[int, list[list[int]]] = field(default_factory=dict)

    @property
    def ids(self) -> list[list[int]]:
        return [list(one) for one in self.scored]


def rank(
    model: SentenceTransformer, part: Collection, batch_size: int, dims: Sequence[int] | None = None
) -> Ranking:
    """Rank the passages of each query by cosine, and by each of the first `dims` dimensions.

    Raises:
        InputError: the model predicts NaN.
    """
    options: Any = {"batch_size": batch_size, "show_progress_bar": False, "convert_to_tensor": True}
    queries = model.encode_query(part.queries, **options)
    passages = model.encode_document(part.passages, **options)
    for vectors in (queries, passages):
        check_predictions(vectors, model)

    def nearest(width: int) -> Ranking:
        found: Any = semantic_search(queries[:, :width], passages[:, :width], top_k=DEPTH)
        return Ranking([{hit["corpus_id"]: hit["score"] for hit in hits} for hits in found])

    full = queries.shape[1]
    ranking = nearest(full)
    ranking.truncated = {dim: nearest(dim).ids for dim in dims or () if dim < full}
    return ranking


def rank_by_words(
    parts: Mapping[str, Collection], cache_dir: str | None = None
) -> dict[str, Ranking]:
    """Return BM25's ranking of each split; each text is analysed once, for all runs."""
    texts = list(dict.fromkeys(t for p in parts.values() for t in (*p.passages, *p.queries)))
    morphemes = dict(zip(texts, cached_morphemes(texts, cache_dir), strict=True))
    found = {}
    for split, part in parts.items():
        index = index_morphemes([morphemes[text] for text in part.passages])
        found[split] = Ranking(rank_passages(index, [morphemes[text] for text in part.queries]))
    return found


def saved_weight(config: Any, default: float = WEIGHT) -> float:
    """Return the model's weight in the fusion with BM25, as saved by `save_weight`."""
    return float(saved_settings(config).get(HYBRID_WEIGHT, default))


def save_weight(config: Any, weight: float, folder: Path | None = None) -> None:
    """Save the weight in the model's config, and in the config in `folder`."""
    setattr(config, SETTINGS, saved_settings(config) | {HYBRID_WEIGHT: weight})
    if folder and PartialState().is_main_process:
        config.save_pretrained(folder)


def find_weight(part: Collection, found: Ranking, words: Ranking, errors: float = 2.0) -> float:
    """Return the model's weight in the fusion with BM25 by `choose_weight` on `part`."""
    weight = choose_weight(found.scored, words.scored, part.relevant, errors)
    if weight in (0, 1):
        logger.info(
            "On validation no fusion is better than %s alone, beyond chance: the model's weight in "
            "the fusion is %d.",
            *("the model" if weight else "BM25", weight),
        )
    return weight


def score(
    part: Collection, found: Ranking, words: Ranking | None = None, weight: float = WEIGHT
) -> dict[str, Any]:
    """Score a ranking, and its fusion with BM25's ranking if there is one.

    Returns:
        Scores of `metrics.search`; names begin with ``hybrid_`` for the fusion, and with
        ``first_N_`` for the first N dimensions of the vectors. ``passages`` is the number of
        passages, ``recall_curves`` is ``{ranking: {k: recall}}``.
    """
    metric = DocumentSearch(keep_in_memory=True)

    def compute(ids: list[list[int]], prefix: str) -> dict[str, float]:
        scores = metric.compute(predictions=ids, references=part.relevant)
        return {f"{prefix}{n}": v for n, v in scores.items() if isinstance(v, float)}

    scores = metric.compute(predictions=found.ids, references=part.relevant)
    curves = {"모델": recall_curve(found.ids, part.relevant)}
    for dim, ids in found.truncated.items():
        scores |= compute(ids, f"first_{dim}_")
    if words is not None:
        pairs = zip(found.scored, words.scored, strict=True)
        fused = [list(fuse(*pair, weight))[:DEPTH] for pair in pairs]
        scores |= compute(fused, "hybrid_") | {"hybrid_weight": weight}
        curves["BM25"] = recall_curve(words.ids, part.relevant)
        curves["모델과 BM25"] = recall_curve(fused, part.relevant)
    return scores | {"passages": len(part.passages), "recall_curves": curves}


def prediction_rows(part: Collection, found: Ranking) -> tuple[list, list]:
    """Return queries with true passages and first ten hits; and mistakes, most confident first."""
    rows, wrong = [], []
    for query, true, scored in zip(part.queries, part.relevant, found.scored, strict=True):
        hits = islice(scored.items(), 10)
        first = [{"id": i, "score": s, "text": part.passages[i][:50]} for i, s in hits]
        rows.append({"query": query, "passages": true, "prediction": first})
        best = next(iter(scored), None)
        if true and best is not None and best not in true:
            seen = {"passage": part.passages[true[0]], "found": part.passages[best]}
            wrong.append(rows[-1] | seen)
    return rows, sorted(wrong, key=lambda row: -row["prediction"][0]["score"])
