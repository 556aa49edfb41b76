"""Wide tables become long ones: one column a policy, one column a task, or a column for each of two worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roboscale.core import BadData
from roboscale.results.grid import Texts
from roboscale.results.names import ROLES, is_percent, normal_name, strength
from roboscale.results.reading import ReadOptions
from roboscale.results.roles import Roles
from roboscale.results.values import fraction_of, is_missing, number_of, success_of

__all__ = ["unfolded"]

_OUTCOMES = ("success", "failure", "progress", "successes", "rate", "failures")
_WORLDS = {"real", "sim", "simulation", "simulated", "real_world", "mujoco", "isaac"}
_STAGES = (
    *("reach", "grasp", "pick", "lift", "place", "touch", "contact", "collision", "drop", "insert", "approach"),
    *("intervention", "has_", "is_", "was_", "can_", "did_", "n_", "num_"),
)
"""Columns that begin so are stages or properties of a trial, hardly policies."""


def unfolded(roles: Roles, notes: list[str], options: ReadOptions) -> Roles | None:
    """The long form of a wide table; `None` where the table is long.

    Raises:
        BadData: columns may be policies or something else, or are not of one kind.
    """
    if any(roles.has(role) for role in _OUTCOMES):
        return None
    columns = [name for name in roles.grid.names if _may_hold(roles, name)]
    worlds = [name for name in columns if normal_name(name) in _WORLDS]
    if len(worlds) >= 2 and roles.has("policy"):
        return _long(roles, worlds, "world", notes)
    values = [name for name in columns if _kind(roles.grid.column(name), name)]
    if roles.has("policy"):
        return _long(roles, values, "task", notes) if values and not roles.has("task") else None
    if len(values) < 2:
        return None
    stages = [name for name in values if normal_name(name).startswith(_STAGES)]
    if stages:
        expected = f"policies as columns, or one that says success (--column success={stages[-1]})"
        raise BadData(roles.path, "columns", expected, f"what may be stages or properties: {', '.join(stages)}")
    return _long(roles, values, "policy", notes)


def _may_hold(roles: Roles, name: str) -> bool:
    """Whether a column has no role of its own."""
    if name in roles.ignored or any(name in names for names in roles.said.values()):
        return False
    plain = ("task", "variation", "place", "robot", "case", "attempt", "run", "trials", "policy", "checkpoint")
    return all(strength(role, name) is None for role in plain if role in ROLES)


def _kind(column: Texts, name: str) -> str:
    """`counts`, `success` or `share`, by what all cells are; empty where they are something else."""
    texts = [text for text in column.used() if not is_missing(text)]
    if not texts:
        return ""
    if all(fraction_of(text) is not None for text in texts):
        return "counts"
    if all(success_of(text) is not None for text in texts):
        return "success"
    return "share" if all(number_of(text) is not None for text in texts) else ""


def _long(roles: Roles, names: Sequence[str], role: str, notes: list[str]) -> Roles:
    """Every row once for each of the columns."""
    grid = roles.grid
    kinds = {name: _kind(grid.column(name), name) for name in names}
    different = set(kinds.values())
    if "" in different or ("counts" in different and len(different) > 1):
        said = ", ".join(f"{name} {kind or 'text'}" for name, kind in kinds.items())
        raise BadData(roles.path, f"columns that may be {role}s", "cells of one kind (--column ignore=NAME)", said)
    title = "success" if different == {"success"} else "successes" if different == {"counts"} else "success_rate"
    signs = any(t.endswith("%") for name in names for t in grid.column(name).values) or any(map(is_percent, names))
    if title == "success_rate":
        title = _scale(roles, names, role, percent=signs)
    places = {text: k for k, text in enumerate(dict.fromkeys(t for n in names for t in grid.column(n).values))}
    cells = []
    for name in names:
        column = grid.column(name)
        cells.append(np.array([places[text] for text in column.values], np.int32)[column.codes])
    rows, count = len(grid), len(names)
    order = np.arange(rows * count).reshape(count, rows).T.reshape(-1)  # row by row
    kept = [name for name in grid.names if name not in names]
    columns = [Texts(grid.column(name).values, np.repeat(grid.column(name).codes, count)) for name in kept]
    heads = Texts([_short(name) for name in names], np.tile(np.arange(count, dtype=np.int32), rows))
    values = Texts(list(places), np.concatenate(cells)[order])
    role_name = role if role not in kept else f"{role} "
    form = f"one column a {role}"
    made = replace(
        grid,
        names=(*kept, role_name, title),
        columns=(*columns, heads, values),
        numbers=np.repeat(grid.numbers, count),
        form=", ".join(part for part in (grid.form, form) if part),
    )
    notes.append(f"each of these columns is a {role}: {', '.join(names)}")
    asked = dict(roles.said) | {role: (role_name,)}
    return Roles(
        path=roles.path,
        grid=made,
        said=asked,
        scales=dict(roles.scales),
        ignored=dict(roles.ignored),
        made=(role_name,),
    )


def _scale(roles: Roles, names: Sequence[str], role: str, *, percent: bool) -> str:
    """The name of the column of shares; percent where a name or a cell says so."""
    numbers = [(n, name) for name in names for t in roles.grid.column(name).used() if (n := number_of(t)) is not None]
    high, where = max(numbers)
    low, below = min(numbers)
    if low < 0 or (high > 1 and not percent):
        value, name = (low, below) if low < 0 else (high, where)
        expected = (
            f"columns a {role} each, with successes, cells such as 12/20, shares of 1 or % (or --column ignore=NAME)"
        )
        raise BadData(roles.path, name, expected, f"{value:g}")
    return "success_rate (%)" if percent and high > 1 else "success_rate"


def _short(name: str) -> str:
    return name.replace("(%)", "").replace("[%]", "").strip()
