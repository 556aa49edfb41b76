"""Trials in other people's formats: LeRobot's `eval_info.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roboscale.core import Estimate, Trial

__all__ = ["to_eval_info"]

Interval = Callable[[int, int], Estimate]
"""(successes, n) -> the rate with its interval."""


def to_eval_info(trials: Sequence[Trial], interval: Interval) -> dict[str, Any]:
    """LeRobot's `eval_info.json` of one policy's trials.

    Void trials are no episodes: they stand apart under `roboscale`, with seeds and reasons. Our worlds have a
    progress in 0..1 but no common reward, so `max_rewards` holds the progress and `sum_rewards` stays empty.
    """
    tasks: dict[str, list[Trial]] = {}
    for trial in trials:
        tasks.setdefault(trial.case.task, []).append(trial)
    world = trials[0].world.split(" ")[0] if trials else ""
    per_task = [
        {"task_group": world, "task_id": i, "task": task, "metrics": _metrics(group)}
        for i, (task, group) in enumerate(tasks.items())
    ]
    overall = _summary(trials, interval)
    seconds = sum(t.seconds for t in trials)
    return {
        "per_task": per_task,
        "per_group": {world: overall} if trials else {},
        "overall": {**overall, "eval_s": seconds, "eval_ep_s": seconds / max(1, len(trials))},
        "roboscale": {"void": [_void(t) for t in trials if t.outcome.success is None]},
    }


def _counted(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if t.outcome.success is not None]


def _metrics(trials: Sequence[Trial]) -> dict[str, Any]:
    counted = _counted(trials)
    return {
        "sum_rewards": [],
        "max_rewards": [t.outcome.progress for t in counted],
        "successes": [bool(t.outcome.success) for t in counted],
        "seeds": [t.case.seed for t in counted],
        "video_paths": [],
    }


def _summary(trials: Sequence[Trial], interval: Interval) -> Mapping[str, Any]:
    counted = _counted(trials)
    successes = sum(bool(t.outcome.success) for t in counted)
    rate = interval(successes, len(counted))
    progress = [t.outcome.progress for t in counted if t.outcome.progress is not None]
    bounds = None if rate.low is None or rate.high is None else [100 * rate.low, 100 * rate.high]
    return {
        "avg_sum_reward": None,
        "avg_max_reward": sum(progress) / len(progress) if progress else None,
        "pc_success": None if rate.value is None else 100 * rate.value,
        "pc_success_ci95": bounds,
        "n_success": successes,
        "n_episodes": len(counted),
        "video_paths": [],
    }


def _void(trial: Trial) -> dict[str, Any]:
    return {"task": trial.case.task, "seed": trial.case.seed, "reason": trial.outcome.reason}
