"""Question answering: the span of a Korean passage that answers a question, or that none does.

On what ships, without arguments (a small model from random weights, under a minute on two cores):
    accelerate launch recipes/qa.py
The book's setting, KcBERT on KorQuAD 1.0:
    accelerate launch recipes/qa.py --config recipes/configs/qa_korquad.yaml
Your own files, SQuAD's JSON or rows with context, question, answer_text and answer_start:
    accelerate launch recipes/qa.py --model_name_or_path klue/bert-base --train_file train.json
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from transformers import AutoModelForQuestionAnswering, EvalPrediction

from nlpbook_data.baselines.qa import nearest_sentence
from nlpbook_data.data.source import Source, load_source
from nlpbook_data.features.particles import choose_step
from nlpbook_data.features.qa import Answer, Decoder, encode, name_types
from nlpbook_data.metrics.qa import QuestionAnswering, exact_match, f1
from nlpbook_data.reports.plots import plot_breakdown
from nlpbook_data.training import (
    DataArguments,
    ModelArguments,
    RecipeArguments,
    Run,
    SpanLoss,
    clamp_length,
    encode_splits,
    launch,
    load_config,
    load_model,
    load_tokenizer,
    make_trainer,
    match_token_types,
    parse,
)

USAGE = """from nlpbook_data.inference.answers import load_answerer

answer = load_answerer("MODEL")
answer(question="훈민정음은 누가 만들었나?", context="훈민정음은 세종대왕이 만든 글자이다.")"""
CARD = ("질의응답", "question-answering", USAGE)


@dataclass
class QaDataArguments(DataArguments):
    """Where the questions come from."""

    context_column_name: str = field(default="context", metadata={"help": "the passages"})
    question_column_name: str = field(default="question", metadata={"help": "the questions"})
    answers_column_name: str = field(default="answers", metadata={"help": "text, answer_start"})
    max_length: int = field(default=384, metadata={"help": "tokens of question and window"})
    stride: int = field(default=128, metadata={"help": "tokens that two windows share"})


@dataclass
class QaArguments:
    """What only this recipe has."""

    max_answer_length: int = field(default=30, metadata={"help": "tokens of an answer, at most"})
    strip_particles: str = field(
        default="auto",
        metadata={"help": "cut particles (조사) off", "choices": ["auto", "always", "never"]},
    )


def main() -> None:
    # 1. Arguments: dataclass defaults < YAML < command line
    types = (QaDataArguments, ModelArguments, QaArguments, RecipeArguments)
    data_args, model_args, task_args, args = parse(__file__, *types)
    run = Run.start(__file__, args, data_args, model_args, task_args)
    if run.finished_before():
        return

    # 2. Corpus -> DatasetDict(train, validation, test)
    with run.phase("corpus"), run.once():
        source = load_source(data_args, args, task="qa")
    run.describe(source, best_by="f1")

    # 3. Tokenizer and cached tokenization, long contexts in windows
    tokenizer = load_tokenizer(model_args)
    config = load_config(model_args, pad_token_id=tokenizer.pad_token_id)
    match_token_types(tokenizer, config)
    max_length = clamp_length(data_args.max_length, config, tokenizer)
    options = {"max_length": max_length, "stride": data_args.stride}
    with run.phase("tokenization"), run.once():
        encoded = encode_splits(source.splits, encode, tokenizer, data_args, **options)
    gold = {s: source.splits[s][:] for s in ("validation", "test") if s in encoded}
    metric = QuestionAnswering(keep_in_memory=True)
    decoder = Decoder(max_answer_length=task_args.max_answer_length)

    def find_ceiling(rows: dict[str, list[Any]], strip: Any) -> dict[str, Any]:
        texts = replace(decoder, strip=strip).read_perfectly(rows, tokenizer, **options)
        return metric.compute(predictions=texts, references=rows["answers"])

    with run.phase("alignment"):
        if args.do_train:
            config.qa_threshold = None if all(source.splits["train"]["answers"]) else 0.0
        known = getattr(config, "qa_strip_particles", False)
        sample = source.splits["train"][:1000] if args.do_train else None
        strip = choose_step(task_args.strip_particles, known, find_ceiling, sample)
        decoder = replace(decoder, strip=strip, threshold=getattr(config, "qa_threshold", None))
        config.qa_strip_particles, config.qa_stride = strip is not None, data_args.stride
        config.qa_max_answer_length = task_args.max_answer_length
        if run.wants_baselines:
            whole = {s: {"whole tokens": find_ceiling(gold[s], None)} for s in source.held_out}
            run.report_ceiling({s: find_ceiling(gold[s], strip) | whole[s] for s in whole})

    def predict(split: str, logits: np.ndarray) -> list[Answer]:
        nonlocal decoder
        found = decoder(logits, encoded[split], gold[split]["context"])
        if split == "validation" and args.do_train:
            decoder = decoder.tune(found, gold[split]["answers"], f1)
        return [one.best(decoder.threshold) for one in found]

    def score(split: str, answers: list[Answer]) -> dict[str, Any]:
        return metric.compute(
            predictions=[answer.text for answer in answers],
            references=gold[split]["answers"],
            question_types=name_types(source.splits[split]),
            context_lengths=[len(context) for context in gold[split]["context"]],
        ) | {"threshold": decoder.threshold}

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        scores = score("validation", predict("validation", prediction.predictions))
        return {name: value for name, value in scores.items() if isinstance(value, float)}

    loss = SpanLoss(args.label_smoothing_factor)
    for seed_run in run.each_seed():
        # 4. Model
        model = load_model(AutoModelForQuestionAnswering, model_args, config, args.do_train)

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


def prediction_rows(source: Source, split: str, answers: list[Answer]) -> tuple[list, list]:
    """Return each question with true answers and the one given, and the surest mistakes first."""
    rows, wrong = [], []
    for number, (row, found) in enumerate(zip(source.splits[split], answers, strict=True)):
        gold = row["answers"] and [answer["text"] for answer in row["answers"]]
        shown = {"id": row.get("id", str(number)), "question": row["question"], "answers": gold}
        span = {"score": found.score, "start": found.start, "end": found.end}
        rows.append(shown | {"prediction": found.text} | span)
        if gold is not None and not exact_match(found.text, gold):
            wrong.append(rows[-1] | {"context": row["context"]})
    return rows, sorted(wrong, key=lambda row: -row["score"])


def illustrate(run: Run, rows: list, wrong: list, scores: dict[str, Any] | None) -> None:
    """Write the official prediction file; draw the scores of kinds of questions."""
    run.write("predictions.json", {row["id"]: row["prediction"] for row in rows})
    run.extend_config(qa_threshold=run.scores.get("validation", {}).get("threshold"))
    if scores:
        run.plot(plot_breakdown, "breakdown.png", scores, "질문 유형과 정답 위치별 점수")


def score_baselines(source: Source, score: Any) -> dict[str, Any]:
    """Score the sentence nearest to the question by the same metric."""
    scored = {}
    for split, rows in source.held_out.items():
        found = nearest_sentence(rows["question"][:], rows["context"][:])
        spans = zip(rows["context"], found, strict=True)
        scored[split] = score(split, [Answer(c[a:b], p, a, b) for c, (a, b, p) in spans])
        del scored[split]["threshold"]  # the model's
    return {"nearest sentence": scored}


if __name__ == "__main__":
    launch(main)
