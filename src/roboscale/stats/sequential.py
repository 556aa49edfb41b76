"""When may one stop trying two policies on the same cases? Two stop rules that may look after every pair.

`SequentialPaired` has a budget and is the sharper one. `EProcessPaired` has none: one may go on, or stop, for any
reason at any time. Both look at discordant pairs only, so they hold whatever the tasks' difficulties.

Pairs come in the order of the schedule. In order of completion the rules are not valid: successes end sooner.
"""

from __future__ import annotations

import math

from roboscale.core import Decision, PairedOutcome, Verdict
from roboscale.stats.betting import beta_log_wealth
from roboscale.stats.outlook import pairs_for_new_comparison, pairs_until_decision
from roboscale.stats.paired import PairCounts
from roboscale.stats.verdicts import compose_sentence, paired_estimates
from roboscale.stats.walk import (
    Spending,
    boundary,
    eprocess_thresholds,
    expected_pairs,
    naive_peeking_error,
    stopping_table,
    type_one_error,
)

__all__ = [
    "EProcessPaired",
    "SequentialPaired",
    "boundary",
    "expected_pairs",
    "naive_peeking_error",
    "stopping_table",
    "type_one_error",
]

_FORECAST_HORIZON = 200


class _PairedRule:
    """What both rules share: counting, latching the decision, the evidence rows."""

    def __init__(self, alpha: float, names: tuple[str, str], min_pairs: int, level: float) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be inside (0, 1), not {alpha}")
        if names[0] == names[1]:
            raise ValueError(f"the two policies need different names, both are {names[0]!r}")
        self.alpha, self.names, self.min_pairs, self.level = alpha, names, min_pairs, level
        self._counts = PairCounts()
        self._decision: Decision = "undecided"
        self._p_value: float | None = None
        self._evidence: list[dict[str, float]] = []
        self._over = False

    @property
    def counts(self) -> PairCounts:
        """The pairs consumed so far."""
        return self._counts

    @property
    def decision(self) -> Decision:
        """What `verdict()` will decide, without composing it."""
        return self._decision

    def update(self, pair: PairedOutcome) -> bool:
        """Consumes the next pair of the schedule; True when no further trial can be needed.

        A pair with a void side only raises the void count. Pairs after the stop are ignored: they came too late to
        take part. Once a decision has fallen it stands, also while `min_pairs` still asks for more pairs.
        """
        if self._over:
            return True
        self._counts = self._counts.plus(pair)
        if pair.first is not None and pair.second is not None:
            self._look()
        return self._over

    def finish(self) -> None:
        """No further pair will come, for a reason that has nothing to do with who was winning."""
        self._over = True
        if self._decision == "undecided":
            self._decision = "no difference shown"

    def _look(self) -> None:
        raise NotImplementedError

    def _record(self, fewest: int, spent: float, log_e: float) -> None:
        """Appends the evidence row; thresholds become leads of the second policy over the first.

        `spent` is the error spent so far; for the e-process, which spends none, its anytime p-value.
        """
        counts = self._counts
        lead = 2.0 * fewest - counts.discordant
        self._evidence.append(
            {
                "n": float(counts.n),
                "discordant": float(counts.discordant),
                "wins_first": float(counts.first_only),
                "wins_second": float(counts.second_only),
                "lead": float(counts.second_only - counts.first_only),
                "upper": lead,
                "lower": -lead,
                "alpha_spent": spent,
                "log_e_value": log_e,
            }
        )

    def _log_e_value(self) -> float:
        # of the larger side, so that relabelling the policies changes no bit
        return beta_log_wealth(max(self._counts.first_only, self._counts.second_only), self._counts.discordant, 0.5)

    def _leader(self) -> Decision:
        return "second is better" if self._counts.second_only > self._counts.first_only else "first is better"

    def _compose(self, test: str, method: str, needed: int | None) -> Verdict:
        estimates = paired_estimates(self._counts, self.names, self.level, stopped_by_data=True)
        basis = f"{test}, alpha {self.alpha:g}; intervals are {100 * self.level:g} % confidence sequences"
        return Verdict(
            decision=self._decision,
            sentence=compose_sentence(self._decision, self._counts, self.names, estimates, basis),
            alpha=self.alpha,
            n=self._counts.n,
            discordant=self._counts.discordant,
            p_value=self._p_value,
            method=method,
            needed=needed,
            estimates=estimates,
            evidence=tuple(self._evidence),
        )


class SequentialPaired(_PairedRule):
    """The exact sequential paired test: two-sided, looks after every pair, type-I error at most alpha.

    Alpha is spent along the fair walk of discordant pairs (`roboscale.stats.walk`); the error is a count of paths, at
    most alpha for any discordance and any mixture of strata. It stops when the walk crosses, when the budget ends, or
    when not even a run of wins to the end of the budget could cross.

    Args:
        budget: most pairs that will be counted; void pairs are not.
        alpha: two-sided type-I error.
        names: of the first and the second policy.
        min_pairs: do not stop before so many counted pairs, e.g. to have rates worth printing. Never changes alpha.
        level: of the intervals, which are confidence sequences.
        curtail: stop when a decision has become impossible; False to spend the whole budget on the rates.
        spending: how alpha is spent; see `roboscale.stats.walk.SPENDING`.
    """

    def __init__(
        self,
        *,
        budget: int,
        alpha: float = 0.05,
        names: tuple[str, str] = ("A", "B"),
        min_pairs: int = 1,
        level: float = 0.95,
        curtail: bool = True,
        spending: Spending = "three horizons",
    ) -> None:
        super().__init__(alpha, names, min_pairs, level)
        self.budget, self.curtail = budget, curtail
        self.limit = boundary(budget, alpha, spending)
        self._allowed = self.limit.allowed_losses()

    def finish(self) -> None:
        """No further pair will come although the budget is not spent, e.g. because cases stayed void.

        Takes the last look, with what is left of alpha. Valid as long as the end did not depend on who was winning.
        """
        if not self._over and self._evidence and self._decision == "undecided":
            self._evidence.pop()
            self._test(last=True)
        super().finish()

    def verdict(self) -> Verdict:
        """What the pairs so far allow to say; valid at any time, also before the stop."""
        decided = self._decision not in ("undecided", "no difference shown")
        test = "sequential exact paired test"
        if self._over and not decided and self._allowed[-1] < 0:
            test += f" that cannot decide within a budget of {self.budget}"
        elif self._over and not decided and self._hopeless():
            test += f", stopped when the rest of a budget of {self.budget} could not decide"
        method = "sequential exact paired test (McNemar walk, Lan-DeMets 1983 spending)"
        return self._compose(test, method, None if decided else self._needed())

    def _look(self) -> None:
        if self._decision == "undecided":
            self._test(last=self._counts.n >= self.budget)
        else:
            self._record_row(last=False)
        n = self._counts.n
        settled = self._decision != "undecided" or (self.curtail and self._hopeless())
        if n >= self.budget or (settled and n >= self.min_pairs):
            super().finish()

    def _test(self, last: bool) -> None:
        tosses, most = self._counts.discordant, max(self._counts.first_only, self._counts.second_only)
        self._record_row(last)
        if most >= self.limit.threshold(tosses, last):
            self._decision = self._leader()
        if self._decision != "undecided" or last:
            self._p_value = self._stagewise_p_value(tosses, most)

    def _record_row(self, last: bool) -> None:
        tosses = self._counts.discordant
        fewest = self.limit.threshold(tosses, last)
        spent = float(self.limit.spent[tosses])
        if last:
            spent += 2 * float(self.limit.survivors(tosses)[fewest:].sum())
        self._record(fewest, spent, self._log_e_value())

    def _stagewise_p_value(self, tosses: int, most: int) -> float:
        """P(a decision this early, or at this end a lead this large | no difference); Tsiatis et al. 1984 ordering."""
        beyond = 2 * float(self.limit.survivors(tosses)[most:].sum())
        return min(1.0, float(self.limit.spent[tosses]) + beyond)

    def _hopeless(self) -> bool:
        left = self.budget - self._counts.n
        reach = self._counts.discordant + left
        return left > 0 and min(self._counts.first_only, self._counts.second_only) > int(self._allowed[reach])

    def _needed(self) -> int | None:
        if self._over:
            return pairs_for_new_comparison(self._counts, self.alpha)
        left = self.budget - self._counts.n
        horizon = min(left, _FORECAST_HORIZON)
        final = self.limit.final if horizon == left else None
        return pairs_until_decision(self._counts, self.limit.running, final, horizon)


class EProcessPaired(_PairedRule):
    """The anytime-valid paired test: no budget, and stopping or going on for any reason keeps the error below alpha.

    The e-value is the capital of a Beta(1/2, 1/2) mixture of bettors on the discordant pairs, who play against a fair
    coin; it decides at 1 / alpha. Needs more pairs than `SequentialPaired` with a budget that fits, and shows a
    difference less often by the end of one; its strength is that nothing had to be promised.

    Args:
        alpha, names, min_pairs, level: as for `SequentialPaired`.

    Source: Ville (1939); Ramdas, Grünwald, Vovk and Shafer, Statistical Science 38 (2023).
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        names: tuple[str, str] = ("A", "B"),
        min_pairs: int = 1,
        level: float = 0.95,
    ) -> None:
        super().__init__(alpha, names, min_pairs, level)
        self._best = 0.0

    def verdict(self) -> Verdict:
        """What the pairs so far allow to say; valid at any time. The p-value is 1 / (largest e-value so far)."""
        decided = self._decision not in ("undecided", "no difference shown")
        needed = None if decided else self._needed()
        return self._compose("anytime-valid paired e-process", "beta-mixture e-process (Ville 1939)", needed)

    def _look(self) -> None:
        counts = self._counts
        log_e = self._log_e_value()
        self._best = max(self._best, log_e)
        self._p_value = math.exp(-self._best)
        fewest = int(eprocess_thresholds(_rounded_up(counts.discordant), self.alpha)[counts.discordant])
        self._record(fewest, self._p_value, log_e)
        if self._decision == "undecided" and log_e >= -math.log(self.alpha):
            self._decision = self._leader()
        self._over = self._decision != "undecided" and counts.n >= self.min_pairs

    def _needed(self) -> int | None:
        running = eprocess_thresholds(_rounded_up(self._counts.discordant + _FORECAST_HORIZON), self.alpha)
        within = pairs_until_decision(self._counts, running, None, _FORECAST_HORIZON)
        return within or pairs_for_new_comparison(self._counts, self.alpha)


def _rounded_up(discordant: int) -> int:
    """A size for the cached boundary, so that it is rebuilt seldom."""
    return 100 * (discordant // 100 + 1)
