"""What holds for the tasks alike: scores without training, splits of a batch, LoRA, bad input."""

import pytest
from saved import pretrained
from tasks import DECODER, DOCCLS, STILL, TASKS, TINY, asked, faq
from transformers import ByT5Tokenizer
from writing import Run, close, write_rows, written


@pytest.mark.parametrize("task", [task for task in TASKS if task != "rerank"])
def test_evaluation_alone_scores_what_training_scored_on_any_number_of_processes(
    trained, fork_recipe, task
):
    known = trained(task)
    splits = () if task == "search" else ("validation", "test")  # it ranks the passages of all
    command = [
        *TASKS[task].again(known),
        "--do_train false",
        *TASKS[task].files(known.folder.parent, *splits),
    ]
    far = 0 if task in ("doccls", "paircls", "ner", "qa") else 1e-5  # whose scores are rounded
    # windows of a text are on both of two
    for processes in (1, 2) if task in ("doccls", "ner") else (2,):
        run = fork_recipe(*command, "--output_dir", processes, processes=processes).expect().run
        assert run.record["processes"] == processes
        assert close(run.scores, known.scores, far) and close(run.rows, known.rows, far)


@pytest.mark.parametrize(
    ("task", "gold", "renamed"),
    [
        ("doccls", "label", {}),
        ("paircls", "label", {}),
        ("ner", "entities", {"text": "문장"}),
        ("qa", "answers", {}),
    ],
)
def test_prediction_alone_needs_no_gold_and_says_what_the_run_said(
    trained, fork_recipe, tmp_path, task, gold, renamed
):
    known, kind = trained(task), TASKS[task]
    rows = [
        {renamed.get(name, name): value for name, value in row.items() if name != gold}
        for row in kind.rows(2)
    ]
    file = write_rows(tmp_path / "새 파일.csv", rows)
    words = [word for old, new in renamed.items() for word in (f"--{old}_column_name", new)]
    command = [*kind.again(known), *words, "--do_train false --do_eval false", "--test_file", file]
    run = fork_recipe(*command, "--output_dir", "out").expect().run
    assert run.rows == [row | {gold: None} for row in known.rows]
    official = {"predictions.json"} if task == "qa" else set()
    left = {"run.json", "metrics.json", "predictions.jsonl", "errors.jsonl"}
    assert run.files == left | official


@pytest.mark.parametrize(
    "task", ["similarity", "ner", "qa", "search", pytest.param("rerank", marks=pytest.mark.long)]
)
def test_the_split_of_a_batch_over_steps_and_processes_changes_no_loss(fork_recipe, tmp_path, task):
    kind, curves, found = TASKS[task], [], []
    kind.write_files(tmp_path)
    rows = {"search": 50, "rerank": 32}.get(task, 29)  # none of theirs is left out
    options = f"--max_train_samples {rows} --num_train_epochs 2 --logging_steps 1 {kind.always}"
    for processes, size, steps in ((1, 8, 1), (2, 4, 1), (1, 4, 2))[: 3 if task == "rerank" else 2]:
        batch = f"--per_device_train_batch_size {size} --gradient_accumulation_steps {steps}"
        run = fork_recipe(
            *(kind.recipe, *kind.start, "--config_overrides", STILL, options, *kind.files()),
            *(batch, "--learning_rate 1e-3 --keep_checkpoints true"),
            *("--output_dir", f"{processes}-{size}"),
            processes=processes,
        ).expect().run  # fmt: skip
        curves.append(run.curve("loss", "eval_loss", "eval_klue_char_macro_f1", "eval_f1"))
        found.append(run.rows)
    assert len(curves[0]) >= 8 and max(curves[0]) - min(curves[0]) > 5e-3
    for curve, rows in zip(curves[1:], found[1:], strict=True):
        assert curve == pytest.approx(curves[0], abs=1e-5)
        assert close(rows, found[0], 1e-4)


@pytest.mark.parametrize(("task", "least"), [("doccls", 0), ("ner", 0.9), ("qa", 0.6)])
def test_lora_trains_adapters_and_saves_a_merged_model(trained, fork_recipe, tmp_path, task, least):
    kind = TASKS[task]
    kind.write_files(tmp_path)
    base = trained(task)
    if task == "doccls":  # with no head
        base = Run(pretrained(tmp_path / "encoder", auto="AutoModelForMaskedLM"))
    done = fork_recipe(
        *(*kind.again(base), *kind.files(), "--lora true --learning_rate 1e-3"),
        "--num_train_epochs 1",
        *("--output_dir", "out"),
    ).expect()
    assert "Warning" not in done.stderr and not list(done.run.folder.glob("adapter*"))
    before, after = base.weights, done.run.weights
    query = "bert.encoder.layer.0.attention.self.query.weight"
    embedding = "bert.embeddings.word_embeddings.weight"
    assert not before[query].equal(after[query]) and before[embedding].equal(after[embedding])
    assert before.keys() == after.keys() or task == "doccls"
    scores = done.run.scores["test"]  # what the base had learnt
    assert scores.get("micro_f1", scores.get("exact_match", 1)) > least


@pytest.fixture
def bad_files(tmp_path) -> None:
    """The files that `REFUSED` names."""
    texts = [f"김민준이 {n}번 왔다" for n in range(40)]
    span = {"start": 0, "end": 3, "label": "인물"}
    pair = {"premise": "가", "hypothesis": "나", "label": "함의"}
    halves = []
    for n in (1, 2):
        answer = '{"text": "서울", "answer_start": 0}'
        row = f'{{"id": "{n}", "question": "어디?", "answers": [{answer}]}}'
        halves.append(f'"data": [{{"paragraphs": [{{"context": "서울 {n}", "qas": [{row}]}}]}}]')
    for name, rows in {
        "none.jsonl": [{"text": text, "entities": []} for text in texts],
        "ner.jsonl": [{"text": text, "entities": [span]} for text in texts],
        "pairs.jsonl": [pair, {"premise": "가", "label": "함의"}],
        "half.jsonl": [faq(0, 20)[1], {"query": "물음"}],
        "faq.jsonl": faq(0, 30),
        "qa.jsonl": asked(0, 20, 8),
    }.items():
        write_rows(tmp_path / name, rows)
    written(tmp_path / "twice.json", f"{{{', '.join(halves)}}}")
    written(tmp_path / "few.txt", "".join(f"내일 {n}번째 말이다\n" for n in range(20)))
    written(tmp_path / "talk.txt", "배우가 좋다\n".encode() + b"\xff\xfe\n")
    ByT5Tokenizer().save_pretrained(tmp_path / "slow")
    for name, text in SPACES.items():
        written(tmp_path / name, text)


SPACES = {
    "good.yaml": "learning_rate: {low: 1e-4, high: 1e-2, log: true}\n",
    "unknown.yaml": "learnin_rate: [1]",
    "turned.yaml": "learning_rate: {low: 1, high: 0.1}",
    "fixed.yaml": "max_length: [64]",
}
NER = (*TINY, "--max_length 24 --stride 4")
QA = (*TINY, "--max_length 32 --stride 8 --corpus sample_qa")
SEARCH = (*TINY, "--corpus sample_search")
SEEK = (*DOCCLS, "--hp_trials 2 --hp_space")
PRETRAIN = (
    "--config_overrides num_hidden_layers=1,intermediate_size=64 --block_size 32 --use_cpu true",
)
REFUSED = {  # by recipe: options, and what the message holds
    "ner": [
        ((*NER, "--train_file none.jsonl"), ("none.jsonl", "no entity in any row")),
        (
            (*NER, "--train_file ner.jsonl --max_length 16 --stride 14"),
            ("16", "smaller stride"),
        ),
        (
            (*NER, "--train_file ner.jsonl --metric_for_best_model accuracy"),
            ("accuracy", "micro_f1"),
        ),
    ],
    "qa": [
        ((*QA, "--stride 31"), ("stride of 31", "windows of 32 tokens")),
        ((*QA, "--metric_for_best_model micro_f1"), ("micro_f1", "exact_match")),
        ((*QA, "--tokenizer_name slow"), ("ByT5Tokenizer", "fast tokenizer")),
        ((*TINY, "--train_file twice.json"), ("twice.json", "data, data where")),
    ],
    "paircls": [
        ((*TINY, "--corpus nsmc"), ("nsmc is for doccls",)),
        (
            (*TINY, "--corpus sample_nli --positive_label 반대"),
            ("반대", "함의, 중립, 모순"),
        ),
        ((*TINY, "--corpus sample_nli --scores true"), ("sample_nli are classes", "--scores")),
        ((*TINY, "--train_file pairs.jsonl"), ("pairs.jsonl, line 2", "hypothesis")),
        (
            (*TINY, "--corpus sample_nli --metric_for_best_model pearson"),
            ("pearson", "macro_f1"),
        ),
    ],
    "search": [
        ((*TINY, "--corpus nsmc"), ("nsmc is for doccls",)),
        ((*TINY, "--train_file half.jsonl"), ("half.jsonl, line 2", "passage")),
        ((*TINY, "--train_file twice.json"), ("twice.json", "data, data where")),
        (
            (*SEARCH, "--gradient_accumulation_steps 2"),
            ("accumulation", "mini_batch_size"),
        ),
        ((*SEARCH, "--hard_negatives model"), ("hard_negatives", "random")),
        ((*SEARCH, "--matryoshka_dims 64"), ("matryoshka_dims 64", "32")),
        ((*SEARCH, "--metric_for_best_model f1"), ("f1", "mrr_at_10")),
    ],
    "rerank": [
        ((*TINY, "--corpus nsmc"), ("nsmc is for doccls",)),
        ((*TINY, "--train_file faq.jsonl --lora true"), ("--lora", "random weights")),
        ((*TINY, "--train_file faq.jsonl --hp_trials 2"), ("searches no settings",)),
        (
            (*TINY, "--train_file faq.jsonl --search_model nowhere"),
            ("nowhere", "no model could be loaded"),
        ),
    ],
    "generation": [
        ((*DECODER, "--corpus sample_reviews", *options), parts)
        for options, parts in {
            ("--max_new_tokens 255",): ("255 new tokens: a model of 256 positions",),
            ("--quantization 4bit",): ("--quantization 4bit needs an NVIDIA GPU",),
            ("--corpus klue-nli",): ("The corpus klue-nli is for paircls",),
            ("--samples_per_prompt 0",): ("--samples_per_prompt 0: it must be 1 or more",),
            ("--special_tokens end=</s>",): ("--special_tokens end=</s>: there is no end",),
            ("--lora true --merge_lora false",): (
                "--merge_lora false saves adapters of a trained model",
            ),
        }.items()
    ],
    "pretrain": [
        ((*PRETRAIN, "--streaming true"), ("--max_steps",)),
        # though datasets wraps the error
        ((*PRETRAIN, "--text_files talk.txt"), ("talk.txt, line 2: ", "UTF-8")),
        *(
            (
                (*PRETRAIN, f"--text_files few.txt --validation_share {share}"),
                (f"--validation_share {share}", *parts),
            )
            for share, *parts in (("0.005", "validation", "Raise"), ("1", "train", "Lower"))
        ),
    ],
    "doccls": [  # searches of settings
        ((*SEEK, "unknown.yaml"), ("learning_rate",)),
        ((*SEEK, "turned.yaml"), ("low below high",)),
        ((*SEEK, "fixed.yaml"), ("cannot be searched",)),
        ((*SEEK, "good.yaml", "--seeds 1 2"), ("--seeds",)),
        ((*SEEK, "good.yaml", "--do_train false"), ("--do_train false",)),
    ],
}


@pytest.mark.parametrize(
    ("recipe", "options", "parts"),
    [(recipe, *case) for recipe, cases in REFUSED.items() for case in cases],
)
def test_bad_input_is_one_message_and_leaves_nothing(refused, bad_files, recipe, options, parts):
    refused(recipe, parts, *options)
