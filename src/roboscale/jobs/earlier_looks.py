"""Tests that were made before on the trials of a run: who looks twice errs twice."""

from __future__ import annotations

from collections.abc import Iterable

from roboscale.core.evidence import Design
from roboscale.trials.log import Run

__all__ = ["earlier_looks", "said_of_looks"]


def earlier_looks(runs: Iterable[Run], run: Run) -> list[Design]:
    """Other designs by which earlier ones of the runs of a log compared the same policies on some of the same cases.

    A test keeps its error for the budget that was fixed before the first trial. Whoever raises the budget after an
    undecided test, or lowers it after a look, tests the same trials a second time.
    """
    if run.design is None:
        return []
    mine = {policy.digest for policy in run.policies}
    looks: list[Design] = []
    for other in runs:
        if other.id == run.id or other.created_ns >= run.created_ns or other.design is None:
            continue
        same = (other.world.digest, other.settings.text, other.round) == (
            run.world.digest,
            run.settings.text,
            run.round,
        )
        together = len(mine & {policy.digest for policy in other.policies}) >= 2
        new = other.design != run.design and other.design not in looks
        if same and together and new and set(other.cases) & set(run.cases):
            looks.append(other.design)
    return looks


def said_of_looks(looks: list[Design], design: Design | None) -> str:
    """One sentence with the bound that is left: the sum of all alphas, by Bonferroni. Empty without an earlier look.

    >>> said_of_looks([Design(budget=8)], Design(budget=40))
    'these trials were tested before, with a budget of 8 at alpha 0.05: the tests together err at most 0.1'
    """
    if not looks or design is None:
        return ""
    before = " and ".join(f"with a budget of {look.budget} at alpha {look.alpha:g}" for look in looks)
    total = min(1.0, design.alpha + sum(look.alpha for look in looks))
    return f"these trials were tested before, {before}: the tests together err at most {total:.4g}"
