"""A dataset written as RLDS and read back: numbers, instruction and pictures as they were."""

import json

import numpy as np
import pytest

from roboscale.core import BadData, Field, Provenance, Spec, SpecMismatch
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.sources.records.rlds import export_rlds, open_path
from roboscale.sources.records.rlds.framing import index_shard, read_payload
from roboscale.testing.recording_checks import check_recording

SPEC = Spec(
    (
        Field("observation.state", (3,), "float32"),
        Field("observation.force", (2,), "float64"),
        Field("action", (4,), "float32"),
        Field("next.reward", (1,), "float32"),
        Field("applied.action", (4,), "float32"),
        Field("contact", (1,), "bool"),
        Field("time.camera_ns", (1,), "int64"),
        Field("observation.images.front", (32, 48, 3), "uint8"),
    ),
    10.0,
)


def make_dataset(root, *, force=0.5, spec=SPEC):
    rng = np.random.default_rng(3)
    with DatasetWriter(root, spec) as writer:
        for number in range(3):
            take = writer.begin(f"put the red block {number} away", Provenance("test"))
            for step in range(4 + number):
                frame = {f.name: rng.normal(size=f.shape).astype(f.dtype) for f in spec if f.dtype == "float32"}
                frame["observation.force"] = np.array([force, step])
                frame["contact"] = np.array([step % 2 == 0])
                frame["time.camera_ns"] = np.array([2**53 + 1 + step])
                frame["observation.images.front"] = np.full((32, 48, 3), 40 * step + number, np.uint8)
                take.add({name: frame[name] for name in spec.names})
            take.save()
    return Dataset(root)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("rlds_export") / "dataset")


def test_round_trip(dataset, tmp_path):
    seen = []
    export_rlds(dataset, tmp_path / "out", name="blocks", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)] and [p.name for p in tmp_path.iterdir()] == ["out"]
    recording = open_path(tmp_path / "out")
    check_recording(recording)
    assert recording.spec.rate_hz == 10 and len(recording.keys) == 3
    assert [f.check for f in recording.findings] == ["narrowed-floats"]  # float64 that 32 bits hold exactly
    for number, key in enumerate(recording.keys):
        wanted, found = dataset.episode(number), recording.read(key)
        assert set(found.arrays) | set(found.pictures) == set(SPEC.names)
        for name, array in found.arrays.items():
            assert array.dtype == wanted.arrays[name].dtype
            assert np.array_equal(array, wanted.arrays[name].reshape(array.shape)), name
        images = np.stack(list(found.pictures["observation.images.front"]))
        assert np.array_equal(images, wanted.arrays["observation.images.front"])
        assert found.instruction == wanted.instruction and found.id == wanted.id and not found.findings


def test_the_reference_parser_reads_it(dataset, tmp_path):
    from tfrecord import example_pb2
    from tfrecord.reader import tfrecord_loader

    export_rlds(dataset, tmp_path / "out")
    shard = next((tmp_path / "out").glob("*.tfrecord-00000-of-00001"))
    records = list(tfrecord_loader(str(shard), None, {"steps/action": "float"}))
    assert [len(r["steps/action"]) // 4 for r in records] == [e.length for e in dataset.episodes]
    feature = example_pb2.Example.FromString(read_payload(index_shard(shard), 0)).features.feature
    assert feature["steps/is_last"].int64_list.value == [0, 0, 0, 1]
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert info["splits"][0]["shardLengths"] == ["3"] and info["fileFormat"] == "tfrecord"
    features = json.loads((tmp_path / "out" / "features.json").read_text())["featuresDict"]["features"]
    assert features["steps"]["sequence"]["length"] == "-1"


def test_what_float32_cannot_hold_is_refused(tmp_path):
    dataset = make_dataset(tmp_path / "dataset", force=0.1)
    with pytest.raises(SpecMismatch, match=r"observation.force: RLDS holds float32, which is not exact .* float64"):
        export_rlds(dataset, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]


def test_nothing_is_overwritten(dataset, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadData, match="nothing there yet"):
        export_rlds(dataset, tmp_path)
    with pytest.raises(SpecMismatch, match="small letters"):
        export_rlds(dataset, tmp_path / "out", name="../x")
    assert (tmp_path / "file").read_text() == "mine"


def test_large_sets_become_several_shards(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("roboscale.sources.records.rlds.export._SHARD_BYTES", 1)
    export_rlds(dataset, tmp_path / "out")
    recording = open_path(tmp_path / "out")
    assert [key.rpartition("-of-")[2] for key in recording.keys] == ["00003:0"] * 3
    assert [recording.read(key).id for key in recording.keys] == [episode.id for episode in dataset.episodes]
