"""What an operator's page says many times a second: where the hand is to go, from which device, how long ago.

It is a state and no event: whatever is lost or late is replaced by the next one, and one that is older than its lease
means nothing, so that a page that closes leaves an arm that holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roboscale.core import SpecMismatch, UnknownName

__all__ = ["MOTION_DEVICES", "OperatorInput", "parse_input"]

MOTION_DEVICES = ("keys", "gamepad", "touch")
"""What a page reads motion from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorInput:
    """Where the hand is to go now.

    Args:
        motion: away from the operator, to the left, up: each -1 to 1, the share of the speed.
        speed: number of the speed level, from 0.
        device: one of `MOTION_DEVICES`.
        sequence: grows with every message of a page.
    """

    motion: tuple[float, float, float] = (0.0, 0.0, 0.0)
    speed: int = 1
    device: str = "keys"
    sequence: int = 0

    @property
    def moving(self) -> bool:
        """Whether it asks for any motion."""
        return any(self.motion)


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
    return OperatorInput(motion=(away, left, up), speed=speed, device=str(device), sequence=sequence)


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= 1
