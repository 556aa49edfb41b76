"""Whether a policy's answer depends on who else is asked in the same batch.

Batches make evaluations quick, and kernels that sum in another order, or a layer that normalises over the batch, make
answers of a batch other ones than those that a robot would get alone. A run that asks in batches looks once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roboscale.core import ActionChunk, BatchedPolicy, Observation, Policy, RoboscaleError
from roboscale.core.faults import faults_of

__all__ = ["LOOKED_AT", "batch_difference"]

LOOKED_AT = 16
"""Observations of a batch that are asked again; more would cost time and show nothing else."""


def batch_difference(
    policy: Policy, started: Sequence[tuple[str, int]], observations: Sequence[Observation]
) -> float | None:
    """Largest difference of an action between a batch and asking one by one, in sessions of their own.

    Args:
        started: instruction and seed of the session that is asked for each observation.

    Returns:
        In the action's unit; infinite where an answer has another length. `None` where the policy does not take
        batches, gives no action, takes few sessions, or does not even repeat itself alone: then it is not the batch.
    """
    started, observations = started[:LOOKED_AT], observations[:LOOKED_AT]
    if not isinstance(policy, BatchedPolicy) or getattr(policy, "sessions", None) is not None:
        return None
    try:
        with faults_of(policy.name, passing=(RoboscaleError,)):
            alone, again = (
                [policy.start(*how)(seen) for how, seen in zip(started, observations, strict=True)] for _ in range(2)
            )
            together = policy.act_many([policy.start(*how) for how in started], observations)
    except RoboscaleError:
        return None  # the trials themselves will say so
    if _largest(alone, again) != 0.0:
        return None
    return _largest(alone, together)


def _largest(first: Sequence[object], second: Sequence[object]) -> float | None:
    if len(first) != len(second) or not all(isinstance(a, ActionChunk) for a in (*first, *second)):
        return None
    pairs = [
        (np.asarray(a.rows, np.float64), np.asarray(b.rows, np.float64))
        for a, b in zip(first, second, strict=True)
        if isinstance(a, ActionChunk) and isinstance(b, ActionChunk)
    ]
    return max(float(np.abs(a - b).max(initial=0.0)) if a.shape == b.shape else float("inf") for a, b in pairs)
