"""What an operator's page says many times a second: where the hand is to go, from which device, how long ago.

It is a state and no event: whatever is lost or late is replaced by the next one, and one that is older than its lease
means nothing, so that a page that closes leaves an arm that holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from roboscale.core import SpecMismatch, UnknownName

__all__ = ["MOTION_DEVICES", "OperatorInput", "parse_input"]

MOTION_DEVICES = ("keys", "gamepad", "touch", "pose")
"""What a page reads motion from; `pose` is a phone or a controller that is held and moved (WebXR)."""

_Point = tuple[float, float, float]
_REACH_M = 3.0  # no arm of a person is longer: an offset beyond that is a tracker that jumped


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorInput:
    """Where the hand, or each of several hands, is to go now.

    Args:
        motion: away from the operator, to the left, up: each -1 to 1, the share of the speed; three for each hand.
        speed: number of the speed level, from 0.
        device: one of `MOTION_DEVICES`.
        sequence: grows with every message of a page.
        joints: of what is driven joint by joint: numbers of those that are meant; `up` moves them.
        offsets: of `pose`: for each hand metres away, left and up that the operator's has moved since it took hold;
            `None` while it does not hold.
        holds: of `pose`: for each hand the number of that hold; another number is another beginning.
    """

    motion: tuple[float, ...] = (0.0, 0.0, 0.0)
    speed: int = 1
    device: str = "keys"
    sequence: int = 0
    joints: tuple[int, ...] = ()
    offsets: tuple[_Point | None, ...] = (None,)
    holds: tuple[int, ...] = (0,)

    @property
    def moving(self) -> bool:
        """Whether it asks for any motion."""
        return any(self.motion) or any(offset is not None for offset in self.offsets)


def parse_input(values: Mapping[str, Any], levels: int, *, hands: int = 1, joints: int = 0) -> OperatorInput:
    """What a message says.

    Args:
        values: of a message, as JSON gives them.
        levels: how many speed levels there are.
        hands: how many hands there are: as many times three numbers of motion.
        joints: how many joints can be meant.

    Raises:
        SpecMismatch, UnknownName: it is none; names the field and both sides.

    >>> parse_input({"motion": [0, 1, 0], "speed": 2, "device": "keys", "sequence": 7}, levels=3).motion
    (0.0, 1.0, 0.0)
    """
    motion = values.get("motion")
    if not (isinstance(motion, list) and len(motion) == 3 * hands and all(_is_share(one) for one in motion)):
        count = "three" if hands == 1 else f"{3 * hands}"
        raise SpecMismatch(f"motion: expected {count} numbers from -1 to 1, found {motion!r}")
    speed, sequence = values.get("speed"), values.get("sequence")
    if type(speed) is not int or not 0 <= speed < levels:
        raise SpecMismatch(f"speed: expected 0 to {levels - 1}, found {speed!r}")
    if type(sequence) is not int or sequence < 0:
        raise SpecMismatch(f"sequence: expected a whole number from 0 up, found {sequence!r}")
    device = values.get("device")
    if device not in MOTION_DEVICES:
        raise UnknownName("device", str(device), MOTION_DEVICES)
    given = OperatorInput(
        motion=tuple(float(one) for one in motion),
        speed=speed,
        device=str(device),
        sequence=sequence,
        joints=_joints(values.get("joints", []), joints),
        offsets=(None,) * hands,
        holds=(0,) * hands,
    )
    return given if device != "pose" else replace(given, motion=(0.0,) * (3 * hands), **_held(values, hands))


def _joints(said: object, count: int) -> tuple[int, ...]:
    if not isinstance(said, list) or not all(type(one) is int and 0 <= one < count for one in said):
        wanted = f"numbers from 0 to {count - 1}" if count else "no joint: nothing here is driven joint by joint"
        raise SpecMismatch(f"joints: expected {wanted}, found {said!r}")
    return tuple(sorted(set(said)))


def _held(values: Mapping[str, Any], hands: int) -> dict[str, Any]:
    """`offset` and `hold` of a message of a pose, one for each hand; of one hand alone without a list."""
    offsets: Any = values.get("offset")
    holds: Any = values.get("hold", 0 if hands == 1 else [0] * hands)
    if hands == 1:
        offsets, holds = [offsets], [holds]
    for name, said in (("offset", offsets), ("hold", holds)):
        if not isinstance(said, list) or len(said) != hands:
            raise SpecMismatch(f"{name}: expected one for each of {hands} hands, found {said!r}")
    for hold in holds:
        if type(hold) is not int or hold < 0:
            raise SpecMismatch(f"hold: expected a whole number from 0 up, found {hold!r}")
    return {"holds": tuple(holds), "offsets": tuple(_offset(one) for one in offsets)}


def _offset(said: object) -> _Point | None:
    if said is None:
        return None
    if not (isinstance(said, list) and len(said) == 3 and all(_is_share(one, _REACH_M) for one in said)):
        raise SpecMismatch(f"offset: expected three numbers of metres, at most {_REACH_M:g}, found {said!r}")
    away, left, up = (float(one) for one in said)
    return away, left, up


def _is_share(value: object, most: float = 1.0) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) <= most  # type: ignore[arg-type]
