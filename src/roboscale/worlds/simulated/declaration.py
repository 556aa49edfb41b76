"""What a TOML file says of a gymnasium environment: the whole grammar, read strictly.

    name, environment, rate_hz, horizon, success        needed
    task and instruction, or [[task]] tables            needed
    module, embodiment, rule, hold, progress, deterministic, past_success, seeds, starts, unobserved
    [arguments]      given to the environment           [options]    given to every reset
    [[field]]        one array that is observed         [action]     what an action means
    [measures.NAME]  a number of the info

Nothing is guessed: a key that is not here is an error, and what the file does not declare is not observed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from roboscale.core import Measure, SuccessRule
from roboscale.core.declared import Count, Key, Limit, Mistake, Positive, Text, read_declared
from roboscale.core.world import ROLLOUT_COUNTS

__all__ = [
    "ActionTable",
    "FieldTable",
    "InstructionTable",
    "MeasureTable",
    "ScoreTable",
    "SuccessTable",
    "TaskTable",
    "WorldDeclaration",
]

MEASURED = ("success", "progress", "reward")  # by every declared world
TIME = "time.observation_ns"

_FIELD_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_ORIGIN = re.compile(r"(info|observation|attribute)\..+")

FieldName = Annotated[
    str,
    Limit("letters, digits and _, parted by dots, e.g. observation.state", lambda t: bool(_FIELD_NAME.fullmatch(t))),
]
TaskName = Annotated[str, Limit("a name without `/` or `,`", lambda t: bool(t.strip()) and not set(t) & set("/,\n"))]
Origin = Annotated[str, Limit("info.KEY, observation.KEY or attribute.NAME", lambda t: bool(_ORIGIN.fullmatch(t)))]
SOME_TABLES = Limit("at least one table [[field]]", lambda tables: len(tables) > 0)
Paths = Annotated[tuple[str, ...], Limit("at least one path", lambda paths: len(paths) > 0)]
Seeds = Annotated[
    tuple[int, ...],
    Limit("one seed or more, from 0 up, each once", lambda s: min(s, default=-1) >= 0 and len({*s}) == len(s)),
]
Starts = Annotated[tuple[Mapping[str, Any], ...], Limit("one table or more", lambda tables: len(tables) > 0)]
Shape = Annotated[tuple[int, ...], Limit("lengths from 1 up", lambda shape: min(shape, default=0) >= 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessTable:
    """Where success comes from, and from which value on.

    Args:
        source: `info`, `reward`, `return` (the sum of rewards so far) or `terminated`; in the file `from`.
        key: dotted path in the info, e.g. `final_info.is_success`.
        above, below, at_least, at_most: thresholds, for a score or a distance.
        equals: the one value that is success.
        negate: success is where all that does not hold.
        only_at_end: the info has the key in the environment's last step only; before that nothing has succeeded.
    """

    source: Annotated[Literal["info", "reward", "return", "terminated"], Key("from")] = "info"
    key: str = ""
    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    equals: bool | int | float | str | None = None
    negate: bool = False
    only_at_end: bool = False

    @property
    def thresholds(self) -> dict[str, float]:
        """Those that are given."""
        named = {"above": self.above, "below": self.below, "at_least": self.at_least, "at_most": self.at_most}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def what(self) -> str:
        """What is looked at."""
        return self.key if self.source == "info" else self.source

    @property
    def text(self) -> str:
        """The condition in words, e.g. `distance below 0.05`."""
        bounds = [f"{name.replace('_', ' ')} {value:g}" for name, value in self.thresholds.items()]
        if self.equals is not None:
            bounds.append(f"equals {self.equals!r}")
        said = " ".join([self.what, " and ".join(bounds)]).strip()
        return f"{'not ' if self.negate else ''}{said}{' at the end' if self.only_at_end else ''}"

    def mistakes(self) -> Iterator[Mistake]:
        """Keys that do not go together."""
        if (self.source == "info") != bool(self.key):
            yield "key", 'a key with `from = "info"`, and none otherwise', repr(self.key)
        scored = bool(self.thresholds) or self.equals is not None
        if self.source in ("reward", "return") and not scored:
            yield "from", f"a threshold beside it, e.g. at_least = 0.9, on the {self.source}", "none"
        if self.source == "terminated" and scored:
            yield "from", "no threshold beside `terminated`, which is true or false", self.text
        if self.equals is not None and self.thresholds:
            yield "equals", "equals or thresholds", "both"
        for one, other in (("above", "at_least"), ("below", "at_most")):
            if one in self.thresholds and other in self.thresholds:
                yield one, f"{one} or {other}", "both"
        low = max((v for k, v in self.thresholds.items() if k in ("above", "at_least")), default=-float("inf"))
        high = min((v for k, v in self.thresholds.items() if k in ("below", "at_most")), default=float("inf"))
        if low > high or (low == high and {"above", "below"} & set(self.thresholds)):
            yield "below" if self.below is not None else "at_most", f"more than {low:g}", f"{high:g}"
        if self.only_at_end and self.source != "info":
            yield "only_at_end", 'a key of the info; with `from = "terminated"` or a reward say rule = "end"', "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """Progress: a number of the info, the reward or the return; `low` is 0 and `high` is 1, outside it is clipped.

    Args:
        low, high: left out, the number itself has to be in 0..1.
        optional: the info lacks the key in some steps, where progress is then not measured.
    """

    source: Annotated[Literal["info", "reward", "return"], Key("from")] = "info"
    key: str = ""
    low: float | None = None
    high: float | None = None
    optional: bool = False

    def mistakes(self) -> Iterator[Mistake]:
        """Keys that do not go together."""
        if (self.source == "info") != bool(self.key):
            yield "key", 'a key with `from = "info"`, and none otherwise', repr(self.key)
        if (self.low is None) != (self.high is None):
            yield "low", "low and high, or neither", "one of them"
        elif self.low is not None and self.low == self.high:
            yield "high", "another number than low", self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureTable:
    """A number of the info that is kept with every trial.

    Args:
        key: dotted path in the info; by default the measure's own name.
        about: `task` for what referees read, `damage` for what would have broken.
        series: its value after every step is kept, not only the last.
        reduce: what is measured: the value now (`last`), or the largest, the smallest or the sum up to now.
        optional: the info lacks the key in some steps; it is then not measured.
    """

    key: str = ""
    unit: Text = "1"
    about: Literal["task", "damage"] = "task"
    series: bool = False
    reduce: Literal["last", "max", "min", "sum"] = "last"
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTable:
    """One array that is observed.

    Args:
        source: dotted path in the environment's observation, several that are joined end to end, `""` for the whole,
            `render` for a rendered picture; in the file `from`.
        layout: of a picture the order of its axes as the environment gives them.
        dtype: as which it is observed; by default float32 for numbers, int64 for integers, uint8 for pictures.
        shape: where the environment does not say it, so that nothing has to be reset or rendered to know it.
        range: of a picture in floats, the values that are black and white.
    """

    name: FieldName
    source: Annotated[str | Paths, Key("from")] = ""
    unit: Text = "1"
    frame: str = ""
    layout: tuple[str, ...] = ()
    mode: Text = "absolute"
    side: Literal["body", "world"] | None = None
    role: str = ""
    dtype: Literal["float32", "float64", "int64", "uint8"] | None = None
    shape: Shape | None = None
    range: Annotated[tuple[float, float], Limit("[black, white]", lambda r: r[0] < r[1])] | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Paths in the observation; empty for a rendered picture."""
        if self.source == "render":
            return ()
        return (self.source,) if isinstance(self.source, str) else self.source

    def mistakes(self) -> Iterator[Mistake]:
        """Names that are taken."""
        if self.name == TIME:
            yield "name", "another name: the world adds this one itself", self.name
        if self.name.split(".")[0] in ("action", "applied"):
            yield "name", "an observation, e.g. observation.state: actions are declared in [action]", self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTable:
    """What an action means; its shape and bounds come from the environment.

    Args:
        hold: the action that keeps still while a policy thinks.
    """

    unit: Text | None = None
    frame: str = ""
    layout: tuple[str, ...] = ()
    mode: Text | None = None
    side: Literal["body", "world"] | None = None
    hold: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionTable:
    """A sentence that the environment says: `info.KEY` or `observation.KEY` of a reset, or `attribute.NAME`."""

    source: Annotated[Origin, Key("from")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTable:
    """One of several tasks: what differs from the rest of the file.

    Args:
        instruction: what is asked, a sentence, or where the environment says it.
        environment, arguments, options: instead of, or beside, those of the file.
        success: instead of the file's.
        seeds: of the environment, which its cases go through instead of seeds of their own.
        starts: options of a reset, one table for each initial state, which its cases go through.
    """

    name: TaskName
    instruction: Text | InstructionTable
    environment: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    success: Text | SuccessTable | None = None
    seeds: Seeds = ()
    starts: Starts = ()

    @property
    def condition(self) -> SuccessTable:
        """Where its success comes from; of a completed task."""
        assert isinstance(self.success, SuccessTable), "asked of a completed task"
        return self.success

    def mistakes(self) -> Iterator[Mistake]:
        """Keys that do not go together."""
        if self.seeds and self.starts:
            yield "seeds", "seeds or starts", "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldDeclaration:
    """A whole file.

    Args:
        environment: gymnasium id, e.g. `gym_pusht/PushT-v0`, or a class or function, e.g. `my_env.py:Point`.
        module: imported to register the id; looked for beside the file, in the current folder, then installed.
        success: key of the info that holds true or false, or a table.
        progress: key of the info that holds a number in 0..1, or a table.
        deterministic: whether a seed gives the same episode again; left out, it is assumed and said so.
        past_success: whether the environment can be stepped on after it has terminated.
        seeds, starts: as in a task.
        unobserved: parts of the observation that are left out on purpose.
    """

    name: Text
    environment: Text
    rate_hz: Positive
    horizon: Count
    task: TaskName | tuple[TaskTable, ...]
    success: Text | SuccessTable | None = None
    instruction: Text | InstructionTable | None = None
    module: str = ""
    embodiment: str = ""
    rule: Literal["first", "end", "hold"] = "first"
    hold: Count | None = None
    progress: Text | ScoreTable | None = None
    deterministic: bool | None = None
    past_success: bool = True
    seeds: Seeds = ()
    starts: Starts = ()
    unobserved: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: Annotated[tuple[FieldTable, ...], Key("field"), SOME_TABLES]
    action: ActionTable = ActionTable()
    measures: Mapping[str, MeasureTable] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> WorldDeclaration:
        """Reads a TOML file; BadData or UnknownName names the file and every key that is wrong."""
        return read_declared(path, cls)

    @property
    def success_rule(self) -> SuccessRule:
        """When success counts."""
        return SuccessRule(self.rule, self.hold or 1)

    @property
    def tasks(self) -> tuple[TaskTable, ...]:
        """Every task with all that holds for it: its own keys before those of the file."""
        if isinstance(self.task, str):
            own = [TaskTable(name=self.task, instruction=self.instruction or "")]
        else:
            own = list(self.task)
        return tuple(self._completed(task) for task in own)

    def _completed(self, task: TaskTable) -> TaskTable:
        fixed = bool(task.seeds or task.starts)
        success = task.success if task.success is not None else self.success
        return replace(
            task,
            environment=task.environment or self.environment,
            arguments={**self.arguments, **task.arguments},
            options={**self.options, **task.options},
            success=SuccessTable(key=success.removeprefix(_INFO)) if isinstance(success, str) else success,
            seeds=task.seeds if fixed else self.seeds,
            starts=task.starts if fixed else self.starts,
        )

    @property
    def score(self) -> ScoreTable | None:
        """Where progress comes from."""
        return ScoreTable(key=self.progress.removeprefix(_INFO)) if isinstance(self.progress, str) else self.progress

    @property
    def all_measures(self) -> tuple[Measure, ...]:
        """What the world measures by itself, then what the file declares."""
        progress = () if self.score is None else (Measure(name="progress", series=True),)
        own = (Measure(name=n, unit=t.unit, about=t.about, series=t.series) for n, t in self.measures.items())
        return (
            Measure(name="success", unit="bool", series=True),
            *progress,
            Measure(name="reward", series=True),
            *own,
        )

    @property
    def content(self) -> dict[str, Any]:
        """All that can change a result, however it was written: what names the world, and no comment."""
        said = asdict(replace(self, success=None, task=self.tasks, progress=self.score))
        return {key: value for key, value in said.items() if key not in ("name", *_COMPLETED)}

    def mistakes(self) -> Iterator[Mistake]:
        """Keys that do not go together."""
        if self.rule == "hold" and self.hold is None:
            yield "hold", 'how many steps, e.g. hold = 5, with rule = "hold"', "nothing"
        if self.rule != "hold" and self.hold is not None:
            yield "hold", 'rule = "hold" beside it', f"rule = {self.rule!r}"
        if self.hold is not None and self.hold > self.horizon:
            yield "hold", f"at most the horizon of {self.horizon}", self.hold
        if self.seeds and self.starts:
            yield "seeds", "seeds or starts", "both"
        for name in (*MEASURED, *ROLLOUT_COUNTS):
            if name in self.measures:
                whose = "world measures" if name in MEASURED else "rollout counts"
                yield f"measures.{name}", f"another name: the {whose} this itself", name
        yield from chain(self._task_mistakes(), self._twice("field", self.fields))

    def _task_mistakes(self) -> Iterator[Mistake]:
        if isinstance(self.task, str):
            if self.instruction is None:
                yield "instruction", "what is asked, a sentence", "nothing"
            if self.success is None:
                yield "success", "a key of the info, or a table", "nothing"
            return
        if not self.task:
            yield "task", "a name, or tables [[task]]", "none"
        if self.instruction is not None:
            yield "instruction", "one in each [[task]]", "one for the file"
        if self.success is None:
            for i, task in enumerate(self.task):
                if task.success is None:
                    yield f"task[{i}].success", "one in the task, or one for the file", "neither"
        yield from self._twice("task", self.task)

    def _twice(self, key: str, tables: tuple[Any, ...]) -> Iterator[Mistake]:
        names = [table.name for table in tables]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield key, "each name once", f"{name!r} {names.count(name)} times"


_INFO = "info."  # may stand before a key that comes from nowhere else, as it does where there is a choice
_COMPLETED = ("instruction", "environment", "arguments", "options", "seeds", "starts", "success")  # stand in the tasks
