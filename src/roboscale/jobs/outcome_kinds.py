"""What results can be compared by."""

from __future__ import annotations

import numpy as np

from roboscale.core import OutcomeKind
from roboscale.results import Results

__all__ = ["kinds_of"]


def kinds_of(results: Results) -> tuple[OutcomeKind, ...]:
    """The kinds of outcome, the one to take first.

    Where the success of every trial is only whether its progress is complete, and some stopped on the way, nobody said
    success: progress knows more, and is all that there is.
    """
    success, progress = results.columns.success, results.columns.progress
    counted = ~np.isnan(success)
    if results.own or not counted.any() or np.isnan(progress[counted]).any():
        return results.kinds
    derived = bool(np.array_equal(progress[counted] >= 1, success[counted] >= 1))
    between = bool(((progress[counted] > 0) & (progress[counted] < 1)).any())
    return ("progress",) if derived and between else results.kinds
