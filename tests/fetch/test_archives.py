"""Archives as Korpora's hosts have them, and as an attacker or a bad line makes them."""

import gzip
import os
import random
import socket
import stat
import subprocess
import sys
import tarfile
import types
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import PAGE, Server, serve
from made_up import as_tar, as_zip, in_parts, left, made_up

from nlpbook_data import Corpus, InputError
from nlpbook_data.corpora.declaration import Archive, RawFile
from nlpbook_data.fetch.archives import ArchiveError, unpack
from nlpbook_data.fetch.corpus_files import fetch_corpus

TEXT = "".join(f"{number}번째 줄의 글 {number * 7919 % 1000}\n" for number in range(3000)).encode()
OTHER = TEXT.replace("글".encode(), "말".encode())


PACK: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "a.zip": as_zip,
    "a.tar.gz": as_tar,
    "a.tgz": as_tar,
}
ONE: dict[str, Callable[[bytes], bytes]] = {
    "a.zip": lambda data: as_zip({"texts.txt": data}),
    "a.tar.gz": lambda data: as_tar({"texts.txt": data}),
    "texts.txt.gz": gzip.compress,
}
each_pack = pytest.mark.parametrize("name", PACK)
each_kind = pytest.mark.parametrize("name", ONE)


def put(folder: Path, name: str, data: bytes) -> list[Path]:
    (folder / name).write_bytes(data)
    return [folder / name]


def refused(folder: Path, name: str, data: bytes, match: str, member: str = "texts.txt") -> str:
    """Assert that `data` is refused as a whole and that nothing is left of it, anywhere."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / "corpus").mkdir(exist_ok=True)
    before = left(folder)
    with pytest.raises(ArchiveError, match=match) as raised:
        unpack(put(folder / "in", name, data), folder / "in" / "corpus", [member])
    assert left(folder) == before | {f"in/{name}"}
    assert str(folder / "in" / name) in str(raised.value)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# Honest archives


@each_pack
@pytest.mark.parametrize("inside", ["texts.txt", "./texts.txt", "deep/er/texts.txt"])
def test_a_declared_member_is_unpacked_wherever_it_lies_and_nothing_else_is(tmp_path, name, inside):
    data = PACK[name]({"readme.txt": b"?", inside: TEXT, "x/._texts.txt": b"mac"})
    found = unpack(put(tmp_path, name, data), tmp_path, ["texts.txt"])
    assert found == {"texts.txt": tmp_path / "texts.txt.unpacked"}
    assert found["texts.txt"].read_bytes() == TEXT
    assert left(tmp_path) == {name, "texts.txt.unpacked"}


@each_pack
def test_members_in_folders_go_there_and_equal_base_names_are_told_apart(tmp_path, name):
    data = PACK[name]({"repo-main/a/train.tsv": TEXT, "repo-main/b/train.tsv": OTHER})
    found = unpack(put(tmp_path, name, data), tmp_path, ["b/train.tsv", "a/train.tsv"])
    assert found["a/train.tsv"].read_bytes() == TEXT
    assert found["b/train.tsv"].read_bytes() == OTHER
    assert found["b/train.tsv"].parent == tmp_path / "b"


@each_pack
@pytest.mark.parametrize("order", [1, -1])
def test_the_file_with_the_very_path_wins_over_one_with_the_name(tmp_path, name, order):
    files = list({"old/texts.txt": OTHER, "texts.txt": TEXT}.items())[::order]
    found = unpack(put(tmp_path, name, PACK[name](dict(files))), tmp_path, ["texts.txt"])
    assert found["texts.txt"].read_bytes() == TEXT


@each_pack
def test_two_files_that_could_be_the_member_are_refused(tmp_path, name):
    data = PACK[name]({"a/texts.txt": TEXT, "b/texts.txt": OTHER})
    refused(tmp_path, name, data, "'a/texts.txt' and 'b/texts.txt' could both be texts.txt")


@each_pack
def test_a_korean_name_is_found_decomposed_too(tmp_path, name):
    data = PACK[name]({unicodedata.normalize("NFD", "말뭉치.txt"): TEXT})
    found = unpack(put(tmp_path, name, data), tmp_path, ["말뭉치.txt"])
    assert found["말뭉치.txt"].read_bytes() == TEXT


def test_a_gz_is_its_one_member_under_the_declared_name(tmp_path):
    data = gzip.compress(TEXT) + gzip.compress(OTHER)  # two in a row are one file
    found = unpack(put(tmp_path, "whatever.gz", data), tmp_path, ["texts.txt"])
    assert found["texts.txt"].read_bytes() == TEXT + OTHER


@each_kind
@pytest.mark.parametrize("parts", [2, 3, 40])
def test_parts_are_read_as_one_archive(tmp_path, name, parts):
    data = ONE[name](TEXT)
    cuts = sorted(random.Random(parts).sample(range(1, len(data)), parts - 1))
    bounds = zip([0, *cuts], [*cuts, len(data)], strict=True)
    paths = [
        put(tmp_path, f"{name}{number:02}", data[start:end])[0]
        for number, (start, end) in enumerate(bounds)
    ]
    assert unpack(paths, tmp_path, ["texts.txt"])["texts.txt"].read_bytes() == TEXT


@pytest.mark.parametrize("name", ["kcbert-train.tar.gz", "one.txt.gz"])
def test_the_tools_that_corpora_are_packed_with_are_understood(tmp_path, name):
    """tar, gzip and split themselves, as their authors ran them."""
    (tmp_path / "one.txt").write_bytes(TEXT)
    pack = "tar cz one.txt" if ".tar" in name else "gzip -c one.txt"
    command = f"{pack} | split -b 4000 - {name}"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    parts = sorted(tmp_path.glob(f"{name}*"))
    assert len(parts) > 2
    assert unpack(parts, tmp_path, ["one.txt"])["one.txt"].read_bytes() == TEXT


def test_memory_does_not_grow_with_the_archive(tmp_path):
    script = f"""
import base64, gzip, os, resource, sys
from pathlib import Path
from nlpbook_data.fetch.archives import unpack
folder = Path({str(tmp_path)!r})
block = base64.b64encode(os.urandom(750_000))
sizes = []
for count in (5, 50):
    with gzip.open(folder / "texts.txt.gz", "wb", compresslevel=1) as file:
        for _ in range(count):
            file.write(block)
    path = unpack([folder / "texts.txt.gz"], folder, ["texts.txt"])["texts.txt"]
    assert path.stat().st_size == count * len(block)
    sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(sizes[1] - sizes[0])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 20_000  # KiB, for 45 MB more


# Archives that would do harm

EVIL = [
    *("../out.txt", "a/../../out.txt", "/out.txt", "..\\out.txt", "C:\\out.txt", "C:out.txt", ".."),
    "../texts.txt",  # the declared member itself
]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("first", [True, False])
def test_a_name_that_leaves_the_folder_refuses_all_of_it(tmp_path, name, evil, first):
    files = list({evil: b"evil", "texts.txt": TEXT}.items())[:: 1 if first else -1]
    refused(tmp_path, name, PACK[name](dict(files)), "outside the folder")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
@pytest.mark.parametrize("target", ["texts.txt", "other.txt"])
def test_links_and_devices_in_a_tar_refuse_all_of_it(tmp_path, kind, target):
    entry = tarfile.TarInfo(target)
    entry.type, entry.linkname = kind, "/etc/passwd"
    data = as_tar({"good/texts.txt": TEXT, target: entry})
    refused(tmp_path, "a.tar.gz", data, f"'{target}' is a link, a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_refuse_all_of_it(tmp_path, kind):
    refused(tmp_path, "a.zip", as_zip({"texts.txt": b"/etc/passwd"}, mode=kind), "a link or a dev")


BOMBS = {kind: (kind, pack(bytes(50_000_000))) for kind, pack in ONE.items()} | {
    "what is skipped": (
        "a.tar.gz",
        as_tar({"skipped.txt": bytes(50_000_000), "texts.txt": TEXT}),
    ),
    "zeros after the end": (
        "a.tar.gz",
        gzip.compress(gzip.decompress(as_tar({"texts.txt": b"small"})) + bytes(50_000_000)),
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch, bomb):
    monkeypatch.setattr("nlpbook_data.fetch.archives.HARMLESS", 1_000_000)
    name, data = BOMBS[bomb]
    assert len(data) * 200 < 50_000_000
    refused(tmp_path, name, data, "bombs")


def test_text_that_packs_well_is_no_bomb(tmp_path):
    text = "같은 줄이 여러 번 온다, 바뀌는 것은 숫자뿐이다.\n".encode() * 100_000
    data = gzip.compress(text)
    assert len(text) > 150 * len(data)
    assert unpack(put(tmp_path, "a.gz", data), tmp_path, ["a"])["a"].read_bytes() == text


def test_a_tar_header_of_megabytes_is_refused_instead_of_read(tmp_path):
    data = as_tar({"texts.txt": TEXT}, pax_headers={"comment": "x" * 2_000_000})
    refused(tmp_path, "a.tar.gz", data, "a name of more than a megabyte")


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\x7f" * 11])
def test_a_size_that_cannot_be_in_a_tar_is_refused(tmp_path, size):
    tar = bytearray(gzip.decompress(as_tar({"texts.txt": TEXT})))
    tar[124:136] = size
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bytes(tar)))
    with pytest.raises((ArchiveError, OSError)):  # of 2**90 bytes: no space
        unpack([tmp_path / "a.tar.gz"], tmp_path, ["texts.txt"])
    assert left(tmp_path) == {"a.tar.gz"}


@pytest.mark.parametrize("declared", [10, len(TEXT) + 10])
def test_a_zip_that_lies_about_a_size_is_refused(tmp_path, declared):
    data = as_zip({"texts.txt": TEXT})
    assert data.count(len(TEXT).to_bytes(4, "little")) == 2
    lie = data.replace(len(TEXT).to_bytes(4, "little"), declared.to_bytes(4, "little"))
    refused(tmp_path, "a.zip", lie, "damaged")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_whose_memory_cannot_be_bounded_are_refused(tmp_path, method):
    refused(tmp_path, "a.zip", as_zip({"texts.txt": TEXT}, method), "otherwise than by deflate")


def test_a_locked_zip_says_so(tmp_path):
    data = bytearray(as_zip({"texts.txt": TEXT}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    refused(tmp_path, "a.zip", bytes(data), "password")


# Archives that are none, or not all there


@each_kind
@pytest.mark.parametrize("data", [b"", PAGE, b"\x1f\x8b", b"PK", b"PK\x03\x04" + bytes(100)])
def test_what_is_not_an_archive_is_refused(tmp_path, name, data):
    refused(tmp_path, name, data, "neither zip nor gzip|damaged or cut off")


@each_kind
def test_a_cut_archive_is_refused_wherever_it_is_cut(tmp_path, name):
    data = ONE[name](TEXT)
    for length in (*range(1, len(data), len(data) // 40), *range(len(data) - 9, len(data))):
        refused(tmp_path, name, data[:length], "damaged or cut off|neither")


@each_kind
def test_a_flipped_bit_is_noticed_or_harmless(tmp_path, name):
    data = ONE[name](TEXT)
    dice = random.Random(0)
    noticed = 0
    for _ in range(150):
        broken = bytearray(data)
        broken[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        (tmp_path / name).write_bytes(broken)
        try:
            found = unpack([tmp_path / name], tmp_path, ["texts.txt"])
            assert found["texts.txt"].read_bytes() == TEXT
            found["texts.txt"].unlink()
        except (ArchiveError, OSError):
            noticed += 1
        assert left(tmp_path) == {name}
    assert noticed > 100


@each_pack
def test_a_member_that_is_not_there_is_named(tmp_path, name):
    refused(tmp_path, name, PACK[name]({"other.txt": TEXT}), "it holds no texts.txt")


def test_a_gz_is_not_two_files(tmp_path):
    with pytest.raises(ArchiveError, match="single file"):
        unpack(put(tmp_path, "a.gz", gzip.compress(TEXT)), tmp_path, ["a", "b"])


# Through fetch_corpus


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as state:
        yield state


def corpus(
    url: str | None,
    files: tuple[str, ...],
    members: tuple[str, ...] = ("texts.txt",),
    known: dict[str, RawFile] | None = None,
) -> Corpus:
    return made_up(url, files, raw=members, files=known or {}, archives=(Archive(files, members),))


PARTS = ("t.tar.gzaa", "t.tar.gzab", "t.tar.gzac")


@each_kind
def test_what_korpora_left_is_unpacked_without_the_network_and_stays(tmp_path, monkeypatch, name):
    monkeypatch.setattr(socket.socket, "connect", None)
    packed = ONE[name](TEXT)
    put(tmp_path, name, packed)
    fetch_corpus(corpus(None, (name,)), tmp_path, ["texts.txt"])
    assert (tmp_path / "texts.txt").read_bytes() == TEXT
    assert (tmp_path / name).read_bytes() == packed
    assert left(tmp_path) == {name, "texts.txt", "manifest.json"}
    assert '"fetched"' in (tmp_path / "manifest.json").read_text()


@each_kind
def test_what_was_downloaded_is_deleted_once_it_is_unpacked(server, tmp_path, name):
    server.content = ONE[name](TEXT)
    fetch_corpus(corpus(server.url, (name,)), tmp_path, ["texts.txt"])
    assert (tmp_path / "texts.txt").read_bytes() == TEXT
    assert left(tmp_path) == {"texts.txt", "manifest.json"}
    assert server.requests == [(f"/{name}", None)]


def test_parts_that_lie_there_are_used_and_only_the_others_are_downloaded(server, tmp_path):
    server.files = in_parts(as_tar({"texts.txt": TEXT}), PARTS)
    put(tmp_path, PARTS[1], server.files[f"/{PARTS[1]}"])
    fetch_corpus(corpus(server.url, PARTS), tmp_path, ["texts.txt"])
    assert (tmp_path / "texts.txt").read_bytes() == TEXT
    assert sorted(path for path, _ in server.requests) == [f"/{PARTS[0]}", f"/{PARTS[2]}"]
    assert left(tmp_path) == {PARTS[1], "texts.txt", "manifest.json"}


def test_parts_that_a_killed_process_fetched_are_not_fetched_again(server, tmp_path):
    server.files = in_parts(as_tar({"texts.txt": TEXT}), PARTS)
    put(tmp_path, f"{PARTS[0]}.fetched", server.files[f"/{PARTS[0]}"])
    put(tmp_path, "texts.txt.unpacked", b"half of")
    fetch_corpus(corpus(server.url, PARTS), tmp_path, ["texts.txt"])
    assert len(server.requests) == 2
    assert (tmp_path / "texts.txt").read_bytes() == TEXT
    assert left(tmp_path) == {"texts.txt", "manifest.json"}


def test_a_member_that_is_there_is_left_alone(server, tmp_path):
    server.content = as_zip({"a.txt": TEXT, "b.txt": TEXT})
    put(tmp_path, "a.txt", b"mine")
    two = corpus(server.url, ("t.zip",), ("a.txt", "b.txt"))
    fetch_corpus(two, tmp_path, two.file_names)
    assert (tmp_path / "a.txt").read_bytes() == b"mine"
    assert (tmp_path / "b.txt").read_bytes() == TEXT
    assert '"a.txt"' not in (tmp_path / "manifest.json").read_text()


def test_what_was_left_by_a_kill_after_the_last_rename_goes_at_the_next_fetch(tmp_path):
    put(tmp_path, "texts.txt", TEXT)
    put(tmp_path, "t.zip.fetched", b"archive")
    put(tmp_path, ".manifest.json.123.partial", b"{")
    put(tmp_path, "notes.partial", b"the user's own")
    fetch_corpus(corpus(None, ("t.zip",)), tmp_path, ["texts.txt"])
    assert left(tmp_path) == {"texts.txt", "notes.partial"}


def test_a_damaged_archive_of_the_users_stays_and_the_error_says_what_to_do(tmp_path):
    put(tmp_path, "t.zip", as_zip({"texts.txt": TEXT})[:-500])
    with pytest.raises(InputError, match=r"t.zip: damaged.*Delete .*t.zip to fetch it anew"):
        fetch_corpus(corpus(None, ("t.zip",)), tmp_path, ["texts.txt"])
    assert left(tmp_path) == {"t.zip"}


def test_a_damaged_archive_of_ours_goes_and_is_fetched_again(server, tmp_path):
    server.content = as_zip({"texts.txt": TEXT})[:-500]
    with pytest.raises(InputError, match=r"damaged.*It was deleted; try again later"):
        fetch_corpus(corpus(server.url, ("t.zip",)), tmp_path, ["texts.txt"])
    assert left(tmp_path) == set()
    server.content = as_zip({"texts.txt": TEXT})
    fetch_corpus(corpus(server.url, ("t.zip",)), tmp_path, ["texts.txt"])
    assert (tmp_path / "texts.txt").read_bytes() == TEXT


def test_members_are_checked_against_the_official_checksum(tmp_path):
    put(tmp_path, "t.zip", as_zip({"texts.txt": OTHER}))
    official = {"texts.txt": RawFile(sha256="0" * 64)}
    with pytest.raises(InputError, match="official file has sha256 000"):
        fetch_corpus(corpus(None, ("t.zip",), known=official), tmp_path, ["texts.txt"])
    assert left(tmp_path) == {"t.zip"}


def test_one_bad_member_keeps_all_of_them_out(tmp_path):
    put(tmp_path, "t.zip", as_zip({"a.txt": TEXT, "b.txt": OTHER}))
    two = corpus(None, ("t.zip",), ("a.txt", "b.txt"), {"b.txt": RawFile(bytes=1)})
    with pytest.raises(InputError, match="official file has 1 bytes"):
        fetch_corpus(two, tmp_path, two.file_names)
    assert left(tmp_path) == {"t.zip"}


def test_an_archive_that_does_not_fit_is_an_error_and_need_not_be_fetched_again(
    server, tmp_path, monkeypatch
):
    server.content = as_zip({"texts.txt": TEXT})
    usage = types.SimpleNamespace(free=len(server.content) + 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="no space left"):
        fetch_corpus(corpus(server.url, ("t.zip",)), tmp_path, ["texts.txt"])
    assert left(tmp_path) == {"t.zip.fetched"}
    monkeypatch.undo()
    fetch_corpus(corpus(server.url, ("t.zip",)), tmp_path, ["texts.txt"])
    assert len(server.requests) == 1
    assert left(tmp_path) == {"texts.txt", "manifest.json"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, the device always full")
def test_a_disk_that_fills_while_unpacking_is_not_called_damage(tmp_path):
    put(tmp_path, "texts.txt.gz", gzip.compress(os.urandom(100_000)))
    (tmp_path / "texts.txt.unpacked").symlink_to("/dev/full")
    with pytest.raises(InputError, match=f"{tmp_path}: no space left"):
        fetch_corpus(corpus(None, ("texts.txt.gz",)), tmp_path, ["texts.txt"])
    assert left(tmp_path) == {"texts.txt.gz"}
