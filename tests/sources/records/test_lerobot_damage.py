"""Damaged LeRobot datasets: a clear error, or what is still whole; never another exception, never a hang."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from roboscale.core import BadData, Field, Provenance, RoboscaleError, Spec
from roboscale.dataset import DatasetWriter
from roboscale.sources.records import lerobot
from tests.samples import lerobot as samples

ROUNDS = int(os.environ.get("ROBOSCALE_FUZZ", "6"))
"""Mutations of each file; `make fuzz` asks for more."""


def write_v3(root: Path) -> Path:
    fields = (Field("action", (2,), "float32"), Field("observation.images.front", (32, 32, 3), "uint8"))
    with DatasetWriter(root, Spec(fields, 10)) as writer:
        for number in range(2):
            take = writer.begin(f"task {number}", Provenance("test"))
            for k in range(6):
                image = np.full((32, 32, 3), 40 + k, np.uint8)
                take.add({"action": np.float32([k, number]), "observation.images.front": image})
            take.save()
    return root


def write_foreign_v3(root: Path) -> Path:
    shutil.rmtree(write_v3(root) / "meta/roboscale")
    return root


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut off, bits flipped, or a run of zero bytes."""
    kind = int(rng.integers(3))
    if kind == 0:
        return data[: int(rng.integers(len(data)))]
    changed = bytearray(data)
    if kind == 1:
        for place in rng.integers(0, len(data), int(rng.integers(1, 9))):
            changed[place] ^= 1 << int(rng.integers(8))
    else:
        first = int(rng.integers(len(data)))
        count = min(int(rng.integers(1, 65)), len(data) - first)
        changed[first : first + count] = bytes(count)
    return bytes(changed)


def read_all(root: Path) -> None:
    """RoboscaleError is allowed everywhere; anything else is not."""
    try:
        format = lerobot.detect(root)
        recording = lerobot.open_path(root, format or "lerobot-v2.1")
        assert all(finding.text for finding in recording.findings)
    except RoboscaleError:
        return
    for key in recording.keys:
        try:
            episode = recording.read(key)
        except RoboscaleError:
            continue
        for name, array in episode.arrays.items():
            assert array.shape == (len(episode), *recording.spec[name].shape)
            assert array.dtype == recording.spec[name].dtype


WRITERS = {"v21": samples.write_v21, "v20": samples.write_v20, "gr00t": samples.write_gr00t, "own": write_v3,
           "foreign": write_foreign_v3}  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
def test_a_damaged_file_gives_a_clear_error_or_what_is_whole(tmp_path, kind):
    root = WRITERS[kind](tmp_path / "set")
    rng = np.random.default_rng(0)
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size):
        data = path.read_bytes()
        for _ in range(ROUNDS):
            path.write_bytes(mutated(data, rng))
            began = time.process_time()
            read_all(root)
            assert time.process_time() - began < 10, path
        path.write_bytes(data)
    read_all(root)


def test_numbers_whose_checksum_fails_are_bad_data(tmp_path):
    root = samples.write_v21(tmp_path / "set", episodes=1)
    path = root / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    action = np.stack(table["action"].to_numpy()).tobytes()
    data = path.read_bytes()
    path.write_bytes(data.replace(action[:16], action[:15] + bytes([action[15] ^ 1])))
    assert path.read_bytes() != data
    with pytest.raises(BadData, match=r"episode_000000\.parquet"):
        lerobot.open_path(root, "lerobot-v2.1").read("episode_000000")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[" * 100_000, '{"fps": ' + "9" * 5000 + "}", '{"codebase_version": "v2.1"}', "\0" * 64, "nul"],
)
@pytest.mark.parametrize(
    "name", ["info.json", "episodes.jsonl", "tasks.jsonl", "episodes_stats.jsonl", "modality.json"]
)
def test_metadata_that_is_something_else(tmp_path, name, text):
    root = samples.write_gr00t(tmp_path / "set", episodes=1)
    (root / "meta" / name).write_text(text)
    read_all(root)
