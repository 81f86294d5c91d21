"""Small rows of each task that a tiny model learns, and the options that it learns them with.

An option and its values stand in one string, as in a shell (`conftest.words_of` parts them).
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from writing import Row, write_rows, written

SIZE = "hidden_size=32,num_hidden_layers=1,intermediate_size=64"
STILL = f"{SIZE},hidden_dropout_prob=0.0,attention_probs_dropout_prob=0.0"
SHAPE = [f"--config_overrides {SIZE} --from_scratch true --precision float32 --baselines false"]
TINY = [*SHAPE, "--model_name_or_path package:models/tiny_encoder"]
DOCCLS = [*SHAPE, "--config", str(Path(__file__).parent / "recipes" / "tiny.yaml")]
DECODER = [
    *(*SHAPE, "--model_name_or_path package:models/tiny_decoder"),
    *("--config_overrides n_embd=32,n_layer=1,n_head=2", "--max_new_tokens 8"),
    "--samples_per_prompt 2",
]
# Training alone: nothing is evaluated or saved before its end.
NO_CHOICE = ["--eval_strategy no --save_strategy no --load_best_model_at_end false"]
FEELINGS = {"기쁨": ["좋다", "멋지다"], "슬픔": ["싫다", "나쁘다"], "화": ["그만", "저리"]}
NAMES = {"인물": ["김민준", "이서연", "박도윤"], "장소": ["부산", "제주", "대구"]}
FILLER = ["어제", "오늘", "내일", "매우", "멀리", "다시"]
SEASONS = ["봄", "여름", "가을", "겨울", "바다", "산", "강", "들", "섬", "숲", "길"]
SPLITS = ("train", "validation", "test")
Names = Mapping[str, str] | None


def feelings(seed: int, count: int, names: Names = None) -> list[Row]:
    """Texts whose label a word tells; `names` renames the labels."""
    dice, rows = random.Random(seed), []
    for number in range(count):
        label = dice.choice(list(FEELINGS))
        text = f"{dice.choice(FILLER[:2])} {number % 7} {dice.choice(FEELINGS[label])}"
        rows.append({"text": text, "label": (names or {}).get(label, label)})
    return rows


def pairs(seed: int, count: int, names: Names = None) -> list[Row]:
    """Pairs whose label is told by the second text."""
    return [
        {"sentence1": f"{seed} {n}", "sentence2": row["text"].split()[-1], "label": row["label"]}
        for n, row in enumerate(feelings(seed, count, names))
    ]


def scored(seed: int, count: int) -> list[Row]:
    return [
        {"sentence1": f"{n}번 글", "sentence2": f"{n % 7}번 다른 글", "label": (n + seed) % 11 / 2}
        for n in range(count)
    ]


def tagged(seed: int, count: int, words: int, names: Names = None) -> list[Row]:
    """Texts with a name among other words, and one last."""
    dice, rows = random.Random(seed), []
    for _ in range(count):
        kinds = dice.choices(list(NAMES), k=2)
        chosen = [(dice.choice(NAMES[kind]), (names or {}).get(kind, kind)) for kind in kinds]
        row = [(word, "") for word in dice.choices(FILLER, k=words)]
        row.insert(dice.randrange(words), chosen[0])
        text, entities = "", []
        for word, label in [*row, chosen[1]]:
            if label:
                entities.append({"start": len(text), "end": len(text) + len(word), "label": label})
            text += f"{word} "
        rows.append({"text": text.strip(), "entities": entities})
    return rows


def asked(seed: int, count: int, words: int, last: bool = False) -> list[Row]:
    """Who is named in the context? A third of the contexts have no name."""
    dice, rows = random.Random(seed), []
    for number in range(count):
        name = dice.choice(["김민준", "이서연", "박도윤", "최하은"])
        row = dice.choices(FILLER, k=words)
        if number % 3:
            row.insert(words if last else dice.randrange(words + 1), name)
        context = " ".join(row)
        answers = [{"text": name, "answer_start": context.index(name)}] if number % 3 else []
        given = {"id": f"q{seed}-{number}", "context": context, "question": "누가 왔나?"}
        rows.append(given | {"answers": answers})
    return rows


def faq(first: int, count: int) -> list[Row]:
    """Queries with one to three true passages each, shared ones, and negatives."""
    return [
        {
            "query": f"{SEASONS[n % 11]}에 관한 물음 {n % (count - 9)}",
            "passage": f"{SEASONS[n % 11]} 이야기 {n % 17}",
            "negative": f"{SEASONS[(n + 3) % 11]} 이야기 {n % 5}",
        }
        for n in range(first, first + count)
    ]


def without(column: str, rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != column} for row in rows]


def write_conll(path: Path, rows: list[Row]) -> Path:
    """Write rows of entities as CoNLL's columns, a word a line."""
    text = ""
    for row in rows:
        labels = {entity["start"]: f"B-{entity['label']}" for entity in row["entities"]}
        start = 0
        for word in row["text"].split(" "):
            text += f"{word}\t{labels.get(start, 'O')}\n"
            start += len(word) + 1
        text += "\n"
    return written(path, text)


def write_squad(path: Path, rows: list[Row]) -> Path:
    """Write questions as SQuAD 2's JSON."""
    paragraphs = [
        {
            "context": row["context"],
            "qas": [
                {"id": row["id"], "question": row["question"], "is_impossible": not row["answers"]}
                | ({"answers": row["answers"]} if row["answers"] else {})
            ],
        }
        for row in rows
    ]
    data = {"version": "2.0", "data": [{"title": "", "paragraphs": paragraphs}]}
    return written(path, json.dumps(data, ensure_ascii=False))


@dataclass(frozen=True)
class Task:
    """A recipe, the rows of its three splits, and what it learns them with.

    Attributes:
        rows: of a split by its number; `names` renames the labels of those that have some.
        always: options that a later command on the same files needs too.
        learn: the other options of training.
    """

    recipe: str
    rows: Callable[..., list[Row]]
    always: str = ""
    learn: str = "--learning_rate 1e-3 --num_train_epochs 1"
    end: str = "jsonl"
    write: Callable[[Path, list[Row]], Path] = write_rows
    start: tuple[str, ...] = (*TINY,)

    def files(self, folder: Path | str = "", *splits: str) -> list[str]:
        """Return the options that read the files of `splits`, or of all, in `folder`."""
        place = f"{folder}/" if str(folder) else ""
        return [v for s in splits or SPLITS for v in (f"--{s}_file", f"{place}{s}.{self.end}")]

    def again(self, model: object) -> list[object]:
        """Return the command that goes on from `model`, without files."""
        options = ["--precision float32 --baselines false", *filter(None, [self.always])]
        return [self.recipe, "--model_name_or_path", model, *options]

    def write_files(self, folder: Path, **options: Any) -> None:
        """Write the rows of each split; `options` are those of `rows`."""
        for number, split in enumerate(SPLITS):
            self.write(folder / f"{split}.{self.end}", self.rows(number, **options))

    @property
    def train(self) -> list[str]:
        """The command that trains on the files of the folder in which it runs."""
        return [self.recipe, *self.start, *filter(None, [self.always, self.learn]), *self.files()]


def few(make: Callable[..., list[Row]], *counts: int) -> Callable[..., list[Row]]:
    """Return what makes so many rows of each split."""
    return lambda number, **names: make(number, counts[number], **names)


LONG_NAMES = tagged(4, 7, 60)
LONG_QUESTIONS = asked(4, 7, 70, last=True)


def ner_rows(number: int, **names: Any) -> list[Row]:
    """The test rows have texts of several windows among others."""
    if number < 2:
        return tagged(number, (96, 13)[number], (6, 5)[number], **names)
    return [*tagged(2, 4, 5, **names), *tagged(4, 7, 60, **names), *tagged(3, 5, 7, **names)]


def qa_rows(number: int) -> list[Row]:
    """As `ner_rows`, with answers in the last window."""
    if number < 2:
        return asked(number, (160, 15)[number], 8)
    return [*asked(2, 5, 6), *LONG_QUESTIONS, *asked(3, 4, 9)]


QUICK = f"--learning_rate 1e-2 --per_device_train_batch_size 8 --num_train_epochs 10 {NO_CHOICE[0]}"
WELL = "--learning_rate 1e-2 --per_device_train_batch_size 8 --num_train_epochs"
TASKS = {
    "doccls": Task("doccls", few(feelings, 96, 24, 24), learn=QUICK),
    "paircls": Task("paircls", few(pairs, 96, 24, 24), learn=QUICK),
    "similarity": Task("paircls", few(scored, 61, 20, 20), "--max_length 32"),
    "ner": Task(
        *("ner", ner_rows, "--max_length 24 --stride 4 --per_device_eval_batch_size 3"),
        *(f"{WELL} 6", "txt", write_conll),
    ),
    "qa": Task(
        *("qa", qa_rows, "--max_length 32 --stride 8 --per_device_eval_batch_size 3"),
        *(f"{WELL} 8", "json", write_squad),
    ),
    "search": Task("search", few(faq, 62, 20, 20)),
    "rerank": Task(
        "rerank",
        lambda n: without("negative", faq(n, (62, 20, 20)[n])),
        "--max_length 32 --rerank_depth 10",
    ),
    "generation": Task(
        *("generation", few(feelings, 48, 20, 20), "--max_new_tokens 8 --samples_per_prompt 2"),
        start=(*DECODER,),
    ),
}
