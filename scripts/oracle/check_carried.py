"""What an import carried as it is, read by the real LeRobot: equal to what LeRobot gave of the source.

Runs in LeRobot's environment. Usage: python check_carried.py THEIRS IMPORTED, after `lerobot_write.py` and
`read_theirs.py`. Exits with status 1 on the first difference, naming it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from check_dataset import LeRobotDataset, require


def check(described: Path, root: Path) -> None:
    dataset = LeRobotDataset(f"oracle/{root.name}", root=root)
    items = [dataset[i] for i in range(len(dataset))]
    seen = []
    with np.load(described) as file:
        for kind, _, key in (name.partition("/") for name in file.files):
            theirs = file[f"{kind}/{key}"] if key else file[kind]
            if kind == "depth" or (kind == "value" and theirs.dtype.kind == "U"):
                require(key in items[0], f"{root.name}: {key} is not there")
                ours = np.stack([np.asarray(item[key]) for item in items[:: 7 if kind == "depth" else 1]])
                require(np.array_equal(ours, theirs), f"{root.name}: {key}")
                require(kind != "depth" or key in dataset.meta.stats, f"{root.name}: no statistics of {key}")
                seen.append(key)
    print(f"{root.name}: carried and equal to LeRobot's own reading: {', '.join(seen) or 'nothing'}")


def main() -> None:
    theirs, imported = Path(sys.argv[1]), Path(sys.argv[2])
    for described in sorted(theirs.rglob("*.npz")):
        check(described, imported / described.with_suffix("").relative_to(theirs))


if __name__ == "__main__":
    main()
