"""Spans to labelled windows and back, with a tiny tokenizer of every kind and by hand."""

import unicodedata
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import CORPORA, TOKENIZERS
from datasets import Dataset
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kinds import CORPUS, KINDS, SPECIAL, make_tokenizer, wrap
from tokenizers import (
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from nlpbook_data import load_corpus
from nlpbook_data.errors import InputError
from nlpbook_data.features.ner import alignment_ceiling, decode, encode, tag_names
from nlpbook_data.features.particles import strip_particle
from nlpbook_data.reading.entities import spans_of_tags

bounded = settings(max_examples=40, deadline=None)
words = st.sampled_from(" ".join(CORPUS[:4]).split())
oddities = st.sampled_from(
    [" ", "  ", "\t", "\u3000", "👨‍👩‍👧", "뷁", "ﬁ", "①", "\u200b", "é", "A", "é"]
)
texts = st.lists(
    st.one_of(words, words.map(lambda word: word + " "), oddities), min_size=2, max_size=12
).map(lambda pieces: unicodedata.normalize("NFC", "".join(pieces)))


def gold_tags(windows: Dataset) -> np.ndarray:
    return np.maximum(np.concatenate([*windows["labels"], []]).astype(int), 0)


def one_hot(tags: np.ndarray, size: int = 13) -> np.ndarray:
    return np.eye(size)[tags]


def bare(rows: list[list[dict]]) -> list[list[tuple[int, int, int]]]:
    return [[(span["start"], span["end"], span["label"]) for span in spans] for spans in rows]


def make_entities(*spans: tuple[int, int, int]) -> list[dict]:
    return [dict(zip(("start", "end", "label"), span, strict=True)) for span in spans]


def round_trip(text, entities, tokenizer, max_length=512, stride=0):
    batch = {"text": [text], "entities": [entities]}
    windows = Dataset.from_dict(encode(batch, tokenizer, max_length, stride))
    return bare(decode(windows, one_hot(gold_tags(windows))))[0]


def edges_of(text: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The places in `text` where no token goes over, by the tokenizer's own word."""
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    crossed = {place for start, end in offsets for place in range(start + 1, end)}
    return [place for place in range(len(text) + 1) if place not in crossed]


def is_on_edges(text: str, start: int, end: int, tokenizer: PreTrainedTokenizerFast) -> bool:
    """No token goes over an edge but with blanks, and a token covers the characters there."""
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    offsets = [pair for pair in offsets if text[slice(*pair)].strip()]
    crossing = [
        text[min(first, place) : place] if place == start else text[place:last]
        for first, last in offsets
        for place in (start, end)
        if first < place < last
    ]
    covered = all(any(first <= i < last for first, last in offsets) for i in (start, end - 1))
    return covered and not any(piece.strip() for piece in crossing)


def draw_entities(data: st.DataObject, text: str, places: list[int]) -> list[dict]:
    """Entities between some of `places`, some of them neighbours, none with a blank at its edge."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    size = min(len(places), rng.integers(2, 9))
    chosen = sorted(rng.choice(places, size=size, replace=False).tolist())
    entities = []
    for start, end in zip(chosen, chosen[1:], strict=False):
        piece = text[start:end]
        start, end = end - len(piece.lstrip()), start + len(piece.rstrip())
        if start < end and rng.random() < 0.7:
            entities.append((start, end, int(rng.integers(6))))
    return make_entities(*entities)


@pytest.mark.parametrize("kind", KINDS)
def test_entities_between_token_edges_come_back_exactly(kind):
    tokenizer = make_tokenizer(kind)
    tried = Counter()

    @settings(max_examples=60, deadline=None)  # so that each kind that is counted comes up
    @given(texts, st.data())
    def check(text, data):
        entities = draw_entities(data, text, edges_of(text, tokenizer))
        entities = [e for e in entities if is_on_edges(text, e["start"], e["end"], tokenizer)]
        tried["entities"] += len(entities)
        tried["neighbours"] += len({e["start"] for e in entities} & {e["end"] for e in entities})
        tried["with blanks"] += sum(" " in text[e["start"] : e["end"]] for e in entities)
        assert round_trip(text, entities, tokenizer) == [tuple(e.values()) for e in entities]

    check()
    assert tried["entities"] and tried["neighbours"] and tried["with blanks"]


@pytest.mark.parametrize("kind", KINDS)
def test_windows_give_what_the_whole_text_gives(kind):
    tokenizer = make_tokenizer(kind)
    several = Counter()

    @bounded
    @given(st.lists(texts, min_size=1, max_size=3), st.integers(4, 9), st.data())
    def check(rows, max_length, data):
        stride = data.draw(st.integers(0, max_length - 3))
        places = [list(range(len(text) + 1)) for text in rows]
        entities = [draw_entities(data, t, p) for t, p in zip(rows, places, strict=True)]
        batch = {"text": rows, "entities": entities}
        whole = Dataset.from_dict(encode(batch, tokenizer, 4096, 0))
        cut = Dataset.from_dict(encode(batch, tokenizer, max_length, stride))
        several[len(cut) > len(whole)] += 1
        assert max(map(len, cut["input_ids"])) <= max_length
        expected = decode(whole, one_hot(gold_tags(whole)))
        assert decode(cut, one_hot(gold_tags(cut))) == expected
        assert len(expected) == len(rows)

    check()
    assert several[True] > 10


@pytest.mark.parametrize("kind", KINDS)
def test_windows_hold_every_token_and_share_at_least_the_stride(kind):
    tokenizer = make_tokenizer(kind)

    @bounded
    @given(texts, st.integers(4, 9), st.data())
    def check(text, max_length, data):
        special = tokenizer.num_special_tokens_to_add()
        room = max_length - special
        stride = data.draw(st.integers(0, room - 1))
        encoded = encode({"text": [text], "entities": [[]]}, tokenizer, max_length, stride)
        whole = tokenizer(text)["input_ids"]
        front, back = whole[: special // 2], whole[len(whole) - special // 2 :]
        inner = whole[special // 2 : len(whole) - special // 2]
        reached = 0
        for ids, first in zip(encoded["input_ids"], encoded["first_token"], strict=True):
            assert ids == front + inner[first : first + room] + back
            assert first == 0 or first <= reached - stride
            assert first == 0 or len(ids) == max_length
            reached = first + room
        assert reached >= len(inner)
        assert encoded["first_token"] == sorted(set(encoded["first_token"]))

    check()


def test_an_empty_text_is_one_window_without_entities():
    windows = Dataset.from_dict(
        encode({"text": ["", "부산"], "entities": [[], []]}, make_tokenizer("wordpiece"), 8, 0)
    )
    assert len(windows) == 2
    assert windows["first_token"][:] == [0, 0]
    everything = np.ones(sum(map(len, windows["input_ids"])), dtype=int)
    assert bare(decode(windows, one_hot(everything)))[0] == []
    assert round_trip("", [], make_tokenizer("byte-level")) == []  # without special tokens


PIECES = [
    "서울",
    "##에서",
    "서울에서",
    "부산",
    "##까지",
    "남북",
    "에서",
    "은",
    "##은",
    "2024",
    "년",
    "##년",
]
VOCABULARY = {piece: id_ for id_, piece in enumerate([*SPECIAL, *PIECES])}


@pytest.fixture(scope="module")
def wordpiece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return wrap(tokenizer)


def label_names_of(text, entities, tokenizer, max_length=64, stride=0):
    """The labels of each window: O, B-0, I-0, …, and _ for no loss."""
    names = [*tag_names([str(i) for i in range(6)]), "_"]
    encoded = encode({"text": [text], "entities": [entities]}, tokenizer, max_length, stride)
    return [" ".join(names[max(i, -1)] for i in labels) for labels in encoded["labels"]]


NFD = unicodedata.normalize("NFD", "부산까지 서울")


@pytest.mark.parametrize(
    ("text", "entities", "expected"),
    [
        ("부산 서울", [(0, 2, 1)], "_ B-1 O _"),
        ("서울에서", [(0, 2, 1)], "_ B-1 _"),  # the particle is in the token
        ("부산까지", [(0, 2, 1)], "_ B-1 O _"),  # the particle is a token
        ("부산 서울", [(0, 5, 0)], "_ B-0 I-0 _"),  # a blank inside
        ("부산 서울", [(0, 2, 0), (3, 5, 0)], "_ B-0 B-0 _"),
        ("부산까지", [(0, 2, 1), (2, 4, 2)], "_ B-1 B-2 _"),  # neighbours without a blank
        ("남북", [(0, 1, 1), (1, 2, 2)], "_ B-1 _"),  # of two in a token, the first
        ("뷁뷁이 부산", [(0, 2, 3)], "_ B-3 O _"),  # [UNK]
        ("부산까지", [(1, 4, 3)], "_ B-3 I-3 _"),  # begins inside a token
        ("부산까지", [(0, 3, 3)], "_ B-3 I-3 _"),  # ends inside a token
        ("부산 서울", [(2, 5, 3)], "_ O B-3 _"),  # a blank at its edge is not its own
        ("부산 서울", [(2, 3, 3)], "_ O O _"),  # nothing but a blank
        ("", [], "_ _"),
        (NFD, [(0, len(unicodedata.normalize("NFD", "부산")), 4)], "_ B-4 O O _"),
        ("부산까지 서울 부산", [(0, 7, 2)], "_ B-2 I-2 _ | _ I-2 O _"),  # in two windows
    ],
)
def test_labels_by_hand(wordpiece, text, entities, expected):
    windows = expected.split(" | ")
    size = 64 if len(windows) == 1 else 4
    assert label_names_of(text, make_entities(*entities), wordpiece, size) == windows


def test_bytes_of_one_character_go_on_inside_and_tokens_of_none_take_no_loss():
    tokenizer = make_tokenizer("byte-level")
    assert len(tokenizer("뷁")["input_ids"]) == 3
    assert label_names_of("뷁", make_entities((0, 1, 0)), tokenizer) == ["B-0 I-0 I-0"]
    tokenizer = make_tokenizer("unigram")
    encoded = tokenizer("㈜ 부산", return_offsets_mapping=True)
    empty = [start == end for start, end in encoded["offset_mapping"]]
    labels = encode({"text": ["㈜ 부산"], "entities": [[]]}, tokenizer, 64, 0)["labels"][0]
    assert [label == -100 for label in labels] == empty


def test_what_cannot_be_encoded_or_decoded_is_refused(wordpiece):
    batch = {"text": ["부산"], "entities": [[]]}
    with pytest.raises(InputError, match="8 tokens has room for 6 of the text, of which 6"):
        encode(batch, wordpiece, 8, 6)
    with pytest.raises(InputError, match="room for 0"):
        encode(batch, wordpiece, 2, 0)
    with pytest.raises(InputError, match="SimpleNamespace is not a fast tokenizer"):
        encode(batch, SimpleNamespace(is_fast=False), 8, 0)
    windows = Dataset.from_dict({"starts": [[0]], "ends": [[1]], "first_token": [0]})
    with pytest.raises(ValueError, match="2 predictions for 1 tokens"):
        decode(windows, one_hot(np.array([0, 0])))
    for texts in (None, ["가", "나"]):
        with pytest.raises(ValueError, match=f"{len(texts or [])} texts for windows of 1"):
            decode(windows, one_hot(np.array([1])), texts, strip_particle)


def test_a_token_that_is_a_blank_is_labelled_but_never_begins_an_entity():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "▁": 1, "가": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="never"),
            pre_tokenizers.Split(Regex("."), "isolated"),
        ]
    )
    tokenizer = wrap(tokenizer, specials=False)
    found = label_names_of("가 가 가 가", make_entities((2, 5, 0)), tokenizer)
    assert found == ["O O B-0 I-0 I-0 O O"]


@pytest.mark.parametrize("kind", ["bpe", "unigram", "byte-level-prefix"])
def test_a_mark_of_a_blank_that_is_not_there_does_not_begin_the_first_entity(kind):
    tokenizer = make_tokenizer(kind)
    encoded = tokenizer("ﬁ", return_offsets_mapping=True)
    assert tokenizer.convert_ids_to_tokens(encoded["input_ids"])[1] in ("▁", "Ġ")
    assert encoded["offset_mapping"][1:3] == [(0, 1), (0, 1)]
    [found] = label_names_of("ﬁ", make_entities((0, 1, 0)), tokenizer)
    assert found.startswith("_ O B-0")


def test_blanks_in_a_tokens_offsets_are_no_part_of_an_entity():
    tokenizer = make_tokenizer("byte-level")
    text = "서울에서 부산까지"
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    assert any(text[start:end][:1] == " " for start, end in offsets) or (4, 5) in offsets
    encoded = encode({"text": [text], "entities": [[]]}, tokenizer, 64, 0)
    pieces = [text[s:e] for s, e in zip(encoded["starts"][0], encoded["ends"][0], strict=True)]
    assert "".join(pieces) == "서울에서부산까지"


def test_rows_without_entities_have_no_labels_column(wordpiece):
    encoded = encode({"text": ["부산", "서울"], "entities": [[], None]}, wordpiece, 8, 0)
    assert sorted(encoded) == ["ends", "first_token", "input_ids", "starts"]


def test_encode_leaves_the_tokenizers_truncation_and_padding_out_of_it(wordpiece):
    batch = {"text": ["부산 서울 부산 서울"], "entities": [[]]}
    expected = encode(batch, wordpiece, 64, 0)
    wordpiece.backend_tokenizer.enable_truncation(4)
    wordpiece.backend_tokenizer.enable_padding(length=20)
    assert encode(batch, wordpiece, 64, 0) == expected


hangul = st.text(st.one_of(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)), max_size=4)
jamo = st.text("\u1100\u1112\u1161\u1175\u11a8\u11c2", max_size=3)
marks = st.text("ae\u0301\u0323\u0958\u0915\u093c\u09c7\u09be\u09cb Å", max_size=4)
mixed = st.lists(st.one_of(hangul, jamo, marks), max_size=6).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(mixed, mixed.map(lambda text: unicodedata.normalize("NFD", text))))
def test_decomposed_texts_have_the_tokens_of_composed_ones_and_their_own_offsets(text):
    tokenizer = make_tokenizer("byte-level")
    composed = unicodedata.normalize("NFC", text)
    encoded = encode({"text": [text], "entities": [[]]}, tokenizer, 4096, 0)
    assert encoded["input_ids"][0] == tokenizer(composed)["input_ids"]
    spans = list(zip(encoded["starts"][0], encoded["ends"][0], strict=True))
    assert "".join(text[start:end] for start, end in spans) == text.replace(" ", "")
    for start, end in spans:  # none takes a letter from its mark
        before, piece = text[:start], text[start:end]
        apart = unicodedata.normalize("NFC", before) + unicodedata.normalize("NFC", piece)
        assert unicodedata.normalize("NFC", before + piece) == apart


def test_the_step_is_told_text_span_and_start_of_the_last_token_and_says_the_end():
    windows = {
        "starts": [[0, 2, 3, 0], [3, 5], [0]],  # token 3 of the first text stands for no character
        "ends": [[2, 3, 5, 0], [5, 8], [4]],
        "first_token": [0, 2, 0],
    }
    calls = []

    def strip(*arguments):
        calls.append(arguments)
        return arguments[2] - 1

    tags = one_hot(np.array([3, 1, 2, 2, 2, 0, 5]))
    first, second = "가나다라마바사아", "하하하하"
    found = decode(Dataset.from_dict(windows), tags, [first, second], strip)
    assert calls == [(first, 0, 2, 0), (first, 2, 5, 3), (second, 0, 4, 0)]
    assert bare(found) == [[(0, 1, 1), (2, 4, 0)], [(0, 3, 2)]]


def decode_in_a_loop(windows: dict, probabilities: np.ndarray) -> list[list[tuple]]:
    """What `decode` says, a token at a time; stray I- by the corpora's own reader."""
    texts, place = [], 0
    for starts, ends, first in zip(*windows.values(), strict=True):
        if first == 0:
            texts.append({})
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            distance = min(i, len(starts) - 1 - i)
            best = texts[-1].get(first + i)
            if end > start and (best is None or distance > best[0]):
                row = probabilities[place + i]
                texts[-1][first + i] = (distance, start, end, int(row.argmax()), row.max())
        place += len(starts)
    found = []
    for tokens in texts:
        tokens = [tokens[key] for key in sorted(tokens)]
        marks = [("BI"[(t[3] - 1) % 2], str((t[3] - 1) // 2)) if t[3] else ("", "") for t in tokens]
        found.append(
            [
                (
                    tokens[first][1],
                    tokens[end - 1][2],
                    int(label),
                    round(sum(t[4] for t in tokens[first:end]) / (end - first), 9),
                )
                for first, end, label in spans_of_tags(marks)
            ]
        )
    return found


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_decode_is_a_loop_over_tokens(data):
    windows = {"starts": [], "ends": [], "first_token": []}
    for _ in range(data.draw(st.integers(1, 4))):
        own = data.draw(st.lists(st.booleans(), max_size=12))  # or a token without characters
        room = data.draw(st.integers(1, 6))
        step = data.draw(st.integers(1, room))
        spans = [(i, i + 1) if flag else (0, 0) for i, flag in enumerate(own)]
        firsts = [*range(0, max(len(own) - room, 0), step), max(len(own) - room, 0)]
        for first in dict.fromkeys(firsts):
            cut = [(0, 0), *spans[first : first + room], (0, 0)]
            windows["starts"].append([start for start, _ in cut])
            windows["ends"].append([end for _, end in cut])
            windows["first_token"].append(first)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    probabilities = rng.dirichlet(np.ones(5) * 0.2, size=sum(map(len, windows["starts"])))
    found = [
        [(s["start"], s["end"], s["label"], round(s["score"], 9)) for s in spans]
        for spans in decode(Dataset.from_dict(windows), probabilities)
    ]
    assert found == decode_in_a_loop(windows, probabilities)


@pytest.mark.parametrize(
    ("text", "entities", "strip", "reasons", "tokens", "f1"),
    [
        ("서울에서", [(0, 2, 0)], None, {"glued": 1}, ["서울에서"], 0),
        ("부산까지", [(1, 3, 0)], None, {"glued": 1}, ["부산", "까지"], 0),
        ("뷁뷁은 부산", [(0, 2, 0)], None, {"unknown": 1}, ["뷁뷁은"], 0),
        ("부산 서울", [(0, 3, 0)], None, {"blank": 1}, [], 0),
        ("부산\u200b 서울", [(0, 3, 0)], None, {"no token": 1}, [], 0),
        ("남북", [(0, 1, 0), (1, 2, 1)], None, {"shared": 2}, ["남북"], 0),
        ("부산 서울에서", [(3, 5, 0)], strip_particle, {}, None, 1),  # the step brings it back
        ("부산 서울에서", [(0, 7, 0)], strip_particle, {"cut": 1}, ["서울에서"], 0),
        ("부산까지", [(1, 3, 0)], strip_particle, {"glued": 1}, ["부산", "까지"], 0),  # too long
        ("부산", [], None, {}, None, 1),
        # one decodes to itself, one too long, and nothing is left of the third
        ("남북 부산", [(0, 1, 0), (1, 2, 1), (3, 5, 0)], None, {"shared": 2}, ["남북"], 2 / 5),
    ],
)
def test_a_loss_is_explained_and_counted(wordpiece, text, entities, strip, reasons, tokens, f1):
    batches = [{"text": [text], "entities": [make_entities(*entities)]} for _ in range(2)]
    ceiling = alignment_ceiling(batches, wordpiece, 64, 0, strip)
    assert ceiling["reasons"] == {reason: 2 * count for reason, count in reasons.items()}
    assert ceiling["f1"] == pytest.approx(f1)
    assert (ceiling["entities"], ceiling["survived"]) == (
        2 * len(entities),
        2 * (len(entities) - sum(reasons.values())),
    )
    spans = [(loss["text"], loss["start"], loss["end"], loss["label"]) for loss in ceiling["lost"]]
    lost = entities[: sum(reasons.values())]
    assert spans == [(text, *entity) for entity in lost] * 2
    assert all(loss["tokens"] == tokens for loss in ceiling["lost"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "byte" not in kind])
def test_exactly_the_entities_that_are_not_on_token_edges_are_lost(kind):
    tokenizer = make_tokenizer(kind)
    counts = Counter()

    @bounded
    @given(texts, st.data())
    def check(text, data):
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        pairs = zip(offsets, offsets[1:], strict=False)  # [UNK] may cover a neighbour's character
        assume(all(one == other or one[1] <= other[0] or other[1] == 0 for one, other in pairs))
        entities = draw_entities(data, text, list(range(len(text) + 1)))
        ceiling = alignment_ceiling([{"text": [text], "entities": [entities]}], tokenizer, 512, 0)
        lost = [(loss["start"], loss["end"]) for loss in ceiling["lost"]]
        spans = [(e["start"], e["end"]) for e in entities]
        assert lost == [span for span in spans if not is_on_edges(text, *span, tokenizer)]
        counts.update(ceiling["reasons"])

    check()
    assert counts["glued"]


@pytest.mark.corpora
@pytest.mark.parametrize("split", ["test", pytest.param("train", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("corpus", "gains"), [("klue-ner", 1), ("ner", 1), ("naver_changwon_ner", -1)]
)
def test_what_is_lost_of_a_corpus_and_what_the_particle_step_gains_or_costs(
    corpus, gains, split, tmp_path, record_property
):
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZERS / "kcbert-base")
    rows = load_corpus(corpus, corpus_dir=CORPORA, cache_dir=tmp_path)[split]
    before, after = (
        alignment_ceiling(rows.iter(1000), tokenizer, 64, 16, strip)
        for strip in (None, strip_particle)
    )
    assert before["entities"] == sum(map(len, rows["entities"])) > 1000
    assert {loss["reason"] for loss in before["lost"]} <= {"blank", "glued", "shared", "unknown"}
    assert (after["f1"] - before["f1"]) * gains > 0.1
    for loss in (*before["lost"], *after["lost"]):
        aligned = is_on_edges(loss["text"], loss["start"], loss["end"], tokenizer)
        assert aligned == (loss["reason"] == "cut") or loss["reason"] == "blank"
    shown = (f"F1 {found['f1']:.3f}, {found['reasons']}" for found in (before, after))
    record_property("summary", f"{corpus} {split}, then with the particle step: {'; '.join(shown)}")
