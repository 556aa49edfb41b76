"""Writes the file of a new study, to be filled in and locked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from roboscale.core import RoboscaleError
from roboscale.core.plain import Plain
from roboscale.jobs.request import Argument, Option, Request

UNFILLED = "TASK"
"""What stands in the place of a task that nobody knows yet; such a study is not locked."""

__all__ = ["BegunStudy", "InitStudy", "init_study"]

_FILE = """title = "A first comparison"
question = "Which policy succeeds more often?"
robot = {robot}                      # beside this file
tasks = {tasks}
design = "paired blocks"            # or "one arm" (threshold), "best arm" (indifference), "crossover", "ladder"
cases = 20                          # at most; every case is tried under each arm, in an order that is drawn
min_cases = 5
alpha = 0.05                        # probability of even one false claim
stages = ["near the object", "touches the object"]
tags = ["missed", "slipped", "froze"]

[[arms]]
name = "old"
policy = "policies.py:old"

[[arms]]
name = "new"
policy = "policies.py:new"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitStudy(Request):
    """Asks for a study's file."""

    words: ClassVar[tuple[str, ...]] = ("study", "init")

    study: Annotated[Path, Argument("The new file, FILE.toml.")]
    robot: Annotated[Path, Option("The robot's declaration; see `roboscale robot demo`.")] = Path("robot.toml")

    def check(self) -> None:
        """RoboscaleError for a file that is no TOML."""
        if self.study.suffix != ".toml":
            raise RoboscaleError(f"a study is a file FILE.toml, found {self.study}")


@dataclass(frozen=True, slots=True)
class BegunStudy(Plain):
    """A file that was written."""

    study: str

    @property
    def text(self) -> list[str]:
        """For a terminal."""
        return [f"wrote {self.study}: fill it in, then roboscale study lock {self.study}"]


def init_study(request: InitStudy) -> BegunStudy:
    """Writes a study that is valid as it stands, with the tasks of the robot where its declaration is there.

    >>> init_study(InitStudy(study="first.toml")).study
    'first.toml'

    Raises:
        RoboscaleError: the file is there already.
    """
    import json
    import os

    from roboscale.worlds.real.declaration import RobotDeclaration

    if request.study.exists():
        raise RoboscaleError(f"{request.study} is there already, and is not overwritten: name another file")
    tasks = [UNFILLED]
    if request.robot.exists():
        tasks = list(RobotDeclaration.load(request.robot).tasks)
    robot = os.path.relpath(request.robot, request.study.parent)
    text = _FILE.format(robot=json.dumps(robot), tasks=json.dumps(tasks))
    request.study.write_text(text, encoding="utf-8")
    return BegunStudy(str(request.study))
