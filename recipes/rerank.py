r"""Reranking: a model that reads a Korean question and a passage together, for what BM25 found.

On what ships, without arguments (a small model, about a minute on two cores):
    accelerate launch recipes/rerank.py
Your own file: query, passage and, if you like, negative; or SQuAD's JSON, or labelled pairs:
    accelerate launch recipes/rerank.py --model_name_or_path klue/roberta-base --train_file faq.csv
Negatives that a search model finds, in place of BM25's:
    accelerate launch recipes/rerank.py --search_model outputs/search
Then let it put an index' first hits in order:
    nlpbook-data index passages.txt --output index
    nlpbook-data search index "훈민정음은 누가 만들었나?" --rerank outputs/rerank
"""

from dataclasses import dataclass
from typing import Any

from sentence_transformers.cross_encoder.data_collator import CrossEncoderDataCollator
from sentence_transformers.cross_encoder.losses import LambdaLoss

from nlpbook_data.data.source import load_source
from nlpbook_data.reports.plots import plot_recall
from nlpbook_data.search.collections import collect_splits, to_queries, training_rows
from nlpbook_data.search.index import load_encoder
from nlpbook_data.search.reranking import (
    RecipeCrossEncoderTrainer,
    RerankingEvaluator,
    RerankTrainingArguments,
    keep_far,
    load_reranker,
    rerank,
    to_lists,
)
from nlpbook_data.search.training import (
    find_weight,
    prediction_rows,
    rank,
    rank_by_words,
    save_encoder,
    save_weight,
    saved_weight,
    score,
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

USAGE = """from sentence_transformers import CrossEncoder

model = CrossEncoder("MODEL")
passages = ["세종대왕이 만든 글자이다.", "한강은 서울을 지난다."]
model.rank("훈민정음은 누가 만들었나?", passages, return_documents=True)"""


@dataclass
class RerankDataArguments(DataArguments):
    """Where the queries and passages come from."""

    query_column_name: str = option("query", "the queries")
    passage_column_name: str = option("passage", "what answers each")
    negative_column_name: str = option("negative", "what does not")
    max_length: int = option(256, "tokens of query and passage together")


@dataclass
class RerankArguments:
    """What only this recipe has."""

    rerank_depth: int = option(100, "of BM25's first passages, so many")
    num_hard_negatives: int = option(4, "a query, beside the rows' own")
    margin: float = option(0.05, "a negative scores so much below the true one (share)")
    search_model: str | None = option(None, "whose ranking gives negatives; BM25's by default")
    positive_label: str | None = option(None, "of pairs that answer")


def main(
    data_args: RerankDataArguments,
    model_args: ModelArguments,
    task_args: RerankArguments,
    args: RerankTrainingArguments,
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
    tokenizer = load_tokenizer(model_args, pairs=True)
    config = load_config(model_args, ["score"], pad_token_id=tokenizer.pad_token_id)
    match_token_types(tokenizer, config)
    limit_length(data_args.max_length, config, tokenizer)
    model = load_reranker(model_args, config, tokenizer, args.do_train).to(args.device)
    config = model.transformers_model.config  # its own, which is saved
    args = run.settle(args, model.transformers_model, best_by="mrr_at_10")

    # 3. BM25 over morphemes: what is put into a new order, and by default the hard negatives
    with run.phase("BM25"):
        words = rank_by_words(collections, data_args.cache_dir)
    depth, batch_size = task_args.rerank_depth, args.per_device_eval_batch_size

    # 4. Rows of a query, a true passage and hard negatives; a loss over the pairs of each row
    train_dataset, loss = None, None
    if args.do_train:
        part, found = collections["train"], words["train"]
        if task_args.search_model:
            with run.phase("hard negatives"):
                found = rank(load_encoder(task_args.search_model), part, batch_size)
        far = keep_far(found, part, task_args.margin)
        lists = training_rows(part, far, task_args.num_hard_negatives, args.seed)
        train_dataset = lists.map(to_lists, batched=True, remove_columns=lists.column_names)
        loss = LambdaLoss(model, mini_batch_size=-1)  # all pairs of a batch at once

    # 5. Trainer and evaluator: sentence-transformers', by their own keywords
    evaluator = None
    if held := collections.get("validation"):
        evaluator = RerankingEvaluator(held, words["validation"], depth, batch_size)
    trainer = RecipeCrossEncoderTrainer(
        model=model,
        args=args,
        train_dataset=train_dataset,
        loss=loss,
        evaluator=evaluator,
        data_collator=CrossEncoderDataCollator(preprocess_fn=model.preprocess),
        processing_class=tokenizer,
        callbacks=[run.callback],
    )
    if args.do_train:
        with run.phase("training"):
            trainer.train(resume_from_checkpoint=run.checkpoint())
        save_encoder(model, run.folder.path)

    # 6. The best weights on validation, then on test, once; validation weighs model and BM25
    scores: dict[str, Any] = {}
    left: tuple[list, list] = ([], [])  # predictions and mistakes of the last split
    for split in (name for name in collections if name != "train"):
        part = collections[split]
        with run.phase(f"evaluation on {split}"):
            found = rerank(model, part, words[split], depth, batch_size)
        if args.do_train and split == "validation":
            weight = find_weight(part, found, words[split], errors=0)  # the best, by however little
            save_weight(config, weight, run.folder.path)
        if source.is_labelled(split):
            scores[split] = score(part, found, words[split], saved_weight(config))
        left = prediction_rows(part, found)
    run.leave(scores, *left, trainer.log)
    if last := scores.get("test", scores.get("validation")):
        run.figure("recall.png", "k개 안의 재현율", plot_recall, last["recall_curves"])

    # 7. BM25 alone, scored the same; then `launch` writes card and summary, and pushes
    baselines = {}
    if run.wants_baselines:
        baselines["BM25"] = {s: score(collections[s], words[s]) for s in source.held_out}
    run.finish(baselines, "문서 재정렬", "text-ranking", USAGE, source.label_names)


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, RerankDataArguments, ModelArguments, RerankArguments, RerankTrainingArguments)
