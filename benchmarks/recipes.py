"""Does generated data teach more than the demonstrations that it was made from? Success per task, by training run.

For each group of tasks one policy is trained on 10 recorded demonstrations a task (A) and one on the episodes that
were generated from them (B), with equal steps, several times each; all are tried on the same held-out cases. Intervals
count training runs, not trials. Whatever is finished is kept in the folder: the same command goes on, run by run, and
prints the table of the runs so far after each.

    python -m benchmarks.recipes out
    python -m benchmarks.recipes out --inputs images --groups demo --runs 1 --trials 10
    python -m benchmarks.recipes out --demo demo
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean

from roboscale.core import Estimate
from roboscale.jobs.events import ignore
from roboscale.jobs.filling import Filling, generated, recorded
from roboscale.jobs.recipe_round import RecipeRound, TriedRecipes, train_recipes, try_recipes
from roboscale.policies.builtin.device import DEVICES
from roboscale.stats.recipes import FEWEST_RUNS

GROUPS = {
    "demo": ("pick-place-v3", "push-v3", "bin-picking-v3"),
    "more": ("peg-insert-side-v3", "assembly-v3", "basketball-v3", "coffee-pull-v3"),
}
"""One policy learns the tasks of a group. The second group was chosen before anything was trained on it."""

BELOW, ABOVE = 0.05, 0.15  # nowhere more than this below the sources, and so far above where they leave room for it


@dataclass(frozen=True, slots=True)
class Row:
    """One task: mean success over training runs, and the difference generated minus sources.

    Its interval counts training runs; with fewer than `FEWEST_RUNS` a side there is none.
    """

    task: str
    runs: int
    sources: float
    generated: float
    difference: Estimate


def collect(folder: Path, tasks: Sequence[str], options: argparse.Namespace) -> None:
    """Both datasets of a group; what is there is kept."""

    def filling(name: str, episodes: int) -> Filling:
        return Filling(
            world="metaworld",
            tasks=tuple(tasks),
            per_task=episodes,
            out=folder / name,
            seed=options.seed,
            workers=options.workers,
            images=options.inputs == "images",
        )

    recorded(filling("recorded", options.demonstrations), "expert", ignore)
    made = generated(filling("grown", options.grown), folder / "recorded", ignore)
    print("\n".join(made.lines), flush=True)


def rows_of(tried: TriedRecipes) -> list[Row]:
    """The table of a group."""
    pair, standing = tried.pair, tried.ranked.standing
    sign = 1.0 if pair.second == "B" else -1.0  # a pair's difference is its second minus its first
    runs = min(map(len, tried.runs.values()))
    rows = []
    for claim in pair.tasks:
        gap = claim.difference
        bounds = [None if b is None or runs < FEWEST_RUNS else sign * b for b in (gap.low, gap.high)]
        low, high = bounds if sign > 0 else reversed(bounds)
        value = None if gap.value is None else sign * gap.value
        means = [standing.per_task[name, claim.task].value or 0.0 for name in "AB"]
        difference = replace(gap, value=value, low=low, high=high)
        rows.append(Row(claim.task, runs, means[0], means[1], difference))
    return rows


def table(rows: Sequence[Row]) -> str:
    """For a terminal, and for the lab notes."""
    lines = ["| task | runs a side | sources | generated | difference |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        gap = row.difference
        bounds = "no interval" if gap.low is None or gap.high is None else f"{gap.low:+.2f}, {gap.high:+.2f}"
        lines.append(
            f"| {row.task} | {row.runs} | {row.sources:.2f} | {row.generated:.2f} | {gap.value or 0:+.2f} [{bounds}] |"
        )
    return "\n".join(lines)


def bar(rows: Sequence[Row]) -> list[str]:
    """Whether the generator does what it is for, by the point estimates."""
    worse = [row for row in rows if (row.difference.value or 0.0) < -BELOW - 1e-9]
    room = [row for row in rows if row.sources <= 1 - ABOVE]
    lines = [f"more than {BELOW} below the sources: {', '.join(row.task for row in worse) or 'nowhere'}"]
    if room:
        gain = mean(row.difference.value or 0.0 for row in room)
        names = ", ".join(row.task for row in room)
        lines.append(f"mean difference where the sources leave room ({names}): {gain:+.2f} (bar {ABOVE:+.2f})")
    else:
        lines.append(f"no task leaves room: the sources reach more than {1 - ABOVE} everywhere")
    return lines


def direction(verdict: Mapping[str, object] | None, first: str = "A", second: str = "B") -> str:
    """`A`, `B` or `none` from the verdict of two recipes or checkpoints in JSON; `unknown` without one."""
    if verdict is None:
        return "unknown"
    pairs = verdict.get("pairs")
    if isinstance(pairs, (list, tuple)) and pairs:
        one = pairs[0]
        first, second, verdict = one["first"], one["second"], one["verdict"]
    decisions = {"first is better": first, "second is better": second}
    return decisions.get(str(verdict["decision"]), "none")


def agreement(tried: TriedRecipes, demo: Path | None) -> list[str]:
    """What the demo says beside what all runs say: two statements disagree where each names another winner."""
    said = {"all runs": direction(tried.ranked.to_json()["verdict"])}
    if demo is not None:
        for name, path in (("state round", demo / "state" / "verdict.json"), ("pictures", demo / "verdict.json")):
            read = json.loads(path.read_text("utf-8")) if path.exists() else {}
            said[name] = direction(read.get("verdict"))
    winners = {who for who in said.values() if who in "AB"}
    lines = [f"better, by {name}: {who}" for name, who in said.items()]
    return [*lines, "they contradict each other" if len(winners) > 1 else "no two of them contradict each other"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of everything; the same one resumes")
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--inputs", default="state", choices=("state", "images"))
    parser.add_argument("--demonstrations", type=int, default=10, help="per task")
    parser.add_argument("--grown", type=int, default=100, help="generated episodes per task")
    parser.add_argument("--runs", type=int, default=5, help="trainings a side")
    parser.add_argument("--trials", type=int, default=20, help="per task and training run")
    parser.add_argument("--steps", type=int, default=1000, help="of the optimiser, for every training")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--workers", type=int, default=None, help="processes; default: the cores")
    parser.add_argument("--device", default="cpu", choices=DEVICES, help="where all policies train and act")
    parser.add_argument("--demo", type=Path, help="folder of a demo, whose sentences are compared with all runs")
    options = parser.parse_args()
    tried: dict[str, TriedRecipes] = {}
    for runs in range(1, options.runs + 1):  # both groups grow together, so that what is there is comparable
        for group in options.groups:
            folder = options.out / options.inputs / group
            if runs == 1:
                collect(folder, GROUPS[group], options)
            asked = RecipeRound(
                datasets={"A": folder / "recorded", "B": folder / "grown"},
                tasks=GROUPS[group],
                runs=runs,
                trials=options.trials,
                steps=options.steps,
                inputs=options.inputs,
                out=folder,
                seed=options.seed,
                workers=options.workers,
                device=options.device,
            )
            train_recipes(asked)
            tried[group] = try_recipes(asked)
        rows = [row for group in tried.values() for row in rows_of(group)]
        (options.out / f"{options.inputs}.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
        print(f"\n{options.inputs}, {options.steps} steps, {options.trials} trials a task and run\n{table(rows)}")
        print("\n".join(bar(rows)), flush=True)
    for group, done in tried.items():
        print(f"{group}: {done.sentence}")
    if "demo" in tried:
        print("\n".join(agreement(tried["demo"], options.demo)))


if __name__ == "__main__":
    main()
