"""Demonstrations in which what was commanded happens.

An action is a command, and the states after it show whether it was the one that was carried out: not with a sign that
is turned, a delay, noise that was added, a gripper that is said to open while it closes. Which number of the state
answers which number of the action, after how many frames and in which direction, is read off the episodes themselves:
the pair and the delay that go together most in most of them. An episode's score is how well its own commands and
states go together there, in the common direction.

Commands are read as motions or as places, whichever explains more, and those of at most `POSITIONS` values as
switches. Where fewer than `MAJORITY` of the episodes agree on a direction, it is taken to be the positive one, which
is how commands are written: +x moves to +x.

Source: the residual of inverse dynamics by which VPT labels video (Baker et al. 2022, arXiv:2206.11795), reduced to
one correlation a command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core import RoboscaleError
from roboscale.curate.method import EpisodeView, Scored

__all__ = ["ConsequenceMethod"]

Floats = NDArray[np.float64]
Reading = Callable[[EpisodeView, int, int], tuple[Floats, Floats]]
"""Commands (T, A) and what may answer them (T, S), so many frames later, over so many frames."""

DELAY_S = 0.5  # seconds within which a command is answered
SPAN_S = 0.1  # seconds over which a change is looked at, one frame at least
POSITIONS = 3  # values of a switch: open, closed, and what is between
ANSWERED = 0.3  # mean size of the correlations below which no number of the state answers a command
MAJORITY = 2 / 3  # of the episodes that must agree before a direction other than the positive one is believed
FEWEST = 3  # episodes


class ConsequenceMethod:
    """See the module."""

    name = "consequence"
    paper = "inverse dynamics as in VPT (arXiv:2206.11795), one correlation a command in place of its network"
    assumes = "states are right, and commands move what is observed; pictures are not read"
    outcomes = False

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """Mean correlation (-1..1) of an episode's commands with what answers them.

        RoboscaleError where there are fewer than `FEWEST` episodes, or no number observed answers any command.
        """
        if len(views) < FEWEST:
            raise RoboscaleError(
                f"consequence: found {len(views)} episodes; what answers a command is read off {FEWEST}"
            )
        switches = _switches(views)
        motions = max((_answers(views, reading) for reading in (_motions, _places)), key=_explained)
        thrown = _answers(views, _positions)
        answers = [thrown[k] if switch else motions[k] for k, switch in enumerate(switches)]
        known = [one.of for one in answers if one.size >= ANSWERED]
        if not known:
            raise RoboscaleError("consequence: no number that is observed goes together with any command")
        scores = np.mean(known, axis=0)
        said = f"{len(known)} of {len(answers)} commands are answered"
        return [Scored(score=float(one), reason=f"{said}, correlation {one:+.2f}") for one in scores]


@dataclass(frozen=True, slots=True)
class _Answer:
    """How well one command is answered: over all episodes whatever the direction (0..1), and of each (-1..1)."""

    size: float
    of: Floats


def _switches(views: Sequence[EpisodeView]) -> list[bool]:
    """Of each command, whether no episode has more than `POSITIONS` values of it."""
    width = views[0].actions.shape[1]
    return [all(len(np.unique(view.actions[:, k])) <= POSITIONS for view in views) for k in range(width)]


def _explained(answers: Sequence[_Answer]) -> float:
    return float(np.mean([one.size for one in answers]))


def _motions(view: EpisodeView, delay: int, span: int) -> tuple[Floats, Floats]:
    """Commands beside the change that follows; their mean over the span would hide the noise that is looked for."""
    changes = view.states[delay + span :] - view.states[delay : len(view) - span]
    return view.actions[: len(changes)], changes


def _places(view: EpisodeView, delay: int, span: int) -> tuple[Floats, Floats]:
    """Changes of a command beside the change that follows: levels would go together by where an episode leads."""
    changes = view.states[delay + span :] - view.states[delay : len(view) - span]
    return (view.actions[span:] - view.actions[: len(view) - span])[: len(changes)], changes


def _positions(view: EpisodeView, delay: int, span: int) -> tuple[Floats, Floats]:
    """Commands beside the state that follows."""
    return view.actions[: len(view) - delay], view.states[delay:]


def _answers(views: Sequence[EpisodeView], reading: Reading) -> list[_Answer]:
    """Of each command under one reading; what is longest weighs most, since short episodes correlate by chance."""
    span = max(1, round(SPAN_S * views[0].rate_hz))
    delays = range(round(DELAY_S * views[0].rate_hz) + 1)
    found = np.stack([[_correlations(*reading(view, delay, span)) for view in views] for delay in delays])
    weights = np.array([len(view) for view in views], np.float64)
    # a place that is commanded and one that is reached go together or not at all
    sizes = np.average(np.maximum(found, 0) if reading is _places else np.abs(found), axis=1, weights=weights)
    answers = []
    for k in range(found.shape[2]):
        delay, column = np.unravel_index(int(np.argmax(sizes[:, k])), sizes[:, k].shape)
        mine = found[delay, :, k, column]
        positive = float(np.average(mine > 0, weights=weights))
        sign = -1.0 if 1 - positive >= MAJORITY else 1.0
        answers.append(_Answer(float(sizes[delay, k, column]), sign * mine))
    return answers


def _correlations(commands: Floats, following: Floats) -> Floats:
    """(A, S) of the columns of (T, A) with those of (T, S); 0 where one rests."""
    if len(commands) < 3:
        return np.zeros((commands.shape[1], following.shape[1]))
    centred = [part - part.mean(axis=0) for part in (commands, following)]
    sizes = [np.sqrt((part**2).sum(axis=0)) for part in centred]
    products, norms = centred[0].T @ centred[1], np.outer(*sizes)
    found: Floats = np.divide(products, norms, out=np.zeros_like(products), where=norms > 1e-9)
    return found
