"""However the global batch is split, over micro-batches or processes, the run is the same."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import spy
from conftest import REPOSITORY, ForkServer
from tasks import DOCCLS, STILL
from tokenizers import Tokenizer
from writing import Run, close, read_rows, write_rows

PACKAGE = REPOSITORY / "nlpbook_data"
SAMPLE = PACKAGE / "samples" / "sample_reviews"
TOLERANCE = 1e-5
EPOCHS = 2
SPLITS = {  # rows a device, accumulation, processes
    "1x8": (8, 1, 1),
    "2x4": (4, 2, 1),
    "2 processes x4": (4, 1, 2),
}


def rare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Three classes, the rarest a sixth of the most frequent."""
    names = ["자주", "자주", "드묾", "자주", "보통", "자주", "보통", "자주", "자주"]
    return [{"text": r["text"], "label": names[i % 9]} for i, r in enumerate(rows)]


def several(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """None to two labels a row."""
    return [
        {"text": r["text"], "label": ["긍정"] * r["label"] + ["영화"] * (r["domain"] == "영화")}
        for r in rows
    ]


CASES: dict[str, tuple[int, Callable, str]] = {
    # rows of train, what becomes of the sample's rows, options
    "ragged": (61, list, ""),
    "weighted": (57, rare, "--class_weights balanced --label_smoothing_factor 0.1"),
    "multi-label": (57, several, "--multi_label true"),
}
QUICK = "weighted"
COMPARED = [
    pytest.param(case, split, marks=[] if case == QUICK else pytest.mark.long)
    for case in CASES
    for split in list(SPLITS)[1:]
    if (case, split) != ("multi-label", "2x4")
]
EACH = [pytest.param(case, marks=[] if case == QUICK else pytest.mark.long) for case in CASES]


Trained = tuple[Run, Path]  # and what was seen of it


@pytest.fixture(scope="module")
def train(recipe_server: ForkServer, tmp_path_factory: Any) -> Callable[[str, str], Trained]:
    """Train `case` in `split`, once a module."""

    @cache
    def train(case: str, split: str) -> Trained:
        size, accumulation, processes = SPLITS[split]
        count, convert, options = CASES[case]
        folder, files = tmp_path_factory.mktemp("run"), []
        for name in ("train", "validation", "test"):
            rows = convert(read_rows(SAMPLE / f"{name}.jsonl"))
            files += [f"--{name}_file", write_rows(folder / f"{name}.jsonl", rows)]
        arguments = [
            *(*DOCCLS, "--config_overrides", STILL, *files, *filter(None, [options])),
            f"--max_train_samples {count} --num_train_epochs {EPOCHS} --learning_rate 5e-3",
            f"--per_device_train_batch_size {size} --gradient_accumulation_steps {accumulation}",
            "--logging_steps 1 --keep_checkpoints true --save_total_limit 9 --seed 3",
            f"--output_dir out --overwrite_cache {case == 'weighted'}",
            *("--cache_dir", folder / "cache"),
        ]
        options = {"processes": processes, "env": spy.environment(folder)}
        done = recipe_server.run(folder, spy.wrapper(folder), *arguments, **options)
        return done.expect().run, folder

    return train


@pytest.mark.parametrize(("case", "split"), COMPARED)
def test_the_split_changes_neither_loss_nor_scores_nor_predictions(train, case, split):
    (one, _), (other, _) = train(case, "1x8"), train(case, split)
    losses = one.curve("loss")
    assert len(losses) == EPOCHS * 8 and max(losses) - min(losses) > 500 * TOLERANCE
    evaluated = one.curve("eval_loss", "eval_accuracy", "eval_macro_f1")
    assert len(evaluated) == EPOCHS * 3
    assert other.curve("loss") == pytest.approx(losses, abs=TOLERANCE)
    assert other.curve("eval_loss", "eval_accuracy", "eval_macro_f1") == pytest.approx(
        evaluated, abs=TOLERANCE
    )
    assert "test" in one.scores and close(other.scores, one.scores, TOLERANCE)
    assert len(one.rows) == 400 and close(other.rows, one.rows, 2 * TOLERANCE)


@pytest.mark.parametrize(("case", "split"), [(QUICK, "1x8"), *COMPARED])
def test_every_row_is_trained_on_once_an_epoch(train, case, split):
    tokenizer = Tokenizer.from_file(str(PACKAGE / "models" / "tiny_encoder" / "tokenizer.json"))
    texts = [row["text"] for row in read_rows(SAMPLE / "train.jsonl")[: CASES[case][0]]]
    expected = Counter(tuple(tokenizer.encode(text).ids) for text in texts)
    assert len(expected) == len(texts)  # rows can be told apart
    for epoch in range(EPOCHS):
        seen = Counter(
            tuple(row)
            for batch in spy.trained(train(case, split)[1])
            for row, label in zip(batch["rows"], batch["labels"], strict=True)
            if batch["epoch"] == epoch and not is_filler(label)
        )
        assert seen == expected


def is_filler(label: int | list[float]) -> bool:
    return label == -100 or isinstance(label, list) and set(label) == {-100}


@pytest.mark.parametrize("case", EACH)
def test_a_process_without_rows_takes_part_with_one_masked_row(train, case):
    batches = spy.trained(train(case, "2 processes x4")[1])
    steps = [sum(batch["rank"] == rank for batch in batches) for rank in (0, 1)]
    assert steps == [EPOCHS * 8, EPOCHS * 8]  # else the gradients' all-reduce would hang
    fillers = [batch["rank"] for batch in batches for label in batch["labels"] if is_filler(label)]
    assert fillers == ([1] * EPOCHS if CASES[case][0] % 8 == 1 else [])


@pytest.mark.parametrize("case", EACH)
def test_two_processes_tokenize_once(train, case):
    """Also where the cache is to be written anew, in the case "weighted"."""
    assert spy.tokenized(train(case, "2 processes x4")[1]) == {0: CASES[case][0] + 200 + 400}
