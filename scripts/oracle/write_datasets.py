"""Writes datasets for `check_dataset.py`, and beside each what was recorded and what our own reader makes of it.

Runs in the main environment; LeRobot is not needed here. Usage: python -m scripts.oracle.write_datasets FOLDER
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Provenance, Spec
from roboscale.dataset import Dataset, DatasetWriter, repair
from tests.dataset import recorder

DELTAS = {
    "action": [-0.2, -0.1, 0.0, 0.1, 0.2, 0.3],
    "observation.state": [-0.1, 0.0],
    "observation.images.front": [-0.2, 0.0, 0.1],
}


def every_kind(spec: Spec) -> Spec:
    """The spec with a matrix, a scalar and more dtypes besides."""
    more = (
        Field("matrix", (2, 3), "float32"),
        Field("flag", (), "bool"),
        Field("double", (2,), "float64"),
        Field("short", (3,), "float32", layout=("a", "b", "c")),
    )
    return Spec((*spec.fields, *more), spec.rate_hz)


def write(root: Path, spec: Spec, codec: Any) -> None:
    """Three sessions, a discarded take in each, two tasks."""
    for session in range(3):
        with DatasetWriter(root, spec, robot_type="square", codec=codec) as writer:
            for k in range(4):
                seed = 4 * session + k
                recorder.record(writer, seed, 9 + seed, f"push the block to goal number {seed % 2}")
            lost = writer.begin("a take that fails", Provenance("test"))
            for frame in recorder.frames(99, 5, spec):
                lost.add(frame)
            lost.discard()


def write_and_kill(root: Path, saved: int) -> None:
    """Another process records; it is killed after its `saved`-th episode, in the middle of the next one."""
    arguments = [sys.executable, recorder.__file__, str(root), "25", "9"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = []
        for line in process.stdout:
            if line.startswith("saved"):
                reported.append(line.split()[1])
            if len(reported) == saved:
                break
        while not any((root / "meta/roboscale/staging").iterdir()):
            pass  # the next take has not begun
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    report = repair(root)
    ids = [episode.id for episode in Dataset(root).episodes]
    assert ids[:saved] == reported, "a saved episode is lost"
    print(
        f"killed after {saved} saved episodes; repair sealed {len(report.sealed)} and set aside {report.quarantined}"
    )


def describe(root: Path) -> None:
    """Writes `<root>.npz`: recorded/<field>, ours/<key> and window/<key>."""
    plain = Dataset(root, images="uint8")
    windowed = Dataset(root, delta_timestamps=DELTAS, images="uint8")
    recorded: dict[str, list[NDArray[Any]]] = {name: [] for name in plain.spec.names}
    for episode in plain.episodes:
        for frame in recorder.frames(episode.provenance.seed, episode.length, plain.spec):
            for name, value in frame.items():
                recorded[name].append(value)
    arrays = {f"recorded/{name}": np.stack(values) for name, values in recorded.items()}
    for prefix, dataset in (("ours", plain), ("window", windowed)):
        items = [dataset[i] for i in range(len(dataset))]
        keys = [key for key in items[0] if key != "task"]
        arrays |= {f"{prefix}/{key}": np.stack([item[key] for item in items]) for key in keys}
    arrays["ours/task"] = np.array([plain[i]["task"] for i in range(len(plain))])
    np.savez(root.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]


def main(folder: str) -> None:
    for codec in ("h264", "av1"):
        write(Path(folder, codec), recorder.SPEC, codec)
    write(Path(folder, "kinds"), every_kind(recorder.SPEC), "h264")
    write_and_kill(Path(folder, "killed"), 13)
    for name in ("h264", "av1", "kinds", "killed"):
        describe(Path(folder, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
