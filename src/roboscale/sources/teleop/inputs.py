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

_REACH_M = 3.0  # no arm of a person is longer: an offset beyond that is a tracker that jumped


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorInput:
    """Where the hand is to go now.

    Args:
        motion: away from the operator, to the left, up: each -1 to 1, the share of the speed.
        speed: number of the speed level, from 0.
        device: one of `MOTION_DEVICES`.
        sequence: grows with every message of a page.
        offset: of `pose`: metres away, left and up that the operator's hand has moved since it took hold; `None` while
            it does not hold.
        hold: of `pose`: number of that hold; another number is another beginning.
    """

    motion: tuple[float, float, float] = (0.0, 0.0, 0.0)
    speed: int = 1
    device: str = "keys"
    sequence: int = 0
    offset: tuple[float, float, float] | None = None
    hold: int = 0

    @property
    def moving(self) -> bool:
        """Whether it asks for any motion."""
        return any(self.motion) or self.offset is not None


def parse_input(values: Mapping[str, Any], levels: int) -> OperatorInput:
    """What a message says.

    Args:
        values: of a message, as JSON gives them.
        levels: how many speed levels there are.

    Raises:
        SpecMismatch, UnknownName: it is none; names the field and both sides.

    >>> parse_input({"motion": [0, 1, 0], "speed": 2, "device": "keys", "sequence": 7}, levels=3).motion
    (0.0, 1.0, 0.0)
    """
    motion = values.get("motion")
    if not (isinstance(motion, list) and len(motion) == 3 and all(_is_share(one) for one in motion)):
        raise SpecMismatch(f"motion: expected three numbers from -1 to 1, found {motion!r}")
    speed, sequence = values.get("speed"), values.get("sequence")
    if type(speed) is not int or not 0 <= speed < levels:
        raise SpecMismatch(f"speed: expected 0 to {levels - 1}, found {speed!r}")
    if type(sequence) is not int or sequence < 0:
        raise SpecMismatch(f"sequence: expected a whole number from 0 up, found {sequence!r}")
    device = values.get("device")
    if device not in MOTION_DEVICES:
        raise UnknownName("device", str(device), MOTION_DEVICES)
    away, left, up = (float(one) for one in motion)
    given = OperatorInput(motion=(away, left, up), speed=speed, device=str(device), sequence=sequence)
    return given if device != "pose" else replace(given, motion=(0.0, 0.0, 0.0), **_held(values))


def _held(values: Mapping[str, Any]) -> dict[str, Any]:
    """`offset` and `hold` of a message of a pose."""
    offset, hold = values.get("offset"), values.get("hold", 0)
    if type(hold) is not int or hold < 0:
        raise SpecMismatch(f"hold: expected a whole number from 0 up, found {hold!r}")
    if offset is None:
        return {"hold": hold}
    if not (isinstance(offset, list) and len(offset) == 3 and all(_is_share(one, _REACH_M) for one in offset)):
        raise SpecMismatch(f"offset: expected three numbers of metres, at most {_REACH_M:g}, found {offset!r}")
    return {"hold": hold, "offset": tuple(float(one) for one in offset)}


def _is_share(value: object, most: float = 1.0) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and abs(value) <= most  # type: ignore[arg-type]
