"""How much success a policy loses when its world gets worse: every cell against the unperturbed arm, same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roboscale.core import Estimate, PairedOutcome
from roboscale.core.plain import Plain
from roboscale.stats.differences import paired_difference
from roboscale.stats.proportions import clopper_pearson

__all__ = ["PerturbedCell", "Robustness", "robustness", "with_signs"]


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
