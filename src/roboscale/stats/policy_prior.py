"""Scores of many policies in a cheap world as a prior for their real rates: borrowing between policies.

real_i ~ N(a + b cheap_i, spread^2): the line and its scatter are learnt from the policies themselves, so a cheap
world that ranks policies well shrinks each real rate towards the line, and one that does not leaves them alone.
Another thing than `roboscale.stats.fusion`, which needs no other policies but outcomes case by case: a simulator can
rank policies at r = .9 and say nothing about a single case.

Does not know which policies are alike: a family that the simulator flatters is drawn to the line as all are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate
from roboscale.stats.distributions import normal_cdf
from roboscale.stats.proportions import wilson

__all__ = ["MIN_POLICIES", "PolicyPrior", "policy_prior", "prior_worth"]

MIN_POLICIES = 5
"""Policies below which a line and its scatter cannot be told apart."""

_METHOD = "hierarchical normal model on cheap scores, scatter integrated out (Gelman et al., BDA3, section 5.4)"
_SPREADS = np.concatenate([np.linspace(0.002, 0.1, 50), np.linspace(0.11, 0.6, 50)])


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPrior:
    """Real rates of all policies with the cheap world as prior.

    Args:
        estimates: by policy; those of `wilson` where there are fewer than `MIN_POLICIES` policies.
        real_only: Wilson intervals from the real trials alone.
        slope: real points per cheap point, with bounds; `None` bounds where it cannot be told.
        worth: real trials per policy that the prior is worth; `None` where it cannot be told.
        sentence: in words.
    """

    estimates: Mapping[str, Estimate]
    real_only: Mapping[str, Estimate]
    slope: Estimate
    worth: float | None
    sentence: str


def prior_worth(spread: float, correlation: float, trial_variance: float = 0.25) -> float | None:
    """Real trials per policy that a prior is worth: trial_variance / (spread^2 (1 - correlation^2)).

    Args:
        spread: standard deviation of the policies' real rates.
        correlation: of real rates and cheap scores over policies.

    Returns:
        The number (.2, .9 give 33), or `None` where the prior would fix the rates exactly.
    """
    left = spread**2 * (1 - correlation**2)
    return trial_variance / left if left > 0 else None


def policy_prior(real: Mapping[str, tuple[int, int]], cheap: Mapping[str, float], level: float = 0.95) -> PolicyPrior:
    """Real rates of policies, each with the others and the cheap scores as prior.

    Args:
        real: (successes, trials) by policy; 0 trials are allowed: the answer is then the line's.
        cheap: mean score in the cheap world by policy; policies without one keep their real-only interval.
    """
    alone = {name: wilson(*counts, level) for name, counts in sorted(real.items())}
    names = [name for name in alone if name in cheap and real[name][1] > 0]
    n = sum(counts[1] for counts in real.values())
    x = np.array([cheap[name] for name in names])
    if len(names) < MIN_POLICIES or np.ptp(x) < 1e-9:
        why = f"{len(names)} policies have both real trials and a cheap score"
        if len(names) >= MIN_POLICIES:
            why = "all policies have the same cheap score"
        nothing = Estimate(value=None, low=None, high=None, level=level, n=n, method="the data cannot say")
        return PolicyPrior(
            estimates=alone,
            real_only=alone,
            slope=nothing,
            worth=None,
            sentence=f"The cheap world is not used as a prior: {why}",
        )
    asked = [name for name in alone if name in cheap]
    return _fit(real, cheap, names, asked, alone, level, n)


def _fit(
    real: Mapping[str, tuple[int, int]],
    cheap: Mapping[str, float],
    names: list[str],
    asked: list[str],
    alone: dict[str, Estimate],
    level: float,
    n: int,
) -> PolicyPrior:
    k, trials = (np.array([real[name][i] for name in names], float) for i in (0, 1))
    x = np.array([cheap[name] for name in names])
    smoothed = (k + 1) / (trials + 2)
    noise = smoothed * (1 - smoothed) / trials
    design = np.column_stack([np.ones(len(x)), x - x.mean()])
    fitted = dict(alone)
    for name in asked:
        row = np.array([1.0, cheap[name] - x.mean()])
        others = np.array([other != name for other in names])
        line = _lines(design[others], (k / trials)[others], noise[others])
        fitted[name] = _posterior(*_at(row, line), real[name], level)
    weights, lines, covariances = _lines(design, k / trials, noise)
    slope = _mixture_estimate(weights, lines[:, 1], covariances[:, 1, 1], level, n)
    typical = float(weights @ _SPREADS**2)
    worth = float(np.mean(smoothed * (1 - smoothed))) / typical
    sentence = f"The cheap scores of {len(names)} policies are worth about {worth:.0f} real trials per policy"
    return PolicyPrior(estimates=fitted, real_only=alone, slope=slope, worth=worth, sentence=sentence)


def _lines(
    design: NDArray[np.float64], rates: NDArray[np.float64], noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each scatter: its posterior weight, and mean (S, 2) and covariance (S, 2, 2) of the line; flat priors."""
    logs, lines, covariances = [], [], []
    for spread in _SPREADS:
        weight = 1 / (noise + spread**2)
        covariance = np.linalg.inv(design.T @ (design * weight[:, None]) + 1e-9 * np.eye(2))
        line = covariance @ (design.T @ (weight * rates))
        misfit = rates - design @ line
        logs.append(0.5 * (np.linalg.slogdet(covariance)[1] + np.log(weight).sum() - (weight * misfit**2).sum()))
        lines.append(line)
        covariances.append(covariance)
    width = np.gradient(_SPREADS)
    weights = np.exp(np.array(logs) - max(logs)) * width
    return weights / weights.sum(), np.array(lines), np.array(covariances)


def _at(
    row: NDArray[np.float64], line: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weight, mean and variance of a policy's rate for each scatter, from the line through the others."""
    weights, lines, covariances = line
    return weights, lines @ row, np.einsum("i,sij,j->s", row, covariances, row) + _SPREADS**2


def _posterior(
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    variances: NDArray[np.float64],
    counts: tuple[int, int],
    level: float,
) -> Estimate:
    """Mixture-of-normals prior on a rate grid times the binomial likelihood of the policy's own trials."""
    grid = np.linspace(0.0005, 0.9995, 1000)
    sds = np.sqrt(variances)[:, None]
    prior = weights @ (np.exp(-0.5 * ((grid - means[:, None]) / sds) ** 2) / sds) + 1e-12
    k, trials = counts
    log = np.log(prior) + k * np.log(grid) + (trials - k) * np.log1p(-grid)
    cumulative = np.cumsum(np.exp(log - log.max()))
    cumulative /= cumulative[-1]
    value, low, high = (
        float(grid[min(int(np.searchsorted(cumulative, q)), 999)]) for q in (0.5, (1 - level) / 2, (1 + level) / 2)
    )
    return Estimate(value=value, low=low, high=high, level=level, n=trials, method=_METHOD)


def _mixture_estimate(
    weights: NDArray[np.float64], means: NDArray[np.float64], variances: NDArray[np.float64], level: float, n: int
) -> Estimate:
    sds = np.sqrt(variances)
    span = 8 * float(sds.max())
    grid = np.linspace(float(means.min()) - span, float(means.max()) + span, 4001)
    cumulative = (weights[:, None] * normal_cdf((grid - means[:, None]) / sds[:, None])).sum(axis=0)
    value, low, high = (
        float(grid[min(int(np.searchsorted(cumulative, q)), 4000)]) for q in (0.5, (1 - level) / 2, (1 + level) / 2)
    )
    return Estimate(value=value, low=low, high=high, level=level, n=n, method=_METHOD)
