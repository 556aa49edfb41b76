"""Campaigns against fixed recipes and hindsight, in three worlds of sources.

    python -m benchmarks.campaign out                # rehearsed: learning curves that are made up, and known
    python -m benchmarks.campaign out --measured     # two Meta-World tasks, really collected, trained and tried

Rehearsed campaigns take episodes, trainings and trials from known curves; they test decisions, and no source. The
curves are not of the form that a campaign believes in: success saturates as a power of an effective amount, and
trainings scatter around it. Costs are declared: a person's demonstration 60 s, a noisy expert's 20 s, a generated
episode 2 s (it needs 5 of a person), a trial 30 s. The target is .9 on both tasks with lower bounds above .8.

Strategies that are fixed beforehand collect their mix, judge until it is certain, and double what they have:

    person, noisy, generated    one source alone (generated with the 5 that it needs)
    even split                  the same time for every source
    everything once             a large amount of every source at once
    expert's choice             20 of a person, then generated

Hindsight knows the curves and chances: over a grid of amounts of all sources, one order and judgings until one is
certain, the lowest expected cost. Every finished campaign is kept, so the same command goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.stats_sequential import markdown
from roboscale.core import generator
from roboscale.core.declared import as_declared
from roboscale.jobs.campaign import RunCampaign, run_campaign
from roboscale.jobs.campaign_deciding import certainty, passes
from roboscale.jobs.campaign_file import Campaign
from roboscale.jobs.campaign_rehearsal import LearningCurves, Rehearsal
from roboscale.jobs.files import write_json
from roboscale.stats import clopper_pearson
from roboscale.stats.recipes import recipe_bounds

TASKS = ("push-v3", "pick-place-v3")
COSTS = {"person": 60.0, "noisy": 20.0, "generated": 2.0}
TRIAL = 30.0
NEEDS = 5
RETRAINING = 120.0
"""Trainings scatter around a curve as a beta distribution with this a + b: three points at .9."""

DECLARATION = """
title = "{title}"
tasks = ["push-v3", "pick-place-v3"]
seed = {seed}

[target]
success = 0.9
at_least = 0.8

[budget]
hours = {hours}

[learn]
runs = {runs}
steps = {steps}

[judge]
trials = 3
most = 12
seconds = 30

[[sources]]
name = "person"
kind = "record"
seconds = 60

[[sources]]
name = "noisy"
kind = "record"
policy = "noisy:expert:0.3"
belief = "made"
seconds = 20

[[sources]]
name = "generated"
kind = "generate"
from = "person"
needs = 5
seconds = 2
"""


@dataclass(frozen=True, slots=True)
class World:
    """A world of sources: by source, (share of scenes that it can cover, amount that is worth one, power)."""

    name: str
    sources: Mapping[str, tuple[float, float, float]]
    harder: float = 1.6
    """How much more of everything the second task takes."""


WORLDS = (
    World("generating wins", {"person": (1.0, 9.0, 0.9), "noisy": (0.95, 30.0, 0.8), "generated": (0.99, 9.0, 1.0)}),
    World(
        "generating plateaus at .7",
        {"person": (1.0, 9.0, 0.9), "noisy": (0.95, 30.0, 0.8), "generated": (0.7, 6.0, 1.0)},
    ),
    World("people are needed", {"person": (1.0, 7.0, 1.0), "noisy": (0.45, 20.0, 0.8), "generated": (0.25, 6.0, 1.0)}),
)


def success(world: World, task: str, amounts: Mapping[str, float]) -> float:
    """Success of a recipe: scenes are ordered by how many sources can cover them, and effective amounts add up there.

    A scene at place u in 0..1 is learned from every source whose ceiling is above u.
    """
    scale = world.harder if task == TASKS[1] else 1.0
    edges = sorted({0.0, 1.0, *(ceiling for ceiling, _, _ in world.sources.values())})
    total = 0.0
    for low, high in itertools.pairwise(edges):
        effective = sum(
            (amounts.get(name, 0.0) / (half * scale)) ** power
            for name, (ceiling, half, power) in world.sources.items()
            if ceiling >= high and amounts.get(name, 0.0) > 0
        )
        total += (high - low) * (1 - 1 / (1 + effective) ** 1.3)
    return 0.99 * total


def curves_of(world: World) -> LearningCurves:
    return partial(success, world)


def declaration(world: World, seed: int, runs: int = 5, hours: float = 24, steps: int = 1000) -> str:
    return DECLARATION.format(title=f"{world.name}, seed {seed}", seed=seed, hours=hours, runs=runs, steps=steps)


def parsed(text: str) -> Campaign:
    return as_declared(tomllib.loads(text), Campaign, "declaration")


def cost_of(amounts: Mapping[str, float]) -> float:
    """Seconds of one task's episodes."""
    return sum(COSTS[name] * amount for name, amount in amounts.items())


def shown(
    campaign: Campaign, world: World, amounts: Mapping[str, Mapping[str, float]], rng: np.random.Generator
) -> bool:
    """Whether one full judging of a recipe, trained anew, makes certain of the target; the first attempt's level."""
    for task in TASKS:
        rate = float(np.clip(success(world, task, amounts[task]), 1e-3, 1 - 1e-3))
        own = rng.beta(rate * RETRAINING, (1 - rate) * RETRAINING, campaign.learn.runs)
        won = rng.binomial(campaign.judge.most, own)
        bound = recipe_bounds([(int(k), campaign.judge.most) for k in won], certainty(campaign, 1))
        if not passes(campaign, bound):
            return False
    return True


def full_judging(campaign: Campaign) -> float:
    """Seconds of the trials of both tasks that make certain."""
    return TRIAL * campaign.judge.most * campaign.learn.runs * len(TASKS)


GRID = {
    "person": (0, 5, 10, 20, 30, 40, 60, 80, 110, 150, 200),
    "noisy": (0, 20, 40, 80, 160, 320),
    "generated": (0, 20, 40, 80, 160, 320, 640),
}


def hindsight(campaign: Campaign, world: World, draws: int = 200) -> tuple[float, dict[str, dict[str, float]]]:
    """The cheapest single order, known afterwards: its expected cost with judgings until one is certain.

    For every rate that both tasks might have, the chance to pass is drawn; each task then takes the cheapest amounts
    of the grid that reach the rate, and the best rate is taken.
    """
    best: tuple[float, dict[str, dict[str, float]]] = (np.inf, {})
    options = [dict(zip(GRID, each, strict=True)) for each in itertools.product(*GRID.values())]
    options = [o for o in options if not o["generated"] or o["person"] >= NEEDS]
    for rate in np.arange(0.88, 0.99, 0.01):
        chosen: dict[str, dict[str, float]] = {}
        for task in TASKS:
            enough = [o for o in options if success(world, task, o) >= rate]
            if not enough:
                break
            chosen[task] = min(enough, key=cost_of)
        if len(chosen) < len(TASKS):
            continue
        rng = generator("hindsight", world.name, round(100 * rate))
        chance = np.mean([shown(campaign, world, chosen, rng) for _ in range(draws)])
        if chance > 0:
            total = sum(map(cost_of, chosen.values())) + full_judging(campaign) / float(chance)
            best = min(best, (total, chosen), key=lambda pair: pair[0])
    return best


FIXED = {
    "person": {"person": 10.0},
    "noisy": {"noisy": 20.0},
    "generated": {"person": 5.0, "generated": 40.0},
    "even split": {"person": 5.0, "noisy": 15.0, "generated": 150.0},
    "everything once": {"person": 60.0, "noisy": 120.0, "generated": 480.0},
    "expert's choice": {"person": 20.0, "generated": 80.0},
}


def fixed(campaign: Campaign, world: World, name: str, seed: int) -> tuple[float, bool]:
    """Cost in seconds of a fixed strategy, and whether it was certain in the end; the budget where it was not.

    It judges all trials of all runs in every round, and doubles its mix (of the generated recipe, the generated).
    """
    rng, mix, spent = generator("fixed", world.name, name, seed), FIXED[name], 0.0
    budget, have = 3600 * campaign.budget.hours, dict.fromkeys(FIXED[name], 0.0)
    for attempt in range(1, 20):
        wanted = {source: amount * 2 ** (attempt - 1) for source, amount in mix.items()}
        if name == "generated":
            wanted["person"] = mix["person"]
        spent += len(TASKS) * cost_of({source: wanted[source] - have[source] for source in mix})
        have = wanted
        spent += screened(campaign, world, have, rng)
        if spent > budget:
            return budget, False
        if shown(campaign, world, dict.fromkeys(TASKS, have), rng):
            return spent, True
    return budget, False


def screened(campaign: Campaign, world: World, have: Mapping[str, float], rng: np.random.Generator) -> float:
    """Seconds of a judging that stops after its first trials where these are far below the target."""
    first = TRIAL * campaign.judge.trials * campaign.learn.runs * len(TASKS)
    for task in TASKS:
        rate = float(np.clip(success(world, task, have), 1e-3, 1 - 1e-3))
        tried = campaign.judge.trials * campaign.learn.runs
        high = clopper_pearson(int(rng.binomial(tried, rate)), tried, 0.8).high
        if high is not None and high < campaign.target.success:
            return first
    return full_judging(campaign)


def rehearse(folder: Path, world: World, seed: int) -> dict[str, object]:
    """One campaign, or what is known of it when it is there already."""
    place = folder / f"{WORLDS.index(world)}-{seed:03d}"
    result = place.with_suffix(".json")
    if not result.exists():
        place.mkdir(parents=True, exist_ok=True)
        file = place / "campaign.toml"
        file.write_text(declaration(world, seed))
        done = run_campaign(
            RunCampaign(file=file, out=place / "campaign"),
            hands=lambda campaign, out: Rehearsal(
                campaign=campaign, folder=out, curves=curves_of(world), retraining=RETRAINING, seed=seed
            ),
        )
        ended = done.standing.ended
        assert ended is not None
        scored = [(f.predicted.low, f.predicted.high, f.measured, f.round) for f in done.standing.foretold]
        write_json(
            result,
            {
                "why": ended["why"],
                "sentence": ended["sentence"],
                "seconds": 3600 * done.hours,
                "have": done.standing.have,
                "rounds": len(done.standing.rounds),
                "scored": [row for row in scored if row[2] is not None],
                "truth": {t: success(world, t, amounts) for t, amounts in done.standing.have.items()},
            },
        )
    found: dict[str, object] = json.loads(result.read_text())
    return found


def study(folder: Path, seeds: int) -> list[dict[str, object]]:
    """Runs what is missing and returns a row a world."""
    rows = []
    for world in WORLDS:
        campaign = parsed(declaration(world, 0))
        found = [rehearse(folder, world, seed) for seed in range(seeds)]
        best, amounts = hindsight(campaign, world)
        others = {name: [fixed(campaign, world, name, seed) for seed in range(200)] for name in FIXED}
        rows.append({"world": world.name, "campaigns": found, "hindsight": best, "amounts": amounts, "fixed": others})
    return rows


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Costs in hours by world: mean of the campaigns, hindsight, every fixed strategy."""
    lines = []
    for row in rows:
        spent = np.array([one["seconds"] for one in row["campaigns"]]) / 3600  # type: ignore[attr-defined]
        reached = sum(one["why"] == "reached" for one in row["campaigns"])  # type: ignore[attr-defined]
        best = float(row["hindsight"]) / 3600  # type: ignore[arg-type]
        costs = {name: np.mean([c for c, _ in each]) / 3600 for name, each in row["fixed"].items()}  # type: ignore[attr-defined]
        name, least = min(costs.items(), key=lambda item: item[1])
        lines.append(
            [
                str(row["world"]),
                f"{spent.mean():.2f} ({spent.min():.2f} to {spent.max():.2f})",
                f"{reached} of {len(spent)}",
                f"{best:.2f}",
                f"{spent.mean() / best:.2f}",
                f"{name}: {least:.2f}",
                ", ".join(f"{n} {c:.1f}" for n, c in costs.items() if n != name),
            ]
        )
    heads = ["world", "campaign, hours", "reached", "hindsight", "ratio", "best fixed", "other fixed"]
    return markdown(heads, lines)


def predictions(rows: Sequence[Mapping[str, object]]) -> str:
    """How many predicted 90 % intervals held, with an interval of the share, and their mean width."""
    scored = [s for row in rows for one in row["campaigns"] for s in one["scored"]]  # type: ignore[attr-defined]
    said = []
    for label, mine in (("all", scored), ("after the first round", [s for s in scored if s[3] > 1])):
        if mine:
            held = sum(low - 1e-9 <= measured <= high + 1e-9 for low, high, measured, _ in mine)
            width = np.mean([high - low for low, high, _, _ in mine])
            said.append(
                f"{label}: {held} of {len(mine)} held, {clopper_pearson(held, len(mine))}, mean width {width:.2f}"
            )
    return "\n".join(said)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args(arguments)
    rows = study(asked.out / "rehearsed", asked.seeds)
    print("Rehearsed: learning curves are made up; nothing was collected, trained or tried.\n")
    print(table(rows))
    print()
    print(predictions(rows))
    for row in rows:
        print(f"\n{row['world']}: hindsight orders {row['amounts']}")


if __name__ == "__main__":
    main()
