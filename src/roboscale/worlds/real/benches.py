"""Two benches or more, side by side, as one robot: cases are blocked by bench.

    name = "two benches"

    [benches]
    left = "left.toml"              # declarations, beside this file
    right = "right.toml"

Every task of a declaration is a task on each bench, `reach on left`, `reach on right`. A case belongs to a task, and
so to a bench: whichever policies are compared on it are tried there, and no pair is ever split. Cases of several tasks
are tried in turn, so every stretch of a study has as many of each bench, and reports say rates bench by bench.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from numpy.typing import NDArray

from roboscale.core import Case, Observation, RoboscaleError, SpecMismatch, UnknownName, combine, require_match
from roboscale.core.declared import Limit, Mistake, Text, read_declared
from roboscale.worlds.real.declaration import RobotDeclaration
from roboscale.worlds.real.guard import GuardMode, Intervention
from roboscale.worlds.real.guarded import GuardedRobot, Readback

__all__ = ["Benches", "RobotBenches", "declared_tasks", "names_benches", "open_robot"]

_ON = " on "


@dataclass(frozen=True, kw_only=True)
class Benches:
    """What the file holds: name of each bench -> its robot's declaration, beside the file."""

    name: Text
    benches: Annotated[dict[str, Text], Limit("at least two benches", lambda benches: len(benches) > 1)]

    def mistakes(self) -> Iterator[Mistake]:
        there: dict[Path, str] = {}
        for name, file in self.benches.items():
            if _ON in name:
                yield f"benches.{name}", f"a name without {_ON!r}, which joins task and bench", name
            other = there.setdefault(Path(os.path.normpath(file)), name)
            if other != name:
                yield f"benches.{name}", f"another declaration than that of {other}: one arm is one bench", file


class RobotBenches:
    """As `GuardedRobot`, of whichever bench the present case belongs to. All are connected at once; one moves.

    Raises:
        BadData: the file, or a declaration, is broken.
        SpecMismatch: the robots see or do different things, or have other tasks or horizons; both sides are named.
    """

    def __init__(self, path: Path) -> None:
        declared = read_declared(Path(path), Benches, limit=1_000_000)
        self._robots = {name: GuardedRobot(path.parent / file) for name, file in declared.benches.items()}
        first, *others = self._robots
        for other in others:
            _require_alike(first, self._robots[first], other, self._robots[other])
        one = self._robots[first]
        self.name = declared.name
        self.version = f"benches {combine(*self._robots, *(r.version for r in self._robots.values())).digest}"
        self.tasks: Mapping[str, str] = {
            f"{task}{_ON}{name}": text for task, text in one.tasks.items() for name in self._robots
        }
        self.horizon, self.hold = one.horizon, one.hold
        self.observation_spec, self.action_spec, self.measured = one.observation_spec, one.action_spec, one.measured
        self.cost, self.risk = one.cost, one.risk
        self._place = first
        self._events: list[Intervention] = []
        self._seen = dict.fromkeys(self._robots, 0)
        self._look: Callable[[Observation, Mapping[str, float | None]], None] | None = None

    @property
    def place(self) -> str:
        """The bench of the present case."""
        return self._place

    @property
    def _here(self) -> GuardedRobot:
        return self._robots[self._place]

    def connect(self) -> None:
        """Those that are not, or whose guard is gone."""
        for robot in self._robots.values():
            if robot.process_id is None or robot.lost:
                robot.connect()

    def disconnect(self) -> None:
        """All of them; the first error is raised when all were asked."""
        errors = []
        for robot in self._robots.values():
            try:
                robot.disconnect()
            except RoboscaleError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def prepare(self, case: Case) -> None:
        """From now on its bench is meant; see `GuardedRobot.prepare`."""
        task, _, place = case.task.rpartition(_ON)
        if place not in self._robots:
            raise UnknownName("bench", place, self._robots)
        self._here.watched_by(None)
        self._place = place
        self._here.watched_by(self._look)
        self._here.prepare(replace(case, task=task))

    def protective_stop(self) -> None:
        """Stops all: whoever presses it may stand between them."""
        for robot in self._robots.values():
            robot.protective_stop()

    def watched_by(self, look: Callable[[Observation, Mapping[str, float | None]], None] | None) -> None:
        """Somebody else sees whatever is read at the present bench."""
        self._look = look
        self._here.watched_by(look)

    @property
    def events(self) -> tuple[Intervention, ...]:
        """Every intervention at any bench, in the order in which they were told."""
        for name, robot in self._robots.items():
            self._events += robot.events[self._seen[name] :]
            self._seen[name] = len(robot.events)
        return tuple(self._events)

    # what follows is the present bench's

    @property
    def lost(self) -> str:
        return self._here.lost

    @property
    def process_id(self) -> int | None:
        return self._here.process_id

    @property
    def mode(self) -> GuardMode:
        return self._here.mode

    @property
    def reason(self) -> Intervention | None:
        return self._here.reason

    def measure(self) -> dict[str, float | None]:
        return self._here.measure()

    def interventions(self) -> dict[str, float | None]:
        return self._here.interventions()

    def read(self) -> Observation:
        return self._here.read()

    def peek(self, older_s: float = 0.2) -> Observation:
        return self._here.peek(older_s)

    def send(self, action: NDArray[Any]) -> NDArray[Any]:
        return self._here.send(action)

    def hold_action(self) -> NDArray[Any]:
        return self._here.hold_action()

    def stop(self) -> None:
        self._here.stop()

    def release(self) -> None:
        self._here.release()

    def readback(self, watched_s: float = 0.2) -> Readback:
        return self._here.readback(watched_s)


def _require_alike(name: str, robot: GuardedRobot, other_name: str, other: GuardedRobot) -> None:
    """SpecMismatch unless a policy cannot tell, by what it is given, which of both it drives."""
    left, right = f"bench {name}", f"bench {other_name}"
    require_match(robot.observation_spec, other.observation_spec, left, right, subset=False)
    require_match(robot.action_spec, other.action_spec, left, right, subset=False)
    sides = {what: (getattr(robot, what), getattr(other, what)) for what in ("tasks", "horizon", "measured")}
    problems = [f"{what}: {left} {a}, {right} {b}" for what, (a, b) in sides.items() if a != b]
    if problems:
        raise SpecMismatch("\n".join(problems))


def open_robot(path: Path) -> GuardedRobot | RobotBenches:
    """The robot of a declaration, or the benches of a file that lists some. Errors as theirs."""
    return RobotBenches(Path(path)) if names_benches(path) else GuardedRobot(Path(path))


def names_benches(path: Path) -> bool:
    """Whether a file lists benches; False where it cannot be read, which whoever reads it strictly will say."""
    import tomllib

    try:
        return "benches" in tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False


def declared_tasks(path: Path) -> tuple[str, ...]:
    """Tasks of a declaration, or of a file that lists benches, without opening a robot. Errors as theirs."""
    if not names_benches(path):
        return tuple(RobotDeclaration.load(path).tasks)
    declared = read_declared(Path(path), Benches, limit=1_000_000)
    first = RobotDeclaration.load(path.parent / next(iter(declared.benches.values())))
    return tuple(f"{task}{_ON}{name}" for task in first.tasks for name in declared.benches)
