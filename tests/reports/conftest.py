"""A finished run, as plain data."""

import pytest

from nlpbook_data.reports.outcome import Outcome


@pytest.fixture
def finished(tmp_path):
    """Return an outcome; ``finished(scores, record={…}, **fields of Outcome)``."""

    def make(scores, record=(), **fields):
        rows = {"train": 640, "test": 200}
        data = {"name": "sample_reviews", "license": "CC0-1.0", "rows": rows}
        arguments = {
            "model_name_or_path": "klue/bert-base",
            "from_scratch": False,
            "do_train": True,
            "seeds": None,
            "seed": 7,
            "learning_rate": 1e-3,
            "num_train_epochs": 3,
            "max_steps": -1,
            "lr_scheduler_type": "linear",
        }
        known = {
            "arguments": arguments,
            "command": ["recipes/doccls.py"],
            "data": data | {"splits": {"train": "리뷰 [1].jsonl", "test": "ratings_test.txt"}},
            "device": "CPU, 2 cores",
            "processes": 1,
            "precision": "float32",
            "seconds": {"training": 12.0},
            "global_batch": 16,
            "max_length": 128,
            "versions": {"transformers": "5.23.0"},
            "plots": {"learning_curve.png": "학습 곡선"},
        }
        fields = {"folder": tmp_path, "metric": "accuracy", "name": "tester/reviews"} | fields
        return Outcome(recipe="doccls", record=known | dict(record), scores=scores, **fields)

    return make
