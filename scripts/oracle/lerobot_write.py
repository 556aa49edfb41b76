"""Records datasets with LeRobot's own writer, resumes one and edits others, for `read_theirs.py`.

Runs in an environment of LeRobot's, without roboscale. Usage: python lerobot_write.py FOLDER. Beside each set
`<name>/` lies `<name>.npz`: every number, text and picture as LeRobot's own loader gives them.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
from check_dataset import LeRobotDataset, as_uint8
from lerobot.datasets import dataset_tools
from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata

JOINTS = [
    f"{name}.pos" for name in ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
]
PICTURE = ["height", "width", "channels"]
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (6,), "names": JOINTS},
    "action": {"dtype": "float32", "shape": (6,), "names": JOINTS},
    "observation.images.front": {"dtype": "video", "shape": (64, 96, 3), "names": PICTURE},
    "observation.images.side": {"dtype": "image", "shape": (48, 64, 3), "names": PICTURE},
    "observation.grid": {"dtype": "float32", "shape": (2, 3), "names": None},
    "observation.flag": {"dtype": "bool", "shape": (1,), "names": None},
    "observation.count": {"dtype": "int64", "shape": (2,), "names": None},
    "observation.fine": {"dtype": "float64", "shape": (2,), "names": None},
    "note": {"dtype": "string", "shape": (1,), "names": None},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "next.done": {"dtype": "bool", "shape": (1,), "names": None},
}
DEPTH = {  # of LeRobot 0.6: 12-bit codes in a video, and 16-bit pictures in the tables
    "observation.images.depth": {"dtype": "video", "shape": (64, 96, 1), "names": PICTURE},
    "observation.images.range": {"dtype": "image", "shape": (48, 64, 1), "names": PICTURE},
}
TASKS = ("Put the red block into the left bowl.", "Stack the blue cup on the green one.")


def opened(root: Path) -> Any:
    return LeRobotDataset(f"oracle/{root.name}", root=root)


def record(dataset: Any, seed: int, episodes: int) -> None:
    """Arms that follow their commands three frames later, before a picture that moves with them."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:64, 0:96]
    for number in range(episodes):
        n = int(rng.integers(40, 60))
        t = np.arange(n)[:, None] / 30
        course = sum(40 * np.sin(2 * np.pi * (f * t * rng.uniform(0.6, 1.4, 6) + rng.random(6))) for f in (0.2, 0.5))
        state = np.concatenate([np.repeat(course[:1], 3, 0), course[:-3]]) + rng.normal(0, 0.1, course.shape)
        for i in range(n):
            a = course[i]
            picture = np.stack([columns * 2 + 2 * a[0] + 60, rows * 3 + a[1] + 60, columns + rows + a[2] + 40], -1)
            frame = {
                "observation.state": state[i].astype(np.float32),
                "action": a.astype(np.float32),
                "observation.images.front": (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8),
                "observation.images.side": picture[:48, :64].clip(0, 255).astype(np.uint8),
                "observation.images.depth": (500 + 20 * columns + 5 * rows + 10 * i).astype(np.uint16)[..., None],
                "observation.images.range": (900 + 30 * rows + 10 * i).astype(np.uint16)[:48, :64, None],
                "observation.grid": (rng.normal(size=(2, 3)) * [1, 10, 100]).astype(np.float32),
                "observation.flag": np.array([i % 7 == 0]),
                "observation.count": np.array([i, number], np.int64),
                "observation.fine": rng.normal(size=2),
                "note": f"part {i // 20}",
                "next.reward": np.array([i / n], np.float32),
                "next.done": np.array([i == n - 1]),
            }
            dataset.add_frame(
                {key: frame[key] for key in dataset.features if key in frame} | {"task": TASKS[number % 2]}
            )
        dataset.save_episode()
    dataset.finalize()


def create(root: Path, features: dict[str, Any]) -> Any:
    return LeRobotDataset.create(f"oracle/{root.name}", 30, features, root=root, robot_type="so101")


def resumed(root: Path) -> Any:
    return (
        LeRobotDataset.resume(f"oracle/{root.name}", root=root) if hasattr(LeRobotDataset, "resume") else opened(root)
    )


def describe(root: Path) -> None:
    """What LeRobot's loader gives of every frame."""
    dataset = opened(root)
    items = [dataset[i] for i in range(len(dataset))]
    said: dict[str, Any] = {"task": np.array([item["task"] for item in items])}
    for key in items[0]:
        values = [np.asarray(item[key]) for item in items]
        if key in getattr(dataset.meta, "depth_keys", ()):
            said[f"depth/{key}"] = np.stack(values[::7])
        elif key in dataset.meta.camera_keys:
            said[f"picture/{key}"] = np.stack([as_uint8(value) for value in values[::7]]).astype(np.uint8)
        elif key != "task":
            said[f"value/{key}"] = np.stack(values)
    np.savez(root.with_suffix(".npz"), **said)
    print(f"{root.name}: {dataset.num_episodes} episodes, {len(dataset)} frames")


def main(out: Path) -> None:
    out.mkdir(parents=True)
    record(create(out / "recorded", FEATURES), 0, 4)
    if hasattr(LeRobotDatasetMetadata, "depth_keys"):
        depth = {key: {**one, "info": {"is_depth_map": True}} for key, one in DEPTH.items()}
        record(create(out / "depth", FEATURES | depth), 7, 3)
    numbers = {key: one for key, one in FEATURES.items() if one["dtype"] not in ("image", "video", "string")}
    record(create(out / "numbers", numbers), 1, 3)
    record(create(out / "resumed", FEATURES), 2, 2)
    record(resumed(out / "resumed"), 3, 2)
    flat = {key: one for key, one in FEATURES.items() if key != "observation.grid"}  # its editor fails on matrices
    record(create(out / "flat", flat), 5, 4)
    recorded = opened(out / "flat")
    dataset_tools.delete_episodes(recorded, [1], output_dir=out / "deleted", repo_id="oracle/deleted")
    dataset_tools.split_dataset(recorded, {"train": [0, 1, 2], "val": [3]}, output_dir=out / "split")
    dataset_tools.remove_feature(recorded, "observation.fine", output_dir=out / "removed", repo_id="oracle/removed")
    record(create(out / "more", flat), 6, 2)
    both = [recorded, opened(out / "more")]
    dataset_tools.merge_datasets(both, output_repo_id="oracle/merged", output_dir=out / "merged")
    convert = getattr(dataset_tools, "convert_image_to_video_dataset", None)
    if convert is not None and "output_dir" in inspect.signature(convert).parameters:
        pictures = {key: one for key, one in FEATURES.items() if one["dtype"] != "video" and key in flat}
        record(create(out / "pictures", pictures), 4, 2)
        convert(opened(out / "pictures"), output_dir=out / "converted", repo_id="oracle/converted")
    for info in sorted(out.glob("**/meta/info.json")):
        describe(info.parents[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
