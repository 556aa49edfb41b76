"""Learned worlds: what was recorded says what would happen. `roboscale world train` makes one of a dataset."""

from roboscale.worlds.learned.checkpoint import (
    GATES_FILE,
    LoggedEpisodes,
    WorldManifest,
    is_learned,
    load_world,
    require_world_folder,
    save_world,
)
from roboscale.worlds.learned.elements import StateElements, element_names, find_elements, state_fields
from roboscale.worlds.learned.features import TwinFrame
from roboscale.worlds.learned.starts import RecordedStarts, flat_state, state_slices
from roboscale.worlds.learned.twin import StateTwin
from roboscale.worlds.learned.world import LearnedScene, LearnedWorld

__all__ = [
    "GATES_FILE",
    "LearnedScene",
    "LearnedWorld",
    "LoggedEpisodes",
    "RecordedStarts",
    "StateElements",
    "StateTwin",
    "TwinFrame",
    "WorldManifest",
    "element_names",
    "find_elements",
    "flat_state",
    "is_learned",
    "load_world",
    "require_world_folder",
    "save_world",
    "state_fields",
    "state_slices",
]
