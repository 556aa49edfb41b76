"""Real and cheap trials combined: a real success rate with fewer real trials, and how many were saved.

A cheap world (simulator, learned model) is tried on the same cases as the robot, and on many more. Where it predicts,
case by case, which real trials succeed, its extra cases stand in for real ones; where it does not, it gets no weight.
It never needs to be right on average: its bias cancels, because only differences of its own scores are used.

`fuse` chooses a mode and says which: PPI++ with a fitted weight from 30 paired cases on; below that a betting interval
that covers at every n. What neither can know: a shift between the paired and the extra cases. Both must be drawn from
the same pool. The policy-level prior, another idea, is in `roboscale.stats.policy_prior`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate
from roboscale.core.plain import Plain
from roboscale.stats.distributions import normal_isf, student_isf
from roboscale.stats.fusion_betting import betting_interval

__all__ = ["MIN_PAIRS", "Fusion", "FusionMode", "case_ceiling", "fuse", "ppi_estimate"]

FusionMode = Literal["auto", "ppi++", "betting", "control variate"]

MIN_PAIRS = 30
"""Paired cases from which PPI++ is used; its coverage is simulated in benchmarks/stats_fusion.py."""

_PSEUDO = 0.25
_METHODS: dict[str, str] = {
    "ppi++": "PPI++ with fitted weight (Angelopoulos et al. 2023), Wilson score with effective trials",
    "control variate": "control variate with known mean (Lavenberg, Welch 1981), Wilson score with effective trials",
    "betting": "hedged betting (Waudby-Smith, Ramdas 2024) on real trials and on PPI differences",
    "real only": "Wilson (JASA 1927)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion(Plain):
    """A real rate from real and cheap trials.

    Args:
        estimate: the real rate; `n` counts paired real trials, `void` those without a valid outcome on both sides.
        real_only: the same from the real trials alone, by the same kind of interval.
        mode: how they were combined.
        weight: weight of the cheap scores, averaged over trials; 0 means they were not used.
        correlation: of real and cheap outcomes case by case, shrunk for few cases; `None` where one never varies.
        saved: share of real trials saved, 1 - (width / width real only)^2; negative where the interval got wider.
        saved_trials: real trials that a real-only study of the same width would have needed in addition.
        ceiling: the share this cheap world could save with unlimited cheap trials, correlation^2.
        cheap: number of extra cheap trials; `None` where their mean is known.
        sentence: all of this in words.
    """

    estimate: Estimate
    real_only: Estimate
    mode: str
    weight: float
    correlation: float | None
    saved: float | None
    saved_trials: int | None
    ceiling: float | None
    cheap: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class _Moments:
    """Of real outcomes y and cheap scores f on the same cases, with pseudo cases that pull the correlation to 0."""

    correlation: float
    slope: float
    n: float


def fuse(
    real: Sequence[float | bool | None],
    cheap: Sequence[float | bool | None],
    extra: Sequence[float | bool] = (),
    level: float = 0.95,
    mode: FusionMode = "auto",
    cheap_mean: float | None = None,
) -> Fusion:
    """Estimates a real rate from paired cases and extra cheap trials.

    Args:
        real: real outcomes in 0 .. 1 (success or progress), `None` where void; in schedule order.
        cheap: outcome or any score of the cheap world on the same cases, aligned with `real`.
        extra: cheap outcomes on further cases of the same pool.
        mode: "auto" takes PPI++ from `MIN_PAIRS` pairs on, betting below.
        cheap_mean: mean cheap score over the pool, where it is known exactly (a control variate); replaces `extra`.

    Raises:
        ValueError: unequal lengths, real outcomes outside 0 .. 1, both `extra` and `cheap_mean`, or scores outside
            0 .. 1 in betting mode.
    """
    y, f, void = _paired(real, cheap)
    e = np.asarray(extra, float)
    if not np.all(np.isfinite(e)) or not 0 < level < 1:
        raise ValueError("extra cheap scores must be finite numbers, and the level inside (0, 1)")
    if cheap_mean is not None and len(e):
        raise ValueError("give extra cheap trials or their known mean, not both")
    chosen = _choose(mode, len(y), len(e), cheap_mean)
    if not len(y):
        nothing = Estimate(value=None, low=None, high=None, level=level, n=0, method=_METHODS[chosen], void=void)
        return Fusion(
            estimate=nothing,
            real_only=nothing,
            mode=chosen,
            weight=0.0,
            correlation=None,
            saved=None,
            saved_trials=None,
            ceiling=None,
            cheap=len(e),
            sentence="No real trial was counted",
        )
    if chosen == "betting":
        value, low, high, weight = betting_interval(y, f, e, level)
        alone = betting_interval(y, f, e[:0], level)[:3]
    else:
        share = 1.0 if cheap_mean is not None else len(e) / (len(y) + len(e))
        centre = cheap_mean if cheap_mean is not None else float(e.mean()) if len(e) else float(f.mean())
        value, low, high, weight = _ppi_interval(y, f, e, centre, share, level)
        alone = _wilson(float(y.mean()), len(y) / _dispersion(y), level)
    return _report(y, f, e, void, level, chosen, weight, (value, low, high), alone, cheap_mean is not None)


def ppi_estimate(
    real: NDArray[np.float64], cheap: NDArray[np.float64], extra: NDArray[np.float64]
) -> tuple[float, float, float]:
    """PPI++ for a mean as published: value, standard error and weight, without the small-sample corrections of `fuse`.

    mean(y) - w (mean(f) - mean(extra)), w = cov(y, f) / (var(all f) (1 + n / N)), cut to 0 .. 1; the standard error is
    sqrt(var(y - w f) / n + w^2 var(extra) / N), variances over n.

    Source: Angelopoulos, Duchi, Zrnic, PPI++ (arXiv 2311.01453), example 6.1 and proposition 2.
    """
    n, big = len(real), len(extra)
    cov = float(np.mean((real - real.mean()) * (cheap - cheap.mean())))
    var = float(np.var(np.concatenate([cheap, extra])))
    weight = float(np.clip(cov / (var * (1 + n / big)), 0, 1)) if var > 0 else 0.0
    value = float(real.mean() - weight * (cheap.mean() - extra.mean()))
    error = float(np.sqrt(np.var(real - weight * cheap) / n + weight**2 * np.var(extra) / big))
    return value, error, weight


def case_ceiling(outcomes: Sequence[Sequence[float | bool]], level: float = 0.95) -> Estimate:
    """The largest share of real trials that any cheap world could save: how repeatable a case is on the robot.

    A world that knew the success probability of every case would have correlation^2 = var p / (mean (1 - mean)) with
    single outcomes: the intraclass correlation, 1 / (1 + a + b) for probabilities Beta(a, b); .333 if uniform.

    Args:
        outcomes: repeated real outcomes of one policy, one sequence per case; cases tried once do not count.

    Returns:
        ANOVA estimate of the intraclass correlation with Student bounds from leaving out one case at a time; no value
        before two cases were repeated, or while all outcomes are equal.

    Source: Donner, International Statistical Review 54 (1986), equation 2.2; Efron, Stein (1981) for the jackknife.
    """
    method = "intraclass correlation, ANOVA (Donner 1986), jackknife over cases"
    groups = [np.asarray(case, float) for case in outcomes if len(case) > 1]
    # size, mean and sum of squares of each case
    table = np.array([(len(g), g.mean(), ((g - g.mean()) ** 2).sum()) for g in groups]).reshape(-1, 3)
    n = int(table[:, 0].sum())
    whole = _intraclass(table)
    if whole is None:
        return Estimate(value=None, low=None, high=None, level=level, n=n, method=method)
    value = min(max(whole, 0.0), 1.0)
    left_out = [_intraclass(np.delete(table, i, axis=0)) for i in range(len(table))]
    known = np.array([x for x in left_out if x is not None])
    if len(known) < 3:
        return Estimate(value=value, low=None, high=None, level=level, n=n, method=method)
    error = float(np.sqrt((len(known) - 1) * known.var()))
    half = student_isf((1 - level) / 2, len(known) - 1) * error
    return Estimate(
        value=value, low=max(0.0, whole - half), high=min(1.0, whole + half), level=level, n=n, method=method
    )


def _intraclass(table: NDArray[np.float64]) -> float | None:
    """From size, mean and sum of squares by case, shape (cases, 3)."""
    k = len(table)
    if k < 2:
        return None
    sizes, means, squares = table.T
    total = float(sizes.sum())
    within = float(squares.sum()) / (total - k)
    between = float((sizes * (means - np.average(means, weights=sizes)) ** 2).sum()) / (k - 1)
    size = (total - float((sizes**2).sum()) / total) / (k - 1)
    below = between + (size - 1) * within
    return (between - within) / below if below > 0 else None


def _paired(
    real: Sequence[float | bool | None], cheap: Sequence[float | bool | None]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    if len(real) != len(cheap):
        raise ValueError(f"{len(real)} real outcomes, but {len(cheap)} cheap ones on the same cases")
    rows = [(float(y), float(f)) for y, f in zip(real, cheap, strict=True) if y is not None and f is not None]
    pairs = np.array(rows, float).reshape(-1, 2)
    if not np.all(np.isfinite(pairs)) or np.any((pairs[:, 0] < 0) | (pairs[:, 0] > 1)):
        raise ValueError("real outcomes must be in 0 .. 1 and cheap scores finite; a void trial is None")
    return pairs[:, 0], pairs[:, 1], len(real) - len(rows)


def _choose(mode: str, n: int, extra: int, cheap_mean: float | None) -> str:
    if mode not in ("auto", "ppi++", "betting", "control variate"):
        raise ValueError(f"mode is auto, ppi++, betting or control variate, not {mode!r}")
    if (mode == "control variate") != (cheap_mean is not None) and mode != "auto":
        raise ValueError("a control variate needs the known mean of the cheap scores, and only that")
    if cheap_mean is not None:
        return "control variate"
    if mode == "auto":
        return "ppi++" if n >= MIN_PAIRS else "betting"
    return mode


def _moments(y: NDArray[np.float64], f: NDArray[np.float64], everything: NDArray[np.float64]) -> _Moments:
    """Moments with one pseudo case in all, spread over success and failure at low and high cheap scores.

    Without it, a dozen cases on which the worlds happen never to disagree would promise a perfect correlation.
    """
    centre, sd = float(everything.mean()), float(everything.std())
    pseudo = np.array([(a, centre + b * sd) for a in (0.0, 1.0) for b in (-1, 1)])
    rows = np.vstack([np.column_stack([y, f]), pseudo])
    weights = np.append(np.ones(len(y)), np.full(4, _PSEUDO))
    cov = np.cov(rows.T, aweights=weights, ddof=0)
    var_f = float(cov[1, 1])
    if y.std() == 0 or f.std() <= 1e-6 * (1 + abs(centre)):  # where one never varies, nothing is known of both
        return _Moments(0.0, 0.0, float(weights.sum()))
    correlation = float(cov[0, 1] / np.sqrt(cov[0, 0] * var_f))
    return _Moments(correlation, float(cov[0, 1] / var_f), float(weights.sum()))


def _dispersion(y: NDArray[np.float64]) -> float:
    """Variance of the outcomes relative to successes and failures of the same mean; 1 for binary ones."""
    if np.all((y == 0) | (y == 1)):
        return 1.0
    padded = np.append(y, (0.0, 1.0))
    centre = float(padded.mean())
    return float(padded.var()) / (centre * (1 - centre))


def _ppi_interval(
    y: NDArray[np.float64], f: NDArray[np.float64], e: NDArray[np.float64], centre: float, share: float, level: float
) -> tuple[float, float, float, float]:
    """Value, bounds and weight; `share` is N / (n + N)."""
    n = len(y)
    moments = _moments(y, f, np.concatenate([f, e]))
    weight = moments.slope * share
    value = float(np.clip(y.mean() - weight * (f.mean() - centre), 0, 1))
    freedom = max(moments.n - 2, 1.0)
    explained = max(0.0, 1 - (1 - moments.correlation**2) * (moments.n - 1) / freedom)
    effective = n / (_dispersion(y) * (1 - explained * share))
    _, low, high = _wilson(value, effective, level, freedom)
    return value, low, high, weight


def _wilson(rate: float, n: float, level: float, freedom: float | None = None) -> tuple[float, float, float]:
    """Wilson's interval for a real number of trials, with Student quantiles where the variance was fitted."""
    tail = (1 - level) / 2
    z = normal_isf(tail) if freedom is None else student_isf(tail, freedom)
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * float(np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
    low = max(0.0, centre - half) if rate > 0 else 0.0
    high = min(1.0, centre + half) if rate < 1 else 1.0
    return rate, low, high


def _report(
    y: NDArray[np.float64],
    f: NDArray[np.float64],
    e: NDArray[np.float64],
    void: int,
    level: float,
    mode: str,
    weight: float,
    found: tuple[float, float, float],
    alone: tuple[float, float, float],
    known_mean: bool,
) -> Fusion:
    n = len(y)
    varies = y.std() > 0 and f.std() > 0
    correlation = _moments(y, f, np.concatenate([f, e])).correlation if varies else None
    saved = 1 - ((found[2] - found[1]) / (alone[2] - alone[1])) ** 2
    trials = max(0, round(n / (1 - saved) - n)) if saved < 1 else None
    ceiling = None if correlation is None else correlation**2

    def estimate(ends: tuple[float, float, float], method: str) -> Estimate:
        value, low, high = ends
        return Estimate(value=value, low=low, high=high, level=level, n=n, method=_METHODS[method], void=void)

    fused, reference = estimate(found, mode), estimate(alone, "betting" if mode == "betting" else "real only")
    cheap = None if known_mean else len(e)
    sentence = _sentence(fused, mode, saved, trials or 0, correlation, n, len(e), known_mean)
    return Fusion(
        estimate=fused,
        real_only=reference,
        mode=mode,
        weight=weight,
        correlation=correlation,
        saved=saved,
        saved_trials=trials,
        ceiling=ceiling,
        cheap=cheap,
        sentence=sentence,
    )


def _sentence(
    estimate: Estimate, mode: str, saved: float, trials: int, rho: float | None, n: int, cheap: int, known_mean: bool
) -> str:
    if not cheap and not known_mean:
        return f"No cheap trial beyond the {n} paired ones: nothing to save with. {estimate}"
    if rho is None:
        return f"Real or cheap outcomes are all equal on {n} cases: whether the cheap world predicts is unknown"
    if saved <= 0.01:
        gain = "the cheap world saved no real trial"
    else:
        gain = f"{n} real trials did the work of {n + trials} ({100 * saved:.0f} % saved)"
    few = (
        f" Fewer than {MIN_PAIRS} paired cases: a mode that covers at any number was used."
        if mode == "betting"
        else ""
    )
    return (
        f"{gain[0].upper()}{gain[1:]}; correlation {rho:.2f} case by case, so unlimited cheap trials would save at "
        f"most {100 * rho**2:.0f} %.{few if n < MIN_PAIRS else ''} {estimate}"
    )
