from __future__ import annotations

import multiprocessing
import pickle
import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from roboscale.core import BadData, Field, Outcome, Provenance, RoboscaleError, Spec, SpecMismatch, UnknownName
from roboscale.core.errors import InfrastructureError
from roboscale.dataset import Dataset, DatasetWriter

CAMERAS = ("observation.images.front", "observation.images.wrist")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean(np.square(a.astype(float) - b))))


def assert_recorded(dataset: Dataset, robot: ModuleType, episode: int, seed: int) -> None:
    """Numbers are exact and every picture is the one recorded at that frame."""
    found = dataset.episode(episode)
    for t, frame in enumerate(robot.frames(seed, len(found), dataset.spec)):
        for name, value in frame.items():
            if name in CAMERAS:
                assert psnr(found.arrays[name][t], value) >= 30, (name, t)
            else:
                np.testing.assert_array_equal(found.arrays[name][t], value, strict=True)


def test_what_was_recorded_comes_back(root: Path, robot: ModuleType):
    dataset = Dataset(root)
    assert len(dataset) == 18
    assert dataset.spec == robot.SPEC
    assert [e.length for e in dataset.episodes] == [5, 6, 7]
    assert [e.from_index for e in dataset.episodes] == [0, 5, 11]
    assert dataset.episodes[1].outcome == Outcome("success", steps=6, terminated=True)
    assert dataset.episodes[1].provenance == Provenance("test", embodiment="square", seed=1)
    for seed in range(3):
        assert_recorded(dataset, robot, seed, seed)


def test_a_frame_has_lerobots_keys(root: Path, robot: ModuleType):
    item = Dataset(root)[6]
    assert set(item) == {*robot.SPEC.names, "timestamp", "frame_index", "episode_index", "index", "task_index", "task"}
    assert item["observation.images.front"].shape == (3, 48, 48)
    assert item["observation.images.front"].dtype == np.float32
    assert (item["episode_index"], item["frame_index"], item["index"]) == (1, 1, 6)
    assert item["timestamp"] == np.float32(0.1)
    assert item["time.front_ns"].shape == ()  # LeRobot drops a last axis of one
    assert item["task"] == "push the block number 1 to the goal"


def test_images_as_recorded(root: Path):
    dataset = Dataset(root, images="uint8")
    image = dataset[7]["observation.images.wrist"]
    assert image.shape == (48, 48, 3)
    np.testing.assert_array_equal(image, dataset.decode(1, "observation.images.wrist")[2])


def test_random_access_finds_the_same_pictures_as_reading_through(root: Path):
    dataset = Dataset(root, images="uint8")
    through = np.concatenate([dataset.decode(e, CAMERAS[0]) for e in range(3)])
    for i in np.random.default_rng(0).permutation(np.arange(-18, 18)):
        np.testing.assert_array_equal(dataset[i][CAMERAS[0]], through[i])


@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_windows_are_clamped_and_padded_at_the_ends_of_the_episode(root: Path, to: str):
    pytest.importorskip(to)
    deltas = {"action": [-0.1, 0.0, 0.1, 0.2], CAMERAS[0]: [-0.2, 0.0], "time.front_ns": [0.0, 0.5]}
    dataset = Dataset(root, delta_timestamps=deltas, to=to, images="uint8")
    action = dataset.arrays("action")
    first, last = dataset[5], dataset[10]  # the ends of episode 1
    np.testing.assert_array_equal(first["action"], action[[5, 5, 6, 7]])
    np.testing.assert_array_equal(first["action_is_pad"], [True, False, False, False])
    np.testing.assert_array_equal(last["action"], action[[9, 10, 10, 10]])
    np.testing.assert_array_equal(last["action_is_pad"], [False, False, True, True])
    np.testing.assert_array_equal(last[CAMERAS[0]], dataset.decode(1, CAMERAS[0])[[3, 5]])
    assert last["time.front_ns"].shape == (2,)
    assert "observation.state_is_pad" not in last


def test_torch_gives_tensors(root: Path):
    torch = pytest.importorskip("torch")
    item = Dataset(root, to="torch")[0]
    assert item["observation.images.front"].dtype == torch.float32
    assert item["action"].dtype == torch.float32
    assert item["index"].dtype == torch.int64 and item["index"].ndim == 0


def test_a_window_must_be_whole_frames_of_a_feature(root: Path):
    with pytest.raises(SpecMismatch, match=r"action: expected multiples of 1/10 s, found \[0.05\]"):
        Dataset(root, delta_timestamps={"action": [0.0, 0.05]})
    with pytest.raises(UnknownName, match=r"applied\.action"):
        Dataset(root, delta_timestamps={"aplied.action": [0.0]})


def test_columns_come_without_video(root: Path, robot: ModuleType):
    for video in root.glob("videos/**/*.mp4"):
        video.write_bytes(b"")
    dataset = Dataset(root)
    expected = np.concatenate([[f["action"] for f in robot.frames(s, 5 + s)] for s in range(3)])
    np.testing.assert_array_equal(dataset.arrays("action"), expected)
    assert dataset.arrays("time.front_ns").shape == (18, 1)
    assert dataset.arrays("episode_index").shape == (18,)
    assert dataset.episode(1, images=False).spec.images == ()
    with pytest.raises(UnknownName):
        dataset.arrays(CAMERAS[0])


def _read_in_child(dataset: Dataset, inherited: object, expected: np.ndarray) -> None:
    """Runs after a fork: exits with 0 when the pictures are right and come from a reader of its own."""
    path = dataset.root / f"videos/{CAMERAS[0]}/chunk-000/file-000.mp4"
    right = np.array_equal(np.stack([dataset[i][CAMERAS[0]] for i in range(18)]), expected)
    sys.exit(0 if right and dataset._videos.get(path) is not inherited else 1)


def test_decoders_do_not_cross_a_fork(root: Path):
    dataset = Dataset(root, images="uint8")
    expected = np.stack([dataset[i][CAMERAS[0]] for i in range(18)])
    inherited = dataset._videos.get(root / f"videos/{CAMERAS[0]}/chunk-000/file-000.mp4")
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_read_in_child, args=(dataset, inherited, expected)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    np.testing.assert_array_equal(dataset[5][CAMERAS[0]], expected[5])


def test_a_data_loader_may_fork_after_a_touch(root: Path):
    torch_data = pytest.importorskip("torch.utils.data")
    dataset = Dataset(root, to="torch")
    expected = dataset[0][CAMERAS[0]]
    batches = list(torch_data.DataLoader(dataset, batch_size=6, num_workers=2))
    assert [len(b["action"]) for b in batches] == [6, 6, 6]
    assert bool((batches[0][CAMERAS[0]][0] == expected).all())


def test_pickling_drops_decoders(root: Path):
    dataset = Dataset(root)
    before = dataset[3]
    after = pickle.loads(pickle.dumps(dataset))[3]
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_recording_goes_on_in_new_files(root: Path, robot: ModuleType):
    sealed = {p: p.read_bytes() for p in root.rglob("file-000.*")}
    with DatasetWriter(root, robot.SPEC) as writer:
        assert len(writer.episode_ids) == 3
        robot.record(writer, 3, 4, "push the block number 1 to the goal")
        robot.record(writer, 4, 4, "a new task for the same old robot")
    assert all(p.read_bytes() == content for p, content in sealed.items())
    dataset = Dataset(root)
    assert [e.index for e in dataset.episodes] == [0, 1, 2, 3, 4]
    assert dataset[len(dataset) - 5]["task"] == "push the block number 1 to the goal"
    assert dataset[len(dataset) - 1]["task"] == "a new task for the same old robot"
    for seed, length in enumerate((5, 6, 7, 4, 4)):
        assert dataset.episodes[seed].length == length
        assert_recorded(dataset, robot, seed, seed)


def test_nothing_to_seal_changes_nothing(root: Path, robot: ModuleType):
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    with DatasetWriter(root, robot.SPEC):
        pass
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before


def test_another_spec_is_refused_with_every_difference(root: Path, robot: ModuleType):
    fields = list(robot.SPEC)
    fields[3] = Field("action", (4,), "float64")
    other = Spec((*fields[:5], Field("extra", (2,), "float32")), 20)
    with pytest.raises(SpecMismatch) as caught:
        DatasetWriter(root, other)
    message = str(caught.value)
    for part in ("rate_hz", "action shape", "action dtype", "time.front_ns presence", "extra presence", str(root)):
        assert part in message
    with pytest.raises(SpecMismatch, match=r"codec: dataset .* h264, recording av1"):
        DatasetWriter(root, robot.SPEC, codec="av1")
    with pytest.raises(SpecMismatch, match=r"robot_type: dataset .* 'square', recording 'round'"):
        DatasetWriter(root, robot.SPEC, robot_type="round")


def test_a_discarded_take_leaves_nothing_behind(tmp_path: Path, robot: ModuleType):
    roots = tmp_path / "with", tmp_path / "without"
    for path, discard in zip(roots, (True, False), strict=True):
        with DatasetWriter(path, robot.SPEC) as writer:
            robot.record(writer, 0, 4)
            if discard:
                take = writer.begin("a take that fails", Provenance("test"))
                for frame in robot.frames(9, 20):
                    take.add(frame)
                take.discard()
                take.discard()
                assert not list((path / "meta/roboscale/staging").iterdir())
            robot.record(writer, 1, 4)
    found, expected = (sorted(p.relative_to(path) for p in path.rglob("*") if p.is_file()) for path in roots)
    assert found == expected
    for file in expected:
        assert_the_same(*(path / file for path in roots))


def assert_the_same(a: Path, b: Path) -> None:
    """Equal bytes; of videos equal pictures, as nearly as encoding keeps them: its bytes are not always the same."""
    if a.suffix != ".mp4":
        assert a.read_bytes() == b.read_bytes(), a
        return
    ours, others = pictures_of(a), pictures_of(b)
    assert ours.shape == others.shape and np.abs(ours - others).mean() < 2, a


def pictures_of(path: Path) -> np.ndarray:
    """All frames of a video, (n, H, W, 3)."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)])


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, robot: ModuleType):
    for name in ("a", "b"):
        with DatasetWriter(tmp_path / name, robot.SPEC) as writer:
            robot.record(writer, 7, 12)
    for file in (tmp_path / "a").rglob("*"):
        if file.is_file():
            assert_the_same(file, tmp_path / "b" / file.relative_to(tmp_path / "a"))


def test_a_long_take_is_written_as_a_short_one(tmp_path: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """What does not fit into memory goes through a file, and nobody can tell."""
    for name, rows in (("whole", 1024), ("blocks", 16), ("single", 1)):
        monkeypatch.setattr("roboscale.dataset.spool._ROWS", rows)
        with DatasetWriter(tmp_path / name, robot.SPEC) as writer:
            for seed, length in enumerate((1, 16, 130, 33)):
                robot.record(writer, seed, length)
                assert not list((tmp_path / name / "meta/roboscale/pending").rglob("*.rows"))
    files = [
        p.relative_to(tmp_path / "whole")
        for p in (tmp_path / "whole").rglob("*")
        if p.suffix in (".parquet", ".json", ".jsonl", ".npz")
    ]
    assert len(files) >= 6
    for name in ("blocks", "single"):
        for file in files:
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), (name, file)


def test_what_waits_is_sealed_now_and_then(tmp_path: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("roboscale.dataset.writer._SEAL_BYTES", 1)
    root = tmp_path / "set"
    with DatasetWriter(root, robot.SPEC) as writer:
        for seed in range(3):
            robot.record(writer, seed, 4, f"line one\u2028line two, {seed}")
            assert len(list((root / "meta/roboscale/pending").iterdir())) == 1
    dataset = Dataset(root)
    assert [dataset[4 * seed]["task"] for seed in range(3)] == [f"line one\u2028line two, {s}" for s in range(3)]
    for seed in range(3):
        assert_recorded(dataset, robot, seed, seed)


def test_takes_may_overlap(tmp_path: Path, robot: ModuleType):
    with DatasetWriter(tmp_path / "set", robot.SPEC) as writer:
        takes = {seed: writer.begin("two at once", Provenance("test")) for seed in (1, 2)}
        for t in range(6):
            for seed, take in takes.items():
                take.add(robot.frames(seed, 6)[t])
        for seed in (2, 1):
            takes[seed].save()
    dataset = Dataset(tmp_path / "set")
    assert_recorded(dataset, robot, 0, 2)
    assert_recorded(dataset, robot, 1, 1)
    assert dataset.episodes[0].outcome is None


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_scalars_matrices_and_both_codecs(tmp_path: Path, robot: ModuleType, codec: str):
    fields = (
        Field("observation.images.front", (64, 96, 3), "uint8"),
        Field("action", (2,), "float64"),
        Field("matrix", (2, 3), "float32"),
        Field("flag", (), "bool"),
        Field("count", (1,), "int32"),
    )
    spec = Spec(fields, 25)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:64, 0:96]
    sent = [
        {
            "observation.images.front": np.stack([x * 2, y * 3, x + y + 2 * t], -1).astype(np.uint8),
            "action": rng.normal(size=2),
            "matrix": rng.normal(size=(2, 3)).astype(np.float32),
            "flag": np.array(t % 3 == 0),
            "count": np.array([t], np.int32),
        }
        for t in range(10)
    ]
    with DatasetWriter(tmp_path / "set", spec, codec=codec) as writer:
        for part in (sent[:4], sent[4:]):
            take = writer.begin("anything", Provenance("test"))
            for frame in part:
                take.add(frame)
            take.save()
    dataset = Dataset(tmp_path / "set")
    episodes = [dataset.episode(0), dataset.episode(1)]
    for field in fields:
        expected = np.stack([f[field.name] for f in sent])
        found = np.concatenate([e.arrays[field.name] for e in episodes])
        if field.is_image:
            assert min(psnr(a, b) for a, b in zip(found, expected, strict=True)) >= 30
        else:
            np.testing.assert_array_equal(found, expected, strict=True)


def test_one_writer_at_a_time(root: Path, robot: ModuleType):
    with DatasetWriter(root, robot.SPEC), pytest.raises(InfrastructureError, match="another writer"):
        DatasetWriter(root, robot.SPEC)
    DatasetWriter(root, robot.SPEC).finalize()


def test_a_take_is_used_once(root: Path, robot: ModuleType):
    with DatasetWriter(root, robot.SPEC) as writer:
        take = writer.begin("a take", Provenance("test"))
        with pytest.raises(BadData, match="frames: expected at least 1, found 0"):
            take.save()
        take.add(robot.frames(3, 1)[0])
        id_ = take.save()
        for use in (take.save, lambda: take.add(robot.frames(3, 1)[0])):
            with pytest.raises(RoboscaleError, match="is saved"):
                use()
        with pytest.raises(BadData, match="one that is not in the dataset"):
            writer.begin("again", Provenance("test"), episode_id=id_)
        with pytest.raises(BadData, match="32 hex digits"):
            writer.begin("again", Provenance("test"), episode_id="../../etc")
    assert len(Dataset(root).episodes) == 4


def test_without_durability_the_same_files_come_out(tmp_path: Path, robot: ModuleType):
    for name, durable in (("a", True), ("b", False)):
        with DatasetWriter(tmp_path / name, robot.SPEC, durable=durable) as writer:
            for seed in range(3):
                robot.record(writer, seed, 4)
            assert len(writer.episode_ids) == 3
            assert bool(list((tmp_path / name / "meta/roboscale/pending").iterdir())) is durable
    for file in (tmp_path / "a").rglob("*"):
        if file.is_file():
            assert_the_same(file, tmp_path / "b" / file.relative_to(tmp_path / "a"))
