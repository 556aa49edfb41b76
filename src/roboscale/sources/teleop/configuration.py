"""What a driven dataset was collected with, and whether a later session is the same; and room on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from roboscale.core import BadData, InfrastructureError, SpecMismatch
from roboscale.core.plain import Plain
from roboscale.dataset.layout import Layout, atomic_write, load_json, to_json

__all__ = ["Configuration", "DiskSpace", "collected_before", "pool_configurations", "require_same"]

_FILE = "teleop.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration(Plain):
    """Whatever makes two sessions of one dataset two different things.

    Args:
        robot: what people call it. digest: of the world or robot, by content.
        tasks: task -> sentence.
        rate_hz: of the data. driven_hz: control steps in a second of the operator's time; less is slow motion.
        horizon: control steps after which an episode is cut.
        policy: digest of the policy that a person takes over from; empty without one.
    """

    robot: str
    digest: str
    tasks: Mapping[str, str]
    rate_hz: float
    driven_hz: float
    horizon: int
    policy: str = ""


def require_same(root: Path, now: Configuration, recorded: int) -> bool:
    """Whether a session goes on with what is there; a new dataset is given its file.

    Tasks may be added; a sentence may not be changed.

    Args:
        recorded: episodes that are there; without one there is nothing to be the same as.

    Raises:
        SpecMismatch: it was collected otherwise: every difference with both sides, and what to do.
        BadData: the file is broken.
    """
    file = Layout(root).own / _FILE
    before = collected_before(root, now, recorded)
    if before is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, to_json({"version": _VERSION, **now.to_json()}))
        return False
    tasks = {**before.tasks, **now.tasks}
    if tasks != dict(before.tasks):
        atomic_write(file, to_json({"version": _VERSION, **before.to_json(), "tasks": tasks}))
    return True


def collected_before(root: Path, now: Configuration, recorded: int) -> Configuration | None:
    """With what the episodes that are there were collected; `None` where nobody says. Writes nothing.

    Raises:
        SpecMismatch, BadData: as `require_same`.
    """
    file = Layout(root).own / _FILE
    if not recorded or not file.exists():
        return None
    before = _read(file)
    differences = [
        f"  {f.name}: collected with {_short(getattr(before, f.name))}, now {_short(getattr(now, f.name))}"
        for f in fields(Configuration)
        if f.name not in ("tasks", "robot") and getattr(before, f.name) != getattr(now, f.name)
    ]
    differences += [
        f"  sentence of {task}: collected with {before.tasks[task]!r}, now {text!r}"
        for task, text in now.tasks.items()
        if before.tasks.get(task, text) != text
    ]
    if differences:
        head = f"{root} was collected with {before.robot}, this is {now.robot}, and they are not the same:"
        raise SpecMismatch("\n".join([head, *differences, "record into a folder of its own, and merge the two"]))
    return before


def pool_configurations(members: Sequence[Path], out: Path | None = None) -> bool:
    """Whether all members were collected alike; then `out`, which they became, says so, too, and is gone on with.

    Raises:
        BadData: a file is broken.
    """
    files = [Layout(root).own / _FILE for root in members]
    if not files or not all(file.exists() for file in files):
        return False
    each = [_read(file) for file in files]
    tasks = {task: text for one in each for task, text in one.tasks.items()}
    first = replace(each[0], tasks=tasks)
    alike = all(replace(one, tasks=tasks, robot=first.robot) == first for one in each)
    if not alike or any(tasks[task] != text for one in each for task, text in one.tasks.items()):
        return False
    if out is not None:
        atomic_write(Layout(out).own / _FILE, to_json({"version": _VERSION, **first.to_json()}))
    return True


def _read(file: Path) -> Configuration:
    data = load_json(file)
    known = {f.name for f in fields(Configuration)}
    try:
        made = Configuration(**{name: value for name, value in data.items() if name in known})
    except TypeError as error:
        raise BadData(file, "configuration", ", ".join(sorted(known)), str(error)) from error
    if not isinstance(made.tasks, dict) or not all(isinstance(text, str) for text in made.tasks.values()):
        raise BadData(file, "tasks", "task -> sentence", repr(made.tasks))
    return made


def _short(value: Any) -> str:
    return value[:8] if isinstance(value, str) and len(value) == 32 else f"{value}"


_RESERVE = 500 * 2**20  # bytes that recording leaves free
_FIRST_GUESS = 20 * 2**20  # bytes of an episode, before there is one


def _there(path: Path) -> Path:
    """The folder itself, or the nearest one that exists and would hold it."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


class DiskSpace:
    """Room for episodes, asked before a session and before and during every take.

    Args:
        root: where they are written.
        free: bytes that are free there.
        reserve: bytes that stay free.
    """

    def __init__(
        self,
        root: Path,
        *,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(_there(path)).free,
        reserve: int = _RESERVE,
    ) -> None:
        self._root, self._free, self._reserve = root, free, reserve

    def require(self, episodes: int, recorded_bytes: int, recorded: int) -> str:
        """What is said of the room for so many more episodes.

        Args:
            recorded_bytes, recorded: of the episodes that are there; their mean is what the next ones will take.

        Raises:
            InfrastructureError: they will not fit; says both numbers.
        """
        each = recorded_bytes / recorded if recorded else _FIRST_GUESS
        needed, free = episodes * each + self._reserve, self._free(self._root)
        if free < needed:
            guess = "" if recorded else ", by a guess of 20 MB an episode"
            raise InfrastructureError(
                f"{self._root}: {free / 1e9:.1f} GB are free, {episodes} episodes and the reserve take "
                f"{needed / 1e9:.1f} GB{guess}: make room, or ask for fewer"
            )
        return f"{free / 1e9:.0f} GB free"

    def problem(self) -> str:
        """Why nothing more may be recorded now; empty when it may."""
        free = self._free(self._root)
        if free >= self._reserve:
            return ""
        return f"{free / 1e9:.2f} GB are free, and {self._reserve / 1e9:.1f} GB stay free: make room, then go on"
