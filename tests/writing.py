"""Rows as the files that users have, and what runs leave behind."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook

Row = dict[str, Any]


def written(path: Path, content: str | bytes) -> Path:
    """Write `content`; return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def visible(folder: Path) -> set[str]:
    """Return the names in `folder` that do not begin with a dot."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a jsonl file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class Run:
    """The folder that a run left; a `/` goes on from it, as from a path."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def files(self) -> set[str]:
        return visible(self.folder)

    @property
    def rows(self) -> list[Row]:
        """The predictions."""
        return read_rows(self / "predictions.jsonl")

    @property
    def errors(self) -> list[Row]:
        return read_rows(self / "errors.jsonl")

    @property
    def scores(self) -> Row:
        return read_json(self / "metrics.json")

    @property
    def record(self) -> Row:
        return read_json(self / "run.json")

    @property
    def config(self) -> Row:
        return read_json(self / "config.json")

    @property
    def card(self) -> str:
        return (self / "README.md").read_text(encoding="utf-8")

    @property
    def weights(self) -> Row:
        from safetensors.torch import load_file  # which most tests do without

        return load_file(self / "model.safetensors")

    @property
    def history(self) -> list[Row]:
        """What the last checkpoint knows to have been logged."""
        states = self.folder.glob("checkpoint-*/trainer_state.json")
        return read_json(max(states, key=lambda p: int(p.parent.name[11:])))["log_history"]

    def curve(self, *names: str) -> list[float]:
        """The values of the history under `names`, in their order."""
        return [entry[name] for entry in self.history for name in names if name in entry]


def close(one: Any, other: Any, far: float) -> bool:
    """Whether two values of JSON are the same, their numbers no further than `far` apart."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[k], other[k], far) for k in one)
    if isinstance(one, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(close(a, b, far) for a, b in pairs)
    return abs(one - other) <= far if isinstance(one, float) else one == other


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows by the ending of `path`; a cell of csv, tsv and xlsx holds a list as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [
        [json.dumps(v, ensure_ascii=False) if isinstance(v, list) else v for v in row.values()]
        for row in rows
    ]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".xlsx":
        write_xlsx(path, [[*rows[0]], *cells])
    elif path.suffix in (".csv", ".tsv"):
        options: Row = {"quoting": csv.QUOTE_ALL}
        if path.suffix == ".tsv":
            options = {"quoting": csv.QUOTE_NONE, "quotechar": None, "delimiter": "\t"}
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, **options).writerows([[*rows[0]], *cells])
    else:
        written(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def write_xlsx(path: Path, *sheets: list[list[Any]]) -> Path:
    """Write a workbook of sheets, each a list of rows of cells."""
    book = Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet() if number else book.active
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def kogpt2(folder: Path) -> dict[str, bytes]:
    """A tokenizer.json that is not byte-level, beside the config of a GPT-2, as KoGPT2's."""
    import tokenizers  # which most tests do without
    import transformers

    folder.mkdir(parents=True)
    special = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=200, special_tokens=special)
    tokenizer.train_from_iterator(
        ["영화 배우 여행 날씨 오늘 어때 좋아요", "긍정 부정 질문 답 ?."], trainer
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = transformers.GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_embd=32, n_layer=1, n_head=2, bos_token_id=0,
        eos_token_id=1,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_nsmc(folder: Path) -> Path:
    """A tiny NSMC whose test file has a text of train."""
    rows = {
        "train": [(f"{n}번째 영화", n % 2) for n in range(200)] + [("걸작", 1)],
        "test": [("걸작", 1), ("졸작", 0)],
    }
    (folder / "nsmc").mkdir(parents=True)
    for split, texts in rows.items():
        lines = [f"{n}\t{text}\t{label}\n" for n, (text, label) in enumerate(texts)]
        path = folder / "nsmc" / f"ratings_{split}.txt"
        path.write_text("id\tdocument\tlabel\n" + "".join(lines), encoding="utf-8")
    return folder
