"""A stand-in for hardware: a small arm in MuJoCo that is sent to joint positions, on the wall clock.

It is the driver of a declared robot (`roboscale robot demo` writes such a declaration), and nothing in it knows the
guard: it goes where it is sent as fast as its motors can, 15 ms behind its setpoint. Time passes for it whether
anybody looks or not. Unlike hardware it can set its own scene up: `arrange` puts the ball somewhere else.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Measure, Observation
from roboscale.worlds.simulated.headless import SceneRenderer, import_mujoco

__all__ = ["StandInArm"]

_HEIGHT, _UPPER, _FORE = 0.12, 0.25, 0.22
_STEP_S = 0.002
_CATCH_UP_S = 0.5  # time that passes at most between two looks; a debugger does not make it race
_MODEL = f"""
<mujoco model="stand-in arm">
  <compiler angle="radian"/>
  <option timestep="{_STEP_S}" gravity="0 0 0"/>
  <visual><headlight ambient=".45 .45 .45" diffuse=".3 .3 .3"/></visual>
  <worldbody>
    <light pos="0.2 0 2"/>
    <camera name="top" pos="0.25 0 1" xyaxes="1 0 0 0 1 0" fovy="45"/>
    <geom type="plane" size="1 1 .1" rgba=".62 .63 .6 1"/>
    <body name="ball" mocap="true" pos=".3 .1 .02">
      <geom type="sphere" size=".025" rgba=".85 .1 .1 1" contype="0" conaffinity="0"/>
    </body>
    <body name="base">
      <geom type="cylinder" size=".05 .05" pos="0 0 .05" rgba=".25 .28 .32 1"/>
      <body name="upper" pos="0 0 {_HEIGHT}">
        <joint name="turn" axis="0 0 1" damping=".6" range="-1.5 1.5"/>
        <joint name="lift" axis="0 -1 0" damping=".6" range="-.6 1.6"/>
        <geom type="capsule" size=".022" fromto="0 0 0 {_UPPER} 0 0" rgba=".16 .38 .62 1"/>
        <body name="fore" pos="{_UPPER} 0 0">
          <joint name="bend" axis="0 -1 0" damping=".4" range="-2.6 .2"/>
          <geom type="capsule" size=".016" fromto="0 0 0 {_FORE} 0 0" rgba=".22 .52 .78 1"/>
          <site name="flange" pos="{_FORE} 0 0" size=".012" rgba=".95 .75 .1 1"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="turn" kp="240" kv="3.4" forcerange="-12 12"/>
    <position joint="lift" kp="240" kv="3.4" forcerange="-12 12"/>
    <position joint="bend" kp="160" kv="2.2" forcerange="-8 8"/>
  </actuator>
</mujoco>
"""


class StandInArm:
    """Three joints (turn, lift, bend; rad), the camera `top` (its picture has a sensor's noise), a ball.

    Unlike hardware it measures how far its end is from the ball, which a detector may read.

    Args:
        height, width: of the picture; 0 for none, which needs no renderer.
        home: where the joints are when it is switched on.
    """

    def __init__(
        self, height: int = 144, width: int = 192, home: tuple[float, float, float] = (0.0, 0.9, -1.6)
    ) -> None:
        self.height, self.width, self.home = height, width, tuple(home)
        self.measured = (Measure(name="distance", unit="m"),)
        self._mujoco = self._model = self._data = self._renderer = None  # type: Any
        self._passed_s = 0.0
        self._noise = np.random.default_rng(0)
        self._ball = (0.3, 0.1)

    def connect(self) -> None:
        """Switches it on; it stands at `home`."""
        self._mujoco = import_mujoco()
        self._model = self._mujoco.MjModel.from_xml_string(_MODEL)
        self._data = self._mujoco.MjData(self._model)
        self._data.qpos[:3] = self._data.ctrl[:3] = self.home
        self._mujoco.mj_forward(self._model, self._data)
        self._renderer = SceneRenderer(self._model, self.width, self.height) if self.height else None
        self._passed_s = time.monotonic()

    def read(self) -> Observation:
        """`observation.state` (3,) rad, `observation.effort` (3,) N m, and the picture."""
        self._pass_time()
        state = np.array(self._data.qpos[:3], np.float32)
        seen: dict[str, NDArray[Any]] = {"observation.state": state}
        seen["observation.effort"] = np.array(self._data.actuator_force[:3], np.float32)
        if self._renderer is not None:
            drawn = self._renderer.render(self._data, "top").astype(np.int16)
            noisy = drawn + self._noise.integers(-2, 3, drawn.shape, np.int16)
            seen["observation.images.top"] = np.clip(noisy, 0, 255).astype(np.uint8)
        return seen

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """Sends the joints to positions, (3,) rad."""
        self._pass_time()
        self._data.ctrl[:3] = action
        return np.asarray(action)

    def measure(self) -> dict[str, float | None]:
        """`distance`, metres, from the end of the forearm to the middle of the ball."""
        if self._data is None:
            return {"distance": None}
        away = self._data.site("flange").xpos - self._data.mocap_pos[0]
        return {"distance": float(np.linalg.norm(away))}

    def stop(self) -> None:
        """Keeps still: the motors hold where they were sent last."""
        self._pass_time()

    def torque_on(self) -> bool:
        """Its motors cannot be switched off."""
        return True

    def disconnect(self) -> None:
        """Switches it off."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def arrange(self, seed: int) -> None:
        """Puts the ball where the seed says; the same seed, the same place."""
        draw = np.random.default_rng(seed)
        angle, reach = draw.uniform(-0.8, 0.8), draw.uniform(0.26, 0.38)
        self._ball = (reach * math.cos(angle), reach * math.sin(angle))
        self._data.mocap_pos[0] = [*self._ball, 0.025]

    @staticmethod
    def flange(joints: NDArray[Any]) -> NDArray[np.float64]:
        """The end of the forearm, (3,) metres in the frame of the base, of joints (3,) rad."""
        turn, lift, bend = (float(x) for x in joints)
        reach = _UPPER * math.cos(lift) + _FORE * math.cos(lift + bend)
        up = _HEIGHT + _UPPER * math.sin(lift) + _FORE * math.sin(lift + bend)
        return np.array([reach * math.cos(turn), reach * math.sin(turn), up])

    def _pass_time(self) -> None:
        now = time.monotonic()
        self._passed_s = max(self._passed_s, now - _CATCH_UP_S)
        steps = int((now - self._passed_s) / _STEP_S)
        for _ in range(steps):
            self._passed_s += _STEP_S
            self._step()

    def _step(self) -> None:
        """One step of physics, up to `_passed_s`."""
        self._mujoco.mj_step(self._model, self._data)
