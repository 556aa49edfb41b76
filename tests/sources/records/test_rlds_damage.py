"""Broken RLDS gives a clear error or a verified prefix; never another exception, never other numbers."""

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.sources.records.rlds import open_path
from tests.samples import rlds


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return rlds.write(tmp_path_factory.mktemp("rlds_damage") / "sample", episodes=3, frames=2)


@pytest.fixture(scope="module")
def truth(sample):
    recording = open_path(sample, fps=10)
    return [recording.read(key) for key in recording.keys]


def copy_of(folder, target):
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def read_all(folder, truth):
    """Episodes that could be read, each as it was; the positions of the others."""
    recording = open_path(folder, fps=10)
    good, bad = [], []
    for number, key in enumerate(recording.keys):
        try:
            episode = recording.read(key)
        except RoboscaleError:
            bad.append(number)
            continue
        good.append(number)
        for name, array in truth[number].arrays.items():
            assert np.array_equal(episode.arrays[name], array), f"{key}: {name} changed silently"
        assert episode.instruction == truth[number].instruction
    return recording, good, bad


def test_truncated_anywhere(sample, truth, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    shard = next(folder.glob("*.tfrecord*"))
    whole = shard.read_bytes()
    for cut in np.linspace(0, len(whole) - 1, 50).astype(int):
        shard.write_bytes(whole[:cut])
        try:
            recording, good, bad = read_all(folder, truth)
        except RoboscaleError:
            continue
        assert len(good) < 3 and not bad
        assert any(f.check in ("damaged-shard", "shard-length") and f.severity == "error" for f in recording.findings)


def test_flipped_bits_never_pass(sample, truth, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    shard = next(folder.glob("*.tfrecord*"))
    whole = shard.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole) * 8, 300).tolist():
        broken = bytearray(whole)
        broken[position // 8] ^= 1 << position % 8
        shard.write_bytes(broken)
        try:
            recording, good, bad = read_all(folder, truth)
        except RoboscaleError:
            continue
        assert len(good) < 3, f"bit {position} passed"
        assert bad or recording.findings


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_broken_metadata(sample, truth, tmp_path, name):
    folder = copy_of(sample, tmp_path / "s")
    whole = (folder / name).read_bytes()
    rng = np.random.default_rng(1)
    for number in range(150):
        broken = bytearray(whole)
        if number % 3:
            broken[rng.integers(len(broken))] ^= 1 << int(rng.integers(8))
        else:
            del broken[rng.integers(len(broken)) :]
        (folder / name).write_bytes(broken)
        try:
            recording = open_path(folder, fps=10)
            for key in recording.keys:
                recording.read(key)
        except RoboscaleError:
            continue


def test_payloads_that_are_sound_but_no_example(sample, tmp_path):
    """Checksums that fit do not make a record: what is inside is checked as well."""
    from tfrecord.writer import TFRecordWriter

    from roboscale.sources.records.rlds.framing import index_shard, read_payload, write_payload

    folder = copy_of(sample, tmp_path / "s")
    path = next(folder.glob("*.tfrecord*"))
    payload = read_payload(index_shard(path), 0)
    assert TFRecordWriter.masked_crc(payload) == path.read_bytes()[12 + len(payload) :][:4]
    rng = np.random.default_rng(2)
    for _ in range(200):
        broken = bytearray(payload)
        broken[rng.integers(min(len(broken), 4000))] ^= 1 << int(rng.integers(8))
        with path.open("wb") as file:
            write_payload(file, bytes(broken))
        try:
            recording = open_path(folder, fps=10)
            for image in recording.read(recording.keys[0]).pictures["observation.images.image_0"]:
                assert image.shape == (32, 48, 3)
        except RoboscaleError:
            continue


def test_a_length_beyond_the_file_allocates_nothing(sample, tmp_path):
    from tfrecord.writer import TFRecordWriter

    folder = copy_of(sample, tmp_path / "s")
    path = next(folder.glob("*.tfrecord*"))
    length = (2**62).to_bytes(8, "little")
    path.write_bytes(length + TFRecordWriter.masked_crc(length) + b"x" * 100)
    with pytest.raises(BadData, match=f"a payload of {2**62} bytes, found 96 bytes"):
        open_path(folder, fps=10)
