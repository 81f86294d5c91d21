r"""Document search: vectors of Korean questions and passages that are near where one answers.

On what ships, without arguments (a small model, under a minute on two cores):
    accelerate launch recipes/search.py
A pretrained encoder on KorQuAD 1.0, its questions and passages:
    accelerate launch recipes/search.py --config recipes/configs/search_korquad.yaml
Your own file: query, passage and, if you like, negative; or SQuAD's JSON, or labelled pairs:
    accelerate launch recipes/search.py --model_name_or_path klue/roberta-base --train_file faq.csv
Then search any file:
    nlpbook-data index passages.txt --model outputs/search --output index
    nlpbook-data search index "훈민정음은 누가 만들었나?"
"""

from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator

from nlpbook_data.data.source import load_source
from nlpbook_data.reports.plots import plot_recall
from nlpbook_data.search.collections import collect_splits, to_queries, training_rows
from nlpbook_data.search.training import (
    RecipeSentenceTransformerTrainer,
    RetrievalEvaluator,
    SearchTrainingArguments,
    check_options,
    collating,
    find_weight,
    load_encoder,
    prediction_rows,
    rank,
    rank_by_words,
    save_encoder,
    save_weight,
    saved_weight,
    score,
    with_ids,
)
from nlpbook_data.training import (
    DataArguments,
    ModelArguments,
    Run,
    launch,
    limit_length,
    load_config,
    load_tokenizer,
    match_token_types,
    option,
    versioned,
)

USAGE = """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("MODEL")
query = model.encode_query("훈민정음은 누가 만들었나?")
passages = model.encode_document(["세종대왕이 만든 글자이다.", "한강은 서울을 지난다."])
model.similarity(query, passages)"""


@dataclass
class SearchDataArguments(DataArguments):
    """Where the queries and passages come from."""

    query_column_name: str = option("query", "the queries")
    passage_column_name: str = option("passage", "what answers each")
    negative_column_name: str = option("negative", "what does not")
    max_length: int = option(256, "tokens of a query or passage")
    query_prompt: str | None = option(None, "by default the model's own")
    passage_prompt: str | None = option(None, "the same of passages")


@dataclass
class SearchArguments:
    """What only this recipe has."""

    scale: float = option(20.0, "of cosines: 1 / temperature")
    cached: bool = option(True, "memory of --mini_batch_size, any batch")
    mini_batch_size: int = option(32, "texts embedded at a time")
    hard_negatives: str = option("none", "their source", choices=["none", "bm25", "model"])
    num_hard_negatives: int = option(1, "a query")
    matryoshka_dims: list[int] | None = option(None, "first N do alone")
    positive_label: str | None = option(None, "of pairs that answer")


def main(
    data_args: SearchDataArguments,
    model_args: ModelArguments,
    task_args: SearchArguments,
    args: SearchTrainingArguments,
    run: Run,
) -> None:
    # 1. Corpus: rows as queries, by a cached `map`; then the different passages of each split
    with run.preparation("corpus"):
        source = load_source(data_args, args, task="search", keep_train=True)
        columns = next(iter(source.splits.values())).column_names
        labels = {"label_names": source.label_names, "positive": task_args.positive_label}
        rows = source.splits.map(
            versioned(to_queries), batched=True, remove_columns=columns, fn_kwargs=labels
        )
    run.describe(source)
    collections = collect_splits(rows, source.passages)

    # 2. Tokenizer and model; after this nothing changes the training arguments
    tokenizer = load_tokenizer(model_args)
    config = load_config(model_args, pad_token_id=tokenizer.pad_token_id)
    match_token_types(tokenizer, config)
    limit_length(data_args.max_length, config, tokenizer)
    prompts = {"query": data_args.query_prompt, "document": data_args.passage_prompt}
    model = load_encoder(model_args, config, tokenizer, prompts).to(args.device)
    check_options(task_args, model_args, model)
    config = model.transformers_model.config  # the model's config, which is saved
    args = run.settle(args, model.transformers_model, best_by="mrr_at_10")

    # 3. BM25 over morphemes: the baseline, half of the hybrid, and a source of hard negatives
    with run.phase("BM25"):
        mine = args.do_train and task_args.hard_negatives == "bm25"
        wanted = [s for s in collections if (mine if s == "train" else args.baselines)]
        words = rank_by_words({s: collections[s] for s in wanted}, data_args.cache_dir)

    # 4. Rows of a query, a true passage and negatives; a loss over all passages of a global batch;
    #    and the results of the model before training
    train_dataset, loss, batch_size = None, None, args.per_device_eval_batch_size
    if args.do_train:
        ranked = words["train"].ids if "train" in words else []
        if task_args.hard_negatives == "model":
            ranked = rank(model, collections["train"], batch_size).ids
        count = task_args.num_hard_negatives
        train_dataset = training_rows(collections["train"], ranked, count, args.seed)
        loss = make_loss(model, task_args, gather=args.world_size > 1)

    before = {}
    if run.wants_baselines:
        with run.phase("evaluation before training"):
            before = {s: rank(model, collections[s], batch_size) for s in source.held_out}

    # 5. sentence-transformers' Trainer and evaluator
    evaluator = None
    if held := collections.get("validation"):
        evaluator = RetrievalEvaluator(**with_ids(held), batch_size=batch_size)
    trainer = RecipeSentenceTransformerTrainer(
        model=model,
        args=args,
        train_dataset=train_dataset,
        loss=loss,
        evaluator=evaluator,
        data_collator=SentenceTransformerDataCollator(**collating(model, train_dataset, args)),
        processing_class=tokenizer,
        callbacks=[run.callback],
    )
    if args.do_train:
        with run.phase("training"):
            trainer.train(resume_from_checkpoint=run.checkpoint())
        save_encoder(model, run.folder.path)

    # 6. The best weights on validation, which also weighs model and BM25, then on test, once
    scores: dict[str, Any] = {}
    left: tuple[list, list] = ([], [])  # predictions and mistakes of the last split
    for split, part in ((name, collections[name]) for name in collections if name != "train"):
        with run.phase(f"evaluation on {split}"):
            found = rank(model, part, batch_size, task_args.matryoshka_dims)
        if args.do_train and split == "validation" and split in words:
            save_weight(config, find_weight(part, found, words[split]), run.folder.path)
        if source.is_labelled(split):
            scores[split] = score(part, found, words.get(split), saved_weight(config))
        left = prediction_rows(part, found)
    run.leave(scores, *left, trainer.log)
    if last := scores.get("test", scores.get("validation")):
        run.figure("recall.png", "k개 안의 재현율", plot_recall, last["recall_curves"])

    # 7. Baselines, by the same metric; then `launch` writes card and summary, and pushes
    baselines = {}
    if run.wants_baselines:
        found_by = {"BM25": words, "the model before training": before}
        for name, ranked in found_by.items():
            baselines[name] = {s: score(collections[s], ranked[s]) for s in source.held_out}
    run.finish(baselines, "문서 검색", "sentence-similarity", USAGE, source.label_names)


def make_loss(model: SentenceTransformer, args: SearchArguments, gather: bool) -> torch.nn.Module:
    """Return the loss; with dims, the mean of the losses of the first N dimensions."""
    loss: torch.nn.Module
    options: dict[str, Any] = {"scale": args.scale, "gather_across_devices": gather}
    if args.cached:
        options["mini_batch_size"] = args.mini_batch_size
        loss = losses.CachedMultipleNegativesRankingLoss(model, **options)
    else:
        loss = losses.MultipleNegativesRankingLoss(model, **options)
    dims = args.matryoshka_dims
    return losses.MatryoshkaLoss(model, loss, dims, [1 / len(dims)] * len(dims)) if dims else loss


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, SearchDataArguments, ModelArguments, SearchArguments, SearchTrainingArguments)
