"""What each field is for: action, state, gripper, pose, velocity, image. Inferred, with a confidence; never spelt.

Names are the first witness, shapes and dtypes the second, and how the numbers move together the last: what commands
runs ahead of what follows. Below `CONFIDENT` a role is a guess, and what rests on it is a note.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import BadData, Field, Spec, UnknownName
from roboscale.dataset.sensors import camera_fact_of, words_of

__all__ = ["CONFIDENT", "KINDS", "FieldRoles", "Link", "Role", "elements", "infer_roles", "named_role", "said_roles"]

KINDS = (
    *("action", "requested", "executed", "state", "gripper", "pose", "velocity", "effort", "image", "camera"),
    *("clock", "label", "other"),
)
"""What a field may be for. `requested` and `executed` are other actions beside the one that is learned, `camera` is
what is said of one, such as its extrinsics, and `label` what says something about frames, such as a reward."""

CONFIDENT = 0.9
"""From this confidence on a role may carry a warning or an error."""

MAX_ELEMENTS = 256
"""A field with more elements in a frame (tactile images, depth) is no pose and no command."""

_MOTION = ("action", "state", "gripper", "pose")
_WORDS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "clock": ("time timestamp timestamps stamp clock", 0.95),
        "label": (
            "reward rewards done dones success terminal terminated truncated discount index valid sigma known "
            "complementary intervention interventions takeover correction corrections",
            0.95,
        ),
        "velocity": ("vel velocity velocities qvel dq speed speeds twist gyro", 0.95),
        "effort": (
            "effort efforts torque torques force forces current currents accel imu tactile wrench cov covariance",
            0.95,
        ),
        "action": ("action actions", 0.98),
        "state": ("state states qpos proprio proprioception", 0.98),
    }
)
_WEAKER: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "action": ("act command commands commanded cmd ctrl control leader master", 0.9),
        "gripper": ("gripper grippers jaw", 0.9),
        "pose": ("pose eef ee tcp quat cartesian endpose", 0.9),
        "state": ("observation observations obs joint joints position positions follower puppet", 0.9),
    }
)
_BESIDE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "requested": frozenset(["policy", "requested", "raw", "original", "unclipped", "desired"]),
        "executed": frozenset(["applied", "executed", "sent", "clipped", "filtered"]),
    }
)
"""Words that tell another action from the one that is learned."""
_DURATIONS = frozenset({"age", "delay", "duration", "latency"})
_GRIPS = ("grip", "jaw", "claw")
_LAG_S = 1.0


@dataclass(frozen=True, slots=True)
class Role:
    """What one field is for: one of `KINDS`, how sure that is (0..1), and what says so."""

    kind: str
    confidence: float
    why: str


@dataclass(frozen=True, slots=True)
class Link:
    """An action and the state that it moves. `pairs` are elements that belong together; empty where nobody says."""

    action: str
    state: str
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class FieldRoles:
    """Field -> role, for the fields of one spec."""

    by_name: Mapping[str, Role]

    def kind(self, name: str) -> str:
        """One of `KINDS`; `other` for a field that is not known."""
        role = self.by_name.get(name)
        return role.kind if role is not None else "other"

    def moves(self, field: Field) -> bool:
        """Whether a field says where the robot is or shall be."""
        return self.kind(field.name) in _MOTION

    def sure(self, name: str) -> bool:
        """Whether findings about a field may be more than notes; what is no field of the spec is sure."""
        role = self.by_name.get(name)
        return role is None or role.kind not in _MOTION or role.confidence >= CONFIDENT

    def grippers(self, field: Field) -> list[int]:
        """The elements of a field that are grippers: by their names, or all where the field is one."""
        names = elements(field)
        named = [i for i, name in enumerate(names) if any(word in name.lower() for word in _GRIPS)]
        return list(range(len(names))) if not named and self.kind(field.name) == "gripper" else named

    def links(self, spec: Spec) -> tuple[Link, ...]:
        """Every action with the state it moves, paired by the names of their elements, else by place."""
        fields = {f.name: f for f in spec if self.moves(f)}
        states = [f for f in fields.values() if self.kind(f.name) != "action"]
        linked = []
        for name, action in fields.items():
            state = _state_of(action, states) if self.kind(name) == "action" else None
            if state is not None:
                linked.append(Link(name, state.name, self._arm_only(_pairs(action, state), action)))
        return tuple(linked)

    def _arm_only(self, pairs: tuple[tuple[int, int], ...], action: Field) -> tuple[tuple[int, int], ...]:
        """Without grippers, which are commanded in other ways than the arm, where there is an arm.

        Of an arm whose elements have no names of the state's (small moves beside joints), its gripper tells nothing.
        """
        grippers = self.grippers(action)
        arm = tuple(pair for pair in pairs if pair[0] not in grippers)
        return arm if arm or len(grippers) < len(elements(action)) else pairs

    def to_json(self) -> dict[str, Any]:
        return {name: dataclasses.asdict(role) for name, role in self.by_name.items()}


def elements(field: Field) -> tuple[str, ...]:
    """A name for each element of a field."""
    size = int(np.prod(field.shape)) if field.shape else 1
    return field.layout if len(field.layout) == size else tuple(f"[{i}]" for i in range(size))


def named_role(field: Field) -> Role:
    """What name, unit, shape and dtype say of one field.

    >>> named_role(Field("obs/robot0_eef_pos", (3,), "float32")).kind
    'pose'
    >>> named_role(Field("actions", (7,), "float32")).kind
    'action'
    """
    if field.is_image or (len(field.shape) == 3 and field.dtype == "uint8"):
        return Role("image", 1.0, "pictures")
    words = [w for w in re.split(r"[^a-z0-9]+|(?<=[a-z])(?=\d+$)", _spaced(field.name)) if w]
    if field.unit in ("ns", "s") and not _DURATIONS.isdisjoint(words):
        return Role("label", 1.0, "a duration, which may become shorter")
    if field.name.startswith("time.") or field.unit in ("ns", "s"):
        return Role("clock", 1.0, "its unit is of time")
    if np.dtype(field.dtype).kind != "f":
        return Role("label", 0.95, f"{field.dtype} is no measure")
    if int(np.prod(field.shape)) > MAX_ELEMENTS:
        return Role("other", 1.0, f"more than {MAX_ELEMENTS} elements")
    fact = camera_fact_of(field)
    if fact is not None:
        return Role("camera", 0.95, f"{fact} of a camera")
    if words_of(field.name) & {"action", "actions"}:
        for kind, others in _BESIDE.items():
            if words_of(field.name) & others:
                return Role(kind, 0.95, f"{min(words_of(field.name) & others)!r} beside 'action' in its name")
    if field.unit in ("rad/s", "m/s", "deg/s"):
        return Role("velocity", 1.0, f"its unit is {field.unit}")
    for table in (_WORDS, _WEAKER):
        for kind, (family, confidence) in table.items():
            met = [word for word in words if word in family.split()]
            if met:
                return Role(kind, confidence, f"{met[0]!r} in its name")
    return Role("other", 0.0, "no word of its name says what it is for")


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def said_roles(spec: Spec, said: Iterable[str]) -> dict[str, Role]:
    """Roles that a user gave as `FIELD=KIND`.

    Raises:
        UnknownName: there is no such field or kind.
        BadData: a text without `=`.
    """
    roles = {}
    for text in said:
        name, equals, kind = text.rpartition("=")
        if not equals:
            raise BadData("--role", "role", "FIELD=KIND", repr(text))
        if name not in spec:
            raise UnknownName("field", name, spec.names)
        if kind not in KINDS:
            raise UnknownName("role", kind, KINDS)
        roles[name] = Role(kind, 1.0, "said by the user")
    return roles


def infer_roles(spec: Spec, episodes: Sequence[Mapping[str, NDArray[Any]]], said: Mapping[str, Role]) -> FieldRoles:
    """Roles of every field of a spec.

    Args:
        episodes: arrays (T, *shape) of a few episodes, for fields whose names say nothing.
        said: what a user says; wins.
    """
    roles = {f.name: said.get(f.name) or named_role(f) for f in spec}
    if not any(role.kind == "action" for role in roles.values()):  # then what is recorded beside none is the action
        alone = [name for name, role in roles.items() if role.kind in _BESIDE and name not in said]
        roles |= {name: Role("action", 0.9, "the only action there is") for name in alone[:1]}
    unknown = [f for f in spec if roles[f.name].kind == "other" and roles[f.name].confidence < 1]
    for field in unknown:
        others = [f for f in spec if f.name != field.name and f.shape == field.shape]
        for other in others:
            kind = roles[other.name].kind
            if kind not in (*_MOTION, "other"):
                continue
            lead = _lead(episodes, field.name, other.name, spec.rate_hz)
            if lead is not None and roles[field.name].kind == "other":
                mine = "action" if kind == "state" or (kind == "other" and lead > 0) else "state"
                roles[field.name] = Role(mine, 0.7, f"it moves as {other.name} does, {abs(lead)} frames apart")
    return FieldRoles(roles)


def _lead(episodes: Sequence[Mapping[str, NDArray[Any]]], one: str, other: str, rate_hz: float) -> int | None:
    """Frames by which one field runs ahead of another of its shape; `None` where they do not move together."""
    from roboscale.dataset.audit.signals import delay

    scores: list[tuple[float, int]] = []
    for arrays in episodes:
        if one not in arrays or other not in arrays or len(arrays[one]) < 20:
            continue
        a, b = (np.asarray(arrays[n], np.float64).reshape(len(arrays[n]), -1) for n in (one, other))
        if np.isfinite(a).all() and np.isfinite(b).all():
            motion = delay(a, b, [(i, i) for i in range(a.shape[1])], rate_hz, relative=False)
            scores.append((motion.score, motion.lag))
    if not scores or float(np.median([s for s, _ in scores])) < 0.9:
        return None
    return int(np.median([lag for _, lag in scores]))


def _state_of(action: Field, states: Sequence[Field]) -> Field | None:
    """The state that an action moves: of LeRobot's name, else of the same elements or shape, else the largest."""
    by_name = {f.name: f for f in states}
    prefix, _, rest = action.name.partition("action")
    wanted = [f"observation.state{rest}", f"observation{rest}", "observation.state"] if not prefix else []
    named = next((by_name[w] for w in wanted if w in by_name), None)
    if named is not None or not states:
        return named
    alike = [f for f in states if f.layout and f.layout == action.layout]
    alike += [f for f in states if f.shape == action.shape]
    return alike[0] if alike else max(states, key=lambda f: int(np.prod(f.shape)))


def _pairs(action: Field, state: Field) -> tuple[tuple[int, int], ...]:
    places = {name: i for i, name in enumerate(state.layout)}
    if action.layout and state.layout:
        named = tuple((i, places[n]) for i, n in enumerate(action.layout) if n in places)
        if named:
            return named
        if len(action.layout) == len(state.layout):
            return ()  # other names mean other things
    size = int(np.prod(action.shape))
    return tuple((i, i) for i in range(size)) if action.shape == state.shape else ()
