"""Small recordings in layouts that people think of themselves: each as it comes out of a short script of theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.samples.hdf5 import _write_video

__all__ = ["LAYOUTS", "MAPPING", "arrays", "pictures", "write"]

FRAMES, EPISODES = 24, 3


def arrays(number: int, frames: int = FRAMES) -> dict[str, NDArray[Any]]:
    """A walk of four joints, the commands before it, and the times at 20 Hz with a little jitter."""
    rng = np.random.default_rng(number)
    qpos = np.cumsum(rng.normal(0, 0.05, (frames, 4)), axis=0).astype(np.float32)
    action = np.vstack([qpos[1:], qpos[-1:]]) + rng.normal(0, 0.01, (frames, 4)).astype(np.float32)
    times = 1_700_000_000 + np.arange(frames) / 20 + rng.uniform(0, 0.004, frames)
    return {"qpos": qpos, "action": action.astype(np.float32), "timestamp": times}


def pictures(number: int, frames: int = FRAMES) -> NDArray[np.uint8]:
    """(T, 32, 48, 3): a table over which a block moves."""
    images = np.full((frames, 32, 48, 3), 40 + 30 * number, np.uint8)
    for k in range(frames):
        images[k, 8:20, k : k + 12] = (220, 60, 30)
    return images


def _save_pictures(folder: Path, images: NDArray[np.uint8], name: str = "frame_{}.png") -> None:
    folder.mkdir(parents=True)
    for k, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(k))


def _npz(root: Path) -> None:
    for number in range(EPISODES):
        np.savez(root / f"episode_{number}.npz", **arrays(number), image=pictures(number))


MAPPING: Mapping[str, Any] = MappingProxyType(
    {
        "fps": 20,
        "time": "timestamp",
        "fields": {
            "observation.state": {"source": "qpos"},
            "action": {"source": "action"},
            "observation.images.front": {"source": "image"},
        },
    }
)
"""Of `write`."""


def write(root: Path, *, episodes: int, seed: int) -> Path:
    """One npz file per episode, in a folder that is made."""
    root.mkdir()
    for number in range(episodes):
        np.savez(root / f"episode_{number}.npz", **arrays(seed + number), image=pictures(number))
    return root


def _npy_folders(root: Path) -> None:
    for number in range(EPISODES):
        folder = root / f"run{number}"
        folder.mkdir()
        for name, values in arrays(number).items():
            np.save(folder / f"{name}.npy", values)
        np.save(folder / "rgb.npy", pictures(number))


def _hdf5_files(root: Path) -> None:
    import h5py

    for number in range(EPISODES):
        with h5py.File(root / f"take_{number}.h5", "w") as file:
            for name, values in arrays(number).items():
                file[f"robot/{name}"] = values
            file.create_dataset("cam/front", data=pictures(number), chunks=(1, 32, 48, 3), compression="gzip")


def _folders_of_kinds(root: Path) -> None:
    """A folder for states, one for actions, ...; an episode is a number."""
    for name in ("qpos", "action", "timestamp", "front"):
        (root / name).mkdir()
    for number in range(EPISODES):
        for name, values in arrays(number).items():
            np.save(root / name / f"ep_{number:03d}.npy", values)
        _write_video(root / f"front/ep_{number:03d}.mp4", pictures(number), 20)


def _numbers_beside_videos(root: Path) -> None:
    """Tables and videos of the same numbers in one folder."""
    for number in range(EPISODES):
        np.savez(root / f"demo{number}_robot.npz", **arrays(number))
        _write_video(root / f"demo{number}_camera.mp4", pictures(number), 20)


def _hdf5_groups(root: Path) -> None:
    import h5py

    with h5py.File(root / "all.hdf5", "w") as file:
        for number in range(EPISODES):
            for name, values in arrays(number).items():
                file[f"traj_{number}/{name}"] = values
            file[f"traj_{number}/image"] = pictures(number)


def _columns(number: int) -> dict[str, NDArray[Any]]:
    values = arrays(number)
    joints = {f"joint_{i}": values["qpos"][:, i] for i in range(4)}
    return {"timestamp": values["timestamp"], **joints, **{f"cmd_{i}": values["action"][:, i] for i in range(4)}}


def _csv(path: Path, columns: Mapping[str, Any]) -> None:
    rows = zip(*(values.tolist() if hasattr(values, "tolist") else values for values in columns.values()), strict=True)
    text = ",".join(columns) + "\n" + "".join(",".join(map(repr, row)).replace("'", "") + "\n" for row in rows)
    path.write_text(text)


def _csv_and_pictures(root: Path) -> None:
    for number in range(EPISODES):
        folder = root / f"demo{number}"
        folder.mkdir()
        _csv(folder / "robot.csv", _columns(number))
        _save_pictures(folder / "camera_front", pictures(number))
        (folder / "task.txt").write_text("Push the block to the right.\n")


def _one_csv(root: Path) -> None:
    """One table with a column of episodes and one of file names."""
    whole: dict[str, list[Any]] = {}
    for number in range(EPISODES):
        _save_pictures(root / "images" / str(number), pictures(number))
        names = [f"images/{number}/frame_{k}.png" for k in range(FRAMES)]
        columns = {"episode_id": [number] * FRAMES, **_columns(number), "image": names}
        for name, values in columns.items():
            whole.setdefault(name, []).extend(np.asarray(values).tolist())
    _csv(root / "log.csv", whole)


def _jpegs_and_npy(root: Path) -> None:
    for number in range(EPISODES):
        folder = root / f"{number:03d}"
        _save_pictures(folder / "images0", pictures(number), "im_{}.jpg")
        np.savez(folder / "obs.npz", **{k: v for k, v in arrays(number).items() if k != "action"})
        np.save(folder / "actions.npy", arrays(number)["action"])


def _csv_and_video(root: Path) -> None:
    for number in range(EPISODES):
        folder = root / f"demo{number}"
        folder.mkdir()
        _csv(folder / "robot.csv", _columns(number))
        _write_video(folder / "front.mp4", pictures(number), 20)


def _zarr_each(root: Path) -> None:
    import zarr

    for number in range(EPISODES):
        group = zarr.open_group(str(root / f"episode_{number}.zarr"), mode="w", zarr_format=2)
        for name, values in {**arrays(number), "image": pictures(number)}.items():
            group.create_array(name, shape=values.shape, chunks=values.shape, dtype=values.dtype)[:] = values


LAYOUTS: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {
        "npz": _npz,
        "npy-folders": _npy_folders,
        "hdf5-files": _hdf5_files,
        "hdf5-groups": _hdf5_groups,
        "csv-and-pictures": _csv_and_pictures,
        "one-csv": _one_csv,
        "jpegs-and-npy": _jpegs_and_npy,
        "csv-and-video": _csv_and_video,
        "zarr-each": _zarr_each,
        "folders-of-kinds": _folders_of_kinds,
        "numbers-beside-videos": _numbers_beside_videos,
    }
)
"""Name -> writes three episodes of `arrays` and `pictures` into a folder."""
