"""Count what a corpus holds: one pass over Arrow batches, never all texts in memory.

For each row it keeps the row number, a digest and a length of each text, and a number for each
label. pyarrow groups and joins these (at most 170 bytes a row, if all texts differ). Digests have
64 bits: among n different texts two digests are equal with a probability of n² / 2⁶⁵. That is 3 in
10¹⁰ for 100,000 rows and 3 in 10⁴ for 100 million, so in practice the counts are exact. Texts are
equal as in `splits`: the same after NFC and stripping.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, List, Value
from tqdm.auto import tqdm

from nlpbook_data.audit.figures import (
    FINDINGS,
    FLOAT_CONFLICT,
    MOST_EXAMPLES,
    Audit,
    Balance,
    Conflict,
    Copies,
    Copy,
    Disputed,
    Example,
    Finding,
    Lengths,
    Overlap,
    SplitAudit,
    Vote,
)
from nlpbook_data.audit.odd import CHARACTERS, find_odd, show
from nlpbook_data.corpora.declaration import Corpus
from nlpbook_data.data.splits import plain

LIMITS = (128, 256, 512)
BINS = 30
# A batch has at most this many rows, and about this many bytes.
BATCH_ROWS = 10_000
BATCH_BYTES = 16_000_000
# A text is very long if it has this many times the characters of the median text.
VERY_LONG = 10
# Columns that say what is asked about the text: if they differ, equal texts are no conflict.
GIVEN = ("subject", "object")


@dataclass
class _Scan:
    """What one pass over a split gathers.

    `figures` has a row for each row of the split. Its columns are ``place`` (counted over all
    splits, from `first`), ``text NAME`` and ``given NAME`` (digests), ``length NAME``, ``tokens``
    and ``label NAME``. The last is a number, the digest of a label that is not one number, or null
    without a label.
    """

    dataset: Dataset
    first: int
    targets: list[str]
    figures: pa.Table
    findings: dict[str, Finding]


def audit_corpus(splits: DatasetDict, corpus: Corpus, tokenizer: Any = None) -> Audit:
    """Count what the rows of `splits` hold.

    Args:
        splits: any splits, whether `corpus` declares them or not; further columns do no harm.
        corpus: tells which columns are the texts of a model's input.
        tokenizer: a tokenizer of transformers, to count the tokens of an input: both texts of a
            pair, special tokens included, NFC-normalised as in the recipes.
    """
    texts = corpus.texts
    total = sum(map(len, splits.values()))
    scans: dict[str, _Scan] = {}
    with tqdm(total=total, unit=" rows", desc=corpus.name, delay=2, disable=None) as bar:
        for split, rows in splits.items():
            first = sum(len(scan.dataset) for scan in scans.values())
            scans[split] = _scan(rows, first, texts, tokenizer, bar)
    everything = pa.concat_tables(
        [scan.figures for scan in scans.values()],
        promote_options="default",  # a split without a label has null
    )
    lengths = [f"length {column}" for column in texts] + ["tokens"] * bool(tokenizer)
    edges = {name: _edges(everything[name].to_numpy()) for name in lengths}
    targets = list(dict.fromkeys(column for scan in scans.values() for column in scan.targets))
    borders = {
        column: _float_edges(everything[f"label {column}"].drop_null().to_numpy())
        for column in targets
        if pa.types.is_floating(everything[f"label {column}"].type)
    }
    audits = {}
    for split, scan in scans.items():
        found = {
            name: _lengths(scan.figures[name].to_numpy(), edges[name], LIMITS * (name == "tokens"))
            for name in lengths
        }
        audits[split] = SplitAudit(
            rows=len(scan.dataset),
            source=corpus.splits[split].source if split in corpus.splits else "",
            copies=_copies(scan, texts),
            labels={column: _balance(scan, column, borders.get(column)) for column in scan.targets},
            conflicts={
                column: _conflict(scan.figures, scans, texts, column) for column in scan.targets
            },
            characters={column: found[f"length {column}"] for column in texts},
            tokens=found.get("tokens"),
            findings={name: finding for name, finding in scan.findings.items() if finding.rows},
        )
    return Audit(
        name=corpus.name,
        title=corpus.title,
        task=corpus.task,
        license=corpus.license,
        commercial=corpus.commercial,
        homepage=corpus.homepage,
        texts=list(texts),
        tokenizer=_name(tokenizer) if tokenizer else "",
        splits=audits,
        overlaps=_overlaps(scans, texts),
        conflicts={column: _conflict(everything, scans, texts, column) for column in targets},
    )


def _name(tokenizer: Any) -> str:
    """Return the tokenizer's name on the Hub, or its folder's without the path."""
    name = str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)
    return Path(name).resolve().name if Path(name).is_dir() else name


# One pass over a split


def _scan(dataset: Dataset, first: int, texts: Sequence[str], tokenizer: Any, bar: tqdm) -> _Scan:
    findings = {name: Finding() for name in FINDINGS}
    targets, batches = _target_columns(dataset, texts), []
    for start, table in _tables(dataset):
        columns = {column: table[column].fill_null("").combine_chunks() for column in texts}
        batch = {"place": np.arange(first + start, first + start + len(table))}
        for column, values in columns.items():
            batch[f"length {column}"] = pc.utf8_length(values)
            batch[f"text {column}"] = _read_texts(findings, start, values)
        for column in GIVEN:
            if column in table.column_names:
                batch[f"given {column}"] = _digests(map(_canonical, table[column].to_pylist()))
        for column in targets:
            batch[f"label {column}"] = _read_target(dataset.features[column], table[column])
        if tokenizer:
            inputs = [values.to_pylist() for values in columns.values()]
            batch["tokens"] = _count_tokens(findings["unknown_token"], start, inputs, tokenizer)
        _find_span_faults(findings, start, table, texts)
        batches.append(pa.table(batch))
        bar.update(len(table))
    scan = _Scan(dataset, first, targets, pa.concat_tables(batches), findings)
    _find_equal_sides(scan, texts)
    for column in texts:
        _find_very_long(scan, column)
    return scan


def _tables(dataset: Dataset) -> Iterator[tuple[int, pa.Table]]:
    """Yield the rows in batches; a dataset without rows is one batch."""
    width = dataset.data.nbytes / max(len(dataset.data), 1)
    step = int(min(max(BATCH_BYTES / max(width, 1), 1), BATCH_ROWS))
    arrow = dataset.with_format("arrow")
    for start in range(0, max(len(dataset), 1), step):
        yield start, arrow[start : start + step]


def _digests(texts: Iterable[str]) -> np.ndarray:
    """Return the first 64 bits of each text's BLAKE2b."""
    digests = b"".join(hashlib.blake2b(t.encode(), digest_size=8).digest() for t in texts)
    return np.frombuffer(digests, "<u8")


def _canonical(value: Any) -> str:
    """Return the JSON of `value`; the order of a list does not matter."""
    if isinstance(value, list):
        return json.dumps(sorted(map(_canonical, value)))
    return json.dumps(value, sort_keys=True, default=str)


def _read_texts(findings: dict[str, Finding], start: int, column: pa.Array) -> np.ndarray:
    """Find odd passages in a column of texts; return the digests of the plain texts."""
    texts = column.to_pylist()
    plains = [plain(text) for text in texts]
    lengths = np.fromiter(map(len, texts), int, len(texts))
    plain_lengths = np.fromiter(map(len, plains), int, len(texts))
    has_edge = pc.not_equal(pc.utf8_trim_whitespace(column), column)
    shapes = {
        "empty": lengths == 0,
        "blank": (lengths > 0) & (plain_lengths == 0),
        "blank_edge": (plain_lengths > 0) & has_edge.to_numpy(zero_copy_only=False),
        "one_character": plain_lengths == 1,
        "not_NFC": [not unicodedata.is_normalized("NFC", text) for text in texts],
    }
    for name, mine in shapes.items():
        rows = np.flatnonzero(mine)
        findings[name].add(rows + start, (show(texts[row]) for row in rows))
    for kind, places in find_odd(column):
        found = findings[kind]
        examples = (show(texts[row], *spans[0]) for row, spans in places.items())
        found.add([row + start for row in places], examples, sum(map(len, places.values())))
        if kind in CHARACTERS and places:
            points = (texts[row][first] for row, spans in places.items() for first, _ in spans)
            counts = Counter(found.characters) + Counter(f"U+{ord(c):04X}" for c in points)
            found.characters = dict(counts.most_common())
    return _digests(plains)


def _count_tokens(
    unknown: Finding, start: int, columns: Sequence[list[str]], tokenizer: Any
) -> np.ndarray:
    """Return the token counts of the model's inputs; columns after the second join the second."""
    first, *rest = ([unicodedata.normalize("NFC", text) for text in column] for column in columns)
    pairs = [[" ".join(texts) for texts in zip(*rest, strict=True)]] if rest else []
    options = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    ids = tokenizer(first, *pairs, **options)["input_ids"] if first else []
    missing = np.array([row.count(tokenizer.unk_token_id) for row in ids], int)
    rows = np.flatnonzero(missing)
    examples = (" ⏐ ".join(show(texts[row]) for texts in columns) for row in rows)
    unknown.add(rows + start, examples, missing.sum())
    return np.fromiter(map(len, ids), np.int32, len(ids))


def _find_equal_sides(scan: _Scan, texts: Sequence[str]) -> None:
    """Count the pairs whose two texts are equal."""
    if len(texts) > 1:
        first, *others = (scan.figures[f"text {column}"].to_numpy() for column in texts)
        rows = np.flatnonzero(np.all([first == other for other in others], axis=0))
        examples = (show(scan.dataset[int(row)][texts[0]] or "") for row in rows)
        scan.findings["equal_sides"].add(rows, examples)


def _find_very_long(scan: _Scan, column: str) -> None:
    """Count the texts that are far longer than the median; the examples are the longest ones."""
    lengths = scan.figures[f"length {column}"].to_numpy()
    bound = VERY_LONG * _percentiles(lengths, [50])[0]
    rows = np.flatnonzero(lengths > bound) if bound else np.array([], int)
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    examples = (f"{lengths[row]:,}: {show(scan.dataset[int(row)][column])}" for row in rows)
    scan.findings["very_long"].add(rows, examples)


# Spans


def _find_span_faults(
    findings: dict[str, Finding], start: int, table: pa.Table, texts: Sequence[str]
) -> None:
    """Check all character positions: of entities, answers, the subject and object of a relation."""
    spans = [c for c in ("entities", "answers", *GIVEN) if c in table.column_names]
    if not spans:
        return
    rows = table.select(dict.fromkeys([texts[0], *spans])).to_pylist()
    for number, row in enumerate(rows, start):
        faults = list(_span_faults(row[texts[0]] or "", row))
        counts = Counter(name for name, _ in faults)
        for name, example in dict(reversed(faults)).items():
            findings[name].add([number], [example], counts[name])


def _span_faults(text: str, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each fault, and an excerpt that shows it."""
    before = 0
    for start, end in sorted((e["start"], e["end"]) for e in row.get("entities") or []):
        if not 0 <= start < end <= len(text):
            yield "span_out_of_range", show(text, max(start, 0), max(end, 0))
            continue
        if text[start:end] != text[start:end].strip():
            yield "span_with_blank_edge", show(text, start, end)
        if start < before:
            yield "spans_overlap", show(text, start, end)
        before = max(before, end)
    for answer in row.get("answers") or []:
        word, start = answer["text"], answer["answer_start"]
        end = start + len(word)
        if not word or start < 0 or text[start:end] != word:
            yield "answer_not_at_start", f"{show(word)} ({start})"
        elif word != word.strip():
            yield "answer_with_blank_edge", show(text, start, end)
    for span in filter(None, map(row.get, GIVEN)):
        if text[span["start"] : span["end"]] != span["text"]:
            place = f"{show(span['text'])} ({span['start']}–{span['end']})"
            yield "span_is_another_text", place


# Labels


def _target_columns(dataset: Dataset, texts: Sequence[str]) -> list[str]:
    """Return the columns that a model predicts."""
    return [
        column
        for column, feature in dataset.features.items()
        if column not in texts
        and (
            column in ("label", "labels", "entities", "answers")
            or isinstance(getattr(feature, "feature", feature), ClassLabel)
        )
    ]


def _read_target(feature: Any, values: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a number for each label: equal labels have equal numbers, no label is null."""
    if isinstance(feature, ClassLabel):
        return pc.if_else(pc.less(values, 0), None, values)
    if isinstance(feature, Value) and "float" in feature.dtype:
        return pc.if_else(pc.is_nan(values), None, values).cast(pa.float64())
    digests = _digests(map(_canonical, values.to_pylist()))
    return pa.array(digests, mask=values.is_null().to_numpy())


def _balance(scan: _Scan, column: str, borders: np.ndarray | None) -> Balance:
    """Count the labels; `borders` are the edges of the bins of a float label."""
    feature = scan.dataset.features[column]
    labels = scan.figures[f"label {column}"]
    if borders is not None:
        counts = np.histogram(labels.drop_null().to_numpy(), borders)[0].tolist()
        names = [f"{a:g}–{b:g}" for a, b in zip(borders, borders[1:], strict=False)]
        return Balance("values", dict(zip(names, counts, strict=True)), labels.null_count)
    values = scan.dataset.select_columns([column]).with_format("arrow")[:][column]
    none = labels.null_count
    if column == "answers":
        answerable = pc.sum(pc.greater(pc.list_value_length(values), 0)).as_py() or 0
        counts = {"answerable": answerable, "unanswerable": len(values) - answerable}
        return Balance("answers", counts, none)
    if isinstance(feature, List):
        if column == "entities":
            none += pc.sum(pc.equal(pc.list_value_length(values), 0)).as_py() or 0
        values, feature = pc.list_flatten(values), feature.feature
    if column == "entities":
        values, feature = pc.struct_field(values, "label"), feature["label"]
    counts = Counter(
        {pair["values"]: pair["counts"] for pair in pc.value_counts(values.drop_null()).to_pylist()}
    )
    if isinstance(feature, ClassLabel):
        named = {name: counts[number] for number, name in enumerate(feature.names)}
    else:
        named = {show(str(value)): count for value, count in counts.most_common(30)}
    return Balance("entities" if column == "entities" else "rows", named, none)


def _float_edges(values: np.ndarray) -> np.ndarray:
    """Return the borders of ten bins around whole numbers."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = np.floor(values.min()), np.ceil(values.max())
    return np.linspace(low, max(high, low + 1), 11)


# Rows against rows


def _copies(scan: _Scan, texts: Sequence[str]) -> Copies:
    keys = [f"text {column}" for column in texts]
    groups = scan.figures.group_by(keys, use_threads=False)  # a thread would hold groups of its own
    groups = groups.aggregate([("place", "count"), ("place", "min")])
    groups = groups.filter(pc.field("place_count") > 1)
    groups = groups.sort_by([("place_count", "descending"), ("place_min", "ascending")])
    return Copies(
        texts=len(groups),
        extra_rows=(pc.sum(groups["place_count"]).as_py() or 0) - len(groups),
        most=[
            Copy(group["place_count"], *astuple(_example(scan, texts, group["place_min"])))
            for group in groups[:MOST_EXAMPLES].to_pylist()
        ],
    )


def _example(scan: _Scan, texts: Sequence[str], place: int) -> Example:
    found = scan.dataset[place - scan.first]
    return Example(place - scan.first, " ⏐ ".join(show(found[column] or "") for column in texts))


def _overlaps(scans: dict[str, _Scan], texts: Sequence[str]) -> list[Overlap]:
    keys = [f"text {column}" for column in texts]
    overlaps = []
    for other, held in scans.items():
        held = held.figures.select(keys)
        words = pa.chunked_array([chunk for column in held.columns for chunk in column.chunks])
        for split, scan in scans.items():
            if split == other:
                continue
            rows = scan.figures.select(["place", *keys]).join(
                held, keys, join_type="left semi", use_threads=False
            )
            places = np.sort(rows["place"].to_numpy())
            columns = {}
            if len(texts) > 1:
                found = [pc.is_in(scan.figures[key], words) for key in keys]
                columns = {c: pc.sum(f).as_py() or 0 for c, f in zip(texts, found, strict=True)}
            examples = [_example(scan, texts, place) for place in places[:MOST_EXAMPLES].tolist()]
            overlaps.append(Overlap(split, other, len(rows), columns, examples))
    return overlaps


def _conflict(
    figures: pa.Table, scans: dict[str, _Scan], texts: Sequence[str], column: str
) -> Conflict:
    """Compare the labels of equal texts; rows without a label are ignored."""
    label = f"label {column}"
    keys = [c for c in figures.column_names if c.startswith(("text ", "given "))]
    figures = figures.select(["place", label, *keys])
    groups = figures.group_by(keys, use_threads=False).aggregate([(label, "min"), (label, "max")])
    least, most = groups[f"{label}_min"], groups[f"{label}_max"]
    is_float, differ = pa.types.is_floating(least.type), pc.not_equal(least, most)
    if is_float:
        differ = pc.greater(pc.subtract(most, least), FLOAT_CONFLICT)
    disputed = groups.filter(differ).select(keys)
    figures = figures.join(disputed, keys, join_type="left semi", use_threads=False)
    figures = figures.filter(pc.field(label).is_valid())
    votes = figures.group_by([*keys, label]).aggregate([("place", "count"), ("place", "min")])
    groups = votes.group_by(keys).aggregate(
        [("place_count", "sum"), ("place_count", "max"), ("place_min", "min")]
    )
    groups = groups.sort_by([("place_count_sum", "descending"), ("place_min_min", "ascending")])
    rows = pc.sum(groups["place_count_sum"]).as_py() or 0
    right = pc.sum(groups["place_count_max"]).as_py() or 0
    examples = []
    for number in range(min(len(groups), MOST_EXAMPLES)):
        mine = votes.join(groups.select(keys)[number : number + 1], keys, join_type="left semi")
        mine = mine.sort_by([("place_count", "descending"), ("place_min", "ascending")])
        shown = [
            _vote(scans, texts, column, vote["place_count"], vote["place_min"])
            for vote in mine[:MOST_EXAMPLES].to_pylist()
        ]
        examples.append(Disputed(shown[0][0], [vote for _, vote in shown]))
    return Conflict(len(groups), rows, 0 if is_float else rows - right, examples)


def _vote(
    scans: dict[str, _Scan], texts: Sequence[str], column: str, rows: int, place: int
) -> tuple[str, Vote]:
    """Return the text at `place`, and its label as a `Vote` of `rows` rows."""
    split, scan = next(
        (split, scan) for split, scan in scans.items() if place < scan.first + len(scan.dataset)
    )
    example = _example(scan, texts, place)
    found = scan.dataset[example.row]
    label = _words(scan.dataset.features[column], found[column], found[texts[0]] or "")
    return example.text, Vote(label, rows, split, example.row)


def _words(feature: Any, value: Any, text: str) -> str:
    """Return a label in readable form: class names, entities with their texts."""
    if isinstance(feature, ClassLabel):
        return feature.int2str(value)
    if isinstance(feature, List):
        return ", ".join(_words(feature.feature, item, text) for item in value) or "∅"
    if isinstance(value, dict) and "label" in value:
        label = feature["label"]
        name = label.int2str(value["label"]) if isinstance(label, ClassLabel) else value["label"]
        return f"{show(text[value['start'] : value['end']])}:{name}"
    if isinstance(value, dict):
        return show(f"{value.get('text', value)} ({value.get('answer_start', '')})")
    return f"{value:g}" if isinstance(value, float) else show(str(value))


# Lengths


def _percentiles(lengths: np.ndarray, percents: Sequence[int]) -> list[int]:
    """Return for each percentage the smallest length that so many rows do not exceed."""
    values = lengths if len(lengths) else np.zeros(1, int)
    return np.percentile(values, percents, method="inverted_cdf").tolist()


def _edges(lengths: np.ndarray) -> list[int]:
    """Return the borders of about `BINS` bins of a round width, up to the 99th percentile."""
    (last,) = _percentiles(lengths, [99])
    width = max(1, -(-last // BINS))
    if width > 2:  # 2, 5, 10, 20, 50, …
        power = 10 ** (len(str(width)) - 1)
        width = next(n * power for n in (1, 2, 5, 10) if n * power >= width)
    return list(range(0, last + width + 1, width))


def _lengths(lengths: np.ndarray, edges: list[int], limits: Sequence[int] = ()) -> Lengths:
    median, p95, p99 = _percentiles(lengths, [50, 95, 99])
    return Lengths(
        mean=round(float(lengths.sum() / max(len(lengths), 1)), 2),
        median=median,
        p95=p95,
        p99=p99,
        max=int(lengths.max(initial=0)),
        over={str(most): int(np.sum(lengths > most)) for most in limits},
        edges=edges,
        counts=np.histogram(lengths, [*edges, np.inf])[0].tolist(),
    )
