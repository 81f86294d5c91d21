"""Count what a corpus holds: two passes over Arrow batches, never all texts in memory.

A row costs 24 bytes of memory for its texts (8 more for each further text column) and 9 for each
label column, and sorting them about as much again. Texts are compared by 64-bit digests: among n
different ones two digests are equal with a probability of n² / 2⁶⁵, 3 in 10¹⁰ for 100,000 rows and
3 in 10⁴ for 100 million, so that the counts are exact for all practical ends. Equal texts are
those of `splits`: the same after NFC, outer blanks off.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, List, Value
from tqdm.auto import tqdm

from nlpbook_data.audit.figures import (
    FLOAT_CONFLICT,
    MOST_EXAMPLES,
    Audit,
    Balance,
    Conflict,
    Copies,
    Example,
    Finding,
    Lengths,
    Overlap,
    SplitAudit,
)
from nlpbook_data.audit.odd import KINDS, PATTERNS, find_characters, find_passages, of_kind, show
from nlpbook_data.corpora.declaration import Corpus
from nlpbook_data.data.splits import plain

LIMITS = (128, 256, 512)
BINS = 30
# A batch is at most so many rows, and about as many bytes.
BATCH_ROWS = 10_000
BATCH_BYTES = 16_000_000
# A text is very long where it has so many times the characters of the median one.
VERY_LONG = 10
# Columns that say what of the text is asked: equal texts with others are no conflict.
GIVEN = ("subject", "object")

SHAPES = (
    "empty",
    "blank",
    "blank_edge",
    "one_character",
    "very_long",
    "equal_sides",
    "not_NFC",
    "unknown_token",
)
SPANS = (
    *("span_out_of_range", "span_with_blank_edge", "spans_overlap"),
    *("answer_not_at_start", "answer_with_blank_edge", "span_is_another_text"),
)


@dataclass
class _Scan:
    """What one pass over a split gathers."""

    dataset: Dataset
    columns: dict[str, np.ndarray]  # a digest for each text column and row
    keys: np.ndarray  # a digest for all texts of a row
    asked: np.ndarray  # the same, with the columns GIVEN
    targets: dict[str, tuple[np.ndarray, np.ndarray]]  # label or its digest, whether there is one
    counts: dict[str, Counter]  # of labels that are not one number a row
    characters: dict[str, Counter]
    tokens: Counter
    findings: dict[str, Finding]


def audit_corpus(splits: DatasetDict, corpus: Corpus, tokenizer: Any = None) -> Audit:
    """Count what the rows of `splits` hold.

    Args:
        splits: any of the splits that `corpus` declares, or others; columns beyond those that it
            declares do no harm.
        corpus: says which columns are the texts of a model's input.
        tokenizer: a tokenizer of transformers, to count the tokens of an input: both texts of a
            pair, special tokens included, NFC as the recipes have it.
    """
    total = sum(map(len, splits.values()))
    with tqdm(total=total, unit=" rows", desc=corpus.name, delay=2, disable=None) as bar:
        scans = {split: _scan(splits[split], corpus.texts, tokenizer, bar) for split in splits}
    character_edges = {
        column: _edges(sum((scan.characters[column] for scan in scans.values()), Counter()))
        for column in corpus.texts
    }
    token_edges = _edges(sum((scan.tokens for scan in scans.values()), Counter()))
    floats = {}
    for scan in scans.values():
        for column, (values, labelled) in scan.targets.items():
            if values.dtype == float:
                floats.setdefault(column, []).append(values[labelled])
    float_edges = {column: _float_edges(np.concatenate(v)) for column, v in floats.items()}
    audits = {}
    for split, scan in scans.items():
        audits[split] = SplitAudit(
            rows=len(scan.dataset),
            source=corpus.splits[split].source if split in corpus.splits else "",
            copies=_copies(scan, corpus.texts),
            labels={column: _balance(scan, column, float_edges) for column in scan.targets},
            conflicts=_conflicts({split: scan}, corpus.texts),
            characters={
                column: _lengths(scan.characters[column], character_edges[column])
                for column in corpus.texts
            },
            tokens=_lengths(scan.tokens, token_edges, LIMITS) if tokenizer else None,
            findings={name: found for name, found in scan.findings.items() if found.rows},
        )
    return Audit(
        name=corpus.name,
        title=corpus.title,
        task=corpus.task,
        license=corpus.license,
        commercial=corpus.commercial,
        homepage=corpus.homepage,
        texts=list(corpus.texts),
        tokenizer=_name(tokenizer) if tokenizer else "",
        splits=audits,
        overlaps=_overlaps(scans, corpus.texts),
        conflicts=_conflicts(scans, corpus.texts),
    )


def _name(tokenizer: Any) -> str:
    """Return the tokenizer's name on the Hub, or its folder's without the path."""
    name = str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)
    return Path(name).resolve().name if Path(name).is_dir() else name


# One pass over a split


def _scan(dataset: Dataset, texts: Sequence[str], tokenizer: Any, bar: tqdm) -> _Scan:
    size = len(dataset)
    targets = _target_columns(dataset, texts)
    scan = _Scan(
        dataset=dataset,
        columns={column: np.zeros(size, np.uint64) for column in texts},
        keys=np.zeros(size, np.uint64),
        asked=np.zeros(size, np.uint64),
        targets={
            column: (np.zeros(size, dtype), np.zeros(size, bool))
            for column, dtype in targets.items()
        },
        counts={column: Counter() for column in targets},
        characters={column: Counter() for column in texts},
        tokens=Counter(),
        findings={name: Finding() for name in (*SHAPES, *KINDS, *PATTERNS, *SPANS)},
    )
    for start, table in _tables(dataset):
        end = start + len(table)
        columns = [table[column].fill_null("").to_pylist() for column in texts]
        for column, values in zip(texts, columns, strict=True):
            plains = [plain(text) for text in values]
            scan.columns[column][start:end] = _digests(plains)
            lengths = _count_characters(scan, column, table[column])
            _find_shapes(scan.findings, start, values, plains, lengths)
            _find_odd(scan.findings, start, values, lengths)
        key = _mix([scan.columns[column][start:end] for column in texts])
        if len(texts) > 1:
            _find_equal_sides(scan, start, columns)
        given = [_canonical(table[column]) for column in GIVEN if column in table.column_names]
        scan.keys[start:end] = key
        scan.asked[start:end] = _mix([key, *map(_digests, given)]) if given else key
        for column in targets:
            _read_target(scan, column, start, table)
        _find_spans(scan.findings, start, table, texts)
        if tokenizer:
            ids = _tokenize(tokenizer, columns)
            scan.tokens.update(map(len, ids))
            unknown = [row.count(tokenizer.unk_token_id) for row in ids]
            rows = np.flatnonzero(unknown)
            examples = [
                " ⏐ ".join(show(texts[row]) for texts in columns) for row in rows[:MOST_EXAMPLES]
            ]
            scan.findings["unknown_token"].add(rows + start, sum(unknown), examples.__getitem__)
        bar.update(len(table))
    for column in texts:
        _find_very_long(scan, column)
    return scan


def _tables(dataset: Dataset) -> Iterator[tuple[int, pa.Table]]:
    rows = len(dataset)
    width = dataset.data.nbytes / max(len(dataset.data), 1)
    step = int(min(max(BATCH_BYTES / max(width, 1), 1), BATCH_ROWS))
    arrow = dataset.with_format("arrow")
    for start in range(0, rows, step):
        yield start, arrow[start : start + step]


def _digests(texts: Iterable[str]) -> np.ndarray:
    """Return the first 64 bits of each text's BLAKE2b."""
    digests = b"".join(hashlib.blake2b(t.encode(), digest_size=8).digest() for t in texts)
    return np.frombuffer(digests, "<u8")


def _mix(digests: Sequence[np.ndarray]) -> np.ndarray:
    """Make one digest of several; their order counts."""
    mixed = digests[0]
    for digest in digests[1:]:  # modulo 2**64; an odd factor loses nothing
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + digest
    return mixed


def _canonical(column: pa.ChunkedArray) -> list[str]:
    return [json.dumps(value, sort_keys=True, default=str) for value in column.to_pylist()]


def _count_characters(scan: _Scan, column: str, texts: pa.ChunkedArray) -> np.ndarray:
    lengths = pc.utf8_length(texts).fill_null(0).to_numpy().astype(np.int64)
    values, counts = np.unique(lengths, return_counts=True)
    scan.characters[column].update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    return lengths


def _tokenize(tokenizer: Any, columns: list[list[str]]) -> list[list[int]]:
    """Return the model's inputs; columns after the second join the second."""
    columns = [[unicodedata.normalize("NFC", text) for text in texts] for texts in columns]
    first, rest = columns[0], columns[1:]
    pairs = [[" ".join(texts) for texts in zip(*rest, strict=True)]] if rest else []
    return tokenizer(
        first,
        *pairs,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]


# Labels


def _target_columns(dataset: Dataset, texts: Sequence[str]) -> dict[str, type]:
    """Return the columns that a model is to predict, and how `_Scan.targets` holds them."""
    columns = {}
    for column, feature in dataset.features.items():
        inner = feature.feature if isinstance(feature, List) else feature
        named = column in ("label", "labels", "entities", "answers")
        if column in texts or not (named or isinstance(inner, ClassLabel)):
            continue
        columns[column] = np.int64
        if isinstance(feature, Value) and "float" in feature.dtype:
            columns[column] = float
    return columns


def _read_target(scan: _Scan, column: str, start: int, table: pa.Table) -> None:
    values, labelled = scan.targets[column]
    end = start + len(table)
    feature, found = scan.dataset.features[column], table[column]
    there = found.is_valid().to_numpy()
    if isinstance(feature, ClassLabel):
        values[start:end] = found.fill_null(-1).to_numpy()
        there = there & (values[start:end] >= 0)
    elif values.dtype == float:
        values[start:end] = found.fill_null(float("nan")).to_numpy()
        there = there & ~np.isnan(values[start:end])
    else:
        lists = found.to_pylist()
        if isinstance(feature, List):  # in any order
            lists = [
                v and sorted(v, key=lambda item: json.dumps(item, sort_keys=True, default=str))
                for v in lists
            ]
        texts = [json.dumps(v, sort_keys=True, default=str) for v in lists]
        values[start:end] = _digests(texts).view(np.int64)
        if column == "entities":
            scan.counts[column].update(e["label"] for v in lists for e in v or ())
        else:
            scan.counts[column].update(_items(column, feature, lists))
    labelled[start:end] = there


def _items(column: str, feature: Any, values: list[Any]) -> Iterator[Any]:
    """Yield what is counted of a label that is not one number."""
    for value in values:
        if column == "answers":
            yield "answerable" if value else "unanswerable"
        elif isinstance(feature, List):
            yield from value or ()
        elif value is not None:
            yield value


def _balance(scan: _Scan, column: str, float_edges: dict[str, np.ndarray]) -> Balance:
    values, labelled = scan.targets[column]
    feature = scan.dataset.features[column]
    none = int(np.sum(~labelled))
    if isinstance(feature, ClassLabel):
        counts = np.bincount(values[labelled], minlength=feature.num_classes).tolist()
        return Balance("rows", dict(zip(feature.names, counts, strict=True)), none)
    if values.dtype == float:
        edges = float_edges[column]
        counts = np.histogram(values[labelled], edges)[0].tolist()
        names = [f"{a:g}–{b:g}" for a, b in zip(edges, edges[1:], strict=False)]
        return Balance("values", dict(zip(names, counts, strict=True)), none)
    counts = scan.counts[column]
    if column == "entities":
        empty = _digests([json.dumps([])]).view(np.int64)[0]
        feature = feature.feature["label"]
        none += int(np.sum(labelled & (values == empty)))
        return Balance("entities", _named(feature, counts), none)
    if column == "answers":
        named = {name: counts[name] for name in ("answerable", "unanswerable")}
        return Balance("answers", named, none)
    return Balance("rows", _named(getattr(feature, "feature", feature), counts), none)


def _named(feature: Any, counts: Counter) -> dict[str, int]:
    if isinstance(feature, ClassLabel):
        return {name: counts[number] for number, name in enumerate(feature.names)}
    return {show(str(value)): count for value, count in counts.most_common(30)}


def _float_edges(values: np.ndarray) -> np.ndarray:
    """Return the borders of ten bins around whole numbers."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = np.floor(values.min()), np.ceil(values.max())
    return np.linspace(low, max(high, low + 1), 11)


# Texts


def _find_shapes(
    findings: dict[str, Finding],
    start: int,
    texts: list[str],
    plains: list[str],
    lengths: np.ndarray,
) -> None:
    plain_lengths = np.fromiter(map(len, plains), np.int64, len(plains))
    edges = [bool(t) and (t[0].isspace() or t[-1].isspace()) for t in texts]
    rows_of = {
        "empty": lengths == 0,
        "blank": (lengths > 0) & (plain_lengths == 0),
        "blank_edge": (plain_lengths > 0) & np.array(edges, bool),
        "one_character": plain_lengths == 1,
    }
    if not unicodedata.is_normalized("NFC", "\n".join(texts)):
        rows_of["not_NFC"] = [not unicodedata.is_normalized("NFC", text) for text in texts]
    for name, mine in rows_of.items():
        rows = np.flatnonzero(mine)
        examples = [show(texts[row]) for row in rows[:MOST_EXAMPLES]]
        findings[name].add(rows + start, len(rows), examples.__getitem__)


def _find_odd(
    findings: dict[str, Finding], start: int, texts: list[str], lengths: np.ndarray
) -> None:
    joined = "".join(texts)
    ends = np.cumsum(lengths)
    positions, codes = find_characters(joined)
    if not len(positions):
        return
    for kind in (*KINDS, *PATTERNS):
        mine = positions[of_kind(codes, kind)]
        owners = np.searchsorted(ends, mine, side="right")
        rows, first = np.unique(owners, return_index=True)
        if kind in PATTERNS:
            found = {row: list(find_passages(kind, texts[row])) for row in rows.tolist()}
            found = {row: spans for row, spans in found.items() if spans}
            rows = np.array(list(found), int)
            places = [spans[0] for spans in found.values()]
            count = sum(map(len, found.values()))
        else:
            begins = mine[first] - (ends[rows] - lengths[rows])
            places, count = [(int(b), int(b) + 1) for b in begins], len(mine)
            if count:
                seen = Counter(joined[place] for place in mine.tolist())
                named = {f"U+{ord(c):04X}": n for c, n in seen.items()}
                total = Counter(findings[kind].characters) + Counter(named)
                findings[kind].characters = dict(total.most_common())
        findings[kind].add(
            rows + start, count, lambda n, r=rows, p=places: show(texts[r[n]], *p[n])
        )


def _find_equal_sides(scan: _Scan, start: int, columns: list[list[str]]) -> None:
    """Count pairs whose texts are the same one."""
    end = start + len(columns[0])
    sides = [digests[start:end] for digests in scan.columns.values()]
    rows = np.flatnonzero(np.all([side == sides[0] for side in sides], axis=0))
    scan.findings["equal_sides"].add(rows + start, len(rows), lambda n: show(columns[0][rows[n]]))


def _find_very_long(scan: _Scan, column: str) -> None:
    """Count the texts far above the median; the examples are the longest ones."""
    counts = scan.characters[column]
    bound = VERY_LONG * _percentile(counts, 50)
    long = sorted((length for length in counts if length > bound), reverse=True)
    if not long or not bound:
        return
    number = sum(counts[length] for length in long)
    least = next(  # as long as the fifth longest
        (n for n in long if sum(counts[m] for m in long if m >= n) >= MOST_EXAMPLES), long[-1]
    )
    longest = []
    for start, table in _tables(scan.dataset.select_columns([column])):
        lengths = pc.utf8_length(table[column]).fill_null(0).to_numpy()
        for row in np.flatnonzero(lengths >= least):
            text = table[column][int(row)].as_py()
            longest.append((-int(lengths[row]), start + int(row), show(text)))
    longest = sorted(longest)[:MOST_EXAMPLES]
    scan.findings["very_long"].add(
        [row for _, row, _ in longest], number, lambda n: f"{-longest[n][0]:,}: {longest[n][2]}"
    )
    scan.findings["very_long"].rows += number - len(longest)


# Spans


def _find_spans(
    findings: dict[str, Finding], start: int, table: pa.Table, texts: Sequence[str]
) -> None:
    """Check what points into a text: entities, answers, the subject and object of a relation."""
    names = table.column_names
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in SPANS}
    if "entities" in names:
        rows = zip(table[texts[0]].to_pylist(), table["entities"].to_pylist(), strict=True)
        for row, (text, entities) in enumerate(rows, start):
            for name, where in _entity_faults(text or "", entities or []):
                found[name].append((row, show(text or "", *where)))
    if "answers" in names and "context" in names:
        rows = zip(table["context"].to_pylist(), table["answers"].to_pylist(), strict=True)
        for row, (text, answers) in enumerate(rows, start):
            for answer in answers or []:
                word, begin = answer["text"], answer["answer_start"]
                if not word or begin < 0 or text[begin : begin + len(word)] != word:
                    found["answer_not_at_start"].append((row, f"{show(word)} ({begin})"))
                elif word != word.strip():
                    found["answer_with_blank_edge"].append(
                        (row, show(text, begin, begin + len(word)))
                    )
    for column in GIVEN:
        if column in names:
            rows = zip(table[texts[0]].to_pylist(), table[column].to_pylist(), strict=True)
            for row, (text, span) in enumerate(rows, start):
                if span and text[span["start"] : span["end"]] != span["text"]:
                    place = f"{show(span['text'])} ({span['start']}–{span['end']})"
                    found["span_is_another_text"].append((row, place))
    for name, places in found.items():
        first = dict(reversed(places))
        rows = sorted(first)
        findings[name].add(rows, len(places), lambda n, r=rows, f=first: f[r[n]])


def _entity_faults(text: str, entities: list[dict]) -> Iterator[tuple[str, tuple[int, int]]]:
    before = 0
    for start, end in sorted((entity["start"], entity["end"]) for entity in entities):
        if not 0 <= start < end <= len(text):
            yield "span_out_of_range", (max(start, 0), max(end, 0))
            continue
        if text[start:end] != text[start:end].strip():
            yield "span_with_blank_edge", (start, end)
        if start < before:
            yield "spans_overlap", (start, end)
        before = max(before, end)


# Rows against rows


def _groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an order that puts equal keys together, and start and size of each group in it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(keys)])
    return order, starts, np.diff(np.r_[starts, len(keys)])


def _copies(scan: _Scan, texts: Sequence[str]) -> Copies:
    order, starts, sizes = _groups(scan.keys)
    groups = np.flatnonzero(sizes > 1)
    most = groups[np.lexsort((order[starts[groups]], -sizes[groups]))[:MOST_EXAMPLES]]
    return Copies(
        texts=len(groups),
        extra_rows=int(np.sum(sizes[groups] - 1)),
        most=[
            {"rows": int(sizes[g])} | asdict(_example(scan, texts, int(order[starts[g]])))
            for g in most
        ],
    )


def _example(scan: _Scan, texts: Sequence[str], row: int) -> Example:
    found = scan.dataset[row]
    return Example(row, " ⏐ ".join(show(found[column] or "") for column in texts))


def _overlaps(scans: dict[str, _Scan], texts: Sequence[str]) -> list[Overlap]:
    overlaps = []
    for other, held in scans.items():
        keys = np.sort(held.keys)
        words = np.sort(np.concatenate([held.columns[column] for column in texts]))
        for split, scan in scans.items():
            if split == other:
                continue
            rows = np.flatnonzero(_stands_in(scan.keys, keys))
            columns = {}
            if len(texts) > 1:
                columns = {c: int(_stands_in(scan.columns[c], words).sum()) for c in texts}
            examples = [_example(scan, texts, int(row)) for row in rows[:MOST_EXAMPLES]]
            overlaps.append(Overlap(split, other, len(rows), columns, examples))
    return overlaps


def _stands_in(digests: np.ndarray, sorted_digests: np.ndarray) -> np.ndarray:
    if not len(sorted_digests):
        return np.zeros(len(digests), bool)
    place = np.searchsorted(sorted_digests, digests)
    return sorted_digests[np.minimum(place, len(sorted_digests) - 1)] == digests


def _conflicts(scans: dict[str, _Scan], texts: Sequence[str]) -> dict[str, Conflict]:
    columns = dict.fromkeys(column for scan in scans.values() for column in scan.targets)
    return {column: _conflict(scans, texts, column) for column in columns}


def _conflict(scans: dict[str, _Scan], texts: Sequence[str], column: str) -> Conflict:
    """Compare the labels of equal texts; rows without a label take no part."""
    scans = {split: scan for split, scan in scans.items() if column in scan.targets}
    places = [np.flatnonzero(scan.targets[column][1]) for scan in scans.values()]
    firsts = np.cumsum([0, *map(len, places)])
    found = list(zip(scans.values(), places, strict=True))
    keys = np.concatenate([scan.asked[rows] for scan, rows in found])
    values = np.concatenate([scan.targets[column][0][rows] for scan, rows in found])
    order, starts, sizes = _groups(keys)
    if not len(keys):
        return Conflict(0, 0, 0, [])
    ordered = values[order]
    low, high = np.minimum.reduceat(ordered, starts), np.maximum.reduceat(ordered, starts)
    is_float = values.dtype == float
    groups = np.flatnonzero(high - low > FLOAT_CONFLICT if is_float else low != high)
    groups = groups[np.lexsort((order[starts[groups]], -sizes[groups]))]
    outvoted, examples = 0, []
    for group in groups:
        members = order[starts[group] : starts[group] + sizes[group]]
        _, first, counts = np.unique(values[members], return_index=True, return_counts=True)
        if not is_float:
            outvoted += int(sizes[group] - counts.max())
        if len(examples) < MOST_EXAMPLES:
            labels = []
            for n in np.argsort(-counts, kind="stable")[:MOST_EXAMPLES]:
                owner = int(np.searchsorted(firsts, members[first[n]], side="right")) - 1
                row = int(places[owner][members[first[n]] - firsts[owner]])
                labels.append((int(counts[n]), list(scans)[owner], row))
            examples.append(_conflict_example(scans, texts, column, labels))
    return Conflict(len(groups), int(sizes[groups].sum()), outvoted, examples)


def _conflict_example(
    scans: dict[str, _Scan],
    texts: Sequence[str],
    column: str,
    labels: list[tuple[int, str, int]],
) -> dict[str, Any]:
    _, split, row = labels[0]
    text = _example(scans[split], texts, row).text
    shown = []
    for rows, split, row in labels:
        found = scans[split].dataset[row]
        label = _words(scans[split].dataset.features[column], found[column], found[texts[0]])
        shown.append({"label": label, "rows": rows, "split": split, "row": row})
    return {"text": text, "labels": shown}


def _words(feature: Any, value: Any, text: str) -> str:
    """Return a label as a reader wants it: words of classes, entities with their texts."""
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


def _percentile(counts: Counter, percent: int) -> int:
    """Return the smallest length that at least `percent` % of the rows do not exceed."""
    lengths = sorted(counts)
    if not lengths:
        return 0
    reached = np.cumsum([counts[length] for length in lengths])
    return lengths[int(np.searchsorted(reached * 100, reached[-1] * percent))]


def _edges(counts: Counter) -> list[int]:
    """Return the borders of about `BINS` bins of a round width, up to the 99th percentile."""
    width = max(1, -(-_percentile(counts, 99) // BINS))
    if width > 2:  # 2, 5, 10, 20, 50, …
        power = 10 ** (len(str(width)) - 1)
        width = next(n * power for n in (1, 2, 5, 10) if n * power >= width)
    return list(range(0, _percentile(counts, 99) + width + 1, width))


def _lengths(counts: Counter, edges: list[int], limits: Sequence[int] = ()) -> Lengths:
    rows = sum(counts.values())
    bins = [0] * len(edges)
    for length, count in counts.items():
        bins[int(np.searchsorted(edges, length, side="right")) - 1] += count
    return Lengths(
        mean=round(sum(n * count for n, count in counts.items()) / max(rows, 1), 2),
        median=_percentile(counts, 50),
        p95=_percentile(counts, 95),
        p99=_percentile(counts, 99),
        max=max(counts, default=0),
        over={str(most): sum(c for n, c in counts.items() if n > most) for most in limits},
        edges=edges,
        counts=bins,
    )
