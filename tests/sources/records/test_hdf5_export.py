"""A dataset written as robomimic's HDF5 and read back: every number the same bits."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from roboscale.core import BadData, Field, Outcome, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.sources.records import hdf5
from roboscale.sources.records.hdf5 import export_robomimic
from roboscale.testing.recording_checks import check_recording
from tests.samples.hdf5 import picture

SPEC = Spec(
    (
        Field("observation.state", (4,), "float32", unit="m"),
        Field("observation.robot.force", (3,), "float64", unit="N"),
        Field("observation.images.front", (48, 64, 3), "uint8"),
        Field("action", (3,), "float32"),
        Field("next.reward", (1,), "float64"),
        Field("next.done", (1,), "bool"),
        Field("commanded.joint_velocity", (3,), "float32"),
        Field("time.frame_ns", (1,), "int64", unit="ns"),
        Field("simulator.state", (9,), "float64"),
    ),
    10,
)


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(3)
    with DatasetWriter(tmp_path / "dataset", SPEC) as writer:
        for number in range(2):
            take = writer.begin(f"stack the cubes, attempt {number}", Provenance("teleop", world="table"))
            for t in range(5 + number):
                frame = {f.name: rng.normal(size=f.shape).astype(f.dtype) for f in SPEC if f.dtype.startswith("float")}
                frame["observation.images.front"] = picture(t)
                frame["next.done"] = np.array([t == 4 + number])
                frame["time.frame_ns"] = np.array([10**18 + t])
                take.add(frame)
            take.save(Outcome("success" if number else "failure"))
    return Dataset(tmp_path / "dataset")


def test_numbers_and_pictures_come_back_exactly(dataset, tmp_path):
    seen = []
    out = tmp_path / "out" / "demo.hdf5"
    export_robomimic(dataset, out, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)] and [p.name for p in out.parent.iterdir()] == ["demo.hdf5"]
    assert hdf5.detect(out) == "robomimic"
    recording = hdf5.open_path(out, "robomimic")
    check_recording(recording)
    assert recording.spec.rate_hz == 10 and set(recording.spec.names) == set(SPEC.names)
    for info, key in zip(dataset.episodes, recording.keys, strict=True):
        episode = recording.read(key)
        rows = slice(info.from_index, info.from_index + info.length)
        for field in SPEC:
            if field.is_image:
                images = np.stack(list(episode.pictures[field.name]))
                assert np.array_equal(images, dataset.decode(info.index, field.name))
            else:
                ours, theirs = dataset.arrays(field.name)[rows], episode.arrays[field.name]
                assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes(), field.name
        assert (episode.id, episode.instruction) == (info.id, info.instruction)
        assert episode.outcome is not None and episode.outcome.success == info.outcome.success


def test_the_file_is_what_robomimic_expects(dataset, tmp_path):
    out = tmp_path / "demo.hdf5"
    export_robomimic(dataset, out)
    with h5py.File(out) as file:
        assert file["data"].attrs["total"] == len(dataset) == 11
        environment = json.loads(file["data"].attrs["env_args"])
        assert environment["env_kwargs"]["control_freq"] == 10 and environment["env_name"] == "table"
        assert [name.decode() for name in file["mask/train"][()]] == ["demo_0", "demo_1"]
        demo = file["data/demo_1"]
        assert demo.attrs["num_samples"] == 6 and demo["actions"].shape == (6, 3)
        assert demo["rewards"].shape == demo["dones"].shape == (6,)
        assert set(demo["obs"]) == {"state", "robot.force", "front"} and demo["obs/front"].chunks == (1, 48, 64, 3)


def test_a_file_that_is_there_is_not_overwritten_and_a_failure_leaves_nothing(dataset, tmp_path):
    out = tmp_path / "demo.hdf5"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_robomimic(dataset, out, progress=stop)
    assert not list(tmp_path.glob("*demo.hdf5*"))
    export_robomimic(dataset, out)
    before = out.read_bytes()
    with pytest.raises(BadData, match="nothing there yet"):
        export_robomimic(dataset, out)
    assert out.read_bytes() == before


def test_a_flipped_bit_in_an_export_is_found(dataset, tmp_path):
    out = tmp_path / "demo.hdf5"
    export_robomimic(dataset, out)
    with h5py.File(out) as file:
        place = file["data/demo_0/actions"].id.get_chunk_info(0).byte_offset
    data = bytearray(out.read_bytes())
    data[place + 5] ^= 1
    out.write_bytes(bytes(data))
    with pytest.raises(BadData, match="actions"):
        hdf5.open_path(out, "robomimic").read("demo_0")
