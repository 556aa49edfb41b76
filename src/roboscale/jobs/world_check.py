"""Checks that a world keeps its promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from roboscale.core import BadData, Finding, RoboscaleError, WorldInfo
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore, progressing
from roboscale.jobs.learned import learned_folder
from roboscale.jobs.options import Seed, StartTimeout
from roboscale.jobs.request import Argument, Option, Request
from roboscale.jobs.strangers import within
from roboscale.jobs.trying import AnyWorld

if TYPE_CHECKING:
    from roboscale.core import World
    from roboscale.jobs.learned import CheckedGates
    from roboscale.worlds.learned import LearnedWorld, LoggedEpisodes

__all__ = ["CheckWorldTasks", "CheckedWorld", "check_world_tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckWorldTasks(Request):
    """Asks whether a world keeps its promises, task by task."""

    words: ClassVar[tuple[str, ...]] = ("world", "check")

    world: Annotated[
        str, Argument("A world, a TOML declaration, a class as file.py:Name, or the folder of a learned world.")
    ] = "metaworld"
    tasks: Annotated[str, Option("Task names separated by commas, or `all`.")] = "all"
    determinism: Annotated[
        bool, Option("Compare every byte of a case run twice also where the world does not promise it.")
    ] = False
    images: Annotated[bool, Option("Compare the pictures too.")] = False
    failures: Annotated[
        Path | None, Option("Of a learned world: a dataset with further logged failures for its third gate.")
    ] = None
    seed: Seed = 0
    start_timeout: StartTimeout = 300.0


@dataclass(frozen=True, slots=True)
class CheckedWorld:
    """What was found, task by task; the first finding of each says its rule beside its sentence. Of a learned world
    also what its gates said."""

    info: WorldInfo
    findings: Mapping[str, tuple[Finding, ...]]
    compared: bool
    gates: CheckedGates | None = None

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
        return [*lines, *(self.gates.lines if self.gates is not None else ())]

    @property
    def ok(self) -> bool:
        """Whether every promise is kept and every gate holds."""
        return not self.broken and (self.gates is None or not self.gates.failed)

    def to_json(self) -> dict[str, Any]:
        """Of the world its name and identity alone: `world list` writes the rest."""
        name, identity = self.info.name, to_plain(self.info.identity)
        gates = {} if self.gates is None else {"gates": self.gates.to_json(), "gates_say": self.gates.sentence}
        return {"world": name, "identity": identity, "tasks": to_plain(self.findings), "ok": self.ok, **gates}


def check_world_tasks(
    request: CheckWorldTasks, on_event: OnEvent = ignore, *, world: AnyWorld | None = None
) -> CheckedWorld:
    """Starts scenes, looks, moves and measures, and says what is not as the world promises.

    A learned world is also put through its gates, whose result is kept beside it: `eval` asks for it.

    >>> from roboscale import CheckWorldTasks, check_world_tasks
    >>> check_world_tasks(CheckWorldTasks(tasks="reach-v3")).broken
    []

    Args:
        world: an object, instead of the request's text.

    Raises:
        UnknownName: no such world or task.
        RoboscaleError: failures for a world that is not learned.
        BadData: none of its failures is news to the world.
    """
    from roboscale.jobs.trying import expand_tasks
    from roboscale.testing.world_checks import check_world, success_rule
    from roboscale.worlds import as_world

    if request.failures is not None and (world is not None or learned_folder(request.world) is None):
        raise RoboscaleError(
            f"--failures {request.failures}: {request.world} is no learned world, which alone has gates"
        )
    with within(request.start_timeout, f"world {request.world}", lambda text: on_event(Note(text))):
        if world is None or isinstance(world, str):
            opened = _opened(request)
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
        return CheckedWorld(info, findings, compared, _gates(request, opened, on_event))
    finally:
        opened.close()


def _opened(request: CheckWorldTasks) -> World:
    """The world of the request; a learned one whatever its gates said before."""
    from roboscale.jobs.learned import learned_parts
    from roboscale.jobs.opening import open_any_world

    asked = learned_folder(request.world)
    if asked is None:
        return open_any_world(request.world, start_s=request.start_timeout)
    folder, options = asked
    return learned_parts(folder, options.get("starts", ""))[0]


def _gates(request: CheckWorldTasks, world: World, on_event: OnEvent) -> CheckedGates | None:
    """What the gates of a learned world say, kept beside it; `None` of any other."""
    from roboscale.jobs.learned import learned_parts, write_gates

    asked = learned_folder(request.world)
    if asked is None or world.info.kind != "learned":
        return None
    from roboscale.jobs.world_gates import check_gates

    folder, _ = asked
    learned, held_out = learned_parts(folder)
    failures = None
    if request.failures is not None:
        failures = _further_failures(request.failures, learned, held_out, on_event)
    checked = check_gates(learned, held_out, failures)
    on_event(Wrote("gates", write_gates(folder, checked)))
    return checked


def _further_failures(
    root: Path, learned: LearnedWorld, held_out: LoggedEpisodes, on_event: OnEvent
) -> LoggedEpisodes:
    """Logged failures that the world neither learned from nor is checked on already, by content."""
    from roboscale.dataset import Dataset
    from roboscale.jobs.learned_data import load_learnable
    from roboscale.worlds.learned import state_fields

    shown = learned.manifest.observed.names
    more = [f.name for f in state_fields(Dataset(root).spec.fields) if f.name not in shown]
    data = load_learnable(root, share=0.5, leave_out=more, fewest=1)
    logged = data.failures_for(tuple(learned.manifest.tasks), learned.manifest.observed)
    known = {*learned.manifest.data.get("trained", ()), *held_out.contents}
    new = [i for i, content in enumerate(logged.contents) if content not in known]
    own = len(logged.ids) - len(new)
    if not new:
        expected = f"logged failures of {', '.join(learned.manifest.tasks)} that this world does not have"
        raise BadData(root, "episodes", expected, f"{own}, all of which it has" if own else "none")
    left = f"; {own} that this world was trained or is checked on are left out" if own else ""
    on_event(Note(f"{root}: {len(new)} logged failures are added to gate 3{left}"))
    return logged.only(new)
