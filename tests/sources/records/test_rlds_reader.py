"""RLDS as the tfrecord package writes it, and the published bridge sample."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from roboscale.core import UNKNOWN, BadData, UnknownName
from roboscale.dataset.pictures import decode_picture
from roboscale.sources.records.rlds import detect, open_path
from roboscale.sources.records.rlds.example import parse_example, serialize_example
from roboscale.sources.records.rlds.features import FeatureLeaf, load_features, numbers
from roboscale.sources.records.rlds.framing import index_shard, read_payload
from roboscale.testing.recording_checks import check_recording
from tests.samples import rlds

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
BRIDGE = DATA / "rlds_bridge"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return rlds.write(tmp_path_factory.mktemp("rlds") / "sample", episodes=3, frames=5)


def shard_of(folder):
    return next(folder.glob("*.tfrecord*"))


def copy_of(folder, target):
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def rewrite(folder, edit):
    """Writes every record again after `edit(values)`."""
    from tfrecord.writer import TFRecordWriter

    shard = index_shard(shard_of(folder))
    records = [parse_example(read_payload(shard, i), "", "") for i in range(len(shard.offsets))]
    writer = TFRecordWriter(str(shard.path))
    for values in records:
        edit(values)
        payload = serialize_example(values)
        length = len(payload).to_bytes(8, "little")
        writer.file.write(length + writer.masked_crc(length) + payload + writer.masked_crc(payload))
    writer.close()


def edit_features(folder, edit):
    path = folder / "features.json"
    data = json.loads(path.read_text())
    edit(data["featuresDict"]["features"]["steps"]["sequence"]["feature"]["featuresDict"]["features"])
    path.write_text(json.dumps(data))


def test_a_sample_keeps_every_promise(sample):
    assert detect(sample) == detect(sample.parent / "sample" / shard_of(sample).name) == "rlds"
    check_recording(open_path(sample, fps=10))


def test_values_are_those_that_were_written(sample):
    from tfrecord import example_pb2

    recording = open_path(sample, fps=10)
    shard = index_shard(shard_of(sample))
    for number, key in enumerate(recording.keys):
        theirs = example_pb2.Example.FromString(read_payload(shard, number)).features.feature
        episode = recording.read(key)
        for name, source in {"action": "action", "observation.state": "observation/state"}.items():
            wanted = np.array(theirs[f"steps/{source}"].float_list.value, np.float32).reshape(5, 7)
            assert np.array_equal(episode.arrays[name], wanted)
        blobs = theirs["steps/observation/image_0"].bytes_list.value
        for image, blob in zip(episode.pictures["observation.images.image_0"], blobs, strict=True):
            assert np.array_equal(image, decode_picture(blob, "", ""))
        assert episode.instruction == f"put block {number} into the bowl"
        assert episode.provenance.details["episode_metadata"] == {
            "file_path": f"/raw/{number}.npy",
            "episode_id": number,
        }
        assert episode.provenance.details["is_terminal"] is True and not episode.findings


def test_nothing_is_guessed_and_everything_is_accounted_for(sample):
    recording = open_path(sample, fps=10)
    numeric = [f for f in recording.spec if not f.is_image]
    assert {f.unit for f in numeric} == {f.mode for f in numeric} == {UNKNOWN}
    sources = {o.source for o in recording.origins} | recording.unmapped.keys()
    assert sources == {leaf.name for leaf in load_features(sample / "features.json")}
    with pytest.raises(BadData, match="fps: expected the rate"):
        open_path(sample)
    with pytest.raises(UnknownName, match="split"):
        open_path(sample, fps=10, split="test")


def test_our_message_is_theirs():
    from tfrecord import example_pb2

    values = {"a": np.array([1.5, -2], np.float32), "b": np.array([-1, 2**40]), "c": [b"x", b""], "d": []}
    theirs = example_pb2.Example.FromString(serialize_example(values)).features.feature
    assert list(theirs["a"].float_list.value) == [1.5, -2] and list(theirs["b"].int64_list.value) == [-1, 2**40]
    back = parse_example(serialize_example(values), "", "")
    assert back["c"] == [b"x", b""] and back["d"] == [] and back["b"].tolist() == [-1, 2**40]


def test_an_instruction_that_changes_is_kept_and_said(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    rewrite(folder, lambda v: v.update({"steps/language_instruction": [b"one", b"one", b"two", b"two", b""]}))
    episode = open_path(folder, fps=10).read(open_path(folder, fps=10).keys[1])
    assert episode.instruction == "one" and [f.check for f in episode.findings] == ["several-tasks"]
    assert episode.provenance.details["instructions"] == [[0, "one"], [2, "two"], [4, ""]]
    assert episode.findings[0].episodes == (1,)


def test_flags_discounts_and_claims_are_checked(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    edits = iter([{}, {"steps/is_first": np.array([1, 0, 1, 0, 0])}, {"steps/discount": np.ones(5, np.float32) / 2}])
    rewrite(folder, lambda v: v.update(next(edits)))
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["4"]
    info["splits"].append({"name": "test", "shardLengths": ["7"]})
    (folder / "dataset_info.json").write_text(json.dumps(info))
    recording = open_path(folder, fps=10)
    assert sorted(f.check for f in recording.findings) == ["missing-split", "shard-length"]
    found = [[f.check for f in recording.read(key).findings] for key in recording.keys]
    assert found == [[], ["step-flags"], ["discount-varies"]]


def test_counts_that_disagree_name_both_sides(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    edits = iter([{}, {"steps/action": np.zeros(34, np.float32)}, {"steps/reward": np.zeros(4, np.float32)}])
    rewrite(folder, lambda v: v.update(next(edits)))
    recording = open_path(folder, fps=10)
    with pytest.raises(BadData, match="record 1: steps/action: expected a multiple of 7 values, found 34"):
        recording.read(recording.keys[1])
    with pytest.raises(BadData, match="record 2: steps/reward: expected 5 steps"):
        recording.read(recording.keys[2])
    assert len(recording.read(recording.keys[0])) == 5


def test_an_action_of_several_arrays_needs_the_users_word(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")

    def split(features):
        one = {"pythonClassName": "x.Tensor", "tensor": {"shape": {"dimensions": ["3"]}, "dtype": "float32"}}
        del features["action"]
        two = json.loads(json.dumps(one).replace('"3"', '"4"'))
        features["action"] = {"featuresDict": {"features": {"arm": one, "hand": two}}}

    edit_features(folder, split)

    def halve(values):
        both = values.pop("steps/action").reshape(5, 7)
        values.update({"steps/action/arm": both[:, :3].ravel(), "steps/action/hand": both[:, 3:].ravel()})

    rewrite(folder, halve)
    with pytest.raises(BadData, match="action/arm, action/hand"):
        open_path(folder, fps=10)
    recording = open_path(folder, fps=10, action="action/arm,action/hand")
    whole = open_path(sample, fps=10)
    for ours, theirs in zip(recording.keys, whole.keys, strict=True):
        assert np.array_equal(recording.read(ours).arrays["action"], whole.read(theirs).arrays["action"])
    part = open_path(folder, fps=10, action="action/hand")
    assert part.spec["action"].shape == (4,) and part.spec["commanded.arm"].shape == (3,)


def test_open_picture_sizes_come_from_the_first_picture(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    edit_features(
        folder,
        lambda f: f["observation"]["featuresDict"]["features"]["image_0"]["image"].update(
            shape={"dimensions": ["-1", "-1", "3"]}
        ),
    )
    recording = open_path(folder, fps=10)
    assert recording.spec["observation.images.image_0"].shape == (32, 48, 3)
    check_recording(recording)


def test_encoded_tensors(tmp_path):
    import zlib

    array = np.arange(12, dtype=np.float64).reshape(2, 2, 3)
    for encoding, pack in (("bytes", bytes), ("zlib", zlib.compress)):
        leaf = FeatureLeaf(name="steps/x", kind="number", shape=(2, 3), dtype="float64", encoding=encoding)
        assert np.array_equal(numbers(leaf, [pack(a.tobytes()) for a in array], "f", "r"), array)
        with pytest.raises(BadData, match="48 bytes"):
            numbers(leaf, [pack(bytes(80))], "f", "r")
    with pytest.raises(BadData, match="uint8 from 0 to 255"):
        numbers(FeatureLeaf(name="x", kind="number", shape=(), dtype="uint8"), np.array([256]), "f", "r")


@pytest.mark.skipif(not BRIDGE.exists(), reason="the published bridge sample is not here")
def test_the_bridge_sample():
    recording = open_path(BRIDGE, fps=5)
    check_recording(recording)
    assert len(recording.keys) == 25 and [f.check for f in recording.findings] == ["missing-split"]
    for key in recording.keys:
        episode = recording.read(key)
        assert len(episode) == 10 and episode.arrays["action"].shape == (10, 7) and episode.instruction
        contradicted = {f.field for f in episode.findings if f.check == "has-image-contradicts"}
        assert contradicted == {f"observation.images.image_{i}" for i in range(3)}
        assert [f.field for f in episode.findings if f.check == "placeholder-camera"] == ["observation.images.image_3"]


def test_splits_are_read_in_order_and_can_be_chosen(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    train = shard_of(folder)
    (folder / train.name.replace("-train", "-test")).write_bytes(train.read_bytes())
    both = open_path(folder, fps=10)
    assert [both.read(key).provenance.details["split"] for key in both.keys] == ["test"] * 3 + ["train"] * 3
    only = open_path(folder, fps=10, split="train")
    assert len(only.keys) == 3 and not only.findings
    train.rename(folder / train.name.replace("of-00001", "of-00004"))
    assert {f.check for f in open_path(folder, fps=10).findings} == {"missing-shard"}


def test_a_folder_of_one_version_and_a_single_shard(sample, tmp_path):
    (tmp_path / "name").mkdir()
    copy_of(sample, tmp_path / "name" / "1.0.0")
    assert detect(tmp_path / "name") == "rlds" and len(open_path(tmp_path / "name", fps=10).keys) == 3
    assert open_path(shard_of(sample), fps=10).root == sample
    copy_of(sample, tmp_path / "name" / "1.1.0")
    with pytest.raises(BadData, match=r"1\.0\.0, 1\.1\.0"):
        open_path(tmp_path / "name", fps=10)


def test_pictures_kept_as_tensors(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3))
    tensor = {"shape": {"dimensions": ["4", "6", "3"]}, "dtype": "uint8", "encoding": "none"}
    edit_features(folder, lambda f: f["observation"]["featuresDict"]["features"].update(image_0={"tensor": tensor}))
    rewrite(folder, lambda v: v.update({"steps/observation/image_0": images.ravel()}))
    recording = open_path(folder, fps=10)
    check_recording(recording)
    pictures = recording.read(recording.keys[0]).pictures["observation.images.image_0"]
    assert np.array_equal(np.stack(list(pictures)), images)


def test_a_dtype_that_the_values_do_not_have(sample, tmp_path):
    folder = copy_of(sample, tmp_path / "s")
    edit_features(folder, lambda f: f["action"]["tensor"].update(dtype="int32"))
    recording = open_path(folder, fps=10)
    with pytest.raises(BadData, match="steps/action: expected int64 values for int32, found float32"):
        recording.read(recording.keys[0])


def test_float64_that_the_records_hold_as_float32_is_said(sample, tmp_path):
    assert not [f for f in open_path(sample, fps=10).findings if f.check == "narrowed-floats"]
    folder = copy_of(sample, tmp_path / "declared")
    edit_features(folder, lambda steps: steps["action"]["tensor"].update(dtype="float64"))
    recording = open_path(folder, fps=10)
    (found,) = [f for f in recording.findings if f.check == "narrowed-floats"]
    assert found.severity == "info" and found.field == "action" and "float32" in found.text
    was = open_path(sample, fps=10).read(recording.keys[0], ()).arrays["action"]
    now = recording.read(recording.keys[0], ()).arrays["action"]
    assert now.dtype == np.float64 and (now == was).all()
