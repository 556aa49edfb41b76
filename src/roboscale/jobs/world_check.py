"""Checks that a world keeps its promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from roboscale.core import Finding, WorldInfo
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, ignore, progressing
from roboscale.jobs.options import Seed, StartTimeout
from roboscale.jobs.request import Argument, Option, Request
from roboscale.jobs.strangers import within
from roboscale.jobs.trying import AnyWorld

__all__ = ["CheckWorldTasks", "CheckedWorld", "check_world_tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckWorldTasks(Request):
    """Asks whether a world keeps its promises, task by task."""

    words: ClassVar[tuple[str, ...]] = ("world", "check")

    world: Annotated[str, Argument("A world, a TOML declaration, or a class as file.py:Name or module:Name.")] = (
        "metaworld"
    )
    tasks: Annotated[str, Option("Task names separated by commas, or `all`.")] = "all"
    determinism: Annotated[
        bool, Option("Compare every byte of a case run twice also where the world does not promise it.")
    ] = False
    images: Annotated[bool, Option("Compare the pictures too.")] = False
    seed: Seed = 0
    start_timeout: StartTimeout = 300.0


@dataclass(frozen=True, slots=True)
class CheckedWorld:
    """What was found, task by task; the first finding of each says its rule beside its sentence."""

    info: WorldInfo
    findings: Mapping[str, tuple[Finding, ...]]
    compared: bool

    @property
    def broken(self) -> list[str]:
        """Tasks with a broken promise."""
        return [task for task, findings in self.findings.items() if any(f.severity == "error" for f in findings)]

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        lines = []
        for task, findings in self.findings.items():
            worst = [f for f in findings if f.severity != "info"]
            well = "ok, same bytes again" if self.compared else "ok"
            lines.append(f"{task:32} {f'{len(worst)} found' if worst else well}")
            listed = (*worst, *(f for f in findings if f.severity == "info"))
            lines += [f"  {finding.severity}: {finding.text}" for finding in listed]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Of the world its name and identity alone: `world list` writes the rest."""
        name, identity = self.info.name, to_plain(self.info.identity)
        return {"world": name, "identity": identity, "tasks": to_plain(self.findings), "ok": not self.broken}


def check_world_tasks(
    request: CheckWorldTasks, on_event: OnEvent = ignore, *, world: AnyWorld | None = None
) -> CheckedWorld:
    """Starts scenes, looks, moves and measures, and says what is not as the world promises.

    >>> from roboscale import CheckWorldTasks, check_world_tasks
    >>> check_world_tasks(CheckWorldTasks(tasks="reach-v3")).broken
    []

    Args:
        world: an object, instead of the request's text.

    Raises:
        UnknownName: no such world or task.
    """
    from roboscale.jobs.opening import open_any_world
    from roboscale.jobs.trying import expand_tasks
    from roboscale.testing.world_checks import check_world, success_rule
    from roboscale.worlds import as_world

    with within(request.start_timeout, f"world {request.world}", lambda text: on_event(Note(text))):
        if world is None or isinstance(world, str):
            opened = open_any_world(request.world, start_s=request.start_timeout)
        else:
            opened = as_world(world)
        info = opened.info
    try:
        for note in getattr(opened, "notes", ()):
            on_event(Note(note))
        if not info.identity.verified:
            on_event(Note(f"not known by its content alone: {'; '.join(info.identity.unverified)}"))
        tasks = expand_tasks(info, request.tasks)
        findings = {}
        progress = progressing(on_event, "tasks")
        for number, task in enumerate(tasks, 1):
            checked = check_world(
                opened, task, seed=request.seed, determinism=request.determinism, images=request.images
            )
            findings[task] = (success_rule(opened, task), *checked)
            progress(number, len(tasks))
        compared = info.kind != "real" and (request.determinism or info.deterministic)
        return CheckedWorld(info, findings, compared)
    finally:
        opened.close()
