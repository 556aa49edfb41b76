"""In which space actions and cameras move: against what their names say, and against the hand that carries them.

    camera_in_base(t) = A hand_in_base(t) + b + R_camera(t) c     for a camera on the hand, A, b and c constant

is linear in A, b and c, so the hand's position alone tells whether a camera's extrinsics move as it does.
Knows numbers and names; reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Finding, Spec
from roboscale.core.pose import rotation_matrix
from roboscale.dataset.audit.roles import FieldRoles, elements
from roboscale.dataset.checks import finding, many
from roboscale.dataset.sensors import camera_fact_of, words_of

if TYPE_CHECKING:
    from roboscale.dataset.audit.evidence import EpisodeEvidence

__all__ = ["judge_spaces", "look_at_cameras", "look_at_spaces", "space_of"]

Floats = NDArray[np.float64]

_JOINTS = frozenset(
    {"joint", "joints", "shoulder", "elbow", "wrist", "waist", "forearm", "motor", "axis", "hip", "knee", "ankle"}
)
_HAND = frozenset(
    {*"xyz", "roll", "pitch", "yaw", "rx", "ry", "rz", "qx", "qy", "qz", "qw"}
    | {"eef", "ee", "tcp", "cartesian", "pose", "endpose"}
)
_HELD = frozenset(["wrist", "hand", "gripper", "eye"])
_FITS = 0.05  # of its spread: what an action may differ from the state that it commands
_NOT = 0.3  # of its spread: what differs further is not commanded
_LEAST = 3  # elements
_OFF = 0.1  # of what the camera moves: what its extrinsics may contradict the hand
_STILL = 0.02  # of what the hand moves
_MOVES = 1e-3
_FRAMES = 30
_PICKED = 200  # frames of an episode that are looked at


@dataclass(frozen=True, slots=True)
class CameraMotion:
    """Extrinsics of a held camera in one episode: how far off the hand, how far the camera moves, and the hand."""

    off: float
    camera: float
    hand: float


def space_of(element: str, field_name: str = "") -> str:
    """`joint` or `hand` by the words of an element, else by those of its field; empty where they say nothing.

    >>> space_of("wrist_roll"), space_of("roll"), space_of("[0]", "observation.eef_pos")
    ('joint', 'hand', 'hand')
    """
    for words in (words_of(element), words_of(field_name)):
        if words & _JOINTS:
            return "joint"
        if words & _HAND:
            return "hand"
    return ""


def look_at_spaces(spec: Spec, roles: FieldRoles, rows: Mapping[str, Floats]) -> dict[str, Floats]:
    """Action -> (D, 2): how far each element is from the nearest state of its own space and of the other.

    In shares of its spread, at the best delay up to half a second; NaN where there is no such state.
    """
    targets: dict[str, list[Floats]] = {"joint": [], "hand": []}
    for field in spec:
        if roles.moves(field) and roles.kind(field.name) != "action" and field.name in rows:
            for d, name in enumerate(elements(field)):
                space = space_of(name, field.name)
                if space:
                    targets[space].append(rows[field.name][:, d])
    if not all(targets.values()):
        return {}
    apart: dict[str, Floats] = {}
    for field in spec:
        if roles.kind(field.name) == "action" and field.name in rows:
            spaces = [space_of(name, field.name) for name in elements(field)]
            table = np.full((len(spaces), 2), np.nan)
            for d, space in enumerate(spaces):
                if space and d not in roles.grippers(field):
                    own, other = targets[space], targets["hand" if space == "joint" else "joint"]
                    column = rows[field.name][:, d]
                    table[d] = [_nearest(column, np.stack(t, axis=1), spec.rate_hz) for t in (own, other)]
            apart[field.name] = table
    return apart


def _nearest(action: Floats, states: Floats, rate_hz: float) -> float:
    spread = float(action.std())
    if spread < 1e-9 or len(action) < _FRAMES:
        return float("nan")
    lags = range(min(round(0.5 * rate_hz), len(action) // 4) + 1)
    gaps = [np.sqrt(np.square(action[: len(action) - k, None] - states[k:]).mean(axis=0)).min() for k in lags]
    return float(min(gaps)) / spread


def look_at_cameras(spec: Spec, roles: FieldRoles, arrays: Mapping[str, NDArray[Any]]) -> dict[str, CameraMotion]:
    """Extrinsics of cameras that are held by the hand -> how they move beside it."""
    hand = _hand_position(spec, roles, arrays)
    seen: dict[str, CameraMotion] = {}
    if hand is None or len(hand) < _FRAMES:
        return seen
    picked = np.unique(np.linspace(0, len(hand) - 1, _PICKED).astype(int))
    for field in spec:
        if camera_fact_of(field) == "extrinsics" and words_of(field.name) & _HELD and field.name in arrays:
            rows = np.asarray(arrays[field.name], np.float64).reshape(len(hand), -1)[picked]
            readings = _readings(rows) if np.isfinite(rows).all() else []
            if readings:
                off, moved = min(_off_the_hand(at, turned, hand[picked]) for at, turned in readings)
                seen[field.name] = CameraMotion(off, moved, _spread(hand))
    return seen


def _hand_position(spec: Spec, roles: FieldRoles, arrays: Mapping[str, NDArray[Any]]) -> Floats | None:
    """(T, 3) where the hand is, by elements called x, y and z of a pose or a state."""
    for field in spec:
        if field.name not in arrays or not roles.moves(field) or roles.kind(field.name) == "action":
            continue
        rows = np.asarray(arrays[field.name], np.float64).reshape(len(arrays[field.name]), -1)
        last = [name.lower().replace("_", ".").split(".")[-1] for name in elements(field)]
        places = [last.index(axis) for axis in "xyz" if axis in last]
        if len(places) < 3 and roles.kind(field.name) == "pose" and rows.shape[1] in (3, 6, 7, 9):
            places = [0, 1, 2]
        if len(places) == 3 and np.isfinite(rows[:, places]).all():
            return rows[:, places]
    return None


def _readings(rows: Floats) -> list[tuple[Floats, Floats]]:
    """Every reading of extrinsics (T, size) as places (T, 3) and rotations (T, 3, 3) of the camera in the base."""
    size, readings = rows.shape[1], list[tuple[Floats, Floats]]()
    if size in (12, 16):
        whole = rows.reshape(len(rows), -1, 4)
        readings.append((whole[:, :3, 3], whole[:, :3, :3]))
    layouts = {6: ("rpy", "rotvec"), 7: ("quat_xyzw", "quat_wxyz")}.get(size, ())
    for layout in layouts:
        turned = np.stack([rotation_matrix(row, layout) for row in rows[:, 3:]])
        readings.append((rows[:, :3], turned))
    inverse = [(-np.einsum("tji,tj->ti", r, p), np.swapaxes(r, 1, 2)) for p, r in readings]
    return [*readings, *inverse]


def _off_the_hand(at: Floats, turned: Floats, hand: Floats) -> tuple[float, float]:
    """Root mean square that no fixed mount explains, and how far the camera moves; see the module."""
    count = len(at)
    design = np.zeros((count, 3, 15))
    for axis in range(3):
        design[:, axis, 3 * axis : 3 * axis + 3] = hand
        design[:, axis, 9 + axis] = 1.0
    design[:, :, 12:] = turned
    flat = design.reshape(3 * count, 15)
    solution, *_ = np.linalg.lstsq(flat, at.reshape(-1), rcond=None)
    rest = (flat @ solution - at.reshape(-1)).reshape(count, 3)
    return float(np.sqrt(np.square(rest).sum(axis=1).mean())), _spread(at)


def _spread(places: Floats) -> float:
    return float(np.sqrt(np.square(places - places.mean(axis=0)).sum(axis=1).mean()))


def judge_spaces(evidence: Sequence[EpisodeEvidence], spec: Spec) -> Iterator[Finding]:
    """Actions in another space than their names say, and extrinsics that the hand contradicts."""
    for name in dict.fromkeys(name for one in evidence for name in one.spaces):
        tables = np.stack([one.spaces[name] for one in evidence if name in one.spaces])
        yield from _wrong_space(spec[name], tables)
    for name in dict.fromkeys(name for one in evidence for name in one.held):
        yield from _off_hand(name, {one.position: one.held[name] for one in evidence if name in one.held})


def _wrong_space(field: Field, tables: Floats) -> Iterator[Finding]:
    """(episodes, D, 2) as `look_at_spaces` gives them."""
    known = np.flatnonzero(np.isfinite(tables).all(axis=2).any(axis=0))
    if len(known) < _LEAST:
        return
    own, other = np.nanmedian(tables[:, known], axis=0).T
    wrong = np.flatnonzero((other < _FITS) & (own > _NOT))
    if len(wrong) >= _LEAST and 2 * len(wrong) >= len(known):
        names = [elements(field)[known[d]] for d in wrong]
        said = space_of(names[0], field.name)
        text = (
            f"{names[0]} of {field.name} is called a {_CALLED[said]}, and follows the {_CALLED[_OTHER[said]]} to "
            f"within {other[wrong[0]]:.1%} of its spread ({own[wrong[0]]:.0%} from its own): "
            f"{len(wrong)} of {many(len(known), 'element')}"
        )
        yield finding("action-space", text, field=field.name, evidence={"elements": names})


def _off_hand(name: str, moved: Mapping[int, CameraMotion]) -> Iterator[Finding]:
    against = {
        position: one
        for position, one in moved.items()
        if one.hand > _MOVES and (one.off > _OFF * one.camera or one.camera < _STILL * one.hand)
    }
    if against:
        worst = max(against, key=lambda position: against[position].off)
        said = against[worst]
        why = f"no fixed mount explains {said.off:.4g} of it" if said.camera > _STILL * said.hand else "it stands"
        text = (
            f"{name} moves by {said.camera:.4g} while the hand that holds the camera moves by {said.hand:.4g}: "
            f"{why} in episode {worst}; {len(against)} of {many(len(moved))}"
        )
        shown = {"off": said.off, "camera": said.camera, "hand": said.hand}
        yield finding("camera-off-hand", text, episodes=sorted(against), field=name, evidence=shown)


_CALLED: Mapping[str, str] = {"joint": "joint", "hand": "hand's pose"}
_OTHER: Mapping[str, str] = {"joint": "hand", "hand": "joint"}
