"""Frames in which nothing is asked of the robot: between two keys, while somebody thinks, before the first motion.

A policy without memory that learns from many of them rests where they rested, and never goes on. What counts as rest
is read off the command, whatever its unit, and judged beside the set's own motion:

- a command that says how far to go, or how fast, rests where it is 0;
- one that says where to be rests where it stands still, and so does what it moves;
- one of which nobody says which of the two it is rests where both stand still, which holds for either.

What waits for a gripper is no rest: from a change of its command for as long as it is seen to move, or .3 s where it
is not seen. Nor is the last .1 s of an episode, from which a policy learns to stop. Knows numbers and specs, no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Spec
from roboscale.dataset.audit.roles import FieldRoles, elements

__all__ = ["ArmCommand", "asked_motion", "command_of", "resting", "rests_of_episode", "typical_motion"]

Floats = NDArray[np.float64]

_REST = 0.03  # of the typical motion of an element
_DUST = 1e-6  # of the largest element's: what rounding leaves of a zero
_TREMBLE = 4.0  # times its median, which the 90th of a hundred of noise stays below
_LITTLE = 0.1  # of what the largest element of its field does
_WINDOW_S = 0.05  # to either side, over which what stands still may not wander
_SOON_S = 0.1  # in which a gripper that is told to begins to move, and in which an episode ends
_UNSEEN_S = 0.3  # for a gripper that nothing reads
_LONGEST_S = 2.0  # for one that is seen to move
_GRIP = 0.02  # of what the gripper covers
_PER_TIME = ("m/s", "rad/s", "deg/s")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCommand:
    """Which numbers of a frame say whether something is asked of the robot.

    Args:
        action: the field that commands. arm, grip: its elements that move the arm, and the grippers.
        state: the field that it moves, or nothing. state_arm, state_grip: likewise.
        by_zero: whether 0 is rest; else standing still is.
        assumed: what was taken for granted, in words; empty where nothing was.
    """

    action: str
    arm: tuple[int, ...]
    grip: tuple[int, ...]
    state: str
    state_arm: tuple[int, ...]
    state_grip: tuple[int, ...]
    by_zero: bool
    assumed: tuple[str, ...] = ()


def command_of(spec: Spec, roles: FieldRoles, arrays: Mapping[str, NDArray[Any]]) -> ArmCommand | str:
    """What of `action` commands the arm; a sentence where that cannot be told.

    Args:
        arrays: (N, *shape) of `action`, at least: a gripper that nobody names is told by its two values.
    """
    if "action" not in spec or "action" not in arrays:
        return "there is no action"
    action, assumed = spec["action"], []
    link = next((one for one in roles.links(spec) if one.action == "action"), None)
    rows, grip = _rows(arrays["action"]), roles.grippers(action)
    by_zero = _by_zero(action)
    switches = [i for i in range(rows.shape[1]) if by_zero and i not in grip and _switch(rows[:, i])]
    if switches and len(switches) < rows.shape[1]:
        named = ", ".join(elements(action)[i] for i in switches)
        assumed.append(f"{named} of action has two values and is never 0: taken for a gripper")
        grip = [*grip, *switches]
    arm = tuple(i for i in range(rows.shape[1]) if i not in grip)
    state = "" if link is None else link.state
    state_grip = tuple(roles.grippers(spec[state])) if state else ()
    size = len(elements(spec[state])) if state else 0
    if not by_zero and action.mode != "absolute" and not state:
        return f"nobody says whether action is a place or a motion (it is {action.mode!r}), and there is no state"
    if not by_zero and action.mode != "absolute":
        assumed.append(f"action is {action.mode!r}: a frame rests where neither it nor {state} changes")
    if not by_zero and not state:
        assumed.append("there is no state: a frame rests where the command stands still")
    return ArmCommand(
        action="action",
        arm=arm or tuple(range(rows.shape[1])),
        grip=tuple(grip) if arm else (),
        state=state,
        state_arm=tuple(i for i in range(size) if i not in state_grip),
        state_grip=state_grip,
        by_zero=by_zero,
        assumed=tuple(assumed),
    )


def asked_motion(command: ArmCommand, arrays: Mapping[str, NDArray[Any]], rate_hz: float) -> Floats:
    """(T, D) how far each element of the arm's command goes, and of its state where standing still is rest.

    >>> both = ArmCommand(action="action", arm=(0,), grip=(), state="", state_arm=(), state_grip=(), by_zero=False)
    >>> asked_motion(both, {"action": np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])}, 10.0)[:, 0].tolist()
    [0.0, 1.0, 1.0, 0.0, 0.0]
    """
    rows = _rows(arrays[command.action])[:, list(command.arm)]
    if command.by_zero:
        return np.abs(rows)
    if command.state:
        rows = np.concatenate([rows, _rows(arrays[command.state])[:, list(command.state_arm)]], axis=1)
    return _wandering(rows, max(1, round(_WINDOW_S * rate_hz)))


def typical_motion(command: ArmCommand, asked: Sequence[Floats]) -> Floats:
    """(D,) what each element does when it moves: the 90th of a hundred of what is not 0 in any of the episodes.

    Infinite for one that trembles and nothing else: always about as much, and little beside others of its field.
    """
    rows = np.concatenate(list(asked))
    typical, trembles = np.zeros(rows.shape[1]), np.zeros(rows.shape[1], np.bool_)
    for i, column in enumerate(rows.T):
        moved = column[column > 1e-9 * column.max(initial=0.0)]
        typical[i] = np.quantile(moved, 0.9) if len(moved) else 0.0
        trembles[i] = typical[i] < _TREMBLE * np.median(column)
    fields = np.split(np.arange(len(typical)), [len(command.arm)])
    for columns in fields:
        own, largest = typical[columns], typical[columns].max(initial=0.0)
        trembling = trembles[columns] & (own < _LITTLE * largest)
        typical[columns] = np.where(trembling, np.inf, np.maximum(own, _DUST / _REST * largest))
    return typical


def resting(
    command: ArmCommand, arrays: Mapping[str, NDArray[Any]], asked: Floats, typical: Floats, rate_hz: float
) -> NDArray[np.bool_]:
    """(T,) which frames of one episode rest.

    Args:
        asked: (T, D) of `asked_motion`. typical: (D,) of `typical_motion`, over whatever is compared.
    """
    rest = np.asarray(~np.asarray((asked > _REST * typical).any(axis=1)), np.bool_)
    for first, last in _waits(command, arrays, rate_hz):
        rest[first : last + 1] = False
    if not rest.all():  # where nothing is asked at all, the end is rest, too
        rest[-max(1, round(_SOON_S * rate_hz)) :] = False
    return rest


def rests_of_episode(spec: Spec, roles: FieldRoles, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
    """(T,) which frames of one episode rest, beside its own motion alone; `None` where that cannot be told.

    Args:
        arrays: (T, *shape) of its fields.
    """
    command = command_of(spec, roles, arrays)
    if isinstance(command, str) or (command.state and command.state not in arrays):
        return None
    asked = asked_motion(command, arrays, spec.rate_hz)
    return resting(command, arrays, asked, typical_motion(command, [asked]), spec.rate_hz)


def _waits(command: ArmCommand, arrays: Mapping[str, NDArray[Any]], rate_hz: float) -> list[tuple[int, int]]:
    """(first, last) frames of each wait for a gripper, from the change of its command on."""
    if not command.grip:
        return []
    rows = _rows(arrays[command.action])[:, list(command.grip)]
    changes = np.flatnonzero((np.abs(np.diff(rows, axis=0)) > _GRIP * _span(rows)).any(axis=1)) + 1
    least = max(1, round((_SOON_S if command.state_grip else _UNSEEN_S) * rate_hz))
    seen = np.zeros(len(rows), np.bool_)
    if command.state_grip and len(changes):
        read = _rows(arrays[command.state])[:, list(command.state_grip)]
        wandered = _wandering(read, max(1, round(_WINDOW_S / 2 * rate_hz)))
        seen = np.asarray((wandered > _GRIP * _span(read)).any(axis=1), np.bool_)
    waits = []
    for change in changes.tolist():
        last = min(change + least, len(rows)) - 1
        while last + 1 < min(len(rows), change + round(_LONGEST_S * rate_hz)) and seen[last + 1]:
            last += 1
        waits.append((change, last))
    return waits


def _by_zero(action: Field) -> bool:
    return (action.mode.startswith("relative") and "episode start" not in action.mode) or action.unit in _PER_TIME


def _switch(column: Floats) -> bool:
    """Whether it has two values, neither of them 0: a gripper that is opened and closed."""
    values = np.unique(column)
    return len(values) <= 2 and bool(np.abs(values).min(initial=1.0) > 1e-3 * np.abs(values).max(initial=1.0))


def _wandering(rows: Floats, reach: int) -> Floats:
    """(T, D) largest minus smallest value from `reach` frames before to as many after."""
    padded = np.pad(rows, ((reach, reach), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    wandered: Floats = windows.max(axis=-1) - windows.min(axis=-1)
    return wandered


def _span(rows: Floats) -> Floats:
    span: Floats = np.ptp(rows, axis=0) if len(rows) else np.zeros(rows.shape[1])
    return np.maximum(span, 1e-12)


def _rows(array: NDArray[Any]) -> Floats:
    return np.asarray(array, np.float64).reshape(len(array), -1)
