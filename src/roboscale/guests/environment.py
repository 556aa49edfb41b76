"""A guest's environment: made, looked at, removed. Our own environment is never touched.

Everything of a guest lies in one folder below `$ROBOSCALE_GUESTS` (`~/.local/share/roboscale/guests`): the virtual
environment, what was said while it was made, and `state.json`, which comes last: without it nothing is installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from roboscale.core import BadData, RoboscaleError
from roboscale.guests.definition import ADDED, SOURCE, Guest, guests_folder
from roboscale.guests.pythons import find_python, say_places

__all__ = [
    "Installed",
    "add_packages",
    "clean_environments",
    "environment_of",
    "make_environment",
    "remove_environment",
]

Say = Callable[[str], None]
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?(==[A-Za-z0-9.+!_-]+)?")

_STATE, _LOG, _FORMAT = "state.json", "install.log", 1
_RESOLVED = ("torch",)
"""Installed with what they need, within the lock: builds of these need different packages on different machines."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that is complete.

    Args:
        python: its interpreter.
        version: of Python.
        digest: of the guest that it was made for.
        megabytes: on the disk when it was made.
    """

    python: Path
    version: str
    digest: str
    megabytes: float


def environment_of(guest: Guest) -> Installed | None:
    """Its environment; `None` where it is not installed, or for another lock than it has now."""
    folder = guests_folder() / guest.name
    try:
        said = json.loads((folder / _STATE).read_text("utf-8"))
        made = Installed(Path(said["python"]), said["version"], said["digest"], float(said["megabytes"]))
    except (OSError, ValueError, KeyError, TypeError):  # not there, or cut off: installing makes it whole
        return None
    return made if made.digest == guest.identity.digest and made.python.exists() else None


def make_environment(guest: Guest, say: Say) -> Installed:
    """Makes the environment, or goes on where it was left. What is there already is kept.

    Raises:
        RoboscaleError: no fitting Python, a system library that is missing, no room, or pip's own words.
    """
    made = environment_of(guest)
    if made is not None:
        say(f"{guest.name} is installed: Python {made.version}, {made.megabytes:,.0f} MB")
        return made
    folder = guests_folder() / guest.name
    python = _python_for(guest)
    _require_system(guest)
    _require_room(guest, folder)
    say(f"{guest.name}: about {guest.disk_gb:g} GB in {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _STATE).unlink(missing_ok=True)
    if guest.source is not None:  # from now on its name is known
        (folder / SOURCE).write_text(f"{guest.source}\n", "utf-8")
    inside = folder / "venv/bin/python"
    if not inside.exists():
        _run([str(python), "-m", "venv", "--clear", str(folder / "venv")], folder, say)
    lock = folder / "lock.txt"
    lock.write_text("\n".join(guest.packages) + "\n", "utf-8")
    pip = _pip(inside)
    resolved = [line for line in guest.packages if line.partition("==")[0] in _RESOLVED]
    if resolved:
        _run([*pip, "-c", str(lock), *resolved], folder, say)
    _run([*pip, "--no-deps", "-r", str(lock)], folder, say)
    if guest.source is not None:
        _run([*pip, "--no-deps", "-e", str(guest.source)], folder, say)
    made = Installed(inside, _version(inside), guest.identity.digest, _megabytes(folder / "venv"))
    _write_state(folder / _STATE, made)
    say(f"{guest.name}: installed, Python {made.version}, {made.megabytes:,.0f} MB")
    return made


def add_packages(guest: Guest, packages: Sequence[str], say: Say) -> Guest:
    """Adds packages to a guest's environment, within its lock; what they bring along is pinned and part of it then.

    Returns:
        The guest with them: another one than before, by its identity.

    Raises:
        BadData: a text that names no package.
        RoboscaleError: as `make_environment`, or pip cannot install them.
    """
    if wrong := [text for text in packages if not _PACKAGE.fullmatch(text)]:
        raise BadData(f"guest {guest.name}", "add", "NAME or NAME==VERSION", wrong[0])
    inside = make_environment(guest, say).python
    folder = guests_folder() / guest.name
    before = {_canonical(line) for line in _frozen(inside)}
    try:
        _run([*_pip(inside), "-c", str(folder / "lock.txt"), *packages], folder, say)
    except RoboscaleError as error:  # a package that wants the guest's own in versions that it does not say
        say(f"{guest.name}: with what they need they do not fit ({error}); they are installed without it")
        _run([*_pip(inside), "--no-deps", *packages], folder, say)
    earlier = {_canonical(line) for line in guest.added}
    added = [line for line in _frozen(inside) if _canonical(line) not in before or _canonical(line) in earlier]
    (folder / ADDED).write_text("".join(f"{line}\n" for line in added), "utf-8")
    more = replace(guest, added=tuple(added))
    _write_state(
        folder / _STATE,
        Installed(inside, _version(inside), more.identity.digest, _megabytes(folder / "venv")),
    )
    say(f"{guest.name}: added {', '.join(added) or 'nothing'}")
    return more


def _frozen(python: Path) -> list[str]:
    """What is installed, as pip writes it down."""
    done = subprocess.run([str(python), "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "==" in line]


def _canonical(line: str) -> str:
    """Name of a package in a line of a lock, as indexes compare it."""
    return re.sub(r"[-_.]+", "-", line.partition("==")[0].strip()).lower()


def _pip(python: Path) -> list[str]:
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    return [str(python), "-m", "pip", "install", *options]


def remove_environment(guest: Guest) -> bool:
    """Removes its environment, half made or whole; false where there was none."""
    folder = guests_folder() / guest.name
    if not folder.exists():
        return False
    (folder / _STATE).unlink(missing_ok=True)  # first: what is half gone is not installed
    shutil.rmtree(folder)
    return True


def clean_environments(known: Mapping[str, Guest], *, dry_run: bool = False) -> list[Path]:
    """Removes what is no complete environment of a known guest: broken off, of an older lock, of nobody."""
    folder = guests_folder()
    gone = [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.is_dir() and (path.name not in known or environment_of(known[path.name]) is None)
    ]
    for path in gone if not dry_run else ():
        shutil.rmtree(path)
    return gone


def _python_for(guest: Guest) -> Path:
    python = find_python(guest.python)
    if python is None:
        needed = " or ".join(guest.python)
        raise RoboscaleError(
            f"guest {guest.name} needs Python {needed} with venv, found none ({say_places()}): "
            f"`uv python install {guest.python[0]}` or `pyenv install {guest.python[0]}` brings one"
        )
    return python


def _require_system(guest: Guest) -> None:
    """Libraries that pip does not bring."""
    if not guest.system or shutil.which("ldconfig") is None:
        return
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    missing = [package for package in guest.system if package.partition(":")[0] not in listed]
    if missing:
        packages = " ".join(package.partition(":")[2] for package in missing)
        raise RoboscaleError(
            f"guest {guest.name} needs {', '.join(p.partition(':')[0] for p in missing)}; run this, then the same "
            f"command again: sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}"
        )


def _require_room(guest: Guest, folder: Path) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < guest.disk_gb and not (folder / "venv").exists():
        raise RoboscaleError(
            f"guest {guest.name} takes about {guest.disk_gb:g} GB, {there} has {free:.1f} GB: "
            f"ROBOSCALE_GUESTS names another folder"
        )


def _run(words: list[str], folder: Path, say: Say) -> None:
    """A step, its words in the log; what people want to see of it is said."""
    environment = {**os.environ, "TMPDIR": str(folder)}  # /tmp may be small, and wheels of several GB are not
    environment.pop("PYTHONPATH", None)
    with (folder / _LOG).open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(words)}\n")
        log.flush()
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
        ) as process:
            assert process.stdout is not None
            last = list(_told(process.stdout, log.write, say))
    if process.returncode:
        raise RoboscaleError(f"{' '.join(words[:6])} ...: exit code {process.returncode}: {' / '.join(last[-4:])}")


def _told(lines: Iterable[str], write: Callable[[str], object], say: Say) -> Iterator[str]:
    for line in lines:
        write(line)
        text = line.strip()
        if text.startswith(("Downloading", "Collecting", "Installing", "Successfully")):
            say(text[:160])
        if text and not text.startswith("WARNING:"):
            yield text


def _version(python: Path) -> str:
    done = subprocess.run([str(python), "-V"], capture_output=True, text=True, check=False)
    return done.stdout.split()[-1] if done.returncode == 0 and done.stdout else ""


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink()) / 1e6


def _write_state(path: Path, made: Installed) -> None:
    said = {
        "format": _FORMAT,
        "python": str(made.python),
        "version": made.version,
        "digest": made.digest,
        "megabytes": round(made.megabytes, 1),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(said, indent=1), "utf-8")
    try:
        part.replace(path)
    except OSError as error:
        raise BadData(path, "file", "a file that can be written", error) from error
