"""A dataset written as a replay buffer: zarr opens it, and we read back what was in it."""

import numpy as np
import pytest
import zarr as reference

from roboscale.core import BadData, Field, Provenance, Spec, SpecMismatch
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.sources.records.zarr import detect, export_zarr, open_path
from roboscale.testing.recording_checks import check_recording

SPEC = Spec(
    (
        Field("observation.state", (3,), "float32"),
        Field("observation.force", (2, 2), "float64"),
        Field("action", (4,), "float32"),
        Field("applied.action", (4,), "float32"),
        Field("contact", (1,), "bool"),
        Field("observation.images.front", (32, 48, 3), "uint8"),
    ),
    10.0,
)


def make_dataset(root, spec=SPEC):
    rng = np.random.default_rng(3)
    with DatasetWriter(root, spec) as writer:
        for number in range(3):
            take = writer.begin(f"put the red block {number} away", Provenance("test"))
            for step in range(4 + number):
                frame = {f.name: rng.normal(size=f.shape).astype(f.dtype) for f in spec if f.dtype != "uint8"}
                for field in spec.images:
                    frame[field.name] = np.full(field.shape, 40 * step + number, np.uint8)
                take.add(frame)
            take.save()
    return Dataset(root)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("zarr_export") / "dataset")


def test_round_trip(dataset, tmp_path):
    seen = []
    export_zarr(dataset, tmp_path / "out.zarr", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (15, 15) and [p.name for p in tmp_path.iterdir()] == ["out.zarr"]
    assert detect(tmp_path / "out.zarr") == "zarr"
    recording = open_path(tmp_path / "out.zarr")
    check_recording(recording)
    assert recording.spec.rate_hz == 10 and not recording.findings and not recording.unmapped
    for number, key in enumerate(recording.keys):
        wanted, found = dataset.episode(number), recording.read(key)
        assert set(found.arrays) | set(found.pictures) == set(SPEC.names)
        for name, array in found.arrays.items():
            assert array.dtype == wanted.arrays[name].dtype
            assert np.array_equal(array, wanted.arrays[name].reshape(array.shape)), name
        images = np.stack(list(found.pictures["observation.images.front"]))
        assert np.array_equal(images, wanted.arrays["observation.images.front"])
        assert found.instruction == wanted.instruction and found.id == wanted.id


def test_zarr_opens_it_as_a_replay_buffer(dataset, tmp_path):
    export_zarr(dataset, tmp_path / "out.zarr")
    root = reference.open_group(str(tmp_path / "out.zarr"), mode="r")
    assert root.metadata.zarr_format == 2
    ends = root["meta"]["episode_ends"][:]
    assert ends.dtype == np.int64 and ends.tolist() == [4, 9, 15]
    data = root["data"]
    assert all(array.shape[0] == ends[-1] for _, array in data.arrays())
    assert set(data.keys()) == {"state", "force", "action", "applied.action", "contact", "front"}
    assert np.array_equal(data["force"][:], dataset.arrays("observation.force"))
    assert data["front"].dtype == np.uint8 and data["front"].chunks == (1, 32, 48, 3)
    assert np.array_equal(data["front"][4:9], dataset.decode(1, "observation.images.front"))


def test_refusals_leave_nothing_behind(dataset, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadData, match="nothing there yet"):
        export_zarr(dataset, tmp_path)
    clash = Spec((Field("observation.front", (2,), "float32"), *SPEC.images), 10.0)
    with pytest.raises(SpecMismatch, match=r"data/front.*observation\.front"):
        export_zarr(make_dataset(tmp_path / "clash", clash), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clash", "file"]
