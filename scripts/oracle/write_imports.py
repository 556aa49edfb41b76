"""Imports real recordings and a sample of every format for `check_imports.py`, with what the source and we say.

Runs in the main environment; LeRobot is not needed here. Usage: python -m scripts.oracle.write_imports FOLDER
Real recordings are looked for in ROBOSCALE_TEST_DATA (default ../shared/data); without them only samples are written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from roboscale import ImportDataset, import_dataset
from roboscale.core import Clip
from roboscale.dataset import Dataset
from roboscale.dataset.packets import decode_in_order
from roboscale.jobs.recordings import open_source
from tests.samples import hdf5, lerobot, mcap, rlds, zarr

DATA = Path(os.environ.get("ROBOSCALE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FRAMES = 120  # compared of each dataset, evenly spread; the first and the last among them


def samples(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Name -> (source, further fields of the request), one of each format, made from seeded numbers."""
    made: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name in ("v21", "v20", "gr00t"):
        made[name] = getattr(lerobot, f"write_{name}")(folder / name), {}
    for name in ("robomimic", "isaac_mimic", "aloha", "agibot", "droid", "robomind"):
        (folder / name).mkdir()
        more = {"fps": 30} if name == "robomind" else {}
        made[name] = getattr(hdf5, f"write_{name}")(folder / name), more
    made["rlds"] = rlds.write(folder / "rlds"), {"fps": 10}
    made["zarr"] = zarr.write(folder / "zarr"), {"fps": 10}
    made["umi"] = zarr.write_umi(folder / "umi.zarr.zip"), {"fps": 20}
    (folder / "bags").mkdir()
    made["mcap"] = mcap.write(folder / "bags"), {"mapping": mcap.MAPPING}
    return made


def recordings() -> dict[str, tuple[Path, dict[str, Any]]]:
    """As `samples`, of what people recorded."""
    if not DATA.exists():
        print(f"no recordings at {DATA}: samples only", file=sys.stderr)
        return {}
    bags = DATA / "rosbag2" / "rosbag2_py" / "test" / "resources"
    types = DATA / "rosbag2" / "rosbag2_tests" / "resources"
    fields: Mapping[str, Any] = {"observation.basic": {"topic": "/test_topic", "element": "int32_value"}}
    found: dict[str, tuple[Path, dict[str, Any]]] = {
        "g1_videos": (DATA / "lerobot_v21_g1", {"missing_video": "drop-episodes"}),
        "g1_numbers": (DATA / "lerobot_v21_g1", {"missing_video": "drop-camera"}),
        "bridge": (DATA / "rlds_bridge", {}),
    }
    for store in ("mcap", "sqlite3"):
        found[f"talker_{store}"] = bags / store / "talker", {"fps": 10}
        found[f"types_{store}"] = types / store / "cdr_test", {"mapping": {"fps": 20, "fields": fields}}
    return found


def describe(source: Path, more: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Imports, and says for chosen frames what the source holds and what our loader gives."""
    fields = {name: value for name, value in more.items() if name != "mapping"}
    request = ImportDataset(source=source, out=out, workers=0, **fields)
    done = import_dataset(request, mapping=more.get("mapping")).proof
    options = {name: value for name, value in more.items() if name in ("fps", "mapping")}
    recording, dataset = open_source(source, options=options).recording, Dataset(out)
    keys = [row.key for row in done.episodes]
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(FRAMES, len(dataset))).astype(int))
    said: dict[str, Any] = {"index": chosen}
    items = [dataset[int(i)] for i in chosen]
    cameras = [f.name for f in dataset.spec.images]
    for name in items[0]:
        said[f"ours/{name}"] = np.stack([np.asarray(item[name]) for item in items])
    for name in cameras:
        said[f"ours/{name}"] = np.round(said[f"ours/{name}"] * 255).astype(np.uint8)
    numeric = [f.name for f in dataset.spec if not f.is_image]
    source_rows: dict[str, list[Any]] = {name: [] for name in numeric}
    for key in keys:
        episode = recording.read(key, ())
        for name in numeric:
            source_rows[name].append(episode.arrays[name])
    for name, parts in source_rows.items():
        said[f"source/{name}"] = np.concatenate(parts)[chosen]
    if done.format.startswith("lerobot"):  # the source's own video, decoded by PyAV
        said |= _source_pictures(recording, keys, cameras, chosen)
    return said


def _source_pictures(recording: Any, keys: list[str], cameras: list[str], chosen: Any) -> dict[str, Any]:
    found: dict[str, list[Any]] = {camera: [] for camera in cameras}
    first = 0
    for key in keys:
        episode = recording.read(key, cameras)
        wanted = {int(i) - first for i in chosen if first <= i < first + len(episode)}
        for camera in cameras:
            clip = episode.pictures[camera]
            assert isinstance(clip, Clip)
            for number, image in enumerate(decode_in_order(clip.path, clip.first, clip.length)):
                if number in wanted:
                    found[camera].append(image)
        first += len(episode)
    return {f"source/{camera}": np.stack(images) for camera, images in found.items()}


def main(folder_: str) -> None:
    folder = Path(folder_)
    (folder / "sources").mkdir(parents=True)
    (folder / "sets").mkdir()
    for name, (source, more) in {**recordings(), **samples(folder / "sources")}.items():
        said = describe(source, more, folder / "sets" / name)
        np.savez(folder / "sets" / f"{name}.npz", **said)
        print(f"{name}: imported", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
