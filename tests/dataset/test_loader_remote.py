"""Datasets behind a URL: what is read is the same, and only the ranges that are needed are fetched."""

from __future__ import annotations

import pickle
import uuid
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from roboscale.core import BadData, Field, Provenance, Spec, UnknownName
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.remote import RemotePath, open_root

fsspec = pytest.importorskip("fsspec")
spec_module = pytest.importorskip("fsspec.spec")

FRONT = "observation.images.front"
FETCHED: Counter[str] = Counter()


class CountedFile(spec_module.AbstractBufferedFile):
    def _fetch_range(self, start: int, end: int) -> bytes:
        FETCHED[self.path] += end - start
        with Path(self.path).open("rb") as file:
            file.seek(start)
            return file.read(end - start)


class CountedFileSystem(spec_module.AbstractFileSystem):
    """Local files behind the protocol `counted`, by ranges only; counts the bytes of each."""

    protocol = "counted"
    root_marker = "/"

    def ls(self, path: str, detail: bool = True, **_: object) -> list:
        folder = Path(self._strip_protocol(path))
        paths = sorted(folder.iterdir()) if folder.is_dir() else [folder]
        found = [
            {"name": str(p), "size": p.stat().st_size, "type": "directory" if p.is_dir() else "file"} for p in paths
        ]
        return found if detail else [f["name"] for f in found]

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: object) -> CountedFile:
        options.pop("autocommit", None)
        return CountedFile(self, path, mode, block_size or "default", **options)


@pytest.fixture(scope="module", autouse=True)
def counted_protocol():
    fsspec.register_implementation("counted", CountedFileSystem, clobber=True)
    FETCHED.clear()


def equal(a: dict, b: dict) -> None:
    assert list(a) == list(b)
    for key, value in a.items():
        np.testing.assert_array_equal(b[key], value)


def test_memory_file_and_counted_urls_read_the_same(root: Path, robot: ModuleType):
    with DatasetWriter(root, robot.SPEC) as writer:
        robot.record(writer, 5, 4)
        memory = f"memory://{uuid.uuid4().hex}/set"
        fs, path = fsspec.core.url_to_fs(memory)
        fs.put(str(root), path, recursive=True)
        windows = {"action": [-0.1, 0.0, 0.1], FRONT: [0.0, 0.1]}
        local = Dataset(root, delta_timestamps=windows)
        for url in (memory, f"counted://{root}", f"file://{root}"):
            remote = Dataset(url, delta_timestamps=windows)
            assert [e.id for e in remote.episodes] == [e.id for e in local.episodes] and len(remote) == 22
            assert remote.spec == local.spec
            for index in (0, 7, 17, 18, 21):
                equal(local[index], remote[index])
            equal(local[3], pickle.loads(pickle.dumps(remote))[3])
            np.testing.assert_array_equal(remote.arrays("action"), local.arrays("action"))


def test_one_frame_fetches_a_small_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    block = 2**14
    monkeypatch.setattr("roboscale.dataset.remote._BLOCK", block)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (96, 128, 128, 3)).astype(np.uint8)
    spec = Spec((Field(FRONT, (128, 128, 3), "uint8"), Field("action", (20, 20), "float32")), 10)
    with DatasetWriter(tmp_path / "set", spec) as writer:
        for number in range(8):
            take = writer.begin("look at the noise of a screen", Provenance("test"))
            for k in range(12):
                noise = rng.normal(size=(20, 20)).astype(np.float32)
                take.add({FRONT: pictures[12 * number + k], "action": noise})
            take.save()
    video = next((tmp_path / "set").rglob("*.mp4"))
    table = next((tmp_path / "set/data").rglob("*.parquet"))
    FETCHED.clear()
    dataset = Dataset(f"counted://{tmp_path}/set")
    assert FETCHED[str(video)] == FETCHED[str(table)] == 0  # opening reads metadata only
    found = dataset[50]
    equal(Dataset(tmp_path / "set")[50], found)
    assert 0 < FETCHED[str(video)] < 0.15 * video.stat().st_size
    tail = 2**16  # pyarrow reads so much of a file's end to find the footer
    assert 0 < FETCHED[str(table)] <= tail + 4 * block < table.stat().st_size
    before = FETCHED.copy()
    dataset[51]
    assert FETCHED[str(video)] - before[str(video)] <= 2 * block
    assert FETCHED[str(table)] == before[str(table)]  # the episode is in memory


def test_broken_and_missing_files_behind_a_url(root: Path):
    url = f"counted://{root}"
    video = next(root.rglob("*.mp4"))
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    camera = video.parents[1].name
    with pytest.raises(BadData, match=str(video)):
        Dataset(url).decode(2, camera)
    video.unlink()
    with pytest.raises(BadData, match=r"file: expected to exist"):
        Dataset(url).decode(0, camera)
    with pytest.raises(BadData, match=r"info.json: file: expected to exist"):
        Dataset("memory://there-is-nothing")
    with pytest.raises(BadData, match="protocol that fsspec can open"):
        Dataset("gopher://here/there")


def test_a_remote_path_is_a_path_to_readers():
    path = open_root("memory://bucket/folder/")
    assert isinstance(path, RemotePath) and str(path / "a/b.json") == "memory://bucket/folder/a/b.json"
    assert (path / "a" / "b.json").name == "b.json" and (path / "a").parent == path
    assert not (path / "a").exists() and hash(path) == hash(RemotePath("memory://bucket/folder"))
    with pytest.raises(FileNotFoundError):
        list((path / "nowhere").iterdir())
    assert open_root("file:///tmp/set") == Path("/tmp/set") == open_root(Path("/tmp/set"))
    with pytest.raises(TypeError):
        Path(path)  # what would write to a local file fails at once


def test_a_stream_that_is_not_there_behind_a_url(root: Path):
    with pytest.raises(UnknownName, match="stream"):
        Dataset(f"counted://{root}").stream(0, "force")
