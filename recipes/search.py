"""Document search: vectors of Korean questions and passages that are near where one answers.

On what ships, without arguments (a small model from random weights, under a minute on two cores):
    accelerate launch recipes/search.py
A pretrained encoder on KorQuAD 1.0, its questions and passages:
    accelerate launch recipes/search.py --config recipes/configs/search_korquad.yaml
Your own file: query, passage and, if you like, negative; or SQuAD's JSON, or labelled pairs:
    accelerate launch recipes/search.py --model_name_or_path klue/roberta-base --train_file faq.csv
Then search any file:
    nlpbook-data index passages.txt --model outputs/search --output index
    nlpbook-data search index "훈민정음은 누가 만들었나?"
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import EvalPrediction

from nlpbook_data.data.source import Source, load_source
from nlpbook_data.reports.plots import plot_recall
from nlpbook_data.search.collections import choose_negatives
from nlpbook_data.search.training import (
    InBatchLoss,
    Ranking,
    Scorer,
    collect_splits,
    encode_collections,
    load_encoder,
    make_trainer,
    rank_by_model,
    rank_by_vectors,
    rank_by_words,
    ranking_loss,
)
from nlpbook_data.training import (
    DataArguments,
    ModelArguments,
    RecipeArguments,
    Run,
    clamp_length,
    launch,
    load_config,
    load_tokenizer,
    match_token_types,
    parse,
)

USAGE = """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("MODEL")
query = model.encode_query("훈민정음은 누가 만들었나?")
passages = model.encode_document(["세종대왕이 만든 글자이다.", "한강은 서울을 지난다."])
model.similarity(query, passages)"""
CARD = ("문서 검색", "sentence-similarity", USAGE)


@dataclass
class SearchDataArguments(DataArguments):
    """Where the queries and passages come from."""

    query_column_name: str = field(default="query", metadata={"help": "the queries"})
    passage_column_name: str = field(default="passage", metadata={"help": "what answers each"})
    negative_column_name: str = field(default="negative", metadata={"help": "what does not"})
    max_length: int = field(default=256, metadata={"help": "tokens of a query or passage"})
    query_prompt: str = field(default="", metadata={"help": "what a query begins with"})
    passage_prompt: str = field(default="", metadata={"help": "what a passage begins with"})


@dataclass
class SearchArguments:
    """What only this recipe has."""

    scale: float = field(default=20.0, metadata={"help": "of cosines: 1 / temperature"})
    cached: bool = field(default=True, metadata={"help": "memory of --mini_batch_size, any batch"})
    mini_batch_size: int = field(default=32, metadata={"help": "texts embedded at a time"})
    hard_negatives: str = field(
        default="none",
        metadata={"help": "from where, beside the rows'", "choices": ["none", "bm25", "model"]},
    )
    num_hard_negatives: int = field(default=1, metadata={"help": "of a query, found there"})
    matryoshka_dims: list[int] | None = field(
        default=None, metadata={"help": "train the first N numbers of vectors to do alone"}
    )


def main() -> None:
    # 1. Arguments: dataclass defaults < YAML < command line
    types = (SearchDataArguments, ModelArguments, SearchArguments, RecipeArguments)
    data_args, model_args, task_args, args = parse(__file__, *types)
    run = Run.start(__file__, args, data_args, model_args, task_args)
    if run.finished_before():
        return

    # 2. Corpus -> DatasetDict(train, validation, test), and the passages of each
    with run.phase("corpus"), run.once():
        source = load_source(data_args, args, task="search", keep_train=True)
    run.describe(source, best_by="mrr_at_10")
    collections = collect_splits(source)
    with run.phase("BM25"):
        splits = [s for s in collections if s != "train" and args.baselines and run.is_main]
        splits += ["train"] if args.do_train and task_args.hard_negatives == "bm25" else []
        words = {s: Ranking(collections[s], *r) for s, r in rank_by_words(collections, splits)}

    # 3. Tokenizer and cached tokenization
    tokenizer = load_tokenizer(model_args)
    config = load_config(model_args, pad_token_id=tokenizer.pad_token_id)
    match_token_types(tokenizer, config)
    max_length = clamp_length(data_args.max_length, config, tokenizer)
    prompts = {"query": data_args.query_prompt, "document": data_args.passage_prompt}
    with run.phase("tokenization"), run.once():
        encoded = encode_collections(collections, tokenizer, data_args, prompts, max_length)
    score = Scorer(words)

    def predict(split: str, vectors: np.ndarray) -> Ranking:  # of queries, then of passages
        return rank_by_vectors(collections[split], vectors, task_args.matryoshka_dims)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        vectors, collection = prediction.predictions, collections["validation"]
        scores = score("validation", predict("validation", vectors))
        parts = np.split(vectors, [len(collection.queries)])
        floats = {name: value for name, value in scores.items() if isinstance(value, float)}
        return floats | {"loss": ranking_loss(*parts, collection.relevant, task_args.scale)}

    for seed_run in run.each_seed():
        # 4. Model, and what is hard to tell from the true passages
        model = load_encoder(model_args, config, tokenizer, max_length, prompts)
        loss = None
        if args.do_train:
            ranked = words["train"].ids if "train" in words else []
            if task_args.hard_negatives == "model":
                ranked = rank_by_model(model.to(args.device), model_args, collections["train"])
            hard = choose_negatives(collections["train"], ranked, task_args.num_hard_negatives)
            batches = (task_args.cached, task_args.mini_batch_size, task_args.matryoshka_dims)
            loss = InBatchLoss(model, collections["train"], hard, task_args.scale, *batches)

        # 5. Trainer: train, or continue
        trainer = make_trainer(
            seed_run,
            model,
            tokenizer,
            max_length,
            loss=loss,
            compute_metrics=compute_metrics,
            train_dataset=encoded.get("train"),
            eval_dataset=encoded.get("validation"),
        )
        if args.do_train:
            seed_run.train(trainer)
            seed_run.save(trainer)

        # 6. Evaluate the best model, on test once; write what the run leaves behind; push last
        predicted = {
            split: predict(split, seed_run.predict(trainer, encoded, split))
            for split in ("validation", "test")
            if split in encoded
        }
        scores = {s: score(s, found) for s, found in predicted.items() if source.is_labelled(s)}
        split = list(predicted)[-1]
        rows, wrong = prediction_rows(source, split, predicted[split])
        seed_run.leave(scores, rows, wrong)
        illustrate(seed_run, rows, wrong, scores.get(split))

    with run.phase("baselines"):
        baselines = score_baselines(source, score) if run.wants_baselines else {}
    run.finish(baselines, *CARD, source.label_names)


def prediction_rows(source: Source, split: str, found: Ranking) -> tuple[list, list]:
    """Return each query with its true passages and the first ten, and the surest mistakes first."""
    rows, wrong, part = [], [], found.collection
    for query, true, ids, scores in zip(
        part.queries, part.relevant, found.ids, found.scores, strict=True
    ):
        found_ids = list(zip(ids, scores, strict=True))[:10]
        first = [{"id": i, "score": s, "text": part.passages[i][:50]} for i, s in found_ids]
        rows.append({"query": query, "passages": true, "prediction": first})
        if true and ids[0] not in true:
            texts = {"passage": part.passages[true[0]], "found": part.passages[ids[0]]}
            wrong.append(rows[-1] | texts)
    return rows, sorted(wrong, key=lambda row: -row["prediction"][0]["score"])


def illustrate(run: Run, rows: list, wrong: list, scores: dict[str, Any] | None) -> None:
    """Draw how many of the true passages are among the first k."""
    if scores:
        run.plot(plot_recall, "recall.png", scores["recall_curves"], "k개 안의 재현율")


def score_baselines(source: Source, score: Scorer) -> dict[str, Any]:
    """Score BM25 over Korean morphemes by the same metric."""
    return {"BM25": {split: score(split, score.words[split]) for split in source.held_out}}


if __name__ == "__main__":
    launch(main)
