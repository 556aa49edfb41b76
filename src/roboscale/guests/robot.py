"""A robot of LeRobot as the driver of a declared robot: `driver = "lerobot:so101_follower"`.

It runs in the LeRobot guest, in a process that the guard's process starts. Units are the declaration's: LeRobot's
`<motor>.pos` are degrees where a joint is in rad, metres where it is in m, and percent where its unit is 1 (a
gripper, 0..1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import InfrastructureError, Observation, RoboscaleError
from roboscale.guests.definition import Guest, find_guest
from roboscale.guests.environment import environment_of
from roboscale.guests.process import GuestProcess

__all__ = ["PER_UNIT", "GuestRobot"]

_OPENER = "roboscale.guests.side.lerobot_robot:LeRobotRobot"
PER_UNIT = {"rad": 180 / math.pi, "m": 1.0, "1": 100.0}
"""Motor units of LeRobot in one unit of a joint."""


class GuestRobot:
    """A driver as `worlds/real` wants one, of a robot that LeRobot or one of its plugins knows.

    Args:
        kind: LeRobot's type.
        joints: name -> unit, in the order of `observation.state`; LeRobot's key is `<name>.pos`.
        cameras: their names, which LeRobot's configuration has, too.
        config: everything else of LeRobot's configuration, e.g. `port`, `id`, `use_degrees`, `cameras`.
        guest: which guest has LeRobot.
        units: motor units in one unit of a joint, name -> factor, where that is another than said above.

    Attributes:
        made_of: the guest's lock, and the plugins that stand beside it, with versions.
    """

    def __init__(
        self,
        kind: str,
        joints: Mapping[str, str],
        cameras: tuple[str, ...] = (),
        *,
        config: Mapping[str, Any] | None = None,
        guest: str = "lerobot",
        units: Mapping[str, float] | None = None,
    ) -> None:
        self.kind, self.joints, self.cameras = kind, dict(joints), tuple(cameras)
        self.config = {**(config or {}), "type": kind}
        self._process: GuestProcess | None = None
        self._guest = find_guest(guest)
        self.made_of = (self._guest.identity, *_plugins(self._guest))
        per = {**{name: PER_UNIT[unit] for name, unit in self.joints.items()}, **(units or {})}
        self.per_unit = tuple(float(per[name]) for name in self.joints)

    def connect(self) -> None:
        """Starts the guest, compares keys, connects.

        Raises:
            RoboscaleError: the guest is not installed, or the robot has other motors or cameras than declared.
            InfrastructureError: it cannot be reached.
        """
        self._process = GuestProcess(
            self._guest, _OPENER, {"config": self.config}, answer_s=5, raised=InfrastructureError
        )
        said = self._process.start()
        wanted = {f"{name}.pos" for name in self.joints}
        sides = [("motors", wanted, {k for k, v in said["action"].items() if v == "float"})]
        pictures = {key for key, value in said["observation"].items() if value != "float"}
        sides.append(("cameras", set(self.cameras), pictures))
        problems = [
            f"{what}: declared {_listed(mine)}, {self.kind} has {_listed(theirs)}"
            for what, mine, theirs in sides
            if mine != theirs
        ]
        if problems:
            self._process.close()
            raise RoboscaleError("; ".join(problems))
        self._process.ask("connect", {})

    def read(self) -> Observation:
        """`observation.state` in the declared units, and the pictures."""
        said = self._ask("read", {})
        motors = np.array([said[f"{name}.pos"] for name in self.joints], np.float64)
        seen: dict[str, NDArray[Any]] = {"observation.state": (motors / self.per_unit).astype(np.float32)}
        for camera in self.cameras:
            seen[f"observation.images.{camera}"] = np.asarray(said[camera], np.uint8)
        return seen

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """Positions (D,); those that LeRobot really sent."""
        motors = np.asarray(action, np.float64) * self.per_unit
        names = [f"{name}.pos" for name in self.joints]
        sent = self._ask("send", {"action": dict(zip(names, map(float, motors), strict=True))})
        return np.array([sent.get(name, motors[k]) for k, name in enumerate(names)]) / self.per_unit

    def stop(self) -> None:
        """Keeps still: the motors hold where they were sent last."""

    def disconnect(self) -> None:
        """Gives the robot back, and ends the guest."""
        process, self._process = self._process, None
        if process is not None:
            process.give_back()

    def _ask(self, what: str, message: Mapping[str, Any]) -> Any:
        if self._process is None or not self._process.alive:
            raise InfrastructureError(f"{self.kind} is not connected")
        return self._process.ask(what, message)


def _plugins(guest: Guest) -> tuple[str, ...]:
    """LeRobot's plugins in a guest's environment, `name-version`; none where it is not installed."""
    made = environment_of(guest)
    if made is None:
        return ()
    return tuple(
        sorted(path.stem for path in made.python.parents[1].glob("lib/python*/site-packages/lerobot_*.dist-info"))
    )


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
