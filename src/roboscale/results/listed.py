"""JSON with lists of objects as rows: what stands above a list, beside it, and in objects inside its rows.

A row may itself hold objects, `{"policy": "act", "pick": {"successes": 5, "trials": 9}, "stack": {...}}`: as many
results as there are objects. Read as columns, all but the first would be dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roboscale.core import BadData
from roboscale.results.names import strength
from roboscale.results.nested import OUTCOME_ROLES, PLAIN_KEYS, POLICY_KEYS, TASK_KEYS, cells_of, has_role, is_row

__all__ = ["rows_of_lists"]

Row = Mapping[str, Any]

_SAYS_A_TRIAL = ("success", "failure", "progress")
_TOTALS = ("successes", "failures", "rate", *_SAYS_A_TRIAL)
_WHO = ("policy", "task")


def rows_of_lists(path: Path, data: Any) -> tuple[list[Row], tuple[str, ...]] | None:
    """The innermost objects of lists in a document, each with what stands beside the lists above it.

    `{"policies": [{"name": "act", "tasks": [{"name": "cup", "successes": 5, "trials": 10}]}]}` is one row with a
    policy and a task.

    Returns:
        The rows, and what was assumed; `None` where a document has no such list.

    Raises:
        BadData: several lists hold results, or objects in a row may be policies, tasks or something else.
    """
    layout = _Layout(path)
    if isinstance(data, Mapping):
        rows = layout.inside(data, {})
    elif _is_list_of_objects(data):
        rows = layout.listed(data, "", {})
    else:
        return None
    if rows is None:
        return None
    return [cell for row in rows for cell in cells_of(row)], layout.notes()


@dataclass(slots=True)
class _Layout:
    """One document while it is laid out.

    Args:
        left: what holds results and was not read.
        levels: role -> keys of objects that are its values.
    """

    path: Path
    left: dict[str, None] = field(default_factory=dict)
    levels: dict[str, dict[str, None]] = field(default_factory=dict)

    def notes(self) -> tuple[str, ...]:
        told = [f"each of these keys is a {role}: {', '.join(keys)}" for role, keys in self.levels.items()]
        return (*told, *([f"not read: {', '.join(map(repr, self.left))}"] if self.left else []))

    def inside(self, data: Row, above: Row) -> list[Row] | None:
        """The rows of the list in an object; `None` where it has none."""
        key = self._list_in(data)
        if key is None:
            return None
        self.left |= {k: None for k, v in data.items() if k != key and _holds_results(v)}
        role = "policy" if key in POLICY_KEYS else "task" if key in TASK_KEYS else ""
        return self.listed(data[key], role, {**above, **_beside(data, key, data[key])})

    def listed(self, entries: Sequence[Row], role: str, known: Row) -> list[Row]:
        """The rows of a list, each with what is `known` above it."""
        named = [
            {role if k in ("name", "id") and role and role not in entry else k: v for k, v in entry.items()}
            for entry in entries
        ]
        keys = _siblings(named)
        rows: list[Row] = []
        for entry in named:
            inner = self._objects(entry, known, keys)
            if inner is None:
                inner = self.inside(entry, known)
            rows += [{**known, **entry}] if inner is None else inner
        return rows

    def _list_in(self, data: Row) -> str | None:
        """The key of the list of results. BadData where there are several, of no known name."""
        key = next((k for k in (*POLICY_KEYS, *TASK_KEYS, *PLAIN_KEYS) if _is_list_of_objects(data.get(k))), None)
        if key is not None:
            return key
        others = [k for k, v in data.items() if _is_list_of_objects(v) and any(map(is_row, v))]
        if len(others) > 1:
            expected = "one list of results, or one under the key results, policies or tasks"
            raise BadData(self.path, "content", expected, f"several: {', '.join(map(repr, others))}")
        return others[0] if others else None

    def _objects(self, entry: Row, known: Row, keys: Sequence[str]) -> list[Row] | None:
        """The rows of results that stand as objects in a row; `None` where it says itself how its trial went."""
        if any(strength(role, k) is not None for role in _SAYS_A_TRIAL for k, v in entry.items() if _is_plain(v)):
            return None
        wrapper = next((k for k in (*TASK_KEYS, *POLICY_KEYS, *PLAIN_KEYS) if _holds_rows(entry.get(k))), None)
        inside = dict(entry[wrapper]) if wrapper else {k: entry[k] for k in keys if k in entry}
        if not inside:
            return None
        used = [wrapper] if wrapper else list(inside)
        self.left |= {k: None for k, v in entry.items() if k not in used and _holds_results(v)}
        above = {**known, **_beside(entry, wrapper or "", list(inside.values()))}
        role = "task" if wrapper in TASK_KEYS else "policy" if wrapper in POLICY_KEYS else self._role_of(above, inside)
        self.levels.setdefault(role, {}).update(dict.fromkeys(inside))
        rows: list[Row] = []
        for key, value in inside.items():
            rows += [{**above, role: key, **cell} for cell in ([value] if isinstance(value, Mapping) else value)]
        return rows

    def _role_of(self, known: Row, found: Row) -> str:
        """What keys of objects are, where no key above says it: tasks beside a policy, policies beside a task."""
        has = [role for role in _WHO if any(strength(role, k) is not None for k in known)]
        if len(has) == 1:
            return "task" if has == ["policy"] else "policy"
        expected = "one result a row, or objects called after tasks beside a policy"
        said = f"{', '.join(map(repr, list(found)[:4]))} beside {' and '.join(has) or 'neither policy nor task'}"
        raise BadData(self.path, "content", expected, said)


def _siblings(rows: Sequence[Row]) -> list[str]:
    """Keys of objects that are results each: two or more that say the same kind of outcome. Else they are columns."""
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for key, value in row.items():
            if isinstance(value, Mapping) and is_row(value):
                kinds.setdefault(key, set()).update(
                    r for r in OUTCOME_ROLES for k in value if strength(r, k) is not None
                )
    twice = [r for r in OUTCOME_ROLES if r != "trials" and sum(r in kinds_of for kinds_of in kinds.values()) > 1]
    return [key for key, kinds_of in kinds.items() if kinds_of & set(twice)]


def _beside(data: Row, key: str, inner: Sequence[Row]) -> dict[str, Any]:
    """What stands beside results and belongs to all of them; sums over them do not."""
    kept = {k: v for k, v in data.items() if k != key and _is_plain(v) and has_role(k)}
    cells = {k for row in inner if isinstance(row, Mapping) for k in row}
    needs_trials = any(strength(r, k) is not None for r in ("rate", "successes") for k in cells)
    needs_trials = needs_trials and all(strength("trials", k) is None for k in cells)
    sums = _TOTALS if needs_trials else (*_TOTALS, "trials")
    others = ("policy", "task", "case", "run", "checkpoint", "variation", "world", "place", "robot")
    return {
        k: v
        for k, v in kept.items()
        if all(strength(role, k) is None for role in sums) or any(strength(role, k) is not None for role in others)
    }


def _is_plain(value: Any) -> bool:
    return not isinstance(value, (list, Mapping))


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _holds_rows(value: Any) -> bool:
    """Whether a value is an object of results, or of lists of them."""
    if not isinstance(value, Mapping) or not value or is_row({k: 0 for k, v in value.items() if _is_plain(v)}):
        return False
    return all(
        (isinstance(one, Mapping) and is_row(one)) or (_is_list_of_objects(one) and any(map(is_row, one)))
        for one in value.values()
        if not _is_plain(one)
    ) and any(not _is_plain(one) for one in value.values())


def _holds_results(value: Any) -> bool:
    """Whether somewhere in a value an object says how something went."""
    if isinstance(value, Mapping):
        return is_row(value) or any(map(_holds_results, value.values()))
    return isinstance(value, list) and any(map(_holds_results, value[:50]))
