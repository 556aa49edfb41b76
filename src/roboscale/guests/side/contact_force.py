"""How hard a robot touches: the largest normal force of its contacts in a MuJoCo simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ContactForce"]


class ContactForce:
    """Of one model.

    Args:
        model: of MuJoCo.
        robot: beginnings of the names of the robot's bodies.
    """

    def __init__(self, model: Any, robot: tuple[str, ...]) -> None:
        names = [model.body(int(body)).name for body in model.geom_bodyid]
        self._mine = np.array([name.startswith(robot) for name in names])
        self._model = model

    def largest(self, data: Any) -> float:
        """N; of contacts between the robot and what is not the robot: a gripper that closes on itself is none."""
        import mujoco

        if not data.ncon:
            return 0.0
        geoms = data.contact.geom[: data.ncon]
        touching = np.flatnonzero(self._mine[geoms[:, 0]] != self._mine[geoms[:, 1]])
        force, largest = np.zeros(6), 0.0
        for number in touching:
            mujoco.mj_contactForce(self._model, data, int(number), force)
            largest = max(largest, float(force[0]))
        return largest
