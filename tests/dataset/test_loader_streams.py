"""Sensors at their own rate: kept to the bit, resampled when read, marked where they do not reach."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboscale.core import BadData, Field, Provenance, Spec, SpecMismatch, UnknownName
from roboscale.core.recording import Stream
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.streams import read_stream, resample, stream_path, write_stream

START_NS = 1_700_000_000_000_000_000


def force(samples: int, step_ns: int = 10**7, shape: tuple[int, ...] = (2,)) -> Stream:
    values = np.arange(samples * int(np.prod(shape)), dtype=np.float32).reshape(samples, *shape)
    return Stream(START_NS + step_ns * np.arange(samples, dtype=np.int64), values, "N", ("x", "y") if shape else ())


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    """Two episodes of 5 frames, 100 ms apart, and the force every 10 ms from the first frame on."""
    spec = Spec((Field("action", (1,), "float32"), Field("time.frame_ns", (1,), "int64", unit="ns")), 10)
    with DatasetWriter(tmp_path / "set", spec) as writer:
        for number in range(2):
            take = writer.begin("feel what the hand is touching", Provenance("test"))
            for k in range(5):
                time = np.array([START_NS + number + k * 10**8])
                take.add({"action": np.zeros(1, np.float32), "time.frame_ns": time})
            take.save()
    for episode in Dataset(tmp_path / "set").episodes:
        path = stream_path(tmp_path / "set/meta/roboscale/streams", "force", episode.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_stream(path, force(41), "force")
    return tmp_path / "set"


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3)])
@pytest.mark.parametrize("samples", [0, 1, 50])
def test_a_stream_comes_back_to_the_bit(tmp_path: Path, dtype: str, shape: tuple[int, ...], samples: int):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**40, (samples, *shape)).astype(dtype)
    time_ns = START_NS + np.cumsum(rng.integers(0, 10**9, samples))
    sent = Stream(time_ns, values, "N", tuple(f"element {i}" for i in range(3)))
    write_stream(tmp_path / "a.parquet", sent, "force")
    found = read_stream(tmp_path / "a.parquet")
    np.testing.assert_array_equal(found.time_ns, sent.time_ns, strict=True)
    np.testing.assert_array_equal(found.values, sent.values, strict=True)
    assert (found.unit, found.layout) == (sent.unit, sent.layout)


def test_a_dataset_reads_streams(timed: Path):
    dataset = Dataset(timed)
    assert dataset.streams == ("force",)
    assert dataset.stream(1, "force").unit == "N" and dataset.stream(1, "force").values.shape == (41, 2)
    with pytest.raises(UnknownName, match="forse"):
        dataset.stream(0, "forse")
    with pytest.raises(UnknownName, match="forse"):
        Dataset(timed, delta_timestamps={"forse": [0.0]})
    with pytest.raises(UnknownName, match="action"):
        Dataset(timed, resampling={"action": "linear"})
    assert "force" not in dataset[0]


def test_windows_of_streams_are_resampled_at_the_frame_times(timed: Path):
    deltas = [-0.02, -0.003, 0.0, 0.004]
    held = Dataset(timed, delta_timestamps={"force": deltas})
    np.testing.assert_array_equal(held[1]["force"][:, 0], [16, 18, 20, 20])
    assert not held[1]["force_is_pad"].any()
    np.testing.assert_array_equal(held[0]["force"][:, 0], [0, 0, 0, 0])
    np.testing.assert_array_equal(held[0]["force_is_pad"], [True, True, False, False])
    np.testing.assert_array_equal(held[4]["force_is_pad"], [False, False, False, True])
    between = Dataset(timed, delta_timestamps={"force": deltas}, resampling={"force": "linear"})
    np.testing.assert_allclose(between[1]["force"][:, 0], [16, 19.4, 20, 20.8], rtol=1e-6)
    assert between[1]["force"].dtype == np.float32
    # The second episode's frames are one nanosecond later than the stream's samples.
    np.testing.assert_array_equal(held[9]["force_is_pad"], [False, False, True, True])
    pytest.importorskip("torch")
    tensors = Dataset(timed, delta_timestamps={"force": deltas}, to="torch")[1]
    assert tensors["force"].shape == (4, 2) and not tensors["force_is_pad"].any()
    assert set(Dataset(timed, delta_timestamps={"force": deltas}).select(["action"]).bounded(1)[1]) >= {"force"}


def test_without_frame_times_frames_count_from_the_first_sample(root: Path, robot: ModuleType):
    with DatasetWriter(root, robot.SPEC) as writer:
        robot.record(writer, 7, 4)  # saved, not sealed
        dataset = Dataset(root)
        pending = next((root / "meta/roboscale/pending").iterdir()) / "streams"
        pending.mkdir()
        write_stream(stream_path(pending, "force"), force(100), "force")
        dataset = Dataset(root, delta_timestamps={"force": [0.0, 0.05]})
        assert dataset.streams == ("force",)
        np.testing.assert_array_equal(dataset[20]["force"][:, 0], [40, 50])
        with pytest.raises(BadData, match="file: expected to exist"):
            dataset[0]


@given(
    steps=st.lists(st.integers(0, 1000), min_size=1, max_size=30),
    at=st.lists(st.integers(-500, 20_000), min_size=1, max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_resampling_laws(steps: list[int], at: list[int]):
    times = np.cumsum(np.array(steps, np.int64))
    stream = Stream(times, np.arange(len(times), dtype=np.float64)[:, None])
    wanted = np.array(at, np.int64)
    held, outside = resample(stream, wanted, "previous")
    for time, value, pad in zip(wanted, held[:, 0], outside, strict=True):
        before = np.flatnonzero(times <= time)
        assert value == (before[-1] if len(before) else 0)
        assert pad == (time < times[0] or time > times[-1])
    between, _ = resample(stream, wanted, "linear")
    unique = np.concatenate([np.diff(times) > 0, [True]])  # with equal times the last counts
    assert (between >= held - 1e-9).all() and (between <= held + 1 + 1e-9).all()
    if unique.all():
        np.testing.assert_allclose(between[:, 0], np.interp(wanted, times, np.arange(len(times))), atol=1e-9)
    exact, padded = resample(stream, times[unique], "linear")
    np.testing.assert_array_equal(exact[:, 0], np.flatnonzero(unique))
    assert not padded.any()


def test_names_that_are_no_files_are_refused(tmp_path: Path):
    for name in ("../force", "a/b", ".hidden", ""):
        with pytest.raises(SpecMismatch, match="cannot be a stream"):
            stream_path(tmp_path, name, "0" * 32)
    with pytest.raises(SpecMismatch, match="without samples"):
        resample(force(0), np.zeros(1, np.int64), "previous")


def test_broken_files_say_what_is_wrong(tmp_path: Path):
    path = tmp_path / "a.parquet"
    write_stream(path, force(20), "force")
    table, content = pq.read_table(path), path.read_bytes()
    described = json.loads(table.schema.metadata[b"roboscale.stream"])

    def rewrite(changed: pa.Table, **said: object) -> None:
        said = {key: value for key, value in {**described, **said}.items() if key != "crc32"}
        metadata = {b"roboscale.stream": json.dumps(said).encode()}
        pq.write_table(changed.replace_schema_metadata(metadata), path)

    broken = {
        "columns": lambda: rewrite(table.select(["value", "time_ns"])),
        "value: expected 20 of shape [3]": lambda: rewrite(table, shape=[3]),
        "value: expected 20 of shape [-2]": lambda: rewrite(table, shape=[-2]),
        "value: expected 20 of shape [2], float64": lambda: rewrite(table, dtype="float64"),
        "roboscale.stream": lambda: pq.write_table(table.replace_schema_metadata({}), path),
        "times that do not go backwards": lambda: rewrite(table.take(list(range(20))[::-1])),
        "a time in every row": lambda: rewrite(table.set_column(0, "time_ns", pa.nulls(20, pa.int64()))),
        "a complete parquet file": lambda: path.write_bytes(content[:300]),
        "to exist": path.unlink,
    }
    for message, breakage in broken.items():
        breakage()
        with pytest.raises(BadData) as caught:
            read_stream(path)
        assert message in str(caught.value) and str(path) in str(caught.value)


def test_a_flipped_bit_is_an_error_or_changes_nothing(tmp_path: Path):
    path = tmp_path / "a.parquet"
    write_stream(path, force(20), "force")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(500):
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with contextlib.suppress(BadData):
            found = read_stream(path)
            np.testing.assert_array_equal(found.values, force(20).values)
            np.testing.assert_array_equal(found.time_ns, force(20).time_ns)
            assert (found.unit, found.layout) == ("N", ("x", "y"))
