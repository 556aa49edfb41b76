"""A robot as a world: it is connected to once, looked at once per step, and never left moving.

Who sets the scene up for a case is handed in (a person, a second robot, nobody); what an episode's end, its pace and
its clipping are belongs to the rollout. Nothing here measures success: that is a referee's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from roboscale.core import (
    Case,
    Identity,
    InfrastructureError,
    Measure,
    Observation,
    PolicyError,
    RoboscaleError,
    Robot,
    Spec,
    SpecMismatch,
    Step,
    WorldInfo,
    combine,
    identify,
)
from roboscale.core.conformance import A_COUNT, A_METHOD, A_SPEC, A_TEXT, SOME_TASKS, Wanted, require_attributes

__all__ = ["PersonStopped", "RobotScene", "RobotWorld"]

Value = TypeVar("Value")

_WANTED = {
    "name": A_TEXT,
    "version": Wanted("a text: declaration and driver, in which version", lambda v: isinstance(v, str)),
    "tasks": SOME_TASKS,
    "observation_spec": A_SPEC,
    "action_spec": Wanted("a Spec with a field `action`", lambda v: isinstance(v, Spec) and "action" in v),
    "horizon": A_COUNT,
    "hold": Wanted("the action that keeps still, numbers", lambda v: np.asarray(v).dtype.kind in "fiu"),
    **dict.fromkeys(("connect", "read", "send", "stop", "disconnect"), A_METHOD),
}


class PersonStopped(RoboscaleError):
    """A robot's `send` raises it when somebody stopped the robot: the episode ends there, and a person judges it."""


class RobotWorld:
    """One robot. Nothing is connected before the first case starts.

    Args:
        robot: its attributes say everything that `info` says. What changes how it moves (a speed limit, a gain)
            belongs in public attributes, which are part of the identity; a port or a handle in `_private` ones.
        prepare: called when a case starts, while the robot holds still, for who sets the scene up: a person who puts
            the object back and presses a key. It returns when the scene is set. A case's seed is the number of the
            set-up, and means what `prepare` makes of it.
        variations: axes of `Case.variation` that `prepare` can set up.
        starts: kinds of `Case.start` that `prepare` can set up.

    Raises:
        SpecMismatch: the robot lacks something, or its sides do not fit each other; one line each.
    """

    def __init__(
        self,
        robot: Robot,
        prepare: Callable[[Case], None] | None = None,
        *,
        variations: Collection[str] = (),
        starts: Collection[str] = ("seed",),
    ) -> None:
        require_attributes(robot, type(robot).__name__, "robot", _WANTED)
        self._robot, self._prepare = robot, prepare
        self._unreachable: Callable[[InfrastructureError], None] | None = None
        self._info = _info(robot, tuple(variations), tuple(starts))
        self._connected = False
        self._scene: RobotScene | None = None

    @property
    def robot(self) -> Robot:
        """What it drives."""
        return self._robot

    def prepared_by(
        self, prepare: Callable[[Case], None], unreachable: Callable[[InfrastructureError], None] | None = None
    ) -> None:
        """From now on somebody else sets the scene up.

        Args:
            unreachable: told why the robot cannot be connected, and returns when that is to be tried again; by default
                whoever started the case is told.
        """
        self._prepare, self._unreachable = prepare, unreachable

    @property
    def info(self) -> WorldInfo:
        """Read from the robot's attributes when the world was made; never asks the hardware."""
        return self._info

    def start(self, case: Case) -> RobotScene:
        """Connects, the first time; lets the scene be set up while the robot holds still; reads nothing yet.

        Raises:
            UnknownName: a task, variation or start that the robot does not have.
            RoboscaleError: another scene is open: there is one robot.
            SpecMismatch: it is not what it is declared to be. InfrastructureError: it cannot be reached, or setting
                up failed.
        """
        self._info.require(case)
        if self._scene is not None:
            raise RoboscaleError(f"robot {self._info.name}: {self._scene.case.id} is still open, one scene at a time")
        while not self._connected:
            self._connect()
        prepare = self._prepare
        if prepare is not None:
            self.call("prepare", lambda: prepare(case))
        self._scene = RobotScene(self, self._robot, case)
        return self._scene

    def _connect(self) -> None:
        """Once; whoever is told that it failed has looked at the robot when this returns."""
        try:
            self.call("connect", self._robot.connect)
            self._connected = True
        except InfrastructureError as error:
            if isinstance(error.__cause__, SpecMismatch):
                raise error.__cause__ from None  # trying again does not mend a declaration
            if self._unreachable is None:
                raise
            self._unreachable(error)

    def call(self, what: str, function: Callable[[], Value]) -> Value:
        """The function's answer. Whatever it raises, the robot is stopped first; an error of its own becomes an
        InfrastructureError that names robot and call."""
        try:
            return function()
        except (PersonStopped, PolicyError):  # the guard says whose doing it was; it has stopped already
            raise
        except Exception as error:
            own = isinstance(error, InfrastructureError)
            said = str(error).removeprefix(f"{what}: ") if own else f"{type(error).__name__}: {error}"
            text = f"robot {self._info.name}: {what}: {said}{self._stopped()}"
            raise InfrastructureError(text) from error
        except BaseException as error:  # Ctrl-C
            error.add_note(f"robot {self._info.name}: interrupted in {what}{self._stopped()}")
            raise

    def _stopped(self) -> str:
        """Tries to stop; empty when that worked, else what a person has to know now."""
        try:
            self._robot.stop()
        except Exception as error:  # noqa: BLE001  # reported beside the error that it follows
            moving = ": IT MAY STILL BE MOVING" if self._connected else ""
            return f"; stop failed too ({type(error).__name__}: {error}){moving}"
        return ""

    def end(self, scene: RobotScene) -> None:
        """Stops the robot after a scene; InfrastructureError when it does not answer."""
        if self._scene is scene:
            self._scene = None
            self._last("stop", self._robot.stop)

    def _last(self, what: str, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:
            text = f"robot {self._info.name}: {what}: {type(error).__name__}: {error}: IT MAY STILL BE MOVING"
            raise InfrastructureError(text) from error

    def close(self) -> None:
        """Stops and disconnects; nothing when it was never connected."""
        if self._scene is not None:
            self._scene.over = True
            self._scene = None
        if not self._connected:
            return
        self._connected = False
        try:
            self._last("stop", self._robot.stop)
        finally:
            self._last("disconnect", self._robot.disconnect)


class RobotScene:
    """One case on the robot. Arrays are copies, read-only, taken once per step.

    After an error, or when it was closed, it is over: nothing more is read or sent.
    """

    def __init__(self, world: RobotWorld, robot: Robot, case: Case) -> None:
        self.case, self.over = case, False
        self._world, self._robot = world, robot
        self._spec = world.info.observation_spec
        self._shape = world.info.action_spec["action"].shape
        self._seen: Observation | None = None
        self._checked = False

    def observe(self, names: Collection[str] | None = None) -> Observation:
        """The named fields; the robot is read when it was not since the last step, and not when nothing is named.

        Raises:
            UnknownName: a field that is not there.
            SpecMismatch: the first thing read is not what the robot's spec says; names both sides.
            InfrastructureError: it cannot be read.
        """
        wanted = self._spec.names if names is None else names
        for name in wanted:
            self._spec[name]
        if self._seen is None and len(wanted):
            self._seen = self._read()
        seen = self._seen or {}
        return {name: seen[name] for name in wanted}

    def _read(self) -> Observation:
        arrays = self._do("read", lambda: {name: np.asarray(value) for name, value in self._robot.read().items()})
        try:
            self._spec.check(arrays, f"robot {self._world.info.name}: read")
        except SpecMismatch as error:
            self.close()
            if self._checked:  # it was right before: the robot has changed, and not the declaration
                raise InfrastructureError(str(error)) from error
            raise
        self._checked = True
        kept = {name: np.array(arrays[name]) for name in self._spec.names}  # a driver may fill its buffers again
        for array in kept.values():
            array.flags.writeable = False
        return kept

    def step(self, action: NDArray[Any]) -> Step:
        """Sends one action (D,); `applied` is what the robot says it was. Ends where a person stopped the robot."""
        self._seen = None
        try:
            return Step(applied=self._do("send", lambda: self._send(np.array(action))))
        except PersonStopped:
            return Step(terminated=True)

    def hold_action(self) -> NDArray[Any]:
        """What keeps still now: the robot's own word where it has one, else its declared hold."""
        own = getattr(self._robot, "hold_action", None)
        if own is None:
            return np.asarray(self._world.info.hold)
        return np.asarray(self._do("hold_action", own))

    def _send(self, action: NDArray[Any]) -> NDArray[Any]:
        applied = np.array(self._robot.send(action))
        if applied.shape != self._shape or applied.dtype.kind not in "fiu":
            expected = f"send returns what was really sent, shape {list(self._shape)}"
            raise SpecMismatch(f"{expected}, found {applied.dtype}{list(applied.shape)}")
        return applied

    def _do(self, what: str, function: Callable[[], Value]) -> Value:
        if self.over:
            raise RoboscaleError(f"robot {self._world.info.name}: {what}: {self.case.id} is over")
        try:
            return self._world.call(what, function)
        except BaseException:
            self.over = True
            raise

    def measures(self) -> dict[str, float | None]:
        """What the robot counts as damage, e.g. its guard's interventions; a referee says whether it succeeded."""
        own = getattr(self._robot, "measure", None)
        return {} if own is None else dict(own())

    def close(self) -> None:
        """Stops the robot."""
        self.over = True
        self._world.end(self)


def _info(robot: Robot, variations: tuple[str, ...], starts: tuple[str, ...]) -> WorldInfo:
    action = robot.action_spec["action"]
    hold = tuple(float(x) for x in np.ravel(robot.hold))
    size = int(np.prod(action.shape))
    problems = []
    if len(hold) != size:
        problems.append(f"hold: expected {size} numbers, one for each of the action's, found {len(hold)}")
    if robot.observation_spec.rate_hz != robot.action_spec.rate_hz:
        rates = f"{robot.observation_spec.rate_hz:g} and {robot.action_spec.rate_hz:g} Hz"
        problems.append(f"observation_spec and action_spec: expected one rate, found {rates}")
    if problems:
        raise SpecMismatch("\n".join([f"{type(robot).__name__} is no robot yet:", *(f"  {p}" for p in problems)]))
    return WorldInfo(
        name=robot.name,
        kind="real",
        version=robot.version,
        identity=_identity(robot, hold),
        embodiment=str(getattr(robot, "embodiment", robot.name)),
        tasks=dict(robot.tasks),
        observation_spec=robot.observation_spec,
        action_spec=robot.action_spec,
        horizon=robot.horizon,
        measures=_measured(robot),
        starts=starts,
        variations=variations,
        scenes=1,
        pace="wall",
        hold=hold,
        cost=str(getattr(robot, "cost", "")),
        risk=str(getattr(robot, "risk", "")),
    )


def _measured(robot: Robot) -> tuple[Measure, ...]:
    return tuple(getattr(robot, "measured", ()))


def _identity(robot: Robot, hold: tuple[float, ...]) -> Identity:
    """Declaration (what its public attributes say), driver (the code of its class), version."""
    specs = [robot.observation_spec.to_json(), robot.action_spec.to_json()]
    parts: list[object] = [robot.version, dict(robot.tasks), specs, hold, type(robot).__qualname__]
    for name, value in sorted(getattr(robot, "__dict__", {}).items()):
        if name.startswith("_") or name in _WANTED:
            continue
        parts.append(identify(value, name))
    return combine(robot.name, *parts, identify(type(robot), robot.name))
