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
from roboscale.dataset import Dataset, EpisodeInfo
from roboscale.jobs.curating import claim_against, rate_of_each_training, try_selections
from roboscale.jobs.data_mix import MixDataset, MixedDataset
from roboscale.jobs.events import OnEvent, Progress
from roboscale.jobs.recipe_round import TriedRecipes
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
    equal = dict.fromkeys(groups, 1 / len(groups))
    controls = {"uniform": (equal, "equal shares"), "size": (done.frames, "as it is")}
    selections = {"mixed": done.selection} | {
        name: mixed(dataset, groups, shares, method=name, asked=asked, seed=request.seed)
        for name, (shares, asked) in controls.items()
        if name != request.method
    }
    descriptions = {name: f"{one.method}: {one.asked}" for name, one in selections.items()}
    tried = try_selections(request, selections, descriptions, on_event)
    claims = [_claim(tried, request.method, other) for other in selections if other != "mixed"]
    return replace(done, validation=tried.to_json(), reading=(*claims, *rate_of_each_training(tried)))


def _claim(tried: TriedRecipes, method: str, other: str) -> str:
    """Against one control."""
    better = f"shares by {method} are better than {other}"
    worse = f"shares by {method} are worse than {other}: do not use them here"
    neither = f"shares by {method} were not shown to be better than {other}"
    return claim_against(tried, ("mixed", other), (better, worse, neither))
