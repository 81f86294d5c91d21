"""The command ``nlpbook-data``.

list | show | fetch | audit | convert | push | check | annotate | questions | prefetch | launch |
index | search | results | push-run
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, DatasetDict, Features, List

from nlpbook_data.data.corpus import find_corpus, find_splits, list_corpora, load_corpus, raw_hashes
from nlpbook_data.errors import InputError, first_line, shown
from nlpbook_data.inference.command_line import Parser, check_positive
from nlpbook_data.language import spoken
from nlpbook_data.outward import closable_stdout, complain, printable, set_up_outputs
from nlpbook_data.own_files.annotations import TOOLS, write_annotations
from nlpbook_data.own_files.options import REPEATED, Options
from nlpbook_data.own_files.schemas import SCHEMAS, read_examples
from nlpbook_data.reports.columns import in_columns

# Weights as safetensors, configuration, tokenizer, card: no pickle, no other framework's weights.
MODEL_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "README.md"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one message and exit status 1."""
    set_up_outputs()
    logging.getLogger("nlpbook_data").setLevel(logging.INFO)
    parser = _parser()
    options, rest = parser.parse_known_args(argv)
    if rest and options.run is not _prefetch:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        with closable_stdout():
            options.run(options)
    except InputError as error:
        complain(error)
        sys.exit(1)
    except OSError as error:
        complain(f"{error.filename or 'a file'}: {error.strerror or error}.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="nlpbook-data", description=spoken("Korean corpora by name."))
    commands = parser.add_subparsers(dest="command", required=True)

    def shared(*parents: Any) -> argparse.ArgumentParser:
        return Parser(add_help=False, parents=parents)

    def command(run: Callable, *parents: Any) -> Callable:
        """Add `run`, whose docstring is its help; return what adds an option to it."""
        lines = [spoken(line.strip()) for line in (run.__doc__ or "").splitlines() if line.strip()]
        added = commands.add_parser(
            run.__name__.strip("_").replace("_", "-"),
            parents=parents,
            description=" ".join(lines),
            help="".join(lines[:1]).rstrip("."),
        )
        added.set_defaults(run=run)
        return added.add_argument

    where, cache = shared(), shared()
    where.add_argument("--corpus_dir", help="folder of raw corpora, ~/Korpora")
    cache.add_argument("--cache_dir", help="folder of Arrow files, the cache of datasets")
    name = shared(where)
    name.add_argument("name", help="one of nlpbook-data list")
    rows = shared(name, cache)
    rows.add_argument("--splits", nargs="+", help="only these; all by default")
    rows.add_argument("--accept_files", action="store_true", help="whatever their checksums")
    rows.add_argument("--deduplicate", action="store_true", help="drop rows of train held out too")

    command(_list, where)
    option = command(_show, name)
    option("--rows", type=int, default=3, help="of each split")
    option = command(_fetch, where)
    option("names", nargs="+", metavar="name", help="one of nlpbook-data list")
    option("--splits", nargs="+", help="only these; optional ones by name")
    option = command(_audit, rows)
    option("--tokenizer_name", help="count its tokens too: a folder or a Hub name")
    option("--output_dir", type=Path, help="write audit.json and audit.html there")
    option = command(_convert, rows)
    option("--format", choices=["parquet", "jsonl"], default="parquet")
    option("--output_dir", type=Path, required=True)
    option = command(_push, rows)
    option("--repo_id", required=True, help="user/name")
    option("--private", action="store_true", help="only you see it")
    option = command(_check)
    option("file", type=Path)
    option("--task", required=True, help=", ".join([*SCHEMAS, "rerank"]))
    columns = {column for schema in SCHEMAS.values() for column in schema.all_columns}
    unnamed = {"id", "title", "question_type", "is_impossible"}  # by the recipes too
    for column in sorted(columns - unnamed):
        option(f"--{column}_column_name", dest=f"column {column}", metavar="NAME")
    option("--multi_label", nargs="?", const="true", default="false", help="several labels a row")
    option("--label_separator", default="|", help="between several labels in a cell")
    option("--sheet_name", help="of xlsx; by default the first")
    option(
        *("--scores",),
        **{"nargs": "?", "const": "true", "choices": ["true", "false"]},
        help="paircls: labels are numbers, or classes",
    )
    option("--positive_label", help="search: of pairs that answer; paircls: whose F1 counts")
    option("--ner_tag_names", nargs="+", metavar="TAG", help="what numbers in ner_tags stand for")
    option(
        "--repeated_answers", choices=REPEATED, default="refuse", help="qa, without answer_start"
    )
    option("--labels", nargs="+", help="the labels that there may be")
    option("--most", type=int, default=20, help="errors to show")
    option = command(_annotate)
    option("predictions", type=Path, help="predictions.jsonl of a run of doccls or ner")
    option("--tool", choices=TOOLS, required=True)
    option("--output", type=Path, required=True, help="the file for the tool to import")
    option = command(_questions)
    option("files", nargs="+", help="running text, a text a line, or tables with the column text")
    option("--output", type=Path, required=True, help="jsonl for recipes/qa.py --train_file")
    option("--per_sentence", type=int, default=2, help="questions tried a sentence")
    option("--longest", type=int, default=400, help="characters of a context")
    option("--seed", type=int, default=7)
    option = command(_prefetch)
    option("--config", required=True, help="a YAML of recipes/configs")
    option = command(_launch)
    option("--machines", type=int, default=1, help="so many get this command")
    option("--rank", type=int, default=0, help="of this machine, from 0")
    option("--head", default="127.0.0.1", help="the address of machine 0")
    option("--port", type=int, default=29500, help="a free one there")
    option("--devices", type=int, help="processes on each machine; by default its GPUs")
    option("--config_file", help="of recipes/accelerate, such as fsdp2.yaml")
    option("recipe", help="such as recipes/doccls.py")
    option("arguments", nargs=argparse.REMAINDER, help="the recipe's own")
    option = command(_index, where, cache)
    option("texts", nargs="?", help="a file, or one of nlpbook-data list")
    option("--model", help="a SentenceTransformer: a folder or a Hub name; without it BM25 alone")
    option("--output", type=Path, required=True, help="the index, a folder")
    option("--text_column_name", help="text in files; in a corpus its first")
    option("--sheet_name", help="of xlsx; by default the first")
    option("--id_column_name", help="your own ids: --add replaces, --delete deletes by them")
    option("--add", action="store_true", help="to an index that is there, what it lacks")
    option("--delete", nargs="+", metavar="ID", help="from an index that is there")
    option("--hybrid", action="store_true", help="keep morphemes for BM25 too")
    option("--bm25_k1", type=float, help="how much repeated words count")
    option("--bm25_b", type=float, help="how much long texts are held back, 0 to 1")
    option("--dictionary", help="words for Kiwi: word, tab, tag (NNP, NNG, …) a line")
    option("--to", choices=["folder", "qdrant"], default="folder", help="qdrant: its collection")
    option("--url", help="of a Qdrant server (a key by QDRANT_API_KEY)")
    option("--path", help="of a Qdrant folder, in place of a server")
    option("--collection", default="passages", help="its name there")
    option("--float16", action="store_true", help="half the disk, slower")
    option("--faiss", action="store_true", help="faster on 100,000 texts and more")
    option = command(_search)
    option("folder", type=Path, help="the index")
    option("query", help="in quotes")
    option("-k", type=int, default=10, help="hits, 10 by default")
    option("--model", help="where the model of the index is now")
    option("--hybrid", action="store_true", help="fused with BM25")
    option("--weight", type=float, help="of the vectors in it, 0 to 1; by default the model's")
    option("--rerank", metavar="MODEL", help="a model of recipes/rerank.py, or a cross-encoder")
    option("--rerank_depth", type=int, help="of the first hits, so many; 100")
    option("--exact", action="store_true", help="without FAISS")
    option = command(_results)
    option("folders", nargs="*", type=Path, metavar="folder", help="of runs, or that holds some")
    option("--compare", nargs=2, metavar=("A", "B"), help="models or runs; B may be a baseline")
    option("--metric", nargs="+", default=[], help="scores; by default each task's first")
    option("--format", choices=["table", "markdown", "csv", "json"], default="table")
    option("--figure", type=Path, help="draw the table there, such as results.png")
    option = command(_push_run)
    option("folder", type=Path, help="of a finished run")
    option("--hub_model_id", help="user/name; by default the folder's name, of the token's user")
    option("--hub_token", help="by default the one of hf auth login")
    option("--hub_private_repo", action="store_true", default=None, help="only you see it")
    option("--hub_revision", help="the branch, main by default")
    return parser


def _write(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")


def _say(line: str) -> None:
    _write(spoken(line))


def _list(options: argparse.Namespace) -> None:
    """List name, task, rows, licence, on disk or not."""
    head = ["name", "task", "rows", "licence", "commercial", "on disk", "title"]
    lines = [[*map(spoken, head)]]
    for name in list_corpora():
        corpus = find_corpus(name)
        counts = corpus.rows
        if corpus.packaged:
            counts = {split: len(rows) for split, rows in load_corpus(name).items()}
        needed = {split for split, s in corpus.splits.items() if s.files and not s.optional}
        rows = f"{sum(counts.values()):,}" if needed <= set(counts) else "?"
        words = ["yes" if corpus.commercial else "no", corpus.presence(options.corpus_dir)]
        row = [name, corpus.task, rows, corpus.license, *map(spoken, words), corpus.title]
        lines.append(row)
    _write(in_columns(lines, right=[2]))


def _show(options: argparse.Namespace) -> None:
    """Say what a corpus is, and show its first rows."""
    from nlpbook_data.data.publish import readable_rows

    corpus = find_corpus(options.name)
    _write(f"{corpus.name}: {corpus.title}")
    _say(
        f"task {corpus.task}; licence {corpus.license}"
        f"{'' if corpus.commercial else ' (no commercial use)'}"
    )
    _write(f"{corpus.homepage}\n{corpus.citation}".rstrip())
    for name, feature in corpus.features.items():
        _write(f"  {name}: {_describe(feature)}")
    folder = corpus.folder(options.corpus_dir)
    try:
        chosen = find_splits(corpus, options.corpus_dir)
    except InputError:
        chosen = []
    on_disk = chosen and not any(corpus.splits[split].missing(folder) for split in chosen)
    if not on_disk:
        _say(f"\nNot in {folder}: nlpbook-data fetch {corpus.name}")
        if corpus.by_hand:
            _write(corpus.by_hand)
    loaded = load_corpus(options.name, options.corpus_dir, splits=chosen) if on_disk else {}
    for split, declared in corpus.splits.items():
        count = f"{len(loaded[split]):,} rows, " if split in loaded else ""
        _say(f"\n{split}: {count}{declared.source}")
        if split in loaded:
            first = loaded[split].select(range(min(options.rows, len(loaded[split]))))
            for row in readable_rows(first):
                _write("  " + "\t".join(str(value)[:200] for value in row.values()))


def _describe(feature: Any) -> str:
    if isinstance(feature, ClassLabel):
        return f"label, {', '.join(feature.names)}"
    if isinstance(feature, List):
        return f"list of ({_describe(feature.feature)})"
    if isinstance(feature, dict | Features):
        return ", ".join(f"{name}: {_describe(part)}" for name, part in feature.items())
    return feature.dtype


def _fetch(options: argparse.Namespace) -> None:
    """Download the files that are missing, and check them."""
    for name in options.names:
        corpus = find_corpus(name)
        splits = options.splits or [
            s for s, declared in corpus.splits.items() if not declared.optional
        ]
        find_splits(corpus, options.corpus_dir, splits)  # an unknown split is said first
        hashes = raw_hashes(corpus, options.corpus_dir, splits=splits)
        _say(f"{corpus.name}: {len(hashes)} files in {corpus.folder(options.corpus_dir)}")
        for file, sha256 in hashes.items():
            size = (corpus.folder(options.corpus_dir) / file).stat().st_size
            _say(f"  {file}\t{size:,} bytes\tsha256 {sha256}")


def _load(options: argparse.Namespace) -> DatasetDict:
    return load_corpus(
        options.name,
        options.corpus_dir,
        options.cache_dir,
        accept_files=options.accept_files,
        splits=options.splits,
        deduplicate=options.deduplicate,
    )


def _audit(options: argparse.Namespace) -> None:
    """Count duplicates, leaks, labels, lengths and odd texts."""
    from nlpbook_data.audit import audit_corpus, format_audit, write_audit

    tokenizer = None
    if options.tokenizer_name:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                options.tokenizer_name, trust_remote_code=False
            )
        except Exception as error:  # the loader raises a dozen unrelated types
            name, said = options.tokenizer_name, first_line(error)
            raise InputError(
                f"{name}: no tokenizer could be loaded ({said}). Check the name."
            ) from error
    audit = audit_corpus(_load(options), find_corpus(options.name), tokenizer)
    _write(format_audit(audit))
    if options.output_dir:
        for path in write_audit(audit, options.output_dir):
            _write(f"{path}")


def _convert(options: argparse.Namespace) -> None:
    """Write parquet or jsonl, a file a split."""
    from nlpbook_data.data.publish import convert_corpus

    for path in convert_corpus(_load(options), options.output_dir, options.format):
        _say(f"{path}\t{path.stat().st_size:,} bytes")


def _push(options: argparse.Namespace) -> None:
    """Upload as a dataset repository with a card."""
    from nlpbook_data.data.publish import push_corpus

    corpus = find_corpus(options.name)
    _write(push_corpus(corpus, lambda: _load(options), options.repo_id, options.private))


def _check(options: argparse.Namespace) -> None:
    """Validate your own file and show its first errors."""
    from nlpbook_data.own_files.check import check_file, format_report

    columns = {
        option.removeprefix("column "): name
        for option, name in vars(options).items()
        if option.startswith("column ") and name
    }
    several = options.multi_label.lower() == "true"
    report = check_file(
        *(options.file, options.task, columns, options.most),
        label_names=options.labels,
        label_separator=options.label_separator if several else None,
        options=Options(options.sheet_name, options.ner_tag_names or (), options.repeated_answers),
        scores=None if options.scores is None else options.scores == "true",
        positive_label=options.positive_label,
    )
    _say(format_report(report))
    if not report.is_right:
        sys.exit(1)


def _annotate(options: argparse.Namespace) -> None:
    """Write a run's predictions for doccano or Label Studio, to correct them there."""
    rows, said = write_annotations(options.predictions, options.output, options.tool)
    _say(f"{options.output}: {rows:,} texts")
    _say(said)


def _questions(options: argparse.Namespace) -> None:
    """Make questions from plain text by rule, to train recipes/qa.py before your own questions."""
    from nlpbook_data.data.questions import make_questions
    from nlpbook_data.data.texts import TextArguments, stream_texts

    if options.output.exists():
        raise InputError(f"{options.output}: it is there already. Name another file.")
    texts = stream_texts(TextArguments(options.files), tell=True)
    rows = make_questions(texts, options.longest, options.per_sentence, options.seed)
    partial = options.output.with_name(options.output.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    count, without = 0, 0
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count, without = count + 1, without + row["is_impossible"]
    if not count:
        partial.unlink()
        raise InputError("No question can be made: sentences need neighbours. Name more text.")
    partial.replace(options.output)
    _say(f"{options.output}: {count:,} questions, {without:,} of them without an answer")


def _prefetch(options: argparse.Namespace) -> None:
    """Fetch model and data of a recipe's YAML, for machines without a network.

    Any option of the recipe may follow, such as --corpus_dir.
    """
    from datasets import load_dataset
    from huggingface_hub import snapshot_download

    from nlpbook_data.training.arguments import PACKAGE_PREFIX, DataArguments, ModelArguments, parse

    data_args, model_args = parse(
        options.config,
        DataArguments,
        ModelArguments,
        argv=["--config", options.config, *options.rest],
        partial=True,
    )
    for name in dict.fromkeys([model_args.model_name_or_path, model_args.tokenizer_name]):
        if name and not name.startswith(PACKAGE_PREFIX) and not Path(name).expanduser().exists():
            try:
                folder = snapshot_download(
                    name, revision=model_args.model_revision, allow_patterns=MODEL_FILES
                )
            except Exception as error:  # the client raises a dozen unrelated types
                said = first_line(error)
                raise InputError(
                    f"{name}: could not be fetched ({said}). Check the name and the network."
                ) from error
            weights = [file for file in os.listdir(folder) if file.endswith(".safetensors")]
            _say(f"{name}: {folder}{'' if weights else ' (no safetensors weights)'}")
    if data_args.corpus:
        splits = load_corpus(data_args.corpus, data_args.corpus_dir, data_args.cache_dir)
    elif data_args.dataset_name:
        splits = load_dataset(
            data_args.dataset_name, data_args.dataset_config_name, cache_dir=data_args.cache_dir
        )
    else:
        return
    rows = ", ".join(f"{split} {len(rows):,}" for split, rows in splits.items())
    _say(f"{data_args.corpus or data_args.dataset_name}: {rows} rows")


def _launch(options: argparse.Namespace) -> None:
    """Train on this machine, one of several, as accelerate launch does."""
    from nlpbook_data.starting import start

    words = [options.recipe, *options.arguments]
    place = (options.machines, options.rank, options.head, options.port)
    sys.exit(start(words, *place, options.devices, options.config_file))


def _index(options: argparse.Namespace) -> None:
    """Make a search engine over the texts of a file or a corpus.

    Texts are the lines of a .txt file, a column of a table, or the first texts of a corpus' rows.
    Each text counts once, with the other columns of its first row.
    With a column of ids each row counts, also where texts are equal.
    """
    from nlpbook_data.search.index import SearchIndex, import_faiss

    if options.faiss:
        import_faiss()  # before hours of encoding
    made = {
        "hybrid": options.hybrid or None,
        "dtype": "float16" if options.float16 else None,
        "k1": options.bm25_k1,
        "b": options.bm25_b,
        "dictionary": options.dictionary,
        "id_column": options.id_column_name,
    }
    made = {name: value for name, value in made.items() if value is not None}
    there = options.add or options.delete
    if there and made:
        raise InputError(
            "--hybrid, --float16, --bm25_k1, --bm25_b, --dictionary and --id_column_name are of a "
            "new index. Leave them out."
        )
    if options.texts is None and not options.delete:
        raise InputError("Nothing names the texts. Write a file or the name of a corpus.")
    if options.to == "qdrant":
        _index_qdrant(options, made)
        return
    changed = (0, 0)
    if there:
        index = SearchIndex.load(options.output, options.model)
        if options.delete:
            index.delete(options.delete)
        if options.texts:
            rows = _rows(options, by_text=index.manifest.id_column is None)
            known = set() if index.manifest.id_column else set(index.texts())
            rows = [row for row in rows if row["text"] not in known]
            changed = index.add(rows) if rows else changed
    else:
        rows = _rows(options, by_text=options.id_column_name is None)
        index = SearchIndex.build(options.output, rows, options.model, **made)
        changed = len(index), 0
    if options.faiss:
        index.add_faiss()
    size = sum(path.stat().st_size for path in options.output.rglob("*") if path.is_file())
    new = f"{changed[0]:,} new{f', {changed[1]:,} replaced' if changed[1] else ''}"
    _say(f"{options.output}: {len(index):,} texts ({new}), {size:,} bytes")


def _index_qdrant(options: argparse.Namespace, made: dict[str, Any]) -> None:
    from nlpbook_data.search.qdrant import QdrantIndex

    if options.add or options.delete or options.float16 or options.faiss or options.id_column_name:
        raise InputError(
            "--add, --delete, --id_column_name, --float16 and --faiss are of an index in a folder. "
            "Leave them out; a collection is changed by Qdrant's own client."
        )
    if bool(options.url) == bool(options.path):
        raise InputError("--to qdrant needs --url of a server or --path of a folder: one of them.")
    made.pop("hybrid", None)  # it always is
    place = {"url": options.url, "path": options.path, "collection": options.collection}
    rows = _rows(options, by_text=True)
    index = QdrantIndex.build(options.output, rows, options.model, **place, **made)
    _say(f"{options.output}: {len(index):,} texts in {options.url or options.path}")


def _rows(options: argparse.Namespace, by_text: bool) -> list[dict[str, Any]]:
    """Return the rows; of equal texts the first alone, where rows are told apart by them."""
    if not by_text:
        return list(_texts(options))
    rows: dict[str, dict[str, Any]] = {}
    differ = sum(rows.setdefault(row["text"], row) != row for row in _texts(options))
    if differ:
        _say(
            f"{differ:,} rows are left out: an earlier row has the same text and other columns. "
            "In a folder each row is kept if --id_column_name names your ids."
        )
    return list(rows.values())


def _texts(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows; what is searched stands under ``text``, other columns under their names."""
    from nlpbook_data.data.publish import readable_rows

    path, column = Path(options.texts), options.text_column_name
    if path.suffix or path.is_file():
        columns = {"text": column} if column else None
        reading: dict[str, Any] = {"others": True, "options": Options(options.sheet_name)}
        yield from (row for _, row in read_examples(path, "pretrain", columns, **reading))
        return
    column = column or find_corpus(options.texts).texts[0]
    for dataset in load_corpus(options.texts, options.corpus_dir, options.cache_dir).values():
        if column not in dataset.column_names:
            raise InputError(
                f"{options.texts} has no column {column!r}; the columns are "
                f"{shown(dataset.column_names)}. Check --text_column_name."
            )
        for row in readable_rows(dataset):
            text = row.pop(column)
            if text.strip():
                yield row | {"text": text}


def _search(options: argparse.Namespace) -> None:
    """Ask a search engine that index made."""
    from nlpbook_data.search.index import SearchIndex

    index: Any
    if (options.folder / "qdrant.json").is_file():
        from nlpbook_data.search.qdrant import QdrantIndex

        index = QdrantIndex.load(options.folder, options.model)
    else:
        index = SearchIndex.load(options.folder, options.model)
    if options.rerank_depth is not None and not options.rerank:
        raise InputError("--rerank_depth is of --rerank. Name its model, or leave it out.")
    if options.weight is not None and not options.hybrid:
        raise InputError("--weight is of --hybrid. Pass both, or leave it out.")
    check_positive(options, "rerank_depth")
    search, how = index.search, {"hybrid": options.hybrid, "exact": options.exact}
    if options.rerank:
        from nlpbook_data.search.reranking import open_reranker, search_reranked

        search = partial(search_reranked, open_reranker(options.rerank), index)
        how["depth"] = options.rerank_depth or 100
    (hits,) = search([options.query], options.k, weight=options.weight, **how)
    if not hits:
        sys.stderr.write(spoken("No text has a word of the query.") + "\n")
    for hit in hits:
        others = {name: value for name, value in hit.row.items() if name != "text"}
        more = "\t" + json.dumps(others, ensure_ascii=False, default=str) if others else ""
        _write(f"{hit.score:.4f}\t{hit.id}\t{' '.join(hit.text.split())}{more}")


def _results(options: argparse.Namespace) -> None:
    """Put finished runs into a table of models and tasks, and test one against another.

    Scores are of test, as mean and spread over seeds.
    Two runs are compared row by row.
    Where rows are right or wrong, by McNemar's exact test; else by exchanging them at random.
    """
    from nlpbook_data.reports import results

    runs = [Path(name) for name in options.compare or () if (Path(name) / "run.json").is_file()]
    if not options.folders and not runs:
        raise InputError("No folder of a run is named. Name some, such as outputs/*.")
    given = {folder.resolve(): folder for folder in [*options.folders, *runs]}
    entries = results.read_runs(given.values())
    columns = results.columns_of(entries, options.metric)
    rows, tests = results.cells(entries, columns), []
    if options.compare:
        a, b = options.compare
        tests = results.compare(entries, a, b, options.metric)
    lines = results.table(entries, columns, linked=options.format == "markdown")
    tested = results.comparison_lines(tests)
    if options.format == "json":
        _write(json.dumps({"results": rows, "tests": tests}, ensure_ascii=False, indent=1))
    elif options.format == "csv":
        _write(results.as_csv(tests or rows))
    else:
        markdown = options.format == "markdown"
        write: Callable = results.as_markdown if markdown else in_columns
        _write(write(lines, 2 if markdown else range(1, len(lines[0]))))
        if tests:
            _write("\nA: {}, B: {}\n".format(*options.compare))
            _write(write(tested, 1 if markdown else range(3, 10)))
    if options.figure:
        from nlpbook_data.reports.plots import plot_results

        if options.figure.suffix not in (".png", ".pdf", ".svg"):
            raise InputError(f"--figure {options.figure}: name a .png, .pdf or .svg.")
        options.figure.parent.mkdir(parents=True, exist_ok=True)
        plot_results(rows, options.figure)


def _push_run(options: argparse.Namespace) -> None:
    """Push a finished run to the Hub: its model, card, scores and plots."""
    from nlpbook_data.reports.push import push_finished

    _write(
        push_finished(
            options.folder,
            repo_id=options.hub_model_id,
            token=options.hub_token,
            private=options.hub_private_repo,
            revision=options.hub_revision,
        )
    )


if __name__ == "__main__":
    main()
