"""Worlds: simulated, learned or real. Nothing heavy is imported until a world is opened."""

from roboscale.worlds.catalog import FORMS, WORLDS, open_world
from roboscale.worlds.own import as_world

__all__ = ["FORMS", "WORLDS", "as_world", "open_world"]
