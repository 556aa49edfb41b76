"""Digests of files: of content alone, remembered as long as nothing has touched the file, computed again otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from roboscale.core import BadData
from roboscale.dataset.digests import file_digest, folder_digest

FORGED = "f" * 32


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "roboscale" / "digests"


def old(path: Path, content: bytes = b"weights", seconds: int = 100) -> Path:
    """A file that was written a while ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(0, path.stat().st_mtime_ns - seconds * 10**9))
    return path


def forge(cache: Path) -> None:
    """Whoever trusts the cache says `FORGED` from now on."""
    for entry in cache.iterdir():
        entry.write_text(json.dumps(json.loads(entry.read_text()) | {"digest": FORGED}))


def of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@pytest.mark.parametrize("size", [0, 1, (1 << 22) - 1, 1 << 22, (1 << 22) + 1])
def test_a_digest_is_of_the_bytes(tmp_path: Path, size: int):
    content = bytes(range(256)) * (size // 256 + 1)
    path = old(tmp_path / "a", content[:size])
    assert file_digest(path) == file_digest(str(path)) == of(content[:size])
    assert file_digest(old(tmp_path / "b" / "other name", content[:size])) == of(content[:size])


def test_a_second_start_does_not_read(tmp_path: Path, cache: Path):
    path = old(tmp_path / "a")
    file_digest(path)
    forge(cache)
    assert file_digest(path) == FORGED
    (tmp_path / "link").symlink_to(path)
    assert file_digest(tmp_path / "link") == FORGED and len(list(cache.iterdir())) == 1


def rewritten(path: Path) -> None:
    path.write_bytes(b"WEIGHTS")


def rewritten_with_its_old_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_one_of_the_same_time_and_size(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"WEIGHTS")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("edit", [rewritten, rewritten_with_its_old_time, replaced_by_one_of_the_same_time_and_size])
def test_an_edit_of_the_same_size_is_seen(tmp_path: Path, cache: Path, edit: Callable[[Path], None]):
    path = old(tmp_path / "a")
    file_digest(path)
    forge(cache)
    edit(path)
    assert file_digest(path) == of(b"WEIGHTS")


def test_a_file_that_has_just_been_written_is_not_remembered(tmp_path: Path, cache: Path):
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    assert file_digest(path) == of(b"weights") and not cache.exists()
    assert file_digest(old(path, seconds=-100)) == of(b"weights") and not cache.exists()  # a clock that is ahead


@pytest.mark.parametrize(
    "entry",
    ["", "{", "[]", "null", "\xff", "[" * 100_000, '{"path": 1}', "path", "facts", "digest", "short", "folder"],
)
def test_a_broken_cache_is_computed_again(tmp_path: Path, cache: Path, entry: str):
    path = old(tmp_path / "a")
    file_digest(path)
    (file,) = cache.iterdir()
    good = json.loads(file.read_text())
    changes = {"path": {"path": "/b"}, "facts": {"facts": None}, "digest": {"digest": None}, "short": {"digest": "12"}}
    if entry == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes((json.dumps(good | changes[entry]) if entry in changes else entry).encode("latin-1"))
    assert file_digest(path) == of(b"weights")
    assert [each.name for each in cache.iterdir()] == [file.name]
    if entry != "folder":
        assert json.loads(file.read_text()) == good


def test_without_a_place_for_a_cache_digests_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = old(tmp_path / "a")
    (tmp_path / "file").touch()
    for place in (str(tmp_path / "file"), "/proc/nowhere", "/dev/null"):
        monkeypatch.setenv("XDG_CACHE_HOME", place)
        assert file_digest(path) == of(b"weights")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert file_digest(path) == of(b"weights")
    assert len(list((tmp_path / "home" / ".cache" / "roboscale" / "digests").iterdir())) == 1
    assert not (tmp_path / "relative").exists()


def test_processes_at_once_agree_and_leave_whole_entries(tmp_path: Path, cache: Path):
    for number in range(30):
        old(tmp_path / "many" / str(number), b"%d" % number)
    code = (
        "import sys\nfrom roboscale.dataset.digests import file_digest, folder_digest\n"
        "print(folder_digest(sys.argv[1]))\nprint(folder_digest(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "many")]
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert said == [f"{folder_digest(tmp_path / 'many')}\n" * 2] * 3
    entries = list(cache.iterdir())
    assert len(entries) == 30 and all(json.loads(entry.read_text())["path"] for entry in entries)


def test_what_is_no_file_is_said(tmp_path: Path):
    with pytest.raises(BadData, match=r"nothing: file: expected a file that can be read, found No such file"):
        file_digest(tmp_path / "nothing")
    with pytest.raises(BadData, match=r"file: expected a file that can be read, found no regular file"):
        file_digest(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadData, match=r"pipe: file: expected .* found no regular file"):
        file_digest(tmp_path / "pipe")


# ---- folders


def checkpoint(folder: Path) -> Path:
    old(folder / "policy.json", b"{}")
    old(folder / "weights.safetensors", b"0000")
    old(folder / "meta" / "info.json", b"[]")
    return folder


def test_a_folder_is_its_files_wherever_it_lies(tmp_path: Path):
    one, other = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "deep" / "other")
    assert folder_digest(one) == folder_digest(str(other)) and len(folder_digest(one)) == 32
    seen = {folder_digest(one)}
    for change in (
        lambda: old(one / "weights.safetensors", b"0001"),
        lambda: (one / "weights.safetensors").rename(one / "model.safetensors"),
        lambda: (one / "meta" / "info.json").rename(one / "info.json"),
        lambda: old(one / "more", b""),
        lambda: (one / "policy.json").unlink(),
    ):
        change()
        assert folder_digest(one) not in seen
        seen.add(folder_digest(one))


def test_contents_cannot_change_places(tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, contents in ((one, b"ab"), (other, b"ba")):
        for name, content in zip("xy", contents, strict=True):
            old(folder / name, bytes([content]))
    assert folder_digest(one) != folder_digest(other)


def test_hidden_and_compiled_files_are_no_content(tmp_path: Path):
    folder = checkpoint(tmp_path / "one")
    before = folder_digest(folder)
    for name in (".git/HEAD", ".DS_Store", "meta/.cache/x", "__pycache__/a.pyc", "b.pyc"):
        old(folder / name)
    (folder / "empty").mkdir()
    assert folder_digest(folder) == before
    assert folder_digest(folder, [".DS_Store"]) != folder_digest(folder, ["*.pyc"])  # unless they are asked for


def test_patterns_choose(tmp_path: Path):
    folder = checkpoint(tmp_path / "one")
    chosen = folder_digest(folder, ["policy.json", "*.safetensors"])
    old(folder / "meta" / "info.json", b"changed")
    assert folder_digest(folder, ["policy.json", "*.safetensors"]) == chosen != folder_digest(folder, ["*.json"])
    assert folder_digest(folder, ["meta/*.json"]) == folder_digest(folder, ["info.json"])
    with pytest.raises(BadData, match=r"one: files: expected \*\.bin, found none"):
        folder_digest(folder, ["*.bin"])


def test_links_are_followed_and_circles_end(tmp_path: Path):
    folder, plain = tmp_path / "one", checkpoint(tmp_path / "plain")
    store = old(tmp_path / "store" / "blob", b"0000")
    old(folder / "policy.json", b"{}")
    (folder / "weights.safetensors").symlink_to(store)
    (folder / "meta").symlink_to(plain / "meta")
    assert folder_digest(folder) == folder_digest(plain)
    (folder / "again").symlink_to(folder)
    assert folder_digest(folder) == folder_digest(plain)
    (folder / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadData, match="broken: file: expected a file that can be read, found No such file"):
        folder_digest(folder)


def test_what_is_no_folder_is_said(tmp_path: Path):
    with pytest.raises(BadData, match="nowhere: folder: expected a folder, found nothing"):
        folder_digest(tmp_path / "nowhere")
    with pytest.raises(BadData, match="a: folder: expected a folder, found a file"):
        folder_digest(old(tmp_path / "a"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="empty: files: expected any file, found none"):
        folder_digest(tmp_path / "empty")
