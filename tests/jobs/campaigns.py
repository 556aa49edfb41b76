"""Small campaigns for tests: declarations, curves that are known, a rehearsal that can be killed."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from roboscale.core.declared import as_declared
from roboscale.jobs.campaign import RunCampaign, run_campaign
from roboscale.jobs.campaign_file import Campaign
from roboscale.jobs.campaign_rehearsal import LearningCurves, Rehearsal

FILE = """
title = "Two made-up tasks"
tasks = ["reach-v3", "push-v3"]

[target]
success = 0.9
at_least = 0.75

[budget]
hours = 12

[learn]
runs = 3

[judge]
trials = 4
most = 20

[[sources]]
name = "person"
kind = "record"
seconds = 60

[[sources]]
name = "noisy"
kind = "record"
policy = "noisy:expert:0.3"
seconds = 20

[[sources]]
name = "generated"
kind = "generate"
from = "person"
needs = 5
seconds = 2
"""


def declared(text: str = FILE) -> Campaign:
    return as_declared(tomllib.loads(text), Campaign, "campaign.toml")


def saturating(ceilings: Mapping[str, float], halves: Mapping[str, float]) -> LearningCurves:
    """Of every task: each source covers a part of the scenes by itself."""

    def curve(task: str, amounts: Mapping[str, float]) -> float:
        missed = 1.0
        for source, amount in amounts.items():
            if amount:
                missed *= 1 - ceilings[source] * amount / (amount + halves[source])
        return 1 - missed

    return curve


GENERATING_WINS = saturating(
    {"person": 1.0, "noisy": 0.9, "generated": 0.99}, {"person": 6, "noisy": 12, "generated": 4}
)


def rehearsing(
    curves: LearningCurves, on_work: Callable[[], None] = lambda: None, seed: int = 0
) -> Callable[[Campaign, Path], Rehearsal]:
    def make(campaign: Campaign, folder: Path) -> Rehearsal:
        return Rehearsal(campaign=campaign, folder=folder, curves=curves, seed=seed, on_work=on_work)

    return make


SMALL = """
title = "One made-up task"
tasks = ["reach-v3"]
[target]
success = 0.9
at_least = 0.6
[budget]
hours = 8
[learn]
runs = 3
[judge]
trials = 4
most = 10
[[sources]]
name = "person"
kind = "record"
seconds = 60
[[sources]]
name = "generated"
kind = "generate"
from = "person"
seconds = 5
"""

QUICK = saturating({"person": 1.0, "generated": 0.995}, {"person": 0.1, "generated": 0.1})


def rehearse_slowly(file: Path, out: Path) -> None:
    """A rehearsal that takes its time, so that it can be killed in the middle of its work."""
    run_campaign(RunCampaign(file=file, out=out), hands=rehearsing(QUICK, lambda: time.sleep(0.001)))
