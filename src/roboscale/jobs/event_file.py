"""What an event's organiser writes: teams, worlds, prizes.

title = "Autumn course"
trials = 20                 # hidden conditions of each task; every team has the same ones
licence = "CC-BY-4.0"       # under which every team's data leave, where a dataset does not say
prizes = ["the arm", "a book"]

[[worlds]]
world = "metaworld"
tasks = ["reach-v3", "push-v3"]

[worlds.rubrics]            # of some tasks: steps in order, each of a measure as it is when an episode ends
push-v3 = [{ says = "near", measure = "progress", least = 0.5 }, { says = "there", measure = "success", least = 1 }]

[[worlds]]                  # a declared robot: every policy on every case in a hidden order, scored by a person
world = "robot:arm.toml"
stages = ["touched", "lifted"]  # how far it can come, in order

[[teams]]
name = "ash"
dataset = "ash/recorded"    # paths are beside this file
policy = "ash/policy.py:new"
consent = "One operator, who agreed; no camera."
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from roboscale.core import Outcome
from roboscale.core.declared import Count, Limit, Mistake, Text

__all__ = ["EventFile", "EventStep", "EventTeam", "EventWorld"]

_ROBOT = "robot:"
_NAME = r"\w([\w -]{0,38}[\w-])?"

TeamName = Annotated[
    str, Limit("at most 40 letters, digits, inner blanks, - or _", lambda name: bool(re.fullmatch(_NAME, name)))
]
"""Also the name of a folder."""


@dataclass(frozen=True, kw_only=True)
class EventTeam:
    """One team.

    Args:
        dataset: a LeRobotDataset v3.0.
        policy: any policy of `roboscale eval --help`.
        consent, licence, people, accept: of its dataset, as for `roboscale data contribute`.
    """

    name: TeamName
    dataset: Text
    policy: Text
    consent: str = ""
    licence: str = ""
    people: Literal["refuse", "blur", "agreed"] = "refuse"
    accept: tuple[Text, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EventStep:
    """A step of a rubric.

    Args:
        says: what it is called on the board.
        measure: of the world, see `roboscale world list`.
        least: the step is reached where the measure is at least this.
    """

    says: Text
    measure: Text
    least: float


@dataclass(frozen=True, kw_only=True)
class EventWorld:
    """Where everybody's policy is tried.

    Args:
        tasks: by default all of the world's.
        horizon: control steps; by default the world's.
        rubrics: task -> steps in order; progress is then the last that was reached, as a share of all.
        stages: the same at a robot, where whoever sits there says which was reached.
    """

    world: Text
    tasks: tuple[Text, ...] = ()
    horizon: Count | None = None
    rubrics: Mapping[str, tuple[EventStep, ...]] = field(default_factory=dict)
    stages: tuple[Text, ...] = ()

    @property
    def at_robot(self) -> bool:
        """Whether somebody sits at it, sets the scenes up and scores."""
        return self.world.startswith(_ROBOT)

    def progress(self, task: str, outcome: Outcome) -> float | None:
        """Of one trial, 0..1: by the rubric where its task has one, else what its judge said; `None` where a measure
        is not known.

        >>> steps = EventStep(says="near", measure="gap", least=-0.1), EventStep(says="in", measure="success", least=1)
        >>> world = EventWorld(world="mine", rubrics={"insert": steps})
        >>> world.progress("insert", Outcome("failure", measures={"gap": -0.05, "success": 0.0}))
        0.5
        """
        steps = self.rubrics.get(task)
        if not steps:
            return outcome.progress
        reached = 0
        for number, step in enumerate(steps, 1):
            value = outcome.measures.get(step.measure)
            if value is None or math.isnan(value):
                return None
            if value >= step.least:
                reached = number
        return reached / len(steps)


@dataclass(frozen=True, kw_only=True)
class EventFile:
    """An event.

    Args:
        trials: hidden conditions of each task.
        prizes: the first for whoever is shown to be first, and so on; none where that is not shown.
        accept: gates of `data contribute` that are overruled for every team's data, each with a reason: GATE=REASON.
        by: what the board ranks by: how often a team succeeds, or how far it comes on average.
        level: of all claims together.
    """

    title: Text
    worlds: tuple[EventWorld, ...]
    teams: tuple[EventTeam, ...]
    trials: Count = 20
    licence: str = ""
    accept: tuple[Text, ...] = ()
    prizes: tuple[Text, ...] = ()
    by: Literal["success", "progress"] = "success"
    level: Annotated[float, Limit("a number from 0.5 to 0.999", lambda number: 0.5 <= number <= 0.999)] = 0.95

    def mistakes(self) -> Iterator[Mistake]:
        if len(self.teams) < 2:
            yield "teams", "two or more", len(self.teams)
        if not self.worlds:
            yield "worlds", "one or more", 0
        for world in self.worlds:
            if world.at_robot and world.rubrics:
                yield "worlds.rubrics", f"stages at {world.world}, which a person scores", ", ".join(world.rubrics)
            if not world.at_robot and world.stages:
                yield "worlds.stages", f"rubrics in {world.world}, where nobody scores", ", ".join(world.stages)
            if world.at_robot and not world.stages and self.by == "progress":
                yield "worlds.stages", f"at {world.world} one or more, for by = progress", 0
            for task, steps in world.rubrics.items():
                if world.tasks and task not in world.tasks:
                    yield "worlds.rubrics", f"one of {', '.join(world.tasks)}", task
                if not steps:
                    yield f"worlds.rubrics.{task}", "one step or more", 0
        for key, names in (
            ("teams.name", [t.name.lower() for t in self.teams]),
            ("worlds.world", [w.world for w in self.worlds]),
        ):
            for name, count in Counter(names).items():
                if count > 1:
                    yield key, "each once", f"{name} {count} times"

    @property
    def sentences(self) -> tuple[str, ...]:
        """Its rubrics, for the board."""
        return tuple(
            f"Progress of {task} in {world.world} is the last step that was reached when an episode ended, as a share "
            f"of {len(steps)}: " + "; ".join(f"{one.says} ({one.measure} of {one.least:g} or more)" for one in steps)
            for world in self.worlds
            for task, steps in world.rubrics.items()
        )

    def policy_of(self, team: EventTeam, folder: Path) -> str:
        """Its policy as `roboscale eval` takes it: a file or folder beside the event's file by its path."""
        return _beside(team.policy, folder)

    def world_of(self, world: EventWorld, folder: Path) -> str:
        """The same of a world."""
        if world.at_robot:
            return _ROBOT + _beside(world.world.removeprefix(_ROBOT), folder)
        return _beside(world.world, folder)


def _beside(text: str, folder: Path) -> str:
    place, colon, name = text.partition(":")
    return f"{folder / place}{colon}{name}" if (folder / place).exists() else text
