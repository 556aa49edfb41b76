"""What a TOML file says of a gymnasium environment: the whole grammar, read strictly.

    name, environment, task, instruction, rate_hz, horizon, success        needed (or [[task]] tables)
    module, embodiment, rule, hold, progress, deterministic, seeds          may be left out
    [arguments]      given to the environment          [options]            given to every reset
    [[field]]        one array that is observed        [action]             what an action means
    [measures.NAME]  a number of the info              [[task]]             one of several tasks

Nothing is guessed: a key that is not here is an error, and what the file does not declare is not observed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import msgspec

from roboscale.core import BadData, SuccessRule
from roboscale.core.declared import read_declared

__all__ = ["ActionTable", "Declaration", "FieldTable", "MeasureTable", "ScoreTable", "SuccessTable", "TaskTable"]

RULES = ("first", "end", "hold")


class SuccessTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where success comes from, and from which value on.

    Args:
        source: `info`, `reward` or `terminated`; in the file `from`.
        key: dotted path in the info, e.g. `final_info.is_success`.
        above, below, at_least, at_most: thresholds, for a score or a distance.
        only_at_end: the info has the key in the last step only; before that it is no success.
        negate: success is where it does not hold.
    """

    source: Literal["info", "reward", "terminated"] = msgspec.field(default="info", name="from")
    key: str = ""
    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    only_at_end: bool = False
    negate: bool = False

    @property
    def thresholds(self) -> dict[str, float]:
        """Those that are given."""
        named = {"above": self.above, "below": self.below, "at_least": self.at_least, "at_most": self.at_most}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def text(self) -> str:
        """The condition in words, e.g. `distance below 0.05`."""
        what = self.key if self.source == "info" else self.source
        bounds = " and ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in self.thresholds.items())
        return f"{'not ' if self.negate else ''}{what}{' ' if bounds else ''}{bounds}"


class ScoreTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number of the info, or the reward, scaled to 0..1: `low` becomes 0 and `high` becomes 1."""

    source: Literal["info", "reward"] = msgspec.field(default="info", name="from")
    key: str = ""
    low: float = 0.0
    high: float = 1.0


class MeasureTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number of the info that is kept with every trial; `None` in a step whose info lacks it."""

    key: str
    unit: str = "1"
    about: Literal["task", "damage"] = "damage"
    series: bool = False


class FieldTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One array that is observed.

    Args:
        source: dotted path in the environment's observation, several that are joined end to end, `""` for the whole,
            `render` for a rendered picture; in the file `from`.
        shape: of a rendered picture, so that nothing has to be rendered to know it.
    """

    name: str
    source: str | list[str] = msgspec.field(default="", name="from")
    unit: str = "1"
    frame: str = ""
    layout: list[str] = []
    mode: str = "absolute"
    side: str = ""
    role: str = ""
    shape: list[int] = []


class ActionTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an action means; its shape and bounds come from the environment."""

    unit: str = "1"
    frame: str = ""
    layout: list[str] = []
    mode: str = "absolute"
    side: str = ""
    hold: list[float] | None = None


class TaskTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of several tasks: what differs from the rest of the file.

    Args:
        instruction: what is asked, a sentence; `attribute.NAME` of the environment where it knows it.
        seeds: initial states of the simulator that its cases go through; by default the case's own seed.
    """

    name: str
    instruction: str
    environment: str = ""
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    success: str | SuccessTable | None = None
    seeds: list[int] = []


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole file.

    Args:
        environment: gymnasium id, e.g. `gym_pusht/PushT-v0`, or a class, e.g. `my_env.py:Point`.
        module: imported to register the id; looked for beside the file, in the current folder, then installed.
        success: key of the info that holds true or false, or a table.
        progress: key of the info that holds a number in 0..1, or a table.
        deterministic: whether a seed gives the same episode again; left out, it is assumed and said so.
    """

    name: str
    environment: str
    rate_hz: float
    horizon: int
    success: str | SuccessTable
    fields: list[FieldTable] = msgspec.field(name="field")
    task: str | list[TaskTable] = ""
    instruction: str = ""
    module: str = ""
    embodiment: str = ""
    rule: Literal["first", "end", "hold"] = "first"
    hold: int | None = None
    progress: str | ScoreTable = ""
    deterministic: bool | None = None
    seeds: list[int] = []
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    action: ActionTable = ActionTable()
    measures: dict[str, MeasureTable] = {}

    @classmethod
    def load(cls, path: Path) -> Declaration:
        """Reads a TOML file; BadData or UnknownName names the file and the key that is wrong."""
        made = read_declared(path, cls)
        made.check(path)
        return made

    @property
    def success_rule(self) -> SuccessRule:
        """When success counts."""
        return SuccessRule(self.rule, self.hold if self.hold is not None else 1)

    @property
    def tasks(self) -> list[TaskTable]:
        """Every task; one where the file has no tables of them."""
        if isinstance(self.task, list):
            return self.task
        return [TaskTable(name=self.task, instruction=self.instruction)]

    def success_of(self, task: TaskTable) -> SuccessTable:
        """Where the success of a task comes from."""
        chosen = self.success if task.success is None else task.success
        return SuccessTable(key=chosen) if isinstance(chosen, str) else chosen

    def check(self, path: Path) -> None:
        """BadData for values that no world can have; names the key and both sides."""

        def require(key: str, fine: bool, expected: str, found: object) -> None:
            if not fine:
                raise BadData(path, key, expected, found)

        require("rate_hz", self.rate_hz > 0 and math.isfinite(self.rate_hz), "a rate above 0 (Hz)", self.rate_hz)
        require("horizon", self.horizon >= 1, "at least 1 step", self.horizon)
        if self.rule == "hold":
            require("hold", self.hold is not None, 'how many steps, e.g. hold = 5, with rule = "hold"', "nothing")
            hold = self.hold or 0
            require("hold", 1 <= hold <= self.horizon, f"1 to the horizon of {self.horizon}", hold)
        else:
            require("hold", self.hold is None, 'rule = "hold" beside it', f'rule = "{self.rule}"')
        require("field", bool(self.fields), "at least one table [[field]]", "none")
        names = [field.name for field in self.fields]
        for name in names:
            require(f"field {name}", names.count(name) == 1, "one table a name", f"{names.count(name)}")
            require("field", bool(name), "a name such as observation.state", repr(name))
        for field in self.fields:
            clash = field.name == "time.observation_ns"
            require(f"field {field.name}", not clash, "another name: the world adds this one itself", field.name)
        self._check_tasks(path, require)
        for name in self.measures:
            taken = name in ("success", "progress", "reward")
            require(f"measures.{name}", not taken, "another name: the world measures this itself", name)

    def _check_tasks(self, path: Path, require: Any) -> None:
        tasks = self.tasks
        require("task", bool(tasks) and bool(tasks[0].name), "a task, or [[task]] tables", "nothing")
        names = [task.name for task in tasks]
        for task in tasks:
            require(f"task {task.name}", names.count(task.name) == 1, "one table a name", names.count(task.name))
            require(f"task {task.name}: instruction", bool(task.instruction.strip()), "a sentence", "nothing")
            success = self.success_of(task)
            needs_key = success.source == "info"
            require(f"success of {task.name}: key", bool(success.key) or not needs_key, "a key of the info", "nothing")
            scored = success.source != "reward" or bool(success.thresholds)
            require(f"success of {task.name}", scored, "a threshold, e.g. at_least = 0.9, on the reward", "none")
        require(
            "instruction", not (isinstance(self.task, list) and self.instruction), "one in each [[task]]", "one here"
        )
