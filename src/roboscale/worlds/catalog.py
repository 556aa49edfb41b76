"""Worlds by name: a built-in one, a TOML declaration, or a class, function or robot of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from roboscale.core import RoboscaleError, UnknownName, World
from roboscale.core.loading import load_module, load_object
from roboscale.worlds.own import as_world

__all__ = ["WORLDS", "WORLD_FORMS", "BuiltIn", "open_world"]

WORLD_FORMS = ("FILE.toml", "robot:FILE.toml", "file.py:Name", "module:Name")
"""What a world can be called, apart from the built-in names."""


def _metaworld() -> World:
    from roboscale.worlds.simulated.metaworld import MetaWorld

    return MetaWorld()


def _declared(path: Path) -> World:
    from roboscale.worlds.simulated.gymnasium_world import GymnasiumWorld

    return GymnasiumWorld.load(path)


def _robot(path: Path) -> World:
    from roboscale.worlds.real.guarded import GuardedRobot
    from roboscale.worlds.real.robot_world import RobotWorld

    robot = GuardedRobot(path)
    return RobotWorld(robot, robot.prepare)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """A world that comes with roboscale.

    Args:
        about: one line for people.
        extra: what has to be installed with roboscale for it.
        packages: that the extra brings.
    """

    name: str
    about: str
    extra: str
    packages: tuple[str, ...]
    make: Callable[[], World]

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

_ALL = (
    BuiltIn(
        name="fetch-push",
        about="a Fetch arm pushes a block to a point on the table",
        extra="gym",
        packages=("gymnasium-robotics",),
        make=lambda: _declared(_HERE / "fetch_push.toml"),
    ),
    BuiltIn(
        name="metaworld",
        about="50 tasks of a Sawyer arm",
        extra="sim",
        packages=("metaworld", "mujoco"),
        make=_metaworld,
    ),
    BuiltIn(
        name="pusht",
        about="a round finger pushes a T onto its outline",
        extra="gym",
        packages=("gym-pusht",),
        make=lambda: _declared(_HERE / "pusht.toml"),
    ),
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
        return _declared(Path(text))
    if text.endswith(".py"):
        module = load_module(text, "world")
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and n[0] != "_"]
        raise UnknownName("world", text, [f"{text}:{name}" for name in own] or [f"{text}:Name"])
    if ":" in text:
        return as_world(load_object(text, "world"), text)
    raise UnknownName("world", text, (*WORLDS, *WORLD_FORMS))
