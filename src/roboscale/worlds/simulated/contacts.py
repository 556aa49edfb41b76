"""What a MuJoCo scene says about damage: forces outside the intended contacts, falls, joints at their limit."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Measure

__all__ = ["DAMAGE", "THRESHOLDS", "ContactTable", "DamageMeter"]

LIFTED_M, FALLEN_M, BELOW_TABLE_M = 0.03, 0.02, 0.05
LIMIT_MARGIN_RAD = 0.01

DAMAGE = (
    Measure(name="peak_force", unit="N", about="damage"),
    Measure(name="dropped", unit="bool", about="damage"),
    Measure(name="off_table", unit="bool", about="damage"),
    Measure(name="joint_limit_steps", unit="step", about="damage"),
)
"""What a `DamageMeter` gives."""

THRESHOLDS = {
    "lifted_m": LIFTED_M,
    "fallen_m": FALLEN_M,
    "below_table_m": BELOW_TABLE_M,
    "limit_rad": LIMIT_MARGIN_RAD,
}
"""What its numbers depend on, apart from the contact table."""


def _root_names(model: Any) -> list[str]:
    """Name of the top-level body that each geom belongs to; empty for the world's own geoms."""
    names = []
    for geom in range(model.ngeom):
        body = int(model.geom_bodyid[geom])
        while body and int(model.body_parentid[body]):
            body = int(model.body_parentid[body])
        names.append(model.body(body).name if body else "")
    return names


class ContactTable:
    """Which pairs of geoms may touch, (ngeom, ngeom) booleans, and which geoms are the gripper's.

    Args:
        robot: name of the robot's top-level body.
        gripper: names of the bodies that are meant to touch things.
        touch: top-level bodies that the gripper may touch.
        avoid: top-level bodies that nothing may touch.
    """

    def __init__(
        self, model: Any, robot: str, gripper: Collection[str], touch: Collection[str], avoid: Collection[str]
    ) -> None:
        roots = _root_names(model)
        bodies = [model.body(int(b)).name for b in model.geom_bodyid]
        is_robot = np.array([r == robot for r in roots])
        self.is_gripper = np.array([b in gripper for b in bodies])
        may_touch = np.array([r in touch for r in roots])
        avoided = np.array([r in avoid for r in roots])
        free = ~is_robot & ~avoided
        self.intended = np.outer(free, free) | np.outer(is_robot, is_robot)
        self.intended |= np.outer(self.is_gripper, may_touch) | np.outer(may_touch, self.is_gripper)
        # a fixture resting in an obstacle was put there by the scene, not by the policy
        self.intended |= np.outer(avoided, avoided) | np.outer(avoided, [r == "" for r in roots])
        self.intended |= np.outer([r == "" for r in roots], avoided)
        self.grip = self.is_gripper[:, None] ^ self.is_gripper[None, :]
        self.watched = ~self.intended | self.grip  # whose force matters


class DamageMeter:
    """Feeds on the simulator's state once per control step; forces between control steps are not seen."""

    def __init__(self, mujoco: Any, model: Any, table: ContactTable, moves: str, *, drops: bool, leaves: bool) -> None:
        self._mujoco, self._model, self._table = mujoco, model, table
        self._body = model.body(moves).id if moves else -1
        self._drops, self._says_off_table = drops, self._body >= 0 and not leaves
        names = [model.joint(j).name for j in range(model.njnt)]
        arm = [j for j, name in enumerate(names) if name.startswith("right_j")]
        self._arm_qpos = model.jnt_qposadr[arm]
        self._arm_low = model.jnt_range[arm][:, 0] + LIMIT_MARGIN_RAD
        self._arm_high = model.jnt_range[arm][:, 1] - LIMIT_MARGIN_RAD
        self._force = np.zeros(6)

    def start(self, data: Any) -> None:
        """Begins an episode: what touches in the initial state is the scene's doing."""
        self.peak_n, self.limit_steps = 0.0, 0
        self.fell, self.off = False, False
        self.gripper_n = 0.0
        self._rest = self._held = self._height(data)

    def _height(self, data: Any) -> float:
        return float(data.xpos[self._body][2]) if self._body >= 0 else 0.0

    def _contact_force(self, data: Any, contact: int) -> float:
        self._mujoco.mj_contactForce(self._model, data, contact, self._force)
        return math.hypot(*self._force[:3].tolist())

    def update(self, data: Any) -> None:
        """One control step."""
        touched = self._update_contacts(data)
        qpos: NDArray[np.float64] = data.qpos[self._arm_qpos]
        self.limit_steps += bool(((qpos < self._arm_low) | (qpos > self._arm_high)).any())
        if self._body < 0:
            return
        height = self._height(data)
        self.off |= height < min(self._rest, 0.0) - BELOW_TABLE_M  # the table's top is z = 0
        if touched:
            self._held = height
        lifted = self._held > self._rest + LIFTED_M
        self.fell |= lifted and not touched and height < self._held - FALLEN_M

    def _update_contacts(self, data: Any) -> bool:
        """Updates the peak and the gripper's force; whether the gripper touches what it may touch."""
        self.gripper_n = 0.0
        touched = False
        pairs = data.contact.geom[: data.ncon]
        if not len(pairs):
            return False
        for contact in self._table.watched[pairs[:, 0], pairs[:, 1]].nonzero()[0].tolist():
            force = self._contact_force(data, contact)
            pair = tuple(pairs[contact])
            intended = bool(self._table.intended[pair])
            if not intended:
                self.peak_n = max(self.peak_n, force)
            if self._table.grip[pair]:
                self.gripper_n += force
                touched |= intended and force > 0
        return touched

    def measures(self) -> dict[str, float | None]:
        """Every measure of `DAMAGE` since `start`; `None` where the task cannot measure it."""
        return {
            "peak_force": self.peak_n,
            "dropped": float(self.fell) if self._drops else None,
            "off_table": float(self.off) if self._says_off_table else None,
            "joint_limit_steps": float(self.limit_steps) if len(self._arm_qpos) else None,
        }
