"""Strangers' packages in environments of their own: installed beside ours, driven as processes, ordinary things here.

A guest is a folder with a lock (`definition`), has an environment (`environment`) and runs as a process (`process`);
what runs in it is `side`, which sees nothing of ours but `wire`. Does not know worlds, trials or commands.
"""

from roboscale.guests.definition import (
    Guest,
    find_guest,
    find_guests,
    guest_at,
    guest_folders,
    guests_folder,
    read_guest,
)
from roboscale.guests.environment import (
    Installed,
    add_packages,
    clean_environments,
    environment_of,
    make_environment,
    remove_environment,
)
from roboscale.guests.lent import open_lent_world
from roboscale.guests.policy import FeatureMap, GuestPolicy, PolicyFeatures
from roboscale.guests.process import GuestProcess, check_guest_process
from roboscale.guests.pythons import find_python
from roboscale.guests.world import GuestScene, GuestWorld, open_guest_world

__all__ = [
    "FeatureMap",
    "Guest",
    "GuestPolicy",
    "GuestProcess",
    "GuestScene",
    "GuestWorld",
    "Installed",
    "PolicyFeatures",
    "add_packages",
    "check_guest_process",
    "clean_environments",
    "environment_of",
    "find_guest",
    "find_guests",
    "find_python",
    "guest_at",
    "guest_folders",
    "guests_folder",
    "make_environment",
    "open_guest_world",
    "open_lent_world",
    "read_guest",
    "remove_environment",
]
