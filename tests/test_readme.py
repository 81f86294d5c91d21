"""Every command of both READMEs, as it stands there, in order, in one folder of a new user.

The Hub is a double that holds tiny models under the names that the READMEs use; the corpora are
a few rows in their official layouts. `.ci/run` runs the two commands that install.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
import transformers
from conftest import REPOSITORY
from hub_double import HubDouble, Repo
from saved import pretrained
from writing import kogpt2, write_rows

FIXTURES = Path(__file__).parent / "corpora" / "fixtures"
READMES = {name: REPOSITORY / name for name in ("README.md", "README.ko.md")}
WORDS = "배우 연기 음악 영화 최고 정말 재미 감동 별로 지루 서울 부산 한강 학교 도서관".split()


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page, without comments."""
    found = re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)
    return [re.sub(r"(?m)(^|\s+)# .*$", "", block).strip() for block in found]


def commands(path: Path) -> list[str]:
    """Each command of the page's bash blocks, its continued lines in one."""
    text = "\n".join(blocks(path, "bash")).replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("language", ["bash", "powershell", "python"])
def test_both_readmes_show_the_same_code(language):
    english, korean = (blocks(path, language) for path in READMES.values())
    assert english == korean


def test_both_readmes_show_the_same_pictures_and_say_what_they_show():
    image = re.compile(r"!\[(.*?)\]\((docs/\S+?)\)")
    found = [image.findall(path.read_text("utf-8")) for path in READMES.values()]
    assert [[name for _, name in pictures] for pictures in found] == [
        ["docs/summary.png", "docs/demo.png"]
    ] * 2
    for words, name in sum(found, []):
        assert len(words) > 20 and (REPOSITORY / name).stat().st_size < 150_000


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_every_command_runs_as_it_stands(new_user, user_files):
    folder, env = new_user
    path, failed = READMES["README.md"], []
    assert commands(path) == commands(READMES["README.ko.md"])
    # of the two that install, what follows; the tests are running
    plain = [c.rpartition("&& .venv/bin/")[2] for c in commands(path)]
    lines = [["bash", "-ec", command] for command in plain if command != "pytest"]
    assert len(lines) > 30
    for line in [*lines, *([sys.executable, "-c", code] for code in blocks(path, "python"))]:
        done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True)
        said = done.stdout + done.stderr
        if done.returncode != 0 or "Traceback" in said or "defaults used instead" in said:
            failed.append(f"{line[2]}\n{said[-1500:]}")
    assert not failed, "\n\n".join(failed)


@pytest.fixture
def new_user(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder of a clone, and an environment with the double and the small corpora."""
    folder, home = tmp_path / "clone", tmp_path / "home"
    folder.mkdir()
    for name in ("recipes", "nlpbook_data", "constraints.txt"):
        (folder / name).symlink_to(REPOSITORY / name)
    lay_out_corpora(home / "Korpora")
    with HubDouble() as hub:
        for name in ("beomi/kcbert-base", "klue/bert-base", "klue/roberta-base"):
            hub.repos[name] = Repo(name, files=encoder(tmp_path / name))
        name = "skt/kogpt2-base-v2"
        hub.repos[name] = Repo(name, files=kogpt2(tmp_path / name))
        hub.repos["klue/klue"] = Repo("klue/klue", "dataset", files=ynat())
        env = hub.env(home / "hf")
        binaries = str(Path(sys.executable).parent)
        env |= {"ACCELERATE_LOG_LEVEL": "error"}  # as the first command exports
        env |= {"HOME": str(home), "PATH": f"{binaries}{os.pathsep}{env['PATH']}"}
        yield folder, env


def encoder(folder: Path) -> dict[str, bytes]:
    pretrained(folder, auto="AutoModelForMaskedLM")
    as_kcbert = {"model_max_length": 300}
    transformers.AutoTokenizer.from_pretrained(folder, **as_kcbert).save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def ynat() -> dict[str, bytes]:
    features = datasets.Features(
        title=datasets.Value("string"), label=datasets.ClassLabel(names=["정치", "경제"])
    )
    files = {}
    for split in ("train", "validation"):
        rows = [{"title": f"{n} {WORDS[n % 15]}", "label": n % 2} for n in range(60)]
        held = io.BytesIO()
        datasets.Dataset.from_list(rows, features=features).to_parquet(held)
        files[f"ynat/{split}.parquet"] = held.getvalue()
    front = (
        "---\nconfigs:\n- config_name: ynat\n  data_files:\n"
        "  - split: train\n    path: ynat/train.parquet\n"
        "  - split: validation\n    path: ynat/validation.parquet\n---\n"
    )
    return files | {"README.md": front.encode()}


def sentence(number: int) -> str:
    return f"{number}번째 {WORDS[number % 15]} {WORDS[number * 7 % 15]} 좋다"


def questions(count: int) -> dict:
    articles = []
    for n in range(count):
        context = f"{sentence(n)}. {WORDS[n % 15]}은 서울에 있다. " * 3
        asked = {
            "id": f"q{n}",
            "question": f"{n}번째 {WORDS[n % 15]}은 어디에 있나?",
            "answers": [{"text": "서울", "answer_start": context.index("서울에")}],
        }
        paragraph = {"context": context, "qas": [asked]}
        articles.append({"title": f"글 {n}", "paragraphs": [paragraph]})
    return {"version": "1.0", "data": articles}


def lay_out_corpora(root: Path) -> None:
    """A few rows of each corpus that the READMEs name; a manifest vouches for its files."""
    files: dict[str, str] = {}
    for name in ("kornli", "klue-ner", "kcbert"):
        for path in (FIXTURES / name).iterdir():
            files[f"{name}/{path.name}"] = path.read_text(encoding="utf-8")
    for split, count in (("train", 200), ("test", 40)):
        lines = (f"{n}\t{sentence(n)} {split}\t{n % 2}" for n in range(count))
        files[f"nsmc/ratings_{split}.txt"] = "\n".join(["id\tdocument\tlabel", *lines]) + "\n"
    for split, count in (("train", 40), ("dev", 120)):
        pairs = [
            {
                "guid": f"klue-nli-v1_{split}_{n:05}",
                "source": "policy",
                "premise": sentence(n),
                "hypothesis": sentence(n + 1),
                "gold_label": ["entailment", "neutral", "contradiction"][n % 3],
            }
            for n in range(count)
        ]
        files[f"klue-nli/klue-nli-v1.1_{split}.json"] = json.dumps(pairs, ensure_ascii=False)
        file = f"korquad-v1/KorQuAD_v1.0_{split}.json"
        files[file] = json.dumps(questions(count), ensure_ascii=False)
    for split, count in (("train", 120), ("val", 30)):
        words = [WORDS[n % 15] for n in range(count)]
        lines = (f"{n} {w}에 간다.␞{n} <{w}:LOC>에 간다." for n, w in enumerate(words))
        files[f"ner/{split}.txt"] = "\n".join(lines) + "\n"
    held: dict[str, dict] = {}
    for name, text in files.items():
        path, data = root / name, text.encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        held.setdefault(path.parent.name, {})[path.name] = entry
    for folder, entries in held.items():
        (root / folder / "manifest.json").write_text(json.dumps({"files": entries}))


@pytest.fixture
def user_files(new_user: tuple[Path, dict[str, str]]) -> None:
    """What the READMEs call the user's own files."""
    folder, rows = new_user[0], range(80)

    def csv(name: str, head: str, lines: Iterator[str]) -> None:
        (folder / name).write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")

    csv("reviews.csv", "본문,분류", (f"{sentence(n)},{'좋음 나쁨'.split()[n % 2]}" for n in rows))
    csv("new.csv", "text", (sentence(n) for n in rows))
    csv(
        "faq.csv", "번호,질문,답변", (f"{n},{sentence(n)}?,{sentence(n + 1)}" for n in range(1, 40))
    )
    csv("pairs.csv", "sentence1,sentence2,label", (f"{sentence(n)},{n},{n % 2}" for n in rows))
    tags = [{"text": sentence(n), "label": [["연기"], [], ["연기", "음악"]][n % 3]} for n in rows]
    write_rows(folder / "tags.jsonl", tags)
    lines = (f"{WORDS[n % 15]}\tB-LOC\n에\tO\n{n}\tO\n" for n in rows)
    (folder / "train.tsv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "mine.tsv").write_text((folder / "train.tsv").read_text("utf-8"), encoding="utf-8")
    (folder / "train.json").write_text(json.dumps(questions(60), ensure_ascii=False), "utf-8")
    talk = [{"question": f"{sentence(n)} ?", "answer": sentence(n + 3)} for n in rows]
    write_rows(folder / "talk.jsonl", talk)
    many = "\n".join(f"{sentence(n)} {sentence(n * 5 + 2)}" for n in range(600))
    (folder / "talk.txt").write_text(many + "\n", encoding="utf-8")
    (folder / "passages.txt").write_text("\n".join(map(sentence, rows)) + "\n", encoding="utf-8")
