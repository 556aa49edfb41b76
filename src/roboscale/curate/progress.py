"""Stretches in which nothing comes nearer to the end, and episodes that were there before.

How far an episode is from its end is read off other episodes of the same instruction: the median of what was left of
them where they were nearest to this state, each seen from its own last state, since goals and starts differ. A stretch
of a second after which as much is left as before taught nothing: a discarded attempt, a wait, a detour. Such stretches
are cut; an episode's score is minus the share of its time lost so, and an episode whose every moment lies within
another's is a duplicate.

Source: the two criteria of SCIZOR, Zhang et al. 2025 (arXiv:2505.22626). Theirs predicts progress by a network from
pictures; here it is nearest neighbours among states, so pictures are not read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from roboscale.core import RoboscaleError
from roboscale.curate.method import EpisodeView, Scored
from roboscale.dataset.audit.signals import true_runs

__all__ = ["ProgressMethod", "left_to_do"]

NEIGHBOURS = 5  # episodes whose nearest moments are asked, one moment each
STRETCH_S = 1.0  # seconds over which something should come of it
DUPLICATE = 0.01  # deviations between two moments that are the same one
DUPLICATED = 0.95  # share of an episode's moments that lie within another's


class ProgressMethod:
    """See the module."""

    name = "progress"
    paper = "SCIZOR (arXiv:2505.22626), with nearest neighbours in place of its network"
    assumes = "episodes of one instruction end in similar states, and most of them do not dawdle"
    outcomes = False

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """Minus the share of time that brought nothing; RoboscaleError where an instruction has one episode alone."""
        scores: dict[int, Scored] = {}
        for instruction in dict.fromkeys(view.instruction for view in views):
            mine = [i for i, view in enumerate(views) if view.instruction == instruction]
            if len(mine) < 2:
                raise RoboscaleError(f"progress: {instruction!r} has one episode, and is compared with nothing")
            states = [views[i].states - views[i].states[-1] for i in mine]
            copies = _copies([np.concatenate([views[i].states, views[i].actions], axis=1) for i in mine])
            for k, i in enumerate(mine):
                left = left_to_do(states[:k] + states[k + 1 :], states[k])
                scores[i] = _judge(left, max(1, round(STRETCH_S * views[i].rate_hz)), copies[k])
        return [scores[i] for i in range(len(views))]


def left_to_do(others: Sequence[NDArray[np.float64]], states: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) how many frames would be left after each state (T, S), by the other episodes' nearest moments.

    >>> line = np.arange(5.0)[:, None]
    >>> left_to_do([line, line], line).tolist()
    [4.0, 3.0, 2.0, 1.0, 0.0]
    """
    far = np.empty((len(others), len(states)))
    left = np.empty_like(far)
    for k, other in enumerate(others):
        far[k], at = cKDTree(other).query(states)
        left[k] = len(other) - 1 - at
    nearest = np.argsort(far, axis=0, kind="stable")[:NEIGHBOURS]
    return np.asarray(np.median(np.take_along_axis(left, nearest, axis=0), axis=0), np.float64)


def _judge(left: NDArray[np.float64], stretch: int, copy: bool) -> Scored:
    """The ranges are what is left after the stretches are cut in which no time was made up."""
    if copy:
        return Scored(score=-1.0, reason="every moment of it is in another episode", usable=False)
    frames = len(left)
    lost = np.zeros(frames, bool)
    for first in range(frames - stretch):
        if left[first] - left[first + stretch] <= 0:
            lost[first : first + stretch] = True
    share = float(lost.mean())
    if not lost.any():
        return Scored(score=0.0, reason="time is made up in every second")
    kept = [(first, last) for first, last in true_runs(~lost) if last - first + 1 >= stretch]
    seconds = f"{lost.sum()} of {frames} frames bring nothing"
    return Scored(score=-share, ranges=tuple(kept), reason=seconds, usable=bool(kept))


def _copies(moments: Sequence[NDArray[np.float64]]) -> list[bool]:
    """Whether an episode lies within an earlier one: of several that are the same, the first is kept."""
    trees = [cKDTree(rows) for rows in moments]
    copies = []
    for k, rows in enumerate(moments):
        within = [np.mean(tree.query(rows)[0] <= DUPLICATE * np.sqrt(rows.shape[1])) for tree in trees[:k]]
        copies.append(bool(within) and max(within) >= DUPLICATED)
    return copies
