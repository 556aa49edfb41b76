"""A demonstration as the generator sees it: paths of the hand and of the things around it, and what was commanded.

Knows names in a field's layout (`hand.x`, `object1.x`, `goal.x`, `gripper.opening`) and units, and no task. It does
not know orientations: a layout that does not say the order of its rotation elements cannot be read safely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Episode, Field, SpecMismatch

__all__ = ["ACTION", "CONTACT", "STATE", "ActionLayout", "Demonstration", "StateLayout"]

Array = NDArray[np.float64]

STATE, ACTION, CONTACT = "observation.environment_state", "action", "contact.gripper_n"
HAND, GOAL, OPENING = "hand", "goal", "gripper.opening"
_AXES = ("x", "y", "z")
_NOT_OBJECTS = (HAND, GOAL, "gripper", "previous")


def _xyz(field: Field, thing: str) -> tuple[int, ...]:
    """Positions of `thing.x`, `thing.y`, `thing.z` in the field's layout; SpecMismatch names those missing."""
    names = [f"{thing}.{axis}" for axis in _AXES]
    missing = [name for name in names if name not in field.layout]
    if missing:
        raise SpecMismatch(
            f"{field.name}: layout lacks {', '.join(missing)}; it has {', '.join(field.layout) or 'none'}"
        )
    return tuple(field.layout.index(name) for name in names)


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Where positions stand in the state vector.

    Args:
        places: thing -> three element positions; `hand`, every object, and `goal` where there is one.
        rest: object -> all its element positions, rotation included; all zero means that it is absent.
        opening: element position of the gripper's opening.
    """

    places: Mapping[str, tuple[int, ...]]
    rest: Mapping[str, tuple[int, ...]]
    opening: int

    @classmethod
    def of(cls, field: Field) -> StateLayout:
        """Reads a field's layout; SpecMismatch when it lacks the hand or the gripper."""
        heads = dict.fromkeys(name.split(".")[0] for name in field.layout)
        objects = [h for h in heads if h not in _NOT_OBJECTS and f"{h}.x" in field.layout]
        things = [HAND, *objects, *([GOAL] if f"{GOAL}.x" in field.layout else [])]
        if OPENING not in field.layout:
            raise SpecMismatch(f"{field.name}: layout lacks {OPENING}; it has {', '.join(field.layout) or 'none'}")
        places = {thing: _xyz(field, thing) for thing in things}
        return cls(places, {o: field.indices(o) for o in objects}, field.layout.index(OPENING))

    def position(self, state: NDArray[np.floating], thing: str) -> Array:
        """(3,) position of a thing, or (T, 3) from a (T, D) state; metres, in the field's frame."""
        return np.asarray(state, np.float64)[..., self.places[thing]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLayout:
    """What an action's elements do.

    Args:
        motion: positions of the three translation elements.
        others: positions of all other elements, the gripper's among them; they are kept as demonstrated.
        opens: what opens a gripper, per element of `others`; NaN where that is not known.
        metres: what 1 means for a translation element, metres a step.
        low, high: bounds, (D,).
    """

    motion: tuple[int, ...]
    others: tuple[int, ...]
    opens: Array
    metres: float
    low: Array
    high: Array

    @classmethod
    def of(cls, field: Field) -> ActionLayout:
        """Reads an action field of position set points relative to the previous one; SpecMismatch for any other."""
        motion = tuple(i for i, n in enumerate(field.layout) if n.split(".")[-1] in ("dx", "dy", "dz"))
        if len(motion) != 3 or field.mode != "relative to previous action":
            raise SpecMismatch(
                f"{field.name}: expected elements dx, dy, dz relative to previous action, "
                f"found {', '.join(field.layout) or 'no layout'} ({field.mode})"
            )
        unit = re.match(r"\s*([0-9.eE+-]*)\s*m\b", field.unit)
        if unit is None:
            raise SpecMismatch(f"{field.name}: expected a unit in metres for dx, dy, dz, found {field.unit!r}")
        size = field.shape[0]
        low = np.full(size, -np.inf) if field.low is None else np.array(field.low)
        high = np.full(size, np.inf) if field.high is None else np.array(field.high)
        others = tuple(i for i in range(size) if i not in motion)
        opens = [
            {"gripper_effort": low, "gripper_closedness": low, "gripper_width": high}.get(n) for n in field.layout
        ]
        opening = np.array([np.nan if (bound := opens[i]) is None else bound[i] for i in others])
        opening[~np.isfinite(opening)] = np.nan
        return cls(motion=motion, others=others, opens=opening, metres=float(unit.group(1) or 1.0), low=low, high=high)


def _required(episode: Episode, where: str) -> None:
    missing = [n for n in (STATE, ACTION, CONTACT) if n not in episode.spec or n not in episode.arrays]
    if missing:
        raise SpecMismatch(f"{where}: a demonstration needs {', '.join(missing)}; it has {', '.join(episode.arrays)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """One source demonstration, T control steps.

    Args:
        id: episode id, the parent of what is generated from it.
        paths: thing -> (T, 3) positions, metres: `hand`, the objects that are there, `goal`.
        opening: (T,) opening of the gripper, 1 open.
        contact_n: (T,) force between gripper and things, newton.
        actions: (T, D) commanded actions, clipped to their bounds.
        rate_hz: control rate.
        action, state: what the elements mean.
    """

    id: str
    paths: Mapping[str, Array]
    opening: Array
    contact_n: Array
    actions: Array
    rate_hz: float
    action: ActionLayout
    state: StateLayout

    @classmethod
    def of(cls, episode: Episode) -> Demonstration:
        """Reads an episode.

        Raises:
            SpecMismatch: a field is missing, its layout does not name what is needed, or there are under 2 steps.
        """
        where = f"episode {episode.id}"
        _required(episode, where)
        if len(episode) < 2:
            raise SpecMismatch(f"{where}: a demonstration has at least 2 steps, found {len(episode)}")
        state, action = StateLayout.of(episode.spec[STATE]), ActionLayout.of(episode.spec[ACTION])
        values = np.asarray(episode.arrays[STATE], np.float64)
        absent = {thing for thing, elements in state.rest.items() if not values[:, elements].any()}
        paths = {thing: state.position(values, thing) for thing in state.places if thing not in absent}
        actions = np.clip(np.asarray(episode.arrays[ACTION], np.float64), action.low, action.high)
        contact_n = np.asarray(episode.arrays[CONTACT], np.float64).reshape(len(values))
        opening = values[:, state.opening]
        return cls(
            id=episode.id,
            paths=paths,
            opening=opening,
            contact_n=contact_n,
            actions=actions,
            rate_hz=episode.spec.rate_hz,
            action=action,
            state=state,
        )

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def objects(self) -> tuple[str, ...]:
        """The things that are neither hand nor goal."""
        return tuple(thing for thing in self.paths if thing not in (HAND, GOAL))
