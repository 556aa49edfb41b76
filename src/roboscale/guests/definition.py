"""What a guest is: a small folder with `guest.toml` and its lock.

Ours lie in `known/`; other packages bring theirs by the entry point `roboscale.guests`, whose value is a module in
which `guest.toml` lies. Knows files. Does not know how one is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

from roboscale.core import BadData, Identity, UnknownName, combine
from roboscale.core.declared import Limit, read_declared

__all__ = ["Guest", "find_guest", "find_guests"]

_KNOWN = Path(__file__).with_name("known")
_GROUP = "roboscale.guests"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """`guest.toml`; see `Guest`."""

    about: str
    licence: str
    python: tuple[str, ...]
    disk_gb: Annotated[float, Limit("a number above 0", lambda value: value > 0)]
    policies: str = ""
    worlds: str = ""
    check: str = ""
    system: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A stranger's package in an environment of its own.

    Args:
        name: what stands before the colon, as in `lerobot:PATH`.
        folder: where `guest.toml` and `lock.txt` lie.
        about: what it brings, one line.
        licence: SPDX id of what it brings.
        python: versions that the lock was made for, best first, e.g. `3.11`.
        disk_gb: what it takes when it is installed.
        policies, worlds: `module:name` on the guest's side of what opens them; empty where it brings none.
        check: `module:name` on the guest's side: returns what it looked at, one text each, or raises.
        system: shared libraries that the system must have, as `libavcodec.so`.
        environment: variables that its processes get.
    """

    name: str
    folder: Path
    about: str
    licence: str
    python: tuple[str, ...]
    disk_gb: float
    policies: str = ""
    worlds: str = ""
    check: str = ""
    system: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        """Every package with its version; comments are allowed."""
        return self.folder / "lock.txt"

    @property
    def packages(self) -> tuple[str, ...]:
        """The lines of the lock."""
        lines = (line.partition("#")[0].strip() for line in self.lock.read_text("utf-8").splitlines())
        return tuple(line for line in lines if line)

    @property
    def identity(self) -> Identity:
        """By its lock and by what opens things: another version of the package is another guest."""
        return combine(self.name, self.packages, self.policies, self.worlds, dict(self.environment))


def find_guests() -> dict[str, Guest]:
    """Name -> guest: ours, then those of installed packages, which may not take a name of ours.

    Raises:
        BadData: a `guest.toml` that is broken, a lock that is missing, or a name that two bring.
    """
    guests = {folder.name: read_guest(folder) for folder in sorted(_KNOWN.iterdir()) if folder.is_dir()}
    for entry in entry_points(group=_GROUP):
        spec = importlib.util.find_spec(entry.value)  # not imported: listing guests runs nobody's code
        if spec is None or spec.origin is None:
            raise BadData(f"entry point {entry.name}", _GROUP, "a module that is installed", entry.value)
        if entry.name in guests:
            raise BadData(
                f"entry point {entry.name}", _GROUP, "a name of its own", f"that of {guests[entry.name].folder}"
            )
        guests[entry.name] = read_guest(Path(spec.origin).parent, entry.name)
    return guests


def find_guest(name: str) -> Guest:
    """One guest; UnknownName lists all."""
    guests = find_guests()
    if name not in guests:
        raise UnknownName("guest", name, guests)
    return guests[name]


def read_guest(folder: Path, name: str = "") -> Guest:
    """A guest from its folder; BadData names file and field."""
    file = folder / "guest.toml"
    said = read_declared(file, _File)
    guest = Guest(
        name=name or folder.name,
        folder=folder,
        about=said.about,
        licence=said.licence,
        python=said.python,
        disk_gb=said.disk_gb,
        policies=said.policies,
        worlds=said.worlds,
        check=said.check,
        system=said.system,
        environment=said.environment,
    )
    if not guest.lock.is_file():
        raise BadData(guest.lock, "file", "the lock of the guest, one package a line", "nothing")
    if not guest.python:
        raise BadData(file, "python", "at least one version", "none")
    return guest
