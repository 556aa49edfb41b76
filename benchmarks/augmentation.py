"""Does rendering demonstrations again in other light, texture and camera poses help a policy in worlds it never saw?

For each task the built-in policy learns from pictures of the same demonstrations, three ways, with equal steps:
`plain`, `jitter` (copies whose recorded pictures are cropped and recoloured) and `rendered` (copies that the world
rendered again under drawn light, texture and camera up to level 2). All are tried on the same cases: unperturbed, and
in cells at level 3 that no side was trained on. Intervals count training runs.

    python -m benchmarks.augmentation out
    python -m benchmarks.augmentation out --demonstrations 20 --copies 2 --runs 1 --trials 10

Whatever is finished is kept in the folder: the same command goes on, and prints the table of the runs so far.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from roboscale import Rank, rank
from roboscale.core import NOMINAL
from roboscale.jobs.collect_augment import AugmentEpisodes, augment_episodes
from roboscale.jobs.data_merge import MergeDatasets, merge_datasets
from roboscale.jobs.eval import Evaluate, evaluate
from roboscale.jobs.events import ignore
from roboscale.jobs.filling import Filling, recorded
from roboscale.jobs.training import Training, run_training, training_config
from roboscale.policies.builtin.checkpoint import read_manifest

SIDES: Mapping[str, str] = {"plain": "", "jitter": "crop,colour", "rendered": "light,texture,camera"}
CELLS = ("light:3", "texture:3", "camera:3")
WANTED = {"loss": 0.30, "over plain": 0.25, "over jitter": 0.10, "nominal": -0.05}


def collect(folder: Path, task: str, asked: argparse.Namespace) -> dict[str, Path]:
    """Side -> its dataset."""
    filling = Filling(
        world="metaworld",
        tasks=(task,),
        per_task=asked.demonstrations,
        out=folder / "plain",
        seed=asked.seed,
        workers=asked.workers,
    )
    recorded(filling, "expert", ignore)
    sets = {"plain": filling.out}
    for side, axes in SIDES.items():
        if axes:
            copies = AugmentEpisodes(
                dataset=filling.out,
                out=folder / f"{side}-copies",
                axes=axes,
                copies=asked.copies,
                strongest=2.0,
                seed=asked.seed,
            )
            augment_episodes(copies)
            sets[side] = folder / side
            if not sets[side].exists():
                merge_datasets(MergeDatasets(members=(filling.out, copies.out), out=sets[side], same=True))
    return sets


def try_one(folder: Path, task: str, side: str, run: int, dataset: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Trains one policy and tries it in every cell: variation -> case -> success."""
    policy = folder / f"{side}-{run}"
    config = training_config("images", asked.head, asked.steps, asked.seed + run)
    run_training(Training(dataset, policy, config), lambda *_: None)
    judged = evaluate(
        Evaluate(
            policy=str(policy),
            tasks=task,
            trials=asked.trials,
            perturb=",".join(CELLS),
            solvable=False,  # the expert reads no pictures: its actions are the same in every cell
            seed=asked.seed,
            workers=asked.workers,
            store=str(folder / "trials"),
        ),
        ignore,
    ).judged
    cells: dict[str, dict[str, int | None]] = {NOMINAL: {}, **{cell: {} for cell in CELLS}}
    for one in judged.used:
        done = one.outcome.success
        cells[one.case.variation][str(one.case.start)] = None if done is None else int(done)
    training = read_manifest(policy)["training"]
    return {"cells": cells, "train_cpu_s": training["cpu_s"]}


Results = Mapping[tuple[str, str, int], Mapping[str, Any]]
"""(task, side, run) -> what `try_one` gave."""


def rows(results: Results, variations: Sequence[str]) -> Iterator[list[object]]:
    """Every counted trial in some cells, for `rank`: side, task, case, training run, success."""
    for (task, side, run), found in results.items():
        for variation in variations:
            for case, success in found["cells"][variation].items():
                if success is not None:
                    yield [side, task, f"{variation} {case}", run + 1, success]


def rates(results: Results, task: str, side: str, variation: str) -> list[float]:
    """Of every training run."""
    return [
        mean(s for s in found["cells"][variation].values() if s is not None)
        for (t, s_, _), found in results.items()
        if (t, s_) == (task, side)
    ]


def table(results: Results) -> str:
    """Mean success over training runs, by task, side and cell."""
    shown = (NOMINAL, *CELLS)
    lines = ["| task | side | runs | " + " | ".join(shown) + " | mean of level 3 | training CPU-s |"]
    lines.append("| --- " * (len(shown) + 5) + "|")
    for task in dict.fromkeys(task for task, _, _ in results):
        for side in SIDES:
            means = [rates(results, task, side, variation) for variation in shown]
            if not means[0]:
                continue
            spent = [f["train_cpu_s"] for (t, s, _), f in results.items() if (t, s) == (task, side)]
            held_out = mean(mean(values) for values in means[1:])
            numbers = " | ".join(f"{mean(values):.2f}" for values in means)
            lines.append(f"| {task} | {side} | {len(means[0])} | {numbers} | {held_out:.2f} | {mean(spent):.0f} |")
    return "\n".join(lines)


def claims(results: Results, folder: Path) -> list[str]:
    """Every two sides over all tasks, held out and unperturbed; intervals count training runs."""
    lines = []
    for name, variations in (("held out", CELLS), ("unperturbed", (NOMINAL,))):
        path = folder / f"{name.replace(' ', '-')}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([["policy", "task", "case", "run", "success"], *rows(results, variations)])
        overall = rank(Rank(sources=(str(path),))).standing.overall
        assert overall is not None, "the number of trials is fixed"
        for claim in overall.pairs:
            for one in claim.tasks:
                gap = one.difference
                bounds = "no interval" if gap.low is None else f"{gap.low:+.2f}, {gap.high:+.2f}"
                value = "unknown" if gap.value is None else f"{gap.value:+.2f}"
                lines.append(f"{name}, {one.task}: {claim.second} minus {claim.first} {value} [{bounds}]")
        lines.append(f"{name}: {overall.verdict.sentence}; {overall.unit}")
    return lines


def bars(results: Results) -> list[str]:
    """Each bar beside what was found, by point estimates over tasks that the plain side loses on."""
    lines = []
    for task in dict.fromkeys(task for task, _, _ in results):
        held = {s: [mean(v) for v in zip(*(rates(results, task, s, c) for c in CELLS), strict=True)] for s in SIDES}
        nominal = {side: rates(results, task, side, NOMINAL) for side in SIDES}
        if not all(held.values()):
            continue
        found = {
            "loss": mean(nominal["plain"]) - mean(held["plain"]),
            "over plain": mean(held["rendered"]) - mean(held["plain"]),
            "over jitter": mean(held["rendered"]) - mean(held["jitter"]),
            "nominal": mean(nominal["rendered"]) - mean(nominal["plain"]),
        }
        said = ", ".join(
            f"{name} {value:+.2f} (bar {WANTED[name]:+.2f}: {'met' if value >= WANTED[name] else 'NOT met'})"
            for name, value in found.items()
        )
        lines.append(f"{task}: {said}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of everything; the same one resumes")
    parser.add_argument("--tasks", nargs="+", default=["pick-place-v3", "push-v3"])
    parser.add_argument("--demonstrations", type=int, default=50, help="per task")
    parser.add_argument("--copies", type=int, default=3, help="of every demonstration, on the augmented sides")
    parser.add_argument("--runs", type=int, default=3, help="trainings a side")
    parser.add_argument("--trials", type=int, default=20, help="cases of each cell")
    parser.add_argument("--steps", type=int, default=1500, help="of the optimiser, for every training")
    parser.add_argument("--head", default="", choices=("", "flow", "regression"))
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--workers", type=int, default=None, help="processes; default: the cores")
    asked = parser.parse_args()
    results: dict[tuple[str, str, int], Any] = {}
    for run in range(asked.runs):  # all sides grow together, so that what is there is comparable
        for task in asked.tasks:
            folder = asked.out / task
            sets = collect(folder, task, asked)
            for side, dataset in sets.items():
                kept = folder / f"{side}-{run}.json"
                if not kept.exists():
                    kept.write_text(json.dumps(try_one(folder, task, side, run, dataset, asked)))
                results[task, side, run] = json.loads(kept.read_text())
                print(f"{task} {side} run {run + 1}: done", flush=True)
        print(f"\n{table(results)}\n", flush=True)
        print("\n".join([*claims(results, asked.out), *bars(results)]), flush=True)


if __name__ == "__main__":
    main()
