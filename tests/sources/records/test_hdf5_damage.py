"""Damaged HDF5 files: a clear error or the same structure, never another exception, a crash or a hang.

HDF5 files of these projects have no checksums, so a flipped bit among the numbers cannot be seen; what can be told
is that shapes, dtypes and lengths stay those of the undamaged recording.
"""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import resource
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from roboscale.core import BadData, Clip, RoboscaleError
from roboscale.sources.records import hdf5
from roboscale.sources.records.hdf5 import clips
from roboscale.sources.records.hdf5.common import Files, attribute, blob_reader, open_file
from tests.samples import hdf5 as samples

WRITERS = {
    "robomimic": (samples.write_robomimic, {}),
    "isaac-mimic": (samples.write_isaac_mimic, {}),
    "aloha": (samples.write_aloha, {}),
    "aloha compressed": (functools.partial(samples.write_aloha, compressed=True), {}),
    "robomind": (samples.write_robomind, {"fps": 30}),
    "agibot": (samples.write_agibot, {}),
    "droid-raw": (samples.write_droid, {}),
}
TIMEOUT_S = 60  # for a whole batch; one case takes some 20 ms


def damaged(data: bytes, number: int) -> bytes:
    """Cut off, one bit flipped (near the front, where HDF5 keeps its tables, or anywhere), zeros, or noise."""
    rng, changed = np.random.default_rng(number), bytearray(data)
    kind, at = number % 5, int(rng.integers(len(data)))
    if kind == 0:
        return data[:at]
    if kind == 1:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        changed[at % 8192 % len(data)] ^= 1 << int(rng.integers(8))
    else:
        end = min(len(data), at + (8 if kind == 3 else int(rng.integers(1, 512))))
        changed[at:end] = rng.bytes(end - at) if kind == 3 else bytes(end - at)
    return bytes(changed)


def read_all(path, form, options, spec):
    """Reads everything; asserts that what comes out fits the spec of the undamaged recording."""
    hdf5.detect(path)
    recording = hdf5.open_path(path, form, **options)
    for key in recording.keys:
        try:
            episode = recording.read(key)
        except RoboscaleError:
            continue
        for name, values in episode.arrays.items():
            if name in spec and values.dtype == np.dtype(spec[name].dtype):
                assert values.shape == (len(episode), *recording.spec[name].shape)
        for name, images in episode.pictures.items():
            if not isinstance(images, Clip):
                assert all(image.shape == recording.spec[name].shape for image in images)
    recording.close()


def _batch(name, numbers, pipe):
    write, options = WRITERS[name]
    form = name.split()[0]
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), frames=4)
        spec = hdf5.open_path(path, form, **options).spec
        file = sorted(p for p in Path(folder).rglob("*") if p.suffix in (".h5", ".hdf5"))[0]
        good = file.read_bytes()
        for number in numbers:
            pipe.send(number)
            file.unlink()  # a new file: the library may hold the old one
            file.write_bytes(damaged(good, number))
            try:
                read_all(path, form, options, spec)
            except RoboscaleError:
                pass
            except (Exception, SystemError) as error:  # noqa: BLE001  what this test is about
                failures.append(f"{number}: {type(error).__name__}: {error}")
    pipe.send(failures)


def run(name, numbers):
    """In a process of its own, so that a crash or an endless loop inside the library is a failure and not the end."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_batch, args=(name, numbers, theirs))
    worker.start()
    theirs.close()
    last: object = None
    try:
        while not isinstance(last, list):
            assert ours.poll(TIMEOUT_S), f"{name}: no answer within {TIMEOUT_S} s on damage {last}"
            last = ours.recv()
    except EOFError:
        worker.join(5)
        pytest.fail(f"{name}: the process died (exit code {worker.exitcode}) on damage {last}")
    finally:
        worker.kill()
        worker.join(5)
    return last


@pytest.mark.parametrize("name", WRITERS)
def test_damage_gives_an_error_or_the_same_structure(name):
    assert run(name, range(25)) == []


def test_a_heap_of_zeros_is_an_error_and_no_endless_loop(tmp_path):
    """libhdf5 2.0 never returns from a global heap with a free block of size 0."""
    path = samples.write_robomimic(tmp_path)
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    data[heap + 16 : heap + 4096] = bytes(4080)
    path.write_bytes(bytes(data))
    assert hdf5.detect(path) is None
    with pytest.raises(BadData, match="global heap"):
        hdf5.open_path(path, "robomimic")


def replace_reference(path, where, number, reference):
    """Writes another (length, heap, object) over one of a contiguous dataset of blobs."""
    with h5py.File(path, "r") as file:
        at = file[where].id.get_offset() + number * 16
    data = bytearray(path.read_bytes())
    length, heap, index = struct.unpack_from("<IQI", data, at)
    struct.pack_into("<IQI", data, at, reference[0] or length, reference[1] or heap, reference[2] or index)
    path.write_bytes(bytes(data))


def peak_growth(read) -> int:
    """Bytes that `read` adds to the largest memory of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


@pytest.mark.parametrize("reference", [(2**31, 0, 0), (2**31, 2**40, 0), (0, 96, 0), (0, 0, 77)])
def test_memory_does_not_follow_what_a_blob_claims(tmp_path, reference):
    """Length, heap and object of a reference: libhdf5 allocates the length before it looks at the heap."""
    root = samples.write_robomind(tmp_path, frames=4)
    file = sorted(root.rglob("*.hdf5"))[1]
    replace_reference(file, "observations/rgb_images/camera_top", 2, reference)

    def read():
        recording = hdf5.open_path(root, "robomind", fps=10)
        assert len(recording.read(recording.keys[0])) == 4
        with pytest.raises(BadData, match=r"camera_top\[2\]: (global heap at|.* of its heap)"):
            list(recording.read(recording.keys[1]).pictures["observation.images.camera_top"])
        recording.close()

    assert peak_growth(read) < 2**28


@pytest.mark.parametrize("userblock_size", [0, 512])
def test_memory_does_not_follow_what_a_text_claims(tmp_path, userblock_size):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=userblock_size) as file:
        data = file.create_group("data")
        data.attrs["other"], data.attrs["number"], data.attrs["env_args"] = "x" * 50, 3, "hello world"
        data.attrs["lines"] = ["one", "", "three"]
    with open_file(path) as file:
        assert attribute(path, file["data"], "env_args") == "hello world"
        assert attribute(path, file["data"], "lines").tolist() == ["one", "", "three"]
        assert attribute(path, file["data"], "number") == 3 and attribute(path, file["data"], "absent") is None
    raw = path.read_bytes()
    heap = struct.pack("<Q", raw.find(b"GCOL") - userblock_size)
    assert raw.count(struct.pack("<I", 11) + heap) == 1
    path.write_bytes(raw.replace(struct.pack("<I", 11) + heap, struct.pack("<I", 2**31) + heap))

    def read():
        with (
            open_file(path) as file,
            pytest.raises(BadData, match=r"a\.h5: /data\.attrs\[env_args\].* the 11"),
        ):
            attribute(path, file["data"], "env_args")

    assert peak_growth(read) < 2**28


@pytest.mark.parametrize("options", [{}, {"chunks": (2,)}, {"chunks": (2,), "compression": "gzip"}])
def test_blobs_are_found_wherever_they_are_stored(tmp_path, options):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        blobs = file.create_dataset("blobs", (4,), h5py.vlen_dtype("u1"), **options)
        for number, size in enumerate((3, 0, 70_000, 5)):
            blobs[number] = np.full(size, number, np.uint8)
    files = Files()
    read = blob_reader(files, path, "", "blobs")
    assert [read(number) for number in range(4)] == [b"\0" * 3, b"", b"\2" * 70_000, b"\3" * 5]
    files.close()
    path.write_bytes(path.read_bytes().replace(b"GCOL\1", b"GCOL\2"))
    with pytest.raises(BadData, match=r"blobs\[\d\]"):
        blob_reader(Files(), path, "", "blobs")(0)


def test_a_type_of_varying_length_of_a_third_kind_is_an_error_and_no_crash(tmp_path):
    """libhdf5 2.0 calls what is not there for a type that is neither of values (0) nor of text (1)."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("blobs", (1,), h5py.vlen_dtype("u1"))[0] = np.zeros(3, np.uint8)
        file.create_group("data").attrs["env_args"] = "hello world"
    raw = path.read_bytes()
    for whole in (b"\x19\0\0\0\x10\0\0\0", b"\x19\1\1\0\x10\0\0\0"):
        assert whole in raw
        raw = raw.replace(whole, whole[:1] + b"\4" + whole[2:])
    path.write_bytes(raw)
    with pytest.raises(BadData, match=r"blobs: datatype: expected values \(0\) or text \(1\)"):
        blob_reader(Files(), path, "", "blobs")(0)
    with open_file(path) as file, pytest.raises(BadData, match=r"attrs\[env_args\]: datatype"):
        attribute(path, file["data"], "env_args")


def test_a_recording_that_nobody_closes_does_not_crash_the_process_at_its_end(tmp_path):
    path = samples.write_robomimic(tmp_path)
    code = f"""
from pathlib import Path
from roboscale.sources.records import hdf5
recording = hdf5.open_path(Path({str(path)!r}), "robomimic")
recording.read(recording.keys[0])
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_episodes_that_do_not_agree_on_a_dtype_are_a_finding(tmp_path):
    path = samples.write_robomimic(tmp_path, episodes=3)
    with h5py.File(path, "r+") as file:
        demo = file["data/demo_1"]
        values = demo["rewards"][()].astype("float32")
        del demo["rewards"]
        demo["rewards"] = values
    recording = hdf5.open_path(path, "robomimic")
    (found,) = [f for f in recording.findings if f.check == "differing-field"]
    assert "float64[] per frame in 2 of 3; float32[] per frame in 1 of 3" in found.text
    assert recording.spec[found.field].dtype == "float64"
    with pytest.raises(BadData, match="rewards: expected float64"):
        recording.read("demo_1", ())


@pytest.mark.parametrize("claim", [2**20, 2**40, 2**62])
def test_memory_does_not_follow_what_a_header_claims(tmp_path, claim):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        demo = file["data/demo_0"]
        del demo["actions"]
        demo.create_dataset("actions", (min(claim, 2**50), 7), float, chunks=(16, 7), compression="gzip")[:16] = 1
    recording = hdf5.open_path(path, "robomimic")
    with pytest.raises(BadData, match="chunks"):
        recording.read("demo_0", ())
    assert len(recording.read("demo_1", ())) == 12


@pytest.mark.parametrize("broken", [{"width": 0}, {"height": 0}, {"fps": 0}])
def test_a_video_without_a_size_or_a_rate_does_not_make_a_camera(tmp_path, monkeypatch, broken):
    folder = samples.write_droid(tmp_path)
    video, real = sorted(folder.rglob("*.mp4"))[0], clips.probe

    def probe(path):
        return dataclasses.replace(real(path), **broken) if path == video else real(path)

    monkeypatch.setattr(clips, "probe", probe)
    recording = hdf5.open_path(folder, "droid-raw")
    assert all(min(f.shape) > 0 for f in recording.spec.images)
    with pytest.raises(BadData, match=rf"{video.name}: video: expected a size and a rate"):
        recording.read(recording.keys[0])
    assert len(recording.read(recording.keys[1])) == 12


def test_one_broken_file_leaves_the_others_readable(tmp_path):
    folder = samples.write_aloha(tmp_path, episodes=3)
    (folder / "episode_0.hdf5").write_bytes((folder / "episode_0.hdf5").read_bytes()[:5000])
    recording = hdf5.open_path(folder, "aloha")
    with pytest.raises(BadData, match=r"episode_0\.hdf5"):
        recording.read("episode_0")
    assert len(recording.read("episode_2")) == 12


@pytest.mark.parametrize("link", ["hard", "soft"])
def test_groups_that_lead_back_to_themselves_are_an_error(tmp_path, link):
    path = samples.write_robomimic(tmp_path)
    with h5py.File(path, "r+") as file:
        demo = file["data/demo_0"]
        demo["obs/again"] = demo if link == "hard" else h5py.SoftLink("/data/demo_0")
    with pytest.raises(BadData, match="levels"):
        hdf5.open_path(path, "robomimic").read("demo_0")


def test_a_name_that_one_file_mangled_does_not_condemn_the_others(tmp_path):
    folder = samples.write_agibot(tmp_path, episodes=3)
    with h5py.File(sorted(folder.rglob("*.h5"))[0], "r+") as file:
        file.move("state/head/position", "state/head/positikn")
    recording = hdf5.open_path(folder, "agibot")
    assert "positikn" in str(recording.unmapped) and "observation.head.position" in recording.spec
    with pytest.raises(BadData, match="state/head/position: expected a dataset as in the other episodes"):
        recording.read(recording.keys[0], ())
    assert len(recording.read(recording.keys[2])) == 12
