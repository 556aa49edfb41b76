"""Opens imported datasets with the real LeRobotDataset. Runs in an environment of LeRobot's, without roboscale.

Usage: python check_imports.py FOLDER; every `<name>.npz` there is of a dataset `<name>/` (see `write_imports.py`).
Exits with status 1 on the first difference, naming it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from check_dataset import LeRobotDataset, as_uint8, equal, require


def check(root: Path) -> None:
    with np.load(root.with_suffix(".npz")) as file:
        said = {key: file[key] for key in file.files}
    dataset = LeRobotDataset(root.name, root=root)
    cameras, levels = list(dataset.meta.video_keys), 0
    items = [dataset[int(i)] for i in said["index"]]
    for key in items[0]:
        theirs = np.stack([np.asarray(item[key]) for item in items])
        sides = {side: said[f"{side}/{key}"] for side in ("ours", "source") if f"{side}/{key}" in said}
        require(sides, f"{root.name}: {key} is nowhere else")
        for side, values in sides.items():
            if key in cameras:
                pictures = np.moveaxis(values, 1, -1) if side == "ours" else values
                worst = int(np.abs(as_uint8(theirs) - pictures.astype(int)).max())
                require(worst <= 2, f"{root.name}: {key}: {worst} levels from {side}")
                levels = max(levels, worst)
            else:
                require(equal(theirs, values.reshape(theirs.shape)), f"{root.name}: {key}: not what {side} says")
    stats = dataset.meta.stats
    require(all({"q01", "q99", "mean"} <= set(stats[k]) for k in stats), f"{root.name}: statistics without quantiles")
    require(not cameras or set(cameras) <= set(stats), f"{root.name}: cameras without statistics")
    print(
        f"{root.name}: {dataset.num_episodes} episodes, {len(dataset)} frames, {len(items)} compared, arrays equal"
        + (f", {len(cameras)} cameras at most {levels} levels apart" if cameras else "")
    )


def main(folder: str) -> None:
    described = sorted(Path(folder).glob("*.npz"))
    require(described, f"{folder} holds no dataset")
    for path in described:
        check(path.with_suffix(""))
    print(f"the real LeRobotDataset opens all {len(described)} imports")


if __name__ == "__main__":
    main(*sys.argv[1:])
