"""A teleoperator of LeRobot, or of a plugin of it, whose joints an arm follows: `--input lerobot:so101_leader`.

It runs in the LeRobot guest. Units are those of the joints that follow; see `guests.robot`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError, RoboscaleError
from roboscale.guests.definition import find_guest
from roboscale.guests.process import GuestProcess
from roboscale.guests.robot import PER_UNIT

__all__ = ["GuestLeader"]

_OPENER = "roboscale.guests.side.lerobot_leader:LeRobotLeader"
_ANSWER_S = 2.0


class GuestLeader:
    """One leader arm, or two of one operator that LeRobot knows as one teleoperator.

    Args:
        kind: LeRobot's type.
        joints: name -> unit (rad, m, 1), in the order of the action; LeRobot's key is `<name>.pos`.
        config: everything else of LeRobot's configuration, e.g. `port`, `id`.
        guest: which guest has LeRobot.
    """

    def __init__(
        self, kind: str, joints: Mapping[str, str], config: Mapping[str, Any] | None = None, guest: str = "lerobot"
    ) -> None:
        self.kind, self.joints = kind, dict(joints)
        self._config = {**(config or {}), "type": kind}
        self._process: GuestProcess | None = None
        self._guest = find_guest(guest)
        unknown = sorted({unit for unit in self.joints.values() if unit not in PER_UNIT})
        if unknown:
            raise RoboscaleError(f"unit of a joint: expected one of {', '.join(PER_UNIT)}, found {', '.join(unknown)}")
        self._per_unit = np.array([PER_UNIT[unit] for unit in self.joints.values()])

    def connect(self) -> None:
        """Starts the guest, compares joints, connects.

        Raises:
            RoboscaleError: the guest is not installed, or the teleoperator lacks a joint; both sides are named.
            InfrastructureError: it cannot be reached, or is not calibrated.
        """
        self._process = GuestProcess(
            self._guest, _OPENER, {"config": self._config}, answer_s=_ANSWER_S, raised=InfrastructureError
        )
        said = self._process.start()
        missing = sorted({f"{name}.pos" for name in self.joints} - set(said["action"]))
        if missing:
            self._process.close()
            raise RoboscaleError(
                f"{self.kind}: the arm that follows has {', '.join(missing)}, the teleoperator gives "
                f"{', '.join(sorted(said['action'])) or 'nothing'}"
            )
        self._process.ask("connect", {})

    def positions(self) -> NDArray[np.float64]:
        """Where it is now, (D,), in the units of the joints; InfrastructureError without an answer, or of NaN."""
        if self._process is None or not self._process.alive:
            raise InfrastructureError(f"{self.kind} is not connected")
        said = self._process.ask("read", {})
        motors = np.array([said.get(f"{name}.pos", math.nan) for name in self.joints], np.float64)
        if not np.isfinite(motors).all():
            raise InfrastructureError(f"{self.kind}: expected finite positions, found {said}")
        return np.asarray(motors / self._per_unit)

    def disconnect(self) -> None:
        """Gives it back, and ends the guest."""
        process, self._process = self._process, None
        if process is not None:
            process.give_back()
