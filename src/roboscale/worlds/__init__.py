"""Worlds: simulated, learned or real. Nothing heavy is imported until a world is opened."""

from roboscale.worlds.catalog import WORLD_FORMS, WORLDS, open_world
from roboscale.worlds.own import as_world

__all__ = ["WORLDS", "WORLD_FORMS", "as_world", "open_world"]
