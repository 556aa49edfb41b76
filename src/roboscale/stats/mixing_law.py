"""The data-mixing law: validation losses as a function of the shares of the sources, and the best shares.

For validation domain i and shares r (non-negative, sum 1), at a fixed total amount of data,

    loss_i(r) = c_i + exp(sum over sources j of t_ij r_j)

which is the published c_i + k_i exp(sum t_ij r_j): with shares that sum to 1, k_i is part of the t_ij. For losses of
many small runs; success rates at different amounts belong to `roboscale.stats.mixture`.

What it does not know: how the best shares move with the total amount, and domains whose loss has its minimum inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Estimate

__all__ = ["MixingLaw", "fit_mixing_law"]

_METHOD = "data-mixing law (Ye et al. 2024), residual bootstrap"
_FLOORS = 120
_STEPS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingLaw:
    """The fitted law.

    Args:
        sources, domains: names, sorted.
        floors: c by domain (D).
        rates: t by domain and source (D, S).
        residual: root mean square error of the fit by domain (D); nan where the data cannot say.
        why_not: why the law cannot be fitted; empty where it can.
    """

    sources: tuple[str, ...]
    domains: tuple[str, ...]
    floors: NDArray[np.float64]
    rates: NDArray[np.float64]
    residual: NDArray[np.float64]
    n: int
    why_not: str
    _boot: tuple[NDArray[np.float64], NDArray[np.float64]] = field(repr=False, compare=False)

    def predict(self, shares: Mapping[str, float], level: float = 0.9) -> dict[str, Estimate]:
        """Loss by domain at these shares (normalised to sum 1), with bootstrap intervals."""
        if self.why_not:
            return {
                name: Estimate(value=None, low=None, high=None, level=level, n=self.n, method=self.why_not)
                for name in self.domains
            }
        r = _shares([shares], self.sources)[0]
        value = self.floors + np.exp(self.rates @ r)
        floors, rates = self._boot
        low, high = np.quantile(floors + np.exp(rates @ r), ((1 - level) / 2, (1 + level) / 2), axis=0)
        return {
            name: Estimate(
                value=float(value[i]), low=float(low[i]), high=float(high[i]), level=level, n=self.n, method=_METHOD
            )
            for i, name in enumerate(self.domains)
        }

    def best_shares(self, importance: Mapping[str, float] | None = None, level: float = 0.9) -> dict[str, Estimate]:
        """Shares that minimise the losses weighed by `importance` (default: all alike), with bootstrap intervals.

        The objective is convex; its minimum is found by exponentiated gradient.
        """
        if self.why_not:
            return {
                name: Estimate(value=None, low=None, high=None, level=level, n=self.n, method=self.why_not)
                for name in self.sources
            }
        weights = np.array([1.0 if importance is None else importance.get(name, 0.0) for name in self.domains])
        value = _minimise(self.rates[None], weights)[0]
        spread = _minimise(self._boot[1], weights)
        low, high = np.quantile(spread, ((1 - level) / 2, (1 + level) / 2), axis=0)
        return {
            name: Estimate(
                value=float(value[j]), low=float(low[j]), high=float(high[j]), level=level, n=self.n, method=_METHOD
            )
            for j, name in enumerate(self.sources)
        }


def fit_mixing_law(
    runs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]], draws: int = 100, seed: int = 0
) -> MixingLaw:
    """Fits the law to (shares by source, loss by domain) of several runs at the same total amount of data.

    Needs two runs more than there are sources, of shares that span all of them; else it declines to say.

    Args:
        runs: in any order; shares are normalised. Every run needs a finite loss for every domain.
        draws: bootstrap refits.

    Source: Ye et al., Data Mixing Laws (arXiv 2403.16952), equation 7; c on a grid, t by weighted least squares.

    Raises:
        ValueError: a loss that is missing or not finite, or shares that are negative or all 0.
    """
    sources = tuple(sorted({name for shares, _ in runs for name in shares}))
    domains = tuple(sorted({name for _, losses in runs for name in losses}))
    if any(name not in losses or not np.isfinite(losses[name]) for _, losses in runs for name in domains):
        raise ValueError(f"every run needs a finite loss for each of {', '.join(domains)}")
    r = _shares([shares for shares, _ in runs], sources)
    y = np.array([[losses[name] for name in domains] for _, losses in runs]).reshape(len(runs), len(domains))
    order = np.lexsort((*y.T, *r.T)) if len(runs) else np.arange(0)
    r, y = r[order], y[order]
    reason = _why_not(r, len(sources), len(domains))
    if reason:
        blank, no_draws = np.full(len(domains), np.nan), np.zeros((0, len(domains)))
        empty = np.full((len(domains), len(sources)), np.nan)
        return MixingLaw(
            sources=sources,
            domains=domains,
            floors=blank,
            rates=empty,
            residual=blank,
            n=len(runs),
            why_not=reason,
            _boot=(no_draws, empty[None][:0]),
        )
    floors, rates = _fit(r, y)
    fitted = floors + np.exp(r @ rates.T)
    freedom = len(runs) - len(sources) - 1
    residuals = (y - fitted) * np.sqrt(len(runs) / freedom)
    rng = np.random.default_rng(seed)
    boot = [_fit(r, fitted + residuals[rng.integers(0, len(runs), len(runs))]) for _ in range(draws)]
    error = np.sqrt(((y - fitted) ** 2).sum(axis=0) / freedom)
    drawn = (np.array([b[0] for b in boot]), np.array([b[1] for b in boot]))
    return MixingLaw(
        sources=sources,
        domains=domains,
        floors=floors,
        rates=rates,
        residual=error,
        n=len(runs),
        why_not="",
        _boot=drawn,
    )


def _why_not(r: NDArray[np.float64], sources: int, domains: int) -> str:
    if not len(r) or not domains:
        return "the data cannot say: no runs"
    if len(r) < sources + 2:
        return f"the data cannot say: {len(r)} runs for {sources} sources; {sources + 2} with different shares would"
    if np.linalg.matrix_rank(r, tol=1e-6) < sources:
        return "the data cannot say: some sources were always mixed in the same ratio; vary each on its own"
    return ""


def _shares(rows: Sequence[Mapping[str, float]], sources: tuple[str, ...]) -> NDArray[np.float64]:
    shares = np.array([[row.get(name, 0.0) for name in sources] for row in rows], float).reshape(
        len(rows), len(sources)
    )
    total = shares.sum(axis=1, keepdims=True)
    if np.any(shares < 0) or np.any(total <= 0) or not np.all(np.isfinite(shares)):
        raise ValueError("shares are numbers >= 0 that do not all vanish")
    return np.asarray(shares / total)


def _fit(r: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Floors (D) and rates (D, S): for each floor of a grid a linear fit of the log excess, the best of them kept."""
    floors, rates = [], []
    for losses in y.T:
        low, spread = float(losses.min()), float(max(np.ptp(losses), 1e-9))
        grid = low - np.geomspace(0.01, 10.0, _FLOORS) * spread
        excess = losses - grid[:, None]
        # weight excess^2: an error of the log is then an error of the loss itself
        gram = np.einsum("ns,gn,nt->gst", r, excess**2, r)
        target = np.einsum("ns,gn->gs", r, excess**2 * np.log(excess))
        weights = np.linalg.solve(gram + 1e-12 * np.eye(r.shape[1]), target[..., None])[..., 0]
        misfit = ((losses - grid[:, None] - np.exp(weights @ r.T)) ** 2).sum(axis=1)
        best = int(np.argmin(misfit))
        floors.append(grid[best])
        rates.append(weights[best])
    return np.array(floors), np.array(rates)


def _minimise(rates: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares that minimise the weighed losses for each set of rates (B, D, S); shape (B, S)."""
    count, _, sources = rates.shape
    shares = np.full((count, sources), 1 / sources)
    for step in range(_STEPS):
        losses = np.exp(np.einsum("bds,bs->bd", rates, shares)) * weights
        slope = np.einsum("bd,bds->bs", losses, rates)
        slope = slope - (slope * shares).sum(axis=1, keepdims=True)
        size = np.abs(slope).max(axis=1, keepdims=True)
        logs = np.log(shares) - slope / np.maximum(size, 1e-12) / np.sqrt(1 + step)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares = np.maximum(shares / shares.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(shares)
