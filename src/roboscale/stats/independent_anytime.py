"""Two policies on independent trials, looked at whenever one likes, with no budget.

The evidence is the capital of a bettor who predicts the next trial of each arm from the trials before it and plays
against the best explanation by one common rate. It is fair when the rates are equal, so it exceeds 1 / alpha with
probability at most alpha, ever (Ville 1939). With a budget, `roboscale.stats.independent` needs fewer trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Decision, Estimate, Outcomes, RoboscaleError, Verdict
from roboscale.stats.barnard import compose_independent
from roboscale.stats.deciding import rests_on_voids
from roboscale.stats.many import Compared, ManyVerdict, assemble
from roboscale.stats.proportions import beta_confidence_sequence

__all__ = ["EProcessIndependent", "InOrder", "compare_in_order"]

_METHOD = "anytime-valid e-process for two independent rates (Turner, Ly, Grünwald 2021; Turner, Grünwald 2023)"


@dataclass(slots=True)
class _Side:
    """A bettor on one direction: the arm `high` has the larger rate. Starts as if each arm had been seen to say so."""

    log_capital: float = 0.0
    beta: dict[str, list[float]] = field(
        default_factory=lambda: {"low": [1.0, 2.0], "high": [2.0, 1.0]}
    )  # successes and failures

    def play(self, low: bool, high: bool) -> None:
        """One trial of each arm; the bet was made before them."""
        rates = {arm: seen[0] / sum(seen) for arm, seen in self.beta.items()}
        # against the point of "low >= high" that is nearest to what is predicted: the common rate, or the prediction
        # itself where it does not even say that high is better
        common = (rates["low"] + rates["high"]) / 2
        null = {arm: common if rates["low"] < rates["high"] else rates[arm] for arm in rates}
        for arm, won in (("low", low), ("high", high)):
            p, q = (rates[arm], null[arm]) if won else (1 - rates[arm], 1 - null[arm])
            self.log_capital += math.log(p / q)
            self.beta[arm][0 if won else 1] += 1


class EProcessIndependent:
    """Compares two success rates trial by trial; stopping or going on for any reason is allowed.

    One trial of each policy is a step. Half of alpha is spent on each direction.

    Args:
        alpha: two-sided type-I error.
        names: of the first and the second policy.
        min_steps: do not stop before so many steps. Never changes alpha.
        level: of the intervals, which are confidence sequences.

    >>> test = EProcessIndependent(names=("old", "new"))
    >>> steps = next(n for n in range(1, 100) if test.update(n % 10 == 0, n % 10 != 0))
    >>> test.verdict().decision, steps < 30
    ('second is better', True)

    Source: Turner and Grünwald, "Exact anytime-valid confidence intervals for contingency tables and beyond" (2023);
    betas that start at (1, 2) and (2, 1) as in the published comparison of sequential tests of policies.
    """

    def __init__(
        self, *, alpha: float = 0.05, names: tuple[str, str] = ("A", "B"), min_steps: int = 1, level: float = 0.95
    ) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be inside (0, 1), not {alpha}")
        if names[0] == names[1]:
            raise ValueError(f"the two policies need different names, both are {names[0]!r}")
        self.alpha, self.names, self.min_steps, self.level = alpha, names, min_steps, level
        self._sides: dict[Literal["first", "second"], _Side] = {"first": _Side(), "second": _Side()}
        self._best = {"first": 0.0, "second": 0.0}
        self._won = [0, 0]
        self._steps = self._void = 0
        self._decision: Decision = "undecided"

    @property
    def decision(self) -> Decision:
        """What `verdict()` will decide, without composing it."""
        return self._decision

    def update(self, first: bool | None, second: bool | None) -> bool:
        """The next trial of each policy; True when no further one can be needed. A step with a void side is left out.

        Raises:
            ValueError: an outcome that is not a truth value.
        """
        for outcome in (first, second):
            if outcome is not None and outcome not in (0, 1):
                raise ValueError(f"an outcome is true, false or None, not {outcome!r}")
        if first is None or second is None:
            self._void += 1
            return self._over
        self._steps += 1
        self._won[0] += bool(first)
        self._won[1] += bool(second)
        self._sides["second"].play(low=bool(first), high=bool(second))
        self._sides["first"].play(low=bool(second), high=bool(first))
        for side in self._sides:
            self._best[side] = max(self._best[side], self._sides[side].log_capital)
            if self._decision == "undecided" and self._best[side] >= math.log(2 / self.alpha):
                self._decision = "second is better" if side == "second" else "first is better"
        return self._over

    @property
    def _over(self) -> bool:
        return self._decision != "undecided" and self._steps >= self.min_steps

    def verdict(self) -> Verdict:
        """What the trials so far allow to say; valid at any time. The p-value is 2 / (largest e-value so far)."""
        estimates: dict[str, Estimate] = {
            name: beta_confidence_sequence(won, self._steps, self.level, self._void)
            for name, won in zip(self.names, self._won, strict=True)
        }
        basis = f"e-process, alpha {self.alpha:g}; intervals are {100 * self.level:g} % confidence sequences"
        return Verdict(
            decision=self._decision,
            sentence=compose_independent(self._decision, self.names, estimates, basis),
            alpha=self.alpha,
            n=self._steps,
            discordant=0,
            p_value=min(1.0, 2 * math.exp(-max(self._best.values()))) if self._steps else None,
            method=_METHOD,
            estimates=estimates,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InOrder:
    """What trials say that are read in their order.

    Args:
        verdict: every pair.
        notes: what was assumed, and what was left out.
        withdrawn: claims that the counted trials allow and the void ones forbid, a sentence each.
    """

    verdict: ManyVerdict
    notes: tuple[str, ...]
    withdrawn: tuple[str, ...] = ()


def compare_in_order(outcomes: Outcomes, alpha: float = 0.05, level: float = 0.95) -> InOrder:
    """Every pair of policies on independent trials, the n-th of each together, whenever one stopped.

    The rows' order is that in which the trials were made. Pairs share alpha alike (Bonferroni).

    Raises:
        RoboscaleError: of progress, of counts, which have no order, or of several tasks or worlds, whose rates differ.
    """
    _has_an_order(outcomes)
    names = _best_first(outcomes)
    series = {name: outcomes.value[outcomes.policy == outcomes.policies.index(name)] for name in names}
    pairs = list(combinations(names, 2))
    share = alpha / max(len(pairs), 1)
    compared, withdrawn = [], []
    for first, second in pairs:
        verdict = _read(series[first], series[second], (first, second), share, level).verdict()
        if verdict.decision != "undecided" and (why := _worst(series, verdict.decision, (first, second), share)):
            withdrawn.append(why)
            verdict = replace(verdict, decision="undecided", sentence=f"{first} and {second}: {why}.")
        p_value = None if verdict.p_value is None else min(1.0, verdict.p_value * len(pairs))
        compared.append(Compared(first, second, replace(verdict, alpha=alpha, p_value=p_value)))
    rates = {name: _rate(series[name], level) for name in names}
    method = f"{_METHOD}; family-wise error by Bonferroni"
    longest = max(map(len, series.values()))
    notes = ["Trials are read in the order of their rows, the n-th of each policy together"]
    if short := {name: len(values) for name, values in series.items() if len(values) < longest}:
        notes.append(f"A pair ends with its shorter row of trials: {', '.join(f'{n} {k}' for n, k in short.items())}")
    return InOrder(
        verdict=assemble(names, rates, compared, alpha, method), notes=tuple(notes), withdrawn=tuple(withdrawn)
    )


def _has_an_order(outcomes: Outcomes) -> None:
    if outcomes.kind != "success":
        raise RoboscaleError("anytime-valid tests of independent trials take successes, not progress (--by success)")
    if (outcomes.weight > 1).any():
        raise RoboscaleError("anytime-valid tests read trials one by one in their order, and these are counts")
    strata = sorted({outcomes.strata[k].text for k in np.unique(outcomes.stratum)})
    if len(strata) > 1:
        shown = ", ".join(strata[:5])
        raise RoboscaleError(
            f"anytime-valid tests of independent trials take one rate per policy, and these are of {shown} "
            "(--task or --world for one of them)"
        )


def _best_first(outcomes: Outcomes) -> tuple[str, ...]:
    won, tried, _ = (table.sum(axis=1) for table in outcomes.counts())
    rates = {name: won[k] / tried[k] if tried[k] else -1.0 for k, name in enumerate(outcomes.policies)}
    return tuple(sorted(rates, key=lambda name: (-rates[name], name)))


def _rate(values: NDArray[np.float64], level: float) -> Estimate:
    counted = values[~np.isnan(values)]
    return beta_confidence_sequence(int(counted.sum()), len(counted), level, len(values) - len(counted))


def _read(
    first: Sequence[float] | NDArray[np.float64],
    second: Sequence[float] | NDArray[np.float64],
    names: tuple[str, str],
    alpha: float,
    level: float,
) -> EProcessIndependent:
    """The test after all trials of the shorter row."""
    test = EProcessIndependent(alpha=alpha, names=names, level=level)
    for a, b in zip(first, second, strict=False):
        test.update(None if math.isnan(a) else bool(a), None if math.isnan(b) else bool(b))
    return test


def _worst(series: dict[str, NDArray[np.float64]], decision: Decision, names: tuple[str, str], alpha: float) -> str:
    """Why a claim rests on void trials, the winner's as failures and the loser's as successes; "" if it stands."""
    ahead, behind = names if decision == "first is better" else names[::-1]
    void = {name: int(np.isnan(series[name]).sum()) for name in names}
    if not any(void.values()):
        return ""
    filled = {ahead: np.nan_to_num(series[ahead], nan=0.0), behind: np.nan_to_num(series[behind], nan=1.0)}
    worst = _read(filled[names[0]], filled[names[1]], names, alpha, 0.95)
    return "" if worst.decision == decision else rests_on_voids(ahead, behind, void)
