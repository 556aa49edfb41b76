"""What lies on disk, read with nothing but json, pyarrow and av."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from roboscale.core import Field, Provenance, Spec, SpecMismatch
from roboscale.dataset import Dataset, DatasetWriter


def test_info_has_lerobots_keys(root: Path):
    info = json.loads((root / "meta/info.json").read_text())
    assert info | {"features": None} == {
        "codebase_version": "v3.0",
        "robot_type": "square",
        "total_episodes": 3,
        "total_frames": 18,
        "total_tasks": 2,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": 10,
        "splits": {"train": "0:3"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": None,
    }
    features = info["features"]
    assert list(features)[-5:] == ["timestamp", "frame_index", "episode_index", "index", "task_index"]
    assert features["observation.state"] == {
        "dtype": "float32",
        "shape": [4],
        "names": ["x", "y", "z", "gripper_width"],
    }
    assert features["observation.images.front"] == {
        "dtype": "video",
        "shape": [48, 48, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": 48,
            "video.width": 48,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": 10,
            "video.channels": 3,
            "has_audio": False,
        },
    }


def test_data_files_hold_one_row_group_per_episode(root: Path):
    file = pq.ParquetFile(root / "data/chunk-000/file-000.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [5, 6, 7]
    hub = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert hub["action"] == {"feature": {"dtype": "float32", "_type": "Value"}, "length": 3, "_type": "List"}
    assert hub["time.front_ns"] == {"dtype": "int64", "_type": "Value"}
    assert file.read()["index"].to_pylist() == list(range(18))
    timestamps = np.array(file.read()["timestamp"])
    np.testing.assert_array_equal(timestamps[5:11], (np.arange(6) / 10).astype(np.float32))


def test_the_task_table_is_a_pandas_frame(root: Path):
    table = pq.read_table(root / "meta/tasks.parquet")
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    assert table["task"].to_pylist() == [f"push the block number {i} to the goal" for i in range(2)]
    described = json.loads(table.schema.metadata[b"pandas"])["columns"]
    assert [(c["name"], c["numpy_type"]) for c in described] == [("task_index", "int64"), ("task", "object")]


def test_episode_rows_count_times_in_frames(root: Path, robot: ModuleType):
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(r["dataset_from_index"], r["dataset_to_index"]) for r in rows] == [(0, 5), (5, 11), (11, 18)]
    camera = "videos/observation.images.front"
    assert [(r[f"{camera}/from_timestamp"], r[f"{camera}/to_timestamp"]) for r in rows] == [
        (0.0, 0.5),
        (0.5, 1.1),
        (1.1, 1.8),
    ]
    for key in ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"):
        assert f"stats/action/{key}" in rows[0]
        assert f"stats/observation.images.front/{key}" in rows[0]
    expected = np.quantile([f["action"] for f in robot.frames(1, 6)], 0.1, axis=0)
    np.testing.assert_allclose(rows[1]["stats/action/q10"], expected, rtol=1e-6)
    assert np.shape(rows[1]["stats/observation.images.front/mean"]) == (3, 1, 1)


def test_stats_are_those_of_the_whole_set_over_several_seals(root: Path, robot: ModuleType):
    with DatasetWriter(root, robot.SPEC) as writer:
        for seed in range(3, 6):
            robot.record(writer, seed, 5 + seed)
    stats = json.loads((root / "meta/stats.json").read_text())
    dataset = Dataset(root)
    assert list(stats) == list(json.loads((root / "meta/info.json").read_text())["features"])
    for name in ("action", "observation.state", "timestamp", "time.front_ns", "episode_index"):
        values = dataset.arrays(name).reshape(len(dataset), -1).astype(float)
        spread = np.ptp(values, axis=0)
        for key, q in (("q01", 0.01), ("q50", 0.5), ("q99", 0.99)):
            assert (np.abs(stats[name][key] - np.quantile(values, q, axis=0)) <= 0.0005 * spread + 1e-12).all()
        np.testing.assert_allclose(stats[name]["mean"], values.mean(0), rtol=1e-12)
        np.testing.assert_allclose(stats[name]["std"], values.std(0), rtol=1e-6)
        assert stats[name]["count"] == [len(dataset)]
        assert stats[name]["min"] == values.min(0).tolist()
    images = np.concatenate([[f["observation.images.front"] for f in robot.frames(s, 5 + s)] for s in range(6)]) / 255
    np.testing.assert_allclose(np.ravel(stats["observation.images.front"]["mean"]), images.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(np.ravel(stats["observation.images.front"]["std"]), images.std((0, 1, 2)), rtol=1e-9)


def test_many_episodes_share_a_video_and_every_second_frame_is_a_key(root: Path):
    with av.open(str(root / "videos/observation.images.wrist/chunk-000/file-000.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec.canonical_name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 10 and stream.start_time == 0 and stream.frames == 18
        times = [(p.pts * p.time_base, p.is_keyframe) for p in container.demux(video=0) if p.dts is not None]
    np.testing.assert_allclose([float(t) for t, _ in times], np.arange(18) / 10, atol=1e-12)
    assert all(key for t, key in times if round(float(t) * 10) in (0, 5, 11))
    assert sum(key for _, key in times) == 3 + 3 + 4


def test_files_rotate_at_the_limits(root: Path, robot: ModuleType, monkeypatch: pytest.MonkeyPatch):
    from roboscale.dataset.layout import Info

    monkeypatch.setattr(Info, "data_bytes", property(lambda self: 3000))
    monkeypatch.setattr(Info, "video_bytes", property(lambda self: 6000))
    monkeypatch.setattr(Info, "chunks_size", property(lambda self: 2))
    with DatasetWriter(root, robot.SPEC) as writer:
        for seed in range(3, 11):
            robot.record(writer, seed, 6)
    monkeypatch.undo()
    files = sorted(str(p.relative_to(root)) for p in root.glob("data/*/*"))
    assert files[:3] == [f"data/chunk-{k // 2:03d}/file-{k % 2:03d}.parquet" for k in range(3)]
    assert len(list(root.glob("videos/observation.images.front/*/*.mp4"))) > 3
    dataset = Dataset(root, images="uint8")
    for seed in range(3, 11):
        expected = [f["observation.images.front"] for f in robot.frames(seed, 6)]
        error = dataset.decode(seed, "observation.images.front").astype(float) - expected
        assert 10 * np.log10(255**2 / np.square(error).mean(axis=(1, 2, 3))).min() >= 30
    assert dataset.arrays("index").tolist() == list(range(len(dataset)))


def test_everything_of_ours_is_in_one_folder(root: Path, robot: ModuleType):
    assert Spec.from_json(json.loads((root / "meta/roboscale/spec.json").read_text())["spec"]) == robot.SPEC
    lines = (root / "meta/roboscale/episodes/chunk-000/file-000.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [e.id for e in Dataset(root).episodes]
    assert sorted(p.name for p in root.iterdir()) == ["data", "meta", "videos"]
    assert sorted(p.name for p in (root / "meta").iterdir()) == [
        "episodes",
        "info.json",
        "roboscale",
        "stats.json",
        "tasks.parquet",
    ]
    assert not list((root / "meta/roboscale/staging").iterdir())
    assert not list((root / "meta/roboscale/pending").iterdir())
    assert not (root / "meta/roboscale/sealing").exists()


def test_a_dataset_that_others_wrote_reads_without_our_sidecar(root: Path):
    ours = Dataset(root)
    for file in sorted((root / "meta/roboscale").rglob("*"), reverse=True):
        if file.is_file():
            file.unlink()
        else:
            file.rmdir()
    theirs = Dataset(root)
    assert theirs.spec["action"].unit == "unknown"
    assert theirs.spec["observation.state"].layout == ("x", "y", "z", "gripper_width")
    assert [e.id for e in theirs.episodes] == [e.id for e in Dataset(root).episodes]
    assert len({e.id for e in theirs.episodes}) == 3
    for name, value in ours[12].items():
        np.testing.assert_array_equal(theirs[12][name], value)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Field("a/b", (2,), "float32"), "holds a /"),
        (Field("timestamp", (1,), "float32"), "LeRobot keeps that name"),
        (Field("camera", (47, 48, 3), "uint8"), "even height and width"),
        (Field("text", (2,), "U8"), "numbers of at most 5 axes"),
    ],
)
def test_specs_that_have_no_place_in_the_format(tmp_path: Path, field: Field, message: str):
    with pytest.raises(SpecMismatch, match=message):
        DatasetWriter(tmp_path / "set", Spec((Field("action", (2,), "float32"), field), 10))
    with pytest.raises(SpecMismatch, match=r"from 1/60 to a million, found 0\.01"):
        DatasetWriter(tmp_path / "set", Spec((Field("action", (2,), "float32"),), 0.01))
    assert not (tmp_path / "set").exists()


def test_numbers_alone_need_no_video(tmp_path: Path):
    with DatasetWriter(tmp_path / "set", Spec((Field("action", (2,), "float32"),), 50)) as writer:
        take = writer.begin("move without looking anywhere", Provenance("test"))
        take.add({"action": np.zeros(2, np.float32)})
        take.save()
    assert json.loads((tmp_path / "set/meta/info.json").read_text())["video_path"] is None
    assert Dataset(tmp_path / "set")[0]["action"].tolist() == [0, 0]
