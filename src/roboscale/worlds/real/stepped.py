"""A declared stand-in behind its guard, in time that passes only when it is sent something: no process, no waiting.

The guard, what it refuses and what that means are those of a robot on the wall clock (`guarded`); the clock alone
differs. Only for drivers that need no time of their own: hardware would not hold still while nobody looks.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Case, InfrastructureError, Measure, Observation, derive_seed
from roboscale.worlds.real.guard import INTERVENTIONS
from roboscale.worlds.real.guard_process import GuardService
from roboscale.worlds.real.guarded import stop_error

__all__ = ["SteppedRobot"]


class SteppedRobot:
    """A robot whose clock moves by a control period with every `send`.

    Args:
        path: the declaration.
        name: instead of the declared one, where several stand side by side.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self._clock_s = 0.0
        self._stop = threading.Event()
        self._service = GuardService(path, self._stop, now=lambda: self._clock_s)
        declared = self._service.robot
        self.name = name or declared.name
        self.version = f"declaration and driver {declared.identity(self._service.driver).digest}, stepped"
        self.tasks: Mapping[str, str] = dict(declared.tasks)
        self.horizon = declared.horizon
        self.observation_spec, self.action_spec = declared.observation_spec, declared.action_spec
        self.hold = tuple(float(x) for x in declared.column("home"))
        self.cost, self.risk = declared.cost, declared.risk
        self._own: tuple[Measure, ...] = tuple(getattr(self._service.driver, "measured", ()))
        guards = [Measure(name=f"guard {kind}", unit="1", about="damage") for kind in INTERVENTIONS]
        self.measured = (*guards, *self._own)
        self._sequence = self._told = 0

    def connect(self) -> None:
        """The driver, in this process."""
        self._service.connect()

    def disconnect(self) -> None:
        """Gives the driver back."""
        self._service.driver.disconnect()

    def prepare(self, case: Case) -> None:
        """Sets the case's scene up, and lets the guard begin anew from where the joints are."""
        seed = case.seed if case.seed is not None else derive_seed("start", str(case.start))
        self._service.answer(("arrange", seed))
        refused = self._service.answer(("engage",))
        if refused:
            raise InfrastructureError(f"the guard does not begin: {refused}")
        self._told = len(self._service.guard.events)

    def read(self) -> Observation:
        """Every field of the observation spec, now."""
        seen = self._service.read()
        return {f.name: np.asarray(seen[f.name], f.dtype) for f in self.observation_spec}

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        """One goal, and a control period of time; what the guard made of it. Errors as `GuardedRobot.send`."""
        self._sequence += 1
        declared = self._service.robot
        goal = self._service.answer(("command", self._sequence, self._clock_s, np.asarray(action, np.float64)))
        for _ in range(max(1, round(declared.watchdog.tick_hz / declared.rate_hz))):
            self._clock_s += 1 / declared.watchdog.tick_hz
            self._service.tick()
        stopped = self._service.guard.reason if self._service.guard.mode == "stopped" else None
        if stopped is not None:
            raise stop_error(stopped)
        return np.asarray(goal, np.float32)

    def hold_action(self) -> NDArray[np.float32]:
        """Where the joints are."""
        return np.asarray(self._service.driver.read()["observation.state"], np.float32)

    def measure(self) -> dict[str, float | None]:
        """Interventions since `prepare`, by kind, and what the driver measures."""
        counts = Counter(event.kind for event in self._service.guard.events[self._told :])
        own = dict(self._service.driver.measure()) if self._own else {}
        return {**{f"guard {kind}": float(counts[kind]) for kind in INTERVENTIONS}, **own}

    def protective_stop(self) -> None:
        """Stops at the next tick. From any thread."""
        self._stop.set()

    def stop(self) -> None:
        """Brakes and holds."""
        self._service.answer(("hold",))
