"""Kill a process that fetches, at random moments, and look at what it leaves behind.

Each time a loopback server sends a corpus of three plain files and four archives (a zip, a gz and a
tar.gz in three parts, one zip that already lies there) slowly, and breaks connections off, to a
process of its own (with shorter back-off and a slower disk). That is killed (-9) after a random
time that starts when the server sends its first byte. Then:

- no file under its final name may have other than its right bytes;
- every such file must have its right entry in the manifest, and the manifest must be readable;
- the archive that the user had must be as it was.

Then the same fetch runs to the end, from a server whose files have changed in a third of the cases.
All files must be there, each wholly of one version; nothing else may be left; and what was there
before must not have been asked for again.
"""

import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from loopback import Server, serve
from made_up import as_tar, as_zip, in_parts, left, made_up

from nlpbook_data.corpora.declaration import Archive, Corpus
from nlpbook_data.errors import InputError
from nlpbook_data.fetch import download
from nlpbook_data.fetch.corpus_files import fetch_corpus

PLAIN = ("a.txt", "deep/b.txt", "c.txt")
PARTS = tuple(f"tar.tar.gz{part}" for part in ("aa", "ab", "ac"))
ARCHIVES = (
    Archive(("zip.zip",), ("zip1.txt", "zip2.txt")),
    Archive(("gz.txt.gz",), ("gz.txt",)),
    Archive(PARTS, ("deep/tar1.txt", "tar2.txt")),
    Archive(("mine.zip",), ("mine.txt",)),
)
FILES = (*PLAIN, *(member for archive in ARCHIVES for member in archive.members))
SIZE = 1_000_000


def contents(seed: int) -> dict[str, bytes]:
    """Return what each raw file holds; lengths do not depend on the seed."""
    return {
        file: random.Random(f"{seed} {file}").randbytes(SIZE // 2).hex().encode() for file in FILES
    }


def packed(raw: dict[str, bytes]) -> dict[str, bytes]:
    """Return what the server sends, by path."""
    zipped = as_zip({file: raw[file] for file in ARCHIVES[0].members}, level=1)
    tarred = as_tar({file: raw[file] for file in ARCHIVES[2].members}, compresslevel=1)
    served = {f"/{file}": raw[file] for file in PLAIN} | in_parts(tarred, PARTS)
    return served | {"/gz.txt.gz": gzip.compress(raw["gz.txt"], 1), "/zip.zip": zipped}


def corpus(url: str) -> Corpus:
    names = (*PLAIN, *(part for archive in ARCHIVES[:3] for part in archive.files))
    return made_up(url, names, raw=FILES, archives=ARCHIVES)


def start(url: str, folder: Path) -> subprocess.Popen:
    here = Path(__file__).parent
    script = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n"
        f"import test_fetch_kill; test_fetch_kill.fetch_slowly({url!r}, {str(folder)!r})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def whole_files(folder: Path) -> set[str]:
    return {file for file in FILES if (folder / file).exists()}


def wrongs(folder: Path, raws: list[dict[str, bytes]], mine: bytes) -> list[str]:
    """Return what is wrong with the files under their final names, and with the manifest."""
    found = []
    manifest = {"files": {}}
    if (folder / "manifest.json").exists():
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        except ValueError as error:
            found.append(f"manifest.json: {error}")
    for file in whole_files(folder):
        data = (folder / file).read_bytes()
        if data not in [raw[file] for raw in raws]:
            found.append(f"{file}: wrong bytes ({len(data):,})")
        entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if manifest["files"].get(file) != entry:
            found.append(f"{file}: {manifest['files'].get(file)} in the manifest, not {entry}")
    for file in manifest["files"].keys() - set(FILES):
        found.append(f"{file}: in the manifest, but no raw file")
    if (folder / "mine.zip").read_bytes() != mine:
        found.append("mine.zip: changed")
    return found


def try_once(seed: int, server: Server, folder: Path) -> list[str]:
    """Kill one fetch; return what was wrong then or later."""
    dice = random.Random(seed)
    raw = contents(seed)
    raws = [raw]
    folder.mkdir()
    mine = as_zip({"mine.txt": raw["mine.txt"]}, level=1)
    (folder / "mine.zip").write_bytes(mine)
    server.files, server.headers = packed(raw), {"ETag": f'"{seed}"'}
    server.script = dice.choice([["ranges"], ["cut", "ranges", "cut", "ranges"]])
    server.pause, server.block = dice.choice([(0.0, 1 << 16), (0.002, 1 << 16)])
    server.requests.clear()
    server.first_byte.clear()
    process = start(server.url, folder)
    if not server.first_byte.wait(60):
        process.kill()
        return [f"no byte was asked for: {process.communicate()[1]}"]
    # from the first byte the whole fetch lasts half a second to two
    time.sleep(dice.uniform(0, dice.choice([0.1, 0.3, 0.6, 1.2])))
    ended = process.poll() is not None
    process.kill()
    errors = process.communicate()[1]
    found = [errors] if ended and process.returncode != 0 else []
    found += [f"after the kill: {wrong}" for wrong in wrongs(folder, raws, mine)]
    there = whole_files(folder)
    server.script, server.pause = ["ranges"], 0.0
    if dice.random() < 1 / 3:
        # What is recorded may not change, nor a part of an archive whose other parts are there.
        kept = {"mine.txt"}
        if (folder / "manifest.json").exists():
            kept |= set(json.loads((folder / "manifest.json").read_text("utf-8"))["files"])
        if list(folder.glob("*.fetched")):
            kept |= {member for archive in ARCHIVES for member in archive.members}
        new = contents(-1 - seed)
        new |= {file: raw[file] for file in kept}
        server.files, server.headers = packed(new), {"ETag": f'"{seed} changed"'}
        raws.append(new)
    server.requests.clear()
    try:
        fetch_corpus(corpus(server.url), folder, FILES)
    except InputError as error:
        found.append(f"the second fetch failed: {error}")
    found += [f"in the end: {wrong}" for wrong in wrongs(folder, raws, mine)]
    if whole_files(folder) != set(FILES):
        found.append(f"in the end: {set(FILES) - whole_files(folder)} not there")
    if more := left(folder) - {*FILES, "mine.zip", "manifest.json"}:
        found.append(f"in the end: {more} left over")
    again = {path.lstrip("/") for path, _ in server.requests} & there
    if again:
        found.append(f"{again} fetched again")
    return found


def fetch_slowly(url: str, folder: str) -> None:
    """Fetch in this process, which gives whoever wants to kill it more time to do so."""
    flush = os.fsync
    os.fsync = lambda file: (time.sleep(0.02), flush(file))  # a slow disk

    async def pause(seconds: float) -> None:
        await anyio.sleep(seconds / 50)

    download._pause = pause
    fetch_corpus(corpus(url), Path(folder), FILES)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
def test_nothing_wrong_is_left_by_a_process_killed_at_a_random_moment(tmp_path, seed):
    with serve() as server:
        assert try_once(seed, server, tmp_path / "killed") == []
