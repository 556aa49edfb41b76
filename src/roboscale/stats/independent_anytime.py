"""Two policies on independent trials, looked at whenever one likes, with no budget.

The evidence is the capital of a bettor who predicts the next trial of each arm from the trials before it and plays
against the best explanation by one common rate. It is fair when the rates are equal, so it exceeds 1 / alpha with
probability at most alpha, ever (Ville 1939). With a budget, `roboscale.stats.independent` needs fewer trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from roboscale.core import Decision, Estimate, Verdict
from roboscale.stats.barnard import compose_independent
from roboscale.stats.proportions import beta_confidence_sequence

__all__ = ["EProcessIndependent"]

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
