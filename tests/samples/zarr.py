"""Small replay buffers in format 2, written by zarr itself, which shares no code with our reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["write", "write_umi"]

_SIDE = 32


def write(folder: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """As diffusion_policy's PushT: `img` as whole floats, `state`, `action`, `keypoint`. Gives `folder` back.

    The same seed gives the same bytes.
    """
    import zarr

    rng, total = np.random.default_rng(seed), episodes * frames
    root = zarr.open_group(str(folder), mode="w", zarr_format=2)
    arrays: dict[str, NDArray[Any]] = {
        "img": _pictures(rng, total).astype(np.float32),
        "action": rng.uniform(0, 512, (total, 2)).astype(np.float32),
        "state": rng.normal(size=(total, 5)).astype(np.float32),
        "keypoint": rng.normal(size=(total, 9, 2)).astype(np.float32),
    }
    _fill(root, arrays, episodes, frames)
    return folder


def write_umi(file: Path, *, episodes: int = 2, frames: int = 12, seed: int = 0) -> Path:
    """As UMI: a zip file with one gripper and its camera in lossless JPEG XL. Gives `file` back."""
    import zarr
    from imagecodecs.numcodecs import Jpegxl, register_codecs

    register_codecs(["imagecodecs_jpegxl"], verbose=False)
    rng, total = np.random.default_rng(seed), episodes * frames
    pose = np.repeat(rng.normal(size=(episodes, 6)), frames, axis=0)
    store = zarr.storage.ZipStore(str(file), mode="w")
    root = zarr.open_group(store, mode="w", zarr_format=2)
    arrays: dict[str, NDArray[Any]] = {
        "robot0_eef_pos": rng.normal(size=(total, 3)).astype(np.float32),
        "robot0_eef_rot_axis_angle": rng.normal(size=(total, 3)).astype(np.float32),
        "robot0_gripper_width": rng.uniform(0, 0.08, (total, 1)).astype(np.float32),
        "robot0_demo_start_pose": pose,
        "robot0_demo_end_pose": pose + 1,
    }
    group = _fill(root, arrays, episodes, frames)
    images = _pictures(rng, total)
    chunks = (1, *images.shape[1:])
    codec = Jpegxl(lossless=True, numthreads=1)
    camera = group.create_array("camera0_rgb", shape=images.shape, chunks=chunks, dtype="uint8", compressors=codec)
    camera[:] = images
    store.close()
    return file


def _pictures(rng: np.random.Generator, total: int) -> NDArray[np.uint8]:
    small = rng.integers(0, 256, (total, 4, 4, 3), np.uint8)
    return small.repeat(_SIDE // 4, axis=1).repeat(_SIDE // 4, axis=2)


def _fill(root: Any, arrays: Mapping[str, NDArray[Any]], episodes: int, frames: int) -> Any:
    """Chunks of seven rows, so that they cross episodes. Gives the group `data`."""
    import numcodecs

    data, meta = root.create_group("data"), root.create_group("meta")
    for name, values in arrays.items():
        chunks = (min(7, len(values)), *values.shape[1:])
        array = data.create_array(
            name,
            shape=values.shape,
            chunks=chunks,
            dtype=values.dtype,
            compressors=numcodecs.Blosc(),
            config={"write_empty_chunks": True},
        )
        array[:] = values
    ends = np.arange(1, episodes + 1, dtype=np.int64) * frames
    meta.create_array("episode_ends", shape=ends.shape, chunks=ends.shape, dtype="int64", compressors=None)[:] = ends
    return data
