"""What a guest is: a small folder with `guest.toml` and its lock.

Ours lie in `known/`; other packages bring theirs by the entry point `roboscale.guests`, whose value is a module in
which `guest.toml` lies; a repository on the disk is one by its path. Knows files. Does not know how one is installed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

from roboscale.core import BadData, Identity, UnknownName, combine
from roboscale.core.declared import Limit, read_declared

__all__ = ["ADDED", "SOURCE", "Guest", "find_guest", "find_guests", "guest_at", "guest_folders", "guests_folder"]

SOURCE = "source.txt"
"""Beside the environment of a guest by path: where its repository is."""
ADDED = "added.txt"
"""Beside the environment of a guest: what was added to its lock there, pinned."""

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
    tasks: Mapping[str, str] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
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
        tasks, measures: of its worlds, for people who have not installed it: task -> sentence, and names.
        check: `module:name` on the guest's side: returns what it looked at, one text each, or raises.
        system: shared libraries that the system must have, as `libavcodec.so`.
        environment: variables that its processes get.
        source: a repository that is installed as it is (`pip install -e`), and may change any time.
        added: packages beside the lock, pinned: what was added here, as a plugin that its package finds.
    """

    name: str
    folder: Path
    about: str
    licence: str
    python: tuple[str, ...]
    disk_gb: float
    policies: str = ""
    worlds: str = ""
    tasks: Mapping[str, str] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    check: str = ""
    system: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None
    added: tuple[str, ...] = ()

    @property
    def lock(self) -> Path:
        """Every package with its version; comments are allowed."""
        return self.folder / "lock.txt"

    @property
    def packages(self) -> tuple[str, ...]:
        """The lines of the lock, and what was added to it here."""
        return (*_lines(self.lock), *self.added)

    @property
    def identity(self) -> Identity:
        """By its lock and by what opens things: another version of the package is another guest."""
        return combine(self.name, self.packages, self.policies, self.worlds, dict(self.environment))

    @property
    def content(self) -> Identity | None:
        """Of a repository's files as they are now; `None` where the lock says all."""
        if self.source is None:
            return None
        files = {path.relative_to(self.source).as_posix(): path.read_bytes() for path in _files(self.source)}
        return combine(f"files of {self.source.name}", files)


def guests_folder() -> Path:
    """Where guests live: `$ROBOSCALE_GUESTS`, or `~/.local/share/roboscale/guests`."""
    said = os.environ.get("ROBOSCALE_GUESTS")
    if said:
        return Path(said).expanduser()
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return data / "roboscale" / "guests"


def guest_folders() -> dict[str, Path]:
    """Name -> folder of `guest.toml`, nothing read yet: ours, those of packages, those installed by path.

    Raises:
        BadData: a name that two bring, or an entry point of nothing.
    """
    folders = {folder.name: folder for folder in sorted(_KNOWN.iterdir()) if folder.is_dir()}
    for entry in entry_points(group=_GROUP):
        spec = importlib.util.find_spec(entry.value)  # not imported: listing guests runs nobody's code
        if spec is None or spec.origin is None:
            raise BadData(f"entry point {entry.name}", _GROUP, "a module that is installed", entry.value)
        _add(folders, entry.name, Path(spec.origin).parent, f"entry point {entry.name}")
    for name, source in _sources():
        _add(folders, name, source, str(guests_folder() / name / SOURCE))
    return folders


def _add(folders: dict[str, Path], name: str, folder: Path, who: str) -> None:
    if name in folders:
        raise BadData(who, _GROUP, "a name of its own", f"that of {folders[name]}")
    folders[name] = folder


def _sources() -> Iterator[tuple[str, Path]]:
    for file in sorted(guests_folder().glob(f"*/{SOURCE}")):
        source = Path(file.read_text("utf-8").strip())
        if (source / "guest.toml").is_file():  # one that moved away is nobody's: `guest clean` removes its environment
            yield file.parent.name, source


def find_guests() -> dict[str, Guest]:
    """Name -> guest: ours, those of installed packages, those installed by path; none may take another's name.

    Raises:
        BadData: a `guest.toml` that is broken, a lock that is missing, or a name that two bring.
    """
    sources = dict(_sources())
    return {name: read_guest(folder, name, sources.get(name)) for name, folder in guest_folders().items()}


def find_guest(name: str) -> Guest:
    """One guest, of which alone the files are read; UnknownName lists all."""
    folders = guest_folders()
    if name not in folders:
        raise UnknownName("guest", name, folders)
    return read_guest(folders[name], name, dict(_sources()).get(name))


def guest_at(text: str) -> Guest:
    """What can be installed: a guest by its name, or the repository in a folder, which is called as the folder is.

    Raises:
        UnknownName: neither.
        BadData: its files are broken, or its name is taken.
    """
    folders = guest_folders()
    path = Path(text).expanduser().resolve()
    if text in folders or not path.is_dir():
        return find_guest(text)
    if folders.get(path.name, path) != path:
        raise BadData(path, "name", "one that no guest has", f"that of {folders[path.name]}")
    return read_guest(path, path.name, path)


def read_guest(folder: Path, name: str = "", source: Path | None = None) -> Guest:
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
        tasks=said.tasks,
        measures=said.measures,
        check=said.check,
        system=said.system,
        environment=said.environment,
        source=source,
        added=_lines(guests_folder() / (name or folder.name) / ADDED),
    )
    if not guest.lock.is_file():
        raise BadData(guest.lock, "file", "the lock of the guest, one package a line", "nothing")
    if not guest.python:
        raise BadData(file, "python", "at least one version", "none")
    return guest


def _lines(file: Path) -> tuple[str, ...]:
    """What stands in a list of packages; nothing where there is none."""
    text = file.read_text("utf-8") if file.is_file() else ""
    return tuple(line for line in (one.partition("#")[0].strip() for one in text.splitlines()) if line)


_LEFT_OUT = ("__pycache__", "build", "dist", "venv")


def _files(folder: Path) -> Iterator[Path]:
    """Files of a repository that may change what it does; nothing hidden, nothing made from it."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _LEFT_OUT or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path
