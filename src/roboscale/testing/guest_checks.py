"""What every guest promises, as a check that authors of guests run: `check_guest(folder)`.

It reads the folder, starts the installed guest, runs its own check, and looks at each of its worlds as `check_world`
does. What breaks is a finding, not a traceback.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from roboscale.core import Finding, RoboscaleError
from roboscale.guests import Guest, check_guest_process, find_guest, open_guest_world, read_guest
from roboscale.testing.world_checks import check_world

__all__ = ["check_guest"]


def check_guest(guest: Guest | Path | str, tasks: Sequence[str] = (), *, images: bool = False) -> list[Finding]:
    """Every broken promise as an `error`, what is worth a look as a `warning`; empty when it keeps them all.

    Args:
        guest: an installed one, its name, or its folder.
        tasks: of its worlds to look at; by default all that `guest.toml` names.
        images: compare the pictures, too, where a world promises the same bytes again (slow).

    Raises:
        UnknownName: no guest of that name.
        BadData: its folder has no `guest.toml` or lock, or one that is broken.
    """
    if isinstance(guest, str):
        guest = find_guest(guest)
    elif isinstance(guest, Path):
        guest = read_guest(guest)
    return [*_folder(guest), *_process(guest), *_worlds(guest, tasks, images)]


def _folder(guest: Guest) -> Iterator[Finding]:
    """What is to be known before anything is installed."""
    names = {line.partition("==")[0].lower() for line in guest.packages}
    loose = [line for line in guest.packages if "==" not in line]
    if loose:
        yield Finding("lock", "error", f"lock.txt: expected name==version in every line, found {', '.join(loose[:3])}")
    if missing := {"numpy", "msgpack"} - names:
        yield Finding("lock", "error", f"lock.txt: {', '.join(sorted(missing))} is missing: our side needs it")
    if not guest.policies and not guest.worlds:
        yield Finding("empty", "error", "guest.toml: neither policies nor worlds: it brings nothing")
    if guest.worlds and not guest.tasks:
        yield Finding("tasks", "warning", "guest.toml: no [tasks]: `roboscale world list` cannot name them")


def _process(guest: Guest) -> Iterator[Finding]:
    if not guest.check:
        yield Finding("check", "warning", "guest.toml: no check: `roboscale guest check` has nothing to run")
        return
    try:
        check_guest_process(guest)
    except RoboscaleError as error:
        yield Finding("check", "error", str(error))


def _worlds(guest: Guest, tasks: Sequence[str], images: bool) -> Iterator[Finding]:
    for task in (tasks or tuple(guest.tasks)) if guest.worlds else ():
        try:
            world = open_guest_world(guest, task, {})
        except RoboscaleError as error:
            yield Finding("opens", "error", str(error), field=task)
            continue
        try:
            if guest.tasks.get(task, world.info.tasks.get(task)) != world.info.tasks.get(task):
                text = f"guest.toml says {guest.tasks[task]!r}, the world {world.info.tasks.get(task)!r}"
                yield Finding("tasks", "error", text, field=task)
            measured = tuple(measure.name for measure in world.info.measures)
            if guest.measures and guest.measures != measured:
                text = f"guest.toml says {', '.join(guest.measures)}, the world {', '.join(measured)}"
                yield Finding("measures", "error", text, field=task)
            yield from check_world(world, task, images=images)
        finally:
            world.close()
