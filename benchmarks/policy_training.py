"""What the built-in policy learns on one core: flow against regression, from cameras and from state.

Records expert demonstrations of two Meta-World tasks, trains one policy for both tasks, and tries it on cases that
no demonstration saw. Rates carry Clopper-Pearson intervals at 95 %; CPU seconds are those of training alone. One
training each: the rates are of these checkpoints.

    python -m benchmarks.policy_training
    python -m benchmarks.policy_training --inputs state --demonstrations 5 10 --trials 20
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from roboscale.core import Estimate
from roboscale.jobs.eval import Evaluate, evaluate
from roboscale.jobs.events import ignore
from roboscale.jobs.filling import Filling, recorded
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import TrainingData, first_episodes, load_training_data
from roboscale.policies.builtin.train import train


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    inputs: str
    head: str
    demonstrations: int
    task: str
    rate: Estimate
    train_cpu_s: float


def record(folder: Path, asked: argparse.Namespace) -> Path:
    """The most demonstrations per task that any line needs, with pictures where any line needs them."""
    filling = Filling(
        world="metaworld",
        tasks=tuple(asked.tasks),
        per_task=max(asked.demonstrations),
        out=folder / "recorded",
        seed=asked.seed,
        images="images" in asked.inputs,
    )
    recorded(filling, f"noisy:expert:{asked.noise:g}" if asked.noise else "expert", ignore)
    return filling.out


def measure(data: TrainingData, config: TrainConfig, asked: argparse.Namespace, folder: Path, count: int) -> list[Row]:
    """Trains once and tries the policy on every task."""
    result = train(data, folder / f"{config.inputs}-{config.head}-{count}", config)
    judged = evaluate(
        Evaluate(
            policy=str(result.path),
            tasks=",".join(asked.tasks),
            trials=asked.trials,
            seed=asked.seed,
            store=str(folder / "trials"),
        ),
        ignore,
    ).judged
    (policy,) = judged.run.policies
    rates = {task: judged.rate(judged.of(policy, task)) for task in asked.tasks}
    return [Row(config.inputs, config.head, count, t, rate, result.summary.cpu_s) for t, rate in rates.items()]


def show(row: Row) -> str:
    return f"{row.inputs:7} {row.head:11} {row.demonstrations:5d}  {row.task:14} {row.train_cpu_s:6.0f}  {row.rate}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["pick-place-v3", "push-v3"])
    parser.add_argument("--inputs", nargs="+", default=["state", "images"])
    parser.add_argument("--heads", nargs="+", default=["flow", "regression"])
    parser.add_argument("--demonstrations", nargs="+", type=int, default=[5, 20], help="per task")
    parser.add_argument("--noise", type=float, default=0.0, help="noise on the expert's actions")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--trials", type=int, default=50, help="per task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not asked.json:
        print("inputs  head        demos  task            CPU-s  success")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = record(folder, asked)
        for inputs in asked.inputs:
            everything = load_training_data(recordings, TrainConfig(inputs=inputs))
            for count in asked.demonstrations:
                data = first_episodes(everything, count)
                for head in asked.heads:
                    config = TrainConfig(inputs=inputs, head=head, steps=asked.steps, seed=asked.seed)
                    for row in measure(data, config, asked, folder, count):
                        print(json.dumps(asdict(row)) if asked.json else show(row), flush=True)


if __name__ == "__main__":
    main()
