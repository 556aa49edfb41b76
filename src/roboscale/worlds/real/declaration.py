"""A robot in one TOML file: driver, joints, cameras, rate, limits, home and watchdog. Connects to nothing.

    name = "left arm"
    driver = "my_arm.py:Arm"        # beside the file, or module:Class, or lerobot:TYPE
    rate_hz = 20.0
    horizon = 300

    [tasks]
    reach = "move the tip of the arm to the red ball"

    [[joints]]                      # in the order of `observation.state` and `action`
    name = "shoulder"
    unit = "rad"                    # or "m"
    low = -1.5
    high = 1.5
    velocity = 1.0                  # unit/s
    acceleration = 8.0              # unit/s^2
    jump = 0.5                      # a command farther than this from where the joint is stops the arm
    home = 0.0

    [[cameras]]
    name = "front"
    height = 96
    width = 128

    [workspace]                     # of the flange, in the robot's base frame; the driver has `flange(joints)`
    low = [0.1, -0.4, 0.02]
    high = [0.6, 0.4, 0.6]
    speed = 0.25                    # m/s

Every limit is the guard's (`worlds.real.guard`); the driver's own limits stand behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from roboscale.core import Field, Identity, RoboscaleError, Spec, combine, identify
from roboscale.core.declared import Count, Limit, Mistake, Positive, Text, read_declared
from roboscale.core.loading import load_object

__all__ = ["RobotCamera", "RobotDeclaration", "RobotJoint", "Watchdog", "Workspace"]

Vector = NDArray[np.float64]
_LEROBOT = "lerobot:"
_GUEST_ROBOT = "roboscale.guests.robot:GuestRobot"  # named, not imported: a driver comes from wherever its file says
_MOST_RAD = 6 * np.pi  # three turns; no arm's joint goes farther
_Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class RobotJoint:
    """One joint, in the unit that the driver reads and takes.

    Args:
        unit: `1` of what is neither, as a gripper from 0 to 1.
        low, high: positions, both allowed.
        velocity, acceleration: most of either, unit/s and unit/s^2.
        jump: a command farther than this from where the joint was read is refused, and the arm stops.
        home: where the joint is before every trial.
        effort: most that is read as `observation.effort`, N m or N; none where the driver reads none.
    """

    name: Text
    unit: Literal["rad", "m", "1"]
    low: float
    high: float
    velocity: Positive
    acceleration: Positive
    jump: Positive
    home: float
    effort: Positive | None = None

    def mistakes(self) -> Iterator[Mistake]:
        """`low` below `high`, and `home` between them; radians that are not degrees."""
        if not self.low < self.high:
            yield "low", f"less than high, {self.high:g}", f"{self.low:g}"
        elif not self.low <= self.home <= self.high:
            yield "home", f"a position from {self.low:g} to {self.high:g}", f"{self.home:g}"
        elif self.unit == "rad" and self.high - self.low > _MOST_RAD:
            found = (
                f"{self.low:g} to {self.high:g}, which looks like degrees (a motor that turns on and on has unit 1)"
            )
            yield "unit", f"at most {_MOST_RAD:.3g} rad from low to high", found


@dataclass(frozen=True, kw_only=True)
class RobotCamera:
    """One camera; `observation.images.<name>`, (height, width, 3) uint8 RGB.

    Args:
        device: of a camera that OpenCV opens: its number, a path such as /dev/video2, or an address; by default the
            driver reads the camera itself.
    """

    name: Annotated[Text, Limit("a name without dots or slashes", lambda n: not set(n) & set("./"))]
    height: Count
    width: Count
    device: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where the flange may be and how fast, in the robot's base frame.

    Args:
        low, high: corners of the box, metres.
        speed: most, m/s.
    """

    low: _Point
    high: _Point
    speed: Positive = 0.25

    def mistakes(self) -> Iterator[Mistake]:
        """Every side has a length."""
        if any(a >= b for a, b in zip(self.low, self.high, strict=True)):
            yield "low", f"each below high, {list(self.high)}", list(self.low)


@dataclass(frozen=True, kw_only=True)
class Watchdog:
    """Times of the guard.

    Args:
        lease_s: how long a command is good for; then the arm holds.
        camera_s: how long a camera may show the same bytes; then the arm stops.
        tick_hz: how often the guard sends a setpoint.
        connect_s: how long connecting may take.
    """

    lease_s: Positive = 0.25
    camera_s: Positive = 1.0
    tick_hz: Positive = 100.0
    connect_s: Positive = 30.0


@dataclass(frozen=True, kw_only=True)
class RobotDeclaration:
    """A robot as its file says it. `source` and `digest` are set by `load`.

    Args:
        driver: `file.py:Class` beside the file, or `module:Class`, called with `options` by name; or `lerobot:TYPE`,
            a robot of LeRobot or of a plugin of it, whose configuration the options are.
        rate_hz: control rate: how often a policy's action is taken.
        horizon: control steps after which an episode is cut.
        tasks: task -> what is asked of a policy, a sentence.
        cost, risk: what a trial costs and may break, for people.
        flange: `file.py:function` or `module:function`: joints (D,) -> the flange (3,), metres, for a workspace whose
            driver does not say it itself.
    """

    name: Text
    driver: Text
    rate_hz: Positive
    horizon: Count
    tasks: Annotated[dict[str, Text], Limit("at least one task", lambda tasks: len(tasks) > 0)]
    joints: Annotated[tuple[RobotJoint, ...], Limit("at least one joint", lambda joints: len(joints) > 0)]
    cameras: tuple[RobotCamera, ...] = ()
    workspace: Workspace | None = None
    watchdog: Watchdog = field(default_factory=Watchdog)
    options: dict[str, Any] = field(default_factory=dict)
    cost: str = ""
    risk: str = ""
    flange: str = field(default="", repr=False)  # what has none is what it was before there were any

    def mistakes(self) -> Iterator[Mistake]:
        """Names once; a guard that is faster than the policy; a lease that outlives the pause between two commands."""
        for what, parts in (("joints", self.joints), ("cameras", self.cameras)):
            names = [part.name for part in parts]
            if len(set(names)) < len(names):
                yield what, "each name once", ", ".join(sorted(names))
        if self.watchdog.tick_hz < self.rate_hz:
            yield "watchdog.tick_hz", f"at least rate_hz, {self.rate_hz:g}", f"{self.watchdog.tick_hz:g}"
        if self.watchdog.lease_s <= 1 / self.rate_hz:
            period = f"more than one control period, {1 / self.rate_hz:g} s"
            yield "watchdog.lease_s", period, f"{self.watchdog.lease_s:g}"
        for number, joint in enumerate(self.joints):
            if joint.jump < joint.velocity / self.rate_hz:
                step = f"at least what velocity allows in a control period, {joint.velocity / self.rate_hz:g}"
                yield f"joints[{number}].jump", step, f"{joint.jump:g}"
        if self.driver.startswith(("ros2:", "ros:")):
            wanted = "file.py:Class, module:Class or lerobot:TYPE; robots of ROS 2 are not driven yet"
            yield "driver", wanted, self.driver
        if self.driver.startswith(_LEROBOT) and self.workspace is not None and not self.flange:
            yield "flange", "file.py:function beside the file: LeRobot does not say where a flange is", "none"

    @classmethod
    def load(cls, path: Path) -> RobotDeclaration:
        """Reads the file; BadData lists every mistake in it."""
        return read_declared(Path(path), cls, limit=1_000_000)

    def make(self, beside: Path) -> Any:
        """The driver's object; nothing is connected.

        Args:
            beside: folder of the declaration.

        Raises:
            UnknownName, BadData: there is no such file, module or class.
            RoboscaleError: it cannot be made, or lacks a method; says which.
        """
        lerobot = self.driver.startswith(_LEROBOT)
        made = _object(_GUEST_ROBOT if lerobot else self.driver, "driver", beside)
        options = self._lerobot_options() if lerobot else self.options
        try:
            driver = made(**options) if callable(made) else made
        except RoboscaleError:
            raise
        except TypeError as error:
            raise RoboscaleError(f"driver {self.driver}: options {sorted(self.options)}: {error}") from error
        except (Exception, SystemExit) as error:
            raise RoboscaleError(
                f"driver {self.driver}: made with {sorted(self.options)}: {type(error).__name__}: {error}"
            ) from error
        if self.flange:
            driver.flange = _object(self.flange, "flange", beside)
        wanted = ["connect", "read", "send", "stop", "disconnect"]
        missing = [name for name in wanted if not callable(getattr(driver, name, None))]
        if self.workspace is not None and not callable(getattr(driver, "flange", None)):
            missing.append("flange(joints) -> (x, y, z), which a workspace needs")
        if missing:
            raise RoboscaleError(
                f"driver {self.driver}: expected connect, read, send, ..., lacks {', '.join(missing)}"
            )
        if self.workspace is not None:
            self._require_home_inside(driver.flange, self.workspace)
        return driver

    def _require_home_inside(self, flange: Callable[[Vector], Any], box: Workspace) -> None:
        """The flange is known at home, and stands in the workspace there. RoboscaleError with both sides."""
        home = self.column("home")
        try:
            at = np.asarray(flange(home), np.float64)
        except Exception as error:
            text = f"flange of the home pose, {home.tolist()}: {type(error).__name__}: {error}"
            raise RoboscaleError(f"driver {self.driver}: {text}") from error
        if at.shape not in ((3,), (2, 3)) or not np.isfinite(at).all():
            found = f"(x, y, z) in metres, of two arms two of them, found {at.tolist()}"
            raise RoboscaleError(f"driver {self.driver}: flange of the home pose: expected {found}")
        if (at < box.low).any() or (at > box.high).any():
            raise RoboscaleError(
                f"{self.name}: at home the flange stands at {at.round(3).tolist()} m, and the workspace is from "
                f"{list(box.low)} to {list(box.high)}: change home, low or high"
            )

    def _lerobot_options(self) -> dict[str, Any]:
        return {
            "kind": self.driver.removeprefix(_LEROBOT),
            "joints": {joint.name: joint.unit for joint in self.joints},
            "cameras": tuple(camera.name for camera in self.cameras if camera.device is None),
            "config": self.options,
        }

    def column(self, name: str) -> Vector:
        """One number of every joint, (D,); infinite where a joint says none."""
        values = [getattr(joint, name) for joint in self.joints]
        return np.array([np.inf if value is None else value for value in values], np.float64)

    @property
    def observation_spec(self) -> Spec:
        """`observation.state`, (D,), and the cameras."""
        state = self._joints_field("observation.state")
        axes = ("height", "width", "channel")
        pictures = [
            Field(f"observation.images.{c.name}", (c.height, c.width, 3), "uint8", layout=axes) for c in self.cameras
        ]
        return Spec((state, *pictures), self.rate_hz)

    @property
    def action_spec(self) -> Spec:
        """`action`, (D,): where the joints are to be, within their limits."""
        low, high = (tuple(float(x) for x in self.column(name)) for name in ("low", "high"))
        return Spec((self._joints_field("action", low=low, high=high),), self.rate_hz)

    def _joints_field(self, name: str, **bounds: tuple[float, ...]) -> Field:
        units = {joint.unit for joint in self.joints}
        unit = units.pop() if len(units) == 1 else "mixed"
        names = tuple(joint.name for joint in self.joints)
        return Field(name, (len(names),), "float32", unit=unit, layout=names, **bounds)  # type: ignore[arg-type]

    def identity(self, driver: object) -> Identity:
        """Digest of the declaration's values and the driver's code, and of what else the driver says it is made of."""
        parts: list[object] = [repr(self), identify(type(driver), self.name)]
        if self.flange:
            parts.append(identify(getattr(driver, "flange"), self.flange))  # noqa: B009  # a driver is anybody's class
        return combine(self.name, *parts, *getattr(driver, "made_of", ()))


def _object(text: str, what: str, beside: Path) -> Any:
    """What `file.py:Name` beside the declaration, or `module:Name`, names."""
    where, _, name = text.rpartition(":")
    return load_object(f"{beside / where}:{name}" if where.endswith(".py") else text, what, beside)
