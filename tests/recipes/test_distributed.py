"""However the global batch is split, over micro-batches or processes, the run is the same."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spy
from conftest import REPOSITORY
from tasks import DOCCLS, SIZE
from tokenizers import Tokenizer
from writing import read_json, read_rows

PACKAGE = REPOSITORY / "nlpbook_data"
SAMPLE = PACKAGE / "samples" / "sample_reviews"
TOLERANCE = 1e-5
EPOCHS = 2
NO_DROPOUT = [
    *(*DOCCLS, "--config_overrides"),
    f"{SIZE},hidden_dropout_prob=0.0,attention_probs_dropout_prob=0.0",
]
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


CASES = {  # rows of train, what becomes of the sample's rows, options
    "ragged": (61, None, ("--corpus", "sample_reviews")),
    "weighted": (57, rare, ("--class_weights", "balanced", "--label_smoothing_factor", "0.1")),
    "multi-label": (57, several, ("--multi_label", "true")),
}
QUICK = "weighted"
COMPARED = [
    pytest.param(case, split, marks=[] if case == QUICK else pytest.mark.long)
    for case in CASES
    for split in list(SPLITS)[1:]
    if (case, split) != ("multi-label", "2x4")
]
EACH = [pytest.param(case, marks=[] if case == QUICK else pytest.mark.long) for case in CASES]


class Outcome:
    """What a run left in its folder."""

    def __init__(self, folder: Path):
        states = (folder / "out").glob("checkpoint-*/trainer_state.json")
        state = json.loads(max(states, key=lambda p: int(p.parent.name[11:])).read_text())
        self.history = state["log_history"]
        self.predictions = read_rows(folder / "out" / "predictions.jsonl")
        self.metrics = read_json(folder / "out" / "metrics.json")
        self.batches = spy.trained(folder)
        self.tokenized = spy.tokenized(folder)

    def curve(self, name: str) -> list[float]:
        return [entry[name] for entry in self.history if name in entry]


@pytest.fixture(scope="module")
def memory() -> dict[tuple[str, str], Outcome]:
    return {}


@pytest.fixture
def train(
    memory: dict, fork_recipe: Callable, tmp_path_factory: Any
) -> Callable[[str, str], Outcome]:
    """Train `case` in `split`, once a module."""

    def train(case: str, split: str) -> Outcome:
        if (case, split) in memory:
            return memory[case, split]
        size, accumulation, processes = SPLITS[split]
        rows, convert, options = CASES[case]
        folder = tmp_path_factory.mktemp("run")
        if convert:
            for name in ("train", "validation", "test"):
                converted = convert(read_rows(SAMPLE / f"{name}.jsonl"))
                text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in converted)
                (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
                options = (*options, f"--{name}_file", folder / f"{name}.jsonl")
        arguments = [
            *(*NO_DROPOUT, *options, "--max_train_samples", rows, "--num_train_epochs", EPOCHS),
            *("--per_device_train_batch_size", size, "--learning_rate", "5e-3"),
            *("--gradient_accumulation_steps", accumulation, "--logging_steps", 1),
            *("--keep_checkpoints", "true", "--save_total_limit", 9, "--seed", 3),
            *("--output_dir", folder / "out", "--cache_dir", folder / "cache"),
            *("--overwrite_cache", case == "weighted"),
        ]
        env = spy.environment(folder)
        fork_recipe(spy.wrapper(folder), *arguments, processes=processes, env=env).expect()
        memory[case, split] = Outcome(folder)
        return memory[case, split]

    return train


@pytest.mark.parametrize(("case", "split"), COMPARED)
def test_the_split_does_not_change_the_loss_curve(train, case, split):
    one = train(case, "1x8").curve("loss")
    assert len(one) == EPOCHS * 8
    assert max(one) - min(one) > 500 * TOLERANCE
    assert train(case, split).curve("loss") == pytest.approx(one, abs=TOLERANCE)


@pytest.mark.parametrize(("case", "split"), COMPARED)
def test_the_split_does_not_change_validation(train, case, split):
    one = train(case, "1x8")
    for name in ("eval_loss", "eval_accuracy", "eval_macro_f1"):
        assert len(one.curve(name)) == EPOCHS
        assert train(case, split).curve(name) == pytest.approx(one.curve(name), abs=TOLERANCE)


@pytest.mark.parametrize(("case", "split"), COMPARED)
def test_the_split_does_not_change_predictions(train, case, split):
    one, other = train(case, "1x8").predictions, train(case, split).predictions
    assert len(one) == 400
    for ours, theirs in zip(one, other, strict=True):
        probabilities = ours.pop("probabilities"), theirs.pop("probabilities")
        assert probabilities[1] == pytest.approx(probabilities[0], abs=2 * TOLERANCE)
        assert theirs == ours
        ours["probabilities"], theirs["probabilities"] = probabilities


@pytest.mark.parametrize("case", EACH)
def test_one_and_two_processes_leave_the_same_metrics(train, case):
    def flatten(value: Any, name: str = "") -> dict[str, Any]:
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            return {k: v for key, v in items for k, v in flatten(v, f"{name}/{key}").items()}
        return {name: value}

    one, two = flatten(train(case, "1x8").metrics), train(case, "2 processes x4").metrics
    assert any(name.startswith("/test/") for name in one)
    assert flatten(two) == pytest.approx(one, abs=TOLERANCE)


@pytest.mark.parametrize(("case", "split"), [(QUICK, "1x8"), *COMPARED])
def test_every_row_is_trained_on_once_an_epoch(train, case, split):
    tokenizer = Tokenizer.from_file(str(PACKAGE / "models" / "tiny_encoder" / "tokenizer.json"))
    texts = [row["text"] for row in read_rows(SAMPLE / "train.jsonl")[: CASES[case][0]]]
    expected = Counter(tuple(tokenizer.encode(text).ids) for text in texts)
    assert len(expected) == len(texts)  # rows can be told apart
    for epoch in range(EPOCHS):
        seen = Counter(
            tuple(row)
            for batch in train(case, split).batches
            for row, label in zip(batch["rows"], batch["labels"], strict=True)
            if batch["epoch"] == epoch and not is_filler(label)
        )
        assert seen == expected


def is_filler(label: int | list[float]) -> bool:
    return label == -100 or isinstance(label, list) and set(label) == {-100}


@pytest.mark.parametrize("case", EACH)
def test_a_process_without_rows_takes_part_with_one_masked_row(train, case):
    batches = train(case, "2 processes x4").batches
    steps = [sum(batch["rank"] == rank for batch in batches) for rank in (0, 1)]
    assert steps == [EPOCHS * 8, EPOCHS * 8]  # else the gradients' all-reduce would hang
    fillers = [batch["rank"] for batch in batches for label in batch["labels"] if is_filler(label)]
    assert fillers == ([1] * EPOCHS if CASES[case][0] % 8 == 1 else [])


@pytest.mark.parametrize("case", EACH)
def test_two_processes_tokenize_once(train, case):
    """Also where the cache is to be written anew, in the case "weighted"."""
    assert train(case, "2 processes x4").tokenized == {0: CASES[case][0] + 200 + 400}
