"""Blocks 3 to 5 of document search: sentence-transformers' trainer with our rows and scores."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate.utils import pad_across_processes
from datasets import Dataset, DatasetDict, concatenate_datasets
from safetensors.torch import save_model
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util.distributed import all_gather, get_world_size
from sentence_transformers.util.file_io import is_sentence_transformer_model
from sentence_transformers.util.misc import disable_logging
from transformers import (
    AutoModel,
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
)

from nlpbook_data.data.source import Source
from nlpbook_data.errors import InputError
from nlpbook_data.metrics.search import DocumentSearch, recall_curve
from nlpbook_data.search.bm25 import (
    extract_morphemes,
    index_morphemes,
    rank_passages,
    reciprocal_rank_fusion,
)
from nlpbook_data.search.collections import Collection, collect, encode, pairs_to_questions
from nlpbook_data.search.index import search_exact
from nlpbook_data.training.arguments import (
    DataArguments,
    ModelArguments,
    RecipeArguments,
    resolve_package,
)
from nlpbook_data.training.features import encode_splits, text_lengths
from nlpbook_data.training.models import add_lora, load_model, merge_lora
from nlpbook_data.training.run import Run
from nlpbook_data.training.trainer import RunMixin, check_metric, prepare

logger = logging.getLogger(__name__)

NONE = -1  # the id of no query and of no passage


def collect_splits(source: Source) -> dict[str, Collection]:
    """Return the collection of each split; held-out ones begin with the passages of train."""
    found: dict[str, Collection] = {}
    for split in ("train", "validation", "test"):
        if split in source.splits:
            rows = source.splits[split][:]
            if source.task == "paircls":
                rows = pairs_to_questions(rows, source.label_names)
            found[split] = collect(rows, found["train"].passages if "train" in found else ())
    return found


def encode_collections(
    collections: Mapping[str, Collection],
    tokenizer: PreTrainedTokenizerBase,
    args: DataArguments,
    prompts: Mapping[str, str],
    max_length: int,
) -> dict[str, Dataset]:
    """Return the tokens of each split's queries, then of its passages, in the order of their ids.

    Args:
        prompts: what stands before a ``query`` and a ``document``.
    """
    shared = len(collections["train"].passages) if "train" in collections else 0
    texts = {}
    for split, part in collections.items():
        passages = part.passages if split == "train" else part.passages[shared:]
        rows = [(prompts["query"], text) for text in part.queries]
        rows += [(prompts["document"], text) for text in passages]
        prompt, text = zip(*rows, strict=True)
        texts[split] = Dataset.from_dict({"prompt": prompt, "text": text})
    encoded = dict(
        encode_splits(DatasetDict(texts), encode, tokenizer, args, max_length=max_length)
    )
    for split in encoded.keys() - {"train"} if shared else ():
        own, train = encoded[split], encoded["train"]
        count = len(collections[split].queries)
        parts = [own.select(range(count)), train.select(range(len(train) - shared, len(train)))]
        if count < len(own):  # it has passages that train has not
            parts.append(own.select(range(count, len(own))))
        encoded[split] = concatenate_datasets(parts)
    return encoded


def load_encoder(
    args: ModelArguments,
    config: Any,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    prompts: Mapping[str, str],
) -> SentenceTransformer:
    """Return the model with its pooling: its own, or else the mean of all tokens, normalised.

    Raises:
        InputError: as `load_model`, or its modules cannot be loaded.
    """
    if args.quantization != "none":
        raise InputError("--quantization: a model of vectors keeps its weights. Leave it out.")
    if config.is_encoder_decoder:
        raise InputError(
            f"{args.model_name_or_path}: a model of the type {config.model_type} also decodes. "
            "Name one that only encodes, such as BERT, ELECTRA or RoBERTa."
        )
    encoder = load_model(AutoModel, replace(args, lora=False), config)
    path, revision = resolve_package(args.model_name_or_path), args.model_revision
    try:
        with disable_logging(logging.WARNING), tempfile.TemporaryDirectory() as folder:
            if not args.from_scratch and is_sentence_transformer_model(path, revision=revision):
                options = {"use_safetensors": True, "dtype": "float32"}
                model = SentenceTransformer(
                    path, revision=revision, model_kwargs=options, device="cpu"
                )
            else:  # a module takes no model, but the name of one
                # not save_pretrained, which writes on the first process alone
                save_model(encoder, f"{folder}/model.safetensors", metadata={"format": "pt"})
                encoder.config.to_json_file(f"{folder}/config.json")
                tokenizer.save_pretrained(folder)
                body = Transformer(folder)
                pooling = Pooling(body.get_embedding_dimension())
                model = SentenceTransformer(modules=[body, pooling, Normalize()], device="cpu")
    except Exception as error:  # the loader raises a dozen unrelated types
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{args.model_name_or_path}: no encoder of sentence-transformers ({first}). Look at "
            "its modules.json, or name another model."
        ) from error
    for name, weights in encoder.named_parameters():
        if "pooler" in name:  # of the encoder, whose output is not used
            weights.requires_grad_(False)
    model[0].model = add_lora(encoder, args, AutoModel)
    model[0].processor = tokenizer
    model.max_seq_length = max_length
    model.similarity_fn_name = "cosine"
    model.prompts = dict(prompts)
    return model


@dataclass
class Ranking:
    """The first 100 passages of each query of a split, and their scores."""

    collection: Collection
    ids: list[list[int]]
    scores: list[list[float]]
    # Of --matryoshka_dims: the ids by the first so many numbers of the vectors.
    truncated: dict[int, list[list[int]]] = field(default_factory=dict)


def rank_by_vectors(
    collection: Collection, vectors: np.ndarray, dims: Sequence[int] | None = None
) -> Ranking:
    """Rank the passages of each query by cosine.

    Args:
        vectors: of the queries, then of the passages, (rows, dimension).
        dims: rank by the first so many numbers, too.
    """

    def search(width: int) -> tuple[np.ndarray, np.ndarray]:
        part = vectors[:, :width]
        part = part / np.linalg.norm(part, axis=1, keepdims=True)
        queries, passages = np.split(part, [len(collection.queries)])
        return search_exact(queries, [passages], min(100, len(passages)))

    ids, scores = search(vectors.shape[1])
    shorter = [dim for dim in dims or () if dim < vectors.shape[1]]
    truncated = {dim: search(dim)[0].tolist() for dim in shorter}
    return Ranking(collection, ids.tolist(), scores.tolist(), truncated)


class Scorer:
    """Scores a ranking of a split, and its fusion with BM25's, as far as `words` has them.

    What it returns is of `metrics.search`; names begin with ``hybrid_`` for the fusion and with
    ``first_N_`` for the first N numbers of the vectors. ``passages`` says among how many,
    ``recall_curves`` is ``{ranking: {k: recall}}``.
    """

    def __init__(self, words: dict[str, Ranking]):
        self.words, self.metric = words, DocumentSearch(keep_in_memory=True)

    def __call__(self, split: str, found: Ranking) -> dict[str, Any]:
        relevant, words = found.collection.relevant, self.words.get(split, found)
        scores = self.metric.compute(predictions=found.ids, references=relevant)
        curves = {"모델": recall_curve(found.ids, relevant)}
        for dim, ids in found.truncated.items():
            shorter = self.metric.compute(predictions=ids, references=relevant)
            scores |= {f"first_{dim}_{n}": v for n, v in shorter.items() if isinstance(v, float)}
        if words is not found:
            pairs = zip(found.ids, words.ids, strict=True)
            fused = [list(reciprocal_rank_fusion(pair))[:100] for pair in pairs]
            hybrid = self.metric.compute(predictions=fused, references=relevant)
            scores |= {f"hybrid_{n}": v for n, v in hybrid.items() if isinstance(v, float)}
            curves["BM25"] = recall_curve(words.ids, relevant)
            curves["모델과 BM25"] = recall_curve(fused, relevant)
        return scores | {"passages": len(found.collection.passages), "recall_curves": curves}


def rank_by_words(
    collections: Mapping[str, Collection], splits: Sequence[str]
) -> Iterator[tuple[str, tuple[list[list[int]], list[list[float]]]]]:
    """Yield each of `splits` with ids and scores of `rank_passages`; a text is analysed once."""
    texts = list(
        dict.fromkeys(
            text for s in splits for text in (*collections[s].passages, *collections[s].queries)
        )
    )
    # the analyser is not even loaded for nothing
    morphemes = dict(zip(texts, extract_morphemes(texts), strict=True)) if texts else {}
    for split in splits:
        part = collections[split]
        index = index_morphemes([morphemes[text] for text in part.passages])
        yield split, rank_passages(index, [morphemes[text] for text in part.queries])


def rank_by_model(
    model: SentenceTransformer, args: ModelArguments, collection: Collection
) -> list[list[int]]:
    """Return the ids of the first 100 passages of each query, by the vectors of `model` as it is.

    Raises:
        InputError: its weights are random.
    """
    if args.from_scratch:
        raise InputError(
            "--hard_negatives model: random weights find nothing. Train with none or bm25, then "
            "name the folder of that run as the model."
        )
    queries = model.encode_query(collection.queries, show_progress_bar=False)
    passages = model.encode_document(collection.passages, show_progress_bar=False)
    return rank_by_vectors(collection, np.concatenate([queries, passages])).ids


class InBatchLoss(CachedLossMixin, torch.nn.Module):
    """Cross-entropy of a query's true passage among all passages of the global batch.

    As sentence-transformers' MultipleNegativesRankingLoss and its cached variant (GradCache, Gao et
    al. 2021), with the cosine as similarity. But passages of the batch are told apart by their ids:
    each counts once, and the other true passages of a query do not count against it. Negatives come
    from all processes, so that the loss is that of the global batch for any number of them.

    Args:
        collection: of train.
        negatives: the ids of passages that join the batch with a query, of each query.
        scale: the inverse of the temperature.
        cached: embed `mini_batch_size` texts at a time, twice: the memory does not grow with the
            batch.
        dims: the mean of the losses of the first so many numbers of the vectors (Matryoshka,
            Kusupati et al. 2022); none: of the whole vectors.

    Raises:
        InputError: no query has a true passage, or a dimension that the vectors do not have.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        collection: Collection,
        negatives: Sequence[Sequence[int]] = (),
        scale: float = 20.0,
        cached: bool = True,
        mini_batch_size: int = 32,
        dims: Sequence[int] | None = None,
    ):
        super().__init__()
        self.model = model
        self.relevant = collection.relevant
        self.negatives = negatives or [[]] * len(collection.queries)
        pairs = [(query, i) for query, true in enumerate(collection.relevant) for i in true]
        if not pairs:
            raise InputError("No query of train has a true passage. Add rows that have one.")
        self.pairs = np.array(pairs)
        self.scale, self.cached, self.mini_batch_size = scale, cached, mini_batch_size
        width = model.get_embedding_dimension()
        self.dims = list(dims or [width])
        if wrong := [dim for dim in self.dims if not 0 < dim <= width]:
            raise InputError(
                f"--matryoshka_dims {wrong[0]}: the model's vectors have {width} numbers. Name "
                "dimensions from 1 to that."
            )

    def forward(self, features: list[dict[str, Any]], labels: dict[str, Any]) -> torch.Tensor:
        """Return the loss of ``[queries, passages]``, tokens each, with `labels` of the collator.

        The value is that of the global batch on every process; the gradient, of this process' own
        texts, is `world size` times as large, since DistributedDataParallel takes the mean.
        """
        if self.cached:
            return self.forward_cached(features, labels)
        vectors = [[self.model(part)["sentence_embedding"]] for part in features]
        return self.calculate_loss(vectors, labels)

    def calculate_loss(
        self,
        reps: list[list[torch.Tensor]],
        labels: dict[str, torch.Tensor],
        *,
        with_backward: bool = False,
    ) -> torch.Tensor:
        """Return the loss of the vectors `reps`, as `CachedLossMixin` asks for it."""
        queries, passages = (_gather(torch.cat(part).float(), 0) for part in reps)
        asked, true, ids = (_gather(labels[n], NONE) for n in ("query", "positive", "passage"))
        kept = asked != NONE
        allowed, target = self._candidates(asked[kept], true[kept], ids)
        loss = torch.stack(
            [
                F.cross_entropy(_scores(queries[kept], passages, dim, self.scale, allowed), target)
                for dim in self.dims
            ]
        ).mean()
        loss = loss.detach() + get_world_size() * (loss - loss.detach())
        if with_backward:
            loss.backward()
            loss = loss.detach()
        return loss

    def _candidates(
        self, asked: torch.Tensor, true: torch.Tensor, ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which passages count for a query, (queries, passages), and where its own is."""
        known, first = np.unique(ids.cpu().numpy(), return_index=True)
        place = dict(zip(known.tolist(), first.tolist(), strict=True))
        allowed = np.zeros((len(asked), len(ids)), dtype=bool)
        allowed[:, [where for passage, where in place.items() if passage != NONE]] = True
        target = [place[passage] for passage in true.tolist()]
        for row, query in enumerate(asked.tolist()):
            others = [place[passage] for passage in self.relevant[query] if passage in place]
            allowed[row, others] = False
            allowed[row, target[row]] = True
        device = ids.device
        return torch.from_numpy(allowed).to(device), torch.tensor(target, device=device)


def _gather(tensor: torch.Tensor, padding: float) -> torch.Tensor:
    """Return the rows of all processes; the gradient reaches those of this one."""
    if get_world_size() == 1:
        return tensor
    return all_gather(pad_across_processes(tensor, pad_index=padding))


def _scores(
    queries: torch.Tensor, passages: torch.Tensor, dim: int, scale: float, allowed: torch.Tensor
) -> torch.Tensor:
    queries, passages = (F.normalize(part[:, :dim], dim=1) for part in (queries, passages))
    return (scale * queries @ passages.T).masked_fill(~allowed, -torch.inf)


def ranking_loss(
    queries: np.ndarray, passages: np.ndarray, relevant: Sequence[Sequence[int]], scale: float
) -> float:
    """Return the mean cross-entropy of each true passage among all that do not answer its query.

    Args:
        queries, passages: vectors of length 1, (rows, dimension).
    """
    losses = []
    for begin in range(0, len(queries), 256):
        scores = scale * queries[begin : begin + 256] @ passages.T
        for row, true in zip(scores, relevant[begin : begin + 256], strict=True):
            others = np.delete(row, true)
            losses += [np.logaddexp.reduce(np.append(others, row[i])) - row[i] for i in true]
    return float(np.mean(losses)) if losses else float("nan")


class _PairCollator:
    """Make a batch of rows of `InBatchLoss.pairs`: queries, and each passage of the rows once."""

    def __init__(self, padding: DataCollatorWithPadding, texts: Dataset, loss: InBatchLoss):
        self.padding, self.texts = padding, texts
        self.pairs, self.negatives = loss.pairs, loss.negatives
        self.first = len(loss.relevant)  # the row of the first passage
        self.lengths = text_lengths(texts)

    def __call__(self, numbers: list[int]) -> dict[str, Any]:
        pairs = self.pairs[numbers or [0]]
        chosen = [pairs[:, 1], *(np.array(self.negatives[q], dtype=int) for q in pairs[:, 0])]
        passages = np.unique(np.concatenate(chosen))
        # Longest first: of what is embedded at a time little is padding.
        pairs = pairs[np.argsort(-self.lengths[pairs[:, 0]], kind="stable")]
        passages = passages[np.argsort(-self.lengths[self.first + passages], kind="stable")]
        batch: dict[str, Any] = {}
        for name, rows in (("query", pairs[:, 0]), ("passage", self.first + passages)):
            padded = self.padding([{"input_ids": ids} for ids in self.texts[rows]["input_ids"]])
            batch |= {f"{name}_{key}": value for key, value in padded.items()}
        if not numbers:  # a process that a ragged batch left empty: its rows count nothing
            pairs, passages = np.full_like(pairs, NONE), np.full_like(passages, NONE)
        asked, true = torch.from_numpy(pairs.T.copy())
        batch["label"] = {
            "query": asked,
            "positive": true,
            "passage": torch.from_numpy(passages),
        }
        return batch


class SearchTrainer(RunMixin, SentenceTransformerTrainer):
    """sentence-transformers' trainer, whose result does not depend on the number of processes."""

    training_args_class = RecipeArguments
    # Whole state dicts, adapters included, as Trainer has them; errors are not passed over.
    _save = Trainer._save
    _load_from_checkpoint = Trainer._load_from_checkpoint
    _load_best_model = Trainer._load_best_model

    def add_model_card_callback(self, *args: Any) -> None:
        """Leave the card to `run`."""

    def _remove_unused_columns(self, dataset: Dataset, description: str | None = None) -> Dataset:
        return dataset

    def train_rows(self) -> tuple[range, np.ndarray, Callable[[list], dict[str, Any]]]:
        """Return pairs of a query and a true passage, by number."""
        collator = _PairCollator(self.data_collator, self.train_dataset, self.loss)
        queries, passages = self.loss.pairs.T
        lengths = collator.lengths[queries] + collator.lengths[collator.first + passages]
        return range(len(lengths)), lengths, collator

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any
    ) -> tuple[None, None, None]:
        """Keep the vectors of a batch; `evaluation_loop` collects them."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            vectors = F.normalize(model(inputs)["sentence_embedding"].float(), dim=1)
        self._kept.append((vectors.cpu().numpy(), None, 0.0, 0))
        return None, None, None

    def export(self, folder: Path) -> None:
        """Write what ``SentenceTransformer(folder)`` loads."""
        model = self.accelerator.unwrap_model(self.model)
        model[0].model = merge_lora(model[0].model)
        model[0].model.config._name_or_path = ""  # it may be a local path
        model[0].processor.init_kwargs.pop("name_or_path", None)
        if self.args.should_save:
            model.save_pretrained(str(folder), create_model_card=False)


def make_trainer(
    run: Run,
    model: SentenceTransformer,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    loss: InBatchLoss | None,
    compute_metrics: Callable[[Any], dict[str, float]],
    train_dataset: Dataset | None = None,
    eval_dataset: Dataset | None = None,
) -> SearchTrainer:
    """Return the trainer of `run`; see `trainer.make_trainer`.

    Args:
        loss: of `model`; None without training.
        compute_metrics: ``EvalPrediction`` with vectors of length 1 in, flat scores out.
        train_dataset, eval_dataset: of `encode_collections`.

    Raises:
        InputError: an option that does not fit the others, the model or the device.
    """
    args = run.args
    if args.gradient_accumulation_steps > 1:
        raise InputError(
            f"--gradient_accumulation_steps {args.gradient_accumulation_steps}: the negatives of a "
            "query are those of its step. Raise --per_device_train_batch_size instead; "
            "--mini_batch_size bounds the memory."
        )
    if args.label_smoothing_factor:
        raise InputError(
            f"--label_smoothing_factor {args.label_smoothing_factor}: this loss has none; --scale "
            "softens it. Leave it out."
        )
    callbacks = prepare(run, model[0].model)
    check_metric(
        run, lambda: list(compute_metrics(EvalPrediction(np.ones((len(eval_dataset), 1)), None)))
    )
    # What sentence-transformers' own arguments have beside Trainer's.
    args.prompts, args.router_mapping, args.learning_rate_mapping = None, {}, {}
    multiple = 8 if args.mixed_precision != "no" and args.device.type == "cuda" else None
    trainer = SearchTrainer(
        model=model,
        args=args,
        data_collator=DataCollatorWithPadding(
            tokenizer,
            padding="max_length" if args.pad_to_max_length else True,
            max_length=max_length if args.pad_to_max_length else None,
            pad_to_multiple_of=multiple,
        ),
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
        loss=loss or torch.nn.Identity(),
        callbacks=callbacks,
    )
    trainer.compute_metrics = compute_metrics
    return trainer.follow(run, max_length)
