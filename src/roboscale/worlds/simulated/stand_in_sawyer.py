"""A stand-in for hardware: Meta-World's arm on the wall clock, sent to positions of its hand.

The driver of a declared robot: what it calls joints are the hand's x, y and z and the opening of its fingers, metres.
Time passes for it whether anybody looks or not, at Meta-World's 80 Hz. `measure` says whether Meta-World's own success
condition holds, under a name that no rule judges by: at a bench a person decides, and a detector may propose.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Case, Measure, Observation
from roboscale.worlds.simulated.metaworld import CAMERAS, RATE_HZ, MetaWorld

__all__ = ["StandInSawyer"]

_REACH_M = 0.01  # how far an action of 1 moves the hand's target
_CATCH_UP_S = 0.5
_CLOSE_ENOUGH_M = 0.005


class StandInSawyer:
    """One task of Meta-World.

    Args:
        task: as Meta-World calls it; the declaration's sentence is what a policy is told.
        size: of both cameras (`front`, `wrist`), pixels; 0 for none.
    """

    def __init__(self, task: str = "reach-v3", size: int = 96) -> None:
        self.task, self.size = task, size
        self.measured = (Measure(name="condition", unit="bool", series=True),)
        self._world: MetaWorld | None = None
        self._scene: Any = None
        self._target = np.zeros(4)
        self._passed_s = 0.0
        self._noise = np.random.default_rng(0)

    def connect(self) -> None:
        """Builds the simulator; its first scene is of seed 0."""
        self._world = MetaWorld(self.size or 16)
        self.arrange(0)

    def arrange(self, seed: int) -> None:
        """Sets another scene up; the hand begins where Meta-World has it begin."""
        assert self._world is not None, "connected first"
        if self._scene is not None:
            self._scene.close()
        self._scene = self._world.start(Case(self.task, seed))
        self._target = self._state()
        self._passed_s = time.monotonic()

    def read(self) -> Observation:
        """`observation.state` (4,): x, y, z of the hand and the opening of its fingers, metres; and the pictures."""
        self._pass_time()
        seen: dict[str, NDArray[Any]] = {"observation.state": self._state().astype(np.float32)}
        if self.size:
            names = [f"observation.images.{name}" for name in CAMERAS]
            seen |= {name: self._noisy(picture) for name, picture in self._scene.observe(names).items()}
        return seen

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """Where hand and fingers are to be, (4,) metres."""
        self._pass_time()
        self._target = np.array(action, np.float64)
        return np.asarray(action)

    def stop(self) -> None:
        """Keeps still where it was sent last."""
        self._pass_time()

    def torque_on(self) -> bool:
        """Its motors cannot be switched off."""
        return True

    def measure(self) -> dict[str, float | None]:
        """`condition`: whether Meta-World's success condition holds."""
        return {"condition": None if self._scene is None else self._scene.measures()["success"]}

    def disconnect(self) -> None:
        """Ends the simulator."""
        if self._world is not None:
            self._world.close()
            self._world = self._scene = None

    @staticmethod
    def flange(joints: NDArray[Any]) -> NDArray[np.float64]:
        """The hand, (3,) metres."""
        return np.asarray(joints[:3], np.float64)

    def _noisy(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As a sensor sees it: no two pictures are the same, or a guard takes the camera for frozen."""
        drawn = picture.astype(np.int16) + self._noise.integers(-2, 3, picture.shape, np.int16)
        return np.asarray(np.clip(drawn, 0, 255), np.uint8)

    def _state(self) -> NDArray[np.float64]:
        return np.array(self._scene.observe(["observation.state"])["observation.state"], np.float64)

    def _pass_time(self) -> None:
        now = time.monotonic()
        self._passed_s = max(self._passed_s, now - _CATCH_UP_S)
        for _ in range(int((now - self._passed_s) * RATE_HZ)):
            self._passed_s += 1 / RATE_HZ
            here = self._state()
            way = np.clip((self._target[:3] - here[:3]) / _REACH_M, -1, 1)
            wider = self._target[3] - here[3]
            effort = 0.0 if abs(wider) < _CLOSE_ENOUGH_M else -np.sign(wider)
            self._scene.step(np.array([*way, effort], np.float32))
