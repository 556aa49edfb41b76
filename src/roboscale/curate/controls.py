"""Methods that know nothing of teaching: what any other method has to beat before its scores mean anything."""

from __future__ import annotations

from collections.abc import Sequence

from roboscale.core import RoboscaleError, generator
from roboscale.curate.method import EpisodeView, Scored

__all__ = ["LengthAlone", "OutcomeLabels", "RandomChoice"]


class RandomChoice:
    """A seeded draw: every other method is compared with halves of this one."""

    name = "random"
    paper = "a control"
    assumes = "nothing"
    outcomes = False

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """Uniform scores, one an episode."""
        return [Scored(score=float(s), reason="drawn") for s in generator("random", seed).uniform(size=len(views))]


class LengthAlone:
    """Short episodes first. What correlates with length alone beats nobody: hesitation is long, so is care."""

    name = "length"
    paper = "a control"
    assumes = "who is quick is good"
    outcomes = False

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """Minus the number of frames."""
        return [Scored(score=-float(len(view)), reason=f"{len(view)} frames") for view in views]


class OutcomeLabels:
    """Successes first, then what nobody judged, then failures; drawn by lot among equals."""

    name = "outcome"
    paper = "a control"
    assumes = "the outcomes that the dataset holds are right"
    outcomes = True

    def score(self, views: Sequence[EpisodeView], seed: int) -> Sequence[Scored]:
        """1, 0 or -1; RoboscaleError where no episode has an outcome."""
        if all(view.succeeded is None for view in views):
            raise RoboscaleError("outcome: no episode says how it ended, so there is nothing to choose by")
        words = {True: (1.0, "success"), False: (-1.0, "failure"), None: (0.0, "not judged")}
        return [Scored(score=words[v.succeeded][0], reason=words[v.succeeded][1]) for v in views]
