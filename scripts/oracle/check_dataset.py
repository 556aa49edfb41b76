"""Opens datasets with the real LeRobotDataset and compares everything. Runs in LeRobot's environment, not in ours.

Usage: python check_dataset.py FOLDER; every `<name>.npz` there belongs to a dataset `<name>/`
(see `write_datasets.py`). Exits with status 1 on the first difference, naming it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # a build for CUDA beside a CPU build of torch: it brings no operators, and yet declares these
    _library = torch.library.Library("torchvision", "FRAGMENT")
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.configs.types import FeatureType
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors

try:
    from lerobot.utils.feature_utils import dataset_to_policy_features  # 0.6
except ImportError:
    from lerobot.datasets.utils import dataset_to_policy_features

DELTAS = {
    "action": [-0.2, -0.1, 0.0, 0.1, 0.2, 0.3],
    "observation.state": [-0.1, 0.0],
    "observation.images.front": [-0.2, 0.0, 0.1],
}
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def require(condition: object, what: str) -> None:
    if not condition:
        sys.exit(f"DIFFERENCE: {what}")


def as_uint8(images: np.ndarray) -> np.ndarray:
    """LeRobot's (..., 3, H, W) floats in 0..1 as (..., H, W, 3) levels."""
    return np.moveaxis(np.round(images * 255), -3, -1).astype(int)


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each picture, dB."""
    error = np.square(a.astype(float) - b).mean(axis=(-3, -2, -1))
    return np.asarray(10 * np.log10(255**2 / np.maximum(error, 1e-9)))


def stacked(dataset: LeRobotDataset) -> dict[str, np.ndarray]:
    items = [dataset[i] for i in range(len(dataset))]
    return {key: np.stack([np.asarray(item[key]) for item in items]) for key in items[0]}


def equal(theirs: np.ndarray, ours: np.ndarray) -> bool:
    """LeRobot's loader makes every number a Python one and then a float32 or int64 tensor."""
    alike = theirs.shape == ours.shape and theirs.dtype.kind == ours.dtype.kind
    return alike and np.array_equal(theirs, ours.astype(theirs.dtype))


def compare(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray], cameras: list[str]) -> int:
    """Exact for numbers, at most 2 levels for pictures; returns the largest difference in levels."""
    require(set(theirs) == set(ours), f"keys {sorted(set(theirs) ^ set(ours))}")
    largest = 0
    for key, value in theirs.items():
        if key in cameras:
            difference = int(np.abs(as_uint8(value) - ours[key]).max())
            require(difference <= 2, f"{key}: decoded pictures differ by {difference} levels")
            largest = max(largest, difference)
        else:
            require(equal(value, ours[key]), f"{key}: values of shape {value.shape}, ours {ours[key].shape}")
    return largest


def check_quantiles(dataset: LeRobotDataset, recorded: dict[str, np.ndarray]) -> float:
    """Largest error of stored quantiles over all data, in percent of each element's range."""
    worst = 0.0
    for name in ("action", "observation.state", "applied.action"):
        values = recorded[name].astype(float)
        spread = np.ptp(values, axis=0)
        stats = dataset.meta.stats[name]
        require(
            np.allclose(stats["mean"], values.mean(0)) and np.allclose(stats["std"], values.std(0)), f"{name} mean"
        )
        for key, q in QUANTILES.items():
            error = np.abs(stats[key] - np.quantile(values, q, axis=0)) / spread
            worst = max(worst, 100 * float(error.max()))
    require(worst < 0.5, f"quantiles are off by {worst:.3f} % of the range")
    return worst


def train_one_step(root: Path, name: str) -> float:
    """One optimiser step of ACT on a batch of real frames; returns its loss."""
    torch.manual_seed(0)
    chunk = 8
    dataset = LeRobotDataset(name, root=root, delta_timestamps={"action": [k / 10 for k in range(chunk)]})
    features = dataset_to_policy_features(dataset.meta.features)
    outputs = {"action": features["action"]}
    inputs = {key: f for key, f in features.items() if f.type is not FeatureType.ACTION}
    config = ACTConfig(
        input_features=inputs,
        output_features=outputs,
        chunk_size=chunk,
        n_action_steps=chunk,
        pretrained_backbone_weights=None,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        n_encoder_layers=1,
        n_vae_encoder_layers=1,
        device="cpu",
        push_to_hub=False,
    )
    policy = ACTPolicy(config)
    preprocess, _ = make_pre_post_processors(config, dataset_stats=dataset.meta.stats)
    batch: dict[str, Any] = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=True)))
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4)
    loss, _ = policy.forward(preprocess(batch))
    loss.backward()
    optimizer.step()
    require(torch.isfinite(loss), f"ACT loss {loss}")
    return float(loss.detach())


def check(root: Path) -> None:
    with np.load(root.with_suffix(".npz")) as file:
        described = {key: file[key] for key in file.files}
    recorded, ours, window = (
        {key.removeprefix(prefix): value for key, value in described.items() if key.startswith(prefix)}
        for prefix in ("recorded/", "ours/", "window/")
    )
    dataset = LeRobotDataset(root.name, root=root)
    cameras = list(dataset.meta.video_keys)
    theirs = stacked(dataset)
    require(len(dataset) == len(recorded["action"]), f"{len(dataset)} frames, recorded {len(recorded['action'])}")
    levels = compare(theirs, ours, cameras)
    for name, values in recorded.items():
        if name not in cameras:
            require(equal(theirs[name], values.reshape(theirs[name].shape)), f"{name}: not what was recorded")
    quality = min(float(psnr(as_uint8(theirs[name]), recorded[name]).min()) for name in cameras)
    require(quality >= 30, f"PSNR {quality:.1f} dB")
    windows = stacked(LeRobotDataset(root.name, root=root, delta_timestamps=DELTAS))
    levels = max(levels, compare(windows, {**window, "task": ours["task"]}, cameras))
    pads = sum(int(value.sum()) for key, value in windows.items() if key.endswith("_is_pad"))
    error = check_quantiles(dataset, recorded)
    loss = train_one_step(root, root.name)
    print(
        f"{root.name}: {dataset.num_episodes} episodes, {len(dataset)} frames, arrays exact, "
        f"pictures at most {levels} levels apart, PSNR >= {quality:.1f} dB, "
        f"windows equal with {pads} padded, quantiles within {error:.4f} % of range, ACT loss {loss:.2f}"
    )


def main(folder: str) -> None:
    described = sorted(Path(folder).glob("*.npz"))
    require(described, f"{folder} holds no dataset")
    for path in described:
        check(path.with_suffix(""))
    print("the real LeRobotDataset agrees")


if __name__ == "__main__":
    main(*sys.argv[1:])
