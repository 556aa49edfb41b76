"""Files that are not here are named as such, whatever stands in their place, and never as broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roboscale.core import BadData
from roboscale.dataset.unfetched import find_unfetched, unfetched
from roboscale.sources.records import detect, open_recording
from tests.samples import hdf5, mcap, rlds, zarr

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345678\n"
XET = b"# xet version 0\nfilesize = 2048000\nhash = 'ab'\n"
ANNEX = b"/annex/objects/SHA256E-s5000000--abcd.mp4\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LFS, "a Git LFS pointer, 12.35 MB not fetched: git lfs pull"),
        (XET, "a Xet pointer, 2.048 MB not fetched"),
        (ANNEX, "a git-annex pointer, 5 MB not fetched: git annex get"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "a web page"),
        (b"Entry not found", "a server's reply ('Entry not found')"),
        (b'{"error":"Access to dataset is restricted"}', "a server's reply"),
    ],
)
def test_what_stands_in_the_place_of_a_file(tmp_path: Path, data: bytes, words: str):
    path = tmp_path / "episode_000000.mp4"
    path.write_bytes(data)
    assert words in str(unfetched(path))


def test_links_and_half_downloads(tmp_path: Path):
    (tmp_path / "a.mp4").symlink_to(".git/annex/objects/x/SHA256E-s700--ab.mp4")
    (tmp_path / "b.mp4").symlink_to("../../blobs/abc")
    (tmp_path / "c.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "d.mp4.incomplete").write_bytes(bytes(10))
    kinds = [why.kind for _, why in find_unfetched(tmp_path)]
    assert [kind.split()[1] for kind in kinds] == ["git-annex", "link", "link", "first"]
    assert "700 bytes" in str(unfetched(tmp_path / "a.mp4"))


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x18ftypmp42", b"PAR1", b"version 1.2 of my robot's notes"])
def test_content_is_content(tmp_path: Path, data: bytes):
    (tmp_path / "x.bin").write_bytes(data)
    assert unfetched(tmp_path / "x.bin") is None and not list(find_unfetched(tmp_path))


def test_a_page_that_is_a_page_is_none_of_them(tmp_path: Path):
    (tmp_path / "report.html").write_bytes(b"<!DOCTYPE html><html></html>")
    (tmp_path / "answer.json").write_bytes(b'{"error": "none"}')
    assert not list(find_unfetched(tmp_path))


@pytest.mark.parametrize("name", ["a.hdf5", "a.h5", "a.mcap", "a.db3", "a.zarr.zip", "a.npz", "a.parquet", "a.vla"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_pointer_alone_is_no_unknown_format(tmp_path: Path, name: str, inside: bool):
    path = tmp_path / "recordings" / name
    path.parent.mkdir()
    path.write_bytes(LFS)
    with pytest.raises(BadData, match="Git LFS pointer, 12.35 MB not fetched: git lfs pull"):
        source = path.parent if inside else path
        open_recording(source, detect(source))


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (hdf5.write_aloha, "**/*.hdf5"),
        (rlds.write, "*.tfrecord*"),
        (lambda folder: zarr.write(folder / "replay.zarr"), "replay.zarr/data/action/[0-9]*"),
        (lambda folder: mcap.write(folder, episodes=1), "**/*.mcap"),
        (lambda folder: mcap.write(folder, episodes=1, storage="db3"), "**/*.db3"),
    ],
)
def test_every_format_names_the_pointer(tmp_path: Path, make: Callable[[Path], object], pattern: str):
    root = tmp_path / "recordings"
    root.mkdir() if pattern.endswith("hdf5") else None
    make(root)
    for lost in [p for p in root.glob(pattern) if p.is_file()]:
        lost.write_bytes(LFS)
    source = root / "replay.zarr" if (root / "replay.zarr").is_dir() else root
    with pytest.raises(BadData, match="Git LFS pointer, 12.35 MB not fetched"):
        recording = open_recording(source, detect(source), fps=10)
        recording.read(recording.keys[0])


def test_a_bag_that_is_packed_as_a_whole_says_how_to_unpack_it(tmp_path: Path):
    (tmp_path / "bag_0.db3.zstd").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(64))
    with pytest.raises(BadData, match="zstd -d --rm .*bag_0.db3.zstd"):
        detect(tmp_path)
