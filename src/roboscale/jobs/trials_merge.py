"""Puts the trials of several stores into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roboscale.core.plain import Plain
from roboscale.jobs.request import Argument, Request

__all__ = ["MergeTrials", "MergedTrials", "merge_trials"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeTrials(Request):
    """Asks to add the trials of other stores."""

    words: ClassVar[tuple[str, ...]] = ("trials", "merge")

    out: Annotated[str, Argument("The store that receives them; made if missing.")]
    stores: Annotated[tuple[str, ...], Argument("The stores of the shards: folders, files or databases.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedTrials(Plain):
    """What was added, and what the store now holds."""

    added: int
    known: int
    judgements: int
    runs: int
    total: int

    @property
    def text(self) -> str:
        """One line for a terminal."""
        known = f", {self.known} were there already" if self.known else ""
        return (
            f"{self.added} trials, {self.judgements} judgements and {self.runs} runs added{known}; {self.total} in all"
        )


def merge_trials(request: MergeTrials) -> MergedTrials:
    """Adds trials, judgements and runs of other stores, all or nothing. The merged store has a report like any other.

    >>> from roboscale import Evaluate, MergeTrials, evaluate, merge_trials
    >>> for i in (0, 1):
    ...     done = evaluate(Evaluate(policy="constant", tasks="reach-v3", trials=2, shard=f"{i}/2", store=f"part{i}"))
    >>> merge_trials(MergeTrials(out="whole", stores=("part0", "part1"))).total
    2

    Raises:
        BadData: a store is none, or says something else of the same trial, judgement or run.
    """
    from roboscale.trials.log import open_log

    with open_log(request.out) as log:
        counts = log.merge(request.stores)
        return MergedTrials(
            added=counts.trials,
            known=counts.known,
            judgements=counts.judgements,
            runs=counts.runs,
            total=log.count(),
        )
