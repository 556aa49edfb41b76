"""Worlds by name. A name is one of the built-in worlds, or the path of a TOML declaration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from roboscale.core import RoboscaleError, UnknownName, World

__all__ = ["WORLDS", "open_world", "world_id"]


def _metaworld() -> World:
    try:
        from roboscale.worlds.simulated.metaworld import MetaWorld

        return MetaWorld()
    except ImportError as error:
        raise RoboscaleError(
            f"world metaworld needs the extra `sim`: pip install 'roboscale[sim]' ({error})"
        ) from error


def _declared(path: Path) -> World:
    from roboscale.worlds.simulated.gymnasium_world import Declaration, GymnasiumWorld

    return GymnasiumWorld(Declaration.load(path))


_HERE = Path(__file__).parent / "simulated"

WORLDS: dict[str, Callable[[], World]] = {
    "fetch-push": lambda: _declared(_HERE / "fetch_push.toml"),
    "metaworld": _metaworld,
    "pusht": lambda: _declared(_HERE / "pusht.toml"),
}


def open_world(name: str) -> World:
    """The named world, or the one that a TOML file declares; UnknownName with the near names otherwise."""
    if name in WORLDS:
        return WORLDS[name]()
    if name.endswith(".toml"):
        return _declared(Path(name))
    raise UnknownName("world", name, (*WORLDS, "FILE.toml"))


def world_id(world: World) -> str:
    """Name under which trials are filed: equal ids mean comparable trials."""
    return f"{world.name} ({world.version}; success {world.success_rule}, horizon {world.horizon})"
