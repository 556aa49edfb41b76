"""A small sound recording of every format, and which of its files carry checksums over their payload."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import Field, Provenance, Spec, new_episode_id

__all__ = ["SAMPLES", "Sample"]


@dataclass(frozen=True)
class Sample:
    """How one format's sample is made and opened.

    Args:
        module: of `tests.samples`; imported when it is needed.
        writer: its function `(folder, *, episodes, seed) -> path`.
        arguments: further ones for the writer.
        options: for `open_recording`.
        checksummed: endings of the files in which a changed payload must be noticed.
        alone: endings of the files that are the only ones to say what dtype the numbers have.
        boundaries: endings of the files that are the only ones to say where an episode ends and the next begins.
        name: of the file, for formats that are one file; empty for a folder.
    """

    module: str
    writer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Callable[[], Mapping[str, Any]] = dict
    checksummed: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    name: str = ""

    def write(self, folder: Path) -> Path:
        """Writes two episodes below `folder`, which exists, and returns what is to be opened."""
        module = importlib.import_module(self.module)
        target = folder / self.name if self.name else folder / "sample"
        if self.writer in _WANT_A_FOLDER:
            target.mkdir()
        path: Path = getattr(module, self.writer)(target, episodes=2, seed=0, **self.arguments)
        return path


_WANT_A_FOLDER = {
    "write_robomimic",
    "write_isaac_mimic",
    "write_aloha",
    "write_robomind",
    "write_agibot",
    "write_droid",
}
_OURS = "tests.samples"


def _rate() -> Mapping[str, Any]:
    return {"fps": 10}


def _mapping(module: str) -> Mapping[str, Any]:
    return {"mapping": importlib.import_module(f"{_OURS}.{module}").MAPPING}


def write_v3(folder: Path, *, episodes: int, seed: int) -> Path:
    """A dataset of our own writer."""
    from roboscale.dataset import DatasetWriter

    spec = Spec(
        (
            Field("observation.state", (4,), "float32", layout=("x", "y", "z", "gripper")),
            Field("observation.images.front", (32, 32, 3), "uint8"),
            Field("action", (3,), "float32"),
        ),
        10,
    )
    rng = np.random.default_rng(seed)
    with DatasetWriter(folder, spec) as writer:
        for _ in range(episodes):
            take = writer.begin("Push the red block onto the mat.", Provenance("test"), episode_id=new_episode_id(rng))
            for t in range(12):
                picture = np.full((32, 32, 3), 40 + 10 * t, np.uint8)
                state, action = rng.normal(size=4).astype(np.float32), rng.normal(size=3).astype(np.float32)
                take.add({"observation.state": state, "observation.images.front": picture, "action": action})
            take.save()
    return folder


SAMPLES: Mapping[str, Sample] = {
    "lerobot-v3": Sample("tests.fuzz.fuzz_samples", "write_v3"),
    "lerobot-v2.1": Sample(f"{_OURS}.lerobot", "write_v21"),
    "lerobot-v2.0": Sample(f"{_OURS}.lerobot", "write_v20"),
    "gr00t": Sample(f"{_OURS}.lerobot", "write_gr00t"),
    "rlds": Sample(f"{_OURS}.rlds", "write", options=_rate, checksummed=("tfrecord", "-of-00001")),
    "robomimic": Sample(f"{_OURS}.hdf5", "write_robomimic"),
    "isaac-mimic": Sample(f"{_OURS}.hdf5", "write_isaac_mimic"),
    "aloha": Sample(f"{_OURS}.hdf5", "write_aloha", {"compressed": True}),
    "robomind": Sample(f"{_OURS}.hdf5", "write_robomind", options=_rate),
    "agibot": Sample(f"{_OURS}.hdf5", "write_agibot"),
    "droid-raw": Sample(f"{_OURS}.hdf5", "write_droid"),
    "zarr": Sample(f"{_OURS}.zarr", "write", options=_rate, alone=(".zarray",), boundaries=("episode_ends/0",)),
    "umi-zarr": Sample(f"{_OURS}.zarr", "write_umi", options=_rate, checksummed=(".zip",), name="sample.zarr.zip"),
    "mcap": Sample(f"{_OURS}.mcap", "write", options=partial(_mapping, "mcap"), checksummed=(".mcap",)),
    "rosbag-db3": Sample(f"{_OURS}.mcap", "write", {"storage": "db3"}, options=partial(_mapping, "mcap")),
    "own-layout": Sample(f"{_OURS}.own", "write", options=partial(_mapping, "own"), checksummed=(".npz",)),
}
"""Format -> its sample."""
