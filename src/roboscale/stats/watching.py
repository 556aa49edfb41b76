"""What may be said of checkpoints that keep coming: intervals and claims that hold over all that ever appear.

Nobody knows beforehand how many checkpoints a training writes, or when somebody looks. The k-th one therefore gets the
share alpha x 6 / (pi k)^2 of the error; these shares sum to alpha over all k, however many come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roboscale.core import Estimate, PairedOutcome
from roboscale.core.plain import Plain
from roboscale.stats.paired import exact_paired_test
from roboscale.stats.proportions import clopper_pearson

__all__ = ["CheckpointCurve", "CheckpointPoint", "curve_of", "error_share"]

_ByCase = Mapping[str, bool | None]


def error_share(k: int, alpha: float) -> float:
    """The error that the k-th of an endless series may make, k from 1; all together make at most alpha.

    >>> round(sum(error_share(k, 0.05) for k in range(1, 100_000)), 4)
    0.05
    """
    return alpha * 6 / (math.pi * k) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPoint(Plain):
    """One checkpoint.

    Args:
        success: with an interval that holds together with those of all others, past and to come.
        better_than: names of earlier checkpoints than which it is shown to be better.
        worse_than: the same for worse.
    """

    name: str
    success: Estimate
    better_than: tuple[str, ...] = ()
    worse_than: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCurve(Plain):
    """All checkpoints so far, in the order in which they appeared."""

    points: tuple[CheckpointPoint, ...]
    alpha: float = 0.05

    @property
    def best(self) -> CheckpointPoint | None:
        """The highest rate so far; the earliest of several. `None` where nothing was counted."""
        counted = [point for point in self.points if point.success.value is not None]
        return max(counted, key=lambda point: point.success.value or 0.0, default=None)

    @property
    def sentence(self) -> str:
        """What may be said, now and after whatever comes."""
        best = self.best
        if best is None:
            return f"{len(self.points)} checkpoints, none of which could be counted"
        beaten = [*best.better_than, *(p.name for p in self.points if best.name in p.worse_than)]
        shown = f"shown to be better than {', '.join(beaten)}" if beaten else "not shown to be better than any other"
        base = f"{len(self.points)} checkpoints; all claims together err with probability {self.alpha:g} at most"
        return f"highest so far: {best.name}, {best.success}; {shown} ({base})"

    @property
    def method(self) -> str:
        """How intervals and claims were made."""
        return (
            f"the k-th checkpoint has the share {self.alpha:g} x 6 / (pi k)^2 of the error, however many come: "
            "Clopper-Pearson for rates; for claims the exact paired test against each earlier one, Bonferroni within "
            "the share, void trials against the winner"
        )


def curve_of(outcomes: Mapping[str, _ByCase], alpha: float = 0.05) -> CheckpointCurve:
    """Rates and claims of checkpoints that were tried on the same cases.

    What is said of a checkpoint never changes when others come.

    Args:
        outcomes: name, in the order of appearance -> case -> success; `None` where it is void.

    >>> first, second = {str(k): k < 5 for k in range(40)}, {str(k): True for k in range(40)}
    >>> curve_of({"step 1": first, "step 2": second}).points[1].better_than
    ('step 1',)
    """
    points: list[CheckpointPoint] = []
    names = list(outcomes)
    for k, name in enumerate(names, 1):
        share = error_share(k, alpha)
        mine = outcomes[name]
        valid = [one for one in mine.values() if one is not None]
        rate = clopper_pearson(sum(valid), len(valid), level=1 - share, void=len(mine) - len(valid))
        earlier = names[: k - 1]
        better = [other for other in earlier if _beats(mine, outcomes[other], share / len(earlier))]
        worse = [other for other in earlier if _beats(outcomes[other], mine, share / len(earlier))]
        points.append(CheckpointPoint(name=name, success=rate, better_than=tuple(better), worse_than=tuple(worse)))
    return CheckpointCurve(points=tuple(points), alpha=alpha)


def _beats(winner: _ByCase, loser: _ByCase, alpha: float) -> bool:
    """Whether the winner is shown to be better even where its void trials failed and the loser's succeeded."""
    cases = [case for case in winner if case in loser]
    pairs: Sequence[PairedOutcome] = [
        PairedOutcome("", _as(loser[case], True), _as(winner[case], False)) for case in cases
    ]
    ahead = sum(bool(p.second) - bool(p.first) for p in pairs)
    return ahead > 0 and exact_paired_test(pairs) <= alpha


def _as(outcome: bool | None, void: bool) -> bool:
    return void if outcome is None else outcome
