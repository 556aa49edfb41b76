"""What a campaign would order next after the demo's recipes: where the loop goes on."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from roboscale.jobs.campaign_deciding import Ending, decide_order
from roboscale.jobs.campaign_file import (
    Campaign,
    CampaignBudget,
    CampaignTarget,
    JudgingCost,
    Learner,
    SourceLine,
    Spent,
)
from roboscale.jobs.campaign_page import order_words
from roboscale.jobs.campaign_standing import CampaignStanding
from roboscale.stats.covering import CoverPoint

__all__ = ["next_order_lines"]

PERSON_S, GENERATED_S, TRIAL_S, HOURS = 60.0, 2.0, 30.0, 8.0
"""What an episode of a person, a generated one and a trial are taken to cost, and the budget: none was measured."""


def next_order_lines(
    table: Path, demonstrations: int, grown: int, runs: int, trials: int, seed: int
) -> tuple[str, ...]:
    """What would be ordered for each task that is not there yet, and at what cost; or why nothing.

    Args:
        table: one row a trial, recipes `A` and `B`; see `RecipeRound.table`.
        demonstrations, grown: episodes per task of the two recipes.
    """
    won: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["success"]:
                won[row["task"], row["policy"], row["run"]].append(int(row["success"]))
    tasks = tuple(dict.fromkeys(task for task, _, _ in won))
    campaign = Campaign(
        title="after the demo",
        tasks=tasks,
        budget=CampaignBudget(hours=HOURS),
        sources=(
            SourceLine(name="person", kind="order", seconds=PERSON_S),
            SourceLine(name="generated", kind="generate", seconds=GENERATED_S, made_from="person"),
        ),
        target=CampaignTarget(),
        learn=Learner(runs=max(2, runs)),
        judge=JudgingCost(trials=trials, most=max(12, trials), seconds=TRIAL_S),
        seed=seed,
    )
    amounts = {"A": {"person": float(demonstrations)}, "B": {"generated": float(grown)}}
    standing = CampaignStanding(
        have={task: {"person": float(demonstrations), "generated": float(grown)} for task in tasks},
        points={
            task: [
                CoverPoint(amounts[recipe], sum(each), len(each)) for (t, recipe, _), each in won.items() if t == task
            ]
            for task in tasks
        },
        by_source={source.name: Spent() for source in campaign.sources},
    )
    ordering = decide_order(campaign, standing)
    costs = f"a person's episode {PERSON_S:g} s, a generated one {GENERATED_S:g} s, a trial {TRIAL_S:g} s"
    goal = (
        f"{100 * campaign.target.success:g} % on every task, lower bounds above {100 * campaign.target.at_least:g} %"
    )
    if isinstance(ordering, Ending):
        return (f"A campaign to {goal} ({costs}) would order nothing: {ordering.sentence}",)
    said = []
    for task, options in ordering.options.items():
        first, *others = options
        instead = "".join(
            f", instead of {order_words(o.amounts)} with {o.to_go / 3600:.1f} h expected" for o in others[:1]
        )
        said.append(
            f"{order_words(first.amounts)} for {task} ({first.cost / 3600:.1f} h; {first.to_go / 3600:.1f} h are "
            f"expected until the target is reached{instead})"
        )
    return (f"Next order of a campaign to {goal}, if it costs {costs}: {'; '.join(said)}",)
