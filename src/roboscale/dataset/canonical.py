"""Actions of different robots in one space, by what their fields declare: no name is guessed, no number is fitted.

    joint         absolute joint angles in rad
    eef-delta     how the tip is to move from where it is: metres and a rotation vector in the axes of its frame
    relative-eef  where the tip is to be, seen from itself: metres and a rotation vector in the axes of the tip

A space is reached by way of the pose that an action aims at, so that going there and back is exact up to rounding;
what does not say enough for that is refused with the reason. Elements are `x`, `y`, `z` or `dx`, `dy`, `dz`, and a
rotation as `qw` ... `qz` or `rotvec.x` ..., behind one prefix; what 1 means stands in the unit (`0.05 m; 0.5 rad`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Pose, RecordedEpisode, Spec, SpecMismatch
from roboscale.core.pose import rotation_matrices

__all__ = ["SPACES", "ActionSpace", "Aligned", "Alignment", "aligned_spec", "alignment_of"]

Array = NDArray[np.float64]
ActionSpace = Literal["joint", "eef-delta", "relative-eef"]
SPACES: tuple[ActionSpace, ...] = get_args(ActionSpace)

STATE, ACTION = "observation.state", "action"
TOLERANCE = 1e-4
"""Largest error of going there and back, in an action's own numbers: float32 keeps seven digits."""

_AT, _MOVE = ("x", "y", "z"), ("dx", "dy", "dz")
_QUAT, _ROTVEC = ("qw", "qx", "qy", "qz"), ("rotvec.x", "rotvec.y", "rotvec.z")
_FROM_STATE = ("relative to state at prediction", "relative to the state at prediction")
_GRIPPERS = ("gripper_closedness", "gripper_openness", "gripper_effort")
_TIP = ("tip.dx", "tip.dy", "tip.dz", "tip.rotvec.x", "tip.rotvec.y", "tip.rotvec.z", "gripper_closedness")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tip:
    """Where a pose, or a move, stands in a field: positions of its elements and what 1 means."""

    place: tuple[int, ...]
    turn: tuple[int, ...]
    turn_layout: str
    metres: float = 1.0
    radians: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How one robot's actions become those of a space, and back.

    Args:
        space: the space.
        spec: of the robot's episodes, `action` and `observation.state` among them.
        absolute: whether the action is a pose, else a move from where the tip is.
        body: whether a move is in the tip's own axes.
        gripper: position and kind of the gripper's element.
        joints: positions of the joints, for `joint`.
        turns: False where the robot cannot turn its tip, so that every turn is 0.
    """

    space: ActionSpace
    spec: Spec
    state: _Tip | None = None
    action: _Tip | None = None
    absolute: bool = False
    body: bool = False
    gripper: tuple[int, str] | None = None
    joints: tuple[int, ...] = ()
    turns: bool = True

    def forward(self, actions: NDArray[Any], states: NDArray[Any]) -> NDArray[np.float32]:
        """(T, D) of the robot and (T, S) states -> (T, D') of the space."""
        given = np.asarray(actions, np.float64)
        if self.space == "joint":
            kept = given[:, list(self.joints)]
        else:
            here, aim = self._here(states), self._aims(given, states)
            kept = np.stack(
                [_relative(h, a, body=self.space == "relative-eef") for h, a in zip(here, aim, strict=True)]
            )
        if self.gripper is not None:
            kept = np.concatenate([kept, _closed(given[:, self.gripper[0]], self.gripper[1])[:, None]], axis=1)
        return kept.astype(np.float32)

    def back(self, canonical: NDArray[Any], states: NDArray[Any]) -> NDArray[np.float32]:
        """The inverse of `forward`."""
        given = np.asarray(canonical, np.float64)
        actions = np.zeros((len(given), self.spec[ACTION].shape[0]))
        if self.gripper is not None:
            actions[:, self.gripper[0]] = _opened(given[:, -1], self.gripper[1])
        if self.space == "joint":
            actions[:, list(self.joints)] = given[:, : len(self.joints)]
            return actions.astype(np.float32)
        assert self.action is not None, "the tip's spaces have one"
        for row, (here, move) in enumerate(zip(self._here(states), given[:, :6], strict=True)):
            aim = _moved(here, move, body=self.space == "relative-eef")
            actions[row] += self._as_action(here, aim)
        return actions.astype(np.float32)

    def _here(self, states: NDArray[Any]) -> list[Pose]:
        assert self.state is not None, "the tip's spaces have one"
        return _poses(np.asarray(states, np.float64), self.state)

    def _aims(self, actions: Array, states: NDArray[Any]) -> list[Pose]:
        assert self.action is not None, "the tip's spaces have one"
        if self.absolute:
            return _poses(actions, self.action)
        part = self.action
        moves = np.zeros((len(actions), 6))
        moves[:, :3] = part.metres * actions[:, list(part.place)]
        if part.turn:
            turns = actions[:, list(part.turn)]
            moves[:, 3:] = part.radians * turns if part.turn_layout == "rotvec" else _rotvecs(turns, part.turn_layout)
        return [_moved(here, move, body=self.body) for here, move in zip(self._here(states), moves, strict=True)]

    def _as_action(self, here: Pose, aim: Pose) -> Array:
        """The robot's own numbers for an aim, without its gripper."""
        part = self.action
        assert part is not None, "the tip's spaces have one"
        row = np.zeros(self.spec[ACTION].shape[0])
        move = _relative(here, aim, body=self.body)
        row[list(part.place)] = (aim.translation if self.absolute else move[:3]) / part.metres
        if part.turn:
            turn = aim if self.absolute else Pose.make(np.zeros(3), move[3:], "rotvec")
            row[list(part.turn)] = turn.as_layout(part.turn_layout) / part.radians
        return row

    def error(self, actions: NDArray[Any], again: NDArray[Any]) -> float:
        """The largest difference; a quaternion and its opposite are one turn."""
        there, back = np.asarray(actions, np.float64), np.asarray(again, np.float64).copy()
        if self.action is not None and self.action.turn_layout == "quat_wxyz":
            turn = list(self.action.turn)
            unit = there[:, turn] / np.linalg.norm(there[:, turn], axis=1, keepdims=True)
            back[:, turn] *= np.sign((unit * back[:, turn]).sum(axis=1, keepdims=True))
            there = there.copy()
            there[:, turn] = unit
        return float(np.abs(back - there).max(initial=0.0))

    def tip(self, states: NDArray[Any]) -> NDArray[np.float32]:
        """(T, 7) where the tip is: x, y, z, qw, qx, qy, qz."""
        rows = [np.concatenate([one.translation, one.as_layout("quat_wxyz")]) for one in self._here(states)]
        return np.asarray(rows, np.float32)


def alignment_of(spec: Spec, space: ActionSpace) -> Alignment:
    """How the actions of a spec become those of a space.

    SpecMismatch says what is not declared, or declared to be something that cannot be turned into it.
    """
    for name in (ACTION, STATE):
        if name not in spec or len(spec[name].shape) != 1:
            raise SpecMismatch(f"{name}: expected one vector a step, found {spec.names}")
    action, state = spec[ACTION], spec[STATE]
    for field in (action, state):
        if not field.layout:
            raise SpecMismatch(f"{field.name}: its elements have no names")
    if space == "joint":
        return _joints(spec, action)
    gripper = _gripper_of(action)
    if action.mode not in ("absolute", *_FROM_STATE):
        why = "the place that it counts from is not recorded" if "previous" in action.mode else "nobody says from what"
        raise SpecMismatch(f"action is {action.mode!r}: {why}")
    absolute = action.mode == "absolute"
    here, aim = _tip_of(state, _AT), _tip_of(action, _AT if absolute else (*_MOVE, *_AT))
    if absolute and action.frame != state.frame:
        raise SpecMismatch(
            f"action is in frame {action.frame or 'not said'}, the state in {state.frame or 'not said'}"
        )
    if not state.frame:
        raise SpecMismatch("observation.state: its frame is not declared")
    if not absolute and aim.turn and action.side not in ("body", "world") and action.frame != state.frame:
        raise SpecMismatch("action: nobody says in whose axes it moves and turns (side, or the state's frame)")
    if not here.turn and (aim.turn or space == "relative-eef"):
        raise SpecMismatch("observation.state: how the tip is turned is not among its elements")
    used = {*aim.place, *aim.turn, *([gripper[0]] if gripper else [])}
    others = [name for place, name in enumerate(action.layout) if place not in used]
    if others:
        raise SpecMismatch(f"action: {', '.join(others)} have no place in {space}")
    return Alignment(
        space=space,
        spec=spec,
        state=here,
        action=aim,
        absolute=absolute,
        body=action.side == "body",
        gripper=gripper,
        turns=bool(aim.turn),
    )


def _joints(spec: Spec, action: Field) -> Alignment:
    gripper = _gripper_of(action)
    joints = tuple(i for i in range(len(action.layout)) if gripper is None or i != gripper[0])
    if action.mode != "absolute":
        raise SpecMismatch(f"action is {action.mode!r}: angles are not known without where it counts from")
    if _scale(action, "rad") != 1.0 or "m" in _units(action):
        raise SpecMismatch(f"action: expected rad, found {action.unit!r}")
    tips = [name for name in action.layout if name.rpartition(".")[2] in (*_AT, *_MOVE, *_QUAT)]
    if tips:
        raise SpecMismatch(f"action: {', '.join(tips)} are no joints")
    return Alignment(space="joint", spec=spec, gripper=gripper, joints=joints)


def aligned_spec(alignments: Mapping[str, Alignment]) -> Spec:
    """The spec that all members have once they are aligned.

    Raises:
        SpecMismatch: rates, frames, joints or grippers differ between members, with both sides.
    """
    _same({name: one.spec.rate_hz for name, one in alignments.items()}, "rates differ, and nothing is resampled")
    first = next(iter(alignments.values()))
    _same({n: bool(a.gripper) for n, a in alignments.items()}, "some have a gripper and some have none")
    if first.space == "joint":
        names = {n: tuple(a.spec[ACTION].layout[i] for i in a.joints) for n, a in alignments.items()}
        _same(names, "joints differ")
        layout = (*names[next(iter(names))], *(["gripper_closedness"] if first.gripper else []))
        states = {n: (a.spec[STATE].layout, a.spec[STATE].unit) for n, a in alignments.items()}
        _same(states, "states differ")
        action = Field(ACTION, (len(layout),), "float32", unit="rad", layout=layout)
        return Spec((replace(first.spec[STATE], low=None, high=None), action), first.spec.rate_hz)
    frames = {name: one.spec[STATE].frame for name, one in alignments.items()}
    _same(frames, "frames differ")
    frame, body = frames[next(iter(frames))], first.space == "relative-eef"
    layout = _TIP if first.gripper else _TIP[:6]
    tip = tuple(f"tip.{part}" for part in (*_AT, *_QUAT))
    action = Field(
        ACTION,
        (len(layout),),
        "float32",
        unit="1 m; 1 rad",
        frame="tip at prediction" if body else frame,
        layout=layout,
        mode=_FROM_STATE[0],
        side="body" if body else "world",
    )
    return Spec((Field(STATE, (7,), "float32", unit="mixed", frame=frame, layout=tip), action), first.spec.rate_hz)


def _same(values: Mapping[str, object], what: str) -> None:
    if len(set(values.values())) > 1:
        raise SpecMismatch(f"{what}: " + "; ".join(f"{name}: {value}" for name, value in values.items()))


@dataclass(frozen=True, slots=True)
class Aligned:
    """An edit: an episode's action in the space, its state as the space has it, and the cameras that all have.

    SpecMismatch where going back gives other numbers than were there.

    Args:
        cameras: (the robot's name, the name that all get).
    """

    alignment: Alignment
    name: str
    cameras: tuple[tuple[str, str], ...] = ()

    def __call__(self, episode: RecordedEpisode) -> RecordedEpisode:
        actions, states = episode.arrays[ACTION], episode.arrays[STATE]
        canonical = self.alignment.forward(actions, states)
        error = self.alignment.error(actions, self.alignment.back(canonical, states))
        if error > TOLERANCE:
            where = f"{self.name}, episode {episode.key}"
            raise SpecMismatch(f"{where}: going back from {self.alignment.space} is off by {error:.3g}")
        state = states if self.alignment.space == "joint" else self.alignment.tip(states)
        said = replace(episode.provenance, details={"dataset": self.name, **episode.provenance.details})
        return replace(
            episode,
            arrays={STATE: np.asarray(state, np.float32), ACTION: canonical},
            pictures={new: episode.pictures[own] for own, new in self.cameras},
            streams={},
            carried={},
            provenance=said,
        )


def _tip_of(field: Field, heads: tuple[str, ...]) -> _Tip:
    """The one tip of a field; SpecMismatch where there is none, or two."""
    ends = [name.rpartition(".") for name in field.layout]
    first = [prefix for prefix, _, end in ends if end in heads[::3] and "rotvec" not in prefix]
    if len(first) != 1:
        found = "none" if not first else f"{len(first)}: {', '.join(first)}"
        raise SpecMismatch(f"{field.name}: expected one tip with {heads[0]}, {heads[1]}, {heads[2]}, found {found}")
    head = f"{first[0]}." if first[0] else ""
    axes = heads[:3] if f"{head}{heads[0]}" in field.layout else heads[3:]
    place = _positions(field, [head + one for one in axes])
    turns = {"quat_wxyz": _QUAT, "rotvec": _ROTVEC}
    layout = next((name for name, parts in turns.items() if head + parts[0] in field.layout), "")
    turn = _positions(field, [head + one for one in turns[layout]]) if layout else ()
    return _Tip(
        place=place,
        turn=turn,
        turn_layout=layout,
        metres=_scale(field, "m"),
        radians=_scale(field, "rad") if layout == "rotvec" else 1.0,
    )


def _positions(field: Field, names: list[str]) -> tuple[int, ...]:
    missing = [name for name in names if name not in field.layout]
    if missing:
        raise SpecMismatch(f"{field.name}: {', '.join(missing)} are not among its elements {', '.join(field.layout)}")
    return tuple(field.layout.index(name) for name in names)


def _units(field: Field) -> dict[str, float]:
    """Unit -> what 1 means: `0.05 m; 0.5 rad` says it, `m` alone means 1."""
    said = re.findall(r"(?:^|[;,]\s*)(?:([0-9.eE+-]+)\s*)?(m|rad)(?=\s*(?:[;,]|$))", field.unit)
    return {unit: float(value or 1) for value, unit in said}


def _scale(field: Field, unit: str) -> float:
    """What 1 means. `mixed` fields follow the convention of SI units; any other silence is refused."""
    said = _units(field)
    if unit in said:
        return said[unit]
    if field.unit == "mixed":
        return 1.0
    raise SpecMismatch(f"{field.name}: expected a unit with {unit}, found {field.unit!r}")


def _gripper_of(field: Field) -> tuple[int, str] | None:
    """Position and kind of the gripper's element; SpecMismatch where what 1 means is not said, or there are two."""
    named = [(i, name.rpartition(".")[2]) for i, name in enumerate(field.layout) if "gripper" in name]
    if not named:
        return None
    if len(named) > 1 or named[0][1] not in _GRIPPERS:
        found = ", ".join(name for _, name in named)
        raise SpecMismatch(f"{field.name}: expected one of {', '.join(_GRIPPERS)}, found {found}")
    return named[0]


def _closed(values: Array, kind: str) -> Array:
    return {"gripper_closedness": values, "gripper_openness": 1 - values}.get(kind, (values + 1) / 2)


def _opened(values: Array, kind: str) -> Array:
    return {"gripper_closedness": values, "gripper_openness": 1 - values}.get(kind, 2 * values - 1)


def _poses(rows: Array, tip: _Tip) -> list[Pose]:
    places = tip.metres * rows[:, list(tip.place)]
    if not tip.turn:
        return [Pose(np.eye(3), place) for place in places]
    turns = tip.radians * rows[:, list(tip.turn)]
    return [Pose(turn, at) for turn, at in zip(rotation_matrices(turns, tip.turn_layout), places, strict=True)]


def _rotvecs(rows: Array, layout: str) -> Array:
    return np.stack([Pose(one, np.zeros(3)).as_layout("rotvec") for one in rotation_matrices(rows, layout)])


def _relative(here: Pose, aim: Pose, *, body: bool) -> Array:
    """(6,) the move from one pose to the other: in the axes of `here`, or in those of its frame about itself."""
    if body:
        move = here.inverse() @ aim
        return np.concatenate([move.translation, move.as_layout("rotvec")])
    turn = Pose(aim.rotation @ here.rotation.T, np.zeros(3))
    return np.concatenate([aim.translation - here.translation, turn.as_layout("rotvec")])


def _moved(here: Pose, move: Array, *, body: bool) -> Pose:
    """The inverse of `_relative`."""
    turn = Pose.make(move[:3], move[3:], "rotvec")
    if body:
        return here @ turn
    return Pose(turn.rotation @ here.rotation, here.translation + move[:3])
