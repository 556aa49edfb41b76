"""What the built-in policy learns on one core: flow against regression, from cameras and from state.

Records expert demonstrations of two Meta-World tasks, trains one policy for both tasks, and tries it on cases that
no demonstration saw. Rates carry Clopper-Pearson intervals at 95 %; CPU seconds are those of training alone.

    python benchmarks/policy_training.py
    python benchmarks/policy_training.py --inputs state --demonstrations 5 10 --trials 20
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Case, Estimate, Policy, Spec, World, cases, derive_seed
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.checkpoint import load_policy
from roboscale.policies.builtin.data import TrainingData
from roboscale.policies.builtin.train import train
from roboscale.policies.wrappers import noisy
from roboscale.stats import clopper_pearson
from roboscale.trials.rollout import RolloutResult, rollout
from roboscale.worlds.simulated.metaworld import MetaWorld


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    inputs: str
    head: str
    demonstrations: int
    task: str
    rate: Estimate
    train_cpu_s: float


def run_case(world: World, policy: Policy, case: Case, *, record: bool = False) -> RolloutResult:
    """One rollout of a policy in this process."""
    spec = policy.observation_spec
    session = policy.start(world.instruction(case.task), derive_seed("benchmark", case.seed))
    run = rollout(world, case, None if spec is None else spec.names, record=record)
    try:
        observation = next(run)
        while True:
            observation = run.send(session(observation))
    except StopIteration as done:
        result: RolloutResult = done.value
        return result


def record(world: MetaWorld, tasks: Sequence[str], count: int, sigma: float, seed: int) -> TrainingData:
    """`count` successful demonstrations per task, all pictures kept."""
    expert: Policy = noisy(world.expert(), sigma) if sigma else world.expert()
    episodes: list[dict[str, NDArray[Any]]] = []
    sentences: list[str] = []
    for task in tasks:
        results = (run_case(world, expert, c, record=True) for c in cases(task, 3 * count, seed, "collect"))
        successes = (r.frames for r in results if r.outcome.success and r.frames is not None)
        episodes += islice(successes, count)
        sentences += [world.instruction(task)] * count
    fields = (*world.observation_spec.fields, world.action_spec["action"])
    spec = Spec(fields, world.observation_spec.rate_hz)
    columns = {f.name: np.concatenate([e[f.name] for e in episodes]) for f in spec}
    lengths = np.array([len(e["action"]) for e in episodes])
    images = {f.name: columns.pop(f.name) for f in spec.images}
    return TrainingData(
        name="recorded",
        spec=spec,
        arrays=columns,
        images=images,
        frames=np.arange(lengths.sum()),
        lengths=lengths,
        instructions=sentences,
    )


def first_episodes(data: TrainingData, per_task: int) -> TrainingData:
    """The first demonstrations of each task, so that the smaller set is part of the larger one."""
    kept = np.zeros(len(data.lengths), bool)
    for sentence in set(data.instructions):
        kept[np.flatnonzero(np.array(data.instructions) == sentence)[:per_task]] = True
    rows = np.repeat(kept, data.lengths)
    return replace(
        data,
        arrays={k: a[rows] for k, a in data.arrays.items()},
        images={k: a[rows] for k, a in data.images.items()},
        frames=np.arange(rows.sum()),
        lengths=data.lengths[kept],
        instructions=[s for s, k in zip(data.instructions, kept, strict=True) if k],
    )


def measure(
    world: MetaWorld, data: TrainingData, config: TrainConfig, tasks: Sequence[str], demonstrations: int, trials: int
) -> list[Row]:
    """Trains once and tries the policy on every task."""
    with tempfile.TemporaryDirectory() as folder:
        result = train(data, Path(folder) / "policy", config)
        policy = load_policy(result.path)
    rows = []
    for task in tasks:
        outcomes = [run_case(world, policy, c).outcome for c in cases(task, trials, config.seed, "eval")]
        void = sum(o.success is None for o in outcomes)
        rate = clopper_pearson(sum(bool(o.success) for o in outcomes), trials - void, void=void)
        rows.append(Row(config.inputs, config.head, demonstrations, task, rate, result.summary.cpu_s))
    return rows


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
    world = MetaWorld()
    everything = record(world, asked.tasks, max(asked.demonstrations), asked.noise, asked.seed)
    if not asked.json:
        print("inputs  head        demos  task            CPU-s  success")
    for inputs in asked.inputs:
        for count in asked.demonstrations:
            data = first_episodes(everything, count)
            for head in asked.heads:
                config = TrainConfig(inputs=inputs, head=head, steps=asked.steps, seed=asked.seed)
                for row in measure(world, data, config, asked.tasks, count, asked.trials):
                    print(json.dumps(asdict(row)) if asked.json else show(row), flush=True)
    world.close()


if __name__ == "__main__":
    main()
