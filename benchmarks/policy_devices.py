"""Whether the built-in policy learns the same on the processor and on a GPU, and how many steps a second each makes.

The same dataset, config and seed on every device that is there; every random number of a step is drawn on the
processor, so that losses differ by rounding alone. One training each; alone on the machine, or the steps a second say
nothing.

    python -m benchmarks.policy_devices demo/state/grown --inputs state --steps 400
    python -m benchmarks.policy_devices demo/grown --inputs images --steps 100 --precision auto float32
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from roboscale.jobs.training import training_config
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import TrainingData, load_training_data
from roboscale.policies.builtin.device import DEVICES, device_called, device_of
from roboscale.policies.builtin.train import train

NAMES = ("inputs", "precision", "device", "steps/s", "loss after a quarter", "half", "all")
HEAD = f"| {' | '.join(NAMES)} |\n|{' --- |' * len(NAMES)}"


def measure(data: TrainingData, config: TrainConfig, device: str) -> str:
    """A row of the table; its steps a second leave out the first 25, in which libraries choose their kernels."""
    marks: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as out:
        train(
            data,
            Path(out),
            config,
            device=device,
            progress=lambda done, _, loss: marks.append((done, time.monotonic(), loss)),
        )
    (first, begun_s, _), (last, ended_s, _) = marks[0], marks[-1]
    losses = [next(loss for done, _, loss in marks if done >= share * config.steps) for share in (0.25, 0.5, 1.0)]
    shown = " | ".join(f"{loss:.4f}" for loss in losses)
    speed = (last - first) / (ended_s - begun_s)
    return f"| {config.inputs} | {config.precision} | {device_called(device_of(device))} | {speed:.1f} | {shown} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--inputs", default="state", choices=("state", "images"))
    parser.add_argument("--steps", type=int, default=400, help="of the optimiser; at least 50")
    parser.add_argument("--precision", nargs="+", default=["auto"], help="auto, bf16, float32")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.steps < 50:
        parser.error(f"--steps: expected at least 50, found {options.steps}: the first 25 are not timed")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    missing = [name for name in DEVICES if not there.get(name, True)]
    print(f"torch {torch.__version__}; not there: {', '.join(missing) or 'none'}\n{HEAD}", flush=True)
    for precision in options.precision:
        asked = training_config(options.inputs, "", options.steps, options.seed, [f"precision={precision}"])
        config = TrainConfig.from_json(asked)
        data = load_training_data(options.dataset, config)
        for device in (name for name in DEVICES if there.get(name, False)):
            print(measure(data, config, device), flush=True)


if __name__ == "__main__":
    main()
