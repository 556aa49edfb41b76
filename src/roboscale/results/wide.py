"""Wide tables become long ones: one column a policy, one column a task, or a column for each of two worlds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roboscale.core import BadData
from roboscale.results.grid import Texts
from roboscale.results.names import (
    ROLES,
    bare_name,
    flag,
    is_percent,
    is_sum,
    normal_name,
    strength,
    trials_in_name,
)
from roboscale.results.reading import ReadOptions
from roboscale.results.roles import Roles
from roboscale.results.values import count_of, fraction_of, is_missing, number_of, success_of

__all__ = ["unfolded"]

_OUTCOMES = ("success", "failure", "progress", "successes", "rate", "failures")
_WORLDS = {"real", "sim", "simulation", "simulated", "real_world", "mujoco", "isaac"}
_NUMBER_OF = re.compile(
    r"((?:trial|rollout|episode|run|test|try|attempt|ep|seed|[tr#]|versuch|essai)?)[\s_.#-]*(\d{1,4})", re.IGNORECASE
)
_STAGES = (
    *("reach", "grasp", "pick", "lift", "place", "touch", "contact", "collision", "drop", "insert", "approach"),
    *("intervention", "has_", "is_", "was_", "can_", "did_", "n_", "num_"),
)
"""Columns that begin so are stages or properties of a trial, hardly policies."""
_STAGE_REACHED = re.compile(r"(?:is|has|was|did)_.*|[a-z]+ed(?:_.*)?")
"""Names that say how far one trial came (`grasped`, `placed_in_bin`), where tasks are called `grasp` or `place`."""
_MEASURES = re.compile(
    r"(?:.*_)?(?:reward|return|loss|mse|rmse|mae|error|err|duration|latency|jerk|smoothness|distance|fps|hz|length|spl"
    r"|time|time_s|time_ms|seconds|steps|ms|mm|cm|std|stderr|sem|entropy|accuracy_loss|cost|force|torque|energy)"
)
"""Columns that end so measure something else than how many succeeded."""


def unfolded(roles: Roles, notes: list[str], options: ReadOptions) -> Roles | None:
    """The long form of a wide table; `None` where the table is long.

    Raises:
        BadData: columns may be policies or something else, or are not of one kind.
    """
    if any(roles.has(role) for role in _OUTCOMES):
        return None
    _no_sums(roles)
    columns = [name for name in roles.grid.names if _may_hold(roles, name)]
    numbered = _numbered(roles)
    if numbered:
        return _long(roles, numbered, "case", notes)
    worlds = [name for name in columns if normal_name(name) in _WORLDS]
    if len(worlds) >= 2 and roles.has("policy"):
        return _long(roles, worlds, "world", notes)
    values = [name for name in columns if _kind(roles.grid.column(name), name)]
    _no_square(roles)
    if roles.has("policy"):
        values = [name for name in roles.grid.names if name in values or _is_place_to_be(roles, name, values)]
        values = _without_measures(roles, values)
        _no_stages(roles, [name for name in values if _STAGE_REACHED.fullmatch(normal_name(name))])
        _say_what_may_be_stages(roles, values, notes)
        return _long(roles, values, "task", notes) if values and not roles.has("task") else None
    if len(values) < 2:
        return None
    texts = [n for n in columns if n not in values and len(set(roles.grid.column(n).used())) > 1]
    if texts and not roles.has("task"):
        expected = f"a policy or a task: {flag('policy', texts[0])} or {flag('task', texts[0])} says what it is"
        raise BadData(roles.path, texts[0], expected, "a name that is not known")
    values = _without_measures(roles, values)
    _no_curve(roles)
    stages = [name for name in values if normal_name(name).startswith(_STAGES)]
    if stages:
        expected = f"policies as columns, or one that says success ({flag('success', stages[-1])})"
        raise BadData(roles.path, "columns", expected, f"what may be stages or properties: {', '.join(stages)}")
    return _long(roles, values, "policy", notes)


def _no_stages(roles: Roles, stages: Sequence[str]) -> None:
    """BadData where columns beside a policy are the stages of one task: added up they would count a trial thrice."""
    if len(stages) >= 2:
        expected = f"tasks as columns, or one that says success ({flag('success', stages[-1])})"
        raise BadData(roles.path, "columns", expected, f"what may be stages: {', '.join(stages)}")


def _say_what_may_be_stages(roles: Roles, names: Sequence[str], notes: list[str]) -> None:
    """A word where no column succeeds in a row in which the one before it failed, and chance would have let some.

    `grasp, lift, place` may be three tasks, or three stages of one trial, which would count thrice. Said where at
    least three rows were to be expected that break the order, if columns had nothing to do with each other.
    """
    columns = [roles.grid.column(name) for name in names]
    flags = [[success_of(text) for text in column.values] for column in columns]
    if len(names) < 2 or roles.has("task") or any(None in one for one in flags):
        return
    table = np.array([np.array(one, np.float64)[c.codes] for one, c in zip(flags, columns, strict=True)])
    whole = table[:, ~np.isnan(table).any(axis=0)]
    failed, next_won = 1.0 - whole[:-1], whole[1:]
    expected = float((failed.mean(axis=1) * next_won.mean(axis=1)).sum() * whole.shape[1]) if whole.size else 0.0
    if expected >= 3 and not (failed * next_won).any():
        notes.append(
            f"no row has a success right of a failure in {', '.join(names)}: if they are stages of one trial and no "
            f"tasks, each trial counts {len(names)} times: {flag('success', names[-1])}"
        )


def _no_curve(roles: Roles) -> None:
    """BadData for training curves as Weights & Biases exports them: `NAME`, `NAME__MIN`, `NAME__MAX` a step."""
    names = set(roles.grid.names)
    curves = [name for name in roles.grid.names if {f"{name}__MIN", f"{name}__MAX"} <= names]
    if curves:
        expected = "results of finished evaluations: one row a policy (and checkpoint), with successes and trials"
        raise BadData(roles.path, "columns", expected, f"curves over training steps: {', '.join(curves[:3])}")


def _no_square(roles: Roles) -> None:
    """BadData where columns are called like the cells of the first one: a square of who won against whom."""
    columns = [name for name in roles.grid.names if name not in roles.ignored]
    first = set(roles.grid.column(columns[0]).used()) if columns else set()
    both = [name for name in columns[1:] if name in first]
    if len(both) >= 2 and len(both) == len(columns) - 1:
        expected = (
            f"one row for each pair: policy_a,policy_b,wins with {both[0]},{both[1]} and how often the first won"
        )
        raise BadData(roles.path, "columns", expected, f"rows and columns of the same names: {', '.join(both[:5])}")


def _without_measures(roles: Roles, values: Sequence[str]) -> list[str]:
    """Without what seems to be another measure, such as a time or a loss. BadData where nothing else is left."""
    measures = [name for name in values if _MEASURES.fullmatch(normal_name(name))]
    if measures and len(measures) == len(values):
        expected = f"an outcome (--column success=NAME, or {flag('progress', measures[0])} where 1 is all of the task)"
        raise BadData(roles.path, "columns", expected, f"what may be other measures: {', '.join(measures[:5])}")
    roles.ignore(measures, "its name says another measure than success")
    return [name for name in values if name not in measures]


def _no_sums(roles: Roles) -> None:
    """Columns that only add up others are none of them."""
    sums = [name for name in roles.grid.names if is_sum(bare_name(name))]
    if len(roles.grid.names) - len(sums) >= 3:
        roles.ignore([n for n in sums if not any(n in names for names in roles.said.values())], "it adds others up")


def _numbered(roles: Roles) -> list[str]:
    """Columns that number the trials of a row: `Trial 1`, `Trial 2`; `1`, `2`, `3`. BadData where they may be runs."""
    by_word: dict[str, list[tuple[int, str]]] = {}
    for name in roles.grid.names:
        match = _NUMBER_OF.fullmatch(name.strip())
        if match and name not in roles.ignored and _kind(roles.grid.column(name), name):
            by_word.setdefault(match[1].casefold(), []).append((int(match[2]), name))
    for word, columns in by_word.items():
        numbers = sorted(number for number, _ in columns)
        if len(columns) < 2 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            continue
        names = [name for _, name in columns]
        if not (roles.has("policy") or len(names) >= 3):
            continue
        if {_kind(roles.grid.column(name), name) for name in names} <= {"success"}:
            return names
        if word == "seed" or strength("run", word) is not None:
            expected = f"rows with a column run (training runs) or seed (of trials), and {word} in it"
            raise BadData(roles.path, ", ".join(names), expected, "a column each, which may be either")
    return []


def _is_place_to_be(roles: Roles, name: str, values: Sequence[str]) -> bool:
    """Whether a column called after a place, a robot or a world is a task: its cells are outcomes.

    Those of the others' kind are, and numbers that are no whole ones: nothing is called 0.5 or 12/20.
    """
    kinds = {_kind(roles.grid.column(value), value) for value in values}
    if name in roles.ignored or any(name in names for names in roles.said.values()):
        return False
    called = any(strength(role, name) is not None for role in ("place", "variation", "robot", "world"))
    kind = _kind(roles.grid.column(name), name)
    return called and (
        kind in kinds or (bool(kind) and any(set(t) & set("./%") for t in roles.grid.column(name).used()))
    )


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
    tried = _trials_of(roles, names)
    counting = bool(tried) and not any("." in t or "%" in t for name in names for t in grid.column(name).used())
    kinds = {name: "number" if counting else _kind(grid.column(name), name) for name in names}
    different = set(kinds.values())
    if "" in different or ("counts" in different and len(different) > 1):
        said = ", ".join(f"{name} {kind or 'text'}" for name, kind in kinds.items())
        raise BadData(roles.path, f"columns that may be {role}s", "cells of one kind (--column ignore=NAME)", said)
    plain = {"success": "success", "counts": "successes", "number": "successes"}
    title = plain.get(next(iter(different)), "success_rate") if len(different) == 1 else "success_rate"
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
    heads = Texts(_heads(names), np.tile(np.arange(count, dtype=np.int32), rows))
    values = Texts(list(places), np.concatenate(cells)[order])
    if tried:
        kept.append("trials")
        columns.append(Texts([str(n) for n in tried], np.tile(np.arange(count, dtype=np.int32), rows)))
        notes.append("the names of the columns say how many trials they are of")
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
        if low >= 0 and high <= 100:
            expected += f"; percent with a sign in its cells or its name, e.g. '{name} (%)'"
        raise BadData(roles.path, name, expected, f"{value:g}")
    return "success_rate (%)" if percent and high > 1 else "success_rate"


def _trials_of(roles: Roles, names: Sequence[str]) -> list[int]:
    """How many trials each column's name says, where every one does and no column says it."""
    tried = [trials_in_name(name) for name in names]
    if roles.has("trials") or "trials" in roles.grid.names or None in tried:
        return []
    cells = [t for name in names for t in roles.grid.column(name).used() if not is_missing(t)]
    whole = all(count_of(t) is not None for t in cells)
    shares = all(number_of(t) is not None and ("%" in t or float(number_of(t) or 0) <= 1) for t in cells)
    return [n for n in tried if n is not None] if whole or shares else []


def _heads(names: Sequence[str]) -> list[str]:
    """What the columns stand for: their names without units, trials, and words that all of them begin or end with."""
    short = [bare_name(name).replace("(%)", "").replace("[%]", "").strip() for name in names]
    for word in (r"success[\s_-]rate", "success", "successes", "sr", "result"):
        for cut in (rf"^{word}[\s_:.-]+", rf"[\s_:.-]+{word}$"):
            bare = [re.sub(cut, "", name, flags=re.IGNORECASE) for name in short]
            if all(a != b and a for a, b in zip(short, bare, strict=True)):
                return bare
    return short if len(set(short)) == len(short) else list(names)
