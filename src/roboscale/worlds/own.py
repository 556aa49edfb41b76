"""What a user brings as a world: an instance, a class, a function that makes one, or a robot.

A class says what it is by simple attributes, or by an `info` of its own; what it does not say is assumed to be the
default of `WorldInfo`. Either way its identity covers its source and state. What is missing is refused by name.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from roboscale.core import (
    BadData,
    Case,
    Identity,
    Measure,
    RoboscaleError,
    Scene,
    Spec,
    SpecMismatch,
    SuccessRule,
    UnknownName,
    World,
    WorldInfo,
    WorldKind,
    combine,
    identify,
)
from roboscale.core.case import StartKind
from roboscale.core.conformance import (
    A_COUNT,
    A_METHOD,
    A_SPEC,
    A_TEXT,
    SOME_TASKS,
    Wanted,
    attribute_problems,
    positional_arguments,
)
from roboscale.core.world import ROLLOUT_COUNTS
from roboscale.worlds.real.robot_world import RobotWorld

__all__ = ["OwnWorld", "as_world"]

_ROBOT = ("connect", "read", "send", "stop")
_PASSED_ON = ("changeable", "expert", "step_many", "success_terms")
_CALLED = ("start", "observe", "step", "step_many", "measures", "picture", "expert", "close")
"""What a run calls of a world and of its scenes: what these read from outside is no content of the world."""


def as_world(thing: object, name: str = "") -> World:
    """The world that a user's object is.

    Args:
        thing: a world, a robot, or a class or function that makes one without arguments.
        name: what messages call it; by default its own name.

    Raises:
        SpecMismatch: it lacks something; one line for each attribute.
        BadData: it cannot be made without arguments, or making it failed.
        RoboscaleError: it is a gymnasium environment, which a TOML file declares.
    """
    name = name or getattr(thing, "__qualname__", type(thing).__qualname__)
    _refuse_environment(thing, name)
    if isinstance(thing, type) or (callable(thing) and not _speaks(thing)):
        made = _make(thing, name)
        _refuse_environment(made, name)
    else:
        made = thing
    if sum(hasattr(made, method) for method in _ROBOT) > 2 and not hasattr(made, "start"):
        return RobotWorld(made)  # type: ignore[arg-type]  # it asks for the rest itself
    if isinstance(made, (RobotWorld, OwnWorld)) or type(made).__module__.startswith("roboscale."):
        return made  # type: ignore[return-value]  # ours, and its identity is its own word
    if not _speaks(made):
        wanted = "a world (tasks, start, ...) or a robot (connect, read, send, stop)"
        raise SpecMismatch(f"{name}: expected {wanted}, found {type(made).__name__}")
    return OwnWorld(made, name)


def _speaks(thing: object) -> bool:
    """Whether it has anything that a world or a robot has."""
    return any(hasattr(thing, name) for name in ("start", "info", "tasks", "connect"))


def _make(factory: Callable[..., Any], name: str) -> object:
    _, must = positional_arguments(factory)
    if must:
        says = f"one that needs {', '.join(must)}; name a function that makes it with what it needs"
        raise BadData(name, "arguments", "a class or function that is called without any", says)
    try:
        return factory()
    except RoboscaleError:
        raise
    except (Exception, SystemExit) as error:
        raise BadData(name, "call", "a world", f"{type(error).__name__}: {error}") from error


class OwnWorld:
    """A user's world with its `info` complete; scenes are the user's own.

    Attributes:
        notes: what was assumed where the class says nothing, one line each.

    Raises:
        SpecMismatch: something is missing or wrong; one line each.
    """

    def __init__(self, thing: Any, name: str = "") -> None:
        name = name or type(thing).__qualname__
        try:
            given = getattr(thing, "info", None)
        except Exception as error:  # a property is the user's code: whatever it raises
            raise BadData(name, "info", "a WorldInfo", f"{type(error).__name__}: {error}") from error
        problems = attribute_problems(thing, {"start": A_METHOD, "close": replace(A_METHOD, optional=True)})
        if given is None:
            problems = [*attribute_problems(thing, {**_NEEDED, **_OPTIONAL}), *problems]
        elif not isinstance(given, WorldInfo):
            problems.insert(
                0, f"info: expected a WorldInfo (as a property or an attribute), found {type(given).__name__}"
            )
        if not problems and len(positional_arguments(thing.start)[1]) != 1:
            arguments = ", ".join(positional_arguments(thing.start)[1])
            problems.append(f"start: expected start(case) -> scene, found start({arguments})")
        if not problems:
            info = _described(thing) if given is None else given
            problems = _contradictions(info)
        if problems:
            hint = _hint(thing)
            raise SpecMismatch("\n".join([f"{name} is no world yet:", *(f"  {p}" for p in problems), *hint]))
        self.thing = thing
        self._info = replace(info, identity=_identify(thing, info))
        self.notes = _assumed(thing, info) if given is None else ()
        self._start = thing.start
        for method in _PASSED_ON:  # protocols look for them on the instance
            if hasattr(thing, method):
                setattr(self, method, getattr(thing, method))

    @property
    def info(self) -> WorldInfo:
        """What the class says of itself, its identity from its content."""
        return self._info

    def start(self, case: Case) -> Scene:
        """The user's scene of a case that the world says it has."""
        self._info.require(case)
        scene: Scene = self._start(case)
        return scene

    def close(self) -> None:
        """The user's own `close`, where there is one."""
        if hasattr(self.thing, "close"):
            self.thing.close()


def _is_measures(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(m, (str, Measure)) for m in value)


def _is_names(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(v, str) for v in value)


def _is_rule(value: object) -> bool:
    if not isinstance(value, str):
        return isinstance(value, SuccessRule)
    with contextlib.suppress(UnknownName):
        return bool(SuccessRule.parse(value))
    return False


def _is_starts(value: object) -> bool:
    return _is_names(value) and {*value} <= {*get_args(StartKind)} and bool(value)  # type: ignore[misc]  # a sequence by then


_FLAG = Wanted("True or False", lambda v: isinstance(v, bool), optional=True)
_WORDS = Wanted("a text", lambda v: isinstance(v, str), optional=True)
_NAMES = Wanted("a tuple of names", _is_names, optional=True)
_NEEDED = {
    "tasks": SOME_TASKS,
    "observation_spec": A_SPEC,
    "action_spec": Wanted("a Spec with a field `action`", lambda v: isinstance(v, Spec) and "action" in v),
    "horizon": A_COUNT,
}
_OPTIONAL = {
    "name": replace(A_TEXT, optional=True),
    "kind": Wanted(f"one of {', '.join(get_args(WorldKind))}", lambda v: v in get_args(WorldKind), optional=True),
    "version": _WORDS,
    "embodiment": _WORDS,
    "rule": Wanted("a SuccessRule, or `first`, `end` or `hold K`", _is_rule, optional=True),
    "measures": Wanted("a tuple of names, or of Measure", _is_measures, optional=True),
    "starts": Wanted(f"some of {', '.join(get_args(StartKind))}", _is_starts, optional=True),
    "variations": _NAMES,
    "deterministic": _FLAG,
    "pictures": _FLAG,
    "scenes": Wanted("a number from 1 up, or None", lambda v: v is None or A_COUNT.fits(v), optional=True),
    "pace": Wanted("`simulated` or `wall`", lambda v: v in ("simulated", "wall"), optional=True),
    "hold": Wanted(
        "the action that keeps still, or None", lambda v: v is None or np.asarray(v).dtype.kind in "fiu", optional=True
    ),
    "past_success": _FLAG,
    "cost": _WORDS,
    "risk": _WORDS,
}


def _described(thing: Any) -> WorldInfo:
    """An info from simple attributes; its identity is filled in later."""
    given: dict[str, Any] = {k: getattr(thing, k) for k in (*_NEEDED, *_OPTIONAL) if hasattr(thing, k)}
    for key in ("starts", "variations"):
        if key in given:
            given[key] = tuple(given[key])
    if isinstance(given.get("rule"), str):
        given["rule"] = SuccessRule.parse(given["rule"])
    if given.get("hold") is not None:
        given["hold"] = tuple(float(x) for x in np.ravel(given["hold"]))
    given["measures"] = tuple(_measure(m) for m in given.get("measures", ()))
    name = given.setdefault("name", type(thing).__qualname__)
    given.setdefault("kind", "simulated")
    given.setdefault("version", "")
    return WorldInfo(**given, identity=combine(name), expert=hasattr(thing, "expert"))


def _assumed(thing: Any, info: WorldInfo) -> tuple[str, ...]:
    """One line on what can change a result and was not said."""
    values = {
        "measures": "none: a person judges",
        "rule": str(info.rule),
        "deterministic": "no",
        "scenes": str(info.scenes),
        "pace": info.pace,
        "hold": "there is none",
    }
    silent = [f"{name} ({value})" for name, value in values.items() if not hasattr(thing, name)]
    said = [f"world {info.name} does not say, and is taken to be: {', '.join(silent)}"] if silent else []
    left_out = [name for name in _OPTIONAL if not hasattr(thing, name)]
    for name in dir(thing):
        near = difflib.get_close_matches(name, left_out, n=1, cutoff=0.8)
        if near and not name.startswith("_") and name not in (*_NEEDED, *_OPTIONAL, *_CALLED):
            said.append(f"world {info.name} has an attribute {name}, which says nothing; is {near[0]} meant?")
    return tuple(said)


def _measure(given: str | Measure) -> Measure:
    if isinstance(given, Measure):
        return given
    return Measure(name=given, unit="bool" if given == "success" else "1", series=True)


def _contradictions(info: WorldInfo) -> list[str]:
    """Where the parts of an info do not fit each other."""
    problems = []
    if "action" not in info.action_spec:
        return [f"action_spec: expected a field `action`, found {', '.join(info.action_spec.names) or 'none'}"]
    size = int(np.prod(info.action_spec["action"].shape))
    if info.hold is not None and len(info.hold) != size:
        problems.append(f"hold: expected {size} numbers, one for each of the action's, found {len(info.hold)}")
    rates = (info.observation_spec.rate_hz, info.action_spec.rate_hz)
    if rates[0] != rates[1] or not rates[0] > 0:
        problems.append(
            f"observation_spec and action_spec: expected one rate above 0 Hz, found {rates[0]} and {rates[1]}"
        )
    names = [m.name for m in info.measures]
    if counted := [name for name in names if name in ROLLOUT_COUNTS]:
        problems.append(f"measures: expected other names: the rollout counts {', '.join(counted)} itself")
    strange = [kind for kind in info.starts if kind not in get_args(StartKind)]
    if strange or not info.starts:
        problems.append(
            f"starts: expected some of {', '.join(get_args(StartKind))}, found {', '.join(strange) or 'none'}"
        )
    if twice := {name for name in names if names.count(name) > 1}:
        problems.append(f"measures: expected each name once, found twice: {', '.join(sorted(twice))}")
    return problems


def _hint(thing: object) -> list[str]:
    if hasattr(thing, "reset") and hasattr(thing, "step") and not hasattr(thing, "start"):
        return [
            "  a world has no reset: start(case) gives a scene, and the scene has observe, step, measures and close"
        ]
    return []


def _refuse_environment(thing: object, name: str) -> None:
    """A gymnasium environment says nothing of what its arrays mean: that is what a declaration is for."""
    cls = thing if isinstance(thing, type) else type(thing)
    inherits = any(c.__name__ == "Env" and c.__module__.split(".")[0] in ("gymnasium", "gym") for c in cls.__mro__)
    looks_so = all(hasattr(thing, n) for n in ("reset", "step", "action_space")) and not hasattr(thing, "start")
    if not inherits and not looks_so:
        return
    environment = name if ":" in name else f"{cls.__module__}:{cls.__qualname__}"
    lines = [
        f"{name} is a gymnasium environment; a TOML file says what its arrays mean and is the world. It begins:",
        f'  name = "{cls.__name__.lower()}"',
        f'  environment = "{environment}"',
        '  task = "TASK"',
        '  instruction = "WHAT IS ASKED, A SENTENCE"',
        "  rate_hz = 10.0",
        "  horizon = 100",
    ]
    raise RoboscaleError("\n".join(lines))


def _identify(thing: Any, info: WorldInfo) -> Identity:
    """What it says of itself and the code of its class; beside these its own identity, or where it gives none, its
    state as it was made."""
    said = {
        "tasks": dict(info.tasks),
        "observation": info.observation_spec.to_json(),
        "action": info.action_spec.to_json(),
        "measures": [(m.name, m.unit, m.about) for m in info.measures],
        "hold": info.hold,
    }
    taken_at_its_word = info.identity != combine(info.name)
    own = identify(type(thing), info.name) if taken_at_its_word else identify(thing, info.name, calls=_CALLED)
    return combine(info.name, info.version, said, info.identity, own)
