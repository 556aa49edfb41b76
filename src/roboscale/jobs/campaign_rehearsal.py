"""A rehearsal: a campaign whose episodes, trainings and trials are made up from learning curves that are known.

Nothing is collected, trained or tried, so a hundred campaigns take minutes, and what would have been cheapest is
known. It tells whether decisions are good if curves are like these; never whether a source is good. Every piece of
work leaves a file, so that a killed rehearsal shows what was done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roboscale.core import generator
from roboscale.jobs.campaign_file import Campaign, SourceLine
from roboscale.jobs.campaign_loop import CameIn, CollectOrder, Curated, JudgedRecipe, ScenesWanted
from roboscale.jobs.campaign_standing import RunCounts

__all__ = ["LearningCurves", "Rehearsal"]

LearningCurves = Callable[[str, Mapping[str, float]], float]
"""(task, episodes by source) -> success rate of the recipe, the mean over trainings."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """Hands that draw from known curves.

    Args:
        folder: where the made-up work is written down.
        curves: the truth.
        retraining: how alike trainings are, the a + b of a beta distribution around the curve.
        on_work: called before and after every piece of work is written: for tests that kill it there.
    """

    campaign: Campaign
    folder: Path
    curves: LearningCurves
    retraining: float = 80.0
    seed: int = 0
    on_work: Callable[[], None] = lambda: None

    def scenes(self, number: int, task: str, source: SourceLine, episodes: int) -> ScenesWanted:
        """Any: curves know no scenes."""
        return ScenesWanted()

    def collect(self, order: CollectOrder) -> CameIn:
        """Writes a file for each episode that is not there."""
        for number in range(order.before, order.before + order.episodes):
            self._once("episodes", f"{order.task}-{order.line.name}-{number}")
        return CameIn(order.episodes)

    def curate(self, number: int, have: Mapping[str, Mapping[str, float]]) -> Curated:
        """Keeps everything."""
        self._once("sets", f"{number}")
        return Curated({task: {name: int(count) for name, count in by.items()} for task, by in have.items()})

    def train(self, number: int) -> None:
        """Writes a file for each training."""
        for run in range(self.campaign.learn.runs):
            self._once("trainings", f"{number}-{run}")

    def judge(self, number: int, trials: Mapping[str, int]) -> JudgedRecipe:
        """Draws each training's rate around the curve, then its trials; more trials begin with the same ones."""
        counts: dict[str, RunCounts] = {}
        for task, count in trials.items():
            amounts = self._amounts(task)
            rate = float(np.clip(self.curves(task, amounts), 1e-3, 1 - 1e-3))
            runs = []
            for run in range(self.campaign.learn.runs):
                rng = generator("rehearsal", self.seed, number, task, run)
                own = float(rng.beta(rate * self.retraining, (1 - rate) * self.retraining))
                won = rng.random(10_000)[:count] < own
                for trial in range(count):
                    self._once("trials", f"{number}-{task}-{run}-{trial}")
                runs.append((int(won.sum()), count))
            counts[task] = tuple(runs)
        failures = {task: {"made up": sum(n - k for k, n in runs)} for task, runs in counts.items()}
        return JudgedRecipe(counts, {task: why for task, why in failures.items() if why["made up"]})

    def _amounts(self, task: str) -> dict[str, float]:
        """Episodes of a task by source, as the files have them."""
        found: dict[str, float] = {}
        for source in self.campaign.sources:
            count = sum(1 for _ in (self.folder / "episodes").glob(f"{task}-{source.name}-*"))
            if count:
                found[source.name] = float(count)
        return found

    def _once(self, kind: str, name: str) -> None:
        """Writes a piece of work down, unless it is there: work that is found is not done again."""
        place = self.folder / kind / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            return
        self.on_work()
        with place.open("x"):
            pass
        self.on_work()
