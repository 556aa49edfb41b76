"""Worlds by name: a built-in one, a TOML declaration, or a class, function or robot of one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from roboscale.core import RoboscaleError, UnknownName, UsageError, World
from roboscale.core.loading import load_module, load_object
from roboscale.worlds.own import as_world

__all__ = ["WORLDS", "WORLD_FORMS", "BuiltIn", "open_world"]

WORLD_FORMS = ("FILE.toml", "robot:FILE.toml", "file.py:Name", "module:Name")
"""What a world can be called, apart from the built-in names."""


def _metaworld() -> World:
    from roboscale.worlds.simulated.metaworld import MetaWorld

    return MetaWorld()


def _about_metaworld() -> tuple[dict[str, str], tuple[str, ...]]:
    from roboscale.worlds.simulated.metaworld import MEASURES
    from roboscale.worlds.simulated.metaworld_tasks import TASKS

    return {task: row.instruction for task, row in TASKS.items()}, tuple(measure.name for measure in MEASURES)


def _about_declared(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    from roboscale.worlds.simulated.declaration import WorldDeclaration

    declared = WorldDeclaration.load(path)
    sentences = {task.name: str(task.instruction) for task in declared.tasks}
    return sentences, tuple(measure.name for measure in declared.all_measures)


def _fetch(path: Path) -> World:
    from roboscale.worlds.simulated.declaration import WorldDeclaration
    from roboscale.worlds.simulated.fetch_experts import FETCH_EXPERTS
    from roboscale.worlds.simulated.scripted_world import ScriptedWorld

    return ScriptedWorld(WorldDeclaration.load(path), path, FETCH_EXPERTS)


def _declared(path: Path) -> World:
    from roboscale.worlds.simulated.gymnasium_world import GymnasiumWorld

    return GymnasiumWorld.load(path)


def _require_no_robot(path: Path) -> None:
    """UsageError for a robot's declaration, which is asked for otherwise; whatever else is wrong is said later."""
    try:
        keys = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if {"driver", "joints"} <= set(keys) or "benches" in keys:
        raise UsageError(f"{path} declares a robot: --world robot:{path}")


def _robot(path: Path) -> World:
    from roboscale.worlds.real.benches import open_robot
    from roboscale.worlds.real.robot_world import RobotWorld

    robot = open_robot(path)
    return RobotWorld(robot, robot.prepare)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """A world that comes with roboscale.

    Args:
        about: one line for people.
        extra: what has to be installed with roboscale for it.
        packages: that the extra brings.
        describe: task -> sentence, and names of measures, without opening it.
    """

    name: str
    about: str
    extra: str
    packages: tuple[str, ...]
    make: Callable[[], World]
    describe: Callable[[], tuple[dict[str, str], tuple[str, ...]]] = lambda: ({}, ())

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of its packages that are not installed."""
        return tuple(p for p in self.packages if not _installed(p))

    def open(self) -> World:
        """The world; RoboscaleError names the extra when it is not installed."""
        if self.missing:
            raise RoboscaleError(f"world {self.name}: {', '.join(self.missing)} not installed; {self.advice}")
        return self.make()

    @property
    def advice(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'roboscale[{self.extra}]'"


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


_HERE = Path(__file__).parent / "simulated"


def _by_file(name: str, about: str, package: str, make: Callable[[Path], World] = _declared) -> BuiltIn:
    path = _HERE / f"{name.replace('-', '_')}.toml"
    return BuiltIn(
        name=name,
        about=about,
        extra="gym",
        packages=(package,),
        make=lambda: make(path),
        describe=lambda: _about_declared(path),
    )


_ROBOTICS = "gymnasium-robotics"

_ALL = (
    _by_file("adroit-door", "a Shadow hand opens a door with a latch", _ROBOTICS),
    _by_file("adroit-hammer", "a Shadow hand drives a nail into a board", _ROBOTICS),
    _by_file("adroit-pen", "a Shadow hand turns a pen to an orientation", _ROBOTICS),
    _by_file("adroit-relocate", "a Shadow hand brings a ball to a point", _ROBOTICS),
    _by_file("fetch-pick-and-place", "a Fetch arm brings a block to a point", _ROBOTICS, _fetch),
    _by_file("fetch-push", "a Fetch arm pushes a block to a point on the table", _ROBOTICS, _fetch),
    _by_file("fetch-reach", "a Fetch arm moves its hand to a point", _ROBOTICS, _fetch),
    _by_file("fetch-slide", "a Fetch arm slides a puck to a point out of its reach", _ROBOTICS),
    BuiltIn(
        name="metaworld",
        about="50 tasks of a Sawyer arm",
        extra="sim",
        packages=("metaworld", "mujoco"),
        make=_metaworld,
        describe=_about_metaworld,
    ),
    _by_file("pusht", "a round finger pushes a T onto its outline", "gym-pusht"),
)

WORLDS: dict[str, BuiltIn] = {world.name: world for world in _ALL}


def open_world(text: str) -> World:
    """The world that a text names; nothing is built, rendered or connected yet.

    Args:
        text: a built-in name or one of `WORLD_FORMS`. A class or function is called without arguments; a robot becomes
            a world of kind `real`. Modules are looked for in the current folder, then among the installed ones.

    Raises:
        UnknownName: no such name, file or module; says the near ones.
        BadData: a file is broken, or a class cannot be made.
        SpecMismatch: a class lacks something, one line for each attribute.
        RoboscaleError: an extra is not installed, or a class is a gymnasium environment.
    """
    if text in WORLDS:
        return WORLDS[text].open()
    if text.startswith("robot:"):
        return _robot(Path(text.removeprefix("robot:")))
    if text.endswith(".toml"):
        _require_no_robot(Path(text))
        return _declared(Path(text))
    if text.endswith(".py"):
        module = load_module(text, "world")
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and n[0] != "_"]
        raise UnknownName("world", text, [f"{text}:{name}" for name in own] or [f"{text}:Name"])
    if ":" in text:
        return as_world(load_object(text, "world"), text)
    raise UnknownName("world", text, (*WORLDS, *WORLD_FORMS))
