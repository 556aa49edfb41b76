"""How much success a policy loses when its world gets worse: every cell against the unperturbed arm, same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate, PairedOutcome
from roboscale.core.plain import Plain
from roboscale.stats.betting import bounded_mean_sequence
from roboscale.stats.differences import paired_difference
from roboscale.stats.distributions import student_isf
from roboscale.stats.overall import sign_flips
from roboscale.stats.proportions import clopper_pearson

__all__ = [
    "PerturbedCell",
    "Robustness",
    "RobustnessDuel",
    "RobustnessGap",
    "compare_robustness",
    "robustness",
    "with_signs",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbedCell(Plain):
    """One axis at one level.

    Args:
        variation: as in the cases, e.g. `action_delay:2`.
        success: its rate.
        difference: its rate minus the unperturbed one, over cases that were counted in both; its level is raised so
            that all cells hold together.
    """

    variation: str
    success: Estimate
    difference: Estimate

    @property
    def lower(self) -> bool:
        """Whether success is shown to be lower than without the perturbation."""
        return self.difference.high is not None and self.difference.high < 0

    @property
    def higher(self) -> bool:
        return self.difference.low is not None and self.difference.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness(Plain):
    """All cells of one policy.

    Args:
        nominal: the rate of the unperturbed arm.
        cells: in the order in which they were asked for.
        alpha: chance that the interval of any difference misses, all cells together.
    """

    nominal: Estimate
    cells: tuple[PerturbedCell, ...]
    alpha: float = 0.05

    @property
    def worst(self) -> PerturbedCell | None:
        """The cell with the largest loss that is shown; `None` where none is."""
        shown = [cell for cell in self.cells if cell.lower]
        return min(shown, key=lambda cell: cell.difference.value or 0.0, default=None)

    @property
    def method(self) -> str:
        """How the intervals were made."""
        how = next((cell.difference.method for cell in self.cells), "")
        return f"differences on the same cases: {how}; Bonferroni over {len(self.cells)} cells at {self.alpha:g}"

    @property
    def sentence(self) -> str:
        """What may be said of all cells together."""
        n = [cell.difference.n for cell in self.cells]
        pairs = f"{min(n)} pairs" if min(n) == max(n) else f"{min(n)} to {max(n)} pairs"
        base = f"{len(self.cells)} cells of {pairs} each, intervals hold together at {100 * (1 - self.alpha):g} %"
        worst = self.worst
        if worst is None:
            lows = [cell.difference.low for cell in self.cells if cell.difference.low is not None]
            open_ = f"; losses of up to {-min(lows):.2f} are not excluded" if lows else ""
            return f"no perturbation is shown to lower success{open_} ({base})"
        lower = [cell.variation for cell in self.cells if cell.lower]
        rest = f"; shown to lower it: {', '.join(lower)}" if len(lower) > 1 else ""
        return f"largest loss shown: {worst.variation}, {with_signs(worst.difference)}{rest} ({base})"


def robustness(
    nominal: Mapping[str, bool | None], cells: Mapping[str, Mapping[str, bool | None]], alpha: float = 0.05
) -> Robustness:
    """Every cell against the unperturbed arm.

    For numbers of cases that were fixed in advance. Intervals of differences are Tango's at level `1 - alpha / cells`
    (Bonferroni), so that all of them cover at once with probability of about `1 - alpha`; rates have their own 95 %
    intervals (Clopper and Pearson), one by one.

    Args:
        nominal: case without its variation -> success; `None` where it is void.
        cells: variation -> the same.

    >>> same = {str(k): True for k in range(20)}
    >>> found = robustness(same, {"light:1": same, "light:3": {str(k): k < 5 for k in range(20)}})
    >>> found.worst.variation, found.cells[0].lower
    ('light:3', False)
    """
    level = 1 - alpha / max(1, len(cells))
    made = []
    for variation, outcomes in cells.items():
        pairs = [PairedOutcome("", nominal[case], outcome) for case, outcome in outcomes.items() if case in nominal]
        difference = paired_difference(pairs, level)
        made.append(PerturbedCell(variation=variation, success=_rate([*outcomes.values()]), difference=difference))
    return Robustness(nominal=_rate([*nominal.values()]), cells=tuple(made), alpha=alpha)


def _rate(outcomes: Sequence[bool | None]) -> Estimate:
    valid = [outcome for outcome in outcomes if outcome is not None]
    return clopper_pearson(sum(valid), len(valid), void=len(outcomes) - len(valid))


def with_signs(difference: Estimate) -> str:
    """A difference with its interval, signs and all."""
    if difference.value is None or difference.low is None or difference.high is None:
        return "not counted"
    return f"{difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessGap(Plain):
    """What one policy loses in a cell, minus what another one loses, on the same cases.

    Args:
        difference: change of the second minus change of the first: above 0 where the second loses less.
        p_value: of "which policy is which does not matter", by sign flips.
        decision: `first`, `second`: who loses less; `cannot say` otherwise.
    """

    variation: str
    difference: Estimate
    p_value: float
    decision: Literal["first", "second", "cannot say"]

    @property
    def axis(self) -> str:
        return self.variation.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessDuel(Plain):
    """Two policies in worse worlds.

    Args:
        names: first and second.
        gaps: a cell each.
    """

    names: tuple[str, str]
    gaps: tuple[RobustnessGap, ...]
    alpha: float = 0.05

    @property
    def sentence(self) -> str:
        """Who loses less, on which axis, and where that cannot be said."""
        said = []
        for which, name in zip(("first", "second"), self.names, strict=True):
            won = [gap for gap in self.gaps if gap.decision == which]
            if won:
                said.append(f"{name} loses less on {', '.join(gap.variation for gap in won)}")
        shown = {gap.axis for gap in self.gaps if gap.decision != "cannot say"}
        open_ = list(dict.fromkeys(gap.axis for gap in self.gaps if gap.axis not in shown))
        first, second = self.names
        head = "; ".join(said) or f"neither {first} nor {second} is shown to be more robust"
        return head + (f"; it cannot be said on {', '.join(open_)}" if open_ else "")

    @property
    def method(self) -> str:
        """How claims were made."""
        return (
            f"difference of the changes on the same cases; a claim needs two-sided sign flips below {self.alpha:g} / "
            f"{len(self.gaps)} and a Student interval of that level without 0"
        )


_Arms = Mapping[str, Mapping[str, bool | None]]


def compare_robustness(
    names: tuple[str, str],
    nominal: tuple[Mapping[str, bool | None], Mapping[str, bool | None]],
    cells: tuple[_Arms, _Arms],
    alpha: float = 0.05,
) -> RobustnessDuel:
    """Who of two loses less in each cell, over cases that were counted in all four arms.

    Args:
        names: first and second policy.
        nominal: of each, case without its variation -> success; `None` where it is void.
        cells: of each, variation -> the same.

    >>> same = {str(k): True for k in range(20)}
    >>> half = {str(k): k < 8 for k in range(20)}
    >>> compare_robustness(("a", "b"), (same, same), ({"light:3": half}, {"light:3": same})).sentence
    'b loses less on light:3'
    """
    variations = [variation for variation in cells[0] if variation in cells[1]]
    gaps = [
        _gap(variation, nominal, (cells[0][variation], cells[1][variation]), alpha / max(1, len(variations)))
        for variation in variations
    ]
    return RobustnessDuel(names=names, gaps=tuple(gaps), alpha=alpha)


def _gap(
    variation: str,
    nominal: tuple[Mapping[str, bool | None], Mapping[str, bool | None]],
    cell: tuple[Mapping[str, bool | None], Mapping[str, bool | None]],
    alpha: float,
) -> RobustnessGap:
    values = []
    for case in cell[0]:
        four = [nominal[0].get(case), cell[0][case], nominal[1].get(case), cell[1].get(case)]
        if None not in four:
            was_first, is_first, was_second, is_second = (float(bool(one)) for one in four)
            values.append((is_second - was_second) - (is_first - was_first))
    changes = np.array(values)
    difference, p_value = _mean_change(changes, 1 - alpha), sign_flips(changes)
    decision: Literal["first", "second", "cannot say"] = "cannot say"
    if p_value <= alpha and difference.low is not None and difference.high is not None:
        decision = "second" if difference.low > 0 else "first" if difference.high < 0 else "cannot say"
    return RobustnessGap(variation=variation, difference=difference, p_value=p_value, decision=decision)


def _mean_change(changes: NDArray[np.float64], level: float) -> Estimate:
    """Mean of differences in -2..2: Student's interval, or one by betting where Student's would be a point."""
    n = len(changes)
    if not n:
        return Estimate(value=None, low=None, high=None, level=level, n=0, method="no pairs")
    mean = float(changes.mean())
    if n < 2 or not changes.std():
        low, high = bounded_mean_sequence([(mean + 2) / 4], [n], level)
        method = "mean of differences, by betting (Waudby-Smith, Ramdas 2024)"
        return Estimate(value=mean, low=4 * low - 2, high=4 * high - 2, level=level, n=n, method=method)
    half = student_isf((1 - level) / 2, n - 1) * float(changes.std(ddof=1)) / n**0.5
    low, high = max(-2.0, mean - half), min(2.0, mean + half)
    return Estimate(value=mean, low=low, high=high, level=level, n=n, method="mean of differences, Student (1908)")
