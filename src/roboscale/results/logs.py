"""Files that evaluation programs write, as grids: LeRobot, vla-eval, inspect-robots, Isaac Lab-Arena.

Which of them a document is, its keys say. None of these layouts has a place for a case that two files would share,
except for seeds where they are written down; then trials are independent, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import BadData
from roboscale.results.grid import Grid, grid_of_rows

__all__ = ["grids_of_log", "is_eval_info"]

_NO_CASES = "the file does not say which case each trial was"


def grids_of_log(path: Path, name: str, data: Any, policy: str) -> list[Grid] | None:
    """The tables of a known log; `None` where the document is none.

    Args:
        policy: whose results they are where the log does not say.

    Raises:
        BadData: a part of it is not as its program writes it.
    """
    if not isinstance(data, Mapping):
        return None
    for fits, read in _LOGS:
        if fits(data):
            return [read(path, name, data, policy)]
    return None


def is_eval_info(data: object) -> bool:
    """Whether a document is LeRobot's `eval_info.json`, of today or of before."""
    return isinstance(data, Mapping) and any(
        key in data for key in ("per_task", "per_episode", "overall", "aggregated")
    )


def _eval_info(path: Path, name: str, data: Mapping[str, Any], policy: str) -> Grid:
    rows, seeds = [], True
    for entry in _list(path, data, "per_task"):
        task = str(entry.get("task") or f"{entry.get('task_group', 'task')}/{entry.get('task_id', 0)}")
        metrics = entry.get("metrics", {})
        given = metrics.get("seeds") or []
        won = metrics.get("successes")
        if not isinstance(won, list):
            raise BadData(path, "per_task.metrics.successes", "a list", won)
        seeds = seeds and len(given) >= len(won)
        for number, value in enumerate(won):
            rows.append({"task": task, "seed": _get(given, number), "success": _flag(path, value)})
    for entry in _list(path, data, "per_episode"):
        seed = entry.get("seed")
        seeds = seeds and seed is not None
        rows.append({"task": "all", "seed": seed, "success": _flag(path, entry.get("success"))})
    for void in (data.get("roboscale") or {}).get("void", ()):
        rows.append({"task": str(void["task"]), "seed": void["seed"], "success": ""})
    if not rows:
        return _overall(path, name, data, policy)
    rows = [{"policy": policy, **row} if seeds else {"policy": policy, **_without(row, "seed")} for row in rows]
    notes = () if seeds else ("no seeds are given: its trials are independent of those of other files",)
    return grid_of_rows(name, rows, form="LeRobot's eval_info.json", notes=notes, policy=policy, seeded=seeds)


def _overall(path: Path, name: str, data: Mapping[str, Any], policy: str) -> Grid:
    """A file of which only the sums are left."""
    groups = data.get("per_group") or {"all": data.get("overall") or data.get("aggregated") or {}}
    rows = [
        {
            "policy": policy,
            "task": group,
            "success_rate (%)": entry.get("pc_success"),
            "n_episodes": entry.get("n_episodes"),
        }
        for group, entry in groups.items()
    ]
    if any(row["success_rate (%)"] is None or row["n_episodes"] is None for row in rows):
        raise BadData(path, "per_task", "successes, or pc_success with n_episodes", "neither")
    form = "LeRobot's eval_info.json, of which only the sums are left"
    return grid_of_rows(name, rows, form=form, policy=policy, seeded=False)


def _vla_eval(path: Path, name: str, data: Mapping[str, Any], policy: str) -> Grid:
    rows = []
    for task in _list(path, data, "tasks"):
        for episode in task.get("episodes") or ():
            metrics = episode.get("metrics") or {}
            broken = episode.get("failure_reason")
            rows.append(
                {
                    "policy": policy,
                    "task": task.get("task", "all"),
                    "episode_id": episode.get("episode_id"),
                    "success": "" if broken else _flag(path, metrics.get("success")),
                }
            )
    notes = (f"the policy is called after its folder, {policy}: NAME=PATH names it",)
    return grid_of_rows(name, rows, form=f"vla-eval, {data.get('benchmark', '')}", notes=notes, policy=policy)


def _inspect_robots(path: Path, name: str, data: Mapping[str, Any], policy: str) -> Grid:
    spec = data["eval"]
    rows = []
    for sample in _list(path, data, "samples"):
        epochs = sample.get("epochs") or ([sample["reduced"]] if sample.get("reduced") else [{}])
        for number, scores in enumerate(epochs):
            scores = scores or {}
            key = next(
                (k for k in ("success", "success_at_end", "task_success") if k in scores), next(iter(scores), "")
            )
            value = scores.get(key)
            row = {"policy": spec.get("policy", policy), "task": spec.get("task", "all")}
            row |= {"robot": spec.get("embodiment", ""), "scene": str(sample.get("scene_id", ""))}
            row |= {"trial": str(number + 1)} if len(epochs) > 1 else {}
            whole = value in (0, 1, True, False, None)
            rows.append(row | {"success" if whole else "progress": "" if value is None else value})
    return grid_of_rows(name, rows, form="inspect-robots", policy=str(spec.get("policy", policy)))


def _arena(path: Path, name: str, data: Mapping[str, Any], policy: str) -> Grid:
    rows = [
        {"policy": job, "success_rate": metrics.get("success_rate"), "num_episodes": metrics.get("num_episodes")}
        for job, metrics in data.items()
    ]
    for row in rows:
        if row["num_episodes"] is None:
            raise BadData(path, str(row["policy"]), "num_episodes beside success_rate", "none")
    notes = ("each job is taken for a policy",)
    return grid_of_rows(name, rows, form="Isaac Lab-Arena", notes=notes, seeded=False)


def _is_arena(data: Mapping[str, Any]) -> bool:
    jobs = list(data.values())
    return bool(jobs) and all(isinstance(job, Mapping) and "success_rate" in job for job in jobs)


def _is_vla_eval(data: Mapping[str, Any]) -> bool:
    tasks = data.get("tasks")
    if not (isinstance(tasks, list) and tasks and all(isinstance(t, Mapping) and "episodes" in t for t in tasks)):
        return False
    episodes = [one for task in tasks for one in (task["episodes"] or ())]
    return not episodes or any(isinstance(one, Mapping) and "metrics" in one for one in episodes)


_LOGS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Callable[..., Grid]], ...] = (
    (is_eval_info, _eval_info),
    (_is_vla_eval, _vla_eval),
    (lambda data: isinstance(data.get("eval"), Mapping) and isinstance(data.get("samples"), list), _inspect_robots),
    (_is_arena, _arena),
)


def _list(path: Path, data: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    entries = data.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        raise BadData(path, key, "a list of objects", type(entries).__name__)
    return entries


def _get(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _without(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != key}


def _flag(path: Path, value: Any) -> str:
    if value is None or value != value:  # not a number: nobody said
        return ""
    if value not in (True, False, 0, 1):
        raise BadData(path, "successes", "true or false", repr(value))
    return "1" if value else "0"
