"""What a curation method sees of an episode, and what it answers.

A method sees numbers and sentences. It does not see ids, names, provenance, operators or the order of recording: a
method that reads which episodes were planted as bad would look brilliant and know nothing. Outcomes are shown to
those methods alone that say they need them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, RoboscaleError, generator
from roboscale.dataset import Dataset, EpisodeInfo

__all__ = ["EpisodeView", "GradientLearner", "HasLearner", "Method", "Scored", "episode_views", "gradients_of"]

PROJECTED = 512  # numbers that stand for a gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeView:
    """One episode as a method sees it; columns that never change are left out.

    Args:
        states: (T, S) everything observed that is a number, each column with mean 0 and deviation 1 over the dataset.
        actions: (T, A) likewise.
        rate_hz: frames a second.
        succeeded: how it ended, for methods that need outcomes; `None` for all others, and where nobody judged.
        gradients: (F, P) of a policy's loss at some of its frames, for methods that have a learner.
        moving: (T,) False for frames that rest, for the method that looks at that.
    """

    states: NDArray[np.float64]
    actions: NDArray[np.float64]
    instruction: str
    rate_hz: float
    succeeded: bool | None = None
    gradients: NDArray[np.float32] | None = None
    moving: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a method says of one episode.

    Args:
        score: higher is better; comparable within one instruction only.
        ranges: (first, last) frames, both included, worth keeping if the episode is; all of them when empty.
        reason: in words, what made it so.
        usable: False for what is never kept, whatever the budget: a copy, or nothing but lost time.
        joined: whether each of the ranges follows the one before it, since nothing happens between them.
    """

    score: float
    ranges: tuple[tuple[int, int], ...] = ()
    reason: str = ""
    usable: bool = True
    joined: bool = False


class GradientLearner(Protocol):
    """A policy that says how an episode would move its weights; the built-in policy is one."""

    def gradients(
        self, columns: Mapping[str, NDArray[Any]], instruction: str, *, size: int, seed: int
    ) -> NDArray[np.float32]:
        """(F, size) the gradient of its imitation loss at some frames, projected; the same seed projects alike.

        Args:
            columns: field -> (T, ...) of one episode as it was recorded, `action` among them.
        """


@runtime_checkable
class HasLearner(Protocol):
    """A method that reads gradients of a policy."""

    learner: GradientLearner


class Method(Protocol):
    """Scores episodes.

    Attributes:
        name: on the command line.
        paper: where it comes from.
        assumes: what must hold for its scores to mean anything.
        outcomes: whether it reads how episodes ended.
    """

    name: str
    paper: str
    assumes: str
    outcomes: bool

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """One answer a view, in their order.

        Raises:
            RoboscaleError: the method cannot say anything of such data, and why.
        """


def episode_views(
    dataset: Dataset,
    *,
    outcomes: bool,
    seed: int,
    learner: GradientLearner | None = None,
    moving: NDArray[np.bool_] | None = None,
) -> tuple[list[int], list[EpisodeView]]:
    """Positions of episodes in a shuffled order, and what a method sees of each in that order.

    Args:
        moving: (N,) of all frames, where a method looks at it.

    Raises:
        RoboscaleError: the dataset holds no action, or nothing observed that is a number.
        BadData: a value is not finite.
    """
    fields = [f.name for f in dataset.spec if not f.is_image]
    seen = [name for name in fields if name.startswith("observation.")]
    if "action" not in fields or not seen:
        raise RoboscaleError(
            f"{dataset.root}: curation reads action and numbers of observation.*; found {', '.join(fields)}"
        )
    states = _standard(np.concatenate([_numbers(dataset, name) for name in seen], axis=1))
    actions = _standard(_numbers(dataset, "action"))
    order = [int(i) for i in generator("curate", seed).permutation(len(dataset.episodes))]
    views = []
    for position in order:
        episode = dataset.episodes[position]
        rows = slice(episode.from_index, episode.from_index + episode.length)
        outcome = episode.outcome.success if outcomes and episode.outcome is not None else None
        views.append(
            EpisodeView(
                states=states[rows],
                actions=actions[rows],
                instruction=episode.instruction,
                rate_hz=float(dataset.fps),
                succeeded=outcome,
                gradients=None if learner is None else gradients_of(dataset, episode, learner, seed),
                moving=None if moving is None else moving[rows],
            )
        )
    return order, views


def gradients_of(dataset: Dataset, episode: EpisodeInfo, learner: GradientLearner, seed: int) -> NDArray[np.float32]:
    """(F, `PROJECTED`) of one episode."""
    rows = slice(episode.from_index, episode.from_index + episode.length)
    columns = {f.name: dataset.arrays(f.name)[rows] for f in dataset.spec if not f.is_image}
    return learner.gradients(columns, episode.instruction, size=PROJECTED, seed=seed)


def _numbers(dataset: Dataset, name: str) -> NDArray[np.float64]:
    array = np.asarray(dataset.arrays(name), np.float64)
    array = array.reshape(len(array), -1)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise BadData(dataset.root, name, "finite values", f"{array[bad[0]]} in row {bad[0]}")
    return array


def _standard(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0, deviation 1; what never changes tells nothing and would divide by 0."""
    spread = columns.std(axis=0)
    moving = spread > 1e-9 * np.maximum(1.0, np.abs(columns).max(axis=0, initial=0.0))
    standard: NDArray[np.float64] = (columns[:, moving] - columns[:, moving].mean(axis=0)) / spread[moving]
    return standard
