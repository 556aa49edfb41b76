"""How an action of ours becomes one of an environment: always a row of numbers (D,), whatever its space.

    Box(...)           float32 (D,), its axes flattened      Discrete(n)      int64 (1,), start to start + n - 1
    MultiDiscrete(..)  int64 (D,)                            MultiBinary(n)   int64 (D,), 0 or 1

A policy that gives 0.7 where a whole number is meant has made a mistake; 2.0 is the number 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from roboscale.core import BadData, Field, SpecMismatch
from roboscale.worlds.simulated.declaration import ActionTable

__all__ = ["ActionWriting", "plan_action"]

_LARGEST = float(np.finfo(np.float32).max)
_LARGEST_WHOLE = float(2**53)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionWriting:
    """The field of an action, and the space that it goes to."""

    field: Field
    space: Any

    def write(self, action: NDArray[Any]) -> Any:
        """What the environment is given for an action that is within its bounds."""
        if isinstance(self.space, spaces.Discrete):
            return int(action.reshape(-1)[0])
        command = action.reshape(self.space.shape).astype(self.space.dtype)
        if isinstance(self.space, spaces.Box):  # a bound such as 0.1 is another number in float32 than in float64
            return np.clip(command, self.space.low, self.space.high)
        return command


def plan_action(table: ActionTable, space: Any, rate_hz: float, path: Path, notes: list[str]) -> ActionWriting:
    """How an action is given to an environment; adds to `notes` what the file does not say.

    Raises:
        BadData: the environment takes something that is no row of numbers, or the declaration does not fit it.
    """
    shape, dtype, low, high = _row(space, path, notes)
    unbounded = dtype == "float32" and not np.isfinite([low, high]).any()
    bounds = (None, None) if unbounded else (_finite(low, dtype), _finite(high, dtype))
    try:
        field = Field(
            "action",
            shape,
            dtype,
            unit=table.unit or "1",
            frame=table.frame,
            layout=table.layout,
            mode=table.mode or "absolute",
            side=table.side or "",
            low=bounds[0],
            high=bounds[1],
        )
    except SpecMismatch as error:
        raise BadData(path, "action.layout", f"{shape[0]} names", error) from error
    silent = [key for key, value in (("unit (1)", table.unit), ("mode (absolute)", table.mode)) if value is None]
    if silent and not isinstance(space, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        notes.append(f"[action] does not say, and is taken to be: {', '.join(silent)}")
    _check_hold(table, field, path)
    return ActionWriting(field=field, space=space)


def _row(space: Any, path: Path, notes: list[str]) -> tuple[tuple[int], str, NDArray[Any], NDArray[Any]]:
    """Size, dtype and bounds of the row that stands for an element of a space."""
    if isinstance(space, spaces.Discrete):
        first = float(space.start)
        return (1,), "int64", np.array([first]), np.array([first + float(space.n) - 1])
    if isinstance(space, spaces.MultiBinary):
        size = int(np.prod(space.shape))
        return (size,), "int64", np.zeros(size), np.ones(size)
    if isinstance(space, spaces.MultiDiscrete):
        first_ones = np.reshape(getattr(space, "start", np.zeros(space.shape)), -1).astype(float)
        return (len(first_ones),), "int64", first_ones, first_ones + np.reshape(space.nvec, -1) - 1
    if isinstance(space, spaces.Box) and np.prod(space.shape) >= 1:
        if len(space.shape) != 1:
            notes.append(f"an action is the row of {int(np.prod(space.shape))} numbers that fills {list(space.shape)}")
        dtype = "float32" if np.dtype(space.dtype).kind == "f" else "int64"
        return (int(np.prod(space.shape)),), dtype, space.low.reshape(-1), space.high.reshape(-1)
    expected = "actions of one Box, Discrete, MultiDiscrete or MultiBinary; a wrapper can make one row of the others"
    kind = f"{type(space).__module__.split('.')[0]}'s {type(space).__name__}"
    raise BadData(path, "environment", expected, f"{kind} {space}"[:120])


def _finite(bound: NDArray[Any], dtype: str) -> tuple[float, ...]:
    """Bounds as finite numbers: an element without one gets the largest that its dtype keeps exactly."""
    most = _LARGEST if dtype == "float32" else _LARGEST_WHOLE
    return tuple(float(x) for x in np.clip(np.asarray(bound, np.float64), -most, most))


def _check_hold(table: ActionTable, field: Field, path: Path) -> None:
    if table.hold is None:
        return
    size = field.shape[0]
    if len(table.hold) != size:
        raise BadData(path, "action.hold", f"{size} numbers, one for each of the action's", len(table.hold))
    if field.dtype == "int64" and any(x != int(x) for x in table.hold):
        raise BadData(path, "action.hold", "whole numbers", list(table.hold))
    low, high = field.low or (-_LARGEST,) * size, field.high or (_LARGEST,) * size
    for value, least, most in zip(table.hold, low, high, strict=True):
        if not least <= value <= most:
            raise BadData(path, "action.hold", f"numbers within {least:g}..{most:g}", f"{value:g}")
