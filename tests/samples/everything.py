"""Sets in which everything is that a conversion may lose: somebody else's of v3 and v2.1, and one of ours.

The foreign ones are written with pyarrow and PyAV alone, as LeRobot 0.6 would leave them.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from roboscale.core import Field, Outcome, Provenance, Spec, Stream
from roboscale.dataset import Dataset, DatasetWriter
from roboscale.dataset.streams import stream_path, write_stream

__all__ = ["CAMERA", "CHANGES", "FPS", "FRAMES", "SPLITS", "STREAM", "TASKS", "write_foreign", "write_own"]

CAMERA = "observation.images.front"
FPS, EPISODES, FRAMES, SIZE = 10, 4, 12, 32
SPLITS = {"train": "0:3", "val": "3:4"}
TASKS = ("Push the red block onto the mat.", "Pull the drawer open by its handle.", "valid", "grasp")
CHANGES = ((0, TASKS[0]), (4, TASKS[1]), (8, TASKS[0]))
"""Instructions of the first episode."""
STREAM = "wrist.force"

_INDEX = {"dtype": "int64", "shape": [1], "names": None}
_INTRINSICS = [[300.0, 0.0, 16.0], [0.0, 300.0, 16.0], [0.0, 0.0, 1.0]]


def write_foreign(folder: Path, version: str = "v3.0", *, refused: bool = False) -> Path:
    """Writes the set of somebody else into `folder` and gives it back.

    Args:
        refused: with a feature of variable length, too.
    """
    rng = np.random.default_rng(0)
    (folder / "meta").mkdir(parents=True)
    episodes = [_columns(rng, number, refused) for number in range(EPISODES)]
    if version == "v3.0":
        _write(folder / "data/chunk-000/file-000.parquet", pa.concat_tables(episodes))
    for number, table in enumerate(episodes if version != "v3.0" else ()):
        _write(folder / f"data/chunk-000/episode_{number:06d}.parquet", table)
    for camera in (CAMERA, "observation.images.depth"):
        if version == "v3.0":
            _video(folder / f"videos/{camera}/chunk-000/file-000.mp4", rng, EPISODES * FRAMES)
        for number in range(EPISODES if version != "v3.0" else 0):
            _video(folder / f"videos/chunk-000/{camera}/episode_{number:06d}.mp4", rng, FRAMES)
    _metadata(folder, version, refused)
    return folder


def _columns(rng: np.random.Generator, number: int, refused: bool) -> pa.Table:
    steps = np.arange(FRAMES, dtype=np.int64)
    action = np.cumsum(rng.normal(0, 0.1, (FRAMES, 4)), axis=0).astype(np.float32)
    texts = [t % 2 for t in (0, 1, 0) for _ in range(4)] if number == 0 else [number % 2] * FRAMES
    spoken = [{"role": "user", "content": "Careful.", "style": "motion", "timestamp": 0.1}]
    columns: dict[str, Any] = {
        "observation.state": _vectors(np.vstack([np.zeros_like(action[:1]), action[:-1]])),
        "action": _vectors(action),
        "applied.action": _vectors(action * np.float32(0.9)),
        "observation.touch": _vectors(rng.random((FRAMES, 16), np.float32)),
        "observation.count": pa.array(rng.random(FRAMES, np.float32)),
        "observation.camera_pose": _matrices(rng.random((FRAMES, 3, 4), np.float32)),
        "observation.images.png": pa.array([{"bytes": _depth_png(rng), "path": None} for _ in steps]),
        "next.success": pa.array(steps == FRAMES - 1),
        "next.reward": pa.array((steps == FRAMES - 1).astype(np.float32)),
        "note": pa.array([f"note {number} {t}" for t in steps]),
        "language_events": pa.array([spoken if t == 3 else [] for t in steps]),
        "annotation.human.validity": pa.array(np.full(FRAMES, 2 + number % 2)),
        "subtask_index": pa.array(steps // 6),
        "timestamp": pa.array(((steps + 0.3 * (steps % 3 == 1)) / 9.2).astype(np.float32)),
        "frame_index": pa.array(steps),
        "episode_index": pa.array(np.full(FRAMES, number)),
        "index": pa.array(number * FRAMES + steps),
        "task_index": pa.array(np.array(texts)),
    }
    if refused:
        columns["observation.points"] = pa.array([list(np.ones(1 + t % 3, np.float32)) for t in steps])
    return pa.table(columns)


def _vectors(rows: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])


def _matrices(rows: NDArray[np.float32]) -> pa.Array:
    return pa.array(rows.tolist(), pa.list_(pa.list_(pa.float32())))


def _depth_png(rng: np.random.Generator) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rng.integers(300, 4000, (8, 8), np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _video(path: Path, rng: np.random.Generator, frames: int) -> None:
    """A picture that moves, a key frame at every second frame, and a sound."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    scene = rng.integers(60, 190, (SIZE // 4, SIZE // 4, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    with av.open(str(path), "w", format="mp4") as output:
        options = {"g": "2", "bf": "0", "crf": "20", "threads": "1", "sc_threshold": "0"}
        stream = output.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        sound = output.add_stream("aac", rate=16000, layout="mono")
        for number in range(frames):
            image = np.roll(scene, number, axis=0)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")))
        output.mux(stream.encode(None))
        tone = np.sin(np.arange(16000 * frames // FPS) / 8).astype(np.float32)[None]
        samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        samples.sample_rate = 16000
        output.mux(sound.encode(samples))
        output.mux(sound.encode(None))


def _features(refused: bool) -> dict[str, Any]:
    vector = {"dtype": "float32", "shape": [4], "names": ["shoulder", "elbow", "wrist", "gripper"]}
    video = {"video.fps": FPS, "video.codec": "h264", "video.pix_fmt": "yuv420p", "has_audio": True}
    axes = ["height", "width", "channels"]
    depth = {**video, "has_audio": False, "video.pix_fmt": "gray12le", "video.is_depth_map": True}
    features: dict[str, Any] = {
        "observation.state": vector,
        "action": vector,
        "applied.action": vector,
        "observation.touch": {"dtype": "float32", "shape": [16], "names": None},
        "observation.count": {"dtype": "float32", "shape": [], "names": None},
        "observation.camera_pose": {"dtype": "float32", "shape": [3, 4], "names": None},
        CAMERA: {
            "dtype": "video",
            "shape": [SIZE, SIZE, 3],
            "names": axes,
            "info": {**video, "camera.intrinsics": _INTRINSICS},
        },
        "observation.images.depth": {"dtype": "video", "shape": [SIZE, SIZE, 1], "names": axes, "info": depth},
        "observation.images.png": {"dtype": "image", "shape": [8, 8, 1], "names": axes},
        "next.success": {**_INDEX, "dtype": "bool"},
        "next.reward": {**_INDEX, "dtype": "float32"},
        "note": {**_INDEX, "dtype": "string"},
        "language_events": {**_INDEX, "dtype": "language"},
        "annotation.human.validity": _INDEX,
        "subtask_index": _INDEX,
        "timestamp": {**_INDEX, "dtype": "float32"},
        **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), _INDEX),
    }
    if refused:
        features["observation.points"] = {"dtype": "float32", "shape": [3], "names": None}
    return features


def _metadata(folder: Path, version: str, refused: bool) -> None:
    meta, v3 = folder / "meta", version == "v3.0"
    info = {
        "codebase_version": version,
        "robot_type": "toy_arm",
        "total_episodes": EPISODES,
        "total_frames": EPISODES * FRAMES,
        "total_tasks": len(TASKS),
        "chunks_size": 1000,
        "fps": FPS,
        "splits": SPLITS,
        "data_path": "data/chunk-000/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-000/{video_key}/episode_{episode_index:06d}.mp4",
        "features": _features(refused),
        "tools": [{"type": "function", "function": {"name": "say"}}],
    }
    if v3:
        info |= {
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        }
    (meta / "info.json").write_text(json.dumps(info, indent=4))
    _write(meta / "subtasks.parquet", pa.table({"subtask": ["reach", "lift"], "subtask_index": [0, 1]}))
    episodes = [
        {
            "episode_index": n,
            "tasks": list(TASKS[:2]) if n == 0 else [TASKS[n % 2]],
            "length": FRAMES,
        }
        for n in range(EPISODES)
    ]
    if not v3:
        tasks = [{"task_index": i, "task": task} for i, task in enumerate(TASKS)]
        (meta / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tasks))
        (meta / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in episodes))
        return
    _write(meta / "tasks.parquet", pa.table({"task_index": range(len(TASKS)), "task": TASKS}))
    for row in episodes:
        begin = row["episode_index"] * FRAMES
        row |= {"data/chunk_index": 0, "data/file_index": 0}
        row |= {"dataset_from_index": begin, "dataset_to_index": begin + FRAMES}
        for camera in (CAMERA, "observation.images.depth"):
            at = f"videos/{camera}"
            row |= {f"{at}/chunk_index": 0, f"{at}/file_index": 0}
            row |= {f"{at}/from_timestamp": begin / FPS, f"{at}/to_timestamp": (begin + FRAMES) / FPS}
    _write(meta / "episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(episodes))


def write_own(folder: Path, seed: int = 1) -> Path:
    """Writes a set of ours: units, frames, roles, outcomes, provenance, a stream, and an annotation."""
    spec = Spec(
        (
            Field("observation.state", (2,), "float32", unit="m", frame="base", layout=("x", "y")),
            Field(CAMERA, (SIZE, SIZE, 3), "uint8", role="front"),
            Field("action", (2,), "float32", unit="m", frame="base", layout=("x", "y"), mode="absolute"),
            Field("applied.action", (2,), "float32", unit="m", layout=("x", "y")),
            Field("time.frame_ns", (1,), "int64", unit="ns"),
        ),
        FPS,
    )
    rng = np.random.default_rng(seed)
    with DatasetWriter(folder, spec, robot_type="toy_arm") as writer:
        for number in range(2):
            details = {"annotations": {"annotation.human.validity": [[0, "valid"], [5, "grasp"]]}, "operator": "ann"}
            take = writer.begin(TASKS[number], Provenance("teleop", embodiment="toy_arm", details=details))
            for t in range(FRAMES):
                frame: dict[str, NDArray[Any]] = {
                    name: rng.random(2, np.float32) for name in ("observation.state", "action", "applied.action")
                }
                frame[CAMERA] = np.full((SIZE, SIZE, 3), 20 + 10 * t, np.uint8)
                frame["time.frame_ns"] = np.array([10**18 + number * 10**10 + t * 10**8])
                take.add(frame)
            take.save(Outcome("failure", steps=FRAMES, reason="the block fell"))
    for number, episode in enumerate(Dataset(folder).episodes):
        times = 10**18 + number * 10**10 + np.arange(60, dtype=np.int64) * 2 * 10**7
        force = Stream(times, rng.random((60, 6), np.float32), "N", ("fx", "fy", "fz", "tx", "ty", "tz"))
        path = stream_path(folder / "meta/roboscale/streams", STREAM, episode.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_stream(path, force, STREAM)
    return folder
