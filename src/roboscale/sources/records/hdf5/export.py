"""A dataset of ours as robomimic's HDF5, bit for bit: every number, and the pictures as they decode.

What robomimic has no place for (commands, time stamps, instructions, ids) lies beside it under names that robomimic
does not look at and that `robomimic.py` reads back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field
from roboscale.dataset import Dataset, EpisodeInfo

__all__ = ["export_robomimic"]

_NAMES = {"action": "actions", "next.reward": "rewards", "next.done": "dones", "simulator.state": "states"}
_IMAGES, _OBSERVATION = "observation.images.", "observation."


def export_robomimic(dataset: Dataset, out: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Writes one HDF5 file: `data/demo_<i>` with `actions`, `obs/<k>`, attributes, and `mask/train` with all demos.

    Numbers keep their dtype; pictures are (T, H, W, 3) uint8, one gzip chunk each; everything has checksums. Rewards
    and dones are written where the dataset has them, and not made up. The file appears under its name only once it
    is complete. One episode is in memory at a time.

    Args:
        out: the file; must not be there yet.
        progress: called with episodes written and episodes in all.

    Raises:
        BadData: `out` is there, or the dataset is broken.
    """
    out = Path(out)
    if out.exists():
        raise BadData(out, "file", "nothing there yet", "a file or folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    try:
        with h5py.File(partial, "w") as file:
            _write(dataset, file, progress)
        partial.replace(out)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _write(dataset: Dataset, file: h5py.File, progress: Callable[[int, int], None] | None) -> None:
    data = file.create_group("data")
    total = len(dataset.episodes)
    for number, episode in enumerate(dataset.episodes):
        _write_demo(dataset, episode, data.create_group(f"demo_{number}"))
        if progress is not None:
            progress(number + 1, total)
    data.attrs["total"] = len(dataset)
    data.attrs["env_args"] = json.dumps(_environment(dataset))
    names = np.array([f"demo_{number}" for number in range(total)], dtype="S")
    file.create_dataset("mask/train", data=names)


def _environment(dataset: Dataset) -> dict[str, Any]:
    """What is known of the world; `type` is robomimic's number of a simulator, which a dataset does not know."""
    first = dataset.episodes[0].provenance if dataset.episodes else None
    name = (first.world or first.task) if first is not None else ""
    arguments: dict[str, Any] = {"control_freq": dataset.fps}
    if first is not None and first.embodiment:
        arguments["robots"] = first.embodiment
    return {"env_name": name, "type": None, "env_kwargs": arguments}


def _write_demo(dataset: Dataset, episode: EpisodeInfo, demo: h5py.Group) -> None:
    demo.attrs["num_samples"] = episode.length
    demo.attrs["ep_meta"] = json.dumps({"lang": episode.instruction})
    demo.attrs["roboscale_id"] = episode.id
    if episode.outcome is not None and episode.outcome.success is not None:
        demo.attrs["success"] = episode.outcome.success
    rows = slice(episode.from_index, episode.from_index + episode.length)
    for field in dataset.spec:
        if field.is_image:
            images = dataset.decode(episode.index, field.name)
            name = f"obs/{field.name.removeprefix(_IMAGES).removeprefix(_OBSERVATION)}"
            options = {"compression": "gzip", "compression_opts": 4, "chunks": (1, *images.shape[1:])}
            demo.create_dataset(name, data=images, fletcher32=True, **options)
        else:
            values = _squeezed(dataset.arrays(field.name)[rows], field)
            demo.create_dataset(_path(field), data=values, chunks=True, fletcher32=True)


def _path(field: Field) -> str:
    if field.name in _NAMES:
        return _NAMES[field.name]
    if field.name.startswith(_OBSERVATION):
        return f"obs/{field.name.removeprefix(_OBSERVATION)}"
    return field.name


def _squeezed(values: NDArray[Any], field: Field) -> NDArray[Any]:
    """Rewards and dones are (T,) in robomimic."""
    return values[:, 0] if field.name in ("next.reward", "next.done") and field.shape == (1,) else values
