"""What many trials came to, as columns: the form in which tables of any size reach the statistics.

A table may have a million rows or two that stand for a million trials each; neither becomes a million objects. Names
are kept once, rows refer to them by number, and equal trials are one row with a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roboscale.core.errors import RoboscaleError
from roboscale.core.evidence import OutcomeKind

__all__ = ["Outcomes", "Stratum"]


@dataclass(frozen=True, slots=True, order=True)
class Stratum:
    """Trials that may be pooled without a further word: one task in one world."""

    world: str
    task: str

    @property
    def text(self) -> str:
        """The task, and the world where it has a name."""
        return f"{self.task} ({self.world})" if self.world else self.task


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Trials of several policies, one row for each, or for `weight` equal ones.

    Two rows are the same case where stratum and case are equal. A run is one training of a recipe; where nobody
    said, every policy has one, called after it.

    Args:
        kind: what `value` is.
        paired: whether the same case under two policies can be recognised; `case` means nothing otherwise.
        policies, strata, runs: names, in the order of the source.
        policy, stratum, run: numbers into them, int32, shape (n,).
        case: any numbers that are equal where the case is, int64, shape (n,).
        value: success as 0 or 1, or progress in 0..1; NaN where the trial is void; float64, shape (n,).
        weight: how many trials a row stands for, int64, shape (n,).

    >>> one = Outcomes.of_counts({"A": (12, 20), "B": (17, 20)})
    >>> won, tried, void = one.counts()
    >>> won[:, 0].tolist(), tried[:, 0].tolist()
    ([12, 17], [20, 20])
    """

    kind: OutcomeKind
    paired: bool
    policies: tuple[str, ...]
    strata: tuple[Stratum, ...]
    runs: tuple[str, ...]
    policy: NDArray[np.int32]
    stratum: NDArray[np.int32]
    run: NDArray[np.int32]
    case: NDArray[np.int64]
    value: NDArray[np.float64]
    weight: NDArray[np.int64]

    def __post_init__(self) -> None:
        columns = (self.policy, self.stratum, self.run, self.case, self.value, self.weight)
        if len({column.shape for column in columns}) != 1 or self.value.ndim != 1:
            raise RoboscaleError(f"columns of outcomes: expected one length, found {[len(c) for c in columns]}")

    @classmethod
    def of_counts(
        cls, counts: dict[str, tuple[int, int]], stratum: Stratum | None = None, voids: dict[str, int] | None = None
    ) -> Outcomes:
        """Successes of trials of each policy in one stratum, which cannot be paired."""
        names = tuple(counts)
        void = voids or {}
        rows = [(k, v, w) for k, p in enumerate(names) for v, w in _weights(*counts[p], void.get(p, 0)) if w]
        policy = np.array([k for k, _, _ in rows], np.int32)
        return cls(
            kind="success",
            paired=False,
            policies=names,
            strata=(stratum or Stratum("", "all"),),
            runs=names,
            policy=policy,
            stratum=np.zeros(len(rows), np.int32),
            run=policy,
            case=np.arange(len(rows), dtype=np.int64),
            value=np.array([v for _, v, _ in rows], np.float64),
            weight=np.array([w for _, _, w in rows], np.int64),
        )

    def where(self, keep: NDArray[np.bool_]) -> Outcomes:
        """The rows where `keep`, shape (n,), is true; all names stay."""
        return replace(
            self,
            policy=self.policy[keep],
            stratum=self.stratum[keep],
            run=self.run[keep],
            case=self.case[keep],
            value=self.value[keep],
            weight=self.weight[keep],
        )

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Successes (a value of 1), counted trials and void ones, int64, each of shape (policies, strata)."""
        shape = len(self.policies), len(self.strata)
        place = self.policy.astype(np.int64) * shape[1] + self.stratum
        counted = ~np.isnan(self.value)

        def total(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
            # float64 sums are exact below 2**53 trials
            sums = np.bincount(place[rows], self.weight[rows].astype(np.float64), shape[0] * shape[1])
            return sums.astype(np.int64).reshape(shape)

        return total(self.value >= 1), total(counted), total(~counted)

    def by_case(self, policies: Sequence[str] | None = None) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The stratum of each case, shape (c,), and the value of each policy there, shape (c, policies).

        NaN where a policy was not tried or its trial is void; of several training runs on one case, the mean of those
        that count. Cases are in the order of their first row.

        Raises:
            RoboscaleError: not paired, or one training run has two trials of a case: the reader decides which counts.
        """
        if not self.paired:
            raise RoboscaleError("which cases are the same is not known: these trials are independent")
        names = self.policies if policies is None else tuple(policies)
        column = np.full(len(self.policies), -1)
        column[[self.policies.index(name) for name in names]] = np.arange(len(names))
        kept = self.where(column[self.policy] >= 0)
        _, number = np.unique(kept.case, return_inverse=True)  # small numbers, so that both fit one
        keys = number.astype(np.int64) * len(self.strata) + kept.stratum
        unique, first, place = np.unique(keys, return_index=True, return_inverse=True)
        cells = place * len(names) + column[kept.policy]
        if (kept.weight != 1).any() or len(np.unique(cells * len(self.runs) + kept.run)) != len(cells):
            raise RoboscaleError("one policy has two trials of one case")
        counted = ~np.isnan(kept.value)
        size = len(unique) * len(names)
        totals = np.bincount(cells[counted], kept.value[counted], size)
        with np.errstate(invalid="ignore"):
            values = (totals / np.bincount(cells[counted], minlength=size)).reshape(len(unique), len(names))
        order = np.argsort(first, kind="stable")
        return (unique[order] % len(self.strata)).astype(np.int32), values[order]


def _weights(won: int, tried: int, void: int) -> tuple[tuple[float, int], ...]:
    if not 0 <= won <= tried or void < 0:
        raise RoboscaleError(f"counts: expected 0 <= successes <= trials, found {won} of {tried} and {void} void")
    return (1.0, won), (0.0, tried - won), (np.nan, void)
