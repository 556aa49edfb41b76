"""Audits and imports what LeRobot's own writer and editor made, and compares it with what its loader gives.

Runs in the main environment; LeRobot is not needed here. Usage: python -m scripts.oracle.read_theirs FOLDER, after
`lerobot_write.py`. Exits with status 1 on the first difference, naming it.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from roboscale import AuditDataset, FixDataset, ImportDataset, audit_dataset, fix_dataset, import_dataset
from roboscale.dataset import Dataset


def features_of(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "meta/info.json").read_text())["features"])


def require(condition: object, what: str) -> None:
    if not condition:
        sys.exit(f"DIFFERENCE: {what}")


def check(root: Path, out: Path) -> None:
    report = audit_dataset(AuditDataset(dataset=root, workers=0)).report
    mended = ""
    if report.fails("error"):  # LeRobot's editor leaves some metadata out; what the audit advises brings them back
        (repair,) = {one.repair for one in report.findings if one.severity == "error"}
        require(repair.endswith("--metadata"), f"{root.name}: {[one.text for one in report.findings]}")
        mended = ", after data fix --metadata of " + ", ".join({one.check for one in report.findings if one.repair})
        fix_dataset(FixDataset(dataset=root, metadata=True))
        report = audit_dataset(AuditDataset(dataset=root, workers=0)).report
    errors = [(one.check, one.text) for one in report.findings if one.severity == "error"]
    require(not errors, f"{root.name}: the audit finds {errors}")
    done = import_dataset(ImportDataset(source=root, out=out, workers=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # depth is carried as it is, and compared by `check_carried.py`
        dataset = Dataset(out, images="uint8")
    with np.load(root.with_suffix(".npz")) as file:
        said = {key: file[key] for key in file.files}
    require(len(dataset) == len(said["task"]), f"{root.name}: {len(dataset)} frames of {len(said['task'])}")
    require([dataset[i]["task"] for i in range(len(dataset))] == said["task"].tolist(), f"{root.name}: instructions")
    parquet = {key for key, one in features_of(root).items() if one["dtype"] == "image"}
    lost, levels, encoded = [], 0, 0
    for kind_and_key, theirs in said.items():
        kind, _, key = kind_and_key.partition("/")
        if key in dataset.spec and kind == "picture":
            ours = np.stack([dataset[i][key] for i in range(0, len(dataset), 7)])
            worst = int(np.abs(ours.astype(int) - theirs).max())
            levels, encoded = max(levels, 0 if key in parquet else worst), max(encoded, worst if key in parquet else 0)
        elif kind == "value" and (
            key in dataset.spec or key in ("timestamp", "frame_index", "episode_index", "index")
        ):
            ours = dataset.arrays(key).reshape(theirs.shape)
            require(np.array_equal(ours.astype(theirs.dtype), theirs), f"{root.name}: {key}")
        elif kind in ("value", "picture") and key != "task_index":
            lost.append(key)
    require(levels <= 2, f"{root.name}: pictures of videos differ by {levels} levels")
    silent = [key for key in lost if key not in str(done.proof.to_json())]
    require(not silent, f"{root.name}: {silent} is not there, and nobody says so")
    kinds = ", ".join(sorted({one.check for one in report.findings})) or "nothing found"
    print(f"{root.name}: {len(dataset.episodes)} episodes, {len(dataset)} frames, numbers and texts equal;")
    print(f"  pictures of videos at most {levels} levels apart, encoded ones {encoded};")
    print(f"  carried, or left out and said: {', '.join(lost) or 'nothing'}; the audit: {kinds}{mended}")


def main() -> None:
    os.environ.setdefault("SVT_LOG", "1")
    folder = Path(sys.argv[1])
    for described in sorted(folder.rglob("*.npz")):
        root = described.with_suffix("")
        check(root, folder.with_name(f"{folder.name}-imported") / root.relative_to(folder))


if __name__ == "__main__":
    main()
