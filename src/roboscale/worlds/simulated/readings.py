"""What an environment returns, understood strictly: paths, flags, numbers, success and progress.

`bool(value)` is not enough: NaN, the text "False", a distance and a dictionary are all true to Python, and a policy
that never moves would succeed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roboscale.core import BadData, UnknownName
from roboscale.worlds.simulated.declaration import MeasureTable, ScoreTable, SuccessTable

__all__ = [
    "AfterStep",
    "as_flag",
    "as_number",
    "follow",
    "inside",
    "read_measure",
    "read_progress",
    "read_success",
    "shown",
]

_SLACK = 1e-6  # by which a progress of 1 may be exceeded, from rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterStep:
    """What one step of an environment gave, apart from the observation.

    Args:
        where: what the answers are read for, in messages: file and world.
        total: sum of the rewards so far.
        ended: whether the environment ended the episode with this step.
        last: whether the episode ends with it anyway, at the world's horizon.
    """

    where: str
    info: Mapping[str, Any]
    reward: float | None
    total: float | None
    terminated: bool
    ended: bool
    last: bool

    def number(self, source: str) -> float | None:
        """The reward or the return."""
        return self.reward if source == "reward" else self.total


def follow(value: Any, path: str, what: str) -> Any:
    """The value at a dotted path of mappings and sequences (by number). A key may itself hold dots.

    Raises:
        UnknownName: there is nothing of that name; lists what there is.
    """
    rest = path
    while rest:
        here = inside(value)
        parts = rest.split(".")
        heads = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        head = next((head for head in heads if head in here), None)
        if head is None:
            raise UnknownName(what, path, [f"{path[: len(path) - len(rest)]}{name}" for name in here])
        value, rest = here[head], rest[len(head) + 1 :]
    return value


def inside(value: Any) -> dict[str, Any]:
    """What is inside a mapping or a sequence, by name or number; nothing for anything else."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return {str(i): item for i, item in enumerate(value)}
    return {}


def _plain(value: Any) -> Any:
    """The one element of an array of one, of whatever library; other values as they are."""
    if not hasattr(value, "item"):
        return value
    try:
        return value.item()
    except Exception:  # noqa: BLE001  # an array of several says so as it likes, and is shown as it is
        return value


def as_flag(value: Any, where: str, key: str) -> bool:
    """True or false: a boolean, or 0 or 1, or an array of one of these. BadData for everything else."""
    plain = _plain(value)
    if isinstance(plain, (bool, int, float)) and plain in (0, 1):
        return bool(plain)
    expected = "true or false, or 0 or 1"
    if isinstance(plain, (int, float)):
        expected += "; for a score say a threshold, e.g. success = {key = ..., at_least = 0.9}"
    if isinstance(value, Mapping):
        expected += f"; for one inside say its path, as in KEY.{next(iter(value), 'NAME')}"
    raise BadData(where, key, expected, shown(value))


def as_number(value: Any, where: str, key: str) -> float | None:
    """One number; `None` where it is `None`, NaN or infinite: not measured. BadData for what is no number."""
    plain = _plain(value)
    if plain is None:
        return None
    if not isinstance(plain, (bool, int, float)):
        raise BadData(where, key, "one number", shown(value))
    return float(plain) if math.isfinite(plain) else None


def read_success(table: SuccessTable, step: AfterStep) -> bool:
    """Whether the task's condition holds after a step.

    Raises:
        BadData, UnknownName: what is declared as success is not there, or is no such thing.
    """
    if table.source == "terminated":
        return step.terminated != table.negate
    if table.source == "info":
        if table.only_at_end and not step.ended:
            if not step.last:
                return False
            expected = f"the environment's own end within the horizon, since {table.key} is read there"
            raise BadData(step.where, "success.only_at_end", expected, "none: it had not ended at the horizon")
        value = follow(step.info, table.key, f"key of success in the info ({step.where}):")
    else:
        value = step.number(table.source)
    return _holds(table, value, step.where) != table.negate


def _holds(table: SuccessTable, value: Any, where: str) -> bool:
    key = f"info[{table.key}]" if table.source == "info" else table.source
    if isinstance(table.equals, str):
        if not isinstance(value, str):
            raise BadData(where, key, f"text, since success is declared as {table.text}", shown(value))
        return value == table.equals
    if table.equals is None and not table.thresholds:
        return as_flag(value, where, key)
    number = None if isinstance(value, str) else as_number(value, where, key)
    if number is None:
        raise BadData(where, key, f"a finite number, since success is declared as {table.text}", shown(value))
    if table.equals is not None:
        return number == table.equals
    above = table.above is None or number > table.above
    below = table.below is None or number < table.below
    at_least = table.at_least is None or number >= table.at_least
    at_most = table.at_most is None or number <= table.at_most
    return above and below and at_least and at_most


def read_progress(table: ScoreTable, step: AfterStep) -> float | None:
    """Progress in 0..1; `None` where it could not be measured. BadData for a number outside without low and high."""
    key = f"info[{table.key}]" if table.source == "info" else table.source
    value = step.number(table.source) if table.source != "info" else _in_info(table.key, table.optional, step)
    number = as_number(value, step.where, key)
    if number is None:
        return None
    if table.low is None or table.high is None:
        if not -_SLACK <= number <= 1 + _SLACK:
            expected = 'a number in 0..1, or low and high, e.g. progress = {key = "...", low = 0, high = 100}'
            raise BadData(step.where, key, expected, shown(value))
        return min(max(number, 0.0), 1.0)
    return min(max((number - table.low) / (table.high - table.low), 0.0), 1.0)


def read_measure(name: str, table: MeasureTable, step: AfterStep, before: float | None) -> float | None:
    """A declared measure after a step, from what it was before; `None` where it could not be measured yet."""
    key = table.key or name
    number = as_number(_in_info(key, table.optional, step), step.where, f"info[{key}]")
    if number is not None and table.unit == "bool" and number not in (0, 1):
        raise BadData(step.where, f"info[{key}]", "true or false, since its unit is bool", f"{number:g}")
    if table.reduce == "last" or before is None:
        return number
    if number is None:
        return before
    if table.reduce == "sum":
        return before + number
    return max(before, number) if table.reduce == "max" else min(before, number)


def _in_info(key: str, optional: bool, step: AfterStep) -> Any:
    try:
        return follow(
            step.info, key, f"key in the info ({step.where}; optional = true where only some steps have it):"
        )
    except UnknownName:
        if optional:
            return None
        raise


def shown(value: Any) -> str:
    """A value with its type, for messages."""
    if value is None:
        return "None"
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 80 else text[:77] + '...'}"
