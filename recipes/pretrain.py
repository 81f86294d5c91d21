r"""Pretraining: a masked or causal language model from plain text, from random weights or further.

On what ships, without arguments (half a minute on two cores):
    accelerate launch recipes/pretrain.py
A new encoder from your text, a line each, by your tokenizer (recipes/tokenizer.py):
    accelerate launch recipes/pretrain.py --model_name_or_path package:models/encoder \
        --tokenizer_name outputs/tokenizer --from_scratch true --text_files news.txt talk.txt
A small model that learns from a large one of the same vocabulary (distillation):
    accelerate launch recipes/pretrain.py --model_name_or_path klue/bert-base --from_scratch true \
        --config_overrides num_hidden_layers=4 --teacher klue/bert-base --text_files news.txt
A model that exists, adapted to your domain:
    accelerate launch recipes/pretrain.py --model_name_or_path klue/bert-base \
        --text_files clinic.txt --learning_rate 1e-4
Text that is larger than the disk, from a corpus that is read file by file:
    accelerate launch recipes/pretrain.py --streaming true --max_steps 100000 --corpora kowikitext
To be trained on later, keep the rate constant (--lr_scheduler_type constant_with_warmup), and let
a copy of it fall: --model_name_or_path COPY --lr_scheduler_type linear --max_steps N.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from datasets import Dataset, DatasetDict, IterableDataset
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, TrainingArguments

from nlpbook_data.data.cache import check_unchanged
from nlpbook_data.data.source import Source
from nlpbook_data.data.texts import TextArguments, hash_texts, is_held_out, stream_texts
from nlpbook_data.errors import InputError
from nlpbook_data.features.cooccurrence import start_from_neighbours
from nlpbook_data.features.pretrain import encode, pack
from nlpbook_data.features.vocabulary import batches
from nlpbook_data.training import (
    ModelArguments,
    RecipeArguments,
    Run,
    launch,
    limit_length,
    load_config,
    load_model,
    load_tokenizer,
    option,
    versioned,
)
from nlpbook_data.training.pretraining import BlockTrainer, load_teacher

USAGE = {
    "fill-mask": """from transformers import pipeline

fill = pipeline("fill-mask", model="MODEL")
fill("이 영화는 정말 [MASK]")""",
    "text-generation": """from transformers import pipeline

write = pipeline("text-generation", model="MODEL")
write("이 영화는")""",
}


@dataclass
class PretrainArguments:
    """What only this recipe has."""

    objective: str = option(
        "masked", "guess hidden words, or the next token", choices=["masked", "causal"]
    )
    block_size: int = option(128, "tokens a block; a longer text becomes several pieces")
    mask_rate: float = option(0.3, "of words, at the first step")
    last_mask_rate: float = option(0.15, "at the last step")
    validation_share: float = option(0.005, "of the texts, held out")
    start_from_neighbours: bool = option(False, "random weights, and embeddings by co-occurrence")
    teacher: str | None = option(None, "a larger model of the same vocabulary, to learn from")
    distillation_weight: float = option(0.5, "0: the text alone; 1: the teacher alone")
    temperature: float = option(2.0, "of teacher and student")
    muon: bool = option(False, "Muon for hidden matrices, --optim for all other weights")
    streaming: bool = option(False, "keep no blocks on the disk; needs --max_steps")
    shuffle_buffer: int = option(100_000, "texts mixed in a stream")
    preprocessing_num_workers: int | None = option(
        None, "processes that tokenize; without it this one alone"
    )


def main(
    text_args: TextArguments,
    model_args: ModelArguments,
    task_args: PretrainArguments,
    args: TrainingArguments,
    run: Run,
) -> None:
    causal = task_args.objective == "causal"
    if task_args.streaming and args.max_steps <= 0:
        raise InputError("--streaming true has no end of its own: say how long by --max_steps.")

    # 1. Text: a hash of a text's content decides whether it is held out, whatever the order
    hashes = hash_texts(text_args)
    options = {"text_args": text_args, "share": task_args.validation_share, "sha256": hashes}
    with run.preparation("corpus"):
        texts = {
            split: Dataset.from_generator(read_split, gen_kwargs=options | {"held_out": held_out})
            for split, held_out in (("train", False), ("validation", True))
            if held_out or not task_args.streaming
        }
    if task_args.streaming:
        texts["train"] = IterableDataset.from_generator(
            read_split, gen_kwargs=options | {"held_out": False}
        ).shuffle(args.seed, buffer_size=task_args.shuffle_buffer)
    else:  # mixes texts of all kinds in a block
        texts["train"] = texts["train"].shuffle(args.seed)

    # 2. Tokenizer and model; after this nothing changes the TrainingArguments
    tokenizer = load_tokenizer(model_args)
    if not causal and tokenizer.mask_token is None:
        raise InputError(f"{tokenizer.name_or_path} has no mask: pass --objective causal.")
    overrides = {"vocab_size": len(tokenizer)} if model_args.from_scratch else {}
    config = load_config(model_args, **overrides)
    size = limit_length(task_args.block_size, config, tokenizer)
    auto_class = AutoModelForCausalLM if causal else AutoModelForMaskedLM
    model = load_model(auto_class, model_args, config, args.do_train)
    if task_args.start_from_neighbours:
        if not model_args.from_scratch:
            raise InputError("--start_from_neighbours true is for --from_scratch true alone.")
        with run.phase("co-occurrence"):
            lines = batches((row["text"] for row in texts["train"]), 10_000)
            start_from_neighbours(model, tokenizer, lines, args.seed)
    teacher = None
    if task_args.teacher and args.do_train:
        teacher = load_teacher(task_args.teacher, auto_class, tokenizer, size)
    args = run.settle(args, model, best_by="loss")

    # 3. Tokenization, and blocks of equal size that do not cut a text in two
    with run.preparation("tokenization"):
        blocks = {}
        for split, rows in texts.items():
            workers = {"num_proc": task_args.preprocessing_num_workers}
            options = {"batched": True} | (workers if isinstance(rows, Dataset) else {})
            pieces = rows.map(
                versioned(encode),
                remove_columns=["text"],
                fn_kwargs={"tokenizer": tokenizer, "max_length": size},
                **options,
            )
            fill = {"size": size, "pad_id": tokenizer.pad_token_id}
            blocks[split] = pieces.map(versioned(pack), batch_size=4096, fn_kwargs=fill, **options)
    kept = {split: rows for split, rows in blocks.items() if isinstance(rows, Dataset)}
    origins = {"train": "the text", "validation": f"{task_args.validation_share:.1%} of the texts"}
    formats = dict.fromkeys(origins, text_args.describe_files())
    known = {"task": "generation", "formats": formats}
    run.describe(Source(DatasetDict(kept), text_args.name, origins, hashes, **known))

    # 4. Trainer: each token sees only its own text; other words are masked in every epoch
    trainer = BlockTrainer(
        model=model,
        args=args,
        train_dataset=blocks["train"],
        eval_dataset=blocks["validation"],
        processing_class=tokenizer,
        causal=causal,
        mask_rates=(task_args.mask_rate, task_args.last_mask_rate),
        teacher=teacher,
        distillation=(task_args.distillation_weight, task_args.temperature),
        muon=task_args.muon,
        callbacks=[run.callback],
    )
    if args.do_train:
        with run.phase("training"):
            trainer.train(resume_from_checkpoint=run.checkpoint())
        trainer.save_model()

    # 5. The final weights on validation; then `launch` writes card and summary, and pushes
    with run.phase("evaluation on validation"):
        scores = trainer.evaluate(metric_key_prefix="final")
    scores = {name.removeprefix("final_"): value for name, value in scores.items()}
    run.leave({"validation": scores}, [], [])
    tag = "text-generation" if causal else "fill-mask"
    run.finish({}, "언어 모델 사전학습", tag, USAGE[tag], [])


def read_split(
    text_args: TextArguments, share: float, sha256: dict[str, str], held_out: bool
) -> Iterator[dict[str, str]]:
    """Yield the texts of train or validation; `sha256` makes the cache depend on the files."""
    empty = True
    for text in stream_texts(text_args, tell=held_out):
        if is_held_out(text, share) == held_out:
            empty = False
            yield {"text": text}
    check_unchanged(text_args.name, sha256, hash_texts(text_args))
    if empty:
        split, change = ("validation", "Raise") if held_out else ("train", "Lower")
        raise InputError(
            f"--validation_share {share}: no text is left for {split}. {change} it, or add texts."
        )


if __name__ == "__main__":
    # dataclass defaults < YAML < command line; one run a seed; errors in one sentence
    launch(main, TextArguments, ModelArguments, PretrainArguments, RecipeArguments)
