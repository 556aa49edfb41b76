"""Trainings behind `data mix`: losses of episodes that were held out, and whether the shares help, by success."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Self

from roboscale.core import RoboscaleError, generator
from roboscale.curate.mixing import mixed
from roboscale.curate.selection import Selection
from roboscale.dataset import Dataset, EpisodeInfo
from roboscale.jobs.data_mix import MixDataset, MixedDataset
from roboscale.jobs.events import OnEvent, Progress
from roboscale.jobs.files import write_json
from roboscale.jobs.recipe_round import RecipeRound, TriedRecipes, train_recipes, try_recipes
from roboscale.jobs.training import training_config

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["HeldOut", "validate_mixture"]

Groups = Mapping[str, Sequence[EpisodeInfo]]

EVERY = 5  # episodes of a group, of which one is held out
PART = 4  # a policy of a round is trained for a fourth of the reference's steps: what is learned late is still to come


class HeldOut:
    """The built-in policy as a `GroupLearner`: of each group a fifth is never trained on. A context manager.

    Args:
        groups: of two episodes or more each.

    Raises:
        RoboscaleError: a group has one episode, which cannot be both learned from and held out.
    """

    def __init__(self, request: MixDataset, dataset: Dataset, groups: Groups, on_event: OnEvent) -> None:
        short = [name for name, mine in groups.items() if len(mine) < 2]
        if short:
            raise RoboscaleError(f"robust holds episodes of each group out, and {', '.join(short)} has one")
        self._request, self._dataset, self._on_event = request, dataset, on_event
        rng = generator("held out", request.seed)
        self._held: dict[str, list[EpisodeInfo]] = {}
        self._kept: dict[str, list[EpisodeInfo]] = {}
        for name, mine in groups.items():
            chosen = set(rng.permutation(len(mine))[: max(1, len(mine) // EVERY)].tolist())
            self._held[name] = [e for i, e in enumerate(mine) if i in chosen]
            self._kept[name] = [e for i, e in enumerate(mine) if i not in chosen]
        held = ", ".join(f"{len(mine)} of {name}" for name, mine in self._held.items())
        self.notes = [f"robust: held out {held}; states, no pictures; a training a round"]
        self._folder = tempfile.TemporaryDirectory(prefix="mix")
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def losses(self, shares: Mapping[str, float], *, reference: bool) -> Mapping[str, float]:
        """See `GroupLearner`."""
        from roboscale.policies.builtin.checkpoint import load_policy
        from roboscale.policies.builtin.config import TrainConfig
        from roboscale.policies.builtin.train import train

        steps = self._request.steps if reference else self._request.steps // PART
        out = Path(self._folder.name) / f"{self._done}"
        selection = mixed(self._dataset, self._kept, shares, method="robust", asked="a round")
        config = training_config("state", "", max(1, steps), self._request.seed + self._done)
        what = "reference" if reference else f"round {self._done} of {self._request.rounds}"
        train(
            self._request.dataset,
            out,
            TrainConfig.from_json(config),
            progress=lambda done, total, loss: self._on_event(Progress(what, done, total, f"loss {loss:.4f}")),
            parts=selection.of(self._dataset),
        )
        self._done += 1
        policy, seed = load_policy(out), self._request.seed
        names = [f.name for f in self._dataset.spec if not f.is_image]
        columns = {name: self._dataset.arrays(name) for name in names}

        def loss(e: EpisodeInfo) -> float:
            rows = slice(e.from_index, e.from_index + e.length)
            mine = {name: array[rows] for name, array in columns.items()}
            return float(policy.losses(mine, e.instruction, seed=seed).mean())

        return {name: mean(loss(e) for e in mine) for name, mine in self._held.items()}


def validate_mixture(
    request: MixDataset, done: MixedDataset, dataset: Dataset, groups: Groups, on_event: OnEvent
) -> MixedDataset:
    """Trains with these shares, with equal ones and without any, `runs` times each, and tries all on the same cases.

    What is finished stays in the folder, and the same command goes on.
    """
    assert request.validate is not None, "asked for"
    request.validate.mkdir(parents=True, exist_ok=True)
    equal = mixed(
        dataset,
        groups,
        dict.fromkeys(groups, 1 / len(groups)),
        method="uniform",
        asked="equal shares",
        seed=request.seed,
    )
    size = mixed(dataset, groups, done.frames, method="size", asked="as it is", seed=request.seed)
    selections: dict[str, Selection] = {"mixed": done.selection, "uniform": equal, "size": size}
    selections = {name: one for name, one in selections.items() if name in ("mixed",) or name != request.method}
    paths = {name: request.validate / f"{name}.json" for name in selections}
    for name, one in selections.items():
        write_json(paths[name], one.to_json())
    asked = RecipeRound(
        datasets=dict.fromkeys(selections, request.dataset),
        selections=paths,
        tasks=tuple(text.strip() for text in request.tasks.split(",")),
        world=request.world,
        runs=request.runs,
        trials=request.trials,
        steps=request.steps,
        out=request.validate,
        seed=request.seed,
        workers=request.workers,
        descriptions={name: f"{one.method}: {one.asked}" for name, one in selections.items()},
    )
    train_recipes(asked, on_event)
    tried = try_recipes(asked, on_event)
    return replace(done, validation=tried.to_json(), reading=_reading(tried, request.method, list(selections)))


def _reading(tried: TriedRecipes, method: str, names: Sequence[str]) -> tuple[str, ...]:
    """A sentence against each control, with the claim that it rests on, and the rates of all trainings."""
    overall = tried.ranked.standing.overall
    if overall is None:
        raise RoboscaleError("no claim can be made: no trial was counted")
    lines = []
    for other in names[1:]:
        (pair,) = [p for p in overall.verdict.pairs if {p.first, p.second} == {"mixed", other}]
        winner = {"first is better": pair.first, "second is better": pair.second}.get(str(pair.verdict.decision), "")
        said = {
            "mixed": f"shares by {method} are better than {other}",
            other: f"shares by {method} are worse than {other}: do not use them here",
        }.get(winner, f"shares by {method} were not shown to be better than {other}")
        lines.append(f"{said}: {pair.verdict.sentence}; {overall.unit}")
    rates = {name: ", ".join("no trial" if r is None else f"{r:.2f}" for r in tried.runs[name]) for name in names}
    return (*lines, *(f"  {name}, success of each training: {said}" for name, said in rates.items()))
