"""Small LeRobot datasets of v2.0, v2.1 and GR00T, written with pyarrow and PyAV alone: no code of our readers.

They are as LeRobot 0.1 to 0.3 left them: one file an episode, statistics without quantiles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["CAMERA", "FPS", "NAMES", "TASKS", "write_gr00t", "write_v20", "write_v21"]

CAMERA = "observation.images.front"
FPS = 10
NAMES = ("shoulder", "elbow", "wrist", "gripper")
TASKS = ("Push the red block onto the mat.", "Pull the drawer open by its handle.")
_SIZE = 32
_ANNOTATION = "annotation.human.task_description"


def write_v21(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """Writes v2.1 into `folder` and gives it back; the same seed gives the same numbers and pictures."""
    lines = _write(folder, "v2.1", episodes, frames, seed, annotated=False)
    _write_lines(folder / "meta/episodes_stats.jsonl", lines)
    return folder


def write_v20(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """As `write_v21`, but v2.0: statistics of the whole instead of each episode."""
    lines = _write(folder, "v2.0", episodes, frames, seed, annotated=False)
    whole: dict[str, Any] = {name: dict(entry) for name, entry in lines[0]["stats"].items()}
    for name, entry in whole.items():
        entry["min"] = np.min([line["stats"][name]["min"] for line in lines], axis=0).tolist()
        entry["max"] = np.max([line["stats"][name]["max"] for line in lines], axis=0).tolist()
        del entry["count"]
    (folder / "meta/stats.json").write_text(json.dumps(whole, indent=4))
    return folder


def write_gr00t(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """As `write_v21`, with `modality.json`: an arm of three joints and a gripper, and an annotation."""
    lines = _write(folder, "v2.1", episodes, frames, seed, annotated=True)
    _write_lines(folder / "meta/episodes_stats.jsonl", lines)
    groups = {"arm": {"start": 0, "end": 3}, "gripper": {"start": 3, "end": 4}}
    modality = {
        "state": groups,
        "action": groups,
        "video": {"ego_view": {"original_key": CAMERA}},
        "annotation": {"human.task_description": {}},
    }
    (folder / "meta/modality.json").write_text(json.dumps(modality, indent=4))
    return folder


def _write(
    folder: Path, version: str, episodes: int, frames: int, seed: int, *, annotated: bool
) -> list[dict[str, Any]]:
    """Everything but the statistics, which it returns, one line per episode."""
    rng = np.random.default_rng(seed)
    for part in ("meta", "data/chunk-000", f"videos/chunk-000/{CAMERA}"):
        (folder / part).mkdir(parents=True)
    statistics = []
    for number in range(episodes):
        columns = _columns(rng, number, frames, len(TASKS), annotated=annotated)
        _write_table(folder / f"data/chunk-000/episode_{number:06d}.parquet", columns)
        pictures = _pictures(rng, frames)
        _write_video(folder / f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4", pictures)
        stats = {name: _statistics(column) for name, column in columns.items()}
        scaled = pictures.transpose(0, 3, 1, 2).reshape(frames, 3, -1).transpose(0, 2, 1).reshape(-1, 3) / 255.0
        entry = {
            key: np.reshape(value, (3, 1, 1)).tolist() for key, value in _statistics(scaled).items() if key != "count"
        }
        statistics.append({"episode_index": number, "stats": {**stats, CAMERA: {**entry, "count": [frames]}}})
    meta = folder / "meta"
    used = TASKS[: min(episodes, len(TASKS))]
    _write_lines(meta / "tasks.jsonl", [{"task_index": i, "task": task} for i, task in enumerate(used)])
    rows = [{"episode_index": i, "tasks": [TASKS[i % len(TASKS)]], "length": frames} for i in range(episodes)]
    _write_lines(meta / "episodes.jsonl", rows)
    info = _info(version, episodes, frames, len(used), annotated=annotated)
    (meta / "info.json").write_text(json.dumps(info, indent=4))
    return statistics


def _columns(
    rng: np.random.Generator, number: int, frames: int, tasks: int, *, annotated: bool
) -> dict[str, NDArray[Any]]:
    steps = np.arange(frames, dtype=np.int64)
    action = np.cumsum(rng.normal(0, 0.1, (frames, len(NAMES))), axis=0).astype(np.float32)
    columns: dict[str, NDArray[Any]] = {
        "observation.state": np.vstack([np.zeros_like(action[:1]), action[:-1]]),
        "action": action,
        "timestamp": (steps / FPS).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(frames, number, np.int64),
        "index": number * frames + steps,
        "task_index": np.full(frames, number % tasks, np.int64),
    }
    return {**columns, _ANNOTATION: columns["task_index"]} if annotated else columns


def _write_table(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    arrays = {}
    for name, column in columns.items():
        flat = pa.array(column.reshape(-1))
        arrays[name] = flat if column.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
    pq.write_table(pa.table(arrays), path)


def _pictures(rng: np.random.Generator, frames: int) -> NDArray[np.uint8]:
    """(frames, 32, 32, 3): a scene that moves a pixel a frame."""
    scene = rng.integers(60, 190, (_SIZE // 4, _SIZE // 4, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    return np.stack([np.roll(scene, k, axis=0) for k in range(frames)])


def _write_video(path: Path, pictures: NDArray[np.uint8]) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as output:
        options = {"g": "2", "bf": "0", "crf": "20", "threads": "1", "sc_threshold": "0"}
        stream = output.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = _SIZE, _SIZE, "yuv420p"
        for number, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _statistics(column: NDArray[Any]) -> dict[str, Any]:
    rows = column.astype(np.float64).reshape(len(column), -1)
    entry = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    return {**{key: value.tolist() for key, value in entry.items()}, "count": [len(rows)]}


def _info(version: str, episodes: int, frames: int, tasks: int, *, annotated: bool) -> dict[str, Any]:
    vector = {"dtype": "float32", "shape": [len(NAMES)], "names": list(NAMES)}
    index = {"dtype": "int64", "shape": [1], "names": None}
    features: dict[str, Any] = {
        "observation.state": vector,
        "action": vector,
        CAMERA: {
            "dtype": "video",
            "shape": [_SIZE, _SIZE, 3],
            "names": ["height", "width", "channels"],
            "info": {"video.fps": FPS, "video.codec": "h264", "video.pix_fmt": "yuv420p", "has_audio": False},
        },
        "timestamp": {**index, "dtype": "float32"},
        **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), index),
    }
    if annotated:
        features[_ANNOTATION] = index
    return {
        "codebase_version": version,
        "robot_type": "toy_arm",
        "total_episodes": episodes,
        "total_frames": episodes * frames,
        "total_tasks": tasks,
        "total_videos": episodes,
        "total_chunks": 1,
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": features,
    }


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
