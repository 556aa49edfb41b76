"""What may be claimed from trials: numbers with their interval, and verdicts with their evidence.

The nouns only; how they are computed is in `roboscale.stats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from roboscale.core.plain import Plain

__all__ = ["Decision", "Estimate", "PairedOutcome", "Verdict"]

Decision = Literal["first is better", "second is better", "no difference shown", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Plain):
    """A number that knows how far to trust it.

    Args:
        value: the point estimate; `None` when there is no data.
        low, high: bounds at `level`; `None` (never 0) when the data cannot say.
        level: confidence level, e.g. .95.
        n: number of counted trials (void trials are never counted).
        method: name and citation of the method, e.g. `Clopper-Pearson 1934`.
        void: trials that broke and were not counted.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    method: str
    void: int = 0

    def __str__(self) -> str:
        if self.value is None:
            return f"no data (n=0, {self.void} void)"
        bounds = "no interval" if self.low is None or self.high is None else f"{self.low:.2f}..{self.high:.2f}"
        void = f", {self.void} void" if self.void else ""
        return f"{self.value:.2f} [{bounds}] (n={self.n}{void}, {100 * self.level:g} %, {self.method})"


@dataclass(frozen=True, slots=True)
class PairedOutcome:
    """One case under two policies, in schedule order; a side is `None` when it stayed void."""

    stratum: str
    first: bool | None
    second: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Plain):
    """What the trials allow to say.

    Args:
        decision: the claim.
        sentence: the claim in one sentence, with n, interval and method.
        alpha: error rate at which the claim holds.
        n: paired cases counted; `discordant` of them told the policies apart.
        p_value: level at which the test decided; `None` where the test has none.
        method: the test and its citation.
        needed: further paired cases that would probably decide; `None` when decided or unknowable.
        estimates: the numbers the sentence quotes, by name.
        evidence: the running evidence, one row per consumed pair, for the report.
    """

    decision: Decision
    sentence: str
    alpha: float
    n: int
    discordant: int
    p_value: float | None
    method: str
    needed: int | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    evidence: tuple[Mapping[str, float], ...] = ()
