"""Whether a cheap world is a valid judge of policies: its validity card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from roboscale.core import OutcomeKind, Outcomes, RoboscaleError
from roboscale.core.extras import require_packages
from roboscale.core.plain import to_plain
from roboscale.jobs.events import Note, OnEvent, Wrote, ignore
from roboscale.jobs.options import Html, Level
from roboscale.jobs.reading_options import TableRequest
from roboscale.jobs.request import Option

if TYPE_CHECKING:
    from roboscale.core import Estimate
    from roboscale.stats.task_means import TaskMeans
    from roboscale.stats.validity import Score, ValidityCard

    _Cells = Mapping[tuple[str, str], tuple[Estimate, Estimate]]

__all__ = ["REAL_WORLDS", "CheckValidity", "CheckedValidity", "check_validity"]

REAL_WORLDS = ("real", "real world", "real_world", "robot", "hardware", "hw")
"""What tables call the real world; of a source with another one besides, `--real` takes it and `--cheap` the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckValidity(TableRequest):
    """Asks whether the world of `cheap` orders policies as that of `real` does."""

    words: ClassVar[tuple[str, ...]] = ("validity",)

    real: Annotated[str, Option("Results on the real robot; any form that `rank` reads.")]
    cheap: Annotated[str, Option("Results of the same policies in the cheap world.", flag="--cheap/--sim")]
    arm: Annotated[
        str, Option("Of the cheap world's own trials those in this cell of `eval --perturb`, e.g. light:2.")
    ] = ""
    outcome: Annotated[
        Literal["auto", "success", "progress"],
        Option("success, progress, or auto: progress where nothing else was noted."),
    ] = "auto"
    points: Annotated[
        Literal["policy", "cell"], Option("Draw a point for each policy, or for each policy on each task.")
    ] = "policy"
    level: Level = 0.95
    html: Html = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedValidity:
    """The validity card of the cheap world.

    Args:
        real, cheap: the scores that it was made from, by policy.
        tasks: over which scores are means, the same in both worlds.
        outcome: what the scores are means of.
        cells: (policy, task) -> mean in the real and in the cheap world.
        within: correlation over policies and tasks once the mean of each task is taken out; `None` for one task.
        unit: what the claims are about: these checkpoints, or recipes with their training runs.
        arm: in which worse world the cheap trials were; empty for the unperturbed one.
        unperturbed: the card of the unperturbed arm, where another one was asked for.
        notes: what was left out or assumed.
    """

    card: ValidityCard
    real: Mapping[str, Score]
    cheap: Mapping[str, Score]
    tasks: tuple[str, ...]
    outcome: str
    cells: Mapping[tuple[str, str], tuple[Estimate, Estimate]]
    within: Estimate | None
    unit: str = ""
    arm: str = ""
    unperturbed: ValidityCard | None = None
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """For a terminal: the claim, every criterion, and what the scores are."""
        from roboscale.report.terminal import wrapped

        lines = [*wrapped(self.card.claims[0]), ""]
        lines += [line for said in self.card.measured for line in wrapped(said, "  ")]
        lines += ["", *(line for said in self.card.claims[1:] for line in wrapped(said)), *wrapped(self.basis)]
        return [*lines, *wrapped(self.beside)] if self.beside else lines

    @property
    def beside(self) -> str:
        """The perturbed arm beside the unperturbed one; empty where no arm was asked for."""
        if self.unperturbed is None:
            return ""
        sides = [
            f"Pearson {_with_bounds(card.pearson)}, rank correlation {_with_bounds(card.spearman)}, "
            f"{'ranks' if card.ranks else 'not shown to rank'}"
            for card in (self.card, self.unperturbed)
        ]
        return f"The cheap world's trials are those in {self.arm}: {sides[0]}. Unperturbed: {sides[1]}"

    @property
    def basis(self) -> str:
        """What the scores are, and the agreement on policies within tasks."""
        what = "mean progress" if self.outcome == "progress" else "success rates"
        named = self.tasks[0] if self.tasks != ("all",) else "one task"
        tasks = f"{len(self.tasks)} tasks, each with the same weight" if len(self.tasks) > 1 else named
        said = f"Scores are {what} of {len(self.card.policies)} policies on {tasks}; {self.unit}"
        if self.within is None or self.within.value is None:
            return said
        return f"{said}; within tasks the {len(self.cells)} points correlate at {self.within.value:.2f}"

    def to_json(self) -> dict[str, Any]:
        """The card's entries, and rows of policy and task."""
        return {
            **self.card.to_json(),
            "ranks": self.card.ranks,
            "outcome": self.outcome,
            "unit": self.unit,
            "arm": self.arm,
            "unperturbed": None if self.unperturbed is None else self.unperturbed.to_json(),
            "tasks": list(self.tasks),
            "cells": [
                {"policy": policy, "task": task, "real": to_plain(real), "cheap": to_plain(cheap)}
                for (policy, task), (real, cheap) in self.cells.items()
            ],
            "within_tasks": to_plain(self.within),
        }


def check_validity(request: CheckValidity, on_event: OnEvent = ignore) -> CheckedValidity:
    """Compares two worlds over the policies and tasks that were tried in both; others are noted and left out.

    >>> done = check_validity(CheckValidity(real="robot.csv", cheap="simulator.csv"))
    >>> done.card.policies, done.card.ranks
    (('fair', 'good', 'poor'), False)

    Raises:
        RoboscaleError: no policy, or no task, was tried in both worlds; or one has progress and the other has not.
        BadData: a file is not understood, or nothing is in it.
    """
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        on_event(Note(text))

    done = _compared(request, request.arm, on_event, note)
    if request.arm:
        nominal = _compared(request, "", ignore, lambda text: None)
        done = replace(done, arm=request.arm, unperturbed=nominal.card)
        if apart := _apart(request.arm, done, nominal):
            note(apart)
    done = replace(done, notes=tuple(notes))
    if request.html is not None:
        _write_page(done, request)
        on_event(Wrote("page", request.html))
    return done


def _apart(arm: str, inside: CheckedValidity, nominal: CheckedValidity) -> str:
    """In what the two cards are not of the same: policies, tasks or how many cheap trials; empty where they are."""
    sides = []
    for what, of_arm, of_nominal in (
        ("policies", inside.card.policies, nominal.card.policies),
        ("tasks", inside.tasks, nominal.tasks),
        ("cheap trials", _trials(inside), _trials(nominal)),
    ):
        if of_arm != of_nominal:
            sides.append(f"{what} {_listed(of_arm)} in {arm}, {_listed(of_nominal)} unperturbed")
    return f"the two arms are not of the same: {'; '.join(sides)}" if sides else ""


def _trials(done: CheckedValidity) -> int:
    """Of the cheap world, as far as its scores say of how many they are."""
    return sum(s[1] if isinstance(s, tuple) else getattr(s, "n", 0) for s in done.cheap.values())


def _listed(what: Sequence[str] | int) -> str:
    return str(what) if isinstance(what, int) else ", ".join(what)


def _with_bounds(rate: Estimate) -> str:
    if rate.value is None:
        return "unknown"
    bounds = "no interval" if rate.low is None or rate.high is None else f"{rate.low:+.2f}, {rate.high:+.2f}"
    return f"{rate.value:+.2f} [{bounds}]"


def _compared(request: CheckValidity, arm: str, on_event: OnEvent, note: Callable[[str], None]) -> CheckedValidity:
    """Both worlds, the cheap one in one arm."""
    from roboscale.stats.recipes import runs_of, unit_of_runs
    from roboscale.stats.task_means import task_means
    from roboscale.stats.validity import validity

    kind, worlds = _load(request, arm, on_event, note)
    if request.html is not None:
        require_packages("a page", "matplotlib")
    means = [task_means(world, request.level) for world in worlds]
    names, tasks = _shared(means, request.only_task, note)
    real, cheap = ({name: one.score(name, tasks) for name in names} for one in means)
    cells = {(name, task): (means[0].cell(name, task), means[1].cell(name, task)) for name in names for task in tasks}
    return CheckedValidity(
        card=validity(real, cheap, level=request.level),
        real=real,
        cheap=cheap,
        tasks=tasks,
        outcome=kind,
        cells=cells,
        within=_within(cells, names, tasks, request.level),
        unit=unit_of_runs({name: count for name, count in runs_of(worlds[0]).items() if name in names}),
    )


def _load(
    request: CheckValidity, arm: str, on_event: OnEvent, note: Callable[[str], None]
) -> tuple[OutcomeKind, list[Outcomes]]:
    """Both worlds, compared by the same kind of outcome."""
    from roboscale.jobs.result_files import load_results
    from roboscale.jobs.two_worlds import same_rows

    options = request.reading_options()
    first = load_results([request.real], options, on_event)
    same_arm = request.real == request.cheap and not arm
    results = [first, first if same_arm else load_results([request.cheap], options, on_event, arm=arm)]
    for side, one in zip(("real", "cheap"), results, strict=True):
        if not one.kinds:
            raise RoboscaleError(f"{side}: {one.source} holds preferences and no trials")
    kinds = [one.kinds for one in results]
    both = [kind for kind in kinds[0] if kind in kinds[1]]
    if not both:
        sides = f"real has {', '.join(kinds[0])}, cheap has {', '.join(kinds[1])}"
        raise RoboscaleError(f"the two worlds are scored on different scales: {sides}")
    kind = both[0] if request.outcome == "auto" else request.outcome
    worlds = [one.outcomes(kind) for one in results]
    one_world = len({stratum.world for world in worlds for stratum in world.strata}) < 2
    if one_world and (same := same_rows(request.real, request.cheap, results)):
        note(same)
    if request.outcome == "auto" and kind == "progress":
        note("nobody noted success on both sides, so means of progress are compared")
    return kind, [_one_world(side, world, note) for side, world in zip(("real", "cheap"), worlds, strict=True)]


def _one_world(side: str, outcomes: Outcomes, note: Callable[[str], None]) -> Outcomes:
    """The real world of a source that has a real and another one, or the other one; a note says which."""
    import numpy as np

    places = sorted({stratum.world for stratum in outcomes.strata})
    if len(places) < 2:
        return outcomes
    real = [place for place in places if place.lower() in REAL_WORLDS]
    wanted = real if side == "real" else [place for place in places if place not in real]
    if len(real) != 1 or len(wanted) != 1:
        note(f"{side}: trials in {len(places)} worlds are taken together: {', '.join(places)}; see --world")
        return outcomes
    note(f"{side}: trials in world {wanted[0]}; left out: {', '.join(p for p in places if p != wanted[0])}")
    fits = np.array([stratum.world == wanted[0] for stratum in outcomes.strata])
    return outcomes.where(fits[outcomes.stratum])


def _shared(means: Sequence[TaskMeans], task: str, note: Callable[[str], None]) -> tuple[list[str], tuple[str, ...]]:
    """Policies and tasks of which both worlds have trials; a note names the others."""
    real, cheap = means
    names = [name for name in real.policies if name in cheap.policies]
    if not names:
        sides = f"real has {', '.join(sorted(real.policies))}; cheap has {', '.join(sorted(cheap.policies))}"
        raise RoboscaleError(f"no policy was tried in both worlds: {sides}")
    for side, one, other in (("real", real, cheap), ("cheap", cheap, real)):
        alone = sorted(name for name in one.policies if name not in other.policies)
        if alone:
            note(f"left out, tried in the {side} world only: {', '.join(alone)}")
    wanted = [name for name in real.tasks if task in ("", name)]
    tasks = tuple(t for t in wanted if all(one.tried(name, t) for one in means for name in names))
    if not tasks:
        sides = f"real has {', '.join(real.tasks)}; cheap has {', '.join(cheap.tasks)}"
        asked = f"task {task!r}" if task else "no task"
        raise RoboscaleError(
            f"{asked} was {'not ' if task else ''}tried with every shared policy in both worlds: {sides}"
        )
    for side, one in (("real", real), ("cheap", cheap)):
        alone = sorted(t for t in one.tasks if t not in tasks and task in ("", t))
        if alone:
            note(f"left out of the {side} world, not tried with every shared policy in both: {', '.join(alone)}")
    return names, tasks


def _within(
    cells: Mapping[tuple[str, str], tuple[Estimate, Estimate]],
    names: Sequence[str],
    tasks: Sequence[str],
    level: float,
) -> Estimate | None:
    """Pearson over policies and tasks, the mean of each task taken out on both sides."""
    import numpy as np

    from roboscale.stats.agreement import correlation

    if len(tasks) < 2 or len(names) < 3:
        return None
    table = np.array([[[side.value for side in cells[name, task]] for name in names] for task in tasks], float)
    centred = table - table.mean(axis=1, keepdims=True)
    return correlation(centred[..., 0].ravel(), centred[..., 1].ravel(), "Pearson", level)


def _write_page(done: CheckedValidity, request: CheckValidity) -> None:
    from roboscale.jobs.files import write_text
    from roboscale.jobs.versions import versions
    from roboscale.report.validity import ValidityData, validity_page

    assert request.html is not None
    cells = (
        {f"{name}, {task}": sides for (name, task), sides in done.cells.items()} if request.points == "cell" else {}
    )
    data = ValidityData.of(
        done.card,
        done.real,
        done.cheap,
        cells=cells,
        basis=done.basis,
        sources=(request.real, request.cheap),
        command=request.command,
        notes=(*([done.beside] if done.beside else []), *done.notes),
        versions=versions(),
    )
    write_text(request.html, validity_page(data))
