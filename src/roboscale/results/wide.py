"""Wide tables become long ones: one column a policy, one column a task, or a column for each of two worlds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from roboscale.core import BadData
from roboscale.results.asides import is_aside
from roboscale.results.grid import Texts
from roboscale.results.grouped import WORLD_COLUMNS, without_groups
from roboscale.results.hints import hint_of_cell
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
from roboscale.results.shares import bad_cell
from roboscale.results.stages import PROPERTIES, no_stages
from roboscale.results.values import count_of, fraction_of, is_missing, number_of, success_of

__all__ = ["unfolded"]

_OUTCOMES = ("success", "failure", "progress", "successes", "rate", "failures")
_NUMBER_OF = re.compile(
    r"((?:trial|rollout|episode|run|test|try|attempt|ep|seed|[tr#]|versuch|essai)?)[\s_.#-]*(\d{1,4})", re.IGNORECASE
)
_UNDERSTOOD: dict[str, tuple[Callable[[str], object], str]] = {
    "success": (success_of, "success, failure or void; 1 or 0; true or false"),
    "counts": (fraction_of, "successes/trials such as 12/20"),
    "share": (number_of, "a number"),
}
"""Kind -> what understands a cell of it, and what such a cell is."""
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
    side_by_side = without_groups(roles, notes)
    if side_by_side is not None or any(roles.has(role) for role in _OUTCOMES):
        return side_by_side
    _no_sums(roles)
    _no_asides(roles)
    asked = _tasks_as_asked(roles)
    if asked:
        told = {role: names for role, names in roles.said.items() if role != "task"}
        return _long(replace(roles, said=told), asked, "task", notes)
    columns = [name for name in roles.grid.names if _may_hold(roles, name)]
    _no_bad_cell(roles, columns)
    numbered = _numbered(roles)
    if numbered:
        return _long(roles, numbered, "case", notes)
    worlds = [name for name in columns if normal_name(name) in WORLD_COLUMNS]
    if len(worlds) >= 2 and roles.has("policy"):
        return _long(roles, worlds, "world", notes)
    values = [name for name in columns if _kind(roles.grid.column(name), name)]
    _no_square(roles)
    if roles.has("policy"):
        values = [name for name in roles.grid.names if name in values or _is_place_to_be(roles, name, values)]
        values = _without_measures(roles, values)
        no_stages(roles, {name: _kind(roles.grid.column(name), name) for name in values})
        return _long(roles, values, "task", notes) if values and not roles.has("task") else None
    return _policies_as_columns(roles, columns, values, notes)


def _policies_as_columns(roles: Roles, columns: Sequence[str], values: list[str], notes: list[str]) -> Roles | None:
    """The long form of a table that has a column a policy; `None` where fewer than two can be one."""
    if len(values) < 2:
        asked = [name for name in roles.said.get("ignore", ()) if _kind(roles.grid.column(name), name)]
        if values and asked:
            expected = "at least two columns of outcomes, a policy each, or a column that says the policy"
            raise BadData(roles.path, "columns", expected, f"{values[0]} alone, for {', '.join(asked)} is ignored")
        return None
    texts = [n for n in columns if n not in values and len(set(roles.grid.column(n).used())) > 1]
    if texts and not roles.has("task"):
        raise BadData(roles.path, ", ".join(texts), _what_it_may_be(roles, texts), "a name that is not known")
    values = _without_measures(roles, values)
    _no_curve(roles)
    stages = [name for name in values if normal_name(name).startswith(PROPERTIES)]
    if stages:
        expected = f"policies as columns, or one that says success ({flag('success', stages[-1])})"
        raise BadData(roles.path, "columns", expected, f"what may be stages or properties: {', '.join(stages)}")
    return _long(roles, values, "policy", notes)


def _what_it_may_be(roles: Roles, names: Sequence[str]) -> str:
    """What somebody may say of columns of texts beside columns of outcomes."""
    joined = "+".join(names)
    case = "+".join(dict.fromkeys([*roles.names("case"), *names]))
    ways = [
        f"{flag('ignore', joined)} if it changes nothing",
        f"{flag('task', joined)} if it changes what was tried",
        f"{flag('case', case)} if it tells trials apart",
    ]
    if len(names) == 1 and not any(hint_of_cell(text) for text in roles.grid.column(names[0]).used()):
        ways.append(f"{flag('policy', names[0])} if it says the policy, and the others are tasks")
    return f"to know what it is: {'; '.join(ways)}"


def _no_asides(roles: Roles) -> None:
    """Columns that say when, by whom or a remark are none of a policy's; those that seem measures are said so."""
    asked = {name for names in roles.said.values() for name in names}
    for name in roles.grid.names:
        if is_aside(name) and name not in asked and not _MEASURES.fullmatch(normal_name(name)):
            roles.ignore([name], "its name says a time, a person, a remark or a file")


def _tasks_as_asked(roles: Roles) -> list[str]:
    """Columns of outcomes of which somebody says that each is a task, `task=pick+place`; empty where nobody does."""
    names = list(roles.said.get("task", ()))
    if len(names) < 2 or not roles.has("policy"):
        return []
    kinds = {_kind(roles.grid.column(name), name) for name in names}
    others = [n for n in roles.grid.names if _may_hold(roles, n) and _kind(roles.grid.column(n), n)]
    numbers = [n for name in names for t in roles.grid.column(name).used() if (n := number_of(t)) is not None]
    shares = max(numbers, default=0.0) <= 1
    return names if "" not in kinds and not others and (kinds == {"counts"} or shares) else []


def _no_bad_cell(roles: Roles, names: Sequence[str]) -> None:
    """BadData for a cell that is no outcome in a column of outcomes, where most others are, and other columns too."""
    whole = {name: _kind(roles.grid.column(name), name) for name in names}
    for kind, (understood, expected) in _UNDERSTOOD.items():
        mostly = {name: rows for name in names if not whole[name] and (rows := _bad_rows(roles, name, understood))}
        others = len(mostly) + sum(other == kind for other in whole.values())
        for name, rows in mostly.items():
            if others > 1 or (roles.has("policy") and kind != "share"):
                raise bad_cell(roles, name, rows[0], f"{expected}, as in other cells (or {flag('ignore', name)})")


def _bad_rows(roles: Roles, name: str, understood: Callable[[str], object]) -> list[int]:
    """Rows whose cells are not understood, where at least as many are; empty otherwise."""
    column = roles.grid.column(name)
    told = np.array([bool(text) and not is_missing(text) for text in column.values])[column.codes]
    right = np.array([understood(text) is not None for text in column.values])[column.codes]
    bad = np.flatnonzero(told & ~right)
    return [int(row) for row in bad] if 0 < len(bad) <= int((told & right).sum()) else []


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
        right = {name for name in names if all(0 <= n <= 1 for n, of in numbers if of == name)}
        way = "if one column says how it went: --column success=NAME or --column progress=NAME/10"
        way = f"or {flag('ignore', name)}" if len(right) >= (2 if role == "policy" else 1) else way
        expected = f"columns a {role} each, with successes, cells such as 12/20, shares of 1 or % ({way})"
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
