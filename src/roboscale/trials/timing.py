"""Where the time of a trial goes: measured while it runs, kept in its details, added up for people.

A rollout knows what it spends in the world and in pictures, whoever asks the policy knows what that takes, and what
lies between the two is waiting: for other trials, for another process, for the control rate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from roboscale.core import Trial
from roboscale.core.timing import TIME_PARTS, TimeSpent

__all__ = ["TIME", "Stopwatch", "split_time", "time_spent"]

TIME = "time_s"
"""Key of a trial's details under which its parts stand, in seconds."""


class Stopwatch:
    """Adds up the seconds that pass within it, also where something is raised there."""

    __slots__ = ("_begun", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._begun


def split_time(
    spent: Mapping[str, float], *, seconds: float, thinking_s: float, starting_s: float, answering_s: float
) -> dict[str, float]:
    """The parts of one trial, in the order of `TIME_PARTS`.

    Args:
        spent: of its rollout: world, rendering, and what it waited for the control rate.
        seconds: of the rollout from its beginning to its end.
        thinking_s: how much of that it had no answer; longer than the policy took where others were asked before.
        starting_s: what the policy took to begin the episode, before the rollout began.
        answering_s: what the policy took for its answers.
    """
    known = spent["world"] + spent["rendering"] + spent["waiting"] + thinking_s
    return {
        "policy": starting_s + answering_s,
        "world": spent["world"],
        "rendering": spent["rendering"],
        "waiting": spent["waiting"] + max(0.0, thinking_s - answering_s),
        "rest": max(0.0, seconds - known),
    }


def time_spent(trials: Iterable[Trial]) -> TimeSpent | None:
    """What these trials took; `None` where nobody measured any of them."""
    everyone = list(trials)
    measured = [(trial, parts) for trial in everyone if (parts := _parts(trial.details.get(TIME))) is not None]
    if not measured:
        return None
    spans = [(t.started_ns / 1e9, t.started_ns / 1e9 + sum(parts.values())) for t, parts in measured]
    return TimeSpent(
        trials=len(measured),
        steps=sum(trial.steps for trial, _ in measured),
        busy_s=_covered(spans),
        **{f"{part}_s": sum(parts[part] for _, parts in measured) for part in TIME_PARTS},
        unmeasured=len(everyone) - len(measured),
    )


def _parts(said: Any) -> dict[str, float] | None:
    """The parts that a trial's details hold; `None` where they hold none, or something else under that name."""
    if not isinstance(said, Mapping) or any(not isinstance(said.get(part), (int, float)) for part in TIME_PARTS):
        return None
    parts = {part: float(said[part]) for part in TIME_PARTS}
    return parts if all(math.isfinite(s) and s >= 0 for s in parts.values()) else None


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    covered, end = 0.0, -math.inf
    for low, high in sorted(spans):
        covered += max(0.0, high - max(low, end))
        end = max(end, high)
    return covered
