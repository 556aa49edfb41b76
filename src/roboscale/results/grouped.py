"""Counts of several policies (or tasks) side by side, a pair of columns each: `ACT successes, ACT trials, DP ...`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from roboscale.results.grid import GridBuilder
from roboscale.results.names import COLUMNS, bare_name, is_percent, is_sum, strength
from roboscale.results.roles import Roles
from roboscale.results.values import count_of, is_missing

__all__ = ["WORLD_COLUMNS", "without_groups"]

WORLD_COLUMNS = frozenset({
    "real", "sim", "simulation", "simulated", "real_world", "mujoco", "isaac", "imagined", "world_model", "wm",
})  # fmt: skip
"""Names of columns, or of groups of them, that are worlds where a policy is known."""

_OUTCOMES = ("successes", "trials", "failures", "success", "failure", "rate")
_BETWEEN = re.compile(r"[\s_.:/|,\-–()\[\]]+")


def without_groups(roles: Roles, notes: list[str]) -> Roles | None:
    """The long form of a table in which each policy has columns of its own for successes and trials.

    Groups are policies; tasks where a policy is known otherwise, conditions where a task is, too. `None` where there
    are no such groups: at least two, each with the same outcomes, trials or failures among them.
    """
    groups, titles = _groups(roles)
    if not groups:
        return None
    grid = roles.grid
    inside = {name for columns in groups.values() for name in columns.values()}
    sums = {name for name in grid.names if name not in inside and any(is_sum(group) for group, *_ in _parts(name))}
    added = [*(group for group in groups if is_sum(bare_name(group))), *sorted(sums)]
    kept = {group: columns for group, columns in groups.items() if group not in added}
    fixed = [name for name in grid.names if name not in inside | sums]
    if "trials" in titles:  # a success beside trials is no trial's own: `success` 1 of 20
        for outcome, plural in (("success", "successes"), ("failure", "failures")):
            cells = [
                t for columns in kept.values() if outcome in columns for t in grid.column(columns[outcome]).used()
            ]
            if outcome in titles and all(count_of(t) is not None or is_missing(t) for t in cells):
                titles[outcome] = "success_rate (%)" if is_percent(titles[outcome]) else plural
    role = _role_of(roles, kept)
    title = role if role not in fixed else f"{role} "
    builder = GridBuilder(len(fixed) + 1 + len(titles))
    for row in range(len(grid)):
        before = [grid.column(name).at(row) for name in fixed]
        builder.add(
            [
                (*before, group, *(grid.column(columns[outcome]).at(row) for outcome in titles))
                for group, columns in kept.items()
            ]
        )
    notes.append(f"{' and '.join(titles.values())} of each {role} stand side by side: {', '.join(kept)}")
    if added:
        notes.append(f"not read, since they add others up: {', '.join(added)}")
    form = f"columns for each {role}"
    made = replace(
        grid,
        names=(*fixed, title, *titles.values()),
        columns=builder.columns(),
        numbers=np.repeat(grid.numbers, len(kept)),
        form=", ".join(part for part in (grid.form, form) if part),
    )
    return Roles(
        path=roles.path,
        grid=made,
        said=dict(roles.said) | {role: (title,)},
        scales=dict(roles.scales),
        ignored=dict(roles.ignored),
        made=(title,),
    )


def _groups(roles: Roles) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Group -> outcome -> column, and outcome -> what it is called in the first group; empty where there are none."""
    taken = {name for names in roles.said.values() for name in names} | set(roles.ignored)
    groups: dict[str, dict[str, str]] = {}
    titles: dict[str, str] = {}
    for name in roles.grid.names:
        if name in taken or (_is_known(name) and "." not in name):
            continue
        for group, outcome, title in _parts(name):
            if outcome not in groups.get(group, {}):
                groups.setdefault(group, {})[outcome] = name
                titles.setdefault(outcome, title)
                break
    full = {group: columns for group, columns in groups.items() if len(columns) > 1}
    if len(full) < 2 or {frozenset(columns) for columns in full.values()} != {frozenset(titles)}:
        return {}, {}
    outcomes = set(titles)
    if not outcomes & {"trials", "failures", "failure"} or not outcomes & {"successes", "success", "rate"}:
        return {}, {}
    inside = {name for columns in full.values() for name in columns.values()}
    outside = [name for name in roles.grid.names if name not in inside and name not in roles.ignored]
    outside = [name for name in outside if not any(is_sum(group) for group, *_ in _parts(name))]
    if any(strength(role, name) is not None for role in _OUTCOMES for name in outside):
        return {}, {}
    return full, titles


def _is_known(name: str) -> bool:
    return any(strength(role, name) is not None for role in COLUMNS)


def _parts(name: str) -> list[tuple[str, str, str]]:
    """(group, outcome, the outcome's own words) of `ACT successes`, `trials_ACT`, `DP (n)`; long words first."""
    ends = [match.span() for match in _BETWEEN.finditer(name.rstrip(" )]"))]
    found = []
    for start, end in ends:
        first, last = name[:start], _closed(name[end:].strip(" )]"))
        for group, title in ((first, last), (last, first)):
            outcome = next((role for role in _OUTCOMES if group and strength(role, title) is not None), "")
            if outcome:
                found.append((group.strip(" ([_-"), outcome, title))
    return sorted(found, key=lambda part: -len(part[2]))


def _closed(text: str) -> str:
    return f"{text})" if "(" in text and ")" not in text else text


def _role_of(roles: Roles, groups: Mapping[str, object]) -> str:
    if not roles.has("policy"):
        return "policy"
    if all(group.casefold() in WORLD_COLUMNS for group in groups) and not roles.has("world"):
        return "world"
    return "variation" if roles.has("task") else "task"
