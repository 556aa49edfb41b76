"""LeRobot's side of `benchmarks.loader`: runs in `.venv-oracle-0.4.4`, without roboscale.

    python loader_peer.py CAMERA_DATASET TABLE_DATASET SAMPLES CHUNK OUT.npz

Prints CPU milliseconds a sample as JSON and saves some samples, for the other side to compare with its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

# This build of torchvision brings no operators for the CPU build of torch, but declares them while it is imported.
_library = torch.library.Library("torchvision", "FRAGMENT")
_library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402
from torchcodec.decoders import VideoDecoder  # noqa: E402

GROUP = 10


def cpu_ms(dataset: LeRobotDataset | VideoDecoder, indices: Iterable[int]) -> float:
    """Median over groups of samples of the CPU time a sample."""
    times, before = [], time.process_time()
    for number, index in enumerate(indices, 1):
        dataset[index]
        if number % GROUP == 0:
            now = time.process_time()
            times.append((now - before) / GROUP * 1e3)
            before = now
    return float(np.median(times))


def main(camera: str, table: str, samples: str, chunk: str, out: str) -> None:
    torch.set_num_threads(1)
    windows = {"action": [k / 30 for k in range(int(chunk))]}
    pictures = LeRobotDataset("camera", root=camera, delta_timestamps=windows)
    numbers = LeRobotDataset("table", root=table, delta_timestamps=windows)
    random = np.random.default_rng(0).integers(0, len(pictures), int(samples)).tolist()
    rows = np.random.default_rng(0).integers(0, len(numbers), int(samples)).tolist()
    decoder = VideoDecoder(str(next(Path(camera).rglob("*.mp4"))), seek_mode="approximate", num_ffmpeg_threads=1)
    pictures[0], numbers[0], decoder[0]
    found = {
        "decode, random": cpu_ms(decoder, random),
        "camera, random": cpu_ms(pictures, random),
        "camera, in order": cpu_ms(pictures, range(int(samples))),
        "table, random": cpu_ms(numbers, rows),
    }
    items = [pictures[i] for i in random[:: len(random) // 20]]
    arrays = {key: np.stack([np.asarray(item[key]) for item in items]) for key in items[0] if key != "task"}
    np.savez(out, indices=random[:: len(random) // 20], **arrays)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
