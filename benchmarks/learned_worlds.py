"""Does a state twin order policies as the simulator does, which stands in for reality here? Two resumable stages.

    python -m benchmarks.learned_worlds truth OUT [--tasks push-v3 drawer-open-v3] [--policies 8] [--trials 60]
    python -m benchmarks.learned_worlds worlds OUT

`truth` records what a world learns from (noisy experts and idlers, no evaluated policy among them), trains policies
independently of one another (own demonstrations, seeds and lengths of training), and tries each in the simulator.
`worlds` trains a twin per task, checks its gates, tries the same policies on the same cases in it, prints the table:
correlations with intervals and drop-one range beside the noise ceiling, MMRV in SIMPLER's order, agreement trial by
trial, steps a second. Whatever is there is not made again. Everything that is called true here is a simulator's.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roboscale.core import Counted
from roboscale.jobs.eval import evaluate
from roboscale.jobs.events import ignore
from roboscale.jobs.filling import Filling, opened, recorded
from roboscale.jobs.learned import open_learned
from roboscale.jobs.world_check import CheckWorldTasks, check_world_tasks
from roboscale.jobs.world_train import TrainWorld, train_world
from roboscale.policies.builtin import TrainConfig
from roboscale.policies.builtin.data import load_training_data
from roboscale.policies.builtin.train import train
from roboscale.stats.trust import auroc
from roboscale.stats.validity import ValidityCard, validity

HORIZON = 150
COLLECTORS = ("expert", "noisy:expert:0.3", "noisy:expert:0.8", "noisy:expert:1.5", "noisy:constant:1")
FIRST_COLLECTED, FIRST_TRIED = 400_000, 500_000
SKILLS = ((2, 60), (2, 250), (4, 100), (4, 400), (8, 120), (8, 600), (16, 200), (16, 800))
"""Demonstrations and optimiser steps of policies; they are gone through again with other seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is measured."""

    out: Path
    tasks: tuple[str, ...]
    policies: int
    trials: int
    episodes: int


def collect(task: str, asked: Asked) -> None:
    """What the world of a task learns from: episodes of a fixed length, so that successes are seen to last."""
    folder = asked.out / task
    world = opened("metaworld", images=False)
    each = asked.episodes // len(COLLECTORS)
    for number, policy in enumerate(COLLECTORS):
        first = FIRST_COLLECTED + number * each
        evaluate(
            policy,
            ignore,
            world=world,
            tasks=task,
            seeds=f"{first}:{first + each}",
            rule="end",
            horizon=HORIZON,
            record=folder / "episodes",
            store=str(folder / "collected"),
        )
    world.close()


def policies(task: str, asked: Asked) -> list[Path]:
    """Policies with demonstrations, seeds and training of their own."""
    made = []
    for number in range(asked.policies):
        demonstrations, steps = SKILLS[number % len(SKILLS)]
        folder = asked.out / task / "policies"
        demos = folder / f"demonstrations-{number}"
        filling = Filling(
            world="metaworld", tasks=(task,), per_task=demonstrations, out=demos, seed=1000 + number, images=False
        )
        recorded(filling, "noisy:expert:0.1", ignore)
        config = TrainConfig(inputs="state", head="regression", steps=steps, seed=number)
        out = folder / f"policy-{number}"
        train(load_training_data(demos, config), out, config)
        made.append(out)
    return made


def tried(paths: list[Path], world: Any, where: Path, task: str, asked: Asked) -> dict[str, list[Counted]]:
    """Name of each policy -> its trials, in the order of the cases."""
    found = {}
    for path in paths:
        done = evaluate(
            str(path),
            ignore,
            world=world,
            tasks=task,
            seeds=f"{FIRST_TRIED}:{FIRST_TRIED + asked.trials}",
            horizon=HORIZON,
            store=str(where),
            worlds=1,
        )
        found[path.name] = sorted(done.judged.used, key=lambda one: one.case.id)
    return found


def truth(asked: Asked) -> None:
    """The first stage."""
    for task in asked.tasks:
        folder = asked.out / task
        if not (folder / "truth.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            spent = time.process_time()
            collect(task, asked)
            world = opened("metaworld", images=False)
            first = {"seeds": f"{FIRST_TRIED}:{FIRST_TRIED + asked.trials}", "tasks": task, "horizon": 2}
            evaluate("constant", ignore, world=world, record=folder / "starts", store=str(folder / "firsts"), **first)
            rates = tried(policies(task, asked), world, folder / "true", task, asked)
            world.close()
            said = {name: [bool(c.outcome.success) for c in trials] for name, trials in rates.items()}
            kept = {"trials": asked.trials, "success": said, "cpu_s": time.process_time() - spent}
            (folder / "truth.json").write_text(json.dumps(kept))
        said = json.loads((folder / "truth.json").read_text())
        print(task, {name: round(float(np.mean(s)), 3) for name, s in said["success"].items()}, flush=True)


def imagine(task: str, asked: Asked) -> dict[str, Any]:
    """One row of the table."""
    folder = asked.out / task
    said = json.loads((folder / "truth.json").read_text())
    twin = folder / "twin"
    if not (twin / "world.json").exists():
        labels = str(folder / "collected")
        train_world(TrainWorld(dataset=folder / "episodes", out=twin, labels=labels, horizon=HORIZON))
    checked = check_world_tasks(CheckWorldTasks(world=str(twin))).gates
    assert checked is not None, "a learned world has gates"
    for line in checked.lines:
        print("  ", line)
    world = open_learned(f"learned:{twin}?gates=off&starts={folder / 'starts'}")
    paths = sorted((folder / "policies").glob("policy-*"))
    spent = time.process_time()
    cheap = tried(paths, world, folder / "imagined", task, Asked(**{**_plain(asked), "trials": said["trials"]}))
    cpu_s = time.process_time() - spent
    flags = {name: [bool(c.outcome.success) for c in trials] for name, trials in cheap.items()}
    outside = {
        name: float(np.mean([c.trial.measures.get("outside_data") or 0 for c in trials if c.trial is not None]))
        for name, trials in cheap.items()
    }
    card = validity(_counts(said["success"]), _counts(flags))
    right = np.concatenate([np.array(said["success"][name]) for name in flags])
    guess = np.concatenate([np.array(flags[name]) for name in flags])
    points = [
        {
            "task": task,
            "policy": name,
            "true": float(np.mean(said["success"][name])),
            "imagined": float(np.mean(succeeded)),
            "n": len(succeeded),
            "outside": outside[name],
        }
        for name, succeeded in flags.items()
    ]
    (folder / "points.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    return {
        "task": task,
        "card": card,
        "accuracy": float(np.mean([(guess == right)[right == side].mean() for side in (True, False)])),
        "auroc": auroc(-guess.astype(float), ~right),
        "optimism": float(guess[~right].mean()),
        "pessimism": float((~guess[right]).mean()),
        "outside": outside,
        "gates": checked.sentence,
        "cpu_s": cpu_s,
        "speed": speed(world, task),
        "points": {point["policy"]: (point["true"], point["imagined"]) for point in points},
    }


def speed(world: Any, task: str, scenes: int = 64, steps: int = 60) -> float:
    """Dynamics steps a processor second, scenes side by side, judge and measures included."""
    from roboscale.core import Case

    started = [world.start(Case(task, seed)) for seed in world.info.listed[task][:1] * scenes]
    size = world.info.action_spec["action"].shape
    action = np.zeros(size, np.float32)
    begun = time.process_time()
    for _ in range(steps):
        world.step_many(started, [action] * scenes)
    return scenes * steps / (time.process_time() - begun)


def _plain(asked: Asked) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Asked.__dataclass_fields__}


def _counts(flags: dict[str, list[bool]]) -> dict[str, tuple[float, int]]:
    return {name: (sum(s), len(s)) for name, s in flags.items()}


def show(row: dict[str, Any]) -> None:
    """The table's row, in words."""
    card: ValidityCard = row["card"]
    print(f"{row['task']}: {len(card.policies)} policies; {row['gates']}")
    for name, (true, imagined) in row["points"].items():
        print(f"    {name:12} true {true:.3f} imagined {imagined:.3f} outside {row['outside'][name]:.3f}")
    drop, ceiling, corrected = card.pearson_drop_one, card.noise_ceiling, card.disattenuated
    print(f"    r {card.pearson} drop-one {drop} ceiling {ceiling} without noise {corrected}")
    print(f"    rho {card.spearman}  MMRV {card.mmrv} ({card.mmrv_orientation})")
    print(f"    permutation floor {card.permutation.floor:.2g}, p {card.permutation.p_value}")
    print(
        f"    trial by trial: balanced accuracy {row['accuracy']:.3f}, failure AUROC {row['auroc']}, optimism "
        f"{row['optimism']:.3f}, pessimism {row['pessimism']:.3f}; {row['speed']:.0f} steps a CPU-second",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("truth", "worlds"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", nargs="+", default=["push-v3", "drawer-open-v3"])
    parser.add_argument("--policies", type=int, default=8)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--episodes", type=int, default=200)
    given = parser.parse_args()
    asked = Asked(
        out=given.out,
        tasks=tuple(given.tasks),
        policies=given.policies,
        trials=given.trials,
        episodes=given.episodes,
    )
    if given.stage == "truth":
        truth(asked)
    else:
        for task in asked.tasks:
            show(imagine(task, asked))


if __name__ == "__main__":
    main()
