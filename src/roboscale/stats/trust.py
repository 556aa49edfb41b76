"""When a learned world may be believed: one table of gates, and what they are measured by.

A world that fails a gate abstains: it prints no rate and no order of policies. What each gate is measured on is the
matter of `jobs/world_gates`; here stand the bars, the arithmetic, and what the noise of the trials allows.

Sources: AUROC as the Mann-Whitney statistic (Hanley, McNeil 1982); expected calibration error (Naeini et al. 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roboscale.core.plain import Plain
from roboscale.stats.distributions import average_ranks

__all__ = ["BARS", "Bar", "GateNumber", "auroc", "calibration_error", "gate_number", "rank_correlation"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One number that a gate asks for.

    Args:
        gate: number and name. asked: in words, with the bar.
        limit: the bar. above: whether the number must reach it, or must not exceed it.
    """

    gate: str
    asked: str
    limit: float
    above: bool


BARS = {
    "judge accuracy": Bar("1 judge", "at least .95 on held-out recorded frames", 0.95, True),
    "judge calibration error": Bar("1 judge", "at most .05 on held-out recorded frames", 0.05, False),
    "action error ratio": Bar("2 action following", "at most .5 of the error under other actions or none", 0.5, False),
    "failure AUROC": Bar("3 verified failures", "at least .85 for logged episodes replayed open loop", 0.85, True),
    "optimism": Bar("3 verified failures", "at most .15 of the logged failures imagined as successes", 0.15, False),
    "trust signal": Bar("4 trust signals", "Spearman with the measured error at least .4, else not used", 0.4, True),
    "coverage": Bar("5 coverage", "at least .95 of the states within the support of the data", 0.95, True),
}
"""Every bar of every gate, and nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateNumber(Plain):
    """One number of a gate.

    Args:
        name: of `BARS`, or what else is reported of a gate.
        value: `None` where the data cannot say.
        n: what it was measured on: frames, windows, episodes.
        held: whether the bar is met; `None` for what is only reported. A number that is missing meets no bar.
        said: what else must be known of it.
    """

    gate: str
    name: str
    value: float | None
    n: int
    held: bool | None
    asked: str = ""
    said: str = ""

    @property
    def text(self) -> str:
        """For people."""
        shown = "the data cannot say" if self.value is None else f"{self.value:.3f}"
        verdict = {True: "yes", False: "NO", None: "reported"}[self.held]
        more = f"; {self.said}" if self.said else ""
        return f"{self.gate}: {self.name} {shown}, n = {self.n}; {self.asked or 'no bar'}: {verdict}{more}"


def gate_number(name: str, value: float | None, n: int, said: str = "", *, of: str = "") -> GateNumber:
    """A number against its bar.

    >>> gate_number("optimism", 0.3, 20).held
    False

    Args:
        of: what it is the number of, where several have one bar.
    """
    bar = BARS[name]
    held = value is not None and (value >= bar.limit if bar.above else value <= bar.limit)
    shown = f"{name} ({of})" if of else name
    return GateNumber(gate=bar.gate, name=shown, value=value, n=n, held=held, asked=bar.asked, said=said)


def auroc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Probability that a positive has the higher score, ties half; `None` without positives or negatives.

    >>> auroc([0.9, 0.8, 0.1], [True, False, False])
    1.0
    """
    s, y = np.asarray(scores, float), np.asarray(positive, bool)
    ups, downs = int(y.sum()), int((~y).sum())
    if not ups or not downs:
        return None
    return float((average_ranks(s)[y].sum() - ups * (ups + 1) / 2) / (ups * downs))


def calibration_error(probabilities: ArrayLike, happened: ArrayLike, bins: int = 10) -> float | None:
    """Expected calibration error over equally wide bins; `None` of nothing.

    >>> round(calibration_error([0.9] * 10, [1] * 5 + [0] * 5), 2)
    0.4
    """
    p, y = np.asarray(probabilities, float), np.asarray(happened, float)
    if not len(p):
        return None
    place = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(p[place == b].sum() - y[place == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(p))


def rank_correlation(
    first: Sequence[float] | NDArray[np.float64], second: Sequence[float] | NDArray[np.float64]
) -> float | None:
    """Spearman's; `None` below three pairs or where one side never varies."""
    x, y = np.asarray(first, float), np.asarray(second, float)
    if len(x) < 3 or np.ptp(x) < 1e-12 or np.ptp(y) < 1e-12:
        return None
    return float(np.corrcoef(average_ranks(x), average_ranks(y))[0, 1])
