"""Trials in other people's formats: LeRobot's `eval_info.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from roboscale.core import Counted, Estimate

__all__ = ["to_eval_info"]

Interval = Callable[[int, int], Estimate]
"""(successes, n) -> the rate with its interval."""


def to_eval_info(counted: Sequence[Counted], interval: Interval, notes: Sequence[str] = ()) -> dict[str, Any]:
    """LeRobot's `eval_info.json` of one policy's trials, with rewards as rewards.

    Void trials and those that nobody has judged are no episodes: they stand apart under `roboscale`, with cases and
    reasons. Where the world has no reward, `sum_rewards` and `max_rewards` are empty. `seeds` holds `None` for a
    case that does not begin with a seed.

    Args:
        notes: what was assumed, guessed, dropped or reused, a line each; under `roboscale`, too.
    """
    tasks: dict[str, list[Counted]] = {}
    for one in counted:
        tasks.setdefault(one.case.task, []).append(one)
    world = counted[0].world.name if counted else ""
    per_task = [
        {"task_group": world, "task_id": number, "task": task, "metrics": _metrics(group)}
        for number, (task, group) in enumerate(tasks.items())
    ]
    overall = _summary(counted, interval)
    seconds = sum(c.trial.seconds for c in counted if c.trial is not None)
    return {
        "per_task": per_task,
        "per_group": {world: overall} if counted else {},
        "overall": {**overall, "eval_s": seconds, "eval_ep_s": seconds / max(1, len(counted))},
        "roboscale": {
            "void": [_apart(c) for c in counted if c.outcome.success is None and not c.pending],
            "pending": [_apart(c) for c in counted if c.pending],
            "unverified": sorted(
                {reason for c in counted for who in (c.policy, c.world) for reason in who.unverified}
            ),
            "notes": list(notes),
        },
    }


def _valid(counted: Sequence[Counted]) -> list[Counted]:
    return [c for c in counted if c.outcome.success is not None]


def _rewards(counted: Sequence[Counted], summed: bool) -> list[float]:
    """Sum or maximum of the reward of every trial that has one."""
    values = []
    for one in counted:
        series = one.trial.series.get("reward") if one.trial is not None else None
        if series is not None and len(series) and np.isfinite(series).all():
            values.append(float(series.sum(dtype=np.float64) if summed else series.max()))
    return values


def _metrics(counted: Sequence[Counted]) -> dict[str, Any]:
    valid = _valid(counted)
    return {
        "sum_rewards": _rewards(valid, summed=True),
        "max_rewards": _rewards(valid, summed=False),
        "successes": [bool(c.outcome.success) for c in valid],
        "seeds": [c.case.seed for c in valid],
        "video_paths": [],
    }


def _summary(counted: Sequence[Counted], interval: Interval) -> Mapping[str, Any]:
    valid = _valid(counted)
    successes = sum(bool(c.outcome.success) for c in valid)
    rate = interval(successes, len(valid))
    bounds = None if rate.low is None or rate.high is None else [100 * rate.low, 100 * rate.high]
    sums, largest = _rewards(valid, summed=True), _rewards(valid, summed=False)
    return {
        "avg_sum_reward": float(np.mean(sums)) if sums else None,
        "avg_max_reward": float(np.mean(largest)) if largest else None,
        "pc_success": None if rate.value is None else 100 * rate.value,
        "pc_success_ci95": bounds,
        "n_success": successes,
        "n_episodes": len(valid),
        "video_paths": [],
    }


def _apart(one: Counted) -> dict[str, Any]:
    return {"task": one.case.task, "case": one.case.id, "seed": one.case.seed, "reason": one.outcome.reason}
