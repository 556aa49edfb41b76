"""Worlds: simulated, learned or real. Nothing heavy is imported until a world is opened."""

from roboscale.worlds.catalog import WORLDS, open_world, world_id

__all__ = ["WORLDS", "open_world", "world_id"]
