"""Replay buffers as zarr itself writes them: diffusion_policy's folder and UMI's zip with JPEG XL."""

import json
import shutil
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr as reference

from roboscale.core import UNKNOWN, BadData, UnknownName
from roboscale.sources.records.zarr import detect, open_path
from roboscale.sources.records.zarr.array import ZarrArray
from roboscale.sources.records.zarr.store import FolderStore
from roboscale.testing.recording_checks import check_recording
from tests.samples import zarr as samples


@pytest.fixture
def folder(tmp_path):
    return samples.write(tmp_path / "pusht.zarr", episodes=3, frames=5)


@pytest.fixture(scope="module")
def umi(tmp_path_factory):
    return samples.write_umi(tmp_path_factory.mktemp("umi") / "dataset.zarr.zip", episodes=2, frames=5)


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_both_keep_every_promise(folder, umi):
    assert detect(folder) == "zarr" and detect(umi) == "umi-zarr"
    assert detect(folder.parent) is None and detect(folder / ".zgroup") is None
    check_recording(open_path(folder, fps=10))
    check_recording(open_path(umi, "umi-zarr", fps=60))


def test_values_are_those_that_zarr_reads(folder):
    data, recording = reference.open_group(str(folder), mode="r")["data"], open_path(folder, fps=10)
    names = {"action": "action", "observation.state": "state", "observation.keypoint": "keypoint"}
    for number, key in enumerate(recording.keys):
        rows, episode = slice(5 * number, 5 * number + 5), recording.read(key)
        for name, source in names.items():
            assert np.array_equal(episode.arrays[name], data[source][rows])
        assert np.array_equal(np.stack(list(episode.pictures["observation.images.img"])), data["img"][rows])
    assert {f.unit for f in recording.spec if not f.is_image} == {UNKNOWN}
    (img,) = (o for o in recording.origins if o.source == "data/img")
    assert "whole numbers" in img.done and not recording.findings


def test_umi_says_what_umi_fixes_and_invents_no_action(umi):
    recording = open_path(umi, "umi-zarr", fps=60)
    spec = recording.spec
    assert spec["observation.robot0_eef_pos"].unit == "m" and spec["observation.robot0_eef_pos"].frame == "tag"
    assert spec["observation.robot0_eef_rot_axis_angle"].layout == ("rotvec.x", "rotvec.y", "rotvec.z")
    assert spec["observation.robot0_gripper_width"].unit == "m" and spec["observation.images.camera0"].role == "wrist"
    assert "action" not in spec and [f.check for f in recording.findings] == ["no-action"]
    store = reference.storage.ZipStore(str(umi), mode="r")
    data = reference.open_group(store, mode="r")["data"]
    images = np.stack(list(recording.read(recording.keys[1]).pictures["observation.images.camera0"]))
    assert np.array_equal(images, data["camera0_rgb"][5:10])
    store.close()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "|u1", "<i8", "|b1"])
@pytest.mark.parametrize(
    ("compressor", "filters"),
    [
        (None, None),
        (numcodecs.Blosc("zstd", 1, numcodecs.Blosc.BITSHUFFLE), None),
        (numcodecs.Zstd(1), None),
        (numcodecs.LZ4(), None),
        (numcodecs.GZip(1), None),
        (numcodecs.Zlib(1), [numcodecs.Shuffle(4)]),
        (numcodecs.BZ2(1), None),
        (numcodecs.LZMA(), None),
    ],
)
def test_every_codec_gives_what_zarr_gives(tmp_path, compressor, filters, dtype, order):
    values = np.random.default_rng(0).integers(0, 2, (11, 5, 3)).astype(dtype)
    group = reference.open_group(str(tmp_path), mode="w", zarr_format=2)
    array = group.create_array(
        "x",
        shape=values.shape,
        chunks=(4, 2, 3),
        dtype=values.dtype,
        compressors=compressor,
        filters=filters,
        order=order,
        config={"write_empty_chunks": True},
    )
    array[:] = values
    ours = ZarrArray(FolderStore(tmp_path), "x")
    assert np.array_equal(ours[:], values) and np.array_equal(ours[3:9], values[3:9])
    assert ours[5:5].shape == (0, 5, 3) and ours.dtype.isnative


def test_rate_and_names_must_be_given(folder):
    with pytest.raises(BadData, match="fps: expected the rate"):
        open_path(folder)
    with pytest.raises(UnknownName):
        open_path(folder, fps=10, absent="ignore")
    with pytest.raises(UnknownName):
        open_path(folder, fps=10).read("9")


@pytest.mark.parametrize("ends", [[5, 5, 15], [5, 4, 15], [0, 5, 15], [-1, 5, 15]])
def test_episode_ends_must_increase(folder, ends):
    (folder / "meta/episode_ends/0").write_bytes(np.array(ends, np.int64).tobytes())
    with pytest.raises(BadData, match="episode_ends: expected increasing from above 0"):
        open_path(folder, fps=10)


def test_episodes_end_where_the_arrays_end(folder):
    (folder / "meta/episode_ends/0").write_bytes(np.array([5, 10, 14], np.int64).tobytes())
    with pytest.raises(BadData, match="data/action: expected 14 rows.*found 15 rows"):
        open_path(folder, fps=10)


def test_a_chunk_that_is_not_there_is_no_zero(folder):
    (folder / "data/action/0.0").unlink()
    recording = open_path(folder, fps=10)
    with pytest.raises(BadData, match=r"data/action/0\.0: expected a chunk"):
        recording.read(recording.keys[0])
    assert len(recording.read(recording.keys[2])) == 5
    filled = open_path(folder, fps=10, absent="fill")
    assert not filled.read(filled.keys[0]).arrays["action"].any()


def test_pictures_of_fractions_are_left_out_with_a_reason(tmp_path):
    folder = samples.write(tmp_path / "a.zarr", frames=4)
    group = reference.open_group(str(folder), mode="r+")["data"]
    group["img"][:] = group["img"][:] / 255
    recording = open_path(folder, fps=10)
    assert "whole numbers" in recording.unmapped["data/img"] and not recording.spec.images
    group["img"][:] = 7
    group["img"][3] = 0.5
    recording = open_path(folder, fps=10)
    with pytest.raises(BadData, match=r"data/img\[3\]: expected whole numbers"):
        list(recording.read(recording.keys[0]).pictures["observation.images.img"])


def test_channels_first_and_arrays_that_are_neither(tmp_path):
    folder = samples.write(tmp_path / "a.zarr", frames=4)
    data = reference.open_group(str(folder), mode="r+")["data"]
    first = np.random.default_rng(0).integers(1, 255, (8, 3, 16, 20)).astype(np.uint8)
    data.create_array("front", data=first, chunks=(1, 3, 16, 20))
    data.create_array("depth", data=first[:, :1] + 1, chunks=(8, 1, 16, 20))
    data.create_array("label", data=np.array(["a"] * 8, "U3"), chunks=(8,))
    recording = open_path(folder, fps=10)
    images = np.stack(list(recording.read(recording.keys[0]).pictures["observation.images.front"]))
    assert np.array_equal(images, first[:4].transpose(0, 2, 3, 1))
    assert recording.unmapped.keys() == {"data/depth", "data/label"}
    check_recording(recording)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zarr_format": 3}, "zarr_format: expected 2, found 3"),
        ({"shape": [10**14, 2]}, "expected 15 rows"),
        ({"shape": [15, 10**12]}, "shape: expected rows"),
        ({"chunks": [10**11, 2]}, "chunks: expected chunks of at most"),
        ({"chunks": [7]}, "chunks: expected 2 axes"),
        ({"dtype": "|O"}, None),
        ({"dtype": "nonsense"}, "dtype: expected one numpy dtype"),
        ({"compressor": {"id": "pickle"}}, "compressor: expected one of"),
        ({"filters": [{"id": "fixedscaleoffset"}]}, "filters: expected one of"),
    ],
)
def test_metadata_is_not_believed(folder, change, message):
    edit_json(folder / "data/action/.zarray", **change)
    if message is None:
        assert "no number" in open_path(folder, fps=10).unmapped["data/action"]
        return
    with pytest.raises(BadData, match=message):
        open_path(folder, fps=10)


@pytest.mark.parametrize("packed", ["zip", "folder"])
@pytest.mark.parametrize("compressor", ["auto", None, "gzip", "blosc"])
def test_format_3_holds_the_same(tmp_path, packed, compressor):
    """As zarr-python 3 writes it: states in one chunk, pictures in several, the group's metadata beside them."""
    codecs = {"gzip": reference.codecs.GzipCodec(), "blosc": reference.codecs.BloscCodec()}
    states, images = np.arange(30, dtype=">f8").reshape(15, 2), np.arange(15 * 16 * 20 * 3) % 251
    arrays = {"data/state": states, "data/action": states.astype("f4") + 1, "meta/episode_ends": np.array([7, 15])}
    arrays["data/img"] = images.astype(np.uint8).reshape(15, 16, 20, 3)
    root = reference.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=3)
    for name, values in arrays.items():
        chunks = (4, *values.shape[1:]) if name == "data/img" else values.shape
        root.create_array(name, data=values, chunks=chunks, compressors=codecs.get(compressor, compressor))
    path = tmp_path / "a.zarr"
    if packed == "zip":
        path = Path(shutil.make_archive(str(tmp_path / "a.zarr"), "zip", path))
    assert detect(path) == "zarr"
    recording = open_path(path, fps=10)
    episode = recording.read(recording.keys[1])
    assert np.array_equal(episode.arrays["observation.state"], states[7:])
    assert np.array_equal(episode.arrays["action"], arrays["data/action"][7:])
    assert np.array_equal(np.stack(list(episode.pictures["observation.images.img"])), arrays["data/img"][7:])
    check_recording(recording)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shards": (10, 2), "chunks": (5, 2)}, "codecs: expected one of bytes, found sharding_indexed"),
        (
            {"filters": [reference.codecs.TransposeCodec(order=(1, 0))]},
            "codecs: expected one of bytes, found transpose",
        ),
        ({"chunks": (5, 2)}, "c/1/0: expected a chunk, found nothing"),
    ],
)
def test_what_of_format_3_is_not_read_is_named(tmp_path, options, message):
    root = reference.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=3)
    root.create_array("meta/episode_ends", data=np.array([10]))
    root.create_array("data/action", data=np.ones((10, 2)), **options)
    (tmp_path / "a.zarr/data/action/c/1/0").unlink(missing_ok=True)
    with pytest.raises(BadData, match=message):
        recording = open_path(tmp_path / "a.zarr", fps=10)
        recording.read(recording.keys[0])


def test_an_array_without_metadata_is_not_overlooked(folder):
    (folder / "data/action/.zarray").unlink()
    assert detect(folder) == "zarr"
    with pytest.raises(BadData, match=r"data/action: \.zarray: expected to exist"):
        open_path(folder, fps=10)
