"""Broken stores give a clear error and nothing else.

Format 2 has no checksums: a flipped bit in a chunk that still decodes cannot be seen in a folder. In a zip it is.
"""

import json

import numpy as np
import pytest

from roboscale.core import BadData, RoboscaleError
from roboscale.sources.records.zarr import detect, open_path
from tests.samples import zarr as samples


def read_all(path, format):
    recording = open_path(path, format, fps=10)
    try:
        found = []
        for key in recording.keys:
            episode = recording.read(key)
            for name, images in episode.pictures.items():
                assert all(image.shape == recording.spec[name].shape for image in images)
            found.append(episode)
        return found
    finally:
        recording.close()


def survives(path, format):
    try:
        return read_all(path, format)
    except RoboscaleError:
        return None


def flipped(data, rng, start=0):
    broken = bytearray(data)
    if broken:
        broken[rng.integers(start, len(broken))] ^= 1 << int(rng.integers(8))
    return bytes(broken)


def mutations(data, rng, cuts, flips):
    yield b""
    for cut in np.linspace(0, len(data) - 1, cuts).astype(int):
        yield data[:cut]
    for _ in range(flips):
        yield flipped(data, rng)


def test_metadata_of_a_folder(tmp_path):
    folder, rng = samples.write(tmp_path / "a.zarr", frames=3), np.random.default_rng(0)
    for name in ("data/action/.zarray", "data/img/.zarray", "meta/episode_ends/.zarray"):
        whole = (folder / name).read_bytes()
        for broken in mutations(whole, rng, 10, 60):
            (folder / name).write_bytes(broken)
            detect(folder)
            survives(folder, "zarr")
        (folder / name).write_bytes(whole)
    assert len(read_all(folder, "zarr")) == 2


def test_chunks_of_a_folder(tmp_path):
    folder, rng = samples.write(tmp_path / "a.zarr", frames=3), np.random.default_rng(1)
    for name in ("data/action/0.0", "data/img/0.0.0.0", "meta/episode_ends/0"):
        whole = (folder / name).read_bytes()
        for number, broken in enumerate(mutations(whole, rng, 10, 60)):
            (folder / name).write_bytes(broken)
            found = survives(folder, "zarr")
            assert found is None or number > 10, f"{name} cut to {len(broken)} of {len(whole)} bytes passed"
        (folder / name).write_bytes(whole)


def test_blosc_headers(tmp_path):
    """Every bit of the 16 bytes that say how much is to be decoded."""
    folder = samples.write(tmp_path / "a.zarr", frames=3)
    path = folder / "data/action/0.0"
    whole = path.read_bytes()
    for bit in range(128):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        survives(folder, "zarr")


def test_a_zip_never_gives_other_numbers(tmp_path):
    file, rng = samples.write_umi(tmp_path / "u.zarr.zip", frames=3), np.random.default_rng(2)
    truth = read_all(file, "umi-zarr")
    images = [np.stack(list(e.pictures["observation.images.camera0"])) for e in _reopened(file)]
    whole = file.read_bytes()
    for broken in mutations(whole, rng, 50, 150):
        file.write_bytes(broken)
        detect(file)
        try:
            recording = open_path(file, "umi-zarr", fps=10)
            assert list(recording.keys) == ["000000", "000001"]
            for wanted, pictures, key in zip(truth, images, recording.keys, strict=True):
                episode = recording.read(key)
                assert episode.arrays.keys() == wanted.arrays.keys()
                assert episode.pictures.keys() == wanted.pictures.keys()
                for name, array in episode.arrays.items():
                    assert np.array_equal(array, wanted.arrays[name]), name
                for camera in episode.pictures.values():
                    assert np.array_equal(np.stack(list(camera)), pictures)
        except RoboscaleError:
            continue


def _reopened(file):
    recording = open_path(file, "umi-zarr", fps=10)
    return [recording.read(key) for key in recording.keys]


@pytest.mark.parametrize("seed", range(3))
def test_jpeg_xl_chunks(tmp_path, seed):
    """As it would be in a folder, where nothing but the codec protects a picture."""
    import zipfile

    file, rng = samples.write_umi(tmp_path / "u.zarr.zip", frames=2, seed=seed), np.random.default_rng(seed)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "u.zarr")
    path = tmp_path / "u.zarr/data/camera0_rgb/0.0.0.0"
    whole = path.read_bytes()
    for broken in mutations(whole, rng, 10, 40):
        path.write_bytes(broken)
        survives(tmp_path / "u.zarr", "umi-zarr")


@pytest.mark.parametrize("hidden", ["name", "comment"])
def test_a_zip_whose_directory_hides_members_is_an_error(tmp_path, hidden):
    """A length in one entry of the directory that swallows the entries behind it; zipfile reads on without a word."""
    file = samples.write_umi(tmp_path / "u.zarr.zip", frames=2)
    data = bytearray(file.read_bytes())
    entry = data.find(b"PK\x01\x02", data.rfind(b"PK\x03\x04"))
    behind = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02", entry + 4) + 4)
    at = entry + {"name": 28, "comment": 32}[hidden]
    length = int.from_bytes(data[at : at + 2], "little") + behind - data.find(b"PK\x01\x02", entry + 4)
    data[at : at + 2] = length.to_bytes(2, "little")
    file.write_bytes(bytes(data))
    with pytest.raises(BadData, match=r"members, as its end record counts"):
        open_path(file, "umi-zarr", fps=10)


def test_a_zip_of_more_members_than_16_bits_count_is_read(tmp_path):
    import zipfile

    file = samples.write_umi(tmp_path / "u.zarr.zip", frames=2)
    with zipfile.ZipFile(file, "a") as archive:
        for number in range(2**16):
            archive.writestr(f"other/{number}", b"")
    assert b"PK\x06\x06" in file.read_bytes()[-200:]
    recording = open_path(file, "umi-zarr", fps=10)
    assert len(recording.read(recording.keys[0])) == 2
    recording.close()


def test_a_shape_narrower_than_its_chunks_is_said(tmp_path):
    folder = samples.write(tmp_path / "z", episodes=2)
    assert not [f for f in open_path(folder, fps=10).findings if f.check == "cut-chunks"]
    file = folder / "data" / "state" / ".zarray"
    header = json.loads(file.read_text())
    header["shape"][1] = 1
    file.write_text(json.dumps(header))
    (found,) = [f for f in open_path(folder, fps=10).findings if f.check == "cut-chunks"]
    assert found.field == "observation.state" and "axis 1" in found.text
