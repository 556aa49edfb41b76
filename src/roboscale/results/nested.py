"""JSON of objects in objects, `{"act": {"cup": {"successes": 5, "trials": 10}}}`, as a table.

Every level is a column. What a level is, policies or tasks, the document says with the key above it (`policies`,
`per_task`), whoever asks says with `--column`, and nobody guesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roboscale.core import BadData
from roboscale.results.grid import Grid, grid_of_rows
from roboscale.results.names import ROLES, strength
from roboscale.results.reading import ReadOptions

__all__ = [
    "OUTCOME_ROLES",
    "PLAIN_KEYS",
    "POLICY_KEYS",
    "TASK_KEYS",
    "cells_of",
    "grid_of_levels",
    "has_role",
    "is_row",
]

POLICY_KEYS = (
    "policies",
    "per_policy",
    "by_policy",
    "models",
    "per_model",
    "by_model",
    "methods",
    "per_method",
    "agents",
)
TASK_KEYS = ("tasks", "per_task", "by_task", "envs", "per_env", "environments", "suites", "benchmarks")
PLAIN_KEYS = (
    "results",
    "trials",
    "episodes",
    "rollouts",
    "rows",
    "data",
    "scores",
    "evaluation",
    "evaluations",
    "eval",
)
OUTCOME_ROLES = ("success", "successes", "failure", "failures", "rate", "progress", "trials")
_DEEPEST = 3


def grid_of_levels(path: Path, name: str, data: Any, policy: str, options: ReadOptions) -> Grid | None:
    """The table of objects in objects; `None` where a document is none.

    Args:
        policy: whose results they are, where somebody said it: then one level is one of tasks.

    Raises:
        BadData: a level may be policies or tasks, or the objects are not all equally deep; names the flags.
    """
    if not isinstance(data, Mapping):
        return None
    plain = {k: v for k, v in data.items() if not isinstance(v, (list, dict)) and has_role(k)}
    levels, inner, beside = _without_wrappers(data)
    if is_row(inner):
        return None
    inner, tasks = _opened(inner, 0)
    levels = [*levels, *[""] * (max(tasks, default=-1) + 1 - len(levels))]
    for depth in tasks:
        levels[depth] = levels[depth] or "task"
    leaves = list(_leaves(inner, ()))
    depths = {len(keys) for keys, _ in leaves}
    if not leaves or 0 in depths or max(depths) > _DEEPEST:
        return None
    if len(depths) > 1 or len({type(leaf) in (dict, list) for _, leaf in leaves}) > 1:
        raise BadData(path, "content", "objects that are all equally deep", _shown(leaves))
    depth = depths.pop()
    names = _names(path, [*levels, *[""] * (depth - len(levels))][:depth], leaves, policy or plain, options)
    rows = [
        {**plain, **dict(zip(names, keys, strict=True)), **cells} for keys, leaf in leaves for cells in cells_of(leaf)
    ]
    form = f"objects in objects, {depth} level{'s' if depth > 1 else ''}"
    notes = (f"not read: {', '.join(map(repr, beside))}",) if beside else ()
    return grid_of_rows(name, rows, form=form, policy=policy, notes=notes)


def _without_wrappers(data: Mapping[str, Any]) -> tuple[list[str], Mapping[str, Any], list[str]]:
    """What the levels below are, as far as keys say it, the objects inside, and which others stand beside them."""
    objects = {key: value for key, value in data.items() if isinstance(value, Mapping) and value}
    key = next((k for k in (*POLICY_KEYS, *TASK_KEYS, *PLAIN_KEYS) if k in objects), None)
    if key is None:
        return [], data, []
    beside = [k for k, v in data.items() if k != key and isinstance(v, (list, dict))]
    if key in PLAIN_KEYS:
        levels, inner, more = _without_wrappers(objects[key])
        return levels, inner, [*beside, *more]
    inner = {k: _without_wrappers(v)[1] if isinstance(v, Mapping) else v for k, v in objects[key].items()}
    return ["policy" if key in POLICY_KEYS else "task"], inner, beside


def _opened(data: Mapping[str, Any], depth: int) -> tuple[Mapping[str, Any], set[int]]:
    """The same with `per_task` and its like taken away, sums beside it too; and the levels that are tasks then."""
    made: dict[str, Any] = {}
    tasks: set[int] = set()
    for key, value in data.items():
        inner = value
        if isinstance(value, Mapping) and depth < _DEEPEST:
            within = next((value[k] for k in TASK_KEYS if isinstance(value.get(k), Mapping)), None)
            inner, below = _opened(value if within is None else within, depth + 1)
            tasks |= below | ({depth + 1} if within is not None else set())
        made[key] = inner
    return made, tasks


def _leaves(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What stands innermost, with the keys above it."""
    if isinstance(value, Mapping) and not is_row(value):
        for key, inner in value.items():
            if keys or isinstance(inner, (Mapping, list)) or not has_role(str(key)):
                yield from _leaves(inner, (*keys, str(key)))
    else:
        yield keys, value


def is_row(value: Mapping[str, Any]) -> bool:
    """Whether an object is one row of a table: it says how something went."""
    return any(strength(role, str(key)) is not None for role in OUTCOME_ROLES for key in value)


def _names(
    path: Path, levels: list[str], leaves: Sequence[tuple[tuple[str, ...], Any]], known: Any, options: ReadOptions
) -> list[str]:
    """A name for each level: its role, or `level 1`, to which `--column` then gives one."""
    said = set(levels) | ({"policy"} if known else set())
    open_ = [k for k, name in enumerate(levels) if not name]
    rest = [role for role in ("policy", "task") if role not in said]
    if len(open_) == 1 and len(rest) == 1:
        levels[open_[0]] = rest[0]
        return levels
    names = [name or f"level {k + 1}" for k, name in enumerate(levels)]
    asked = {part.strip().casefold() for text in options.columns.values() for part in text.split("+")}
    if open_ and not asked & {names[k] for k in open_}:
        varied = [k for k in open_ if len({keys[k] for keys, _ in leaves}) > 1] or open_
        flags = " ".join(f'--column {r}="{names[k]}"' for r, k in zip(rest, varied, strict=False))
        expected = f"to know whether its keys are policies or tasks (e.g. {flags})"
        raise BadData(path, "content", expected, _shown(leaves))
    return names


def _shown(leaves: Sequence[tuple[tuple[str, ...], Any]]) -> str:
    return "; ".join(" > ".join(keys) for keys, _ in leaves[:2])


def cells_of(leaf: Any) -> list[Mapping[str, Any]]:
    """The rows of what stands innermost: an object, a list of outcomes or of objects, or a cell such as 12/20."""
    if isinstance(leaf, Mapping):
        # Lists of one length are trials where one of them says how these went. Others (seeds, remarks, an empty one)
        # stay one cell: laid out, they would multiply the counts beside them, or make the row vanish.
        lists = {k: v for k, v in leaf.items() if isinstance(v, list) and v}
        told = any(strength(role, k) is not None for role in OUTCOME_ROLES if role != "trials" for k in lists)
        if told and len({len(v) for v in lists.values()}) == 1:
            rest = {k: v for k, v in leaf.items() if k not in lists}
            names = ["success" if strength("successes", k) is not None else k for k in lists]
            return [rest | dict(zip(names, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        return [leaf]
    if isinstance(leaf, list):
        return [one if isinstance(one, Mapping) else {"success": one} for one in leaf]
    return [{"success": leaf} if isinstance(leaf, str) else {"success_rate": leaf}]


def has_role(key: str) -> bool:
    """Whether a key is called like a column that is known."""
    return any(strength(role, key) is not None for role in ROLES if role not in ("first", "second"))
