r"""Question answering: the span of a Korean passage that answers a question, or that none does.

On what ships, without arguments (a small model, under a minute on two cores):
    accelerate launch recipes/qa.py
The book's setting, KcBERT on KorQuAD 1.0:
    accelerate launch recipes/qa.py --config recipes/configs/qa_korquad.yaml
Your own files, SQuAD's JSON or rows with context, question, answer_text and answer_start:
    accelerate launch recipes/qa.py --model_name_or_path klue/bert-base --train_file train.json
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from transformers import (
    AutoModelForQuestionAnswering,
    DataCollatorWithPadding,
    EvalPrediction,
    TrainingArguments,
)

from nlpbook_data.baselines import score_baselines
from nlpbook_data.baselines.qa import answer_by_sentence
from nlpbook_data.data.source import load_source
from nlpbook_data.features.particles import choose_stripping
from nlpbook_data.features.qa import decode_tokens, encode, name_types, read_perfectly
from nlpbook_data.metrics.qa import QuestionAnswering, best_threshold, judge_answers
from nlpbook_data.reports.plots import plot_breakdown
from nlpbook_data.training import (
    AnswerArguments,
    ModelArguments,
    RecipeArguments,
    RecipeTrainer,
    Run,
    SpanLoss,
    launch,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    match_token_types,
    option,
    padding,
    versioned,
)

USAGE = """from nlpbook_data.inference.answers import load_answerer

answer = load_answerer("MODEL")
answer(question="훈민정음은 누가 만들었나?", context="훈민정음은 세종대왕이 만든 글자이다.")"""


@dataclass
class QaDataArguments(AnswerArguments):
    """Where the questions come from."""

    max_length: int = option(384, "tokens of question and window")
    stride: int = option(128, "tokens that two windows share")


@dataclass
class QaArguments:
    """What only this recipe has."""

    max_answer_length: int = option(30, "tokens of an answer, at most")
    strip_particles: str = option(
        "auto", "cut particles (조사) off", choices=["auto", "always", "never"]
    )


def main(
    data_args: QaDataArguments,
    model_args: ModelArguments,
    task_args: QaArguments,
    args: TrainingArguments,
    run: Run,
) -> None:
    # 1. Corpus: context, question, and answers; a question without any has no answer
    with run.preparation("corpus"):
        source = load_source(data_args, args, task="qa")
    run.describe(source)

    # 2. Tokenizer and model; after this nothing changes the TrainingArguments
    tokenizer = load_tokenizer(model_args, pairs=True)
    tokenizer.padding_side = "right"  # positions of answers count from the left of a window
    config = load_config(model_args, pad_token_id=tokenizer.pad_token_id)
    match_token_types(tokenizer, config)
    max_length = limit_length(data_args.max_length, config, tokenizer)
    longest = task_args.max_answer_length
    model = load_model(AutoModelForQuestionAnswering, model_args, config, args.do_train)
    args = run.settle(args, model, best_by="f1")

    # 3. Tokenization, long contexts in windows that overlap: a cached map, see doccls.py
    windows = {"tokenizer": tokenizer, "max_length": max_length, "stride": data_args.stride}
    with run.preparation("tokenization"):
        encoded = {
            split: rows.map(
                versioned(encode),
                batched=True,
                remove_columns=rows.column_names,
                fn_kwargs={**windows, "training": split == "train"},
            )
            for split, rows in source.splits.items()
        }

    # 4. Metric, a module of `evaluate`, of answers as texts
    metric = QuestionAnswering(keep_in_memory=True)
    gold = {split: rows[:] for split, rows in source.splits.items() if split != "train"}

    def score(split: str, texts: list[str]) -> dict[str, Any]:
        return metric.compute(
            predictions=texts,
            references=gold[split]["answers"],
            question_types=name_types(source.splits[split]),
            context_lengths=[len(context) for context in gold[split]["context"]],
        )

    # 5. From tokens back to characters: particles are stripped if that improves train's answers
    def ceiling(rows: dict[str, list[Any]], strip: Any) -> dict[str, Any]:  # of perfect tokens
        texts = read_perfectly(rows, **windows, max_answer_length=longest, strip=strip)
        return metric.compute(predictions=texts, references=rows["answers"])

    with run.phase("alignment"):
        strip = choose_stripping(
            task_args.strip_particles,
            None if args.do_train else getattr(config, "qa_strip_particles", False),
            lambda strip: ceiling(source.splits["train"][:1000], strip),
        )
        if run.wants_baselines:
            whole = {s: {"whole tokens": ceiling(gold[s], None)} for s in source.held_out}
            run.report_ceiling({s: ceiling(gold[s], strip) | whole[s] for s in whole})
    model.config.qa_stride, model.config.qa_max_answer_length = data_args.stride, longest
    model.config.qa_strip_particles = strip is not None

    # 6. A question gets no answer if its logits exceed those of the best answer by this
    threshold = getattr(config, "qa_threshold", None)  # None: every question has an answer
    if args.do_train:
        threshold = None if all(source.splits["train"]["answers"]) else 0.0
    unanswerable = threshold is not None
    find = partial(decode_tokens, max_answer_length=longest, unanswerable=unanswerable, strip=strip)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, Any]:
        rows = gold["validation"]
        found = find(prediction.predictions, encoded["validation"], rows["context"])
        best = best_threshold(found, rows["answers"]) if unanswerable else None
        return score("validation", [one.best(best).text for one in found]) | {"threshold": best}

    # 7. transformers' Trainer, with rows of similar length in a batch and exact sums over devices
    trainer = RecipeTrainer(
        model=model,
        args=args,
        train_dataset=encoded.get("train"),
        eval_dataset=encoded.get("validation"),
        data_collator=DataCollatorWithPadding(tokenizer, **padding(args, max_length)),
        processing_class=tokenizer,
        compute_loss_func=SpanLoss(args.label_smoothing_factor),
        compute_metrics=compute_metrics,
        callbacks=[run.callback],
    )
    if args.do_train:
        with run.phase("training"):
            trainer.train(resume_from_checkpoint=run.checkpoint())
        trainer.save_model()

    # 8. The best weights on validation, where the threshold is chosen, then on test, once
    scores, rows, wrong = {}, [], []
    for split in (name for name in ("validation", "test") if name in encoded):
        with run.phase(f"evaluation on {split}"):
            output = trainer.predict(encoded[split])
        found = find(output.predictions, encoded[split], gold[split]["context"])
        if split == "validation" and args.do_train and unanswerable:
            threshold = best_threshold(found, gold[split]["answers"])
        answers = [one.best(threshold) for one in found]
        if source.is_labelled(split):
            scores[split] = score(split, [a.text for a in answers]) | {"threshold": threshold}
        rows, wrong = judge_answers(source.splits[split], answers)
    run.leave(scores, rows, wrong, trainer.log)
    run.write("predictions.json", {row["id"]: row["prediction"] for row in rows})
    if last := scores.get(split):
        run.figure("breakdown.png", "질문 유형과 정답 위치별 점수", plot_breakdown, last)
    if args.do_train and run.folder.is_main:
        model.config.qa_threshold = threshold
        model.config.save_pretrained(run.folder.path)

    # 9. The baselines, scored by the same metric; then `launch` writes card and summary, and pushes
    baselines: dict[str, Any] = {}
    if run.wants_baselines:
        with run.phase("baselines"):
            baselines = score_baselines(score, answer_by_sentence(source.held_out))
    run.finish(baselines, "질의응답", "question-answering", USAGE, source.label_names)


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, QaDataArguments, ModelArguments, QaArguments, RecipeArguments)
