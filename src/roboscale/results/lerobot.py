"""LeRobot's `eval_info.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roboscale.core import BadData, Case, Counted, Outcome
from roboscale.results.nouns import told

__all__ = ["is_eval_info", "trials_of_eval_info"]


def is_eval_info(data: object) -> bool:
    """Whether a JSON document is one."""
    return isinstance(data, dict) and ("per_task" in data or "overall" in data or "per_episode" in data)


def trials_of_eval_info(path: Path, data: Mapping[str, Any], policy: str) -> Iterator[Counted]:
    """LeRobot's `eval_info.json`, of today (`per_task`) and of before (`per_episode`)."""
    for entry in data.get("per_task") or ():
        metrics = entry.get("metrics", {})
        won = metrics.get("successes")
        if not isinstance(won, list):
            raise BadData(path, "per_task.metrics.successes", "a list", won)
        seeds = metrics.get("seeds") or []
        task = str(entry.get("task") or f"{entry.get('task_group', 'task')}/{entry.get('task_id', 0)}")
        for number, value in enumerate(won):
            seed = int(seeds[number]) if number < len(seeds) else number
            yield told(policy, str(entry.get("task_group", "")), Case(task, seed), _flag(path, value))
    for entry in data.get("per_episode") or ():
        seed = int(entry.get("seed") or entry.get("episode_ix") or 0)
        yield told(policy, "", Case("all", seed), _flag(path, entry.get("success")))
    for void in (data.get("roboscale") or {}).get("void", ()):
        yield told(policy, "", Case(str(void["task"]), int(void["seed"])), Outcome("void", str(void["reason"])))


def _flag(path: Path, value: Any) -> Outcome:
    if value is None:
        return Outcome("void", "no success is given")
    if value not in (True, False, 0, 1):
        raise BadData(path, "successes", "true or false", repr(value))
    return Outcome("success" if value else "failure")
