"""Two policies by their progress (partial credit) on the same cases, looked at after every pair.

Progress tells policies apart where success is rare: a policy that usually comes half way wins pairs in which both
fail. The evidence is the capital of bettors on the difference d of the two scores, with stakes from -1 to 1: stake b
multiplies its capital by 1 + b d, a fair game when the differences have mean zero given the past. Averaged over stakes
it exceeds 1 / alpha with probability at most alpha, ever (Ville 1939).

Knows nothing of what a progress score means; two policies need the same scorer, and scores in [0, 1].
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core import Decision, Estimate, Verdict
from roboscale.stats.betting import bounded_mean_sequence, mixture_log_wealth
from roboscale.stats.verdicts import rate_with_bounds

__all__ = ["EProcessProgress", "plug_in_log_capital", "progress_log_e"]

_METHOD = "anytime-valid e-process on paired progress, mixture of bets (Waudby-Smith, Ramdas 2024)"
# Differences are kept as counts of distinct values; scores are rounded to this, far below what any scorer resolves.
_STEP = 1e-9


def progress_log_e(differences: ArrayLike) -> float:
    """Log e-value against "the mean difference is zero", two-sided; the order of the differences changes nothing.

    Args:
        differences: second minus first score of each pair, in [-1, 1], (n,).

    Raises:
        ValueError: a difference outside [-1, 1], or not a number.
    """
    values, counts = np.unique(_checked(differences), return_counts=True)
    return mixture_log_wealth((values + 1) / 2, counts, 0.5) if len(values) else 0.0


def plug_in_log_capital(differences: ArrayLike) -> NDArray[np.float64]:
    """Log capital after each pair of the bettor who stakes on the second policy what the past suggests; (n,).

    Stake m / (v + m^2) clipped to [0, .75], from mean m and variance v of the past differences; .1 at the first.
    One-sided, against "the second is not better". Depends on the order. Here to compare the mixture with.

    Source: Waudby-Smith and Ramdas, JRSS-B 86 (2024), section 4 (approximate growth-optimal stakes).
    """
    values = _checked(differences)
    n = np.arange(1, len(values))
    mean = np.cumsum(values)[:-1] / n if len(values) > 1 else np.zeros(0)
    variance = np.maximum(np.cumsum(values**2)[:-1] / n - mean**2, 0.0) if len(values) > 1 else np.zeros(0)
    spread = variance + mean**2
    stake = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    stakes = np.append(0.1, np.clip(stake, 0.0, 0.75))[: len(values)]
    return np.asarray(np.cumsum(np.log1p(stakes * values)))


class EProcessProgress:
    """Compares mean progress on the same cases with no budget; stopping or going on for any reason is allowed.

    Args:
        alpha: two-sided type-I error.
        names: of the first and the second policy.
        min_pairs: do not stop before so many counted pairs. Never changes alpha.
        level: of the intervals, which are confidence sequences.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        names: tuple[str, str] = ("A", "B"),
        min_pairs: int = 1,
        level: float = 0.95,
    ) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be inside (0, 1), not {alpha}")
        if names[0] == names[1]:
            raise ValueError(f"the two policies need different names, both are {names[0]!r}")
        self.alpha, self.names, self.min_pairs, self.level = alpha, names, min_pairs, level
        self._seen: Counter[tuple[float, float]] = Counter()
        self._void = 0
        self._best = 0.0
        self._decision: Decision = "undecided"
        self._evidence: list[dict[str, float]] = []
        self._over = False

    @property
    def decision(self) -> Decision:
        """What `verdict()` will decide, without composing it."""
        return self._decision

    def update(self, first: float | None, second: float | None) -> bool:
        """Consumes the next pair of scores in schedule order; True when no further trial can be needed.

        Args:
            first, second: progress in [0, 1]; `None` for a side that stayed void, and then the pair is not counted.
        """
        for score in (first, second):
            if score is not None and not 0 <= score <= 1:
                raise ValueError(f"progress is in [0, 1], not {score}")
        if self._over or first is None or second is None:
            self._void += not self._over
            return self._over
        self._seen[round(first / _STEP) * _STEP, round(second / _STEP) * _STEP] += 1
        self._look()
        return self._over

    def finish(self) -> None:
        """No further pair will come."""
        self._over = True
        if self._decision == "undecided":
            self._decision = "no difference shown"

    def verdict(self) -> Verdict:
        """What the pairs so far allow to say; valid at any time. The p-value is 1 / (largest e-value so far)."""
        first, second = self.names
        estimates = {
            first: self._mean(0),
            second: self._mean(1),
            "difference": self._difference(),
        }
        return Verdict(
            decision=self._decision,
            sentence=self._sentence(estimates),
            alpha=self.alpha,
            n=self._seen.total(),
            discordant=sum(count for (x, y), count in self._seen.items() if x != y),
            p_value=math.exp(-self._best) if self._seen else None,
            method=_METHOD,
            needed=self._needed(),
            estimates=estimates,
            evidence=tuple(self._evidence),
        )

    def _look(self) -> None:
        log_e, gap = self._log_e(), self._gap()
        self._best = max(self._best, log_e)
        n = self._seen.total()
        row = {"n": n, "lead": gap * n, "alpha_spent": math.exp(-self._best), "log_e_value": log_e}
        self._evidence.append({name: float(value) for name, value in row.items()})
        if self._decision == "undecided" and log_e >= -math.log(self.alpha):
            self._decision = "second is better" if gap > 0 else "first is better"
        self._over = self._decision != "undecided" and n >= self.min_pairs

    def _differences(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        counts: Counter[float] = Counter()
        for (first, second), count in self._seen.items():
            counts[round((second - first) / _STEP) * _STEP] += count
        values = sorted(counts)
        return np.array(values, float), np.array([counts[value] for value in values], np.int64)

    def _log_e(self) -> float:
        values, counts = self._differences()
        return mixture_log_wealth((values + 1) / 2, counts, 0.5)

    def _gap(self) -> float:
        values, counts = self._differences()
        return float(values @ counts / counts.sum())

    def _mean(self, side: int) -> Estimate:
        method = "confidence sequence of mean progress by betting (Waudby-Smith, Ramdas 2024)"
        n = self._seen.total()
        if n == 0:
            return Estimate(value=None, low=None, high=None, level=self.level, n=0, method=method, void=self._void)
        values = [pair[side] for pair in self._seen]
        counts = list(self._seen.values())
        low, high = bounded_mean_sequence(np.clip(values, 0, 1), counts, self.level)
        return Estimate(
            value=float(np.dot(values, counts) / n),
            low=low,
            high=high,
            level=self.level,
            n=n,
            method=method,
            void=self._void,
        )

    def _difference(self) -> Estimate:
        method = "confidence sequence of the paired difference by betting (Waudby-Smith, Ramdas 2024)"
        n = self._seen.total()
        if n == 0:
            return Estimate(value=None, low=None, high=None, level=self.level, n=0, method=method, void=self._void)
        values, counts = self._differences()
        low, high = bounded_mean_sequence(np.clip((values + 1) / 2, 0, 1), counts, self.level)
        return Estimate(
            value=self._gap(),
            low=2 * low - 1,
            high=2 * high - 1,
            level=self.level,
            n=n,
            method=method,
            void=self._void,
        )

    def _needed(self) -> int | None:
        """Further pairs at which the e-value would be expected to decide, if the differences so far are typical."""
        values, counts = self._differences()
        n = int(counts.sum())
        if self._decision in ("first is better", "second is better") or n < 2:
            return None
        mean = float(values @ counts / n)
        variance = float((values - mean) ** 2 @ counts / (n - 1))
        if variance == 0 or abs(mean) <= math.sqrt(variance / n):
            return None
        # the best stake gains about mean^2 / (2 E d^2) a pair, and the mixture lags it by half a log of the pairs
        growth = mean**2 / (2 * (variance + mean**2))
        goal = -math.log(self.alpha) + 0.5 * math.log(n + 1)
        return max(1, math.ceil(goal / growth) - n)

    def _sentence(self, estimates: dict[str, Estimate]) -> str:
        first, second = self.names
        ahead, behind = (second, first) if self._decision == "second is better" else (first, second)
        claim = {
            "undecided": f"Undecided between {first} and {second} so far",
            "no difference shown": f"No difference shown between {first} and {second}",
        }.get(self._decision, f"{ahead} makes more progress than {behind}")
        n = self._seen.total()
        void = f", {self._void} void" if self._void else ""
        if n == 0:
            return f"{claim}: no paired case was counted ({self._void} void)"
        rates = " against ".join(rate_with_bounds(estimates[name]) for name in (ahead, behind))
        basis = f"e-process, alpha {self.alpha:g}; intervals are {100 * self.level:g} % confidence sequences"
        return f"{claim}: mean progress {rates} on {n} paired cases ({basis}{void})"


def _checked(differences: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(differences, float)
    if values.ndim != 1 or not np.all((values >= -1) & (values <= 1)):
        raise ValueError("differences of progress are a list of numbers in [-1, 1]")
    return values
