"""Recipes compared: each dataset trained on several times, every checkpoint tried on the same held-out cases.

What is claimed is that of `roboscale rank` on the table that is written here: its unit is the training run, so a claim
speaks of recipes, and one lucky training decides nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roboscale.jobs.events import OnEvent, Progress, Wrote, ignore
from roboscale.jobs.options import Device

if TYPE_CHECKING:
    from roboscale.jobs.rank import Ranked
    from roboscale.jobs.training import Training
    from roboscale.stats.overall import PairOverTasks

__all__ = ["TABLE", "RecipeRound", "TriedRecipes", "train_recipes", "try_recipes"]

TABLE = "outcomes.csv"
"""A round's table of outcomes, in its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRound:
    """What is trained on, how often, and how it is tried.

    Args:
        datasets: recipe -> dataset.
        selections: recipe -> file of `data curate`, for those that learn from a part of their dataset.
        runs: trainings of each recipe, which differ in their seed alone.
        trials: per task and training run.
        steps: of the optimiser, the same for all.
        out: folder of the policies, of the trials and of the table.
        device: where all of them train and act: what computed elsewhere rounds otherwise.
        descriptions: recipe -> what it is, for the page.
        afterwards: said at the end of the page, made from the table of outcomes once it is there.
    """

    datasets: Mapping[str, Path]
    tasks: tuple[str, ...]
    runs: int
    trials: int
    steps: int
    out: Path
    selections: Mapping[str, Path] = field(default_factory=dict)
    world: str = "metaworld"
    inputs: str = "state"
    seed: int = 0
    workers: int | None = None
    device: Device = "cpu"
    descriptions: Mapping[str, str] = field(default_factory=dict)
    afterwards: Callable[[Path], tuple[str, ...]] = lambda table: ()

    @property
    def policies(self) -> dict[tuple[str, int], Path]:
        """(recipe, training run counted from 1) -> folder of its checkpoint; the recipes take turns."""
        each = [(recipe, run) for run in range(1, self.runs + 1) for recipe in self.datasets]
        return {(recipe, run): self.out / "policies" / f"{recipe}-{run}" for recipe, run in each}

    @property
    def table(self) -> Path:
        """One row a trial: policy (the recipe), run, task, case, success; `roboscale rank` reads it."""
        return self.out / TABLE


@dataclass(frozen=True, slots=True)
class TriedRecipes:
    """What the trials of all training runs say of the recipes.

    Args:
        runs: recipe -> success rate of each of its training runs, `None` where no trial was counted.
    """

    ranked: Ranked
    runs: Mapping[str, tuple[float | None, ...]]

    @property
    def pair(self) -> PairOverTasks:
        """The two recipes task by task. For more than two, the first pair."""
        assert self.ranked.standing.overall is not None, "the number of trials is fixed, so there are claims"
        return self.ranked.standing.overall.pairs[0]

    @property
    def sentence(self) -> str:
        """The claim, and what it is about."""
        overall = self.ranked.standing.overall
        assert overall is not None, "the number of trials is fixed, so there are claims"
        return f"{overall.verdict.pairs[0].verdict.sentence}; {overall.unit}"

    @property
    def lines(self) -> list[str]:
        """For a terminal: the sentence, the rate of each training run, and the difference on each task."""
        from roboscale.stats.overall import points

        standing, pair = self.ranked.standing, self.pair
        lines = [self.sentence]
        for recipe, rates in self.runs.items():
            each = ", ".join("no trial" if rate is None else f"{rate:.2f}" for rate in rates)
            lines.append(f"  {recipe}, success of each training run: {each}")
        for one in pair.tasks:
            means = ", ".join(f"{name} {standing.per_task[name, one.task].value or 0:.2f}" for name in self.runs)
            lines.append(f"  {one.task}: {means}; {pair.first} − {pair.second} {points(one.difference)} points")
        return [*lines, *(f"  {reason}" for reason in standing.withdrawn)]

    def to_json(self) -> dict[str, Any]:
        return {"sentence": self.sentence, "runs": dict(self.runs), **self.ranked.to_json()}


def train_recipes(asked: RecipeRound, on_event: OnEvent = ignore) -> None:
    """Trains every checkpoint that is not there yet, one process a core."""
    from roboscale.jobs.training import Training, train_all, training_config

    keys = list(asked.policies)
    trainings: list[Training] = []
    for recipe, run in keys:
        config = training_config(asked.inputs, "", asked.steps, asked.seed + run - 1)
        data, out = asked.datasets[recipe], asked.policies[recipe, run]
        trainings.append(Training(data, out, config, device=asked.device, selection=asked.selections.get(recipe)))

    def on_progress(index: int, done: int, total: int, loss: float) -> None:
        recipe, run = keys[index]
        on_event(Progress(f"{recipe}, training {run} of {asked.runs}", done, total, f"loss {loss:.4f}"))

    train_all(trainings, on_progress, at_once=asked.workers)


def try_recipes(asked: RecipeRound, on_event: OnEvent = ignore) -> TriedRecipes:
    """Tries every checkpoint on the same cases, writes the table and weighs it; trials that are there are used."""
    from roboscale.jobs.compare import Compare, compare
    from roboscale.jobs.files import write_text
    from roboscale.jobs.rank import Rank, rank

    judged = compare(
        Compare(
            policies=tuple(str(path) for path in asked.policies.values()),
            world=asked.world,
            tasks=",".join(asked.tasks),
            budget=asked.trials * len(asked.tasks),
            sequential=False,
            seed=asked.seed,
            workers=asked.workers,
            device=asked.device,
            store=str(asked.out),
        ),
        on_event,
    ).judged
    runs: dict[str, list[float | None]] = {recipe: [] for recipe in asked.datasets}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["policy", "run", "task", "case", "success"])
    for (recipe, run), policy in zip(asked.policies, judged.run.policies, strict=True):
        runs[recipe].append(judged.rate(judged.of(policy)).value)
        for counted in judged.of(policy):
            success = counted.outcome.success
            rows.writerow([recipe, run, counted.case.task, counted.case.id, "" if success is None else int(success)])
    write_text(asked.table, text.getvalue())
    ranked = rank(Rank(sources=(str(asked.table),)), on_event)
    _write_page(asked, ranked, on_event)
    return TriedRecipes(ranked, {recipe: tuple(rates) for recipe, rates in runs.items()})


def _write_page(asked: RecipeRound, ranked: Ranked, on_event: OnEvent) -> None:
    """The board, with what each recipe is; its trials and its claims have different units, which it says."""
    from roboscale.jobs.files import write_text
    from roboscale.jobs.rank import Rank
    from roboscale.report.board import board_page

    page = asked.out / "recipes.html"
    described = [f"{recipe}: {what}" for recipe, what in asked.descriptions.items()]
    counted = "Intervals of scores and success rates count trials, those of the claims count training runs."
    board = replace(
        ranked.board,
        title=f"Training recipes, from {asked.inputs} inputs",
        command=Rank(sources=(str(asked.table),), html=page).command,
        notes=(*described, counted, *ranked.board.notes),
        statements=(*ranked.board.statements, *asked.afterwards(asked.table)),
    )
    write_text(page, board_page(board))
    on_event(Wrote("page", page))
