"""Cache entries: whole or absent, built once, found again by content alone."""

import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from datasets.arrow_writer import ArrowWriter
from writing import written

from nlpbook_data.data.cache import (
    cache_root,
    cached_splits,
    code_hash,
    file_sha256,
    make_key,
    write_text,
)


def builder(rows: list[int], log: Path | None = None, seconds: float = 0.0) -> Callable:
    """A build that writes `rows` as train and test, and a line into `log`."""

    def build(folder: Path) -> None:
        if log is not None:
            with log.open("a") as lines:
                lines.write("built\n")
        for split in ("test", "train", "other", "validation"):
            time.sleep(seconds)
            with ArrowWriter(path=str(folder / f"{split}.arrow")) as writer:
                for row in rows:
                    writer.write({"row": row})
                writer.finalize()

    return build


def fail(folder: Path) -> None:
    raise AssertionError("built again")


def entry_of(cache: Path) -> Path:
    return cache_root(cache) / "name" / "key"


def leftovers(cache: Path) -> list[str]:
    """What lies beside the entry, locks apart."""
    found = entry_of(cache).parent.iterdir() if entry_of(cache).parent.exists() else []
    return sorted(path.name for path in found if path.name not in ("key", "key.lock"))


# cached_splits


def test_an_entry_is_built_once_and_its_splits_come_train_first(tmp_path):
    for build in (builder([1, 2]), fail):
        splits = cached_splits("name", "key", build, tmp_path)
        assert list(splits) == ["train", "validation", "test", "other"]
        assert all(rows["row"][:] == [1, 2] for rows in splits.values())
    assert leftovers(tmp_path) == []


def test_a_rebuild_replaces_an_entry_unless_it_fails(tmp_path):
    cached_splits("name", "key", builder([1]), tmp_path)
    cached_splits("name", "key", builder([2]), tmp_path, rebuild=True)
    with pytest.raises(AssertionError):
        cached_splits("name", "key", fail, tmp_path, rebuild=True)
    assert cached_splits("name", "key", fail, tmp_path)["train"]["row"][:] == [2]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("damage", [cut, lengthen, Path.unlink])
@pytest.mark.parametrize("file", ["train.arrow", "test.arrow", "entry.json"])
def test_a_damaged_entry_is_built_again_and_that_is_said(tmp_path, caplog, damage, file):
    cached_splits("name", "key", builder([1] * 1000), tmp_path)
    assert caplog.text == ""
    damage(entry_of(tmp_path) / file)
    assert cached_splits("name", "key", builder([2]), tmp_path)["test"]["row"][:] == [2]
    assert cached_splits("name", "key", fail, tmp_path)["train"]["row"][:] == [2]
    if damage == cut and file == "train.arrow":
        assert f"{entry_of(tmp_path)} is damaged" in caplog.text


def test_what_a_killed_build_left_is_neither_served_nor_kept(tmp_path):
    partial = entry_of(tmp_path).with_name("key.partial")
    partial.mkdir(parents=True)
    (partial / "stale.arrow").write_bytes(b"half a file")
    splits = cached_splits("name", "key", builder([1]), tmp_path)
    assert "stale" not in splits
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_build_that_raises_leaves_nothing_and_the_next_one_builds(tmp_path, error):
    def build(folder: Path) -> None:
        builder([1])(folder)
        raise error("in the middle")

    with pytest.raises(error):
        cached_splits("name", "key", build, tmp_path)
    assert not entry_of(tmp_path).exists()
    assert leftovers(tmp_path) == []
    assert cached_splits("name", "key", builder([2]), tmp_path)["train"]["row"][:] == [2]


def load_in_process(cache: Path, log: Path, start: float) -> None:
    time.sleep(max(0.0, start - time.time()))
    splits = cached_splits("name", "key", builder([1, 2], log, seconds=0.05), cache)
    os._exit(0 if splits["train"]["row"][:] == [1, 2] else 1)


def test_two_processes_at_once_build_once(tmp_path):
    start = time.time() + 0.2
    context = multiprocessing.get_context("fork")
    arguments = (tmp_path, tmp_path / "log", start)
    processes = [
        context.Process(target=load_in_process, args=arguments, daemon=True) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_a_build_that_is_killed_is_done_by_the_next_process(tmp_path):
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    process = context.Process(target=load_in_process, args=(tmp_path, log, 0.0), daemon=True)
    process.start()
    while not log.exists():
        time.sleep(0.005)
    process.kill()
    process.join(timeout=60)
    assert not (entry_of(tmp_path) / "entry.json").exists()
    assert cached_splits("name", "key", builder([3]), tmp_path)["train"]["row"][:] == [3]
    assert leftovers(tmp_path) == []


def mapped(cache: Path, key: str = "key", rebuild: bool = False) -> dict[str, list[str]]:
    """Return the files in which what `map` makes of each split is kept."""
    splits = cached_splits("name", key, builder([1]), cache, rebuild)
    return {
        split: [file["filename"] for file in rows.map(double).cache_files]
        for split, rows in splits.items()
    }


def double(row: dict[str, int]) -> dict[str, int]:
    return {"row": 2 * row["row"]}


def test_what_map_makes_of_an_entry_is_found_again_after_it_was_only_built_anew(tmp_path):
    one, again = mapped(tmp_path / "one"), mapped(tmp_path / "one", rebuild=True)
    assert one == again
    assert mapped(tmp_path / "one", "other")["train"] != one["train"]
    moved = {split: [Path(f).name for f in files] for split, files in mapped(tmp_path).items()}
    assert moved == {split: [Path(f).name for f in files] for split, files in one.items()}
    assert len({name for names in moved.values() for name in names}) == 4


def test_rows_are_mapped_from_disk_and_another_name_or_key_is_another_entry(tmp_path):
    for number, (name, key) in enumerate([("name", "key"), ("name", "other"), ("other", "key")]):
        rows = cached_splits(name, key, builder([number]), tmp_path)["train"]
        assert rows["row"][:] == [number]
        path = cache_root(tmp_path) / name / key / "train.arrow"
        assert rows.cache_files == [{"filename": str(path)}]


# make_key


def test_a_key_depends_on_every_part_and_on_datasets_and_not_on_an_order(monkeypatch):
    base = make_key(a=1, b={"x": [1, 2], "y": "글"})
    assert base == make_key(b={"y": "글", "x": [1, 2]}, a=1)
    others = [
        make_key(a=2, b={"x": [1, 2], "y": "글"}),
        make_key(a=1, b={"x": [2, 1], "y": "글"}),
        make_key(a=1, b={"x": [1, 2], "y": "굴"}),
        make_key(a=1, c={"x": [1, 2], "y": "글"}),
        make_key(a=1),
    ]
    assert len({base, *others}) == 6
    monkeypatch.setattr("nlpbook_data.data.cache.datasets.__version__", "0.0.1")
    assert make_key(a=1) != others[-1]


# code_hash


@pytest.fixture
def code_hashes(tmp_path: Path, monkeypatch) -> Callable[..., list[str]]:
    """Write each package ``{file: code}``, from which `code_hash` is to be of `module`."""

    def code_hashes(*packages: dict[str, str], module: str = "toy_package") -> list[str]:
        hashes = []
        for number, files in enumerate(packages):
            for name, code in {"__init__.py": "", **files}.items():
                written(tmp_path / str(number) / "toy_package" / name, code)
            with monkeypatch.context() as patch:
                patch.syspath_prepend(tmp_path / str(number))
                hashes.append(code_hash.__wrapped__(module))
                sys.modules.pop("toy_package", None)
        return hashes

    return code_hashes


CODE = 'X = 1\n\n\ndef parse(line):\n    return line.split("\\t")\n'


def test_code_hash_ignores_comments_and_layout_and_sees_every_change_of_code(code_hashes):
    package = {"a.py": CODE, "sub/__init__.py": "", "sub/b.py": "Y = 1\n"}
    comment = CODE.replace("X = 1", "# what X is\nX = (1)  # 하나").replace("\n\n\n", "\n\n")
    base, moved, commented, *others = code_hashes(
        package,
        package,
        {**package, "a.py": comment},
        {**package, "a.py": CODE.replace("\\t", ",")},
        {**package, "sub/b.py": "Y = 2\n"},
        {**package, "c.py": "Z = 1\n"},
        {"b.py": CODE, "sub/__init__.py": "", "sub/a.py": "Y = 1\n"},
    )
    assert base == moved == commented
    assert len({base, *others}) == 5


def test_code_hash_of_a_module_leaves_its_neighbours_out(code_hashes):
    package = {"a.py": CODE, "b.py": "Y = 1\n"}
    changed = {**package, "b.py": "Y = 2\n"}, {**package, "a.py": "X = 2\n"}
    base, neighbour, itself = code_hashes(package, *changed, module="toy_package.a")
    assert base == neighbour != itself


# file_sha256


def old_file(path: Path, content: bytes, age: float = 100) -> Path:
    """Write a file that was last touched `age` seconds ago."""
    path.write_bytes(content)
    then = time.time_ns() - int(age * 1e9)
    os.utime(path, ns=(then, then))
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def move_here(path: Path) -> None:
    """`mv` brings its own inode, even where size and time are the same."""
    times = path.stat().st_mtime_ns
    other = path.with_name("b")
    other.write_bytes(b"two")
    os.utime(other, ns=(times, times))
    other.rename(path)


def edit_in_secret(path: Path) -> None:
    """Editors may give a file its old time back; and a clock ticks slowly."""
    times = path.stat().st_mtime_ns
    path.write_bytes(b"two")
    os.utime(path, ns=(times, times))


@pytest.mark.parametrize("age", [100, 0])
@pytest.mark.parametrize(
    "change",
    [move_here, edit_in_secret]
    + [partial(old_file, content=b"two", age=age) for age in (98, 99.999_999, 3)],
)
def test_a_sum_is_remembered_until_the_file_changes_in_any_way(tmp_path, monkeypatch, age, change):
    path = old_file(tmp_path / "a", b"one", age)
    assert file_sha256(path, tmp_path) == sha256(b"one")
    if age:
        with monkeypatch.context() as patch:
            patch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
            assert file_sha256(path, tmp_path) == sha256(b"one")
    change(path)
    for _ in range(2):
        assert file_sha256(path, tmp_path) == sha256(b"two")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"state": null}', "\0\0"])
def test_a_broken_memory_is_not_believed(tmp_path, content):
    path = old_file(tmp_path / "a", b"one")
    file_sha256(path, tmp_path)
    [memory] = (cache_root(tmp_path) / "sha256").iterdir()
    memory.write_text(content)
    assert file_sha256(path, tmp_path) == sha256(b"one")
    assert memory.read_text() == sha256(b"one")


# write_text


def test_text_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_text(path, "처음\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(OSError):
            write_text(path, "다음\n")
    assert path.read_bytes() == "처음\n".encode()
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud83d")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    write_text(path, "다음\r\n")
    assert path.read_bytes() == "다음\r\n".encode()
