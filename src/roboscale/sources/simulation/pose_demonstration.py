"""A demonstration in poses: where the tip of an arm and the things around it were, turned how, and what was commanded.

Knows names in a field's layout (`tip.x` ... `tip.qz`, `cube.x` ... `cube.qz`, `tip.dx`, `tip.rotvec.x`) and units, and
no task. One arm whose actions are small moves of its tip; positions alone are `demonstration`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Episode, Field, Observation, Pose, SpecMismatch

__all__ = ["PROPRIOCEPTION", "THINGS", "PoseAction", "PoseDemonstration", "PoseState", "takes_poses"]

Array = NDArray[np.float64]

PROPRIOCEPTION, THINGS, ACTION = "observation.state", "observation.environment_state", "action"
TIP = "tip"
MODE = "relative to state at prediction"
_PLACE, _TURN = ("x", "y", "z"), ("qw", "qx", "qy", "qz")
_MOVES = ("tip.dx", "tip.dy", "tip.dz")
_TURNS = ("tip.rotvec.x", "tip.rotvec.y", "tip.rotvec.z")


def takes_poses(action: Field) -> bool:
    """Whether an action moves and turns a tip relative to where it is, so that it can be made of poses."""
    return action.mode == MODE and set(_MOVES + _TURNS) <= set(action.layout)


def _at(field: Field, names: Sequence[str]) -> list[int]:
    """Positions of names in a field's layout; SpecMismatch names those missing."""
    missing = [name for name in names if name not in field.layout]
    if missing:
        have = ", ".join(field.layout) or "none"
        raise SpecMismatch(f"{field.name}: layout lacks {', '.join(missing)}; it has {have}")
    return [field.layout.index(name) for name in names]


@dataclass(frozen=True, slots=True)
class PoseState:
    """Where poses stand in two fields of an observation.

    Args:
        tip: positions of x, y, z, qw, qx, qy, qz of the tip in `PROPRIOCEPTION`.
        things: thing -> positions of the same, or of x, y, z alone, in `THINGS`.
    """

    tip: Sequence[int]
    things: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, proprioception: Field, things: Field) -> PoseState:
        """Reads the layouts of two fields.

        Raises:
            SpecMismatch: there is no tip (two arms have two, and are not there yet), or nothing around it.
        """
        tip = _at(proprioception, [f"{TIP}.{part}" for part in (*_PLACE, *_TURN)])
        heads = dict.fromkeys(name.rpartition(".")[0] for name in things.layout if name.endswith(".x"))
        parts = {head: (*_PLACE, *(_TURN if f"{head}.qw" in things.layout else ())) for head in heads}
        found = {head: _at(things, [f"{head}.{part}" for part in names]) for head, names in parts.items()}
        if not found:
            raise SpecMismatch(f"{things.name}: no thing with x, y, z; it has {', '.join(things.layout) or 'none'}")
        return cls(tip, found)

    def read(self, observation: Observation) -> dict[str, Pose]:
        """Thing -> `world_from_<thing>`, the tip among them; SpecMismatch for numbers that are not finite."""
        own = np.asarray(observation[PROPRIOCEPTION], np.float64)
        around = np.asarray(observation[THINGS], np.float64)
        return {TIP: _pose(own[self.tip]), **{n: _pose(around[list(at)]) for n, at in self.things.items()}}


def _pose(values: Array) -> Pose:
    turn = values[3:] if len(values) == 7 else np.array([1.0, 0.0, 0.0, 0.0])
    return Pose.make(values[:3], turn, "quat_wxyz")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseAction:
    """What an action's elements do.

    Args:
        moves, turns: positions of the three translation and of the three rotation-vector elements.
        others: positions of the rest, the gripper's among them; kept as demonstrated.
        metres, radians: what 1 means.
        low, high: bounds, (D,).
        closes: position of the gripper's effort among all elements.
    """

    moves: Sequence[int]
    turns: Sequence[int]
    others: Sequence[int]
    metres: float
    radians: float
    low: Array
    high: Array
    closes: int

    @classmethod
    def of(cls, field: Field) -> PoseAction:
        """Reads an action field; SpecMismatch for one that moves no tip relative to where it is."""
        if not takes_poses(field):
            found = f"{', '.join(field.layout) or 'no layout'} ({field.mode})"
            raise SpecMismatch(f"{field.name}: expected {', '.join(_MOVES + _TURNS)} {MODE}, found {found}")
        units = {unit: float(value) for value, unit in re.findall(r"([0-9.eE+-]+)\s*(m|rad)\b", field.unit)}
        if units.keys() != {"m", "rad"}:
            raise SpecMismatch(f"{field.name}: expected a unit as '0.05 m; 0.5 rad', found {field.unit!r}")
        if field.low is None or field.high is None:
            raise SpecMismatch(f"{field.name}: expected bounds, found none")
        (closes,) = _at(field, ["gripper_effort"])
        moves, turns = _at(field, _MOVES), _at(field, _TURNS)
        return cls(
            moves=moves,
            turns=turns,
            others=[i for i in range(field.shape[0]) if i not in (*moves, *turns)],
            metres=units["m"],
            radians=units["rad"],
            low=np.array(field.low, np.float64),
            high=np.array(field.high, np.float64),
            closes=closes,
        )

    def aim(self, world_from_tip: Pose, action: Array) -> Pose:
        """The pose that an action sends the tip to: moved in the world's axes, turned about them."""
        turn = Pose.make(np.zeros(3), self.radians * action[self.turns], "rotvec")
        place = world_from_tip.translation + self.metres * action[self.moves]
        return Pose(turn.rotation @ world_from_tip.rotation, place)

    def towards(self, world_from_tip: Pose, world_from_aim: Pose, others: Array) -> NDArray[np.float32]:
        """(D,) the action that sends the tip to an aim, within its bounds; the inverse of `aim`."""
        action = np.zeros(len(self.low))
        action[self.moves] = (world_from_aim.translation - world_from_tip.translation) / self.metres
        turn = Pose(world_from_aim.rotation @ world_from_tip.rotation.T, np.zeros(3))
        action[self.turns] = turn.as_layout("rotvec") / self.radians
        action[self.others] = others
        return np.clip(action, self.low, self.high).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseDemonstration:
    """One source demonstration, T control steps.

    Args:
        id: episode id, the parent of what is generated from it.
        paths: thing -> T poses `world_from_<thing>`; `tip` among them.
        aims: T poses that the tip was sent to.
        closing: (T,) whether the gripper was told to close.
        others: (T, K) elements of the actions that are kept.
        state, action: what the elements mean.
    """

    id: str
    paths: Mapping[str, Sequence[Pose]]
    aims: Sequence[Pose]
    closing: NDArray[np.bool_]
    others: Array
    state: PoseState
    action: PoseAction

    @classmethod
    def of(cls, episode: Episode) -> PoseDemonstration:
        """Reads an episode.

        Raises:
            SpecMismatch: a field is missing, its layout does not name what is needed, or there are under 2 steps.
        """
        needed = (PROPRIOCEPTION, THINGS, ACTION)
        missing = [n for n in needed if n not in episode.spec or n not in episode.arrays]
        if missing:
            have = ", ".join(episode.arrays)
            raise SpecMismatch(f"episode {episode.id}: a demonstration needs {', '.join(missing)}; it has {have}")
        if len(episode) < 2:
            raise SpecMismatch(f"episode {episode.id}: a demonstration has at least 2 steps, found {len(episode)}")
        state = PoseState.of(episode.spec[PROPRIOCEPTION], episode.spec[THINGS])
        action = PoseAction.of(episode.spec[ACTION])
        own, around = episode.arrays[PROPRIOCEPTION], episode.arrays[THINGS]
        seen = [state.read({PROPRIOCEPTION: own[t], THINGS: around[t]}) for t in range(len(episode))]
        actions = np.clip(np.asarray(episode.arrays[ACTION], np.float64), action.low, action.high)
        return cls(
            id=episode.id,
            paths={name: [one[name] for one in seen] for name in seen[0]},
            aims=[action.aim(one[TIP], row) for one, row in zip(seen, actions, strict=True)],
            closing=actions[:, action.closes] > 0,
            others=actions[:, action.others],
            state=state,
            action=action,
        )

    def __len__(self) -> int:
        return len(self.aims)

    @property
    def objects(self) -> tuple[str, ...]:
        """What is around the tip."""
        return tuple(name for name in self.paths if name != TIP)

    def places(self, thing: str) -> Array:
        """(T, 3) positions of a thing, metres."""
        return np.array([pose.translation for pose in self.paths[thing]])
