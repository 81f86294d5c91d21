"""Time and memory of loading large corpora: files of 1 and 10 million generated lines.

    python benchmarks/scale.py --rounds 3

Each measurement is a process of its own; only the call is timed, not the imports. `load` is
load_corpus from raw files into Arrow (checksums, splits carved by a hash), `reopen` the same call
again, `stream` the train rows of streaming=True in batches of 100 (in the first round alone);
`pyarrow.csv` and `Korpora.load_text` read the same lines into memory. Prints a table and writes
benchmarks/scale.json; ratios are within a round, and the median of the rounds is shown. Memory is
the peak resident set of the process, without shared pages, above what it held before the call.
"""

import argparse
import json
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checkout import commit

from nlpbook_data.data.corpus import find_corpus

ROOT = Path(__file__).resolve().parents[1]
CODE = {
    "load": "splits = load_corpus(name, root, cache); rows = sum(map(len, splits.values()))",
    "reopen": "splits = load_corpus(name, root, cache); rows = sum(map(len, splits.values()))",
    "stream": (
        "train = load_corpus(name, root, cache, streaming=True)['train']\n"
        "rows = sum(len(next(iter(batch.values()))) for batch in train.iter(100))"
    ),
    "pyarrow.csv": (
        "table = csv.read_csv(path, csv.ReadOptions(column_names=['text']),\n"
        "    csv.ParseOptions(delimiter='\\x1f', quote_char=False, ignore_empty_lines=False))\n"
        "rows = len(table)"
    ),
    "Korpora.load_text": "rows = len(load_text(path))",
}
YARDSTICKS = ("pyarrow.csv", "Korpora.load_text")
CORPORA = ["nsmc_raw", "kowikitext", "open_subtitles", "korquad-v2"]
CHILD = """
import json, sys, threading, time
import psutil, pyarrow
from pyarrow import csv
from Korpora.utils import load_text
from nlpbook_data import load_corpus
name, root, cache, path = sys.argv[1:]
process = psutil.Process()
before = peak = process.memory_info().rss
done = threading.Event()
def watch():
    global peak
    while not done.wait(0.02):
        # pages of mapped files belong to the system, which takes them back
        memory = process.memory_info()
        peak = max(peak, memory.rss - memory.shared)
before = peak = process.memory_info().rss - process.memory_info().shared
thread = threading.Thread(target=watch, daemon=True)
thread.start()
start = time.perf_counter()
{code}
seconds = time.perf_counter() - start
done.set()
thread.join()
print(json.dumps({{"seconds": seconds, "rows": rows, "mib": (peak - before) / 2**20}}))
"""
# 10,000 lines, drawn again and again with a number: as long as reviews and comments are
SYLLABLES = [chr(code) for code in range(ord("가"), ord("가") + 11_000, 7)]


def text_lines(count: int) -> Iterator[str]:
    """Yield distinct lines of 15 to 60 characters."""
    draw = random.Random(1)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 5))) for _ in range(5000)]
    sentences = [" ".join(draw.choices(words, k=draw.randint(4, 14))) for _ in range(10_000)]
    for number in range(count):
        yield f"{sentences[draw.randrange(10_000)]} {number}\n"


def wiki_lines(count: int) -> Iterator[str]:
    """Yield sections of a title, a blank line and seven lines of text."""
    for number, line in enumerate(text_lines(count)):
        if number % 10 == 0:
            yield f" = 문서 {number} =\n"
        elif number % 10 == 1:
            yield "\n"
        else:
            yield line


def tmx_lines(count: int) -> Iterator[str]:
    """Yield translation units of four lines."""
    yield '<?xml version="1.0" encoding="UTF-8" ?>\n<tmx version="1.4">\n<header srclang="en"/>\n'
    yield "  <body>\n"
    lines = text_lines(count)
    for number in range((count - 6) // 4):
        yield "    <tu>\n"
        yield f'      <tuv xml:lang="en"><seg>line {number}</seg></tuv>\n'
        yield f'      <tuv xml:lang="ko"><seg>{next(lines).strip()}</seg></tuv>\n'
        yield "    </tu>\n"
    yield "  </body>\n</tmx>\n"


def squad_pages(count: int) -> Iterator[str]:
    """Yield one JSON file of `count` pages of 1,000 lines, each with two questions."""
    lines = text_lines(count * 1000)
    yield '{"version": "KorQuAD_2.1", "data": ['
    for number in range(count):
        context = "".join(next(lines) for _ in range(1000))
        answer = {"text": context[5:9], "answer_start": 5}
        questions = [{"id": f"{number}-{n}", "question": "?", "answer": answer} for n in range(2)]
        page = {"title": "", "url": "", "context": context, "raw_html": "", "qas": questions}
        yield (", " if number else "") + json.dumps(page, ensure_ascii=False)
    yield "]}"


def corpus_files(name: str, lines: int) -> dict[str, Iterator[str]]:
    """Return what the files of `name` hold; the first is the large one, or the first of many."""
    corpus = find_corpus(name)
    train = corpus.splits["train"].files
    if name == "nsmc_raw":
        contents = {train[0]: text_lines(lines)}
    elif name == "kowikitext":
        contents = {train[0]: wiki_lines(lines)}
    elif name == "open_subtitles":
        contents = {train[0]: tmx_lines(lines)}
    else:  # pages of 1,000 lines, over all of the files
        contents = {file: squad_pages(round(lines / 1000 / len(train))) for file in train}
    small = {"kowikitext": wiki_lines, "korquad-v2": squad_pages}
    for file in corpus.splits["test"].files if "test" in corpus.splits else ():
        contents[file] = small[name](20)
    for file in corpus.splits["validation"].files:
        contents[file] = small[name](20)
    return contents


def write_corpus(root: Path, name: str, lines: int) -> tuple[Path, int]:
    """Write the corpus; return its first file and the bytes of all."""
    folder = find_corpus(name).folder(root)
    folder.mkdir(parents=True)
    contents = corpus_files(name, lines)
    for file, content in contents.items():
        with (folder / file).open("w", encoding="utf-8") as stream:
            stream.writelines(content)
    size = sum((folder / file).stat().st_size for file in contents)
    return folder / next(iter(contents)), size


def measure(way: str, name: str, root: Path, cache: Path, path: Path) -> dict[str, float]:
    command = [sys.executable, "-c", CHILD.format(code=CODE[way]), name, root, cache, path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", nargs="+", default=CORPORA, choices=CORPORA)
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="for the generated files, by default temporary")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "scale.json")
    options = parser.parse_args()
    results = []
    for name in options.corpora:
        ways = [way for way in CODE if name == "nsmc_raw" or way not in YARDSTICKS]
        for lines in options.lines:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                path, size = write_corpus(Path(folder), name, lines)
                rounds = []
                for number in range(options.rounds):
                    cache = Path(folder) / f"cache{number}"
                    timed = [way for way in ways if number == 0 or way != "stream"]
                    rounds.append(
                        {way: measure(way, name, Path(folder), cache, path) for way in timed}
                    )
                    shutil.rmtree(cache)
            for way in ways:
                of_way = [figures[way] for figures in rounds if way in figures]
                seconds = statistics.median(figures["seconds"] for figures in of_way)
                result = {"corpus": name, "lines": lines, "bytes": size, "way": way}
                result |= {"rows": of_way[0]["rows"], "seconds": round(seconds, 3)}
                result["rows_per_second"] = round(of_way[0]["rows"] / seconds)
                result["mib"] = round(max(figures["mib"] for figures in of_way))
                for other in YARDSTICKS:
                    if other in ways:
                        ratios = [
                            f[way]["seconds"] / f[other]["seconds"] for f in rounds if way in f
                        ]
                        result[f"times {other}"] = round(statistics.median(ratios), 2)
                results.append(result)
                sys.stdout.write(
                    f"{name:<16}{lines:>11,} lines  {way:<18}{result['rows']:>11,} rows "
                    f"{seconds:>8.2f} s {result['mib']:>6,} MiB"
                    f"{result.get('times Korpora.load_text', ''):>7} x load_text\n"
                )
                sys.stdout.flush()
    environment = {"python": platform.python_version(), "machine": platform.machine()}
    record = {"commit": commit(), "environment": environment, "rounds": options.rounds}
    record["results"] = results
    options.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
