"""JSON read item by item: what json.loads reads, in bounded memory, or an error with a place."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlpbook_data.errors import InputError
from nlpbook_data.reading import json_values
from nlpbook_data.reading.json_values import read_json_items

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # as long as numbers and escapes that a window may cut
    | st.just(10**40)
    | TEXT
    | st.sampled_from(["😀", "가\u1100\u1161", '"\\/\b\n', "\ufeff"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.lists(st.dictionaries(TEXT, VALUES, max_size=3), max_size=4)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte is read at a time, so that a window ends wherever it can."""
    monkeypatch.setattr(json_values, "BLOCK_BYTES", 1)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "items.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(items=ITEMS, before=VALUES, indent=st.sampled_from([None, 0, 20]), ascii_=st.booleans())
def test_items_are_those_of_json_wherever_the_window_ends(
    tmp_path, small_blocks, items, before, indent, ascii_
):
    whole = json.dumps(items, indent=indent, ensure_ascii=ascii_)
    assert [item for _, item in read_json_items(write(tmp_path, whole))] == items
    inside = {"version": before, "data": items, "after": before}
    whole = json.dumps(inside, indent=indent, ensure_ascii=ascii_)
    assert [item for _, item in read_json_items(write(tmp_path, whole), "data")] == items


@pytest.mark.parametrize("key", ["", "data"])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path, key):
    items = [{"가": "나😀"}, {"n": -12.5e3, "t": [True, None]}, {}]
    whole = json.dumps({"v": 1, "data": items, "w": 2} if key else items, ensure_ascii=False)
    data = whole.encode()
    for end in range(len(data)):
        with pytest.raises(InputError):
            list(read_json_items(write(tmp_path, data[:end]), key))


def test_places_count_items_from_one(tmp_path):
    path = write(tmp_path, '\ufeff [{"a": 1},\r\n\t{"a": 2}] \n')
    assert list(read_json_items(path)) == [
        (f"{path}, item 1", {"a": 1}),
        (f"{path}, item 2", {"a": 2}),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1, column 1"),
        ("{}", "line 1, column 1"),
        ('[{"a": 1},\n {"b" 2}]', "line 2, column 7"),
        ('[{"a": 1}\n {"b": 2}]', "line 2, column 2"),
        ('[{"a": 1}, ]', "line 1, column 12"),
        ('[{"a": 1}] x', "line 1, column 12"),
        ('[{"a": "\n"}]', "line 1, column 9"),
        ('[{"a": NaN}]', "line 1, column 2"),
        ('[{"a": ' + "[" * 100_000 + "]" * 100_000 + "}]", "line 1, column 2"),
        ('[{"a": ' + "9" * 5_000 + "}]", "line 1, column 2"),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_what_is_not_json_is_named_by_line_and_column(tmp_path, monkeypatch, text, place, block):
    monkeypatch.setattr(json_values, "BLOCK_BYTES", block)
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        list(read_json_items(path))
    assert str(error.value).startswith(f"{path}, {place}: not JSON (")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"date": []}', "found the keys date where 'data' belongs, once"),
        ('{"data": [], "data": []}', "found the keys data, data where"),
        ('{"data": {}}', "line 1, column 10"),
        ("{1: 2}", "line 1, column 2"),
        ('{"data": [],}', "line 1, column 13"),
        ("[]", "line 1, column 1"),
    ],
)
def test_the_array_of_a_key_must_be_there_once(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        list(read_json_items(write(tmp_path, text), "data"))


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_bytes_that_are_not_utf8_are_named(tmp_path, monkeypatch, block):
    monkeypatch.setattr(json_values, "BLOCK_BYTES", block)
    path = write(tmp_path, '[{"a": "가"}, {"b": "'.encode() + b"\xea\xb0" + b'"}]')
    with pytest.raises(InputError, match="items.json, byte 22: not UTF-8"):
        list(read_json_items(path))


def test_an_item_too_long_is_refused_before_it_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(json_values, "BLOCK_BYTES", 100)
    monkeypatch.setattr(json_values, "MAX_ITEM_CHARACTERS", 1_000)
    path = write(tmp_path, '[{"a": 1}, {"a": "' + "x" * 100_000 + '"}]')
    with pytest.raises(InputError, match="line 1, column 12: not JSON \\(a value of over 1,000"):
        list(read_json_items(path))


def test_memory_is_that_of_an_item_not_of_the_file(tmp_path):
    item = {"context": "<p>가나다 abc</p>" * 3_000}
    path = tmp_path / "big.json"
    with path.open("w", encoding="utf-8") as file:
        file.write('{"data": [')
        for number in range(400):
            file.write(("," if number else "") + json.dumps(item, ensure_ascii=False))
        file.write("]}")
    assert path.stat().st_size > 20_000_000
    tracemalloc.start()
    count = sum(1 for _ in read_json_items(path, "data"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 400
    assert peak < 10_000_000
